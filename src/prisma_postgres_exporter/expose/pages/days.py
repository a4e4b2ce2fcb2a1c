"""A place's days as plots: what each used and is charged, and where the month will end."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from prisma_postgres_exporter.cost import Bill, WorkspaceCost
from prisma_postgres_exporter.expose.pages.drawing import short
from prisma_postgres_exporter.expose.pages.plots import Band, Bars, band, bars
from prisma_postgres_exporter.forecast import Forecast, forecast_operations
from prisma_postgres_exporter.model import WorkspaceDay, day_start
from prisma_postgres_exporter.report import CostLine, UsageRow

DAYS_DRAWN = timedelta(days=60)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day; what is not known is `None`, and where not `…_known` it is at least so much."""

    day: date
    operations: int | None
    storage_bytes: int | None
    are_operations_known: bool
    is_storage_known: bool


def days_of_workspace(days: Iterable[WorkspaceDay]) -> Sequence[Day]:
    """A workspace's newest days, with those between that nobody read."""
    known = {day.day: day for day in days}
    if not known:
        return ()
    last, first = max(known), max(min(known), max(known) - DAYS_DRAWN)
    return [
        Day(
            day=day,
            operations=row.operations if row else None,
            storage_bytes=row.storage_bytes if row else None,
            are_operations_known=row is not None and not row.absent,
            is_storage_known=row is not None and not row.absent and row.is_storage_known,
        )
        for day in (first + number * ONE_DAY for number in range((last - first).days + 1))
        for row in (known.get(day),)
    ]


def days_of_rows(rows: Iterable[UsageRow]) -> Sequence[Day]:
    """The days of a project or a database."""
    return [
        Day(
            day=date.fromisoformat(row.period),
            operations=row.operations,
            storage_bytes=row.mean_storage_bytes,
            are_operations_known=row.are_operations_known,
            is_storage_known=row.is_mean_storage_known,
        )
        for row in rows
    ]


def charges_by_day(bill: Bill | None, days: Sequence[Day], now: datetime, *, is_free: bool) -> Bars | str:
    """What each day of this month has of its charges, which are dealt out by operations and by storage.

    `is_free`: its plan charges nothing for usage.
    """
    if is_free:
        return "The plan charges nothing for usage."
    if bill is None or bill.known_charges is None:
        return "What is charged for usage is not known yet."
    if not bill.charges:
        known = "" if bill.are_charges_known else ", as far as it is known"
        return f"No usage is charged so far: all of it{known} is included in the plan."
    label = "Charges a day, without the fee" + ("" if bill.are_charges_known else "; at least so much is charged")
    points = [(f"{day}", amount) for day, amount in _dealt(bill, days, now)]
    return bars(points, label, _shown, still_open=f"{now:%Y-%m-%d}") or "No day of this month is known yet."


def _dealt(bill: Bill, days: Sequence[Day], now: datetime) -> Sequence[tuple[date, float | None]]:
    """Each day's USD, which add up to the charges: exact, as a day of a cheap database costs less than a cent."""
    month = [day for day in days if (day.day.year, day.day.month) == (now.year, now.month)]
    operations = [day.operations or 0 for day in month]
    storage = [(day.storage_bytes or 0) * _elapsed_seconds(day.day, now) for day in month]
    of_operations, of_storage = (
        float(bill.operations or 0) / (sum(operations) or 1),
        float(bill.storage or 0) / (sum(storage) or 1),
    )
    return [
        (
            day.day,
            None
            if day.operations is None and day.storage_bytes is None
            else used * of_operations + stored * of_storage,
        )
        for day, used, stored in zip(month, operations, storage, strict=True)
    ]


def _shown(amount: float) -> str:
    """Dollars to the cent, of less than ten cents to two digits that say something."""
    return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${Decimal(f'{amount:.2g}'):f}"


def _elapsed_seconds(day: date, now: datetime) -> int:
    return int(min(ONE_DAY, now - day_start(day)).total_seconds())


def month_of_money(line: CostLine, cost: WorkspaceCost | None, days: Sequence[Day], now: datetime) -> Band | str:
    """The month's cost day by day, and where it is meant to end."""
    bill = line.bill
    if bill is None or bill.known is None or bill.fee is None:
        return f"The cost is not known{f': {cost.unpriced}' if cost and cost.unpriced else ' yet'}."
    if line.low_usd is None or line.expected_usd is None or line.high_usd is None:
        return f"Nothing can be expected yet{_needs(cost)}."
    charged = (value or 0 for _, value in _dealt(bill, days, now))
    sums = list(accumulate(charged, initial=float(bill.fee)))
    ends = (float(line.low_usd), float(line.expected_usd), float(line.high_usd))
    label = f"Cost of {now:%B}, the fee first, and where it will end"
    return band(sums, monthrange(now.year, now.month)[1], ends, label, _shown)


def _needs(cost: WorkspaceCost | None) -> str:
    return f"; the forecast had to do without {cost.forecast_missing}" if cost and cost.forecast_missing else ""


def month_of_operations(days: Sequence[Day], now: datetime) -> Band | str:
    """The month's operations day by day, and where they are meant to end."""
    today = now.date()
    known = [day.operations for day in days if day.day < today]
    of_today = next((day.operations for day in days if day.day == today), None)
    ahead: Forecast | None = forecast_operations(known, today_operations=of_today, now=now)
    if ahead is None:
        return "Nothing can be expected yet: fewer than seven days are known."
    by_day = {day.day: day.operations or 0 for day in days}
    month = [by_day.get(today.replace(day=number), 0) for number in range(1, today.day + 1)]
    sums = [float(value) for value in accumulate(month, initial=0)]
    ends = (float(ahead.low), float(ahead.expected), float(ahead.high))
    label = f"Operations of {now:%B}, and where they will end"
    return band(sums, monthrange(now.year, now.month)[1], ends, label, lambda value: short(round(value)))
