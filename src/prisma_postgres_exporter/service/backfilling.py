"""Read days of the past into the ledger, beside a running exporter or without one."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.backfill import Backfill, choose, plan_backfill, spare_requests_per_second
from prisma_postgres_exporter.config import Config, read_tokens
from prisma_postgres_exporter.cycle import Collector
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, write_history
from prisma_postgres_exporter.model import Database, DayUsage, Position
from prisma_postgres_exporter.plan import Plan
from prisma_postgres_exporter.service.clients import Clients
from prisma_postgres_exporter.service.opening import open_collector, utc_now
from prisma_postgres_exporter.store import Store

CHUNK_SECONDS = 5
"""What is read in this time is stored at once, so that a kill loses no more."""

FRUITLESS_CHUNKS = 3
"""After so many chunks in a row that read nothing the rest is left for another run."""

Progress = Callable[[int, int], None]
"""Is told how many reads were made and how many of them failed."""


@dataclass(slots=True, kw_only=True)
class Backfilling:
    """One backfill, ready to run: `todo` is what it will read, at `requests_per_second` for each workspace.

    `problems` are credentials that do not work: their databases are read in another run.
    """

    collector: Collector
    positions: tuple[Position, ...]
    from_day: date
    to_day: date
    requests_per_second: float
    todo: Backfill
    problems: tuple[str, ...]
    failures: Counter[str] = field(default_factory=Counter)

    async def run(self, progress: Progress) -> int:
        """Read what is to be done, chunk by chunk, each stored before the next; returns how many days are missing.

        What failed is in `failures`, by reason.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        size = max(1, int(self.requests_per_second * CHUNK_SECONDS))
        waiting = list(self.todo.reads)
        done = fruitless = 0
        while waiting and fruitless < FRUITLESS_CHUNKS:
            chunk, waiting = waiting[:size], waiting[size:]
            report = await self.collector.run_plan(Plan(reads=tuple(chunk), deferred=len(waiting)), asyncio.Event())
            if not report.is_stored:
                break
            fruitless = 0 if report.reads > report.failures else fruitless + 1
            done += len(chunk)
            self.failures.update(report.failure_reasons)
            progress(done, self.failures.total())
        return len((await _todo(self.collector, self.positions, self.from_day, self.to_day)).reads)

    async def write_openmetrics(self, write: Callable[[Iterator[bytes]], None], *, step: timedelta) -> None:
        """Have the chosen databases' days written as OpenMetrics: `write` takes the file in parts, in another thread.

        Raises:
            StoreUnavailable: the store cannot be read.
        """

        def write_from(store: Store) -> None:
            def days_of(database: Database) -> Iterator[DayUsage]:
                return store.days(database.id, self.from_day, self.to_day)

            databases = [position.database for position in self.positions]
            write(part.encode() for part in write_history(databases, days_of, step=step))

        await self.collector.with_store(write_from)


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
    health = ExporterHealth()
    clients = Clients(health)
    tokens = await asyncio.to_thread(read_tokens, config)
    await clients.use(config, tokens)
    async with open_collector(config, Exposition(health), health, clients, clock) as collector:
        await collector.run_discovery()
        positions = choose(collector.book.positions, databases)
        pace = requests_per_second or _spare_pace(config, collector.book.positions.values())
        paced = config.model_copy(update={"poll": config.poll.model_copy(update={"requests_per_second": pace})})
        await clients.use(paced, tokens)
        collector.readers.use(clients.by_name, clients.expiries)
        yield Backfilling(
            collector=collector,
            positions=positions,
            from_day=from_day,
            to_day=to_day,
            requests_per_second=pace,
            todo=await _todo(collector, positions, from_day, to_day),
            problems=tuple(
                f"credential {name}: {state.error}"
                for name, state in collector.readers.credentials.items()
                if state.error is not None
            ),
        )


async def _todo(collector: Collector, positions: Iterable[Position], from_day: date, to_day: date) -> Backfill:
    def known(store: Store) -> frozenset[tuple[int, date]]:
        rows = store.days(from_day=from_day, to_day=to_day)
        return frozenset((row.database_key, row.day) for row in rows if row.unchanged_since_at is not None)

    return plan_backfill(positions, from_day=from_day, to_day=to_day, known=await collector.with_store(known))


def _spare_pace(config: Config, positions: Iterable[Position]) -> float:
    by_workspace = Counter(row.database.workspace_id for row in positions if row.deleted_at is None)
    return spare_requests_per_second(config.poll, max(by_workspace.values(), default=0))
