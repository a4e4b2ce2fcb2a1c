"""Documents from what the rooms below work out: the only place where a key gets its value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from prisma_postgres_exporter.cost import (
    Bill,
    BudgetState,
    By,
    CostRow,
    Offer,
    SpendLimit,
    Usage,
    WorkspaceCost,
    added,
    total_of,
    total_row,
)
from prisma_postgres_exporter.documents.models import (
    BudgetDocument,
    ChangeDocument,
    CollectAnswer,
    CollectedDocument,
    CostDocument,
    CostRows,
    DatabaseDocument,
    DiscoveryGapDocument,
    EventDocument,
    FollowedLateDocument,
    LevelDocument,
    MissingDocument,
    MonthDocument,
    NotFollowedDocument,
    RankedDocument,
    ReportAnswer,
    ReportDocument,
    ReportedWorkspaceDocument,
    SupposedCostRows,
    SupposedDocument,
    TotalDocument,
    UsageDocument,
    WorkspaceDocument,
)
from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.report import (
    TOTAL,
    Beside,
    Change,
    LedgerMonth,
    MonthReport,
    Place,
    Ranked,
    UsageRow,
    WorkspaceReport,
    expected_bounds,
    nearest_percent,
)
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

Keys = dict[str, Any]
"""Some keys of a document with their values: pydantic checks them where they come together."""


def usage_document(row: UsageRow) -> UsageDocument:
    """Return what was used in a day or month."""
    return UsageDocument.model_validate(row)


def month_document(row: CostRow, *, is_over: bool) -> MonthDocument:
    """Return what a workspace, project or database used and cost in a month."""
    return MonthDocument(**_month(row, is_over=is_over))


def cost_document(row: CostRow, beside: Beside, *, is_over: bool) -> CostDocument:
    """Return the same, beside everything else and the month before."""
    return CostDocument(**_month(row, is_over=is_over), **_beside(beside))


def of_month(month: LedgerMonth | MonthReport) -> Keys:
    """Return what every answer about a month says of it."""
    gone = [
        NotFollowedDocument(workspace_id=row.workspace.id, workspace_name=row.workspace.name, gone_at=row.gone_at)
        for row in month.not_followed
        if row.gone_at is not None
    ]
    late = [
        FollowedLateDocument(
            workspace_id=row.workspace.id, workspace_name=row.workspace.name, first_seen_at=row.first_seen_at
        )
        for row in month.followed_late
    ]
    gaps = [
        DiscoveryGapDocument(
            workspace_id=row.workspace.id, workspace_name=row.workspace.name, from_at=gap.from_at, to_at=gap.to_at
        )
        for row, gap in month.discovery_gaps
    ]
    return {
        "until": month.until,
        "is_over": month.is_over,
        "not_followed": gone,
        "followed_late": late,
        "discovery_gaps": gaps,
    }


def of_snapshot(snapshot: Snapshot) -> Keys:
    """Return what every answer about a snapshot says of it."""
    return {"taken_at": snapshot.taken_at, "costs_at": snapshot.costs_at}


def cost_rows_answer(
    month: LedgerMonth, rows: Iterable[CostRow], besides: Mapping[Place, Beside], *, is_part: bool = False
) -> CostRows:
    """Return rows of a month's costs, with the total of all workspaces unless a part of them was asked for."""
    data = [cost_document(row, besides[row.place], is_over=month.is_over) for row in rows]
    return CostRows(**of_month(month), data=data, total=None if is_part else _total_of_month(month, besides))


def supposed_answer(
    month: LedgerMonth,
    rows: Iterable[CostRow],
    besides: Mapping[Place, Beside],
    plans: Mapping[str, Mapping[str, Offer]],
) -> SupposedCostRows:
    """Return rows of a month as it would be, each workspace with what other plans would cost."""
    data = []
    for row in rows:
        offers = plans.get(row.workspace_id) if row.project_id is None else None
        data.append(
            SupposedDocument(
                **_month(row, is_over=month.is_over),
                **_beside(besides[row.place]),
                by_plan_usd=None if offers is None else {plan: offer.usd for plan, offer in offers.items()},
                is_by_plan_complete=None if offers is None else all(offer.is_complete for offer in offers.values()),
            )
        )
    return SupposedCostRows(**of_month(month), data=data, total=_total_of_month(month, besides))


