"""Read days of the past into the ledger, beside a running exporter or without one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.config import Config, read_tokens, require_usable
from prisma_postgres_exporter.expose import write_history
from prisma_postgres_exporter.ledger.backfill import Backfill, choose, plan_backfill, spare_requests_per_second
from prisma_postgres_exporter.ledger.plan import Plan
from prisma_postgres_exporter.model import Database, DatabaseState, DayUsage
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service.ledger_reader import earlier_days
from prisma_postgres_exporter.service.opening import COMMAND_UNREAD_FOR, opened, utc_now
from prisma_postgres_exporter.service.push_sender import Sender, Sleep, send_surely
from prisma_postgres_exporter.store import Store

CHUNK_SECONDS = 5
"""What is read in this time is stored at once, so that a kill loses no more."""

FRUITLESS_CHUNKS = 3
"""After so many chunks in a row that read nothing, or could not be stored, the rest is left for another run."""

STORE_WAIT_SECONDS = 5.0
"""What could not be stored is tried again after this time."""

NOT_STORED = "store_unavailable"
"""The reason of days that could not be stored."""

Progress = Callable[[int, int], None]
"""Is told how many reads were made and how many of them failed."""


@dataclass(slots=True, kw_only=True)
class Backfilling:
    """One backfill, ready to run: `todo` is what it will read, at `requests_per_second` for each workspace.

    `problems` are credentials that do not work: their databases are read in another run.
    """

    collector: Collector
    states: tuple[DatabaseState, ...]
    from_day: date
    to_day: date
    requests_per_second: float
    todo: Backfill
    problems: tuple[str, ...]
    failures: Counter[str] = field(default_factory=Counter)
    not_tried: int = 0

    async def run(self, progress: Progress, *, sleep: Sleep = asyncio.sleep) -> int:
        """Read what is to be done, chunk by chunk, each stored before the next; returns how many days are missing.

        What failed is in `failures`, by reason, and `not_tried` is how many were left for another run.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        size = max(1, int(self.requests_per_second * CHUNK_SECONDS))
        done = 0

        async def run_workspace(workspace_id: str) -> None:
            nonlocal done
            waiting = [read for read in self.todo.reads if read.workspace_id == workspace_id]
            fruitless, is_stored = 0, True
            while waiting and fruitless < FRUITLESS_CHUNKS:
                chunk, waiting = waiting[:size], waiting[size:]
                plan = Plan(
                    groups=tuple((read,) for read in chunk), deferred=len(waiting), next_due_at=self.collector.now()
                )
                report = await self.collector.read(workspace_id, plan)
                if not report.is_stored:
                    # A store that somebody holds for a while is waited for; the chunk was perhaps read in part only.
                    fruitless, waiting = fruitless + 1, [*chunk, *waiting]
                    await sleep(STORE_WAIT_SECONDS)
                    is_stored = await self.collector.store_pending(workspace_id)
                    continue
                is_stored = True
                fruitless = 0 if report.reads > report.failures else fruitless + 1
                done += len(chunk)
                self.failures.update(report.failure_reasons)
                progress(done, self.failures.total())
            failed = 0 if is_stored else min(size, len(waiting))
            if failed:
                self.failures[NOT_STORED] += failed
                progress(done, self.failures.total())
            self.not_tried += len(waiting) - failed

        # Each at its own pace: none waits for another's.
        await asyncio.gather(*map(run_workspace, {read.workspace_id for read in self.todo.reads}))
        return len((await _todo(self.collector, self.states, self.from_day, self.to_day)).reads)

    async def write_openmetrics(self, write: Callable[[Iterator[bytes]], None], *, step: timedelta) -> None:
        """Have the chosen databases' days written as OpenMetrics: `write` takes the file in parts, in another thread.

        Raises:
            StoreUnavailable: the store cannot be read.
        """

        def write_from(store: Store) -> None:
            def days_of(database: Database) -> Iterator[DayUsage]:
                return store.days(database.id, self.from_day, self.to_day)

            databases = [state.database for state in self.states]
            write(part.encode() for part in write_history(databases, days_of, step=step))

        await self.collector.in_store(write_from)

    async def push_history(self, sender: Sender, *, step: timedelta, sleep: Sleep = asyncio.sleep) -> tuple[int, str]:
        """Send the chosen databases' days by remote write; returns how many samples were taken, and why no more were.

        Raises:
            ConfigurationError: a secret cannot be read.
            StoreUnavailable: the store cannot be read.
        """
        loop, login = asyncio.get_running_loop(), sender.login()
        taken, problem = 0, ""

        def send_from(store: Store) -> None:
            nonlocal taken, problem

            def days_of(database: Database) -> Iterator[DayUsage]:
                return store.days(database.id, self.from_day, self.to_day)

            databases = [state.database for state in self.states]
            labels = dict(self.collector.config.push.labels)
            for body, samples in sender.history_requests(write_history(databases, days_of, step=step), labels):
                sending = send_surely(sender, body, login, sleep)
                problem = asyncio.run_coroutine_threadsafe(sending, loop).result()
                if problem:
                    return
                taken += samples

        await self.collector.in_store(send_from)
        return taken, problem


@contextlib.asynccontextmanager
async def open_backfill(
    config: Config,
    *,
    from_day: date,
    to_day: date,
    databases: Collection[str] = (),
    requests_per_second: float | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> AsyncIterator[Backfilling]:
    """Discover what exists and find which days, `from_day` to `to_day`, are not in the ledger.

    Without `requests_per_second` it takes what polling leaves of the configured budget.

    Raises:
        ConfigurationError: tokens or addresses cannot be used, or a database is not known.
        StoreError: the store cannot be opened.
    """
    tokens = await asyncio.to_thread(read_tokens, config)
    require_usable(tokens)
    async with opened(config, clock=clock, tokens=tokens, unread_for=COMMAND_UNREAD_FOR) as running:
        collector = running.collector
        await asyncio.gather(*map(collector.identify, collector.readers.unidentified))
        await asyncio.gather(*map(collector.discover, collector.readers.workspace_ids))
        # What moved since is read in the workspace that has it now.
        await asyncio.gather(*map(collector.discover, collector.receivers))
        states = choose(collector.ledger_state.databases, databases)
        pace = requests_per_second or _spare_pace(config, collector.ledger_state.databases.values())
        paced = config.model_copy(update={"poll": config.poll.model_copy(update={"requests_per_second": pace})})
        collector.reconfigure(paced)
        await collector.use_tokens(tokens)
        yield Backfilling(
            collector=collector,
            states=states,
            from_day=from_day,
            to_day=to_day,
            requests_per_second=pace,
            todo=await _todo(collector, states, from_day, to_day),
            problems=tuple(collector.readers.problems),
        )


async def _todo(collector: Collector, states: Iterable[DatabaseState], from_day: date, to_day: date) -> Backfill:
    def todo(store: Store) -> Backfill:
        # Others may have read some since.
        newest = store.load(collector.now()).databases
        there = tuple(newest.get(row.database.id, row) for row in states)
        earlier = earlier_days(store, there, from_day, to_day)
        return plan_backfill(there, from_day=from_day, to_day=to_day, earlier=earlier)

    return await collector.in_store(todo)


def _spare_pace(config: Config, states: Iterable[DatabaseState]) -> float:
    by_workspace = Counter(row.database.workspace_id for row in states if row.deleted_at is None)
    return spare_requests_per_second(config.poll, max(by_workspace.values(), default=0))
