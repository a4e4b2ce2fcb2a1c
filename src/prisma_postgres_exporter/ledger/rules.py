"""What one reading means for one database: its day, its month, its storage level.

Pure: each function changes the draft of one database.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from prisma_postgres_exporter.ledger.draft import Draft, keep_reading, month_row, replace_day
from prisma_postgres_exporter.model import (
    DayUsage,
    MonthUsage,
    Revision,
    RollingUsage,
    UsageReading,
    checked_until,
    day_start,
    month_start,
    previous_month_start,
    recheck_bound_at,
)

PERIOD_END_SLACK = timedelta(seconds=1)
"""The vendor's days end at 23:59:59.999, both ends inclusive."""

STORAGE_HOLD = timedelta(days=1)
"""How long a storage level is taken to last when no newer one was read."""

LAST_LEVEL_WAIT = timedelta(hours=1)

ONE_DAY = timedelta(days=1)
DAY_SECONDS = 86_400
SHARED_DAYS = 1_000


def post_day(draft: Draft, reading: UsageReading) -> None:
    """Take a reading of a day, open or closed, and its storage level."""
    day = reading.window.start_at.date()
    row = draft.days.get(day)
    if row is None and day <= draft.state.known_until and (draft.state.key, day) not in draft.looked_up:
        raise ValueError(f"the row of {day} was not given: it must not be taken for a new day")
    if row is not None and reading.read_at <= row.read_at:
        return
    is_closed = _is_closed(reading)
    if reading.operations is not None:
        updated = _read_day(draft, row, reading, reading.operations)
        if row is None or (row.operations, row.storage_bytes) != (updated.operations, updated.storage_bytes):
            keep_reading(draft, reading)
        replace_day(draft, row, updated)
        draft.days_read[day] = reading.window.end_at
    if reading.storage_bytes is None:
        return
    if is_closed:
        fill_storage(draft, day, reading.storage_bytes, reading.read_at)
    else:
        hold_storage(draft, reading.storage_bytes, reading.read_at)


def _read_day(draft: Draft, row: DayUsage | None, reading: UsageReading, operations: int) -> DayUsage:
    day = reading.window.start_at.date()
    is_closed = _is_closed(reading)
    if row is None:
        is_counted = day >= draft.state.counted_from
        draft.operations_total += operations if is_counted else 0
        return DayUsage(
            database_key=draft.state.key,
            day=_shared(day),
            # One that is read afterwards is of whoever held it then.
            workspace_key=draft.state.holder_on(day) if is_closed else draft.state.workspace_key,
            operations=operations,
            operations_high=operations,
            storage_bytes=reading.storage_bytes or 0,
            storage_byte_seconds=0,
            storage_seconds=0,
            read_at=reading.read_at,
            unchanged_since_at=reading.read_at if is_closed else None,
            settled_at=None,
            is_counted=is_counted,
        )
    if operations != row.operations:
        _note_revision(draft, row, operations, reading.read_at)
    high = max(row.operations_high, operations)
    draft.operations_total += high - row.operations_high if row.is_counted else 0
    is_unchanged = operations == row.operations and row.unchanged_since_at is not None
    unchanged_since_at = (row.unchanged_since_at if is_unchanged else reading.read_at) if is_closed else None
    return replace(
        row,
        # Each workspace keeps the days it had: only the open day follows a move.
        workspace_key=row.workspace_key if is_closed else draft.state.workspace_key,
        operations=operations,
        operations_high=high,
        storage_bytes=row.storage_bytes if reading.storage_bytes is None or is_closed else reading.storage_bytes,
        read_at=reading.read_at,
        unchanged_since_at=unchanged_since_at,
        settled_at=row.settled_at if is_unchanged and is_closed else None,
    )


@lru_cache(maxsize=SHARED_DAYS)
def _shared(day: date) -> date:
    """The one that was given first of those that are equal: memory can hold a month of rows for each database."""
    return day


def _is_closed(reading: UsageReading) -> bool:
    """Whether the whole day was asked for and answered, so that the number should be the day's last word."""
    ends_at = day_start(reading.window.start_at.date()) + ONE_DAY
    return reading.window.end_at >= ends_at and reading.period_end_at >= ends_at - PERIOD_END_SLACK


def _note_revision(draft: Draft, row: DayUsage, operations: int, revised_at: datetime) -> None:
    was_final = row.unchanged_since_at is not None
    if not was_final and operations > row.operations:
        return
    if operations > row.operations:
        draft.revisions_up += 1
    else:
        draft.revisions_down += 1
    draft.revisions.append(
        Revision(
            database_key=row.database_key,
            day=row.day,
            revised_at=revised_at,
            operations_before=row.operations,
            operations_after=operations,
        )
    )


