"""Costs as rows of FOCUS, the FinOps Open Cost and Usage Specification, version 1.2.

Columns and their rules: https://focus.finops.org/focus-specification/v1-2/. One row for each database of a month and
each thing that is charged: the plan's fee (a purchase), operations and storage (usage). The amounts are the shares
that `cost --by database` shows, so the rows of a workspace add up to its bill; the fee of one without a database has
no resource. `ConsumedQuantity` must not be null in a row of usage that is no correction, so usage that is not known
whole, of a plan that charges nothing for it (else the workspace has no rows), has no row. What a discount
would change (contracted and effective cost) is the same as the list price: the vendor publishes no other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from prisma_postgres_exporter.config import PriceRow
from prisma_postgres_exporter.cost import By, CostRow, price_spans
from prisma_postgres_exporter.model import month_start, next_month_start
from prisma_postgres_exporter.report.months import LedgerMonth
from prisma_postgres_exporter.report.sentences import gap_spans, knowledge

VENDOR = "Prisma"
SERVICE = "Prisma Postgres"

FOCUS_COLUMNS: Mapping[str, type] = {
    "BilledCost": Decimal,
    "BillingAccountId": str,
    "BillingAccountName": str,
    "BillingAccountType": str,
    "BillingCurrency": str,
    "BillingPeriodEnd": datetime,
    "BillingPeriodStart": datetime,
    "ChargeCategory": str,
    "ChargeClass": str,
    "ChargeDescription": str,
    "ChargeFrequency": str,
    "ChargePeriodEnd": datetime,
    "ChargePeriodStart": datetime,
    "ConsumedQuantity": Decimal,
    "ConsumedUnit": str,
    "ContractedCost": Decimal,
    "EffectiveCost": Decimal,
    "InvoiceIssuerName": str,
    "ListCost": Decimal,
    "ListUnitPrice": Decimal,
    "PricingCategory": str,
    "PricingQuantity": Decimal,
    "PricingUnit": str,
    "ProviderName": str,
    "PublisherName": str,
    "RegionId": str,
    "ResourceId": str,
    "ResourceName": str,
    "ResourceType": str,
    "ServiceCategory": str,
    "ServiceName": str,
    "ServiceSubcategory": str,
    "SkuId": str,
    "SkuMeter": str,
    "SkuPriceId": str,
    "SubAccountId": str,
    "SubAccountName": str,
    "SubAccountType": str,
}
"""Every mandatory column and the conditional ones that apply, by the type of their values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Charge:
    """One thing that is charged: its share in USD, and how it is measured and priced."""

    meter: str
    category: str
    frequency: str
    cost: Decimal
    unit: str
    unit_price: Decimal | None
    consumed: Decimal | None
    consumed_unit: str | None


def focus_rows(month: LedgerMonth) -> Iterator[tuple[object, ...]]:
    """Yield rows of `FOCUS_COLUMNS`. A workspace that is not known whole has none: `left_out` says why.

    One that may have had databases that nobody saw has those of the databases that are known.
    """
    names = tuple(FOCUS_COLUMNS)
    for row in month.rows(By.DATABASE):
        whole = row.cost.bill if row.cost is not None else None
        if whole is not None and whole.listed.total is not None:
            price = _price(month, row.workspace_id)
            for charge in _charges(month, row, price):
                values = _values(month, row, price, charge)
                yield tuple(values[name] for name in names)


def left_out(month: LedgerMonth) -> Iterator[str]:
    """Yield the workspaces that have no rows, or not all, or whose rows are not exact, and why."""
    unsure = Counter(row.workspace_id for row in month.rows(By.DATABASE) if row.bill is None or row.bill.total is None)
    for row in month.rows(By.WORKSPACE):
        if row.listed_total is not None and row.total is None:
            is_shared = bool(month.costs.used.get(row.workspace_id))
            yield (
                f"{month.name}: workspace {row.workspace_name} ({row.workspace_id}) costs at least what its rows say: "
                f"left out are {' and '.join(_unlisted(month, row))}"
                + ("; what each row says is a share of what is known, perhaps too high or too low" if is_shared else "")
            )
        elif row.cost is not None and row.total is None:
            # A workspace that is gone may have got databases or another plan since.
            since = "what it has since is not known"
            lacks = since if row.usage.is_complete else f"its usage is incomplete ({knowledge(row.usage)})"
            why = row.cost.unpriced or lacks
            gone_at = month.ledger_state.workspaces[row.workspace_id].gone_at
            if gone_at is not None:
                why += f"; gone since {gone_at:%Y-%m-%d}: no command reads it any more"
            yield f"{month.name}: workspace {row.workspace_name} ({row.workspace_id}) is left out: {why}"
        elif unsure[row.workspace_id]:
            yield (
                f"{month.name}: workspace {row.workspace_name} ({row.workspace_id}) costs what its rows say together, "
                f"but what each row says is about so much: {_why_unsure(month, row)}"
            )


