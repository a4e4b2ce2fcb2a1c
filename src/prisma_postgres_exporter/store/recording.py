"""Write what a round learned: only rows that differ from those before, each replaced by primary key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection, Table, select

from prisma_postgres_exporter.model import DatabaseState, DayUsage, LedgerUpdate, MonthUsage
from prisma_postgres_exporter.store import rows, tables
from prisma_postgres_exporter.store.backend import Backend
from prisma_postgres_exporter.store.rows import Values


def write_update(connection: Connection, backend: Backend, update: LedgerUpdate, *, generation: int) -> None:
    """Write every row of `update` as a generation of its workspace; what is there already is replaced by the same."""
    window_keys = _keep_windows(connection, backend, update)
    readings = [rows.reading_row(reading, window_keys) for reading in update.readings]
    backend.make_room(connection, {reading.read_at for reading in update.readings})

    changes = list(zip(update.before, update.after, strict=True))
    for table, table_rows in (
        (tables.positions, (rows.position_row(state, generation) for state in update.after)),
        (tables.days, map(rows.day_row, _changed_days(changes, update.other_days))),
        (tables.months, map(rows.month_row, _changed_months(changes, update.other_months))),
        (tables.rolling, _changed_rolling(changes, window_keys)),
        (tables.readings, readings),
        (tables.revisions, map(rows.revision_row, update.revisions)),
    ):
        write_rows(connection, backend, table, table_rows)


def write_rows(connection: Connection, backend: Backend, table: Table, table_rows: Iterable[Values]) -> None:
    """Write rows in the order of their primary key (its columns come first), the last one of each key."""
    key_columns = len(table.primary_key)
    by_key = {row[:key_columns]: row for row in table_rows}
    if by_key:
        backend.upsert(connection, table, [by_key[key] for key in sorted(by_key)])


def has_new_windows(connection: Connection, update: LedgerUpdate) -> bool:
    """Whether a window is seen for the first time: then a key has to be given out."""
    return not _window_names(update) <= set(connection.execute(select(tables.windows.c.name)).scalars())


def _keep_windows(connection: Connection, backend: Backend, update: LedgerUpdate) -> Mapping[str, int]:
    """The keys of all windows; a name seen for the first time takes the next one."""
    known = {name: key for key, name in connection.execute(select(tables.windows))}
    new = {name: key for key, name in enumerate(sorted(_window_names(update) - set(known)), start=len(known))}
    write_rows(connection, backend, tables.windows, [(key, name) for name, key in new.items()])
    return known | new


def _window_names(update: LedgerUpdate) -> set[str]:
    named = {reading.window_name for reading in update.readings}
    return named | {usage.window_name for state in update.after for usage in state.rolling}


Changes = Sequence[tuple[DatabaseState, DatabaseState]]
"""Positions before and after."""


def _changed_days(changes: Changes, other_days: Iterable[DayUsage]) -> Iterator[DayUsage]:
    for before, after in changes:
        # By day: there can be a month of them, and a search for each would compare each with each.
        held = {usage.day: usage for usage in before.recent_days}
        for usage in after.recent_days:
            was = held.get(usage.day)
            if was is not usage and was != usage:
                yield usage
    yield from other_days


def _changed_months(changes: Changes, other_months: Iterable[MonthUsage]) -> Iterator[MonthUsage]:
    for before, after in changes:
        for usage in after.months:
            if usage not in before.months:
                yield usage
    yield from other_months


def _changed_rolling(changes: Changes, window_keys: Mapping[str, int]) -> Iterator[Values]:
    for before, after in changes:
        for usage in after.rolling:
            if usage not in before.rolling:
                yield rows.rolling_row(after.key, window_keys, usage)
