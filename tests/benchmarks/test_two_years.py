"""A store that was kept for two years: start, rounds, month report and prune, beside the plain driver's reading."""

from __future__ import annotations

import os
import resource
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    DayUsage,
    Discovered,
    LedgerState,
    LedgerUpdate,
    MonthUsage,
    StoredReading,
    Window,
    WindowKind,
    Workspace,
    WorkspaceState,
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
    ledger_state, loading = _timed("start: reading the ledger state back", lambda: store.load(NOW))
    assert len(ledger_state.databases) == DATABASES

    updates, _ = _timed("rounds: a reading of each database", lambda: _updates(ledger_state))
    _timed("rounds: storing them", lambda: _record(store, ledger_state, updates, NOW))

    october = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
    rows, _ = _timed("month report: every database's month", lambda: len(store.load(october).databases))
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


def _updates(ledger_state: LedgerState) -> dict[str, LedgerUpdate]:
    """What a reading of each database changes, by workspace."""
    return {
        id_: ledger.post(
            workspace,
            [reading_of(database_id, NOW) for database_id in workspace.databases],
            settle_after=timedelta(hours=6),
            now=NOW,
        )
        for id_, workspace in ledger_state.workspaces.items()
    }


def _record(store: Store, ledger_state: LedgerState, updates: Mapping[str, LedgerUpdate], at: datetime) -> LedgerState:
    """Write an update of each workspace, and return the state with the new generations."""
    return ledger_state.with_workspaces(
        *(
            replace(
                workspace,
                generation=store.record(updates[id_], workspace_id=id_, generation=workspace.generation, at=at),
            )
            for id_, workspace in ledger_state.workspaces.items()
        )
    )


def _fill(store: Store) -> LedgerState:
    found = Discovered(
        at=NOW - DAYS * ONE_DAY,
        workspaces=tuple(Workspace(id=f"wksp_{i}", name=f"workspace {i}") for i in range(DATABASES // 1_000 + 1)),
        databases=tuple(database_of(i) for i in range(DATABASES)),
    )
    store.record_discovery(found, generations={})
    ledger_state = store.load(found.at)
    for back in range(DAYS - 1, 1, -1):
        day = NOW.date() - back * ONE_DAY
        updates = {id_: _settled(workspace, day) for id_, workspace in ledger_state.workspaces.items()}
        ledger_state = _record(store, ledger_state, updates, day_start(day))
    ledger_state = store.load(NOW)
    newest = {id_: _newest(workspace) for id_, workspace in ledger_state.workspaces.items()}
    return _record(store, ledger_state, newest, NOW)


def _settled(workspace: WorkspaceState, day: date) -> LedgerUpdate:
    """A day of each database that is long over; on the first, its month too."""
    states = workspace.databases.values()
    return LedgerUpdate(
        other_days=tuple(_day(state, day, is_settled=True) for state in states),
        other_months=tuple(month_of(state.key, day) for state in states) if day.day == 1 else (),
    )


def _newest(workspace: WorkspaceState) -> LedgerUpdate:
    """Yesterday and today of each database."""
    today = NOW.date()
    before = tuple(workspace.databases.values())
    after = tuple(
        replace(
            state,
            known_until=today,
            checked_until=today - ONE_DAY,
            last_success_at=NOW - timedelta(minutes=5),
            recent_days=tuple(_day(state, today - back * ONE_DAY, is_settled=False) for back in (1, 0)),
        )
        for state in before
    )
    readings = tuple(
        StoredReading(
            database_key=state.key,
            read_at=NOW - timedelta(hours=2),
            window_name="day",
            period_start_at=day_start(today),
            period_end_at=NOW,
            operations=state.key,
            storage_bytes=2**30,
        )
        for state in before
    )
    return LedgerUpdate(before=before, after=after, readings=readings)


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


def _day(state: DatabaseState, day: date, *, is_settled: bool) -> DayUsage:
    read_at = min(day_start(day) + timedelta(hours=40), NOW - timedelta(minutes=5))
    return DayUsage(
        database_key=state.key,
        day=day,
        workspace_key=state.workspace_key,
        operations=state.key * 31 + day.day,
        operations_high=state.key * 31 + day.day,
        storage_bytes=2**30 + state.key,
        storage_byte_seconds=(2**30 + state.key) * 86_400,
        storage_seconds=86_400,
        read_at=read_at,
        unchanged_since_at=read_at - timedelta(hours=7) if is_settled else None,
        settled_at=read_at if is_settled else None,
        is_counted=True,
    )


def month_of(key: int, day: date) -> MonthUsage:
    return MonthUsage(
        database_key=key, month=day.replace(day=1), workspace_key=(key - 1) // 1_000 + 1, days=30, operations=key
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
