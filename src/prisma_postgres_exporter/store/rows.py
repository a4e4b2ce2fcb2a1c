"""The model's values as rows and back: instants, days and months as integers.

A row is a tuple in the order of its table's columns. Instants are cut to whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, Select

from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    DayUsage,
    Event,
    EventKind,
    KnownDatabase,
    MonthUsage,
    Revision,
    RollingUsage,
    StoredReading,
)

Value = int | str | None
Values = tuple[Value, ...]
AnyRow = Row[*tuple[Any, ...]]

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
FETCHED_ROWS = 1_000
REMEMBERED_INSTANTS = 100_000
REMEMBERED_DAYS = 4_000


class Instants(dict[int, datetime]):
    """Unix seconds to aware UTC datetimes; rows share a few instants, so each is made once and remembered."""

    def __missing__(self, unix: int) -> datetime:
        if len(self) >= REMEMBERED_INSTANTS:
            self.clear()
        made = self[unix] = instant(unix)
        return made


def unix_seconds(instant: datetime) -> int:
    """Whole seconds since 1970 of an aware datetime, rounded down."""
    return int(instant.timestamp() // 1)


def instant(unix: int) -> datetime:
    """Undo `unix_seconds`."""
    return datetime.fromtimestamp(unix, UTC)


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return day.toordinal() - EPOCH_ORDINAL


def month_number(day: date) -> int:
    """The month that `day` lies in: `year * 12 + month - 1`."""
    return day.year * 12 + day.month - 1


@lru_cache(maxsize=REMEMBERED_DAYS)
def day_of(number: int) -> date:
    """Undo `day_number`; the same day is one value, however many rows there are of it."""
    return date.fromordinal(EPOCH_ORDINAL + number)


def month_of(number: int) -> date:
    """Undo `month_number`: the month's first day."""
    year, month = divmod(number, 12)
    return date(year, month + 1, 1)


def database_row(key: int, workspace_key: int, database: Database, first_seen_at: int, counted_from: int) -> Values:
    """One row of `databases`, of a database that is there."""
    return (
        key,
        database.id,
        workspace_key,
        database.name,
        database.project_id,
        database.project_name,
        database.region,
        database.status,
        database.is_default,
        unix_seconds(database.created_at),
        first_seen_at,
        counted_from,
        None,
    )


def new_position_row(key: int, known_until: date) -> Values:
    """One row of `positions`, of a database that was never read."""
    begins_after = day_number(known_until)
    return key, begins_after, 0, 0, 0, None, None, None, None, None, None, begins_after, None, 0


def position_row(state: DatabaseState, generation: int) -> Values:
    """One row of `positions`, written as a generation of its workspace."""
    return (
        state.key,
        day_number(state.known_until),
        state.operations_total,
        state.revisions_up,
        state.revisions_down,
        state.storage_bytes,
        _unix(state.storage_at),
        _unix(state.usage_at),
        _unix(state.last_success_at),
        _unix(state.failing_since_at),
        state.failure_reason,
        day_number(state.checked_until),
        _unix(state.recheck_at),
        generation,
    )


def day_row(usage: DayUsage) -> Values:
    """One row of `days`."""
    read_at = unix_seconds(usage.read_at)
    unchanged_since_at, settled_at = usage.unchanged_since_at, usage.settled_at
    return (
        day_number(usage.day),
        usage.database_key,
        usage.workspace_key,
        usage.operations,
        usage.operations_high - usage.operations,
        usage.storage_bytes,
        usage.storage_byte_seconds,
        usage.storage_seconds,
        read_at,
        None if unchanged_since_at is None else read_at - unix_seconds(unchanged_since_at),
        None if settled_at is None else read_at - unix_seconds(settled_at),
        usage.is_counted,
    )


def month_row(usage: MonthUsage) -> Values:
    """One row of `months`."""
    return (
        month_number(usage.month),
        usage.database_key,
        usage.workspace_key,
        usage.days,
        usage.days_operations,
        str(usage.storage_byte_seconds),
        usage.storage_seconds,
        usage.operations,
        usage.difference_operations,
        _unix(usage.period_end_at),
        _unix(usage.read_at),
        usage.rechecked_difference_operations,
    )


def rolling_row(database_key: int, window_keys: Mapping[str, int], usage: RollingUsage) -> Values:
    """One row of `rolling`."""
    return (
        database_key,
        window_keys[usage.window_name],
        usage.operations,
        unix_seconds(usage.period_start_at),
        unix_seconds(usage.period_end_at),
        unix_seconds(usage.read_at),
    )


