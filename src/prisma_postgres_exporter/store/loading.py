"""Read the book: what the plan and the picture need, and no history.

Each table is read once, in the order of its keys, and joined here: most of the time goes into
making the values.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, or_, select, union

from prisma_postgres_exporter.model import (
    Book,
    Database,
    DayUsage,
    MonthUsage,
    PlanChange,
    Position,
    RollingUsage,
    Workspace,
    WorkspacePosition,
    previous_month_start,
)
from prisma_postgres_exporter.store.rows import (
    Instants,
    day_number,
    day_of,
    fetched,
    month_number,
    read_days,
    read_months,
)
from prisma_postgres_exporter.store.tables import (
    databases,
    days,
    months,
    plans,
    positions,
    rolling,
    store_state,
    windows,
    workspaces,
)

ONE_DAY = timedelta(days=1)


def load_book(connection: Connection, now: datetime) -> Book:
    """Build the book as of `now` from one transaction's view of the store."""
    with _collector_paused():
        return _load_book(connection, now)


def _load_book(connection: Connection, now: datetime) -> Book:
    known_workspaces = _load_workspaces(connection)
    loaded = _load_positions(
        connection,
        now,
        workspace_ids={known.key: known.workspace.id for known in known_workspaces},
        days_by_key=_load_recent_days(connection, now.date()),
        months_by_key=_load_months(connection, previous_month_start(now).date()),
        rolling_by_key=_load_rolling(connection),
    )
    return Book(
        generation=connection.execute(select(store_state.c.generation)).scalar_one(),
        workspaces={known.workspace.id: known for known in known_workspaces},
        positions={position.database.id: position for position in loaded},
    )


def _load_workspaces(connection: Connection) -> list[WorkspacePosition]:
    at = Instants()
    changes = defaultdict(list)
    for key, changed_at, plan in connection.execute(select(plans).order_by(*plans.primary_key)):
        changes[key].append(PlanChange(at=at[changed_at], plan=plan))
    rows = connection.execute(select(workspaces).order_by(workspaces.c.key))
    return [
        WorkspacePosition(
            key=key,
            workspace=Workspace(id=id_, name=name, plan=plan, usage_blocked=usage_blocked),
            first_seen_at=at[first_seen_at],
            is_gone=gone_at is not None,
            plans=tuple(changes[key]),
        )
        for key, id_, name, plan, usage_blocked, first_seen_at, gone_at in rows
    ]


def _load_recent_days(connection: Connection, today: date) -> Mapping[int, Sequence[DayUsage]]:
    """Yesterday, today and what is not settled, by database, oldest first; none is found by walking the history."""
    yesterday = day_number(today - ONE_DAY)
    older = select(days).where(days.c.settled_seconds.is_(None), days.c.day < yesterday)
    newer = select(days).where(days.c.day >= yesterday)
    by_key = defaultdict(list)
    for query in (older, newer):
        for usage in read_days(fetched(connection, query.order_by(days.c.day, days.c.database_key))):
            by_key[usage.database_key].append(usage)
    return by_key


def _load_months(connection: Connection, previous_month: date) -> Mapping[int, Sequence[MonthUsage]]:
    """The previous month's rows and newer ones; all of a database with days still to be read before those."""
    late = union(
        select(positions.c.database_key).where(positions.c.known_until < day_number(previous_month) - 1),
        select(days.c.database_key).where(days.c.settled_seconds.is_(None), days.c.day < day_number(previous_month)),
    )
    previous = month_number(previous_month)
    older = select(months).where(months.c.month < previous, months.c.database_key.in_(late))
    newer = select(months).where(months.c.month >= previous)
    by_key = defaultdict(list)
    for query in (older, newer):
        for usage in read_months(fetched(connection, query.order_by(*months.primary_key))):
            by_key[usage.database_key].append(usage)
    return by_key