def _unlisted(month: LedgerMonth, row: CostRow) -> Iterator[str]:
    """Which databases are in no list."""
    state = month.ledger_state.workspaces[row.workspace_id]
    if row.usage.followed_late:
        yield f"databases deleted before {state.first_seen_at:%Y-%m-%d}, when it was first followed"
    if row.usage.unwatched:
        gaps = state.gaps_in(month_start(month.until), month.until)
        yield f"databases that came and went while nobody looked for databases, {gap_spans(gaps)}"


def _why_unsure(month: LedgerMonth, row: CostRow) -> str:
    since = row.cost.charged_since if row.cost is not None else None
    if since is None or not month.costs.charged[row.workspace_id].undated:
        return f"usage that its shares depend on is incomplete ({knowledge(row.usage)})"
    return f"only usage since {since:%Y-%m-%d} is charged, and what databases used on both sides is dealt out by time"


def _price(month: LedgerMonth, workspace_id: str) -> PriceRow:
    """The price at the month's end, or now; where it changed in the month, quantities are told at this one."""
    row = month.ledger_state.workspaces[workspace_id]
    spans = price_spans(month.config, row.workspace, row.plans, month.until)
    return next(span.price for span in spans if span.starts_at <= month.until < span.ends_at)


def _charges(month: LedgerMonth, row: CostRow, price: PriceRow) -> Sequence[_Charge]:
    parts = (row.bill.fee, row.bill.operations, row.bill.storage) if row.bill is not None else (None,) * 3
    fee, operations, storage = (part or Decimal(0) for part in parts)
    plan = _Charge(
        meter="Plan",
        category="Purchase",
        frequency="Recurring",
        cost=fee,
        unit="Months",
        unit_price=price.fee_usd,
        consumed=None,
        consumed_unit=None,
    )
    if row.database_id is None:
        return (plan,)  # a fee that no database bears
    gib_months = row.gib_months or Fraction(0)
    usage = (
        _Charge(
            meter="Operations",
            category="Usage",
            frequency="Usage-Based",
            cost=operations,
            unit="1000000 Operations",
            unit_price=price.usd_per_million_operations,
            consumed=Decimal(row.usage.known_operations),
            consumed_unit="Operations",
        ),
        _Charge(
            meter="Storage",
            category="Usage",
            frequency="Usage-Based",
            cost=storage,
            unit="GiB-Months",
            unit_price=price.usd_per_gib_month,
            consumed=round(Decimal(gib_months.numerator) / gib_months.denominator, 9),
            consumed_unit="GiB-Months",
        ),
    )
    is_known = (row.usage.are_operations_known, row.usage.is_storage_known)
    # What is charged is never left out: the rows are the bill.
    return plan, *(charge for charge, known in zip(usage, is_known, strict=True) if known or charge.cost)


def _values(month: LedgerMonth, row: CostRow, price: PriceRow, charge: _Charge) -> Mapping[str, object]:
    starts_at, ends_at = month_start(month.until), next_month_start(month.until)
    unit, unit_price, quantity = _priced(charge)
    sku = f"prisma-postgres-{charge.meter.lower()}"
    state = month.ledger_state.databases.get(row.database_id or "")
    return {
        "BilledCost": charge.cost,
        "BillingAccountId": row.workspace_id,
        "BillingAccountName": row.workspace_name,
        "BillingAccountType": "Workspace",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": ends_at,
        "BillingPeriodStart": starts_at,
        "ChargeCategory": charge.category,
        "ChargeClass": None,
        "ChargeDescription": f"{charge.meter} of {SERVICE}, plan {price.plan} ({price.version})",
        "ChargeFrequency": charge.frequency,
        # The fee is for all of the month, usage for what there was of it.
        "ChargePeriodEnd": ends_at if charge.category == "Purchase" else month.ends_at,
        "ChargePeriodStart": starts_at,
        "ConsumedQuantity": charge.consumed,
        "ConsumedUnit": charge.consumed_unit,
        "ContractedCost": charge.cost,
        "EffectiveCost": charge.cost,
        "InvoiceIssuerName": VENDOR,
        "ListCost": charge.cost,
        "ListUnitPrice": unit_price,
        "PricingCategory": "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ProviderName": VENDOR,
        "PublisherName": VENDOR,
        "RegionId": state.database.region if state is not None else None,
        "ResourceId": row.database_id,
        "ResourceName": row.database_name,
        "ResourceType": "Database" if row.database_id is not None else None,
        "ServiceCategory": "Databases",
        "ServiceName": SERVICE,
        "ServiceSubcategory": "Relational Databases",
        "SkuId": sku,
        "SkuMeter": charge.meter,
        "SkuPriceId": f"{sku}-{price.plan.lower()}-{price.version}",
        "SubAccountId": row.project_id,
        "SubAccountName": row.project_name,
        "SubAccountType": "Project" if row.project_id is not None else None,
    }


def _priced(charge: _Charge) -> tuple[str, Decimal, Decimal]:
    """Unit, unit price and quantity, whose product is the cost.

    The quantity is what is charged of the share: what is over the allowance, not what was consumed.
    """
    if charge.unit_price:
        return charge.unit, charge.unit_price, charge.cost / charge.unit_price
    if charge.cost:
        # Charged at the price that was in force earlier in the month; this one has none.
        return "Units", charge.cost, Decimal(1)
    return charge.unit, Decimal(0), Decimal(0)
