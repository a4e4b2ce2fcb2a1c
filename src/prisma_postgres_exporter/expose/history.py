"""The ledger's past days as OpenMetrics with timestamps, for `promtool tsdb create-blocks-from openmetrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from prisma_postgres_exporter.expose.lines import escaped
from prisma_postgres_exporter.model import Database, DayUsage, day_start

ONE_DAY = timedelta(days=1)
_OPERATIONS = "prisma_postgres_database_operations"
_PREVIOUS_DAY = "prisma_postgres_database_previous_day_operations"
_STORAGE = "prisma_postgres_database_storage_bytes"

DaysOf = Callable[[Database], Iterable[DayUsage]]
"""Gives the days of one database, oldest first; asked once for each family."""


def write_history(databases: Sequence[Database], days_of: DaysOf, *, step: timedelta) -> Iterator[str]:
    """Yield the file in parts: three families, each database's days in order, one sample every `step`.

    The names and labels are those of the running exporter. Nothing is invented between two days: the counter
    begins at 0 on the first day and takes a day's operations when the day has ended; the day before
    is shown during the day after; storage is the level a day ended with, during that day. A day that is missing has
    no samples. The counter begins anew, so `increase()` over it and the live one is right.
    """
    yield from _family(_OPERATIONS, "counter", "Operations, from the days of the ledger.")
    for database in databases:
        yield from _counter(database, days_of(database), step)
    yield from _family(_PREVIOUS_DAY, "gauge", "Operations of the day before (UTC).")
    for database in databases:
        yield from _gauge(_PREVIOUS_DAY, database, days_of(database), step, _day_after)
    yield from _family(_STORAGE, "gauge", "Storage of the database.")
    for database in databases:
        yield from _gauge(_STORAGE, database, days_of(database), step, _level)
    yield "# EOF\n"


def _family(name: str, kind: str, help_text: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n"


def _counter(database: Database, days: Iterable[DayUsage], step: timedelta) -> Iterator[str]:
    name = f"{_OPERATIONS}_total{_labels(database)}"
    total = 0
    last_ends_at = None
    for row in days:
        starts_at = day_start(row.day)
        yield from _samples(name, total, starts_at, starts_at + ONE_DAY, step)
        total += row.operations
        last_ends_at = starts_at + ONE_DAY
    if last_ends_at is not None:
        yield from _samples(name, total, last_ends_at, last_ends_at + step, step)


def _gauge(
    name: str,
    database: Database,
    days: Iterable[DayUsage],
    step: timedelta,
    show: Callable[[DayUsage], tuple[int, datetime]],
) -> Iterator[str]:
    name += _labels(database)
    for row in days:
        value, starts_at = show(row)
        yield from _samples(name, value, starts_at, starts_at + ONE_DAY, step)


def _day_after(row: DayUsage) -> tuple[int, datetime]:
    return row.operations, day_start(row.day) + ONE_DAY


def _level(row: DayUsage) -> tuple[int, datetime]:
    return row.storage_bytes, day_start(row.day)


def _samples(name: str, value: int, starts_at: datetime, ends_at: datetime, step: timedelta) -> Iterator[str]:
    lines = []
    at = starts_at
    while at < ends_at:
        lines.append(f"{name} {value} {int(at.timestamp())}\n")
        at += step
    yield "".join(lines)


def _labels(database: Database) -> str:
    ids = {
        "workspace_id": database.workspace_id,
        "project_id": database.project_id,
        "database_id": database.id,
    }
    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in ids.items()) + "}"
