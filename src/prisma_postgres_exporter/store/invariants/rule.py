"""What a rule is, and what its texts and conditions have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, ColumnElement, FromClause, Integer, Table, and_, bindparam

from prisma_postgres_exporter.store.tables import (
    cost_configuration,
    databases,
    days,
    events,
    months,
    plans,
    positions,
    readings,
    revisions,
    rolling,
    store_state,
    windows,
    workspaces,
)

DAY_SECONDS = 86_400
CLOCK_TOLERANCE = timedelta(minutes=5)
"""Clocks, ours and the vendor's, may disagree by so much."""

NOW = bindparam("now", type_=BigInteger)
TODAY = bindparam("today", type_=Integer)
THIS_MONTH = bindparam("this_month", type_=Integer)
"""The time of the check, `CLOCK_TOLERANCE` later: unix seconds, the day's and the month's number."""

RESTORE = "`store repair` shows how it can be set right; if it is so in a fresh store, report it with this line"
READ_AGAIN = "`store repair`, or read the day again: `backfill --from DAY --to DAY --database ID`"
REMOVE = "`store repair` removes the row: nothing else refers to it"
WAIT = "set the clock right, then `store repair`: readings are passed over until that time has come"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """One rule. `broken` is true of a row of `table` that breaks it, and `shows` are the columns to print then.

    Where `broken` is `None` the rule is about several rows together, and `auditing` compares them.
    """

    name: str
    table: Table
    must_hold: str
    reason: str
    advice: str
    broken: ColumnElement[bool] | None = None
    shows: tuple[ColumnElement[object], ...] = ()


SOURCES: dict[Table, FromClause] = {
    store_state: store_state,
    cost_configuration: cost_configuration,
    workspaces: workspaces,
    plans: plans.outerjoin(workspaces, workspaces.c.key == plans.c.workspace_key),
    databases: databases.outerjoin(positions, positions.c.database_key == databases.c.key).outerjoin(
        workspaces, workspaces.c.key == databases.c.workspace_key
    ),
    positions: positions.outerjoin(databases, databases.c.key == positions.c.database_key),
    days: days.outerjoin(databases, databases.c.key == days.c.database_key)
    .outerjoin(positions, positions.c.database_key == days.c.database_key)
    .outerjoin(workspaces, workspaces.c.key == days.c.workspace_key),
    months: months.outerjoin(databases, databases.c.key == months.c.database_key).outerjoin(
        workspaces, workspaces.c.key == months.c.workspace_key
    ),
    rolling: rolling.outerjoin(databases, databases.c.key == rolling.c.database_key).outerjoin(
        windows, windows.c.key == rolling.c.window_key
    ),
    readings: readings.outerjoin(databases, databases.c.key == readings.c.database_key).outerjoin(
        windows, windows.c.key == readings.c.window_key
    ),
    revisions: revisions.outerjoin(databases, databases.c.key == revisions.c.database_key).outerjoin(
        days, and_(days.c.day == revisions.c.day, days.c.database_key == revisions.c.database_key)
    ),
    events: events,
}
"""Each table with the rows that its rows refer to."""
