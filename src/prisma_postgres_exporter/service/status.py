"""The service described for its status page and health checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.config import Config, display_url
from prisma_postgres_exporter.cycle import CYCLE_SPAN, Collector, CredentialState, CycleReport
from prisma_postgres_exporter.expose import CredentialStatus, CycleStatus, ServiceStatus
from prisma_postgres_exporter.model import WorkspaceDay

DAYS_DRAWN = timedelta(days=30)
CYCLES_MISSED = 3
"""The service is unhealthy when no cycle has finished for so many poll intervals."""


def describe(
    config: Config,
    collector: Collector,
    *,
    started_at: datetime,
    next_cycle_at: datetime | None,
    is_ready: bool,
    now: datetime,
) -> ServiceStatus:
    """Return what the service is doing at `now`."""
    return ServiceStatus(
        version=__version__,
        now_at=now,
        started_at=started_at,
        api_url=config.api_url,
        store_url=display_url(config.store.url),
        store_error=collector.store_error,
        not_ready_reason=None if is_ready else "nothing is stored yet and no cycle has finished",
        unhealthy_reason=_unhealthy_reason(config, collector.last_cycle, started_at, now),
        credentials=tuple(_credential(collector, name, state) for name, state in collector.readers.credentials.items()),
        snapshot=collector.snapshot,
        workspace_days=_workspace_days(collector, now),
        widened_windows=tuple(name for name, is_wide in sorted(collector.attempts.widened_windows.items()) if is_wide),
        last_cycle=_cycle(collector.last_cycle) if collector.last_cycle else None,
        next_cycle_at=next_cycle_at,
        notes=config.warnings,
    )


def _workspace_days(collector: Collector, now: datetime) -> Mapping[str, Sequence[WorkspaceDay]]:
    ids = {row.key: id_ for id_, row in collector.book.workspaces.items()}
    found: dict[str, list[WorkspaceDay]] = defaultdict(list)
    for day in collector.workspace_days:
        if day.workspace_key in ids and day.day > (now - DAYS_DRAWN).date():
            found[ids[day.workspace_key]].append(day)
    return found


def _unhealthy_reason(config: Config, cycle: CycleReport | None, started_at: datetime, now: datetime) -> str | None:
    last_at = _finished_at(cycle) if cycle else started_at
    if now - last_at <= CYCLES_MISSED * (config.poll.interval + CYCLE_SPAN):
        return None
    return f"no cycle has finished since {last_at:%Y-%m-%d %H:%M:%S} UTC"


def _finished_at(cycle: CycleReport) -> datetime:
    return cycle.started_at + timedelta(seconds=cycle.seconds)


def _cycle(cycle: CycleReport) -> CycleStatus:
    return CycleStatus(
        finished_at=_finished_at(cycle),
        seconds=cycle.seconds,
        readings=cycle.reads - cycle.failures,
        failed=cycle.failures,
    )


def _credential(collector: Collector, name: str, state: CredentialState) -> CredentialStatus:
    workspace = collector.book.workspaces.get(state.workspace_id or "")
    return CredentialStatus(
        name=name,
        is_up=state.error is None,
        workspace_name=workspace.workspace.name if workspace else state.workspace_id,
        reason=str(state.error) if state.error else None,
        failing_since_at=state.failing_since_at,
        expires_at=state.expires_at,
    )
