"""Amounts as a person reads them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from prisma_postgres_exporter.cost import ABOUT, Bill, CostRow, Usage

GIB = 2**30
NONE = "–"
BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
"""The vendor's own units of what is used."""

DECIMAL = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
"""Those of a plan that includes 500 MB."""


def money(amount: Decimal | None) -> str:
    """USD to the cent, a dash where no price is known."""
    return NONE if amount is None else f"{amount:,.2f}"


def signed_money(change: Decimal | None) -> str:
    """A change in USD with its sign, which nothing has not."""
    return f"{change:+,.2f}" if change else money(change)


def changed_money(change: Decimal | None, *, is_complete: bool) -> str:
    """The same of a difference; where one of both is not known whole, about so much."""
    said = signed_money(change)
    return said if change is None or is_complete else f"about {said}"


def at_least(known: Decimal | None, *, is_complete: bool) -> str:
    """USD to the cent; of what is not known whole, that it is at least so much."""
    if known is None or is_complete:
        return money(known)
    return f"at least {money(known)}"


def about(expected: Decimal | None, *, is_complete: bool) -> str:
    """USD to the cent that are expected; where not of everything, about so much: an estimate is no lower bound."""
    return money(expected) if expected is None or is_complete else f"{ABOUT}{money(expected)}"


def cost_so_far(bill: Bill | None) -> str:
    """What is known of a cost: at least so much, or of a share of what is known about so much; a dash where nothing."""
    return NONE if bill is None or not bill.is_anything_known else f"{bill.qualifier}{money(bill.known)}"


def expected_cost(row: CostRow) -> str:
    """What is expected of a whole month, or about so much."""
    return f"{row.expected_qualifier}{money(row.expected_usd)}"


def least_count(usage: Usage, write: Callable[[int | None], str] | None = None) -> str:
    """Operations for a table's cell; where not all are known, that there were at least so many."""
    return f"{'≥ ' if usage.operations_qualifier else ''}{(write or count)(usage.operations)}"


def count(operations: int | None) -> str:
    """Operations, a dash where none is known."""
    return NONE if operations is None else f"{operations:,}"


def gib(size_bytes: int | None) -> str:
    """Bytes in GiB, a dash where no level is known."""
    return NONE if size_bytes is None else f"{size_bytes / GIB:,.2f}"


def mean_gib(row: CostRow) -> str:
    """The mean level of a month so far in GiB, and whether that is at least or about so much."""
    mean = row.mean_storage_bytes
    return NONE if mean is None else f"{row.usage.mean_storage_qualifier}{gib(mean)}"


def in_unit_of(included_bytes: int, size_bytes: float) -> str:
    """A size beside what a plan includes, in the unit in which the vendor says that: `270 MB` of `500 MB`.

    One that is nothing in that unit is in a smaller one.
    """
    units = DECIMAL if included_bytes % 2**20 and included_bytes % 10**6 == 0 else BINARY
    at_least_bytes = included_bytes if size_bytes >= included_bytes / 100 or not size_bytes else size_bytes
    unit_bytes, unit = next((unit for unit in units if at_least_bytes >= unit[0]), units[-1])
    value = size_bytes / unit_bytes
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    text = f"{value:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text} {unit}"


def nearest_percent(part: float | Decimal, digits: int = 0) -> float:
    """A part in percent, to the nearest; what is not all of it is never 100, and nothing is minus zero."""
    nearest = round(float(part) * 100, digits) + 0.0
    return nearest if nearest != 100 or part >= 1 else 100 - 10.0**-digits


def percent(part: float | Decimal) -> str:
    """A part in whole percent: what is not all of it is never 100 %, and what is something is not 0 %."""
    nearest = nearest_percent(part)
    return "under 1 %" if not nearest and part > 0 else f"{nearest:,.0f} %"
