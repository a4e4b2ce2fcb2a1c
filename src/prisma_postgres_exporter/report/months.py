"""A month of the ledger with what it costs: what every report begins with."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.config import PROGRAM, Config
from prisma_postgres_exporter.cost import (
    By,
    CostRow,
    Costs,
    Saving,
    charge,
    cost_rows,
    savings,
)
from prisma_postgres_exporter.ledger.backfill import unread_days
from prisma_postgres_exporter.model import (
    SHORT_GAP,
    DatabaseState,
    DiscoveryGap,
    LedgerState,
    WorkspaceDay,
    WorkspaceState,
    month_start,
    next_month_start,
)
from prisma_postgres_exporter.words import counted

ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Days (UTC) that were not read and can be, how many requests it takes to read them, how fast, and with what.

    The first and the last one are missing, of one database or another that answers: so `backfill` of that span needs as
    many, and those of databases that fail.
    """

    first_day: date
    last_day: date
    requests: int
    requests_per_second: float
    program: str = PROGRAM
    flags: str = ""

    @property
    def command(self) -> str:
        """The command that reads them, to be pasted, and how long that takes."""
        flags = f"--from {self.first_day} --to {self.last_day} {self.flags}".rstrip()
        return f"{self.program} backfill {flags} ({self._effort})"

    @property
    def being_read(self) -> str:
        """The same of a service, which reads the days of a running month by itself."""
        days = f"{self.first_day}" if self.first_day == self.last_day else f"{self.first_day} to {self.last_day}"
        return f"This service is reading what is missing of {days} ({self._effort})."

    @property
    def _effort(self) -> str:
        minutes = self.requests / self.requests_per_second / 60
        takes = "under a minute" if minutes < 1 else f"{math.ceil(minutes)} min"
        return f"{counted(self.requests, 'request')}, {takes}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerMonth:
    """One calendar month (UTC) as the ledger has it.

    `until` is how far it goes: now in the month that runs, else the month's last second. `ledger_state` is the one of
    that instant, `days` the workspaces' days that forecasts are made from, the month's own included. `previous` is the
    month before, where it was read too. Days after `due_until` are over since too short to be missed. `earlier` are the
    (database key, day) of it that were read of days before their ledgers begin.
    """

    until: datetime
    is_over: bool
    ledger_state: LedgerState
    days: Sequence[WorkspaceDay]
    config: Config
    costs: Costs
    due_until: date
    earlier: Collection[tuple[int, date]] = ()
    previous: LedgerMonth | None = None

    @property
    def month(self) -> date:
        """Its first day."""
        return month_start(self.until).date()

    @property
    def name(self) -> str:
        """As people write it: `2026-10`."""
        return f"{self.until:%Y-%m}"

    @property
    def ends_at(self) -> datetime:
        """The exclusive end of what is known of it."""
        return next_month_start(self.until) if self.is_over else self.until

    @property
    def last_read_at(self) -> datetime | None:
        """Until when the database was read that was read last; `None` where none is there, or none was read."""
        there = (state for state in self.ledger_state.databases.values() if state.deleted_at is None)
        return max((state.usage_at for state in there if state.usage_at is not None), default=None)

    @property
    def missing(self) -> Missing | None:
        """The days that the ledger lacks, of the databases that answer."""
        own = {row.key for row in self.ledger_state.workspaces.values()}
        days = [day for state in self.ledger_state.databases.values() for day in self.unread_days(state, own)]
        if not days:
            return None
        return Missing(
            first_day=min(days),
            last_day=max(days),
            requests=len(days),
            requests_per_second=self.config.poll.requests_per_second,
            program=self.config.sources.program,
            flags=self.config.sources.flags,
        )

    def unread_days(self, state: DatabaseState, workspace_keys: Collection[int]) -> Iterator[date]:
        """The days of it that can be read now of a database: those that the sums of these workspaces lack.

        Of one that fails or is refused nothing is promised before it answers again.
        """
        return iter(()) if state.failing_since_at is not None else self.lacking_days(state, workspace_keys)

    def lacking_days(self, state: DatabaseState, workspace_keys: Collection[int]) -> Iterator[date]:
        """The same whether it answers now or not.

        Nobody can ask for what was deleted, or is of a workspace without a credential.
        """
        if state.deleted_at is not None or self.ledger_state.is_gone(state):
            return iter(())
        last = min(self.until.date(), self.due_until)
        unread = unread_days(state, self.month, last, self.earlier)
        return (day for day in unread if not state.holders_on(day).isdisjoint(workspace_keys))

    @property
    def not_followed(self) -> tuple[WorkspaceState, ...]:
        """The workspaces that were gone before the month, by name: nothing of it is known of them."""
        gone = [row for row in self.ledger_state.workspaces.values() if row.was_gone_at(month_start(self.until))]
        return tuple(sorted(gone, key=lambda row: (row.workspace.name, row.workspace.id)))

    @property
    def followed_late(self) -> tuple[WorkspaceState, ...]:
        """The workspaces that were first followed after it began, by name: what was deleted before is in no list."""
        late = [row for row in self.ledger_state.workspaces.values() if row.was_followed_late(month_start(self.until))]
        return tuple(sorted(late, key=lambda row: (row.workspace.name, row.workspace.id)))

    @property
    def discovery_gaps(self) -> tuple[tuple[WorkspaceState, DiscoveryGap], ...]:
        """When nobody looked for databases, too long to call the month whole: by the workspaces' names, oldest first.

        A workspace that was gone before is in `not_followed`, and says nothing here.
        """
        starts_at = month_start(self.until)
        there = (row for row in self.ledger_state.workspaces.values() if not row.was_gone_at(starts_at))
        by_name = sorted(there, key=lambda row: (row.workspace.name, row.workspace.id))
        return tuple((row, gap) for row in by_name for gap in row.gaps_in(starts_at, self.until))

    @property
    def workspace_count(self) -> int:
        """How many workspaces it has."""
        return len(self.ledger_state.workspaces) - len(self.not_followed)

    @property
    def savings(self) -> Mapping[str, Saving]:
        """What other plans would have saved in it where it is over, else in the month before, by workspace id.

        Of the workspaces that are there still.
        """
        before = self if self.is_over else self.previous
        if before is None:
            return {}
        rows = self.rows(By.WORKSPACE)
        plans = {row.workspace_id: row.cost.plan for row in rows if row.cost and row.cost.plan and not row.is_deleted}
        return savings((before.ledger_state, before.config, before.costs, before.days, before.until), plans)

    def of_workspaces(self, ids: Collection[str]) -> LedgerMonth:
        """The same of these workspaces alone, as far as they are there; budgets are of all, and left out."""
        ledger_state, costs = self.ledger_state.part(ids), self.costs
        keys = {row.key for row in ledger_state.workspaces.values()}
        return replace(
            self,
            ledger_state=ledger_state,
            days=[day for day in self.days if day.workspace_key in keys],
            costs=Costs(
                workspaces={id_: cost for id_, cost in costs.workspaces.items() if id_ in ids},
                used={id_: used for id_, used in costs.used.items() if id_ in ids},
                shares={place: bill for place, bill in costs.shares.items() if place[0] in ids},
                expected={place: usd for place, usd in costs.expected.items() if place[0] in ids},
                worked_out_at=costs.worked_out_at,
            ),
            previous=None if self.previous is None else self.previous.of_workspaces(ids),
        )

    def rows(self, by: By) -> tuple[CostRow, ...]:
        """What each workspace, project or database used and cost, the most expensive first."""
        return cost_rows(self.ledger_state, self.costs, by, self.until)


