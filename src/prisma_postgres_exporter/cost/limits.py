"""When a limit will be reached at which the vendor blocks the databases."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

NEAR = timedelta(days=1)
"""A limit that is to be reached within this, or was within it, is near: the next operations may be the last."""

BLOCKING = ("spend_limit", "free_operations")
"""The limits at which the vendor blocks."""

ONE_MINUTE = timedelta(minutes=1)


def reached_at(
    value_at: Callable[[datetime], float], limit: float, starts_at: datetime, ends_at: datetime
) -> datetime | None:
    """Return the first whole minute before `ends_at` at which a value that never falls has reached `limit`, if any.

    One that has reached it already is given as `starts_at`.
    """
    if value_at(starts_at) >= limit:
        return starts_at
    first = starts_at.replace(second=0, microsecond=0) + ONE_MINUTE
    minutes = range((ends_at - first) // ONE_MINUTE)
    number = bisect_left(minutes, limit, key=lambda minute: value_at(first + minute * ONE_MINUTE))
    return first + number * ONE_MINUTE if number < len(minutes) else None


def is_limit_near(limits: Iterable[tuple[str, datetime]], now: datetime) -> bool:
    """Whether one of a workspace's limits is about to be reached, or just was."""
    return any(abs(at - now) <= NEAR for _, at in limits)
