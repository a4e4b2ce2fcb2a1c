"""When a limit will be reached at which the vendor blocks the databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

FINE_ENOUGH = timedelta(minutes=1)


def reached_at(
    value_at: Callable[[datetime], float], limit: float, starts_at: datetime, ends_at: datetime
) -> datetime | None:
    """Return when a value that never falls reaches `limit`, to the minute; `None` where it does not until `ends_at`.

    One that has reached it already is given as `starts_at`.
    """
    if value_at(starts_at) >= limit:
        return starts_at
    if value_at(ends_at) < limit:
        return None
    while ends_at - starts_at > FINE_ENOUGH:
        middle = starts_at + (ends_at - starts_at) / 2
        if value_at(middle) >= limit:
            ends_at = middle
        else:
            starts_at = middle
    return ends_at.replace(second=0, microsecond=0)
