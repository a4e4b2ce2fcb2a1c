"""What a workspace costs so far in this month, what it will cost, and when a limit will be reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from prisma_postgres_exporter.config import Config, WorkspaceConfig
from prisma_postgres_exporter.cost.bill import Bill, Span, make_bill
from prisma_postgres_exporter.cost.limits import reached_at
from prisma_postgres_exporter.cost.prices import (
    PriceSpan,
    Unpriced,
    charged_since,
    configured,
    plan_assumed_at,
    price_spans,
)
from prisma_postgres_exporter.cost.usage import Usage, add_up
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.model import WorkspaceDay, WorkspaceState, day_start, month_start, next_month_start

ONE_DAY = timedelta(days=1)
PARTS = ("fee", "operations", "storage")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceUsage:
    """What a workspace used of a month until now, and what it is expected to use in all of it.

    `days` are its days of this month in the ledger; they tell which part belongs to which price. `parts` are what each
    database used, and when it was deleted: what was there only before a plan charged cannot cost.
    `forecast_missing` says what the forecast had to do without, `None`: nothing; where not `are_all_read`, something
    of which nothing was read at all, or for less than a day. Where `are_days_behind`, days are in `used` that `days`
    may lack.
    """

    used: Usage
    expected_operations: Forecast | None = None
    expected_storage_bytes: Forecast | None = None
    forecast_missing: str | None = None
    are_all_read: bool = True
    days: Sequence[WorkspaceDay] = ()
    are_days_behind: bool = False
    parts: Sequence[tuple[Usage, datetime | None]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceCost:
    """One workspace's month in USD. `unpriced` says why there is no cost, or no whole one.

    `is_unread`: nobody followed the workspace then. `plan` and what is included, and whether
    it stops there (`is_stopping`), and whether the vendor blocks it (`is_blocked`), are those of now;
    `plan_assumed_at` is when the plan was first read, where that was after the month. `charged_since` is when a plan
    that charges nothing was left in the month: what was used before, `free_operations` and `free_byte_seconds` of what
    is known now, is never charged. `expected_bill`, `low_bill` and
    `high_bill` are of the whole month, and of one that is over there are none; `forecast_missing` says what they had to
    do without; where not `is_expected_complete`, that is a database that may cost something, of which nothing was read
    or that nobody ever saw, and about so much is expected. `limits` are the
    limits of this month that will be reached, or were, by name.
    """

    unpriced: str | None = None
    is_unread: bool = False
    plan: str | None = None
    plan_assumed_at: datetime | None = None
    price_version: str | None = None
    charged_since: datetime | None = None
    free_operations: int = 0
    free_byte_seconds: int = 0
    included_operations: int | None = None
    included_storage_bytes: int | None = None
    is_stopping: bool = False
    is_blocked: bool = False
    bill: Bill | None = None
    expected_operations: Forecast | None = None
    expected_storage_bytes: Forecast | None = None
    forecast_missing: str | None = None
    low_bill: Bill | None = None
    expected_bill: Bill | None = None
    is_expected_complete: bool = True
    high_bill: Bill | None = None
    spend_limit: SpendLimit | None = None
    limits: tuple[tuple[str, datetime], ...] = ()

    @property
    def expected_bounds(self) -> tuple[Decimal | None, Decimal | None]:
        """Between what the whole month will end; where something is not in it, nobody knows."""
        if self.low_bill is None or self.high_bill is None or not self.is_expected_complete:
            return None, None
        return self.low_bill.total, self.high_bill.total

    def charged(self, usage: Usage) -> Usage:
        """What of a usage of the month so far counts against what is included, as well known as what is charged."""
        bill = self.bill
        if bill is None or not (self.free_operations or self.free_byte_seconds):
            return usage
        usage = usage.listed if bill.is_listed else usage
        known_byte_seconds = max(0, usage.known_byte_seconds - self.free_byte_seconds)
        charged = replace(
            usage,
            known_operations=max(0, usage.known_operations - self.free_operations),
            known_byte_seconds=known_byte_seconds,
            # A database's own mean may be of the time before.
            level_byte_seconds=known_byte_seconds,
            days_known=min(usage.days_known, usage.days - 1),
        )
        if bill.are_operations_known:
            charged = replace(charged, days_known=usage.days, unplaced_operations=0)
        if bill.is_storage_known:
            charged = replace(charged, storage_seconds_known=usage.storage_seconds, unlevelled=0, unplaced_storage=0)
        return charged

    def is_only_likely(self, limit: str, at: datetime, now: datetime) -> bool:
        """Whether a limit that will be reached `at` an instant is not at the low end of the forecast."""
        if at <= now:
            return False
        if limit == "spend_limit":
            charges, own = self.low_bill.charges if self.low_bill is not None else None, self.spend_limit
            return charges is not None and own is not None and own.counted(charges) < own.usd
        forecast, most = {
            "free_operations": (self.expected_operations, self.included_operations),
            "free_storage": (self.expected_storage_bytes, self.included_storage_bytes),
        }[limit]
        return forecast is not None and most is not None and forecast.low < most


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendLimit:
    """The vendor's limit on the charges for all usage of a workspace in a month, taxes on them included, in USD.

    `other_usage_usd` (Compute, Accelerate) and `tax_percent` are what the configuration says; `None`: not said, so
    what it is, is not in what is counted.
    """

    usd: Decimal
    tax_percent: Decimal | None = None
    other_usage_usd: Decimal | None = None

    @classmethod
    def of(cls, own: WorkspaceConfig | None) -> SpendLimit | None:
        """Return what is configured for a workspace."""
        if own is None or own.spend_limit_usd is None:
            return None
        return cls(usd=own.spend_limit_usd, tax_percent=own.tax_percent, other_usage_usd=own.other_usage_usd)

    def counted(self, charges: Decimal) -> Decimal:
        """What counts against it where Postgres is charged so much: the fee never does."""
        untaxed = charges + (self.other_usage_usd or 0)
        return untaxed * (1 + (self.tax_percent or Decimal(0)) / 100)

    @property
    def not_counted(self) -> tuple[str, ...]:
        """What the vendor counts and we were not told."""
        unsaid = (("Compute", self.other_usage_usd), ("Accelerate", self.other_usage_usd), ("tax", self.tax_percent))
        return tuple(name for name, value in unsaid if value is None)


def estimate(config: Config, row: WorkspaceState, usage: WorkspaceUsage, now: datetime) -> WorkspaceCost:
    """Return what one workspace costs in the month of `now`."""
    own = configured(config, row.workspace)
    spend_limit = SpendLimit.of(own)
    try:
        prices = price_spans(config, row.workspace, row.plans, now)
    except Unpriced as reason:
        return WorkspaceCost(
            unpriced=str(reason),
            expected_operations=usage.expected_operations,
            expected_storage_bytes=usage.expected_storage_bytes,
            forecast_missing=usage.forecast_missing,
            spend_limit=spend_limit,
        )
    month = _Month(prices, usage, now)
    price, bill = month.price, month.bill_now(row)
    bounds = _bounds(usage)
    bills = tuple(month.expected_bill(*bound) for bound in bounds)
    low, expected, high = bills or (None, None, None)
    free_operations, free_byte_seconds = month.free_now()
    missing = " and ".join(part for part in PARTS if getattr(bill, part) is None)
    return WorkspaceCost(
        unpriced=f"the price of {missing} is not known for plan {price.plan}, version {price.version}: "
        "set cost.workspaces[].prices"
        if missing
        else None,
        plan=_as_written(price.plan, row),
        plan_assumed_at=plan_assumed_at(config, row.workspace, row.plans, now),
        price_version=price.version,
        charged_since=month.charged_since,
        free_operations=free_operations,
        free_byte_seconds=free_byte_seconds,
        included_operations=price.included_operations,
        included_storage_bytes=price.included_storage,
        is_stopping=price.hard_stop,
        bill=bill,
        expected_operations=usage.expected_operations,
        expected_storage_bytes=usage.expected_storage_bytes,
        forecast_missing=usage.forecast_missing,
        low_bill=low,
        expected_bill=expected,
        # Where nothing is charged, whatever is used, nothing has to be known.
        is_expected_complete=month.is_free or (usage.are_all_read and bill.is_listed),
        high_bill=high,
        spend_limit=spend_limit,
        limits=tuple(month.limits(_whole(usage, bounds, now), spend_limit)),
    )


def _as_written(plan: str, row: WorkspaceState) -> str:
    """A plan's name as the vendor writes it: as it named it, or with a capital."""
    said = (row.workspace.plan, *(change.plan for change in reversed(row.plans)))
    return next(
        (name for name in said if name is not None and name.lower() == plan.lower()), plan[:1].upper() + plan[1:]
    )


