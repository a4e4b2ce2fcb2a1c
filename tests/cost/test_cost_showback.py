"""Shares add up to the cent, whatever the weights."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.cost import share_out


@given(st.integers(0, 10**9), st.dictionaries(st.text(max_size=5), st.integers(0, 2**60), min_size=1, max_size=30))
def test_shares_add_up_and_are_off_by_less_than_a_cent(cents: int, weights: dict[str, int]) -> None:
    amount = Decimal(cents) / 100
    shares = share_out(amount, weights)

    assert sum(shares.values()) == amount
    assert shares.keys() == weights.keys()
    total = sum(weights.values())
    for name, share in shares.items():
        exact = cents * weights[name] / total if total else cents / len(weights)
        assert abs(float(share) * 100 - exact) < 1 + 1e-6 * exact


def test_what_is_left_goes_to_the_largest_remainders() -> None:
    # 1.00 in parts of 1, 1, 1 : 33.33 cents each, one cent is left, all remainders are equal: the first by name.
    assert share_out(Decimal("1.00"), {"b": 1, "a": 1, "c": 1}) == {
        "a": Decimal("0.34"),
        "b": Decimal("0.33"),
        "c": Decimal("0.33"),
    }


def test_without_any_use_it_is_shared_equally() -> None:
    assert share_out(Decimal("10.00"), {"a": 0, "b": 0}) == {"a": Decimal("5.00"), "b": Decimal("5.00")}


def test_an_amount_needs_somebody_to_pay_it() -> None:
    assert share_out(Decimal(0), {}) == {}
    with pytest.raises(ValueError, match="nobody"):
        share_out(Decimal("0.01"), {})