def total_document(rows: Sequence[CostRow], beside: Beside) -> TotalDocument:
    """Return the sum of all workspaces' rows."""
    usage, bill = total_of(rows)
    return TotalDocument(
        **_used(usage, total_row(rows, By.WORKSPACE).mean_storage_bytes if rows else None),
        **_priced(usage, bill, is_plan_assumed=any(_is_plan_assumed(row.cost) for row in rows)),
        **_beside(beside),
        expected_usd=added(row.expected_usd for row in rows),
        is_expected_complete=all(row.is_expected_complete for row in rows),
        change_split_usd=_split(beside),
    )


def ranked_document(line: Ranked, *, is_over: bool) -> RankedDocument:
    """Return a line of a ranking."""
    return RankedDocument(
        **_month(line.row, is_over=is_over),
        rank=line.rank,
        operations_percent=percent(line.operations_share),
        recent_operations=line.recent_operations,
        earlier_operations=line.earlier_operations,
        growth_days=line.growth_days,
        growth_operations=line.growth_operations,
        growth_percent=percent(line.growth_ratio),
    )


def change_document(change: Change, *, is_over: bool) -> ChangeDocument:
    """Return a comparison; `is_over`: of the later month."""
    return ChangeDocument(
        **_place(change.row),
        month_before=month_document(change.before, is_over=True) if change.before else None,
        month_after=month_document(change.after, is_over=is_over) if change.after else None,
        operations_change=change.operations_change,
        compared_days_known=change.pair.days if change.pair is not None else None,
        compared_days=change.pair.wanted if change.pair is not None else None,
        change_usd=change.cost_change,
        reasons=list(change.reasons),
    )


def workspace_document(view: WorkspaceView, taken_at: datetime) -> WorkspaceDocument:
    """Return a workspace of the snapshot that was taken then."""
    cost = view.cost
    low, high = cost.expected_bounds if cost else (None, None)
    expected = cost.expected_bill.total if cost and cost.expected_bill else None
    return WorkspaceDocument(
        workspace_id=view.workspace_id,
        workspace_name=view.workspace_name,
        project_id=None,
        project_name=None,
        database_id=None,
        database_name=None,
        **_used(view.usage, _mean_so_far(view.usage, taken_at)),
        **_priced(view.usage, cost.bill if cost else None, is_plan_assumed=_is_plan_assumed(cost)),
        **_limits(cost),
        month=f"{taken_at:%Y-%m}",
        plan=cost.plan if cost else None,
        reported_plan=view.plan,
        is_up=view.is_up,
        failure_reason=view.failure_reason,
        is_usage_blocked=view.is_usage_blocked,
        database_count=view.databases,
        storage_bytes=view.storage_bytes,
        included_operations=cost.included_operations if cost else None,
        included_storage_bytes=cost.included_storage_bytes if cost else None,
        reconciliation_difference_operations=view.reconciliation_difference_operations,
        expected_usd=expected,
        is_expected_complete=cost is not None and expected is not None and cost.is_expected_complete,
        low_usd=low,
        high_usd=high,
        unpriced=cost.unpriced if cost else None,
    )


def database_document(view: DatabaseView, taken_at: datetime) -> DatabaseDocument:
    """Return a database of the snapshot that was taken then."""
    same = {name: getattr(view, name) for name in _SHOWN}
    return DatabaseDocument(
        **same,
        **_used(view.usage, _mean_so_far(view.usage, taken_at)),
        **_priced(view.usage, view.cost, is_plan_assumed=False),
        month=f"{taken_at:%Y-%m}",
        windows=dict(view.rolling),
    )