def _load_rolling(connection: Connection) -> Mapping[int, Sequence[RollingUsage]]:
    at = Instants()
    query = select(rolling.c.database_key, windows.c.name, *list(rolling.c)[2:]).join(
        windows, windows.c.key == rolling.c.window_key
    )
    by_key = defaultdict(list)
    for database_key, name, operations, period_start_at, period_end_at, read_at in fetched(connection, query):
        by_key[database_key].append(
            RollingUsage(
                window_name=name,
                operations=operations,
                period_start_at=at[period_start_at],
                period_end_at=at[period_end_at],
                read_at=at[read_at],
            )
        )
    # Not by the database: a server's order of text depends on its locale.
    for usages in by_key.values():
        usages.sort(key=lambda usage: usage.window_name)
    return by_key


def _load_positions(
    connection: Connection,
    now: datetime,
    *,
    workspace_ids: Mapping[int, str],
    days_by_key: Mapping[int, Sequence[DayUsage]],
    months_by_key: Mapping[int, Sequence[MonthUsage]],
    rolling_by_key: Mapping[int, Sequence[RollingUsage]],
) -> Iterator[Position]:
    """Positions by key: of every database that is there, and of the deleted ones in these two months' bills."""
    previous_month = previous_month_start(now).date()
    billed = select(months.c.database_key).where(months.c.month >= month_number(previous_month))
    query = (
        select(databases, *list(positions.c)[1:])
        .join(positions, positions.c.database_key == databases.c.key)
        .where(or_(databases.c.deleted_at.is_(None), databases.c.key.in_(billed)))
        .order_by(databases.c.key)
    )
    at = Instants()
    for (
        key,
        id_,
        workspace_key,
        name,
        project_id,
        project_name,
        region,
        status,
        is_default,
        created_at,
        first_seen_at,
        counted_from,
        deleted_at,
        known_until,
        operations_total,
        revisions_up,
        revisions_down,
        storage_bytes,
        storage_at,
        usage_at,
        last_success_at,
        failing_since_at,
        failure_reason,
        checked_until,
        recheck_at,
    ) in fetched(connection, query):
        recent_days = tuple(days_by_key.get(key, ()))
        known_until_day = day_of(known_until)
        floor = _month_floor(previous_month, known_until_day, recent_days)
        yield Position(
            key=key,
            workspace_key=workspace_key,
            database=Database(
                id=id_,
                name=name,
                project_id=project_id,
                project_name=project_name,
                workspace_id=workspace_ids[workspace_key],
                region=region,
                status=status,
                is_default=is_default,
                created_at=at[created_at],
            ),
            first_seen_at=at[first_seen_at],
            counted_from=day_of(counted_from),
            known_until=known_until_day,
            checked_until=day_of(checked_until),
            deleted_at=None if deleted_at is None else at[deleted_at],
            operations_total=operations_total,
            revisions_up=revisions_up,
            revisions_down=revisions_down,
            storage_bytes=storage_bytes,
            storage_at=None if storage_at is None else at[storage_at],
            usage_at=None if usage_at is None else at[usage_at],
            last_success_at=None if last_success_at is None else at[last_success_at],
            failing_since_at=None if failing_since_at is None else at[failing_since_at],
            failure_reason=failure_reason,
            recent_days=recent_days,
            months=tuple(month for month in months_by_key.get(key, ()) if month.month >= floor),
            rolling=tuple(rolling_by_key.get(key, ())),
            recheck_at=None if recheck_at is None else at[recheck_at],
        )


def _month_floor(previous_month: date, known_until: date, recent_days: Sequence[DayUsage]) -> date:
    """The first month that a position carries: the previous one, or that of the oldest day still to be read."""
    oldest = min(known_until + ONE_DAY, recent_days[0].day) if recent_days else known_until + ONE_DAY
    return min(previous_month, oldest.replace(day=1))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A book is many objects and no garbage: to search it while it grows would take a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
