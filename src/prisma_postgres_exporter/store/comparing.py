"""Compare rows with the sums and counts that others hold of them, a month of days at a time."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import pairwise

from sqlalchemy import ColumnElement, Connection, Select, case, func, select

from prisma_postgres_exporter.model import ledger_begins_on
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.invariants import (
    BEGUN,
    COUNTER_IS_ITS_DAYS,
    MONTH_IS_ITS_DAYS,
    NO_DAY_MISSING,
    REVISIONS_ARE_KEPT,
    Invariant,
)
from prisma_postgres_exporter.store.tables import databases, days, months, positions, revisions
from prisma_postgres_exporter.store.violations import Violation, shown, shown_month

HALF = 2**30
"""Sums are taken of what is above and below it, as SQLite's own numbers are too short for a sum of long ones."""

REAL_DAYS = date(1970, 1, 1), date.max
"""Days beyond them break a rule of their own."""


@dataclass(frozen=True, slots=True)
class _Followed:
    """What the ledger of one database must hold; days are numbers."""

    id: str
    begins_on: int
    earliest_on: int
    seen_month: int
    known_until: int
    operations_total: int
    revisions_up: int
    revisions_down: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """The days of one month of one database in one workspace, counted and summed."""

    days: int = 0
    days_operations: int = 0
    storage_byte_seconds: int = 0
    storage_seconds: int = 0


