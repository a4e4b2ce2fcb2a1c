"""One view of all workspaces' states at an instant, as it is shown: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from operator import attrgetter

from prisma_postgres_exporter.cost import (
    NOTHING,
    Bill,
    BudgetState,
    Costs,
    Usage,
    WorkspaceCost,
    add_up,
    is_blocked,
    month_differences,
    unlisted,
    used_in_month,
    vendor_month,
)
from prisma_postgres_exporter.model import (
    DatabaseState,
    LedgerState,
    MonthUsage,
    WorkspaceState,
    day_start,
    month_start,
    previous_month_start,
)
from prisma_postgres_exporter.reasons import BLOCKED

NO_COSTS = Costs()
INTERVALS_MISSED = 2
"""A database is not up any more when so many readings in a row did not come."""

SHORTEST_SILENCE = timedelta(seconds=30)
ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseView:
    """What one database shows. `None` means that nobody told us: it is shown as no sample at all.

    `usage` is its month so far in the workspace that holds it. Its counters were 0 at `counting_since_at`, `None` where
    that was in another workspace. `is_sum`: it stands for several databases, and shows only what can be summed.
    `rolling_until` are the instants until which the windows of `rolling` were read, in the same order.
    """

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
    usage: Usage = NOTHING
    cost: Bill | None = None
    counting_since_at: datetime | None = None
    is_sum: bool = False
    rolling_until: tuple[datetime, ...] = ()

    @property
    def windows(self) -> tuple[tuple[str, int, datetime], ...]:
        """The rolling windows with the instants until which each was read, where these are known."""
        return tuple((*row, until_at) for row, until_at in zip(self.rolling, self.rolling_until, strict=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceView:
    """What one workspace shows: the sums of its databases.

    `usage` is its month so far, databases that were deleted in it included; operations, mean storage and what is known
    of them are of it. `is_usage_blocked`: its subscription says so, or the vendor refuses to list or read its databases
    for that.
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
    operations_covered_ratio: float | None
    reconciliation_difference_operations: int | None
    period_start_at: datetime
    failure_reason: str | None
    usage: Usage = NOTHING
    cost: WorkspaceCost | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is shown at `taken_at`, and until `valid_until` (the end of that UTC day) at most.

    `databases` are sorted by workspace, project and database; `filtered` more exist and are left out.
    The costs are of the usage at `costs_at`, which may be earlier; `None`: they were not worked out yet.
    """

    taken_at: datetime
    workspaces: tuple[WorkspaceView, ...] = ()
    databases: tuple[DatabaseView, ...] = ()
    filtered: int = 0
    budgets: tuple[BudgetState, ...] = ()
    costs_at: datetime | None = None

    @property
    def valid_until(self) -> datetime:
        """When today and perhaps the month are over, and their numbers are not today's any more."""
        return day_start(self.taken_at.date()) + ONE_DAY


def take_snapshot(
    ledger_state: LedgerState,
    *,
    followed: Collection[str],
    workspace_failures: Mapping[str, str | None],
    silent_after: timedelta,
    keep_last_value: timedelta,
    window_names: Sequence[str],
    now: datetime,
    unread: Collection[str] = (),
    costs: Costs = NO_COSTS,
    used_by_key: Mapping[int, Mapping[str, Usage]] | None = None,
) -> Snapshot:
    """Build the view of `ledger_state` at `now`.

    `followed` are the ids of the databases to show, `window_names` the rolling windows to show, in that order. A
    database of which nothing was read for longer than `silent_after` is not up, nor is one of those `unread`, whose
    reading is due and cannot be made, for what its workspace fails of. `workspace_failures` says by workspace
    id why it cannot be discovered, `None` where it can; one that is not in it was not tried yet. `costs` are those of
    this month, as they were last worked out. A value whose database has not answered for `keep_last_value` is shown no
    more.
    `used_by_key` is what `used_in_month` gives for this state and instant, where that is known already.
    """
    shown = {id_: row for id_, row in sorted(ledger_state.workspaces.items()) if not row.is_gone}
    used = used_in_month(ledger_state, now) if used_by_key is None else used_by_key
    differences = month_differences(ledger_state, used, now)
    by_workspace: dict[str, list[DatabaseView]] = {}
    for workspace_id, row in shown.items():
        used_here = used.get(row.key, {})
        views = [
            view_database(
                state,
                workspace_name=row.workspace.name,
                silent_after=silent_after,
                keep_last_value=keep_last_value,
                window_names=window_names,
                now=now,
                usage=used_here.get(id_, NOTHING),
                cost=costs.shares.get((workspace_id, id_)),
                unread=workspace_failures.get(workspace_id) if id_ in unread else None,
            )
            for id_, state in row.databases.items()
            if state.deleted_at is None and id_ in followed
        ]
        # Sorted workspace by workspace: no other thread has its turn while a list is sorted.
        by_workspace[workspace_id] = sorted(views, key=attrgetter("project_id", "database_id"))
    databases = tuple(chain.from_iterable(by_workspace.values()))
    existing = sum(state.deleted_at is None for row in shown.values() for state in row.databases.values())
    return Snapshot(
        taken_at=now,
        workspaces=tuple(
            _view_workspace(
                row,
                by_workspace[id_],
                add_up((*used.get(row.key, {}).values(), unlisted(row, now))),
                differences[row.key].operations if row.key in differences else None,
                workspace_failures,
                costs.workspaces.get(id_),
                now,
            )
            for id_, row in shown.items()
        ),
        databases=databases,
        filtered=existing - len(databases),
        budgets=costs.budgets,
        costs_at=costs.worked_out_at,
    )


