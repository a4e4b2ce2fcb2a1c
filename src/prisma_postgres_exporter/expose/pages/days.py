"""A place's days as plots: what each used and is charged, and where the month will end."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from prisma_postgres_exporter.cost import ABOUT, AT_LEAST, Bill, Outlook, Usage, WorkspaceCost
from prisma_postgres_exporter.expose.pages.drawing import short
from prisma_postgres_exporter.expose.pages.plots import Band, Bars, band, bars
from prisma_postgres_exporter.report import CostLine, Day

ONE_DAY = timedelta(days=1)
ABOUT_THE_SAME = 1.01
NEARLY_ALL = 0.9
"""Of a month's operations: its days and the month itself are read at different times."""


def charges_by_day(
    bill: Bill | None, days: Sequence[Day], used: int | None, now: datetime, *, is_free: bool
) -> Bars | str:
    """What each day of this month has of its charges, which are dealt out by operations and by storage.

    `used` are the month's operations that are charged, also those of days that nobody read. `is_free`: its plan charges
    nothing for usage.
    """
    if is_free:
        return "The plan charges nothing for usage."
    if bill is None or bill.known_charges is None:
        return "What is charged for usage is not known yet."
    if not bill.charges:
        known = "" if bill.are_charges_known else ", as far as it is known,"
        return f"No usage is charged so far: all of it{known} is included in the plan."
    # A part of what is known of a bill is no lower bound.
    said = "" if bill.are_charges_known else ABOUT if bill.is_share else AT_LEAST
    label = "Charges a day, without the fee" + (f"; {said}so much is charged" if said else "")
    points = [(f"{day}", amount) for day, amount in _dealt(bill, days, used, now)]
    qualified = {name: said for name, amount in points if amount is not None and said}
    drawn = bars(points, label, _shown, qualified=qualified, still_open=f"{now:%Y-%m-%d}")
    return drawn or "No day of this month is known yet."


def _dealt(bill: Bill, days: Sequence[Day], used: int | None, now: datetime) -> Sequence[tuple[date, float | None]]:
    """The USD of each day of this month until today, `None` of one that is not known.

    Where all are known they add up to the charges: exact, as a day of a cheap database costs less than a cent. The
    vendor's month has the operations of days and databases that nobody read: what they cost is no other day's.
    """
    by_day = {day.day: day for day in days}
    dates = [now.date().replace(day=number) for number in range(1, now.day + 1)]
    operations = {day: row.operations for day in dates if (row := by_day.get(day)) and row.operations is not None}
    storage = {
        day: row.storage_byte_seconds for day in dates if (row := by_day.get(day)) and row.storage_bytes is not None
    }
    read = sum(operations.values())
    # A day may be known of some databases only; what the vendor's month differs by else is small.
    charged = max(read, used or 0) if (used or 0) > read * ABOUT_THE_SAME else read
    an_operation, a_byte_second = (
        float(bill.operations or 0) / (charged or 1),
        float(bill.storage or 0) / (sum(storage.values()) or 1),
    )
    return [
        (
            day,
            operations.get(day, 0) * an_operation + storage.get(day, 0) * a_byte_second
            if day in operations or day in storage
            else None,
        )
        for day in dates
    ]


def _shown(amount: float) -> str:
    """Dollars to the cent, of less than ten cents to two digits that say something."""
    return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${Decimal(f'{amount:.2g}'):f}"


def month_of_money(
    line: CostLine, cost: WorkspaceCost | None, days: Sequence[Day], used: int | None, now: datetime
) -> Band | str:
    """The month's cost day by day, and where it is meant to end; days that nobody read share what is left."""
    bill = line.bill
    if bill is None or bill.known is None or bill.fee is None:
        return f"The cost is not known{f': {cost.unpriced}' if cost and cost.unpriced else ' yet'}."
    if line.expected_usd is None:
        return f"Nothing can be expected yet{_without(cost.forecast_missing if cost else None)}."
    dealt = [value for _, value in _dealt(bill, days, used, now)]
    left = max(0.0, float(bill.known_charges or 0) - sum(value for value in dealt if value is not None))
    unread = left / (dealt.count(None) or 1)
    sums = list(accumulate((unread if value is None else value for value in dealt), initial=float(bill.fee)))
    ends = [float(end) for end in (line.low_usd, line.expected_usd, line.high_usd) if end is not None]
    label = f"Cost of {now:%B}, the fee first, and where it will end"
    said = bill.qualifier, "" if line.is_expected_complete else ABOUT
    return band(sums, monthrange(now.year, now.month)[1], ends, label, _shown, qualifiers=said)


def _without(missing: str | None) -> str:
    return f"; the forecast had to do without {missing}" if missing else ""


def month_of_operations(
    days: Sequence[Day], usage: Usage, outlook: Outlook, now: datetime, *, ended: str = "", where: str = ""
) -> Band | str:
    """The month's operations day by day, and where they will end by `outlook`, or why nothing is expected.

    `usage` is what is known of the month. `ended` says why nothing more is to come, if so; `where` is said where it was
    elsewhere too.
    """
    today, used = now.date(), usage.operations
    read = sum(day.operations or 0 for day in days if (day.day.year, day.day.month) == (today.year, today.month))
    if used is not None and read < used * NEARLY_ALL:
        return f"Days with {short(used - read)} of the month's operations are not read yet: nothing can be drawn."
    ahead = outlook.operations
    if used is None and not read and ended:
        return "Nothing of this month was read yet."
    if ahead is None and not ended:
        return f"Nothing can be expected yet{_without(outlook.missing)}."
    by_day = {day.day: day.operations or 0 for day in days}
    month = [by_day.get(today.replace(day=number), 0) for number in range(1, today.day + 1)]
    sums = [float(value) for value in accumulate(month, initial=0)]
    ends = []
    if ahead is not None and not ended and ahead.high > max(used or 0, sums[-1]):
        # The days and what is expected are read at different times.
        ends = [max(float(end), sums[-1]) for end in (ahead.low, ahead.expected, ahead.high)]
    said = "" if usage.are_operations_known else AT_LEAST
    # Of what is not known whole no range is known, and its estimate is no bound.
    ends = ends[1:2] if said else ends
    label = f"Operations of {now:%B}{where}, and where they will end"
    return band(
        sums,
        monthrange(now.year, now.month)[1],
        ends,
        label,
        lambda value: short(round(value)),
        qualifiers=(said, ABOUT if said else ""),
        rest=ended or "no more is expected",
    )