def compare(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield every database and month whose rows do not add up to what is held of them."""
    followed = _followed(connection)
    for row in followed.values():
        if row.known_until < row.earliest_on - 1:
            known_until, earliest_on = shown("day", row.known_until), shown("day", row.earliest_on)
            found = f"known_until = {known_until}, its ledger begins on {earliest_on} at the earliest"
            yield _violation(BEGUN, row.id, found)
    counted: Counter[int] = Counter()
    for month in _months(connection, followed, now.date()):
        yield from _compare_month(connection, followed, month, counted)
    for key, row in followed.items():
        if row.operations_total != counted[key]:
            found = f"operations_total = {row.operations_total}, its counted days add up to {counted[key]}"
            yield _violation(COUNTER_IS_ITS_DAYS, row.id, found)
    yield from _compare_revisions(connection, followed)


def ledger_beginning(created_at: int, first_seen_at: int, counted_from: int) -> int:
    """Return the day with which a ledger begins by what is said of the database now, as rows have it.

    The vendor may correct a creation to a later one: if the month of the first sight has earlier days, they are
    the beginning.
    """
    first_day = ledger_begins_on(rows.instant(created_at), rows.instant(first_seen_at), rows.day_of(counted_from))
    return rows.day_number(first_day)


def _violation(
    invariant: Invariant, database_id: str, found: str, *, period: str | None = None, workspace: str = ""
) -> Violation:
    return Violation.of(
        invariant,
        row=f"database {database_id}{f', {period}' if period else ''}{workspace}",
        database_id=database_id,
        period=period,
        found=found,
    )


def _followed(connection: Connection) -> Mapping[int, _Followed]:
    columns = databases.c
    query = select(
        columns.key,
        columns.id,
        columns.created_at,
        columns.first_seen_at,
        columns.counted_from,
        positions.c.known_until,
        positions.c.operations_total,
        positions.c.revisions_up,
        positions.c.revisions_down,
    ).join(positions, positions.c.database_key == columns.key)
    return {
        key: _Followed(
            id_,
            ledger_beginning(created_at, first_seen_at, counted_from),
            min(counted_from, rows.day_number(rows.instant(first_seen_at).date().replace(day=1))),
            rows.month_number(rows.instant(first_seen_at).date()),
            *rest,
        )
        for key, id_, created_at, first_seen_at, counted_from, *rest in rows.fetched(connection, query)
    }


def _months(connection: Connection, followed: Mapping[int, _Followed], today: date) -> Iterator[date]:
    """The first days of all months that have rows, or should have."""
    first_month, last_month = map(rows.month_number, REAL_DAYS)
    held = select(months.c.month).where(months.c.month >= first_month, months.c.month <= last_month).distinct()
    found = set(connection.execute(held).scalars())
    begins, ends = map(rows.day_number, REAL_DAYS)
    # One look into the index for each month: to ask for all distinct ones would read every row.
    next_day = select(func.min(days.c.day)).where(days.c.day <= ends)
    while (day := connection.execute(next_day.where(days.c.day >= begins)).scalar_one()) is not None:
        month = rows.day_of(day)
        found.add(rows.month_number(month))
        begins = rows.day_number(_last_day(month)) + 1
    begins_on = min((row.begins_on for row in followed.values()), default=None)
    if begins_on is not None:
        known_until = min(max(row.known_until for row in followed.values()), rows.day_number(today))
        first, last = (rows.month_number(rows.day_of(number)) for number in (begins_on, known_until))
        found.update(range(first, last + 1))
    return (rows.month_of(number) for number in sorted(found))


def _compare_month(
    connection: Connection, followed: Mapping[int, _Followed], month: date, counted: Counter[int]
) -> Iterator[Violation]:
    summed: dict[int, dict[int, _Sums]] = defaultdict(dict)
    spans: dict[int, tuple[int, int]] = {}
    for key, workspace_key, first, last, counted_high, counted_low, *halves in rows.fetched(
        connection, _sums_query(month)
    ):
        counted[key] += int(counted_high) * HALF + int(counted_low)
        before = spans.get(key, (first, last))
        spans[key] = min(first, before[0]), max(last, before[1])
        number, *sums = map(int, halves)
        pairs = zip(sums[::2], sums[1::2], strict=True)
        summed[key][workspace_key] = _Sums(number, *(high * HALF + low for high, low in pairs))
    for key, row in followed.items():
        has = sum(sums.days for sums in summed.get(key, {}).values())
        yield from _missing_days(connection, key, row, month, has, spans.get(key))
    yield from _compare_sums(connection, followed, month, summed)


def _sums_query(month: date) -> Select[*tuple[object, ...]]:
    high = days.c.operations + days.c.operations_fallen
    return (
        select(
            days.c.database_key,
            days.c.workspace_key,
            func.min(days.c.day),
            func.max(days.c.day),
            *_halves(case((days.c.is_counted, high), else_=0)),
            func.count(),
            *_halves(days.c.operations),
            *_halves(days.c.storage_byte_seconds),
            *_halves(days.c.storage_seconds),
        )
        .where(days.c.day.between(rows.day_number(month), rows.day_number(_last_day(month))))
        .group_by(days.c.database_key, days.c.workspace_key)
    )


def _halves(summand: ColumnElement[int]) -> tuple[ColumnElement[int], ColumnElement[int]]:
    return func.sum(summand // HALF), func.sum(summand % HALF)


def _last_day(month: date) -> date:
    return month.replace(day=monthrange(month.year, month.month)[1])


def _missing_days(
    connection: Connection, key: int, row: _Followed, month: date, has: int, span: tuple[int, int] | None
) -> Iterator[Violation]:
    begins = row.begins_on
    if span is not None and rows.month_number(month) == row.seen_month:
        begins = min(begins, span[0])
    first = max(rows.day_number(month), begins)
    last = min(rows.day_number(_last_day(month)), row.known_until)
    if last < first or (has == last - first + 1 and span == (first, last)):
        return
    # There may be days besides: of a backfill before them, or after a gap.
    query = select(days.c.day).where(days.c.day.between(first, last), days.c.database_key == key)
    there = sorted(connection.execute(query).scalars())
    for before, after in pairwise([first - 1, *there, last + 1]):
        if after - before > 1:
            found = f"no row until {shown('day', after - 1)}, while known_until is {shown('day', row.known_until)}"
            yield _violation(NO_DAY_MISSING, row.id, found, period=shown("day", before + 1))


def _compare_sums(
    connection: Connection,
    followed: Mapping[int, _Followed],
    month: date,
    summed: Mapping[int, Mapping[int, _Sums]],
) -> Iterator[Violation]:
    columns = months.c
    query = select(columns.database_key, columns.workspace_key, *(columns[field.name] for field in fields(_Sums)))
    held: dict[tuple[int, int], _Sums] = {
        (key, workspace_key): _Sums(*map(int, values))
        for key, workspace_key, *values in rows.fetched(
            connection, query.where(columns.month == rows.month_number(month))
        )
    }
    wanted = {(key, workspace_key): sums for key, by in summed.items() for workspace_key, sums in by.items()}
    for key, workspace_key in sorted(held.keys() | wanted.keys()):
        own, of_days = held.get((key, workspace_key)), wanted.get((key, workspace_key), _Sums())
        if own == of_days:
            continue
        if own is None:
            found = f"no row, while there are {of_days.days} days of it"
        else:
            found = ", ".join(
                f"{field.name} = {getattr(own, field.name)}, over its days {getattr(of_days, field.name)}"
                for field in fields(_Sums)
                if getattr(own, field.name) != getattr(of_days, field.name)
            )
        known = followed.get(key)
        yield _violation(
            MONTH_IS_ITS_DAYS,
            known.id if known else f"with key {key}",
            found,
            period=shown_month(month),
            workspace=f", workspace key {workspace_key}",
        )


def _compare_revisions(connection: Connection, followed: Mapping[int, _Followed]) -> Iterator[Violation]:
    is_up = revisions.c.operations_after > revisions.c.operations_before
    query = select(
        revisions.c.database_key, func.sum(case((is_up, 1), else_=0)), func.sum(case((is_up, 0), else_=1))
    ).group_by(revisions.c.database_key)
    kept = {key: (int(up), int(down)) for key, up, down in rows.fetched(connection, query)}
    for key, row in followed.items():
        up, down = kept.get(key, (0, 0))
        if (up, down) != (row.revisions_up, row.revisions_down):
            found = (
                f"revisions_up = {row.revisions_up}, kept are {up};"
                f" revisions_down = {row.revisions_down}, kept are {down}"
            )
            yield _violation(REVISIONS_ARE_KEPT, row.id, found)
