"""Amounts as a person reads them: one rule for parts in percent, and a plan's storage in the plan's own unit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.report import Beside, change_sentence, in_unit_of, nearest_percent, percent


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (0, "0 %"),
        (0.0001, "under 1 %"),
        (169_998 / 200_000, "85 %"),
        (0.843, "84 %"),
        (0.9999, "99 %"),
        (Decimal("0.99999999"), "99 %"),
        (1, "100 %"),
        (1.001, "100 %"),
        (10.8069, "1,081 %"),
    ],
)
def test_a_part_is_told_to_the_nearest_percent(part: float | Decimal, said: str) -> None:
    assert percent(part) == said


@given(part=st.floats(0, 0.999_999_9), digits=st.integers(0, 2))
def test_what_is_not_all_of_it_is_never_100(part: float, digits: int) -> None:
    assert 0 <= nearest_percent(part, digits) < 100
    assert abs(nearest_percent(part, digits) - 100 * part) <= 10.0**-digits


@pytest.mark.parametrize("part", [-0.0004, Decimal("-0.0001"), -0.0])
def test_nothing_is_not_minus_zero(part: float | Decimal) -> None:
    assert f"{nearest_percent(part, 1):+}" == "+0.0"


@pytest.mark.parametrize(
    ("included", "used", "said"),
    [
        (500_000_000, 270_400_000, "270 MB"),
        (500_000_000, 500_000_000, "500 MB"),
        (500_000_000, 90_000, "90 kB"),
        (10 * 2**30, 10 * 2**30, "10 GiB"),
        (10 * 2**30, 0, "0 GiB"),
        (10 * 2**30, 2**20, "1 MiB"),
        (50 * 2**30, 38.826 * 2**30, "38.8 GiB"),
        (2000 * 2**30, 1500 * 2**30, "1.46 TiB"),
    ],
)
def test_storage_is_in_the_unit_of_what_the_plan_includes(included: int, used: float, said: str) -> None:
    assert in_unit_of(included, used) == said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("0.00", "Against October (179.45 USD): no change."),
        ("-0.01", "Against October (179.45 USD): -0.01 USD."),
        ("-1.79", "Against October (179.45 USD): -1.79 USD (-1.0 %)."),
    ],
)
def test_a_change_without_a_tenth_of_a_percent_has_none(change: str, said: str) -> None:
    last = Decimal("179.45")
    beside = Beside(last_month_usd=last, last_month_known_usd=last, change_usd=Decimal(change))

    assert change_sentence(beside, datetime(2026, 11, 23, tzinfo=UTC), is_over=True) == said
