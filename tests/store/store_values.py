"""Values to put into a store, and a plain look at its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy

from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    DayUsage,
    Discovered,
    LedgerState,
    LedgerUpdate,
    MonthUsage,
    RollingUsage,
    StoredReading,
    Workspace,
    day_start,
)
from prisma_postgres_exporter.store import Store

FreshUrl = Callable[[], AbstractContextManager[str]]
"""Gives the URL of a store that does not exist yet."""

ENGINES = ("sqlite", "postgres")
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


def update_of(before: DatabaseState, **changes: Any) -> LedgerUpdate:
    """An update that changes one state."""
    return LedgerUpdate(before=(before,), after=(replace(before, **changes),))


def generations(state: LedgerState) -> dict[str, int]:
    """The generation of every workspace, by id."""
    return {id_: workspace.generation for id_, workspace in state.workspaces.items()}


def concerned(state: LedgerState, found: Discovered) -> dict[str, int]:
    """The generations of the workspaces that lose, get or change something, of those that are known."""
    named = {row.id for row in found.workspaces} | {row.workspace_id for row in found.databases}
    touched = {*found.deleted_database_ids, *(row.id for row in found.databases)} & state.databases.keys()
    holders = {state.databases[id_].database.workspace_id for id_ in touched}
    wanted = named | holders | {*found.gone_workspace_ids}
    return {id_: generation for id_, generation in generations(state).items() if id_ in wanted}


def discover(store: Store, found: Discovered) -> LedgerState:
    """Record a discovery on top of what is there, and load."""
    store.record_discovery(found, generations=concerned(store.load(found.at), found))
    return store.load(found.at)


def known(store: Store, databases: int = 1, *, workspaces: int = 1) -> LedgerState:
    """Let the store discover some databases, and load what it then holds."""
    return discover(store, discovered(databases, workspaces=workspaces))


def post(store: Store, update: LedgerUpdate, at: datetime = NOW, *, workspace_id: str = "wksp_1") -> LedgerState:
    """Record on top of what is there, and load."""
    generation = store.load(at).workspaces[workspace_id].generation
    store.record(update, workspace_id=workspace_id, generation=generation, at=at)
    return store.load(at)


def rows_of(url: str, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table, sorted."""
    return sorted(query(url, f"SELECT * FROM {table}"), key=repr)


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Ask as another program would."""
    [rows] = query_each(url, [statement])
    return rows


def query_each(url: str, statements: Iterable[str]) -> list[list[tuple[Any, ...]]]:
    """Ask several things on one connection: what each of the statements gives."""
    with other_program(url) as connection:
        return [[tuple(row) for row in connection.execute(sqlalchemy.text(statement))] for statement in statements]


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
