"""Rows as JSON documents: what the commands print for programs and the JSON API answers."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from prisma_postgres_exporter.cost import CostRow


def cost_document(row: CostRow, until: datetime, *, is_over: bool) -> dict[str, object]:
    """What JSON and CSV say of one workspace, project or database in a month: amounts are exact texts, in USD."""
    fee, operations, storage = row.share
    low, high = expected_bounds(row, is_over=is_over) if row.project_id is None else (None, None)
    return {
        "month": f"{until:%Y-%m}",
        "workspace_id": row.workspace_id,
        "workspace_name": row.workspace_name,
        "project_id": row.project_id,
        "project_name": row.project_name,
        "database_id": row.database_id,
        "database_name": row.database_name,
        "is_deleted": row.is_deleted,
        "plan": row.cost.plan if row.cost else None,
        "price_version": row.cost.price_version if row.cost else None,
        "operations": row.operations,
        "mean_storage_bytes": row.mean_storage_bytes(until),
        "fee_usd": usd_text(fee),
        "operations_usd": usd_text(operations),
        "storage_usd": usd_text(storage),
        "total_usd": usd_text(row.total),
        "expected_usd": None if is_over else usd_text(row.expected_usd),
        "low_usd": usd_text(low),
        "high_usd": usd_text(high),
        "unpriced": row.cost.unpriced if row.cost else None,
    }


def expected_bounds(row: CostRow, *, is_over: bool) -> tuple[Decimal | None, Decimal | None]:
    """What a workspace's month will cost at least and at most, in USD."""
    cost = row.cost
    if cost is None or cost.low_bill is None or cost.high_bill is None or is_over:
        return None, None
    return cost.low_bill.total, cost.high_bill.total


def usd_text(amount: Decimal | None) -> str | None:
    """An amount as it is, exactly."""
    return None if amount is None else f"{amount}"
