"""Invoices worked out by hand, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from prisma_postgres_exporter.config import PriceRow, load_config
from prisma_postgres_exporter.cost import Span, Usage, make_bill, price_of

GIB = 2**30
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PRICES = load_config(environ={}).prices


def row(plan: str, version: str = "2026-08") -> PriceRow:
    found = price_of(PRICES, plan, version, NOVEMBER[0].date())
    assert found is not None
    return found


def whole_month(plan: str, operations: int, average_gib: float, version: str = "2026-08") -> Span:
    seconds = int((NOVEMBER[1] - NOVEMBER[0]).total_seconds())
    return Span(
        price=row(plan, version),
        starts_at=NOVEMBER[0],
        ends_at=NOVEMBER[1],
        usage=Usage(operations=operations, storage_byte_seconds=int(average_gib * GIB) * seconds),
    )


@pytest.mark.parametrize(
    ("plan", "operations", "average_gib", "fee", "for_operations", "for_storage"),
    [
        # Nothing used, and exactly what is included: the fee alone.
        ("starter", 0, 0, "10.00", "0.00", "0.00"),
        ("starter", 1_000_000, 10, "10.00", "0.00", "0.00"),
        ("business", 50_000_000, 100, "129.00", "0.00", "0.00"),
        # 2,500,000 - 1,000,000 = 1.5 million at 8.00 = 12.00; 12 - 10 = 2 GiB at 2.00 = 4.00
        ("starter", 2_500_000, 12, "10.00", "12.00", "4.00"),
        # 37,000,000 - 10,000,000 = 27 million at 2.00 = 54.00; 80 - 50 = 30 GiB at 1.50 = 45.00
        ("pro", 37_000_000, 80, "49.00", "54.00", "45.00"),
        # 123,456,789 - 50,000,000 = 73.456789 million at 1.00 = 73.46; 100.5 - 100 = 0.5 GiB at 1.00 = 0.50
        ("business", 123_456_789, 100.5, "129.00", "73.46", "0.50"),
        # One operation over: 0.000001 million at 8.00 is nothing on an invoice.
        ("starter", 1_000_001, 0, "10.00", "0.00", "0.00"),
        # 625 operations over: 0.000625 million at 8.00 = 0.005, half a cent is a cent.
        ("starter", 1_000_625, 0, "10.00", "0.01", "0.00"),
        # Free stops at what it includes and charges nothing.
        ("free", 900_000, 3, "0.00", "0.00", "0.00"),
    ],
)
def test_a_month_on_one_plan(
    plan: str, operations: int, average_gib: float, fee: str, for_operations: str, for_storage: str
) -> None:
    bill = make_bill([whole_month(plan, operations, average_gib)])

    assert (bill.fee, bill.operations, bill.storage) == (Decimal(fee), Decimal(for_operations), Decimal(for_storage))
    assert bill.total == Decimal(fee) + Decimal(for_operations) + Decimal(for_storage)


def test_storage_for_half_the_month_counts_half() -> None:
    # The vendor's example: 20 GiB for half the month is about 10 GiB, which Starter includes; 30 GiB are 15: 5 at 2.00.
    half = 15 * 86_400
    for gib, for_storage in ((20, "0.00"), (30, "10.00")):
        span = Span(
            price=row("starter"),
            starts_at=NOVEMBER[0],
            ends_at=NOVEMBER[1],
            usage=Usage(operations=0, storage_byte_seconds=gib * GIB * half),
        )
        assert make_bill([span]).storage == Decimal(for_storage)


def test_a_plan_that_changes_in_mid_month_has_each_part_by_its_time() -> None:
    # 10 of 30 days Starter: fee 10 / 3 = 3.33…; 633,333 less 333,333.3… included = 0.3 million at 8 = 2.40.
    # 20 of 30 days Pro: fee 49 x 2 / 3 = 32.66…; 8,666,667 less 6,666,666.6… included = 2 million at 2 = 4.00.
    changed_at = NOVEMBER[0] + 10 * DAY
    bill = make_bill(
        [
            Span(
                price=row("starter"),
                starts_at=NOVEMBER[0],
                ends_at=changed_at,
                usage=Usage(operations=633_333, storage_byte_seconds=0),
            ),
            Span(
                price=row("pro"),
                starts_at=changed_at,
                ends_at=NOVEMBER[1],
                usage=Usage(operations=8_666_667, storage_byte_seconds=0),
            ),
        ]
    )

    assert (bill.fee, bill.operations) == (Decimal("36.00"), Decimal("6.40"))


def test_a_price_that_is_not_known_makes_no_number() -> None:
    # The older Starter: 300,000 - 100,000 = 0.2 million at 18.00 = 3.60; its fee is not documented any more.
    bill = make_bill([whole_month("starter", 300_000, 0.5, version="2025")])

    assert (bill.fee, bill.operations, bill.storage, bill.total) == (None, Decimal("3.60"), Decimal("0.00"), None)


def test_storage_over_the_included_without_a_known_rate_makes_no_number() -> None:
    assert make_bill([whole_month("starter", 0, 2, version="2025")]).storage is None