def _bounds(usage: WorkspaceUsage) -> Sequence[tuple[int, int]]:
    """Operations and mean storage in bytes of the whole month: low, expected, high; nothing where one is not known."""
    operations, storage = usage.expected_operations, usage.expected_storage_bytes
    if operations is None or storage is None:
        return ()
    return (
        (operations.low, storage.low),
        (operations.expected, storage.expected),
        (operations.high, storage.high),
    )


def _whole(usage: WorkspaceUsage, bounds: Sequence[tuple[int, int]], now: datetime) -> Usage:
    """What the whole month is expected to use; as much as now where that is not known."""
    used = usage.used
    if not bounds:
        return used
    operations, storage_bytes = bounds[1]
    seconds = int((next_month_start(now) - month_start(now)).total_seconds())
    return replace(
        used,
        known_operations=max(used.known_operations, operations),
        known_byte_seconds=max(used.known_byte_seconds, storage_bytes * seconds),
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
        self.charged_since = charged_since(prices)
        self.is_free = all(span.price.hard_stop for span in prices)

    def bill(self, operations: int, byte_seconds: int) -> Bill:
        """The bill when so much was used in the whole month, what is used now included."""
        return make_bill(tuple(self._spans(operations, byte_seconds)))

    def bill_now(self, row: WorkspaceState) -> Bill:
        """The bill of what is used now: of databases that were gone before that was charged nothing has to be known."""
        used = self._usage.used
        bill = self.bill(used.known_operations, used.known_byte_seconds)
        since = self.charged_since
        if since is None or not self._usage.parts:
            return bill
        there = add_up(part for part, deleted_at in self._usage.parts if deleted_at is None or deleted_at > since)
        # What was charged for is then that of the days since.
        is_dated = self._are_days_held(there) and there.days_known >= there.days
        return replace(
            bill,
            are_operations_known=bill.are_operations_known or (there.are_operations_known and is_dated),
            is_storage_known=bill.is_storage_known or (there.is_storage_known and is_dated),
            is_listed=bill.is_listed or not (row.was_followed_late(since) or row.gaps_in(since, self._now)),
        )

    def free_now(self) -> tuple[int, int]:
        """What of the operations and byte-seconds of now was used before anything was charged, or may have been."""
        used, since = self._usage.used, self.charged_since
        if since is None or since > self._now:
            return 0, 0
        spans = self._spans(used.known_operations, used.known_byte_seconds)
        charged = add_up(span.usage for span in spans if span.starts_at >= since)
        return (
            used.known_operations - charged.known_operations,
            used.known_byte_seconds - charged.known_byte_seconds,
        )

    def expected_bill(self, operations: int, storage_bytes: int) -> Bill:
        """The bill of a whole month of which so much is expected: an estimate has no gaps; never less than now."""
        used = self._usage.used
        bill = make_bill(
            tuple(
                self._spans(
                    max(used.known_operations, operations),
                    max(used.known_byte_seconds, storage_bytes * self._seconds),
                    is_estimate=True,
                )
            )
        )
        return replace(bill, are_operations_known=True, is_storage_known=True, is_listed=True)

    def limits(self, expected: Usage, spend_limit: SpendLimit | None) -> Iterator[tuple[str, datetime]]:
        """The limits that were reached, or are on the straight way from now to what is expected."""
        used = self._usage.used

        def at(instant: datetime) -> tuple[int, int]:
            share = (instant - self._now) / (self._ends_at - self._now)
            return (
                used.known_operations + int((expected.known_operations - used.known_operations) * share),
                used.known_byte_seconds + int((expected.known_byte_seconds - used.known_byte_seconds) * share),
            )

        def reached(value_at: Callable[[datetime], float], limit: float) -> datetime | None:
            return reached_at(value_at, limit, self._now, self._ends_at)

        if self.price.hard_stop:
            most = self.price.included_operations
            operations_at = self._passed(most) or reached(lambda instant: at(instant)[0], most)
            if operations_at is not None:
                yield "free_operations", operations_at
            stored = self.price.included_storage * self._seconds
            storage_at = reached(lambda instant: at(instant)[1], stored)
            if storage_at is not None:
                yield "free_storage", storage_at
        if spend_limit is not None and self.bill(*at(self._ends_at)).charges is not None:
            limit_at = reached(
                lambda instant: float(spend_limit.counted(self.bill(*at(instant)).charges or Decimal(0))),
                float(spend_limit.usd),
            )
            if limit_at is not None:
                yield "spend_limit", limit_at

    def _passed(self, most: int) -> datetime | None:
        """When the days until now passed an allowance, if they did: within the day, as far as it is, in proportion."""
        sum_so_far = 0
        since = next(span.starts_at for span in self._prices if span.starts_at <= self._now < span.ends_at).date()
        for row in sorted((row for row in self._usage.days if row.day >= since), key=_day):
            if row.operations and sum_so_far + row.operations >= most:
                passed = min(ONE_DAY, self._now - day_start(row.day))
                return day_start(row.day) + passed * ((most - sum_so_far) / row.operations)
            sum_so_far += row.operations
        return None

    def _spans(self, operations: int, byte_seconds: int, *, is_estimate: bool = False) -> Iterator[Span]:
        """Deal out what was used to the prices: past days as the ledger has them, what is to come by time.

        What lies on days that the ledger lacks is dealt out over them in an estimate, and else not counted.
        """
        used = self._usage.used
        # The days say what was used before an upgrade; without all of them what was used since is at least theirs.
        is_split_known = self.charged_since is None or self._are_days_held(used)
        before = [self._of_days(span) for span in self._prices if span.ends_at <= self._now]
        rest_seconds = (self._ends_at - self._now).total_seconds()
        for index, span in enumerate(self._prices):
            if span.ends_at <= self._now:
                part_operations, part_byte_seconds = before[index]
            else:
                part_operations = part_byte_seconds = 0
                if span.starts_at <= self._now:
                    if is_split_known:
                        part_operations = used.known_operations - sum(past for past, _ in before)
                        part_byte_seconds = used.known_byte_seconds - sum(past for _, past in before)
                    else:
                        part_operations, part_byte_seconds = self._of_days(span)
                        if is_estimate:
                            undated_operations, undated_byte_seconds = self._undated()
                            share = self._undated_share(span.starts_at)
                            part_operations += round(undated_operations * share)
                            part_byte_seconds += round(undated_byte_seconds * share)
                to_come = (span.ends_at - max(span.starts_at, self._now)).total_seconds() / rest_seconds
                part_operations += round((operations - used.known_operations) * to_come)
                part_byte_seconds += round((byte_seconds - used.known_byte_seconds) * to_come)
            yield Span(
                price=span.price,
                starts_at=span.starts_at,
                ends_at=span.ends_at,
                usage=replace(
                    used,
                    known_operations=max(0, part_operations),
                    known_byte_seconds=max(0, part_byte_seconds),
                    days_known=used.days_known if is_split_known else min(used.days_known, used.days - 1),
                ),
            )

    def _are_days_held(self, used: Usage) -> bool:
        return used.days_held >= used.days and not self._usage.are_days_behind

    def _undated(self) -> tuple[int, int]:
        """What was used on days that the ledger lacks."""
        used, days = self._usage.used, self._usage.days
        return (
            max(0, used.known_operations - sum(row.operations for row in days)),
            max(0, used.known_byte_seconds - sum(row.storage_byte_seconds for row in days)),
        )

    def _undated_share(self, since: datetime) -> float:
        """What part (0 to 1) of the days without a row is since then; where each has one, of the time until now."""
        begins_at, held = month_start(self._now), {row.day for row in self._usage.days}
        days = [begins_at.date() + number * ONE_DAY for number in range((self._now - begins_at).days + 1)]
        missing = {day: min(ONE_DAY, self._now - day_start(day)) for day in days if day not in held}
        whole = sum(missing.values(), timedelta())
        if not whole:
            return (self._now - since) / (self._now - begins_at)
        return sum((length for day, length in missing.items() if day >= since.date()), timedelta()) / whole

    def _of_days(self, span: PriceSpan) -> tuple[int, int]:
        days = [row for row in self._usage.days if span.starts_at.date() <= row.day < span.ends_at.date()]
        return sum(row.operations for row in days), sum(row.storage_byte_seconds for row in days)


def _day(row: WorkspaceDay) -> date:
    return row.day
