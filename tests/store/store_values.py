"""Values to put into a store, and a plain look at its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy

from prisma_postgres_exporter.model import (
    Book,
    Database,
    DayUsage,
    Discovered,
    MonthUsage,
    Position,
    Posting,
    RollingUsage,
    StoredReading,
    Workspace,
    day_start,
)
from prisma_postgres_exporter.store import Store

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)
YESTERDAY = TODAY - DAY


def database(number: int = 1, *, workspace: int = 1, created_at: datetime = NOW - 100 * DAY) -> Database:
    return Database(
        id=f"db_{number}",
        name=f"database {number}",
        project_id=f"proj_{workspace}",
        project_name=f"project {workspace}",
        workspace_id=f"wksp_{workspace}",
        region="eu-west-3",
        status="ready",
        is_default=number == 1,
        created_at=created_at,
    )


def discovered(databases: int = 1, *, workspaces: int = 1, at: datetime = NOW) -> Discovered:
    """Some databases, all in the first of some workspaces."""
    return Discovered(
        at=at,
        workspaces=tuple(Workspace(id=f"wksp_{i}", name=f"workspace {i}") for i in range(1, workspaces + 1)),
        databases=tuple(database(i) for i in range(1, databases + 1)),
    )


def day_usage(key: int = 1, day: date = TODAY, **changes: Any) -> DayUsage:
    usage = DayUsage(
        database_key=key,
        day=day,
        workspace_key=1,
        operations=1_000,
        operations_high=1_200,
        storage_bytes=5 << 30,
        storage_byte_seconds=(5 << 30) * 3_600,
        storage_seconds=3_600,
        read_at=day_start(day) + timedelta(hours=1),
        unchanged_since_at=None,
        settled_at=None,
        is_counted=True,
    )
    return replace(usage, **changes)


def settled_day(key: int = 1, day: date = YESTERDAY, **changes: Any) -> DayUsage:
    closed_at = day_start(day) + DAY
    return day_usage(
        key,
        day,
        read_at=closed_at + timedelta(hours=8),
        unchanged_since_at=closed_at + timedelta(hours=1),
        settled_at=closed_at + timedelta(hours=8),
        **changes,
    )


def month_usage(key: int = 1, month: date = date(2026, 11, 1), **changes: Any) -> MonthUsage:
    return replace(MonthUsage(database_key=key, month=month, workspace_key=1, days=3, days_operations=5), **changes)


def rolling_usage(name: str = "24h", operations: int = 10) -> RollingUsage:
    return RollingUsage(
        window_name=name, operations=operations, period_start_at=NOW - DAY, period_end_at=NOW, read_at=NOW
    )


def reading(key: int = 1, read_at: datetime = NOW, *, window: str = "day", operations: int | None = 7) -> StoredReading:
    return StoredReading(
        database_key=key,
        read_at=read_at,
        window_name=window,
        period_start_at=day_start(read_at.date()),
        period_end_at=read_at,
        operations=operations,
        storage_bytes=None,
    )


def posting_of(before: Position, **changes: Any) -> Posting:
    """A posting that changes one position."""
    return Posting(before=(before,), positions=(replace(before, **changes),))


def known(store: Store, databases: int = 1, *, workspaces: int = 1) -> Book:
    """Let the store discover some databases, and load what it then holds."""
    generation = store.load(NOW).generation
    store.record_discovery(discovered(databases, workspaces=workspaces), generation=generation)
    return store.load(NOW)


def post(store: Store, posting: Posting, at: datetime = NOW) -> Book:
    """Record on top of what is there, and load."""
    store.record(posting, at=at, generation=store.load(at).generation)
    return store.load(at)


def rows_of(url: str, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table, sorted."""
    return sorted(query(url, f"SELECT * FROM {table}"), key=repr)


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Ask as another program would."""
    with other_program(url) as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(statement))]


def execute(url: str, statement: str) -> None:
    """Write as another program would."""
    with other_program(url) as connection:
        connection.execute(sqlalchemy.text(statement))


@contextmanager
def other_program(url: str) -> Iterator[sqlalchemy.Connection]:
    """A transaction beside the store's own."""
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
