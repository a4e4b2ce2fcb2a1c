"""What a database and a workspace show."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from prisma_postgres_exporter.cost import Share, WorkspaceCost
from prisma_postgres_exporter.model import MonthUsage, Position, month_start, previous_month_start


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
    cost: Share | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceView:
    """What one workspace shows: the sums of its databases.

    The month's operations and its mean storage include databases that were deleted in it.
    `storage_covered_ratio` is the part of the databases' time in this month (0 to 1) of which a
    storage level is known.
    """

    workspace_id: str
    workspace_name: str
    plan: str | None
    is_up: bool | None
    is_usage_blocked: bool | None
    databases: int
    month_to_date_operations: int | None
    storage_bytes: int | None
    month_average_storage_bytes: int | None
    storage_covered_ratio: float | None
    reconciliation_difference_operations: int | None
    period_start_at: datetime
    failure_reason: str | None
    cost: WorkspaceCost | None = None


def view_database(
    position: Position,
    *,
    workspace_name: str,
    keep_last_value: timedelta,
    window_names: Collection[str],
    now: datetime,
    cost: Share | None = None,
) -> DatabaseView:
    """Return what one database shows at `now`."""
    database = position.database
    is_known = position.last_success_at is not None and now - position.last_success_at <= keep_last_value
    has_answered = position.last_success_at is not None or position.failing_since_at is not None
    days = {row.day: row for row in position.recent_days} if is_known else {}
    today = days.get(now.date())
    yesterday = days.get(now.date() - timedelta(days=1))
    month = _newest_month(position, month_start(now)) if is_known else None
    previous_month = _newest_month(position, previous_month_start(now)) if is_known else None
    return DatabaseView(
        workspace_id=database.workspace_id,
        project_id=database.project_id,
        database_id=database.id,
        database_name=database.name,
        project_name=database.project_name,
        workspace_name=workspace_name,
        region=database.region,
        status=database.status,
        is_default=database.is_default,
        created_at=database.created_at,
        is_up=position.failing_since_at is None if has_answered else None,
        operations_total=position.operations_total if is_known else None,
        day_to_date_operations=today.operations if today else None,
        # Until the whole day was read, its number is not the day's.
        previous_day_operations=yesterday.operations if yesterday and yesterday.unchanged_since_at else None,
        month_to_date_operations=month.operations if month else None,
        previous_month_operations=previous_month.operations
        if previous_month and previous_month.read_at and previous_month.read_at >= month_start(now)
        else None,
        rolling=tuple(
            (row.window_name, row.operations)
            for row in position.rolling
            if is_known and row.window_name in window_names
        ),
        storage_bytes=position.storage_bytes if is_known else None,
        usage_at=position.usage_at if is_known else None,
        last_success_at=position.last_success_at,
        revisions_up=position.revisions_up,
        revisions_down=position.revisions_down,
        reconciliation_difference_operations=month.difference_operations if month else None,
        failing_since_at=position.failing_since_at,
        failure_reason=position.failure_reason,
        cost=cost,
    )


def _newest_month(position: Position, starts_at: datetime) -> MonthUsage | None:
    """Return the vendor's newest word on a month; a database that moved has a row for each workspace."""
    rows = [row for row in position.months if row.month == starts_at.date() and row.read_at is not None]
    return max(rows, key=lambda row: row.read_at or starts_at, default=None)
