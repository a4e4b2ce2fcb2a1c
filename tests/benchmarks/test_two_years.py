"""A store that was kept for two years: start, cycle, month report and prune, beside the plain driver's reading."""

from __future__ import annotations

import os
import resource
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.model import (
    Database,
    DayUsage,
    Discovered,
    MonthUsage,
    Posting,
    StoredReading,
    Window,
    WindowKind,
    Workspace,
    day_start,
)
from prisma_postgres_exporter.model import UsageReading as Reading
from prisma_postgres_exporter.store import Store

pytestmark = pytest.mark.benchmark

DATABASES = int(os.environ.get("DATABASES", "10000"))
DAYS = int(os.environ.get("DAYS", "730"))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
T = TypeVar("T")


def test_a_store_of_two_years(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store.open(f"sqlite:///{path}")
    _timed("filling it", lambda: _fill(store))
    store.close()
    print(f"  {path.stat().st_size / 2**20:,.0f} MiB, {path.stat().st_size / (DATABASES * DAYS):.0f} bytes a day kept")

    store, _ = _timed("opening it", lambda: Store.open(f"sqlite:///{path}"))
    book, loading = _timed("start: reading the book back", lambda: store.load(NOW))
    assert len(book.positions) == DATABASES

    readings = [reading_of(id_, NOW) for id_ in book.positions]
    posting, _ = _timed(
        "cycle: posting a reading of each", lambda: ledger.post(book, readings, settle_after=timedelta(hours=6))
    )
    _timed("cycle: storing it", lambda: store.record(posting, at=NOW, generation=book.generation))

    rows, _ = _timed("month report: every database's month", lambda: len(list(store.months(date(2026, 10, 1)))))
    assert rows == DATABASES
    days, _ = _timed(
        "month report: every day of it",
        lambda: sum(1 for _ in store.days(from_day=date(2026, 10, 1), to_day=date(2026, 10, 31))),
    )
    assert days == DATABASES * 31
    of_one, _ = _timed("two years of one database", lambda: sum(1 for _ in store.days("db_7")))
    assert of_one >= DAYS
    _timed("prune: the raw readings", lambda: store.prune(NOW - timedelta(hours=1)))
    store.close()

    with sqlite3.connect(path) as connection:
        _, plain = _timed("the driver alone reading the newest days", lambda: _plain(connection))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  start is {loading / plain:.1f} x that; peak of all this {peak:.0f} MiB")


def _timed(what: str, do: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    result = do()
    seconds = time.perf_counter() - begun
    print(f"  {what:<45} {seconds * 1_000:>10,.0f} ms", flush=True)
    return result, seconds


def _plain(connection: sqlite3.Connection) -> int:
    newest = NOW.date().toordinal() - date(1970, 1, 1).toordinal()
    return len(connection.execute("SELECT * FROM days WHERE day >= ?", (newest - 1,)).fetchall())


def _fill(store: Store) -> int:
    generation = store.record_discovery(
        Discovered(
            at=NOW - DAYS * ONE_DAY,
            workspaces=tuple(Workspace(id=f"wksp_{i}", name=f"workspace {i}") for i in range(DATABASES // 1_000 + 1)),
            databases=tuple(database_of(i) for i in range(DATABASES)),
        ),
        generation=0,
    )
    book = store.load(NOW - DAYS * ONE_DAY)
    keys = [position.key for position in book.positions.values()]
    today = NOW.date()
    for back in range(DAYS - 1, 1, -1):
        day = today - back * ONE_DAY
        rows = tuple(_day(key, day, is_settled=True) for key in keys)
        months = tuple(month_of(key, day) for key in keys) if day.day == 1 else ()
        generation = store.record(
            Posting(other_days=rows, other_months=months), at=day_start(day), generation=generation
        )
    before = tuple(store.load(NOW).positions.values())
    after = tuple(
        replace(
            position,
            known_until=today,
            checked_until=today - ONE_DAY,
            last_success_at=NOW - timedelta(minutes=5),
            recent_days=tuple(_day(position.key, today - back * ONE_DAY, is_settled=False) for back in (1, 0)),
        )
        for position in before
    )
    stored = tuple(
        StoredReading(
            database_key=key,
            read_at=NOW - timedelta(hours=2),
            window_name="day",
            period_start_at=day_start(today),
            period_end_at=NOW,
            operations=key,
            storage_bytes=2**30,
        )
        for key in keys
    )
    return store.record(Posting(before=before, positions=after, readings=stored), at=NOW, generation=generation)


def database_of(number: int) -> Database:
    return Database(
        id=f"db_{number}",
        name=f"database {number}",
        project_id=f"proj_{number // 10}",
        project_name=f"project {number // 10}",
        workspace_id=f"wksp_{number // 1_000}",
        region="eu-west-3",
        status="ready",
        is_default=False,
        created_at=NOW - 800 * ONE_DAY,
    )


def _day(key: int, day: date, *, is_settled: bool) -> DayUsage:
    read_at = min(day_start(day) + timedelta(hours=40), NOW - timedelta(minutes=5))
    return DayUsage(
        database_key=key,
        day=day,
        workspace_key=key // 1_000 + 1,
        operations=key * 31 + day.day,
        operations_high=key * 31 + day.day,
        storage_bytes=2**30 + key,
        storage_byte_seconds=(2**30 + key) * 86_400,
        storage_seconds=86_400,
        read_at=read_at,
        unchanged_since_at=read_at - timedelta(hours=7) if is_settled else None,
        settled_at=read_at if is_settled else None,
        is_counted=True,
    )


def month_of(key: int, day: date) -> MonthUsage:
    return MonthUsage(
        database_key=key, month=day.replace(day=1), workspace_key=key // 1_000 + 1, days=30, operations=key
    )


def reading_of(database_id: str, now: datetime) -> Reading:
    starts_at = day_start(now.date())
    return Reading(
        database_id=database_id,
        window=Window(kind=WindowKind.DAY, name="day", start_at=starts_at, end_at=now),
        period_start_at=starts_at,
        period_end_at=now,
        operations=123_456_789,
        storage_bytes=2**30,
        generated_at=now,
        read_at=now,
    )
