"""What of a database is held in memory: one rule, for what is posted, what is loaded and what a new day leaves.

So a state that was held is the state that a restart loads, value by value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    MonthUsage,
    Move,
    WorkspaceState,
    previous_month_start,
)

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The rows of one database that are held: days oldest first, months by month and workspace key."""

    days: tuple[DayUsage, ...]
    months: tuple[MonthUsage, ...]


def carry(
    days: Iterable[DayUsage], months: Iterable[MonthUsage], *, moves: Sequence[Move], known_until: date, today: date
) -> Carried:
    """Choose what is held on `today` (UTC).

    Days: those that are not settled, yesterday and later ones. Months: the previous one and later ones, and
    from the month of the oldest day on that is still to be read. And the days of these months that a move leaves in
    doubt: their sums are no workspace's for sure.
    """
    yesterday = today - ONE_DAY
    days = sorted(days, key=lambda row: row.day)
    held = [row for row in days if row.settled_at is None or row.day >= yesterday]
    previous_month = (today.replace(day=1) - ONE_DAY).replace(day=1)
    oldest = min(known_until + ONE_DAY, held[0].day) if held else known_until + ONE_DAY
    floor = min(previous_month, oldest.replace(day=1))
    if moves:
        held = [
            row
            for row in days
            if row.settled_at is None
            or row.day >= yesterday
            or (row.day >= floor and any(move.leaves_in_doubt(row.day) for move in moves))
        ]
    return Carried(
        days=tuple(held),
        months=tuple(
            sorted((row for row in months if row.month >= floor), key=lambda row: (row.month, row.workspace_key))
        ),
    )


def carry_workspace(workspace: WorkspaceState, now: datetime) -> WorkspaceState:
    """Let go of what is not held any more at `now`: settled days, old months and gaps, databases of an old bill."""
    previous_month_starts_at = previous_month_start(now)
    previous_month = previous_month_starts_at.date()
    gaps = tuple(gap for gap in workspace.discovery_gaps if gap.to_at and gap.to_at > previous_month_starts_at)
    databases = {
        id_: _carry_database(state, now.date())
        for id_, state in workspace.databases.items()
        if state.deleted_at is None
        or state.deleted_at.date() >= previous_month
        or any(row.month >= previous_month for row in state.months)
    }
    return replace(workspace, discovery_gaps=gaps, databases=databases)


def _carry_database(state: DatabaseState, today: date) -> DatabaseState:
    carried = carry(state.recent_days, state.months, moves=state.moves, known_until=state.known_until, today=today)
    if (carried.days, carried.months) == (state.recent_days, state.months):
        return state
    return replace(state, recent_days=carried.days, months=carried.months)
