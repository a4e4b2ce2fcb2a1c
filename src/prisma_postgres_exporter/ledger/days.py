"""A day's number: its revisions, when it settles, and which settled days were read once more."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from prisma_postgres_exporter.ledger.draft import Draft, keep_reading, replace_day
from prisma_postgres_exporter.ledger.storage import fill_storage, hold_storage
from prisma_postgres_exporter.model import (
    DayUsage,
    Revision,
    UsageReading,
    day_start,
    recheck_bound_at,
)

PERIOD_END_SLACK = timedelta(seconds=1)
"""The vendor's days end at 23:59:59.999, both ends inclusive."""

ONE_DAY = timedelta(days=1)


def post_day(draft: Draft, reading: UsageReading) -> None:
    """Take a reading of a day, open or closed, and its storage level."""
    day = reading.window.start_at.date()
    row = draft.days.get(day)
    if row is None and day <= draft.position.known_until and (draft.position.key, day) not in draft.looked_up:
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
        fill_storage(draft, day, reading.storage_bytes)
    else:
        hold_storage(draft, reading.storage_bytes, reading.read_at)


def _read_day(draft: Draft, row: DayUsage | None, reading: UsageReading, operations: int) -> DayUsage:
    day = reading.window.start_at.date()
    is_closed = _is_closed(reading)
    if row is None:
        is_counted = day >= draft.position.counted_from
        draft.operations_total += operations if is_counted else 0
        return DayUsage(
            database_key=draft.position.key,
            day=day,
            workspace_key=draft.position.workspace_key,
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
        workspace_key=row.workspace_key if is_closed else draft.position.workspace_key,
        operations=operations,
        operations_high=high,
        storage_bytes=row.storage_bytes if reading.storage_bytes is None or is_closed else reading.storage_bytes,
        read_at=reading.read_at,
        unchanged_since_at=unchanged_since_at,
        settled_at=row.settled_at if is_unchanged and is_closed else None,
    )


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
    """Move `known_until` on, and settle what is final; days after a gap wait, so that they stay in the book."""
    while draft.known_until + ONE_DAY in draft.days:
        draft.known_until += ONE_DAY
    for day, row in draft.days.items():
        if row.settled_at is None and day <= draft.known_until and row.is_final(settle_after):
            draft.days[day] = replace(row, settled_at=row.read_at)


def check(draft: Draft) -> None:
    """Note which settled days were read once more."""
    if draft.newest_at is None:
        return
    bound_at = recheck_bound_at(draft.recheck_at, draft.newest_at)
    while (row := draft.days.get(draft.checked_until + ONE_DAY)) is not None and row.day < bound_at.date():
        if row.settled_at is not None and row.read_at < bound_at:
            return
        draft.checked_until += ONE_DAY
