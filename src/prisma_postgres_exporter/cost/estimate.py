"""What a workspace costs so far in this month, what it will cost, and when a limit will be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost.bill import Bill, Span, Usage, make_bill
from prisma_postgres_exporter.cost.limits import reached_at
from prisma_postgres_exporter.cost.prices import PriceSpan, Unpriced, configured, price_spans
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.model import WorkspaceDay, WorkspaceState, month_start, next_month_start

PARTS = ("fee", "operations", "storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceUsage:
    """What a workspace used of a month until now, and what it is expected to use in all of it.

    `days` are its days of this month in the ledger; they tell which part belongs to which price.
    `forecast_missing` says what the forecast had to do without, `None`: nothing.
    """

    used: Usage
    expected_operations: Forecast | None = None
    expected_storage_bytes: Forecast | None = None
    forecast_missing: str | None = None
    days: Sequence[WorkspaceDay] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceCost:
    """One workspace's month in USD. `unpriced` says why there is no cost, or no whole one.

    `plan` and what is included are those in force now. `expected_bill`, `low_bill` and `high_bill` are of
    the whole month; `forecast_missing` says what they had to do without. `limits` are the limits of this
    month that will be reached, or were, by name.
    """

    unpriced: str | None = None
    plan: str | None = None
    price_version: str | None = None
    included_operations: int | None = None
    included_storage_bytes: int | None = None
    bill: Bill | None = None
    expected_operations: Forecast | None = None
    expected_storage_bytes: Forecast | None = None
    forecast_missing: str | None = None
    low_bill: Bill | None = None
    expected_bill: Bill | None = None
    high_bill: Bill | None = None
    spend_limit_usd: Decimal | None = None
    limits: tuple[tuple[str, datetime], ...] = ()


def estimate(config: Config, row: WorkspaceState, usage: WorkspaceUsage, now: datetime) -> WorkspaceCost:
    """Return what one workspace costs in the month of `now`."""
    own = configured(config, row.workspace)
    spend_limit = own.spend_limit_usd if own is not None else None
    try:
        prices = price_spans(config, row.workspace, row.plans, now)
    except Unpriced as reason:
        return WorkspaceCost(
            unpriced=str(reason),
            expected_operations=usage.expected_operations,
            expected_storage_bytes=usage.expected_storage_bytes,
            forecast_missing=usage.forecast_missing,
            spend_limit_usd=spend_limit,
        )
    month = _Month(prices, usage, now)
    price, bill = month.price, month.bill(usage.used)
    expected = month.expected()
    missing = " and ".join(part for part in PARTS if getattr(bill, part) is None)
    return WorkspaceCost(
        unpriced=f"the price of {missing} is not known for plan {price.plan}, version {price.version}: "
        "set cost.workspaces[].prices"
        if missing
        else None,
        plan=price.plan,
        price_version=price.version,
        included_operations=price.included_operations,
        included_storage_bytes=price.included_storage,
        bill=bill,
        expected_operations=usage.expected_operations,
        expected_storage_bytes=usage.expected_storage_bytes,
        forecast_missing=usage.forecast_missing,
        low_bill=month.bill(expected[0]) if expected else None,
        expected_bill=month.bill(expected[1]) if expected else None,
        high_bill=month.bill(expected[2]) if expected else None,
        spend_limit_usd=spend_limit,
        limits=tuple(month.limits(expected[1], spend_limit)) if expected else (),
    )


class _Month:
    """A workspace's month: its prices, and what was used when."""

    def __init__(self, prices: Sequence[PriceSpan], usage: WorkspaceUsage, now: datetime) -> None:
        self._prices = prices
        self._usage = usage
        self._now = now
        self._ends_at = next_month_start(now)
        self._seconds = int((self._ends_at - month_start(now)).total_seconds())
        self.price = next(span.price for span in prices if span.starts_at <= now < span.ends_at)

    def bill(self, usage: Usage) -> Bill:
        """The bill when this is what was used in the whole month, what is used now included."""
        return make_bill(tuple(self._spans(usage)))

    def expected(self) -> tuple[Usage, Usage, Usage] | None:
        """What the whole month will use: low, expected, high; never less than now."""
        operations, storage = self._usage.expected_operations, self._usage.expected_storage_bytes
        if operations is None or storage is None:
            return None

        def usage(of_operations: int, of_storage: int) -> Usage:
            used = self._usage.used
            return Usage(
                operations=max(used.operations, of_operations),
                storage_byte_seconds=max(used.storage_byte_seconds, of_storage * self._seconds),
            )

        return (
            usage(operations.low, storage.low),
            usage(operations.expected, storage.expected),
            usage(operations.high, storage.high),
        )

    def limits(self, expected: Usage, spend_limit: Decimal | None) -> Iterator[tuple[str, datetime]]:
        """The limits that are reached on the straight way from now to what is expected."""

        def at(instant: datetime) -> Usage:
            share = (instant - self._now) / (self._ends_at - self._now)
            used = self._usage.used
            return Usage(
                operations=used.operations + int((expected.operations - used.operations) * share),
                storage_byte_seconds=used.storage_byte_seconds
                + int((expected.storage_byte_seconds - used.storage_byte_seconds) * share),
            )

        reached = partial(reached_at, starts_at=self._now, ends_at=self._ends_at)
        found: list[tuple[str, datetime | None]] = []
        if self.price.hard_stop:
            most = self.price.included_operations
            found.append(("free_operations", reached(lambda instant: at(instant).operations, most)))
            stored = self.price.included_storage * self._seconds
            found.append(("free_storage", reached(lambda instant: at(instant).storage_byte_seconds, stored)))
        if spend_limit is not None and self.bill(expected).charges is not None:
            found.append(
                ("spend_limit", reached(lambda instant: float(self.bill(at(instant)).charges or 0), float(spend_limit)))
            )
        return ((name, instant) for name, instant in found if instant is not None)

    def _spans(self, usage: Usage) -> Iterator[Span]:
        """Deal out what was used to the prices: past days as the ledger has them, what is to come by time."""
        used = self._usage.used
        past_operations = past_storage = 0
        rest_seconds = (self._ends_at - self._now).total_seconds()
        for span in self._prices:
            operations = storage = 0
            if span.ends_at <= self._now:
                days = [row for row in self._usage.days if span.starts_at.date() <= row.day < span.ends_at.date()]
                operations = sum(row.operations for row in days)
                storage = sum(row.storage_byte_seconds for row in days)
                past_operations += operations
                past_storage += storage
            else:
                if span.starts_at <= self._now:
                    operations += used.operations - past_operations
                    storage += used.storage_byte_seconds - past_storage
                to_come = (span.ends_at - max(span.starts_at, self._now)).total_seconds() / rest_seconds
                operations += round((usage.operations - used.operations) * to_come)
                storage += round((usage.storage_byte_seconds - used.storage_byte_seconds) * to_come)
            yield Span(
                price=span.price,
                starts_at=span.starts_at,
                ends_at=span.ends_at,
                usage=Usage(operations=max(0, operations), storage_byte_seconds=max(0, storage)),
            )
