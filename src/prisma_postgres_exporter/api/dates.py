"""The vendor's clock, as the headers of an answer show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from prisma_postgres_exporter.api.wire import is_plausible

_MOST_AGE_SECONDS: Final = 86_400  # an older copy would be no answer of today's


def answered_at(headers: Mapping[str, str]) -> datetime | None:
    """The vendor's instant of an answer, in whole seconds: its `Date`, and the `Age` of a copy from a cache (RFC 9111).

    `None` without a date, or with one that no clock can show. An age that makes no sense is left out.
    """
    dated_at = http_date(headers.get("date", ""))
    if dated_at is None or not is_plausible(dated_at):
        return None
    age = headers.get("age", "").strip()
    is_sane = age.isascii() and age.isdigit() and len(age) < 9 and int(age) <= _MOST_AGE_SECONDS
    return dated_at + timedelta(seconds=int(age)) if is_sane else dated_at


def http_date(value: str) -> datetime | None:
    """An instant in UTC, written as headers write it; `None` where it is not."""
    try:
        instant = parsedate_to_datetime(value)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
