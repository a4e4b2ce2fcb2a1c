"""What a month's row of a database is worth for the bill."""

from __future__ import annotations

from datetime import datetime

from prisma_postgres_exporter.cost.bill import Usage
from prisma_postgres_exporter.model import DatabaseState, MonthUsage, day_start, next_month_start


def has_moved_in(state: DatabaseState, row: MonthUsage) -> bool:
    """Whether the database was in another workspace too in this month."""
    return any(other.month == row.month and other.workspace_key != row.workspace_key for other in state.months)


def billed_operations(row: MonthUsage, *, has_moved: bool) -> int | None:
    """Return a month's operations of one database that belong to one workspace.

    The vendor's own number, unless the database moved in that month: then its days tell whose they are.
    """
    if row.operations is not None and not has_moved:
        return row.operations
    return row.days_operations if row.days or has_moved else None


def life_seconds(row: MonthUsage, created_at: datetime, deleted_at: datetime | None, now: datetime) -> int:
    """Return for how long a database existed in a month, until `now`."""
    begins_at = max(day_start(row.month), created_at)
    ends_at = min(now, next_month_start(day_start(row.month)), deleted_at or now)
    return max(0, int((ends_at - begins_at).total_seconds()))


def billed_usage(row: MonthUsage, *, has_moved: bool, life: int) -> Usage:
    """Return what one database adds to a workspace's bill; time of which no level is known takes its own mean."""
    byte_seconds = row.storage_byte_seconds
    if row.storage_seconds and life > row.storage_seconds and not has_moved:
        byte_seconds = byte_seconds * life // row.storage_seconds
    return Usage(
        operations=billed_operations(row, has_moved=has_moved) or 0,
        storage_byte_seconds=byte_seconds,
    )
