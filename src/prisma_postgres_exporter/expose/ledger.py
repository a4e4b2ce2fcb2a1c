"""What pages and the JSON API ask of the ledger."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

from prisma_postgres_exporter.cost import By, Outlook
from prisma_postgres_exporter.model import Happened
from prisma_postgres_exporter.report import Chosen, LedgerMonth, MonthCosts, UsageRow


class Ledger(Protocol):
    """Answers from the store, each in a moment of its own; raises `TooBusy`, and `StoreError` where it cannot read."""

    def now(self) -> datetime:
        """Now, UTC, in whole seconds."""

    async def month(self, until: datetime) -> LedgerMonth:
        """The month of `until`, up to then."""

    async def this_month(self) -> LedgerMonth:
        """This month as far as its costs are shown, and the one before it."""

    async def costs(self) -> MonthCosts | str | None:
        """What this month costs as it is shown, or why it is not known; `None` while it is read. Waits for no store."""

    async def unknown(self, chosen: Chosen) -> tuple[str, ...]:
        """What is chosen and in no row of the ledger, as `workspace 'wksp_1'`."""

    async def days(
        self, from_day: date, to_day: date, by: By, chosen: Chosen, *, most_rows: int
    ) -> tuple[list[UsageRow], date | None]:
        """The usage of these days, both included, and the day to go on from."""

    async def outlook(self, chosen: Chosen) -> Outlook:
        """What the month of databases of one workspace is expected to come to."""

    async def newest(self, chosen: Chosen, from_day: date, *, most: int) -> Happened:
        """The newest revisions of days from `from_day` on and the newest events of what is chosen."""