def due_until(now: datetime) -> date:
    """The last day that should have been read at `now`, as it is over for a while."""
    return (now - SHORT_GAP).date() - ONE_DAY


def last_instant(starts_at: datetime, now: datetime) -> datetime:
    """How far the ledger can go at `now` in the month that begins at `starts_at`; both UTC."""
    return min(now, next_month_start(starts_at) - ONE_SECOND)


def ledger_month(
    ledger_state: LedgerState,
    config: Config,
    days: Sequence[WorkspaceDay],
    until: datetime,
    now: datetime,
    previous: LedgerMonth | None = None,
    earlier: Collection[tuple[int, date]] = (),
    *,
    is_supposed: bool = False,
) -> LedgerMonth:
    """Work out the month of `until`; `ledger_state` is what `Store.load(until)` gave.

    `earlier` are the (database key, day) of it that were read of days before their ledgers begin. `is_supposed`: it is
    of another plan or usage than the real one.
    """
    is_over = month_start(until) < month_start(now)
    return LedgerMonth(
        until=until,
        is_over=is_over,
        ledger_state=ledger_state,
        days=days,
        config=config,
        costs=charge(ledger_state, config, days, until, is_over=is_over, is_supposed=is_supposed),
        due_until=due_until(now),
        earlier=earlier,
        previous=previous,
    )