_SHOWN = tuple(name for name in DatabaseDocument.model_fields if name in DatabaseView.__dataclass_fields__)


def collect_answer(snapshot: Snapshot) -> CollectAnswer:
    """Return everything that a snapshot shows."""
    collected = CollectedDocument(
        filtered=snapshot.filtered,
        workspaces=[workspace_document(view, snapshot.taken_at) for view in snapshot.workspaces],
        databases=[database_document(view, snapshot.taken_at) for view in snapshot.databases],
    )
    return CollectAnswer(**of_snapshot(snapshot), data=collected)


def budget_document(budget: BudgetState, *, is_over: bool = False) -> BudgetDocument:
    """Return a budget in a month."""
    return BudgetDocument(
        budget=budget.name,
        limit_usd=budget.limit_usd,
        thresholds=list(budget.thresholds),
        database_count=budget.databases,
        spent_usd=budget.spent_usd,
        spent_covered_ratio=budget.spent_covered_ratio,
        is_complete=budget.is_complete,
        expected_usd=None if is_over else budget.expected_usd,
        is_expected_complete=budget.is_expected_complete,
    )


def report_answer(report: MonthReport) -> ReportAnswer:
    """Return a month's report."""
    missing = report.missing
    document = ReportDocument(
        month=report.name,
        made_at=report.made_at,
        total=total_document([row.total for row in report.workspaces], report.beside),
        missing=MissingDocument(from_day=missing.first_day, to_day=missing.last_day, requests=missing.requests)
        if missing is not None
        else None,
        workspaces=[_reported(report, row) for row in report.workspaces],
        budgets=[budget_document(budget, is_over=report.is_over) for budget in report.budgets],
    )
    return ReportAnswer(**of_month(report), data=document)


def level_documents(report: MonthReport) -> Iterable[LevelDocument]:
    """Yield every workspace, project and database of a report."""
    for workspace in report.workspaces:
        levels = (
            (By.WORKSPACE, (workspace.total,)),
            (By.PROJECT, workspace.projects),
            (By.DATABASE, workspace.databases),
        )
        for level, rows in levels:
            for row in rows:
                beside = report.besides[row.place]
                yield LevelDocument(**_month(row, is_over=report.is_over), **_beside(beside), level=level.value)


def percent(part: float | None) -> float | None:
    """A part (0 to 1) in percent."""
    return None if part is None else nearest_percent(part, 1)


def _total_of_month(month: LedgerMonth, besides: Mapping[Place, Beside]) -> TotalDocument:
    return total_document(month.rows(By.WORKSPACE), besides.get(TOTAL, Beside()))


def _reported(report: MonthReport, workspace: WorkspaceReport) -> ReportedWorkspaceDocument:
    cost = workspace.total.cost

    def documents(rows: Iterable[CostRow]) -> list[CostDocument]:
        return [cost_document(row, report.besides[row.place], is_over=report.is_over) for row in rows]

    return ReportedWorkspaceDocument(
        **_month(workspace.total, is_over=report.is_over),
        **_beside(workspace.beside),
        change_split_usd=_split(workspace.beside),
        included_operations=cost.included_operations if cost else None,
        included_storage_bytes=cost.included_storage_bytes if cost else None,
        reconciliation_difference_operations=workspace.difference.operations,
        revised_days=workspace.revised_days,
        revised_operations=workspace.revised_operations,
        by_day=[usage_document(day) for day in workspace.days],
        events=[EventDocument(**asdict(event)) for event in workspace.events],
        projects=documents(workspace.projects),
        databases=documents(workspace.databases),
    )


