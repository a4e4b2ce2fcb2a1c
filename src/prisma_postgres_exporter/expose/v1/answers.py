"""What the JSON API answers: rows under `data`. Amounts are USD as exact texts, instants RFC 3339 in UTC, days UTC.

`null` means that nobody told us, never 0.
"""

from __future__ import annotations

from datetime import date, datetime

from prisma_postgres_exporter.cost import BudgetState
from prisma_postgres_exporter.report import CostDocument, Document, Usd
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView


class WorkspaceAnswer(Document):
    """A workspace as `/metrics` shows it; the month is the calendar month (UTC) of `month`.

    `total_usd` is given where all of it is known, `known_usd` is what is known of it.
    """

    workspace_id: str
    workspace_name: str
    plan: str | None
    is_up: bool | None
    failure_reason: str | None
    is_usage_blocked: bool | None
    databases: int
    month: str
    month_to_date_operations: int | None
    days_known: int
    days: int
    storage_covered_ratio: float | None
    included_operations: int | None
    storage_bytes: int | None
    month_average_storage_bytes: int | None
    included_storage_bytes: int | None
    reconciliation_difference_operations: int | None
    total_usd: Usd | None
    known_usd: Usd | None
    low_usd: Usd | None
    expected_usd: Usd | None
    high_usd: Usd | None
    spend_limit_usd: Usd | None
    unpriced: str | None


class DatabaseAnswer(Document):
    """A database as `/metrics` shows it. Operations of the month are the vendor's own number."""

    workspace_id: str
    workspace_name: str
    project_id: str
    project_name: str
    database_id: str
    database_name: str
    region: str | None
    status: str
    is_default: bool
    created_at: datetime
    is_up: bool | None
    failing_since_at: datetime | None
    failure_reason: str | None
    operations_total: int | None
    day_to_date_operations: int | None
    previous_day_operations: int | None
    month_to_date_operations: int | None
    previous_month_operations: int | None
    windows: dict[str, int]
    storage_bytes: int | None
    usage_at: datetime | None
    last_success_at: datetime | None
    revisions_up: int
    revisions_down: int
    reconciliation_difference_operations: int | None
    fee_usd: Usd | None
    operations_usd: Usd | None
    storage_usd: Usd | None
    total_usd: Usd | None
    known_usd: Usd | None


class BudgetAnswer(Document):
    """A budget in the current month (UTC); where not `is_complete`, at least `spent_usd` was spent."""

    name: str
    limit_usd: Usd
    thresholds: list[float]
    databases: int
    spent_usd: Usd | None
    is_complete: bool
    expected_usd: Usd | None


class UsageAnswer(Document):
    """What a workspace, project or database used in a day (`2026-11-05`) or month (`2026-11`).

    `operations` are those of `days_known` of the `days` of its databases; `mean_storage_bytes` is of the part
    `storage_covered_ratio` of their time.
    """

    period: str
    workspace_id: str
    workspace_name: str
    project_id: str | None
    project_name: str | None
    database_id: str | None
    database_name: str | None
    operations: int | None
    days_known: int
    days: int
    mean_storage_bytes: int | None
    storage_covered_ratio: float | None


class Workspaces(Document):
    """Every workspace, by id; `taken_at` is when the snapshot was taken."""

    taken_at: datetime
    data: list[WorkspaceAnswer]


class Databases(Document):
    """Databases by workspace, project and database id; `next_after` goes on, `null` at the end."""

    taken_at: datetime
    data: list[DatabaseAnswer]
    next_after: str | None


class Database(Document):
    """One database."""

    taken_at: datetime
    data: DatabaseAnswer


class Budgets(Document):
    """Every budget of the configuration."""

    taken_at: datetime
    data: list[BudgetAnswer]


class UsageRows(Document):
    """Usage by time, the oldest first; `next_from` is the `from` to go on with, `null` at the end."""

    data: list[UsageAnswer]
    next_from: date | None


class CostRows(Document):
    """Costs, the highest first, of the month until `until`."""

    until: datetime
    is_over: bool
    data: list[CostDocument]


def workspace_answer(view: WorkspaceView) -> WorkspaceAnswer:
    """Return a workspace of the snapshot."""
    cost = view.cost
    bills = (cost.bill, cost.low_bill, cost.expected_bill, cost.high_bill) if cost else (None,) * 4
    known = bills[0].known if bills[0] else None
    limit = cost.spend_limit if cost else None
    total, low, expected, high = (bill.total if bill else None for bill in bills)
    return WorkspaceAnswer(
        workspace_id=view.workspace_id,
        workspace_name=view.workspace_name,
        plan=view.plan,
        is_up=view.is_up,
        failure_reason=view.failure_reason,
        is_usage_blocked=view.is_usage_blocked,
        databases=view.databases,
        month=f"{view.period_start_at:%Y-%m}",
        month_to_date_operations=view.month_to_date_operations,
        days_known=view.days_known,
        days=view.days,
        storage_covered_ratio=view.storage_covered_ratio,
        included_operations=cost.included_operations if cost else None,
        storage_bytes=view.storage_bytes,
        month_average_storage_bytes=view.month_average_storage_bytes,
        included_storage_bytes=cost.included_storage_bytes if cost else None,
        reconciliation_difference_operations=view.reconciliation_difference_operations,
        total_usd=total,
        known_usd=known,
        low_usd=low,
        expected_usd=expected,
        high_usd=high,
        spend_limit_usd=limit.usd if limit else None,
        unpriced=cost.unpriced if cost else None,
    )


def database_answer(view: DatabaseView) -> DatabaseAnswer:
    """Return a database of the snapshot."""
    fee, operations, storage = view.cost.parts if view.cost else (None, None, None)
    own = {name: getattr(view, name) for name in DatabaseAnswer.model_fields if hasattr(view, name)}
    return DatabaseAnswer(
        **own,
        windows=dict(view.rolling),
        fee_usd=fee,
        operations_usd=operations,
        storage_usd=storage,
        total_usd=view.cost.total if view.cost else None,
        known_usd=view.cost.known if view.cost else None,
    )


def budget_answer(budget: BudgetState) -> BudgetAnswer:
    """Return a budget."""
    return BudgetAnswer.model_validate(budget)
