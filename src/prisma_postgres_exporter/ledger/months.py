"""The vendor's month beside the sum of our days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.ledger.draft import Draft, keep_reading, month_row
from prisma_postgres_exporter.model import (
    MonthUsage,
    UsageReading,
    day_start,
    previous_month_start,
    recheck_bound_at,
)

ONE_DAY = timedelta(days=1)


def post_month(draft: Draft, reading: UsageReading) -> None:
    """Take the vendor's own number for a month."""
    newest_at = draft.last_success_at or reading.read_at
    if reading.operations is None or reading.window.start_at < previous_month_start(newest_at):
        return  # of a month that is so long over, the book has no sums any more
    row = month_row(draft, reading.window.start_at.date(), draft.position.workspace_key)
    if row.read_at is not None and reading.read_at <= row.read_at:
        return
    if row.operations != reading.operations:
        keep_reading(draft, reading)
    draft.months[row.month, row.workspace_key] = replace(
        row, operations=reading.operations, period_end_at=reading.period_end_at, read_at=reading.read_at
    )
    draft.months_read[row.month] = reading.window.end_at


def reconcile(draft: Draft) -> None:
    """Compare the vendor's month with the sum of our days, once every day of it so far is in the ledger.

    Numbers that became known between two readings look like a difference and are none: one is
    believed only where each day is settled or was read together with the month.
    """
    for month, end_at in draft.months_read.items():
        rows = [row for row in draft.months.values() if row.month == month]
        first_day = max(month, draft.position.database.created_at.date())
        last_day = (end_at - timedelta(microseconds=1)).date()
        vendor = draft.months[month, draft.position.workspace_key]
        if vendor.operations is None or sum(row.days for row in rows) < (last_day - first_day).days + 1:
            continue
        difference = vendor.operations - sum(row.days_operations for row in rows)
        unsettled = [day for day, row in draft.days.items() if day.replace(day=1) == month and row.settled_at is None]
        if difference == 0 or all(_was_read_with(draft, day, end_at) for day in unsettled):
            vendor = replace(vendor, difference_operations=difference)
            draft.months[month, vendor.workspace_key] = _recheck(draft, vendor, difference, first_day)


def _recheck(draft: Draft, vendor: MonthUsage, difference: int, first_day: date) -> MonthUsage:
    """Have the settled days of a month read again, once for a difference: one of them must have been revised."""
    if difference == 0:
        return replace(vendor, rechecked_difference_operations=None)
    read_at = vendor.read_at
    if read_at is None or difference == vendor.rechecked_difference_operations or _is_rechecking(draft, read_at):
        return vendor
    draft.recheck_at = read_at
    draft.checked_until = min(draft.checked_until, first_day - ONE_DAY)
    return replace(vendor, rechecked_difference_operations=difference)


def _was_read_with(draft: Draft, day: date, end_at: datetime) -> bool:
    read_until_at = draft.days_read.get(day)
    return read_until_at is not None and read_until_at == min(day_start(day) + ONE_DAY, end_at)


def _is_rechecking(draft: Draft, now: datetime) -> bool:
    """Whether settled days are still to be read once more: another round begins when this one is over."""
    last_day = recheck_bound_at(draft.recheck_at, now).date() - ONE_DAY
    return draft.checked_until < min(last_day, draft.known_until)
