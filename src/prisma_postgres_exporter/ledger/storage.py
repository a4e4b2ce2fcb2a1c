"""Storage levels and the time they held, by day."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.ledger.draft import Draft, replace_day
from prisma_postgres_exporter.model import (
    DayUsage,
    day_start,
)

STORAGE_HOLD = timedelta(days=1)
"""How long a storage level is taken to last when no newer one was read."""

ONE_DAY = timedelta(days=1)
DAY_SECONDS = 86_400


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


def fill_storage(draft: Draft, day: date, storage_bytes: int) -> None:
    """Let a closed day of which no level is known take the vendor's number for it."""
    row = draft.days.get(day)
    if row is None or row.storage_seconds > 0:
        return
    _credit_storage(draft, row, storage_bytes, DAY_SECONDS)


def _credit_storage(draft: Draft, row: DayUsage, storage_bytes: int, seconds: int) -> None:
    begins_at = max(day_start(row.day), draft.position.database.created_at)
    life_seconds = int((day_start(row.day) + ONE_DAY - begins_at).total_seconds())
    # A day that took the vendor's number for all of it has no time left.
    seconds = min(seconds, life_seconds - row.storage_seconds)
    if seconds <= 0:
        return
    credited = replace(
        row,
        storage_byte_seconds=row.storage_byte_seconds + storage_bytes * seconds,
        storage_seconds=row.storage_seconds + seconds,
    )
    replace_day(draft, row, credited)


def _seconds_by_day(begins_at: datetime, ends_at: datetime) -> Iterable[tuple[date, int]]:
    while begins_at < ends_at:
        day = begins_at.date()
        day_ends_at = min(day_start(day) + ONE_DAY, ends_at)
        yield day, int((day_ends_at - begins_at).total_seconds())
        begins_at = day_ends_at
