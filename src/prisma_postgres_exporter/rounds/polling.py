"""Make planned reads: a fixed set of workers, results in batches, and an end to what is hopeless."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from prisma_postgres_exporter.errors import ApiError, ClientClosed, CredentialRefused, PlanLimitReached, Unavailable
from prisma_postgres_exporter.ledger.plan import LONGEST_WAIT, PlannedRead
from prisma_postgres_exporter.model import ReadingFailure, UsageReading
from prisma_postgres_exporter.rounds.interpret import LAST_MILLISECOND, interpret
from prisma_postgres_exporter.rounds.readers import Reader

log = structlog.get_logger(__name__)

HOPELESS_AFTER = 20
"""So many reads of a workspace in a row that found nobody, or a block: the rest of its reads wait for the next plan."""

SLOW_SHARE = 4
"""Databases that hung the last time share one worker in four, so that the others never wait for them."""

STUCK_SECONDS = 5.0
"""A worker that waits for an answer for longer than this is replaced, so that hanging databases hold up nobody."""

FIRST_BATCH_SECONDS = 0.5
BATCH_SECONDS = 4.0

UNFORESEEN = "unforeseen"
"""The reason of a failure that is a fault of ours."""

Outcome = UsageReading | ReadingFailure
Group = tuple[PlannedRead, ...]


@dataclass(slots=True)
class Polling:
    """The reads of one workspace: those of a plan, and those of earlier plans that are still waited for.

    `reader` gives the client to use now, `None` where there is none any more: then nothing more is read. `busy_since`
    is, by group, the event loop's time at which its read under way began. `error` is why the rest of the last
    plan was given up.
    """

    reader: Callable[[], Reader | None]
    clock: Callable[[], datetime]
    outcomes: list[Outcome] = field(default_factory=list)
    busy_since: dict[Group, float] = field(default_factory=dict)
    lagging: set[asyncio.Task[None]] = field(default_factory=set)
    hopeless_in_a_row: int = 0
    error: ApiError | None = None

    @property
    def busy(self) -> frozenset[str]:
        """The ids of the databases of which something is being read: of one it may be several groups."""
        return frozenset(group[0].database_id for group in self.busy_since)

    def take(self) -> list[Outcome]:
        """What was read since this was asked last."""
        taken, self.outcomes = self.outcomes, []
        return taken

    async def give_up(self) -> None:
        """End every read under way."""
        for task in self.lagging:
            task.cancel()
        await asyncio.gather(*self.lagging, return_exceptions=True)
        self.lagging = set()


async def poll(
    polling: Polling,
    groups: Iterable[Group],
    *,
    hung: Collection[str],
    concurrency: int,
    seconds: float | None,
    stop: asyncio.Event,
) -> AsyncGenerator[list[Outcome], None]:
    """Make the reads of `groups` in their order; yields what was read every few seconds, and at the end.

    After `seconds` no further group begins. Those that hang then, or take long, go on, and a later call tells of them:
    nobody waits for them. Without `seconds` it ends when all is read. `hung` are the ids of databases that hung the
    last time. Nothing the vendor answers raises. A refused credential ends it; a vendor that is down, or a workspace
    that is blocked, leaves the rest for another plan. `stop` ends also the requests under way.
    """
    polling.error, polling.hopeless_in_a_row = None, 0
    queues = _Queues(polling, groups, hung, concurrency)
    pending = {*polling.lagging, *queues.first_workers()}
    polling.lagging = set()
    stopping = asyncio.create_task(stop.wait())
    now = asyncio.get_running_loop().time
    ends_at = now() + seconds if seconds is not None else math.inf
    wait_seconds = FIRST_BATCH_SECONDS
    failed: list[BaseException] = []
    try:
        while pending and not stop.is_set():
            done, pending = await _wait(pending, stopping, wait_seconds)
            failed += [error for task in done if (error := _failure(task)) is not None]
            if failed:
                break
            wait_seconds = BATCH_SECONDS
            if now() >= ends_at or polling.error is not None:
                queues.close()
            pending.update(queues.replacements(len(pending)))
            yield polling.take()
            if (
                seconds is not None
                and queues.are_empty
                and (now() >= ends_at + STUCK_SECONDS or _stuck(polling) == len(polling.busy_since))
            ):
                break
        polling.lagging = pending
    finally:
        stopping.cancel()
        if pending is not polling.lagging or stop.is_set() or failed:
            polling.lagging = pending
            await polling.give_up()
    yield polling.take()
    if failed:
        raise failed[0]


class _Queues:
    """The groups of one plan that wait, and the workers that take them; databases that hung wait on their own."""

    def __init__(self, polling: Polling, groups: Iterable[Group], hung: Collection[str], concurrency: int) -> None:
        self._polling = polling
        self._concurrency = concurrency
        self._others: deque[Group] = deque()
        self._slow: deque[Group] = deque()
        for group in groups:
            (self._slow if group[0].database_id in hung else self._others).append(group)

    @property
    def are_empty(self) -> bool:
        """Whether nothing waits any more."""
        return not self._others and not self._slow

    def close(self) -> None:
        """Let nothing more begin."""
        self._others.clear()
        self._slow.clear()

    def first_workers(self) -> list[asyncio.Task[None]]:
        """The workers to begin with, as many as there may be beside those that lag."""
        lagging = len(self._polling.lagging)
        free = max(0, min(2 * self._concurrency - lagging, self._concurrency - lagging + _stuck(self._polling)))
        slow = min(max(1, self._concurrency // SLOW_SHARE), len(self._slow), free)
        others = min(max(1, self._concurrency - slow), len(self._others), free - slow)
        return [self._worker(self._slow) for _ in range(slow)] + [self._worker(self._others) for _ in range(others)]

    def replacements(self, workers: int) -> list[asyncio.Task[None]]:
        """Workers in the place of those that are stuck, at most as many again."""
        stuck = _stuck(self._polling)
        wanted = min(self._concurrency - (workers - stuck), 2 * self._concurrency - workers, len(self._others))
        return [self._worker(self._others) for _ in range(max(0, wanted))]

    def _worker(self, waiting: deque[Group]) -> asyncio.Task[None]:
        return asyncio.create_task(_work(self._polling, waiting, is_slow=waiting is self._slow))


def _stuck(polling: Polling) -> int:
    """How many reads under way hang."""
    now = asyncio.get_running_loop().time()
    return sum(now - since > STUCK_SECONDS for since in polling.busy_since.values())


async def _wait(
    workers: set[asyncio.Task[None]], stopping: asyncio.Task[bool], seconds: float
) -> tuple[set[asyncio.Task[None]], set[asyncio.Task[None]]]:
    """Wait until all workers are done, one failed, it is to stop or the time is over; returns the done, the others."""
    ending = asyncio.get_running_loop().time() + seconds
    ended: set[asyncio.Task[None]] = set()
    while workers and not stopping.done():
        left = ending - asyncio.get_running_loop().time()
        if left <= 0:
            break
        done, _ = await asyncio.wait({*workers, stopping}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        ended |= workers & done
        workers = workers - done
        if any(_failure(task) is not None for task in ended):
            break
    return ended, workers


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    """What ended a worker before its time."""
    if task.cancelled():
        return RuntimeError("a read was cancelled by somebody else")
    return task.exception()


async def _work(polling: Polling, waiting: deque[Group], *, is_slow: bool) -> None:
    while waiting and polling.error is None:
        group = waiting.popleft()
        outcomes: list[Outcome] = []
        try:
            for read in group:
                reader = polling.reader()
                if reader is None or polling.error is not None:
                    break
                polling.busy_since[group] = asyncio.get_running_loop().time()
                outcomes.extend(await _read(polling, reader, read, is_slow=is_slow))
        finally:
            polling.busy_since.pop(group, None)
            # Together, so that days and month can be compared.
            polling.outcomes.extend(outcomes)


async def _read(polling: Polling, reader: Reader, read: PlannedRead, *, is_slow: bool) -> Iterable[Outcome]:
    window = read.windows[0]
    try:
        usage = await reader.api.usage(
            read.database_id, start_at=window.start_at, end_at=window.end_at - LAST_MILLISECOND
        )
    except CredentialRefused as error:
        return await _refused(polling, reader, read, error)
    except ApiError as error:
        if isinstance(error, Unavailable | ClientClosed | PlanLimitReached) and not is_slow:
            polling.hopeless_in_a_row += 1
            if polling.hopeless_in_a_row >= HOPELESS_AFTER:
                polling.error = error
        return _failures(read, error, polling.clock())
    except Exception:
        # Nobody foresaw it: it hurts this database, and is told with its traceback.
        return _broken(read, polling.clock())
    polling.hopeless_in_a_row = 0
    try:
        return tuple(interpret(read, usage, read_at=polling.clock()))
    except Exception:
        return _broken(read, polling.clock())


async def _refused(polling: Polling, reader: Reader, read: PlannedRead, error: CredentialRefused) -> Iterable[Outcome]:
    """Is it the credential, or only the answer for this database? A token that was just replaced says nothing."""
    newer = polling.reader()
    if newer != reader:
        return () if newer is None else await _read(polling, newer, read, is_slow=False)
    try:
        await reader.api.me()
    except CredentialRefused as refusal:
        if polling.reader() == reader:
            polling.error = refusal
        return ()
    except ApiError:
        if polling.reader() != reader:
            return ()
    return _failures(read, error, polling.clock())


def _broken(read: PlannedRead, now: datetime) -> Iterable[Outcome]:
    log.exception("reading broke", database_id=read.database_id, window=read.windows[0].name)
    return _failures(read, ApiError("an unforeseen fault: see the log", reason=UNFORESEEN), now)


def _failures(read: PlannedRead, error: ApiError, now: datetime) -> Iterator[ReadingFailure]:
    failed_at = now.replace(microsecond=0)
    wait = timedelta(seconds=error.retry_after_seconds) if error.retry_after_seconds else None
    for window in read.windows:
        yield ReadingFailure(
            database_id=read.database_id,
            window=window,
            reason=error.reason,
            message=str(error),
            failed_at=failed_at,
            retry_at=failed_at + min(wait, LONGEST_WAIT) if wait else None,
        )
