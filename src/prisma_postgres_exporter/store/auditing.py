"""Verify every invariant on the whole store, in one transaction, and name each row that breaks one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, String, Table, Text, func, or_, select

from prisma_postgres_exporter.store import rows, tables
from prisma_postgres_exporter.store.backend import Backend
from prisma_postgres_exporter.store.comparing import compare
from prisma_postgres_exporter.store.invariants import (
    CLOCK_TOLERANCE,
    FILE_IS_WHOLE,
    ROW_INVARIANTS,
    SOURCES,
    VALUES_OF_THEIR_KIND,
    Invariant,
)
from prisma_postgres_exporter.store.violations import Violation, shown_period, shown_row, shown_values


def audit(connection: Connection, backend: Backend, now: datetime) -> Iterator[Violation]:
    """Yield what breaks a rule, as it is found; `now` is aware and UTC.

    A damaged file, or values that are of another kind than their column, end it: nothing more can be read.
    """
    is_readable = True
    for violation in _unreadable(connection, backend):
        is_readable = False
        yield violation
    if not is_readable:
        return
    for table in tables.metadata.sorted_tables:
        yield from _broken_rows(connection, table, now)
    yield from compare(connection, now)


def _unreadable(connection: Connection, backend: Backend) -> Iterator[Violation]:
    for finding in backend.damage(connection):
        yield Violation.of(FILE_IS_WHOLE, row="the file", found=finding)
    if connection.dialect.name == "sqlite":
        for table in tables.metadata.sorted_tables:
            yield from _strangers(connection, table)


def _strangers(connection: Connection, table: Table) -> Iterator[Violation]:
    """Values of a kind that SQLite let into a column of another one."""
    flags = are_strange(connection, table)
    shown_columns = [func.quote(column) for column in table.columns]
    names = [column.name for column in table.columns]
    for row in rows.fetched(connection, select(*shown_columns, *flags).where(or_(*flags))):
        values = dict(zip(names, row[: len(names)], strict=True))
        strange = [name for name, is_strange in zip(names, row[len(names) :], strict=True) if is_strange]
        yield Violation.of(
            VALUES_OF_THEIR_KIND,
            table=table.name,
            row=", ".join(f"{column.name} {values[column.name]}" for column in table.primary_key),
            found=", ".join(f"{name} = {values[name]}" for name in strange),
        )


def are_strange(connection: Connection, table: Table) -> list[ColumnElement[bool]]:
    """Return a condition for each column: its value is of another kind."""
    return [_is_strange(connection, column) for column in table.columns]


def _is_strange(connection: Connection, column: Column[object]) -> ColumnElement[bool]:
    is_text = isinstance(column.type.dialect_impl(connection.dialect), String)
    is_other = func.typeof(column).not_in(["text" if is_text else "integer", "null"])
    if not is_text or isinstance(column.type, Text):
        return is_other
    # A number that is too long for SQLite's own, written out.
    return or_(is_other, column.op("GLOB")("*[^0-9-]*"), func.length(column) == 0)


def broken_rows(
    connection: Connection, table: Table, now: datetime, columns: Sequence[ColumnElement[Any]]
) -> Iterator[tuple[dict[object, Any], list[Invariant]]]:
    """Yield these columns of the rows that break a rule of their own, with the rules: one look for all of them."""
    invariants = [invariant for invariant in ROW_INVARIANTS if invariant.table is table]
    if not invariants:
        return
    source = SOURCES[table]
    flags = [invariant.broken for invariant in invariants if invariant.broken is not None]
    columns = [*columns, *flags]
    later = now + CLOCK_TOLERANCE
    query = (
        select(*(column.label(f"c{number}") for number, column in enumerate(columns)))
        .select_from(source)
        .where(or_(*flags))
        .params(
            now=rows.unix_seconds(later),
            today=rows.day_number(later.date()),
            this_month=rows.month_number(later.date()),
        )
    )
    for row in rows.fetched(connection, query):
        values: dict[object, Any] = dict(zip(columns, row, strict=True))
        yield values, [row for row in invariants if row.broken is not None and values[row.broken]]


def _broken_rows(connection: Connection, table: Table, now: datetime) -> Iterator[Violation]:
    database_id = tables.databases.c.id
    has_database = table in SOURCES and SOURCES[table].is_derived_from(tables.databases)
    key = list(table.primary_key)
    shows = dict.fromkeys(column for row in ROW_INVARIANTS if row.table is table for column in row.shows)
    columns = [*key, *([database_id] if has_database else []), *shows]
    for values, invariants in broken_rows(connection, table, now, columns):
        found_id = values[database_id] if has_database else None
        for invariant in invariants:
            yield Violation.of(
                invariant,
                row=shown_row(table, values, found_id),
                database_id=found_id,
                period=shown_period(table, values),
                found=shown_values((column.name, values[column]) for column in invariant.shows or key),
            )
