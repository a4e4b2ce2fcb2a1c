"""Read what is kept beside the book: days and months of any time, and events."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, tuple_

from prisma_postgres_exporter.model import DayUsage, Event, MonthUsage
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.tables import databases, days, events, months

STREAMED_ROWS = 5_000
LOOKED_UP_ROWS = 500


def stream_days(connection: Connection, from_day: date | None, to_day: date | None) -> Iterator[DayUsage]:
    """Days of all databases, both ends included, by day and database key."""
    query = select(days).order_by(days.c.day, days.c.database_key)
    if from_day is not None:
        query = query.where(days.c.day >= rows.day_number(from_day))
    if to_day is not None:
        query = query.where(days.c.day <= rows.day_number(to_day))
    return rows.read_days(_streamed(connection, query))


def stream_database_days(
    connection: Connection, database_id: str, from_day: date | None, to_day: date | None
) -> Iterator[DayUsage]:
    """Days of one database, both ends included, by day: each looked up, as days of all others lie between."""
    key = connection.execute(select(databases.c.key).where(databases.c.id == database_id)).scalar_one_or_none()
    first, last = connection.execute(select(func.min(days.c.day), func.max(days.c.day))).one()
    if key is None or first is None:
        return
    first = first if from_day is None else max(first, rows.day_number(from_day))
    last = last if to_day is None else min(last, rows.day_number(to_day))
    for begin in range(first, last + 1, LOOKED_UP_ROWS):
        numbers = range(begin, min(begin + LOOKED_UP_ROWS, last + 1))
        query = select(days).where(days.c.day.in_(numbers), days.c.database_key == key).order_by(days.c.day)
        yield from rows.read_days(connection.execute(query))


def stream_events(connection: Connection, from_at: datetime | None, to_at: datetime | None) -> Iterator[Event]:
    """Events, `from_at` included and `to_at` not, oldest first; of one instant workspaces come before databases."""
    query = select(events).order_by(events.c.at, events.c.subject.desc(), events.c.subject_id, events.c.kind)
    if from_at is not None:
        query = query.where(events.c.at >= rows.unix_seconds(from_at))
    if to_at is not None:
        query = query.where(events.c.at < rows.unix_seconds(to_at))
    return map(rows.read_event, _streamed(connection, query))


def look_up_days(connection: Connection, pairs: Collection[tuple[int, date]]) -> tuple[DayUsage, ...]:
    """The days that exist of these (database key, day)."""
    wanted = sorted({(rows.day_number(day), key) for key, day in pairs})
    return tuple(
        usage
        for chunk in _chunks(wanted)
        for usage in rows.read_days(
            connection.execute(
                select(days)
                .where(tuple_(days.c.day, days.c.database_key).in_(chunk))
                .order_by(days.c.day, days.c.database_key)
            )
        )
    )


def look_up_months(connection: Connection, pairs: Collection[tuple[int, date]]) -> tuple[MonthUsage, ...]:
    """The rows that exist of the months that these (database key, day) lie in, of any workspace."""
    wanted = sorted({(rows.month_number(day), key) for key, day in pairs})
    return tuple(
        usage
        for chunk in _chunks(wanted)
        for usage in rows.read_months(
            connection.execute(
                select(months)
                .where(tuple_(months.c.month, months.c.database_key).in_(chunk))
                .order_by(*months.primary_key)
            )
        )
    )


def _streamed(connection: Connection, query: Select[*tuple[Any, ...]]) -> Iterator[rows.AnyRow]:
    return iter(connection.execution_options(yield_per=STREAMED_ROWS).execute(query))


def _chunks(wanted: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    for begin in range(0, len(wanted), LOOKED_UP_ROWS):
        yield wanted[begin : begin + LOOKED_UP_ROWS]