def _month(row: CostRow, *, is_over: bool) -> Keys:
    cost, gib_months = row.cost, row.gib_months
    low, high = expected_bounds(row, is_over=is_over) if row.project_id is None else (None, None)
    return {
        **_place(row),
        **_used(row.usage, row.mean_storage_bytes),
        **_priced(row.usage, row.bill, is_plan_assumed=_is_plan_assumed(cost)),
        **_limits(cost if row.project_id is None and row.database_id is None else None),
        "month": f"{row.until:%Y-%m}",
        "is_deleted": row.is_deleted,
        "plan": cost.plan if cost else None,
        "is_plan_assumed": _is_plan_assumed(cost),
        "price_version": cost.price_version if cost else None,
        "storage_gib_months": None if gib_months is None else round(float(gib_months), 6),
        "expected_usd": None if is_over else row.expected_usd,
        "is_expected_complete": row.is_expected_complete and not is_over,
        "low_usd": low,
        "high_usd": high,
        "forecast_missing": cost.forecast_missing if cost and not is_over else None,
        "unpriced": cost.unpriced if cost else None,
    }


def _place(row: CostRow) -> Keys:
    return {
        "workspace_id": row.workspace_id,
        "workspace_name": row.workspace_name,
        "project_id": row.project_id,
        "project_name": row.project_name,
        "database_id": row.database_id,
        "database_name": row.database_name,
    }


def _known(usage: Usage) -> Keys:
    return {
        "operations": usage.operations,
        "days_known": usage.days_known,
        "days": usage.days,
        "storage_covered_ratio": usage.storage_covered_ratio,
        "unplaced_databases": usage.unplaced_databases,
        "is_usage_complete": usage.is_complete,
        "usage_missing": list(usage.missing),
    }


def _used(usage: Usage, mean_storage_bytes: int | None) -> Keys:
    return {**_known(usage), "mean_storage_bytes": mean_storage_bytes}


def _mean_so_far(usage: Usage, now: datetime) -> int | None:
    return usage.mean_storage_bytes(int((now - month_start(now)).total_seconds()))


def _is_plan_assumed(cost: WorkspaceCost | None) -> bool:
    return cost is not None and cost.plan_assumed_at is not None


def _limits(cost: WorkspaceCost | None) -> Keys:
    limit, bill = (cost.spend_limit, cost.bill) if cost is not None else (None, None)
    expected = cost.expected_bill.charges if cost is not None and cost.expected_bill is not None else None
    known = bill.known_charges if bill is not None else None
    return {
        "spend_limit_usd": limit.usd if limit is not None else None,
        "spend_limit_counted_usd": _counted(limit, known),
        "is_spend_limit_counted_complete": limit is not None and bill is not None and bill.are_charges_known,
        "spend_limit_expected_usd": _counted(limit, expected),
        "limits_reached_at": dict(cost.limits) if cost is not None else {},
    }


def _counted(limit: SpendLimit | None, charges: Decimal | None) -> Decimal | None:
    return None if limit is None or charges is None else round(limit.counted(charges), 2)


def _priced(usage: Usage, bill: Bill | None, *, is_plan_assumed: bool) -> Keys:
    fee, operations, storage = bill.parts if bill is not None else (None, None, None)
    known_fee, known_operations, known_storage = bill.known_parts if bill is not None else (None, None, None)
    total = bill.total if bill is not None else None
    return {
        "fee_usd": fee,
        "operations_usd": operations,
        "storage_usd": storage,
        "total_usd": total,
        "known_usd": bill.known if bill is not None and bill.is_anything_known else None,
        "known_fee_usd": known_fee,
        "known_operations_usd": known_operations,
        "known_storage_usd": known_storage,
        "is_complete": total is not None and (usage.is_complete or not is_plan_assumed),
    }


def _beside(beside: Beside) -> Keys:
    return {
        "share_percent": beside.share_percent,
        "last_month_usd": beside.last_month_usd,
        "last_month_known_usd": beside.last_month_known_usd,
        "change_usd": beside.change_usd,
        "change_percent": beside.change_percent,
    }


def _split(beside: Beside) -> dict[str, Decimal] | None:
    if beside.split is None:
        return None
    return {name.replace(" ", "_"): amount for name, amount in beside.split.items()}
