"""The one JSON form of what a month used and cost: what every command prints for programs and the JSON API answers.

Amounts are USD as exact texts, instants RFC 3339 in UTC, days UTC. `null` is what nobody told us, never 0.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema

from prisma_postgres_exporter.cost import CostRow
from prisma_postgres_exporter.report.changing import Beside

Usd = Annotated[
    Decimal,
    PlainSerializer(lambda amount: f"{amount:f}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "description": "USD, exact"}),
]


class Document(BaseModel):
    """Everything that is answered."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class CostDocument(Document):
    """What a workspace, project or database used and cost in a month, deleted databases included.

    `operations` are those of `days_known` of the `days` that its databases had; `mean_storage_bytes` is the mean level
    of the month so far and `storage_gib_months` what is billed of it, both of the part `storage_covered_ratio` of their
    time that is known. `total_usd` and each of its parts is given where all of it is known; `known_usd` is what is
    known of it: a workspace costs at least so much. `is_complete`: nothing is missing, neither usage nor price.
    `share_percent` is its part of what is known of all. Of a month that runs `expected_usd` is compared with
    `last_month_usd`, of one that is over `total_usd`. `forecast_missing` says what the workspace's forecast had to do
    without.
    """

    month: str
    workspace_id: str
    workspace_name: str
    project_id: str | None
    project_name: str | None
    database_id: str | None
    database_name: str | None
    is_deleted: bool
    plan: str | None
    price_version: str | None
    operations: int | None
    days_known: int
    days: int
    mean_storage_bytes: int | None
    storage_gib_months: float | None
    storage_covered_ratio: float | None
    is_complete: bool
    fee_usd: Usd | None
    operations_usd: Usd | None
    storage_usd: Usd | None
    total_usd: Usd | None
    known_usd: Usd | None
    share_percent: float | None = None
    last_month_usd: Usd | None = None
    change_usd: Usd | None = None
    change_percent: float | None = None
    expected_usd: Usd | None
    low_usd: Usd | None
    high_usd: Usd | None
    forecast_missing: str | None
    unpriced: str | None


def cost_document(row: CostRow, *, is_over: bool, beside: Beside | None = None) -> CostDocument:
    """Return the document of one row; `beside` is what it is compared with."""
    fee, operations, storage = row.bill.parts if row.bill is not None else (None, None, None)
    low, high = expected_bounds(row, is_over=is_over) if row.project_id is None else (None, None)
    gib_months = row.gib_months
    return CostDocument(
        month=f"{row.until:%Y-%m}",
        workspace_id=row.workspace_id,
        workspace_name=row.workspace_name,
        project_id=row.project_id,
        project_name=row.project_name,
        database_id=row.database_id,
        database_name=row.database_name,
        is_deleted=row.is_deleted,
        plan=row.cost.plan if row.cost else None,
        price_version=row.cost.price_version if row.cost else None,
        operations=row.operations,
        days_known=row.usage.days_known,
        days=row.usage.days,
        mean_storage_bytes=row.mean_storage_bytes,
        storage_gib_months=None if gib_months is None else round(float(gib_months), 6),
        storage_covered_ratio=row.usage.storage_covered_ratio,
        is_complete=row.usage.is_complete and row.total is not None,
        fee_usd=fee,
        operations_usd=operations,
        storage_usd=storage,
        total_usd=row.total,
        known_usd=row.known_usd,
        share_percent=beside.share_percent if beside else None,
        last_month_usd=beside.last_month_usd if beside else None,
        change_usd=beside.change_usd if beside else None,
        change_percent=beside.change_percent if beside else None,
        expected_usd=None if is_over else row.expected_usd,
        low_usd=low,
        high_usd=high,
        forecast_missing=row.cost.forecast_missing if row.cost and not is_over else None,
        unpriced=row.cost.unpriced if row.cost else None,
    )


def expected_bounds(row: CostRow, *, is_over: bool) -> tuple[Decimal | None, Decimal | None]:
    """What a workspace's month will cost at least and at most, in USD."""
    cost = row.cost
    if cost is None or cost.low_bill is None or cost.high_bill is None or is_over:
        return None, None
    return cost.low_bill.total, cost.high_bill.total


def usd_text(amount: Decimal | None) -> str | None:
    """An amount as it is, exactly."""
    return None if amount is None else f"{amount:f}"
