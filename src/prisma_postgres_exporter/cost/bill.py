"""What a workspace's calendar month costs: exact, to the cent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from prisma_postgres_exporter.config import PriceRow
from prisma_postgres_exporter.cost.usage import GIB, Usage
from prisma_postgres_exporter.model import month_start, next_month_start

CENT = Decimal("0.01")
MILLION = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A part of one calendar month (UTC) in which one price was in force, and what was used in it."""

    price: PriceRow
    starts_at: datetime
    ends_at: datetime
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a month costs in USD, each part to the cent; `None` where a price is not known.

    A part that is not known whole (`is_fee_known`, `are_operations_known`, `is_storage_known`) is at least so much, be
    that 0, where something of it is known (`are_some_operations_known`, `is_some_storage_known`). If not `is_listed`,
    databases may have used more that nobody saw: charges are at least so much. `is_share`: others have a part of the
    same bill too, and while that is not known whole, whose part is how large may change both ways.
    """

    fee: Decimal | None
    operations: Decimal | None
    storage: Decimal | None
    is_fee_known: bool = True
    are_operations_known: bool = True
    is_storage_known: bool = True
    are_some_operations_known: bool = False
    is_some_storage_known: bool = False
    is_listed: bool = True
    is_share: bool = False

    @property
    def parts(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """Fee, operations and storage; `None` where it is not known whole."""
        return (
            self.fee if self.is_fee_known and (self.is_listed or not self.is_share or not self.fee) else None,
            self.operations if self.are_operations_known and self.is_listed else None,
            self.storage if self.is_storage_known and self.is_listed else None,
        )

    @property
    def known_parts(self) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
        """What is known of each: it is at least so much. A part of which nothing is known yet is no 0."""
        fee, operations, storage = self.listed.parts
        return (
            self.fee if self.fee else fee,
            self.operations if self.operations or self.are_some_operations_known else operations,
            self.storage if self.storage or self.is_some_storage_known else storage,
        )

    @property
    def is_anything_known(self) -> bool:
        """Whether `known` is of anything: that nobody read what was used is no amount of 0."""
        return bool(self.known) or any(part is not None for part in self.known_parts)

    @property
    def charges(self) -> Decimal | None:
        """What is charged for the usage that is known: all but the fee."""
        return None if self.operations is None or self.storage is None else self.operations + self.storage

    @property
    def known_charges(self) -> Decimal | None:
        """What is known of them, if anything is: one of them whole, or a part of one."""
        _, operations, storage = self.known_parts
        return None if operations is None and storage is None else self.charges

    @property
    def are_charges_known(self) -> bool:
        """Whether all usage is known that is charged for; else they are at least `charges`."""
        return self.are_operations_known and self.is_storage_known and self.is_listed

    @property
    def total(self) -> Decimal | None:
        """Everything, where all of it is known."""
        return self.known if None not in self.parts else None

    @property
    def listed(self) -> Bill:
        """The same of the databases that are known, and no others."""
        return replace(self, is_listed=True)

    @property
    def qualifier(self) -> str:
        """What is said before `known`: nothing of a whole cost; a share of what is known is no lower bound."""
        if self.total is not None or self.known is None:
            return ""
        return "about " if self.is_share else "at least "

    @property
    def known(self) -> Decimal | None:
        """Everything that is known: it costs at least so much, or as `qualifier` says."""
        priced = [part for part in (self.fee, self.operations, self.storage) if part is not None]
        return sum(priced, Decimal(0)) if priced else None


def make_bill(spans: Sequence[Span]) -> Bill:
    """Add up the spans of one month, which must cover all of it: the time to come counts with what is used so far.

    The vendor bills operations and storage over what is included, for all databases of a workspace together, and
    storage as the month's average: the whole month is the denominator. Where the plan changes in mid-month, only the
    fee goes by time (a lower one begins with the next month), usage never does: since an upgrade from a plan that
    charges nothing it counts against the whole allowance, and between plans that charge, all of it counts at the plan
    of the month's end (the vendor's page on changing a plan; of storage it says nothing, which is counted alike).
    Where one plan's price changes in mid-month, each span has its part of what is included, by time; that is not
    documented.
    """
    month_seconds = _seconds(month_start(spans[0].starts_at), next_month_start(spans[0].starts_at))
    charged = _charged_spans(spans)
    seconds = sum(_seconds(span.starts_at, span.ends_at) for span in charged)
    operations: Fraction | None = Fraction(0)
    storage: Fraction | None = Fraction(0)
    for span in charged:
        price, share = span.price, Fraction(_seconds(span.starts_at, span.ends_at), seconds)
        over = max(Fraction(0), span.usage.known_operations - price.included_operations * share)
        operations = _added(operations, over / MILLION, price.usd_per_million_operations)
        average = Fraction(span.usage.known_byte_seconds, month_seconds)
        over = max(Fraction(0), average - price.included_storage * share)
        storage = _added(storage, over / GIB, price.usd_per_gib_month)
    return Bill(
        fee=_fee(spans, month_seconds),
        operations=None if operations is None else _cents(operations),
        storage=None if storage is None else _cents(storage),
        are_operations_known=all(span.usage.listed.are_operations_known for span in charged),
        is_storage_known=all(span.usage.listed.is_storage_known for span in charged),
        are_some_operations_known=any(span.usage.operations is not None for span in charged),
        is_some_storage_known=any(span.usage.is_any_storage_known for span in charged),
        is_listed=not any(span.usage.unlisted for span in charged),
    )


def charged_from(prices: Sequence[PriceRow]) -> tuple[int, int]:
    """The first and the last of a month's prices (in order) whose usage is charged; the last is -1 where none is.

    What was used before an upgrade from a plan that stops at what it includes is never charged.
    """
    last = max((index for index, price in enumerate(prices) if not price.hard_stop), default=-1)
    first = max((index + 1 for index, price in enumerate(prices[: last + 1]) if price.hard_stop), default=0)
    return first, last


def _charged_spans(spans: Sequence[Span]) -> Sequence[Span]:
    """The spans whose usage is charged, at the plan of their end."""
    first, last = charged_from([span.price for span in spans])
    charged = spans[first : last + 1]
    if len({span.price.plan.lower() for span in charged}) <= 1:
        return charged
    usage = charged[0].usage
    for span in charged[1:]:
        usage += span.usage
    whole = Span(price=charged[-1].price, starts_at=charged[0].starts_at, ends_at=charged[-1].ends_at, usage=usage)
    return (whole,)


def _fee(spans: Sequence[Span], month_seconds: int) -> Decimal | None:
    """By time; of a fee that was charged at once nothing comes back."""
    fee, due = Fraction(0), Decimal(0)
    for span in spans:
        if span.price.fee_usd is None:
            return None
        due = max(due, span.price.fee_usd)
        fee += Fraction(due) * Fraction(_seconds(span.starts_at, span.ends_at), month_seconds)
    return _cents(fee)


def _added(sum_so_far: Fraction | None, amount: Fraction, rate: Decimal | None) -> Fraction | None:
    """With what `amount` over the included costs; nothing over is nothing to charge, whatever the rate."""
    if sum_so_far is None or amount == 0:
        return sum_so_far
    return None if rate is None else sum_so_far + amount * Fraction(rate)


def _cents(amount: Fraction) -> Decimal:
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return exact.quantize(CENT, rounding=ROUND_HALF_UP)


def _seconds(starts_at: datetime, ends_at: datetime) -> int:
    return int((ends_at - starts_at).total_seconds())