def reading_row(reading: StoredReading, window_keys: Mapping[str, int]) -> Values:
    """One row of `readings`."""
    return (
        unix_seconds(reading.read_at),
        reading.database_key,
        window_keys[reading.window_name],
        unix_seconds(reading.period_start_at),
        unix_seconds(reading.period_end_at),
        reading.operations,
        reading.storage_bytes,
    )


def revision_row(revision: Revision) -> Values:
    """One row of `revisions`."""
    return (
        day_number(revision.day),
        revision.database_key,
        unix_seconds(revision.revised_at),
        revision.operations_before,
        revision.operations_after,
    )


def event_row(event: Event) -> Values:
    """One row of `events`."""
    return (
        unix_seconds(event.at),
        event.subject,
        event.subject_id,
        event.kind.value,
        event.workspace_id,
        event.before,
        event.after,
        _unix(event.last_there_at),
    )


def fetched(connection: Connection, query: Select[*tuple[Any, ...]]) -> Iterator[AnyRow]:
    """Iterate over the answer as it comes, by the thousand: one by one takes twice as long."""
    for part in connection.execute(query, execution_options={"yield_per": FETCHED_ROWS}).partitions():
        yield from part


def read_days(rows: Iterable[AnyRow]) -> Iterator[DayUsage]:
    """Rows of `days` as values, in their order."""
    at = Instants()
    # What many rows hold is held once: there can be a month of rows for each database in memory.
    shared: dict[int, int] = {}
    for (
        day,
        database_key,
        workspace_key,
        operations,
        fallen,
        storage_bytes,
        storage_byte_seconds,
        storage_seconds,
        read_at,
        unchanged_seconds,
        settled_seconds,
        is_counted,
    ) in rows:
        yield DayUsage(
            database_key=shared.setdefault(database_key, database_key),
            day=day_of(day),
            workspace_key=workspace_key,
            operations=operations,
            operations_high=operations + fallen if fallen else operations,
            storage_bytes=storage_bytes,
            storage_byte_seconds=storage_byte_seconds,
            storage_seconds=shared.setdefault(storage_seconds, storage_seconds),
            read_at=at[read_at],
            unchanged_since_at=None if unchanged_seconds is None else at[read_at - unchanged_seconds],
            settled_at=None if settled_seconds is None else at[read_at - settled_seconds],
            is_counted=is_counted,
        )


def read_months(rows: Iterable[Sequence[Any]]) -> Iterator[MonthUsage]:
    """Rows of `months` as values, in their order."""
    at = Instants()
    for (
        month,
        database_key,
        workspace_key,
        days,
        days_operations,
        storage_byte_seconds,
        storage_seconds,
        operations,
        difference_operations,
        period_end_at,
        read_at,
        rechecked_difference_operations,
    ) in rows:
        yield MonthUsage(
            database_key=database_key,
            month=month_of(month),
            workspace_key=workspace_key,
            days=days,
            days_operations=days_operations,
            storage_byte_seconds=int(storage_byte_seconds),
            storage_seconds=storage_seconds,
            operations=operations,
            difference_operations=difference_operations,
            period_end_at=None if period_end_at is None else at[period_end_at],
            read_at=None if read_at is None else at[read_at],
            rechecked_difference_operations=rechecked_difference_operations,
        )


def read_revision(row: Sequence[Any]) -> Revision:
    """Turn a row of `revisions` into a value."""
    day, database_key, revised_at, operations_before, operations_after = row
    return Revision(
        database_key=database_key,
        day=day_of(day),
        revised_at=instant(revised_at),
        operations_before=operations_before,
        operations_after=operations_after,
    )


def read_database(row: Sequence[Any]) -> KnownDatabase:
    """Turn a row of `databases`, followed by its workspace's id, into a value."""
    (
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
        workspace_id,
    ) = row
    return KnownDatabase(
        key=key,
        workspace_key=workspace_key,
        database=Database(
            id=id_,
            name=name,
            project_id=project_id,
            project_name=project_name,
            workspace_id=workspace_id,
            region=region,
            status=status,
            is_default=is_default,
            created_at=instant(created_at),
        ),
        first_seen_at=instant(first_seen_at),
        counted_from=day_of(counted_from),
        deleted_at=None if deleted_at is None else instant(deleted_at),
    )


def read_event(row: AnyRow) -> Event:
    """Turn a row of `events` into a value."""
    at, subject, subject_id, kind, workspace_id, before, after, last_there_at = row
    return Event(
        at=instant(at),
        kind=EventKind(kind),
        subject=subject,
        subject_id=subject_id,
        workspace_id=workspace_id,
        before=before,
        after=after,
        last_there_at=None if last_there_at is None else instant(last_there_at),
    )


def _unix(instant: datetime | None) -> int | None:
    return None if instant is None else unix_seconds(instant)
