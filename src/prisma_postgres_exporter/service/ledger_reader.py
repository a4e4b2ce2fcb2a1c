"""Reads the ledger for questions that come from outside, beside the collector and without disturbing it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TypeVar

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import HISTORY, By, Outlook, outlook_of_part, upgrades
from prisma_postgres_exporter.errors import StoreError, TooBusy
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    Happened,
    LedgerState,
    WorkspaceDay,
    day_start,
    month_start,
)
from prisma_postgres_exporter.report import (
    Chosen,
    LedgerMonth,
    MonthCosts,
    Owners,
    UsageRow,
    ledger_month,
    month_costs,
    usage_by_day,
)
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.threads import StartedThreads

ONE_SECOND = timedelta(seconds=1)
ONE_DAY = timedelta(days=1)
COSTS_KEPT = timedelta(minutes=1)
"""How old the costs of a page may be where none are shown yet: it reads the ledger once a minute."""

FAILURE_KEPT = timedelta(seconds=10)
"""How long a page is told the same failure before the ledger is asked again."""

PATIENCE_SECONDS = 1.0
"""How long a page waits for newer costs than it has."""

MOST_WAITING = 8
"""How many questions may wait for the one that is being answered."""

T = TypeVar("T")


def read_month(
    store: Store, config: Config, until: datetime, now: datetime, *, with_previous: bool = False
) -> LedgerMonth:
    """Read the month of `until` from the ledger and work out what it costs, and the one before it if that is wanted."""
    previous = read_month(store, config, month_start(until) - ONE_SECOND, now) if with_previous else None
    ledger_state = store.load(until)
    days = days_of_costs(store, config, ledger_state, until)
    earlier = earlier_days(store, ledger_state.databases.values(), month_start(until).date(), until.date())
    return ledger_month(ledger_state, config, days, until, now, previous, earlier)


def earlier_days(
    store: Store, states: Iterable[DatabaseState], from_day: date, to_day: date
) -> Collection[tuple[int, date]]:
    """Read which of these days, by (database key, day), are there though they are before their ledgers begin."""
    last = min(to_day, max((state.begins_on for state in states), default=from_day) - ONE_DAY)
    if last < from_day:
        return ()
    return frozenset((row.database_key, row.day) for row in store.days(from_day=from_day, to_day=last))


def days_of_costs(store: Store, config: Config, ledger_state: LedgerState, until: datetime) -> tuple[WorkspaceDay, ...]:
    """Read the days that the costs of the month of `until` are made from; where a plan began to charge, by database."""
    days = store.workspace_days((until - HISTORY).date())
    since = upgrades(config, ledger_state, until)
    if not since:
        return days
    parts: dict[tuple[int, date], dict[int, tuple[int, int]]] = defaultdict(dict)
    for row in store.days(from_day=month_start(until).date(), to_day=max(since.values()).date() - ONE_DAY):
        if row.workspace_key in since and row.unchanged_since_at is not None:
            part = (row.operations, row.storage_byte_seconds)
            parts[row.workspace_key, row.day][row.database_key] = part
    return tuple(
        replace(day, parts=own) if (own := parts.get((day.workspace_key, day.day))) is not None else day for day in days
    )


def _this_month(store: Store, config: Config, now: datetime, shown: LedgerMonth | None) -> LedgerMonth:
    """Return the month that is shown, or where there is none yet that of `now`, beside the one before."""
    if shown is None:
        return read_month(store, config, now, now, with_previous=True)
    return replace(shown, previous=read_month(store, config, month_start(shown.until) - ONE_SECOND, now))


class LedgerReader:
    """Answers one question at a time in a thread of its own, each with a connection that can only read.

    A page's costs have a thread beside it, so that they wait for no question, and are made once for all who ask.
    `config` gives the configuration in use and `clock` aware UTC instants. `shown` gives the month that the costs
    were made from that are shown, if there is one: so all of a page is of one instant.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        clock: Callable[[], datetime],
        *,
        shown: Callable[[], LedgerMonth | None] = lambda: None,
        patience_seconds: float = PATIENCE_SECONDS,
        on_failure: Callable[[StoreError], None] = lambda error: None,
    ) -> None:
        """`on_failure` is called with the reason when the store could not be read."""
        self._config = config
        self._clock = clock
        self._shown = shown
        self._thread = StartedThreads(1, "ledger-reader")
        self._waiting = 0
        self._patience_seconds = patience_seconds
        self._on_failure = on_failure
        self._costs_thread = StartedThreads(1, "ledger-costs")
        self._costs_reading: asyncio.Task[None] | None = None
        self._kept: tuple[Config, MonthCosts] | None = None
        self._failed: tuple[datetime, str] | None = None

    def now(self) -> datetime:
        """The clock's instant, in whole seconds."""
        return self._clock().replace(microsecond=0)

    async def month(self, until: datetime) -> LedgerMonth:
        """Return the month of `until`.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        config, now = self._config(), self.now()
        return await self._ask(lambda store: read_month(store, config, until, now, with_previous=True))

    async def this_month(self) -> LedgerMonth:
        """Return this month as far as its costs are shown, and the one before it.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        config, now, shown = self._config(), self.now(), self._shown()
        return await self._ask(lambda store: _this_month(store, config, now, shown))

    async def costs(self) -> MonthCosts | str | None:
        """Return what this month costs as it is shown, or what is known of it soon.

        That is the last costs that were made, which say of when they are; where there are none, why the ledger cannot
        be read, or `None` while it is.
        """
        config, shown, loop = self._config(), self._shown(), asyncio.get_running_loop()
        ends_at = loop.time() + self._patience_seconds
        # Those that are being made for another may be of an earlier instant.
        while not self._is_answered(config, self.now(), shown):
            if self._costs_reading is None:
                self._costs_reading = asyncio.create_task(self._read_costs(config, self.now(), shown))
            done, _ = await asyncio.wait({self._costs_reading}, timeout=max(0.0, ends_at - loop.time()))
            if not done:
                break
            for task in done:
                task.result()
        failure = self._failed[1] if self._failed is not None else None
        if self._kept is None:
            return failure
        costs = self._kept[1]
        if failure is None:
            return costs
        return replace(costs, notes=(f"The ledger cannot be read now: {failure}", *costs.notes))

    async def unknown(self, chosen: Chosen) -> tuple[str, ...]:
        """Return what is chosen and in no row of the ledger.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        now = self.now()

        def read(store: Store) -> tuple[str, ...]:
            rows = [known.database for known in store.databases()]
            return chosen.unknown(
                store.load(now).workspaces, ((row.workspace_id, row.project_id, row.id) for row in rows)
            )

        return await self._ask(read)

    async def days(
        self, from_day: date, to_day: date, by: By, chosen: Chosen, *, most_rows: int
    ) -> tuple[list[UsageRow], date | None]:
        """Return the usage of these days, both included, and the day to go on from.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        now, span = self.now(), (from_day, to_day)

        def read(store: Store) -> tuple[list[UsageRow], date | None]:
            # A service writes meanwhile: whose databases these are is read after them.
            databases = tuple(store.databases())
            days: Iterable[DayUsage]
            if chosen.project_id is not None and chosen.database_id is None:
                # Each looked up by itself, as those of all others lie between.
                databases = tuple(known for known in databases if known.database.project_id == chosen.project_id)
                days = sorted((day for known in databases for day in store.days(known.database.id, *span)), key=_day)
            else:
                days = store.days(chosen.database_id, *span)
            owners = Owners.of(databases, store.load(now), store.discovery_gaps(day_start(from_day)))
            return usage_by_day(days, owners, by, chosen, span, most_rows=most_rows, now=now)

        return await self._ask(read)

    async def outlook(self, chosen: Chosen) -> Outlook:
        """Return what the month of databases of one workspace is expected to come to, as the one shown knows them.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        now, shown = self.now(), self._shown()

        def read(store: Store) -> Outlook:
            ledger_state = store.load(now) if shown is None else shown.ledger_state
            held = ((state, state.database) for state in ledger_state.databases.values())
            states = [state for state, row in held if chosen.has(row.workspace_id, row.project_id, row.id)]
            since = (now - HISTORY).date()
            rows = (row for state in states for row in store.days(state.database.id, since, now.date()))
            return outlook_of_part(states, rows, now)

        return await self._ask(read)

    async def newest(self, chosen: Chosen, from_day: date, *, most: int) -> Happened:
        """Return the newest revisions of days from `from_day` on and the newest events of what is chosen.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        return await self._ask(
            lambda store: store.newest(
                workspace_id=chosen.workspace_id,
                project_id=chosen.project_id,
                database_id=chosen.database_id,
                from_day=from_day,
                most=most,
            )
        )

    def close(self) -> None:
        """End the threads; a question that is being answered is answered first."""
        for thread in (self._thread, self._costs_thread):
            thread.shutdown(wait=True, cancel_futures=True)

    def _is_answered(self, config: Config, now: datetime, shown: LedgerMonth | None) -> bool:
        """Whether what is known of this month's costs will do: as they are shown, or failed just now."""
        if self._failed is not None:
            return timedelta(0) <= now - self._failed[0] < FAILURE_KEPT
        if self._kept is None or self._kept[0] is not config:
            return False
        until = self._kept[1].until
        return until >= shown.until if shown is not None else _is_recent(until, now)

    async def _read_costs(self, config: Config, now: datetime, shown: LedgerMonth | None) -> None:
        def answer() -> MonthCosts:
            with closing(Store.open_to_read(config.store.url)) as store:
                return month_costs(_this_month(store, config, now, shown))

        try:
            costs = await asyncio.get_running_loop().run_in_executor(self._costs_thread, answer)
            self._kept, self._failed = (config, costs), None
        except StoreError as error:
            self._failed = self.now(), str(error)
            self._on_failure(error)
        finally:
            self._costs_reading = None

    async def _ask(self, question: Callable[[Store], T]) -> T:
        if self._waiting > MOST_WAITING:
            raise TooBusy
        url = self._config().store.url

        def answer() -> T:
            with closing(Store.open_to_read(url)) as store:
                return question(store)

        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, answer)
        except StoreError as error:
            self._on_failure(error)
            raise
        finally:
            self._waiting -= 1


def _day(usage: DayUsage) -> tuple[date, int]:
    return usage.day, usage.database_key


def _is_recent(until: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - until < COSTS_KEPT and until.date() == now.date()
