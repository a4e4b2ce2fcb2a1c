"""The service described for its status page and health checks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.config import display_url
from prisma_postgres_exporter.cycle import CYCLE_SPAN, CredentialState
from prisma_postgres_exporter.expose import CredentialStatus, CycleStatus, ServiceStatus

if TYPE_CHECKING:
    from prisma_postgres_exporter.service.service import Service

CYCLES_MISSED = 3
"""The service is unhealthy when no cycle has finished for so many poll intervals."""


def describe(service: Service) -> ServiceStatus:
    """Return what `service` is doing now."""
    config, collector, now = service.config, service.collector, service.now()
    cycle = collector.last_cycle
    return ServiceStatus(
        version=__version__,
        now_at=now,
        started_at=service.started_at,
        api_url=config.api_url,
        store_url=display_url(config.store.url),
        store_error=collector.store_error,
        not_ready_reason=None if service.is_ready else "nothing is stored yet and no cycle has finished",
        unhealthy_reason=_unhealthy_reason(service),
        credentials=tuple(_credential(service, name, state) for name, state in collector.credentials.items()),
        snapshot=collector.snapshot,
        widened_windows=tuple(name for name, is_wide in sorted(collector.widened_windows.items()) if is_wide),
        last_cycle=CycleStatus(
            finished_at=cycle.started_at + timedelta(seconds=cycle.seconds),
            seconds=cycle.seconds,
            readings=cycle.reads - cycle.failures,
            failed=cycle.failures,
        )
        if cycle
        else None,
        next_cycle_at=service.next_cycle_at(),
        notes=config.warnings,
    )


def _unhealthy_reason(service: Service) -> str | None:
    cycle = service.collector.last_cycle
    last_at = cycle.started_at + timedelta(seconds=cycle.seconds) if cycle else service.started_at
    allowed = CYCLES_MISSED * (service.config.poll.interval + CYCLE_SPAN)
    if service.now() - last_at <= allowed:
        return None
    return f"no cycle has finished since {last_at:%Y-%m-%d %H:%M:%S} UTC"


def _credential(service: Service, name: str, state: CredentialState) -> CredentialStatus:
    workspace = service.collector.book.workspaces.get(state.workspace_id or "")
    return CredentialStatus(
        name=name,
        is_up=state.error is None,
        workspace_name=workspace.workspace.name if workspace else state.workspace_id,
        reason=str(state.error) if state.error else None,
        failing_since_at=state.failing_since_at,
        expires_at=state.expires_at,
    )
