"""The service described for its status page and health checks."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.config import Config, display_url
from prisma_postgres_exporter.errors import StoreBroken
from prisma_postgres_exporter.expose import CredentialStatus, PushStatus, RoundStatus, ServiceStatus
from prisma_postgres_exporter.rounds import LARGEST_SKEW, Collector, CredentialState, Turn
from prisma_postgres_exporter.service.display import Display
from prisma_postgres_exporter.service.leasing import LeaseKeeper
from prisma_postgres_exporter.service.limits import ATTEMPTS
from prisma_postgres_exporter.words import counted

FAILURES_IN_A_ROW = 3
IN_A_FILE = "sqlite:///"
LATE = timedelta(minutes=1)
"""A round that is this much late has stopped, or one under way that gives no sign of life for longer than a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadFailure:
    """What is wrong with the configuration that was read last, and since when none was good."""

    text: str
    since_at: datetime


def describe(
    collector: Collector,
    display: Display,
    *,
    started_at: datetime,
    is_ready: bool,
    now: datetime,
    time: float,
    notes: Iterable[str] = (),
    reload_failure: ReloadFailure | None = None,
    leases: LeaseKeeper | None = None,
    pushes: tuple[PushStatus, ...] = (),
) -> ServiceStatus:
    """Return what the service is doing at `now`, `time` on the event loop's clock; `notes` are what else to know."""
    config = collector.config
    return ServiceStatus(
        version=__version__,
        now_at=now,
        started_at=started_at,
        api_url=config.api_url,
        store_url=display_url(config.store.url),
        store_error=_store_error(collector, leases),
        not_ready_reason=None if is_ready else "nothing is stored yet and no round has finished",
        unhealthy_reason=next(_unhealthy_reasons(collector, display, now, time), None),
        credentials=tuple(_credential(collector, state) for state in collector.readers.states.values()),
        snapshot=display.snapshot,
        workspace_days=display.days_by_workspace,
        widened_windows={
            name: count
            for name in ("day", "month", *(window.name for window in config.poll.windows))
            if (count := collector.widened_windows.get(name))
        },
        waits=collector.waits(),
        reload_error=reload_failure.text if reload_failure else None,
        reload_failing_since_at=reload_failure.since_at if reload_failure else None,
        rounds=tuple(_rounds(collector)),
        sharing=None if leases is None else _sharing(leases),
        collected_by={} if leases is None else _collected_by_others(leases),
        pushes=pushes,
        program=config.sources.program,
        store_flag=_store_flag(config),
        notes=(*config.warnings, *_clock_notes(collector), *_refused_notes(collector), *notes),
    )


def _store_flag(config: Config) -> str:
    """What a command is given to read this store; where its URL may have a password, the file that has it, if any."""
    shown = display_url(config.store.url)
    if shown.startswith(IN_A_FILE):
        path = Path(shown.removeprefix(IN_A_FILE)).absolute()
        return f"--store-url {shlex.quote(f'{IN_A_FILE}{path}')}"
    return f"--config {shlex.quote(config.sources.file)}" if config.sources.file else ""


def _unhealthy_reasons(collector: Collector, display: Display, now: datetime, time: float) -> Iterator[str]:
    for turn in collector.turns.values():
        if turn.failures_in_a_row >= FAILURES_IN_A_ROW:
            yield (
                f"the last {turn.failures_in_a_row} rounds of workspace {turn.workspace_id} failed: "
                "see the log for the traceback"
            )
        is_ours = not turn.is_gone and collector.leases.holds(turn.workspace_id)
        if is_ours and _has_stopped(turn, collector.config, now, time):
            yield f"the rounds of workspace {turn.workspace_id} have stopped"
    if display.failures_in_a_row >= FAILURES_IN_A_ROW:
        yield f"what is shown could not be made anew {display.failures_in_a_row} times in a row: see the log"
    if isinstance(collector.ledger.failure, StoreBroken):
        yield str(collector.ledger.failure)
    yield from _clock_notes(collector)


def _has_stopped(turn: Turn, config: Config, now: datetime, time: float) -> bool:
    silence = timedelta(seconds=time - turn.beat)
    if turn.running.locked():
        return silence > ATTEMPTS * config.poll.total_timeout + LATE
    return now - turn.next_at > LATE if turn.next_at is not None else silence > LATE


def _store_error(collector: Collector, leases: LeaseKeeper | None) -> str | None:
    failure = collector.ledger.failure or (leases.failure if leases is not None else None)
    return None if failure is None else str(failure)


def _clock_notes(collector: Collector) -> Iterator[str]:
    skew = collector.readers.skew_seconds
    if skew is not None and abs(skew) > LARGEST_SKEW.total_seconds():
        side = "ahead of" if skew > 0 else "behind"
        yield (
            f"this machine's clock is {timedelta(seconds=round(abs(skew)))} {side} the Management API's: "
            "nothing is stored until it is set right"
        )


def _refused_notes(collector: Collector) -> Iterator[str]:
    for turn in collector.turns.values():
        for reason, count in turn.refused.items():
            named = collector.ledger_state.workspaces.get(turn.workspace_id)
            name = named.workspace.name if named else turn.workspace_id
            yield f"Left out, as they cannot be used: {counted(count, 'record')} of workspace {name} ({reason})"


def _sharing(leases: LeaseKeeper) -> Mapping[str, int]:
    shares = leases.shares
    # Of this one what is sure now; of the others what the store said last.
    counts = Counter(_collected_by_others(leases).values()) | Counter(
        {leases.name: len(shares.held.keys() - shares.unclaimed)}
    )
    return {name: counts[name] for name in dict.fromkeys((leases.name, *shares.processes))}


def _collected_by_others(leases: LeaseKeeper) -> Mapping[str, str]:
    return {id_: name for id_, name in leases.shares.holders.items() if name != leases.name}


def _rounds(collector: Collector) -> Iterator[RoundStatus]:
    for id_, turn in collector.turns.items():
        if turn.is_gone:
            continue
        report, workspace = turn.report, collector.ledger_state.workspaces.get(id_)
        if report is not None:
            yield RoundStatus(
                workspace_id=id_,
                workspace_name=workspace.workspace.name if workspace else id_,
                first_ended_at=turn.first_round_ended_at,
                finished_at=report.started_at + timedelta(seconds=report.seconds),
                seconds=report.seconds,
                readings=report.reads - report.failures,
                failed=report.failures,
                next_at=turn.next_at,
                learned=turn.learned,
                looked_at=turn.discovered_at,
                looks_at=collector.looks_at(turn),
            )


def _credential(collector: Collector, state: CredentialState) -> CredentialStatus:
    workspace = collector.ledger_state.workspaces.get(state.workspace_id or "")
    return CredentialStatus(
        name=state.name,
        is_up=state.problem is None,
        workspace_id=state.workspace_id,
        workspace_name=workspace.workspace.name if workspace else state.workspace_id,
        reason=state.problem,
        code=state.reason,
        failing_since_at=state.failing_since_at,
        expires_at=state.expires_at,
    )
