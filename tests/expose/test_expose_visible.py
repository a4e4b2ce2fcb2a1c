"""What a user who may see some workspaces alone is told where the ledger cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import NoReturn, cast

import pytest

from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.errors import StoreGone, StoreUnavailable
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.expose.visible import NOT_SHOWN, visible_ledger
from prisma_postgres_exporter.report import Chosen

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = NOW.date()


class Unreadable:
    """A ledger whose store is gone."""

    def now(self) -> datetime:
        return NOW

    async def month(self, until: datetime) -> NoReturn:
        raise StoreGone("the store at /srv/ledger.db is empty now")

    async def this_month(self) -> NoReturn:
        raise StoreGone("the store at /srv/ledger.db is empty now")

    async def unknown(self, chosen: Chosen) -> NoReturn:
        raise StoreGone("the store at /srv/ledger.db is empty now")

    async def days(self, from_day: date, to_day: date, by: By, chosen: Chosen, *, most_rows: int) -> NoReturn:
        raise StoreGone("the store at /srv/ledger.db is empty now")

    async def outlook(self, chosen: Chosen) -> NoReturn:
        raise StoreGone("the store at /srv/ledger.db is empty now")

    async def newest(self, chosen: Chosen, from_day: date, *, most: int) -> NoReturn:
        raise StoreGone("the store at /srv/ledger.db is empty now")


async def test_a_bound_user_is_not_told_where_the_store_is() -> None:
    ledger = visible_ledger(cast(Ledger, Unreadable()), frozenset({"wksp_1"}))

    assert await ledger.costs() == NOT_SHOWN
    for asked in (
        ledger.month(NOW),
        ledger.unknown(Chosen()),
        ledger.days(DAY, DAY, By.DATABASE, Chosen(), most_rows=1),
        ledger.outlook(Chosen()),
        ledger.newest(Chosen(), DAY, most=1),
    ):
        with pytest.raises(StoreUnavailable) as told:
            await asked
        assert (str(told.value), told.value.__suppress_context__) == (NOT_SHOWN, True)
