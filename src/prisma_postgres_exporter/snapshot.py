"""One picture of what is stored, as it is shown: pure, from the book and the instant it is taken at."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prisma_postgres_exporter.model import (
    Book,
    DayUsage,
    MonthUsage,
    Position,
    WorkspacePosition,
    day_start,
    month_start,
    previous_month_start,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseView:
    """What one database shows. `None` means that nobody told us: it is shown as no sample at all."""

    workspace_id: str
    project_id: str
    database_id: str
    database_name: str
    project_name: str
    workspace_name: str
    region: str | None
    status: str
    is_default: bool
    created_at: datetime
    is_up: bool | None
    operations_total: int | None
    day_to_date_operations: int | None
    previous_day_operations: int | None
    month_to_date_operations: int | None
    previous_month_operations: int | None
    rolling: tuple[tuple[str, int], ...]
    storage_bytes: int | None
    usage_at: datetime | None
    last_success_at: datetime | None
    revisions_up: int
    revisions_down: int
    reconciliation_difference_operations: int | None
    failing_since_at: datetime | None
    failure_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceView:
    """What one workspace shows: the sums of its databases, deleted ones included where it says so."""

    workspace_id: str
    workspace_name: str
    plan: str | None
    is_up: bool
    is_usage_blocked: bool | None
    databases: int
    month_to_date_operations: int | None
    storage_bytes: int | None
    month_average_storage_bytes: int | None
    period_start_at: datetime
    failure_reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One picture, taken at `taken_at`. A `DatabaseView` that did not change is the same object as in the last one."""

    taken_at: datetime
    workspaces: tuple[WorkspaceView, ...]
    databases: tuple[DatabaseView, ...]
    filtered: int
