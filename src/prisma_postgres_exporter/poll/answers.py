"""What a usage answer is worth: pure, the check of the period the vendor says it used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from prisma_postgres_exporter.api import Usage
from prisma_postgres_exporter.model import ReadingFailure, UsageReading, Window, WindowKind, day_start
from prisma_postgres_exporter.plan import PlannedRead

SLACK = timedelta(seconds=1)
"""The vendor's instants may be rounded to the second."""

LAST_MILLISECOND = timedelta(milliseconds=1)
"""The vendor's periods hold both their ends, ours end before `period_end_at`."""


def interpret(read: PlannedRead, usage: Usage, *, read_at: datetime) -> Iterator[UsageReading | ReadingFailure]:
    """Turn one answer into a reading for each window that it was asked for.

    Instants are cut to whole seconds, and the vendor's inclusive end becomes the first instant after
    it. A period outside the question is a failure: it may be wider than the window only as far as
    whole UTC days go, and a day or a month must begin where it was asked to, or where the database
    was created.
    """
    starts_at = usage.period_start_at.replace(microsecond=0)
    ends_at = (usage.period_end_at + LAST_MILLISECOND).replace(microsecond=0)
    for window in read.windows:
        wrong = _wrong_period(window, starts_at, ends_at, read.created_at)
        if wrong is not None:
            yield ReadingFailure(
                database_id=read.database_id,
                window=window,
                reason="wrong_period",
                message=wrong,
                failed_at=read_at.replace(microsecond=0),
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
            read_at=read_at.replace(microsecond=0),
        )


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
