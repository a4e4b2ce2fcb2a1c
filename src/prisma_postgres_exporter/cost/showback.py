"""Share an amount out so that the shares add up to the cent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from prisma_postgres_exporter.cost.bill import CENT


def share_out(amount: Decimal, weights: Mapping[str, int]) -> dict[str, Decimal]:
    """Share whole cents out in proportion to weights, none negative; equally where all weights are 0.

    Each share is rounded down, and the cents that are left go to the largest remainders, of equal ones to
    the first by name.

    Raises:
        ValueError: there is an amount and nobody to share it.
    """
    cents = int(amount / CENT)
    if not weights:
        if cents:
            raise ValueError("nobody to share it out to")
        return {}
    total = sum(weights.values())
    known = weights if total else dict.fromkeys(weights, 1)
    total = total or len(weights)
    shares = {name: divmod(cents * weight, total) for name, weight in known.items()}
    left = cents - sum(whole for whole, _ in shares.values())
    by_remainder = sorted(shares, key=lambda name: (-shares[name][1], name))
    with_one_more = set(by_remainder[:left])
    return {name: (whole + (name in with_one_more)) * CENT for name, (whole, _) in shares.items()}
