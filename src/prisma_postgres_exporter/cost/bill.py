"""What a workspace's calendar month costs: exact, to the cent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from prisma_postgres_exporter.config import PriceRow
from prisma_postgres_exporter.model import month_start, next_month_start

CENT = Decimal("0.01")
GIB = 2**30
MILLION = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used: whole operations, and storage levels times the seconds they held."""

    operations: int
    storage_byte_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of one calendar month (UTC) in which one price was in force, and what was used in it."""

    price: PriceRow
    starts_at: datetime
    ends_at: datetime
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a month costs in USD, each part to the cent; `None` where a price is not known."""

    fee: Decimal | None
    operations: Decimal | None
    storage: Decimal | None

    @property
    def charges(self) -> Decimal | None:
        """What is charged for usage: all but the fee."""
        return None if self.operations is None or self.storage is None else self.operations + self.storage

    @property
    def total(self) -> Decimal | None:
        """Everything."""
        return None if self.charges is None or self.fee is None else self.charges + self.fee


def make_bill(spans: Sequence[Span]) -> Bill:
    """Add up the spans of one month, which must cover all of it: the time to come counts with what is used so far.

    The vendor bills operations and storage over what is included, for all databases of a workspace together,
    and storage as the month's average: the whole month is the denominator. Where the price changes in mid-month,
    each span has its part of the fee and of what is included, by time; the vendor does not document this.
    """
    month_seconds = _seconds(month_start(spans[0].starts_at), next_month_start(spans[0].starts_at))
    fee = operations = storage = Fraction(0)
    is_known = {"fee": True, "operations": True, "storage": True}
    for span in spans:
        price, share = span.price, Fraction(_seconds(span.starts_at, span.ends_at), month_seconds)
        if price.fee_usd is None:
            is_known["fee"] = False
        else:
            fee += Fraction(price.fee_usd) * share
        over = max(Fraction(0), span.usage.operations - price.included_operations * share)
        charged = _charged(over / MILLION, price.usd_per_million_operations, price)
        is_known["operations"] &= charged is not None
        operations += charged or 0
        average = Fraction(span.usage.storage_byte_seconds, month_seconds)
        over = max(Fraction(0), average - price.included_storage * share)
        charged = _charged(over / GIB, price.usd_per_gib_month, price)
        is_known["storage"] &= charged is not None
        storage += charged or 0
    return Bill(
        fee=_cents(fee) if is_known["fee"] else None,
        operations=_cents(operations) if is_known["operations"] else None,
        storage=_cents(storage) if is_known["storage"] else None,
    )


def _charged(amount: Fraction, rate: Decimal | None, price: PriceRow) -> Fraction | None:
    """What `amount` over the included costs; nothing over is nothing to charge, whatever the rate."""
    if price.hard_stop or amount == 0:
        return Fraction(0)
    return None if rate is None else amount * Fraction(rate)


def _cents(amount: Fraction) -> Decimal:
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return exact.quantize(CENT, rounding=ROUND_HALF_UP)


def _seconds(starts_at: datetime, ends_at: datetime) -> int:
    return int((ends_at - starts_at).total_seconds())
