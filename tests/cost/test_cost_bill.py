"""Invoices worked out by hand, to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from prisma_postgres_exporter.config import PriceRow, load_config
from prisma_postgres_exporter.cost import Bill, Span, Usage, make_bill, price_of

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
        usage=Usage(known_operations=operations, known_byte_seconds=int(average_gib * GIB) * seconds),
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
            usage=Usage(known_operations=0, known_byte_seconds=gib * GIB * half),
        )
        assert make_bill([span]).storage == Decimal(for_storage)


def changed(before: str, after: str, at: datetime, operations: tuple[int, int], gib_days: tuple[int, int]) -> Bill:
    """November on one plan and from an instant on on another, with what was used on each, storage as GiB times days."""
    spans = zip((before, after), (NOVEMBER[0], at), (at, NOVEMBER[1]), operations, gib_days, strict=True)
    return make_bill(
        [
            Span(
                price=row(plan),
                starts_at=starts_at,
                ends_at=ends_at,
                usage=Usage(known_operations=count, known_byte_seconds=gib * GIB * 86_400),
            )
            for plan, starts_at, ends_at, count, gib in spans
        ]
    )


@pytest.mark.parametrize(
    ("before", "after", "day", "operations", "gib_days", "fee", "for_operations", "for_storage"),
    [
        # The vendor's example: on the 16th half the fee, and only what was used from then on counts, against all of
        # the allowance: 1,200,000 - 1,000,000 = 0.2 million at 8.00 = 1.60.
        ("free", "starter", 16, (200_000, 1_200_000), (0, 0), "5.00", "1.60", "0.00"),
        # On the 28th three of thirty days of 10.00; the 900,000 before it and the 500,000 after it charge nothing.
        ("free", "starter", 28, (900_000, 500_000), (0, 0), "1.00", "0.00", "0.00"),
        # Storage counts from the upgrade on: 600 GiB-days of thirty days are 20 GiB, 10 of them included: 10 at 2.00.
        ("free", "starter", 16, (0, 0), (3_000, 600), "5.00", "0.00", "20.00"),
        # Between paid plans the fee goes by time, 10 / 3 + 49 x 2 / 3 = 36.00, and all usage counts at the last plan:
        # 9,300,000 are included in Pro; 30,000,000 - 10,000,000 = 20 million at 2.00 = 40.00.
        ("starter", "pro", 11, (633_333, 8_666_667), (0, 0), "36.00", "0.00", "0.00"),
        ("starter", "pro", 11, (10_000_000, 20_000_000), (600, 1_200), "36.00", "40.00", "15.00"),
        # A lower fee begins with the next month: nothing comes back.
        ("pro", "starter", 11, (0, 1_500_000), (0, 0), "49.00", "4.00", "0.00"),
    ],
)
def test_a_plan_that_changes_in_mid_month(
    before: str,
    after: str,
    day: int,
    operations: tuple[int, int],
    gib_days: tuple[int, int],
    fee: str,
    for_operations: str,
    for_storage: str,
) -> None:
    bill = changed(before, after, NOVEMBER[0].replace(day=day), operations, gib_days)

    assert (bill.fee, bill.operations, bill.storage) == (Decimal(fee), Decimal(for_operations), Decimal(for_storage))


def test_what_is_not_known_whole_is_at_least_so_much() -> None:
    used = Usage(known_operations=2_000_000, days=30, days_known=29, storage_seconds=100, storage_seconds_known=100)
    (whole,) = (whole_month("starter", 0, 0),)
    bill = make_bill([replace(whole, usage=used)])

    assert bill.parts == (Decimal("10.00"), None, Decimal("0.00"))
    assert (bill.total, bill.known) == (None, Decimal("18.00"))


def test_a_price_that_changes_in_mid_month_has_each_part_by_its_time() -> None:
    # Ten days at 8.00 over a third of 1,000,000: 633,333 - 333,333 = 0.3 million = 2.40; twenty at 4.00 over two
    # thirds: 1,666,667 - 666,667 = 1 million = 4.00.
    dearer = row("starter").model_copy(update={"usd_per_million_operations": Decimal(4), "version": "next"})
    spans = [
        Span(
            price=price, starts_at=starts_at, ends_at=ends_at, usage=Usage(known_operations=count, known_byte_seconds=0)
        )
        for price, starts_at, ends_at, count in (
            (row("starter"), NOVEMBER[0], NOVEMBER[0] + 10 * DAY, 633_333),
            (dearer, NOVEMBER[0] + 10 * DAY, NOVEMBER[1], 1_666_667),
        )
    ]

    assert make_bill(spans).operations == Decimal("6.40")


def test_a_price_that_is_not_known_makes_no_number() -> None:
    # The older Starter: 300,000 - 100,000 = 0.2 million at 18.00 = 3.60; its fee is not documented any more.
    bill = make_bill([whole_month("starter", 300_000, 0.5, version="2025")])

    assert (bill.fee, bill.operations, bill.storage, bill.total) == (None, Decimal("3.60"), Decimal("0.00"), None)


def test_storage_over_the_included_without_a_known_rate_makes_no_number() -> None:
    assert make_bill([whole_month("starter", 0, 2, version="2025")]).storage is None
