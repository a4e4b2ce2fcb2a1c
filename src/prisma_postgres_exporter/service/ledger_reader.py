"""Reads the ledger for questions that come from outside, beside the collector and without disturbing it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import TypeVar

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import HISTORY, By
from prisma_postgres_exporter.errors import TooBusy
from prisma_postgres_exporter.model import month_start
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

ONE_SECOND = timedelta(seconds=1)
COSTS_KEPT = timedelta(minutes=1)
"""How old the costs of a page may be: one that is asked for again and again reads the ledger once a minute."""

MOST_WAITING = 8
"""How many questions may wait for the one that is being answered."""

T = TypeVar("T")


def read_month(
    store: Store, config: Config, until: datetime, now: datetime, *, with_previous: bool = False
) -> LedgerMonth:
    """Read the month of `until` from the ledger and work out what it costs, and the one before it if that is wanted."""
    previous = read_month(store, config, month_start(until) - ONE_SECOND, now) if with_previous else None
    days = store.workspace_days((until - HISTORY).date())
    return ledger_month(store.load(until), config, days, until, now, previous)


class LedgerReader:
    """Answers one question at a time in a thread of its own, each with a connection that can only read.

    `config` gives the configuration in use and `clock` aware UTC instants.
    """

    def __init__(self, config: Callable[[], Config], clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-reader")
        self._waiting = 0
        self._kept: tuple[Config, MonthCosts] | None = None

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

    async def costs(self) -> MonthCosts:
        """Return what this month costs, as it was a minute ago at most.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        now, config = self.now(), self._config()
        if self._kept is not None and self._kept[0] is config and _is_recent(self._kept[1].until, now):
            return self._kept[1]
        costs = await self._ask(lambda store: month_costs(read_month(store, config, now, now, with_previous=True)))
        self._kept = config, costs
        return costs

    async def days(
        self, from_day: date, to_day: date, by: By, chosen: Chosen, *, most_rows: int
    ) -> tuple[list[UsageRow], date | None]:
        """Return the usage of these days, both included, and the day to go on from.

        Raises:
            TooBusy: too many questions wait already.
            StoreError: the ledger cannot be read now.
        """
        now = self.now()

        def read(store: Store) -> tuple[list[UsageRow], date | None]:
            # A service writes meanwhile: whose databases these are is read after them.
            databases = tuple(store.databases())
            owners = Owners.of(databases, store.load(now))
            days = store.days(chosen.database_id, from_day, to_day)
            return usage_by_day(days, owners, by, chosen, (from_day, to_day), most_rows=most_rows, now=now)

        return await self._ask(read)

    def close(self) -> None:
        """End the thread; a question that is being answered is answered first."""
        self._thread.shutdown(wait=True, cancel_futures=True)

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
        finally:
            self._waiting -= 1


def _is_recent(until: datetime, now: datetime) -> bool:
    return timedelta(0) <= now - until < COSTS_KEPT and until.date() == now.date()