def settle(draft: Draft, settle_after: timedelta) -> None:
    """Move `known_until` on, and settle what is final; days after a gap wait, so that they stay in the ledger state."""
    while draft.known_until + ONE_DAY in draft.days:
        draft.known_until += ONE_DAY
    for day, row in draft.days.items():
        if row.settled_at is None and day <= draft.known_until and row.is_final(settle_after):
            draft.days[day] = replace(row, settled_at=row.read_at)


def check(draft: Draft) -> None:
    """Note which settled days were read once more."""
    if draft.newest_at is None:
        return
    draft.checked_until = checked_until(draft.checked_until, draft.recheck_at, draft.state.database, draft.newest_at)
    if draft.recheck_at is not None and draft.recheck_at < month_start(draft.newest_at):
        draft.recheck_at = None
    bound_at = recheck_bound_at(draft.recheck_at, draft.newest_at)
    while (row := draft.days.get(draft.checked_until + ONE_DAY)) is not None and row.day < bound_at.date():
        if row.settled_at is not None and row.read_at < bound_at:
            return
        draft.checked_until += ONE_DAY


def hold_storage(draft: Draft, storage_bytes: int, read_at: datetime) -> None:
    """Credit the time since the last level to the days it lies in, then take the new level."""
    if draft.storage_at is not None and read_at <= draft.storage_at:
        return
    if draft.storage_bytes is not None and draft.storage_at is not None:
        held_until_at = min(read_at, draft.storage_at + STORAGE_HOLD)
        for day, seconds in _seconds_by_day(draft.storage_at, held_until_at):
            row = draft.days.get(day)
            if row is not None:
                _credit_storage(draft, row, draft.storage_bytes, seconds)
    draft.storage_bytes = storage_bytes
    draft.storage_at = read_at


def fill_storage(draft: Draft, day: date, storage_bytes: int, read_at: datetime) -> None:
    """Let the time of a closed day of which no level is known take the vendor's number for the day.

    For an hour after its end a level that held in it may still come.
    """
    row = draft.days.get(day)
    if row is None or (row.storage_seconds > 0 and read_at < day_start(day) + ONE_DAY + LAST_LEVEL_WAIT):
        return
    _credit_storage(draft, row, storage_bytes, DAY_SECONDS)


def _credit_storage(draft: Draft, row: DayUsage, storage_bytes: int, seconds: int) -> None:
    begins_at = max(day_start(row.day), draft.state.database.created_at)
    life_seconds = int((day_start(row.day) + ONE_DAY - begins_at).total_seconds())
    # A day that took the vendor's number for all of it has no time left.
    seconds = min(seconds, life_seconds - row.storage_seconds)
    if seconds <= 0:
        return
    known_seconds = row.storage_seconds + seconds
    credited = replace(
        row,
        storage_byte_seconds=row.storage_byte_seconds + storage_bytes * seconds,
        # The whole day is one number for all rows: there can be a month of them for each database in memory.
        storage_seconds=DAY_SECONDS if known_seconds == DAY_SECONDS else known_seconds,
    )
    replace_day(draft, row, credited)


def _seconds_by_day(begins_at: datetime, ends_at: datetime) -> Iterable[tuple[date, int]]:
    while begins_at < ends_at:
        day = begins_at.date()
        day_ends_at = min(day_start(day) + ONE_DAY, ends_at)
        yield day, int((day_ends_at - begins_at).total_seconds())
        begins_at = day_ends_at


def post_month(draft: Draft, reading: UsageReading) -> None:
    """Take the vendor's own number for a month."""
    if reading.operations is None or reading.window.start_at < previous_month_start(draft.now):
        return  # of a month that is so long over, the state has no sums any more
    row = month_row(draft, reading.window.start_at.date(), draft.state.workspace_key)
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
        first_day = max(month, draft.state.database.created_at.date())
        last_day = (end_at - timedelta(microseconds=1)).date()
        vendor = draft.months[month, draft.state.workspace_key]
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


def post_rolling(draft: Draft, reading: UsageReading) -> None:
    """Take the vendor's number for a rolling window."""
    if reading.operations is None:
        return
    name = reading.window.name
    row = draft.rolling.get(name)
    if row is not None and reading.read_at <= row.read_at:
        return
    if row is None or row.operations != reading.operations:
        keep_reading(draft, reading)
    draft.rolling[name] = RollingUsage(
        window_name=name,
        operations=reading.operations,
        period_start_at=reading.period_start_at,
        period_end_at=reading.period_end_at,
        read_at=reading.read_at,
    )
