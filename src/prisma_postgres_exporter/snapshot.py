"""One picture of what is stored, as it is shown: pure, from the book and the instant it is taken at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prisma_postgres_exporter.model import (
    Book,
    MonthUsage,
    Position,
    WorkspacePosition,
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
    is_up: bool | None
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


def take_snapshot(
    book: Book,
    *,
    followed: Collection[str],
    workspace_failures: Mapping[str, str | None],
    keep_last_value: timedelta,
    window_names: Collection[str],
    now: datetime,
    last: Snapshot | None = None,
) -> Snapshot:
    """Build the picture of `book` at `now`.

    `followed` are the ids of the databases to show, `window_names` the rolling windows to show.
    `workspace_failures` says by workspace id why it cannot be read, `None` where it can; one that is
    not in it was not tried yet. A value whose database has not answered for `keep_last_value` is
    shown no more. Views equal to those of `last` are kept.
    """
    names = {id_: row.workspace.name for id_, row in book.workspaces.items()}
    last_views = {view.database_id: view for view in last.databases} if last else {}
    views = []
    existing = 0
    for position in book.positions.values():
        existing += position.deleted_at is None
        if position.deleted_at is None and position.database.id in followed:
            view = view_database(
                position,
                workspace_name=names.get(position.database.workspace_id, ""),
                keep_last_value=keep_last_value,
                window_names=window_names,
                now=now,
            )
            before = last_views.get(view.database_id)
            views.append(before if before is not None and before == view else view)
    workspaces = _view_workspaces(book, views, workspace_failures, now)
    return Snapshot(
        taken_at=now,
        workspaces=workspaces,
        databases=tuple(sorted(views, key=lambda view: (view.workspace_id, view.project_id, view.database_id))),
        filtered=existing - len(views),
    )


def view_database(
    position: Position,
    *,
    workspace_name: str,
    keep_last_value: timedelta,
    window_names: Collection[str],
    now: datetime,
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
    )


def _newest_month(position: Position, starts_at: datetime) -> MonthUsage | None:
    """Return the vendor's newest word on a month; a database that moved has a row for each workspace."""
    rows = [row for row in position.months if row.month == starts_at.date() and row.read_at is not None]
    return max(rows, key=lambda row: row.read_at or starts_at, default=None)


def _view_workspaces(
    book: Book, views: Collection[DatabaseView], failures: Mapping[str, str | None], now: datetime
) -> tuple[WorkspaceView, ...]:
    by_workspace: dict[str, list[DatabaseView]] = defaultdict(list)
    for view in views:
        by_workspace[view.workspace_id].append(view)
    bills: dict[int, list[tuple[Position, MonthUsage]]] = defaultdict(list)
    for position in book.positions.values():
        for row in position.months:
            if row.month == month_start(now).date():
                bills[row.workspace_key].append((position, row))
    return tuple(
        _view_workspace(row, by_workspace[id_], bills[row.key], failures, now)
        for id_, row in sorted(book.workspaces.items())
        if not row.is_gone
    )


def _view_workspace(
    row: WorkspacePosition,
    views: Collection[DatabaseView],
    bill: Collection[tuple[Position, MonthUsage]],
    failures: Mapping[str, str | None],
    now: datetime,
) -> WorkspaceView:
    storage = [view.storage_bytes for view in views if view.storage_bytes is not None]
    operations = [value for value in (_billed_operations(*entry) for entry in bill) if value is not None]
    return WorkspaceView(
        workspace_id=row.workspace.id,
        workspace_name=row.workspace.name,
        plan=row.workspace.plan,
        is_up=failures[row.workspace.id] is None if row.workspace.id in failures else None,
        is_usage_blocked=row.workspace.usage_blocked,
        databases=len(views),
        month_to_date_operations=sum(operations) if operations else None,
        storage_bytes=sum(storage) if storage else None,
        month_average_storage_bytes=_average_storage(bill, now),
        period_start_at=month_start(now),
        failure_reason=failures.get(row.workspace.id),
    )


def _billed_operations(position: Position, row: MonthUsage) -> int | None:
    """Return a month's operations of one database that belong to one workspace.

    The vendor's own number, unless the database moved in that month: then its days tell whose they are.
    """
    has_moved = any(other.month == row.month and other is not row for other in position.months)
    if has_moved:
        return row.days_operations
    if row.operations is not None:
        return row.operations
    return row.days_operations if row.days else None


def _average_storage(bill: Collection[tuple[Position, MonthUsage]], now: datetime) -> int | None:
    """Return the mean level since the month began: each database at its own mean for as long as it existed."""
    starts_at = month_start(now)
    elapsed_seconds = int((now - starts_at).total_seconds())
    covered = [(position, row) for position, row in bill if row.storage_seconds > 0]
    if not covered or elapsed_seconds <= 0:
        return None
    total = 0
    for position, row in covered:
        begins_at = max(starts_at, position.database.created_at)
        ends_at = min(now, position.deleted_at or now)
        life_seconds = max(int((ends_at - begins_at).total_seconds()), row.storage_seconds)
        total += row.storage_byte_seconds * life_seconds // row.storage_seconds
    return total // elapsed_seconds
