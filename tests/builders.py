"""The model's values, each whole and plain, to change what a test is about.

Instants are UTC. What is not given is of `NOW`, of the database `db_a` (key 1) and of the workspace `wksp_a` (key 1).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    DayUsage,
    LedgerState,
    MonthUsage,
    RollingUsage,
    UsageReading,
    Window,
    WindowKind,
    Workspace,
    WorkspaceState,
    day_start,
    month_start,
    next_month_start,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEEN_AT = datetime(2025, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
GIB = 2**30


def database(id_: str = "db_a", **changes: Any) -> Database:
    """A database that was made a hundred days before `NOW`."""
    plain = Database(
        id=id_,
        name="a",
        project_id="proj_a",
        project_name="a",
        workspace_id="wksp_a",
        region=None,
        status="ready",
        is_default=False,
        created_at=NOW - 100 * ONE_DAY,
    )
    return replace(plain, **changes)


def database_state(id_: str = "db_a", **changes: Any) -> DatabaseState:
    """A database that was first seen at `NOW` and has no row yet."""
    plain = DatabaseState(
        key=1,
        workspace_key=1,
        database=database(id_),
        first_seen_at=NOW,
        counted_from=NOW.date(),
        known_until=NOW.date(),
        checked_until=NOW.date(),
    )
    return replace(plain, **changes)


def workspace_state(
    *databases: DatabaseState,
    key: int = 1,
    id_: str = "wksp_a",
    name: str = "a",
    plan: str | None = None,
    **changes: Any,
) -> WorkspaceState:
    """A workspace that holds these databases, followed since long before any of their months."""
    plain = WorkspaceState(
        key=key,
        workspace=Workspace(id=id_, name=name, plan=plan),
        first_seen_at=SEEN_AT,
        databases={state.database.id: state for state in databases},
    )
    return replace(plain, **changes)


def ledger_state(*workspaces: WorkspaceState) -> LedgerState:
    """What is held of these workspaces."""
    return LedgerState(workspaces={row.workspace.id: row for row in workspaces})


def day_usage(day: date, operations: int = 1, **changes: Any) -> DayUsage:
    """A day that was read at `NOW`, not after its end, and without any storage."""
    plain = DayUsage(
        database_key=1,
        day=day,
        workspace_key=1,
        operations=operations,
        operations_high=operations,
        storage_bytes=0,
        storage_byte_seconds=0,
        storage_seconds=0,
        read_at=NOW,
        unchanged_since_at=None,
        settled_at=None,
        is_counted=True,
    )
    return replace(plain, **changes)


def settled_day(day: date, operations: int = 1, **changes: Any) -> DayUsage:
    """A day that was read when it had ended and, the same, eight hours later."""
    closed_at = day_start(day) + ONE_DAY
    settled_at = closed_at + timedelta(hours=8)
    plain = day_usage(day, operations, read_at=settled_at, unchanged_since_at=closed_at, settled_at=settled_at)
    return replace(plain, **changes)


def month_usage(month: date, operations: int | None = None, **changes: Any) -> MonthUsage:
    """A month whose days are not in the ledger; with `operations` the vendor said them at `NOW`."""
    read_at = None if operations is None else NOW
    plain = MonthUsage(
        database_key=1, month=month, workspace_key=1, operations=operations, period_end_at=read_at, read_at=read_at
    )
    return replace(plain, **changes)


def rolling_usage(window_name: str, operations: int = 1, *, read_at: datetime = NOW) -> RollingUsage:
    """A rolling window as it was read."""
    return RollingUsage(
        window_name=window_name,
        operations=operations,
        period_start_at=read_at,
        period_end_at=read_at,
        read_at=read_at,
    )


def day_window(day: date, *, until: datetime = NOW) -> Window:
    """A day as it is asked for at `until`."""
    starts_at = day_start(day)
    return Window(kind=WindowKind.DAY, name="day", start_at=starts_at, end_at=min(starts_at + ONE_DAY, until))


def month_window(month: date, *, until: datetime = NOW) -> Window:
    """A month as it is asked for at `until`."""
    starts_at = month_start(day_start(month))
    ends_at = min(next_month_start(starts_at), until)
    return Window(kind=WindowKind.MONTH, name="month", start_at=starts_at, end_at=ends_at)


def rolling_window(name: str, width: timedelta, *, until: datetime = NOW) -> Window:
    """A rolling window as it is asked for at `until`."""
    return Window(kind=WindowKind.ROLLING, name=name, start_at=until - width, end_at=until)


def reading(window: Window, operations: int | None, *, read_at: datetime | None = None, **changes: Any) -> UsageReading:
    """An answer that covers what was asked for, read (if nothing else is said) when the window was asked for."""
    at = read_at or window.end_at
    plain = UsageReading(
        database_id="db_a",
        window=window,
        period_start_at=window.start_at,
        period_end_at=window.end_at,
        operations=operations,
        storage_bytes=GIB,
        generated_at=at,
        read_at=at,
    )
    return replace(plain, **changes)