def view_database(
    state: DatabaseState,
    *,
    workspace_name: str,
    silent_after: timedelta,
    keep_last_value: timedelta,
    window_names: Sequence[str],
    now: datetime,
    usage: Usage = NOTHING,
    cost: Bill | None = None,
    unread: str | None = None,
) -> DatabaseView:
    """Return what one database shows at `now`. `unread` is why a reading that is due cannot be made."""
    database = state.database
    is_known = state.last_success_at is not None and now - state.last_success_at <= keep_last_value
    days = {row.day: row for row in state.recent_days} if is_known else {}
    held = {row.window_name: row for row in state.rolling} if is_known else {}
    rolling = tuple(held[name] for name in window_names if name in held)
    today = days.get(now.date())
    yesterday = days.get(now.date() - timedelta(days=1))
    month_starts_at, previous_starts_at = _month_starts(now)
    month = _newest_month(state, month_starts_at) if is_known else None
    previous_month = _newest_month(state, previous_starts_at) if is_known else None
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
        is_up=False if unread else _is_up(state, silent_after, now),
        operations_total=state.operations_total if is_known and state.has_counted else None,
        day_to_date_operations=today.operations if today else None,
        # Until the whole day was read, its number is not the day's.
        previous_day_operations=yesterday.operations if yesterday and yesterday.unchanged_since_at else None,
        month_to_date_operations=month.operations if month else None,
        previous_month_operations=previous_month.operations
        if previous_month and _was_read_whole(previous_month, month_starts_at)
        else None,
        rolling=tuple((row.window_name, row.operations) for row in rolling),
        rolling_until=tuple(row.period_end_at for row in rolling),
        storage_bytes=state.storage_bytes if is_known else None,
        usage_at=state.usage_at if is_known else None,
        last_success_at=state.last_success_at,
        revisions_up=state.revisions_up,
        revisions_down=state.revisions_down,
        reconciliation_difference_operations=_difference(state, month, now),
        failing_since_at=state.failing_since_at,
        failure_reason=state.failure_reason or unread,
        usage=usage,
        cost=cost,
        # In another workspace its counters go on under other labels: there they never were 0.
        counting_since_at=None if state.moves else max(day_start(state.counted_from), database.created_at),
    )


def _was_read_whole(row: MonthUsage, ended_at: datetime) -> bool:
    """Whether a month was read after its end, and to its end: an answer may have been late for a question before it."""
    if row.read_at is None or row.period_end_at is None:
        return False
    return row.read_at >= ended_at and row.period_end_at >= ended_at - ONE_SECOND


def _is_up(state: DatabaseState, silent_after: timedelta, now: datetime) -> bool | None:
    """Whether it is read: not if its open day failed, nor if nothing was read for so long, for any reason."""
    if state.failing_since_at is not None:
        return False
    silence = now - (state.last_success_at or state.first_seen_at)
    if abs(silence) > max(silent_after, SHORTEST_SILENCE):
        return False
    return True if state.last_success_at is not None else None


def _newest_month(state: DatabaseState, starts_at: datetime) -> MonthUsage | None:
    """Return the vendor's newest word on a month; a database that moved has a row for each workspace."""
    month = starts_at.date()
    rows = [row for row in state.months if row.month == month and row.read_at is not None]
    return max(rows, key=lambda row: row.read_at or starts_at) if len(rows) > 1 else next(iter(rows), None)


def _difference(state: DatabaseState, month: MonthUsage | None, now: datetime) -> int | None:
    if month is None or month.difference_operations is not None:
        return month.difference_operations if month else None
    vendor = vendor_month(state, now)
    return vendor.difference_operations if vendor else None


@lru_cache(maxsize=1)
def _month_starts(now: datetime) -> tuple[datetime, datetime]:
    """When this month and the one before began: the same for all databases of a snapshot."""
    return month_start(now), previous_month_start(now)


def _view_workspace(
    row: WorkspaceState,
    views: Collection[DatabaseView],
    usage: Usage,
    difference: int | None,
    failures: Mapping[str, str | None],
    cost: WorkspaceCost | None,
    now: datetime,
) -> WorkspaceView:
    workspace, starts_at = row.workspace, month_start(now)
    return WorkspaceView(
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        plan=workspace.plan,
        is_up=failures[workspace.id] is None if workspace.id in failures else None,
        is_usage_blocked=True if failures.get(workspace.id) == BLOCKED else is_blocked(row),
        databases=len(views),
        month_to_date_operations=usage.operations if usage.days_known or not row.databases else None,
        storage_bytes=_sum(view.storage_bytes for view in views),
        month_average_storage_bytes=usage.mean_storage_bytes(int((now - starts_at).total_seconds())),
        storage_covered_ratio=usage.storage_covered_ratio,
        operations_covered_ratio=usage.operations_covered_ratio,
        reconciliation_difference_operations=difference,
        period_start_at=starts_at,
        failure_reason=failures.get(workspace.id),
        usage=usage,
        cost=cost,
    )


def _sum(values: Iterator[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
