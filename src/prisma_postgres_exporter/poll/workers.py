"""Make planned reads: a fixed set of workers for each workspace, and an end to what is hopeless."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.errors import ApiError, CredentialRefused, PlanLimitReached, Unavailable
from prisma_postgres_exporter.model import ReadingFailure, UsageReading
from prisma_postgres_exporter.plan import PlannedRead
from prisma_postgres_exporter.poll.answers import LAST_MILLISECOND, interpret

HOPELESS_AFTER = 20
"""So many reads of a workspace in a row that found nobody: the rest of its reads wait for the next cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollResult:
    """What came of a plan. `errors` by workspace id: why the rest of its reads was given up."""

    outcomes: tuple[UsageReading | ReadingFailure, ...]
    errors: Mapping[str, ApiError]


@dataclass(slots=True)
class _Workspace:
    """The reads of one workspace that are still to be made, and what came of the others."""

    client: ManagementApi
    waiting: deque[PlannedRead] = field(default_factory=deque)
    outcomes: list[UsageReading | ReadingFailure] = field(default_factory=list)
    unavailable_in_a_row: int = 0
    error: ApiError | None = None


async def poll(
    reads: Iterable[PlannedRead],
    clients: Mapping[str, ManagementApi],
    *,
    concurrency: int,
    clock: Callable[[], datetime],
    span_seconds: float,
    stop: asyncio.Event,
) -> PollResult:
    """Make `reads` in their order, with `clients` by workspace id and `concurrency` workers for each.

    Nothing the vendor answers raises. A refused credential or a blocked workspace fails all its
    reads at once; a vendor that is down leaves the rest for another cycle. After `span_seconds` no
    further request begins; `stop` ends those under way too. What was read by then is returned.
    """
    by_workspace: dict[str, _Workspace] = {}
    for read in reads:
        if read.workspace_id not in by_workspace:
            by_workspace[read.workspace_id] = _Workspace(clients[read.workspace_id])
        by_workspace[read.workspace_id].waiting.append(read)
    ends_at = asyncio.get_running_loop().time() + span_seconds
    workers = [
        asyncio.create_task(_work(workspace, clock, ends_at, stop))
        for workspace in by_workspace.values()
        for _ in range(min(concurrency, len(workspace.waiting)))
    ]
    await _finish(workers, stop)
    return PollResult(
        outcomes=tuple(outcome for workspace in by_workspace.values() for outcome in workspace.outcomes),
        errors={id_: workspace.error for id_, workspace in by_workspace.items() if workspace.error is not None},
    )


async def _finish(workers: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Wait for the workers or for `stop`, whichever comes first; none is left running."""
    stopping = asyncio.create_task(stop.wait())
    pending = {*workers}
    try:
        while pending and not stop.is_set():
            _, waiting = await asyncio.wait({*pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            pending = {worker for worker in workers if worker in waiting}
    finally:
        for task in (*workers, stopping):
            task.cancel()
        ended = await asyncio.gather(*workers, return_exceptions=True)
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


async def _work(workspace: _Workspace, clock: Callable[[], datetime], ends_at: float, stop: asyncio.Event) -> None:
    time = asyncio.get_running_loop().time
    while workspace.waiting and not stop.is_set() and time() < ends_at:
        read = workspace.waiting.popleft()
        try:
            window = read.windows[0]
            usage = await workspace.client.usage(
                read.database_id, start_at=window.start_at, end_at=window.end_at - LAST_MILLISECOND
            )
        except ApiError as error:
            workspace.outcomes.extend(_failures(read, error, clock()))
            _give_up_if_hopeless(workspace, error, clock())
        else:
            workspace.unavailable_in_a_row = 0
            workspace.outcomes.extend(interpret(read, usage, read_at=clock()))


def _give_up_if_hopeless(workspace: _Workspace, error: ApiError, now: datetime) -> None:
    if isinstance(error, CredentialRefused | PlanLimitReached):
        workspace.error = error
        while workspace.waiting:
            workspace.outcomes.extend(_failures(workspace.waiting.popleft(), error, now))
    elif isinstance(error, Unavailable):
        workspace.unavailable_in_a_row += 1
        if workspace.unavailable_in_a_row >= HOPELESS_AFTER:
            workspace.error = error
            workspace.waiting.clear()


def _failures(read: PlannedRead, error: ApiError, now: datetime) -> Iterable[ReadingFailure]:
    for window in read.windows:
        yield ReadingFailure(
            database_id=read.database_id,
            window=window,
            reason=error.reason,
            message=str(error),
            failed_at=now.replace(microsecond=0),
        )
