"""What a usage answer is worth: pure, the check of the period the vendor says it used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from prisma_postgres_exporter.api import Usage
from prisma_postgres_exporter.ledger.plan import PlannedRead
from prisma_postgres_exporter.model import ReadingFailure, UsageReading, Window, WindowKind, day_start

SLACK = timedelta(seconds=1)
"""The vendor's instants may be rounded to the second."""

CLOCK_SKEW = "clock_skew"
"""The reason of a reading that is refused because of our own clock."""

LARGEST_SKEW = timedelta(minutes=5)
"""A clock that is further from the vendor's than this is wrong: nothing that it dates is kept."""

SHARED_INSTANTS = 4_096

LAST_MILLISECOND = timedelta(milliseconds=1)
"""The vendor's periods hold both their ends, ours end before `period_end_at`."""


def interpret(read: PlannedRead, usage: Usage, *, read_at: datetime) -> Iterator[UsageReading | ReadingFailure]:
    """Turn one answer into a reading for each window that it was asked for.

    Instants are cut to whole seconds, and the vendor's inclusive end becomes the first instant after it. An answer
    that was given at another time than our clock says is a failure: what is dated wrongly would stand in the way of
    every later reading. So is a period outside the question: it may be wider than the window only as far as whole UTC
    days go, and a day or a month must begin where it was asked to, or where the database was created.
    """
    skew = clock_skew(usage, read_at)
    starts_at = _second(usage.period_start_at)
    ends_at = _second(usage.period_end_at + LAST_MILLISECOND)
    for window in read.windows:
        reason, wrong = "wrong_period", _wrong_period(window, starts_at, ends_at, read.created_at)
        if abs(skew) > LARGEST_SKEW:
            reason = CLOCK_SKEW
            wrong = f"this machine's clock is {skew.total_seconds():+.0f} s from the time that the answer gives"
        if wrong is not None:
            yield ReadingFailure(
                database_id=read.database_id,
                window=window,
                reason=reason,
                message=wrong,
                failed_at=_second(read_at),
            )
            continue
        yield UsageReading(
            database_id=read.database_id,
            window=window,
            period_start_at=starts_at,
            period_end_at=ends_at,
            operations=usage.operations,
            storage_bytes=usage.storage_bytes,
            generated_at=usage.generated_at,
            read_at=_second(read_at),
        )


def _second(at: datetime) -> datetime:
    """An instant cut to the whole second."""
    return _shared(at.replace(microsecond=0))


@lru_cache(maxsize=SHARED_INSTANTS)
def _shared(at: datetime) -> datetime:
    """The one that was given first of those that are equal: thousands of databases are read in the same seconds."""
    return at


def clock_skew(usage: Usage, read_at: datetime) -> timedelta:
    """How far our clock is ahead of the vendor's, as far as the answer tells; behind is negative.

    An answer that was generated later than now tells that we are behind. One that was generated earlier tells
    nothing: the vendor may keep what it has worked out.
    """
    if usage.answered_at is not None:
        return read_at - usage.answered_at
    if usage.generated_at is not None:
        return min(timedelta(0), read_at - usage.generated_at)
    return timedelta(0)


def _wrong_period(window: Window, starts_at: datetime, ends_at: datetime, created_at: datetime) -> str | None:
    said = f"the answer covers {starts_at.isoformat()} to {ends_at.isoformat()}"
    asked = f"asked was {window.start_at.isoformat()} to {window.end_at.isoformat()}"
    earliest = day_start(window.start_at.date())
    latest = day_start(window.end_at.date()) + timedelta(days=1)
    if starts_at < earliest - SLACK or ends_at > latest + SLACK or ends_at < window.start_at:
        return f"{said}, {asked}"
    begins_late = starts_at > max(window.start_at, created_at) + SLACK
    if window.kind is not WindowKind.ROLLING and begins_late:
        return f"{said}, {asked}: its beginning is missing"
    return None
