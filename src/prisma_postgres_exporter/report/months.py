"""A month of the ledger with what it costs: what every report begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import By, CostRow, Costs, charge, cost_rows
from prisma_postgres_exporter.model import LedgerState, WorkspaceDay, month_start, next_month_start

ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMonth:
    """One calendar month (UTC) as the ledger has it.

    `until` is how far it goes: now in the month that runs, else the month's last second. `ledger_state` is the one
    of that instant, `days` the workspaces' days that forecasts are made from, the month's own included.
    """

    until: datetime
    is_over: bool
    ledger_state: LedgerState
    days: Sequence[WorkspaceDay]
    config: Config
    costs: Costs

    @property
    def month(self) -> date:
        """Its first day."""
        return month_start(self.until).date()

    @property
    def name(self) -> str:
        """As people write it: `2026-10`."""
        return f"{self.until:%Y-%m}"

    @property
    def elapsed_days(self) -> float:
        """How many days of it there were so far."""
        return (self.ends_at - month_start(self.until)) / timedelta(days=1)

    @property
    def ends_at(self) -> datetime:
        """The exclusive end of what is known of it."""
        return next_month_start(self.until) if self.is_over else self.until

    def rows(self, by: By) -> tuple[CostRow, ...]:
        """What each workspace, project or database used and cost, the most expensive first."""
        return cost_rows(self.ledger_state, self.costs, by, self.until)


def last_instant(starts_at: datetime, now: datetime) -> datetime:
    """How far the ledger can go at `now` in the month that begins at `starts_at`; both UTC."""
    return min(now, next_month_start(starts_at) - ONE_SECOND)


def ledger_month(
    ledger_state: LedgerState, config: Config, days: Sequence[WorkspaceDay], until: datetime, now: datetime
) -> LedgerMonth:
    """Work out the month of `until`; `ledger_state` is what `Store.load(until)` gave."""
    return LedgerMonth(
        until=until,
        is_over=month_start(until) < month_start(now),
        ledger_state=ledger_state,
        days=days,
        config=config,
        costs=charge(ledger_state, config, days, until),
    )
