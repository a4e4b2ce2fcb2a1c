"""Rules of FOCUS 1.2 for the columns that we write, from https://focus.finops.org/focus-specification/v1-2/."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal

MANDATORY = {
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ServiceCategory",
    "ServiceName",
}
MAY_BE_NULL = {"ChargeClass", "ConsumedQuantity", "ConsumedUnit", "RegionId"}
ALLOWED: Mapping[str, set[object]] = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {None, "Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "ServiceCategory": {"Databases"},
    "ServiceSubcategory": {
        "Relational Databases",
        "NoSQL Databases",
        "Caching",
        "Data Warehouses",
        "Other (Databases)",
    },
}
UNIT = re.compile(r"(\d+ )?[A-Z][A-Za-z]*(-(Years|Months|Days|Hours|Minutes|Seconds))?")
SMALLEST = Decimal("0.000000001")


def broken_rules(row: Mapping[str, object]) -> Iterator[str]:
    """What is wrong with one row."""
    yield from (f"{name} is null" for name, value in row.items() if value is None and name not in MAY_BE_NULL)
    yield from (f"{name}: {row[name]}" for name, allowed in ALLOWED.items() if row[name] not in allowed)
    yield from (
        f"{name}: {row[name]}"
        for name in ("PricingUnit", "ConsumedUnit")
        if row[name] is not None and not UNIT.fullmatch(str(row[name]))
    )
    is_usage = row["ChargeCategory"] == "Usage"
    if (row["ConsumedQuantity"] is not None) != is_usage or (row["ConsumedUnit"] is not None) != is_usage:
        yield "ConsumedQuantity is of usage only"
    price, quantity, cost = (row[name] for name in ("ListUnitPrice", "PricingQuantity", "ListCost"))
    if not (isinstance(price, Decimal) and isinstance(quantity, Decimal) and isinstance(cost, Decimal)):
        yield "price, quantity and cost are decimals"
    elif price < 0 or abs(price * quantity - cost) > SMALLEST:
        yield f"ListUnitPrice {price} times PricingQuantity {quantity} is not ListCost {cost}"
    if len({row[name] for name in ("ListCost", "ContractedCost", "EffectiveCost", "BilledCost")}) != 1:
        yield "without discounts every cost is the same"
    starts_at, ends_at, from_at, to_at = (
        row[name] for name in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
    )
    instants = [at for at in (starts_at, from_at, to_at, ends_at) if isinstance(at, datetime)]
    if len(instants) != 4 or instants != sorted(instants) or instants[1] == instants[2]:
        yield f"{from_at} to {to_at} is no part of {starts_at} to {ends_at}"
