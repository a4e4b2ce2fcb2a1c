"""Durations as people write them: `30s`, `5m`, `1h30m`, `7d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WHOLE = re.compile(r"(?:\d+[wdhms])+")
_PART = re.compile(r"(\d+)([wdhms])")
LONGEST = timedelta(days=366)


def parse_duration(text: str) -> timedelta:
    """Read a duration of whole weeks, days, hours, minutes and seconds, the units in any order.

    Raises:
        ValueError: it is not written so, or is not between a second and 366 days.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a valid duration (30s, 5m, 1h30m, 7d)")
    seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    if not 0 < seconds <= LONGEST.total_seconds():
        raise ValueError(f"{text!r} is not between 1s and 366d")
    return timedelta(seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write a duration so that `parse_duration` reads it, in the fewest parts; weeks are written as days."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit in "dhms":
        count, seconds = divmod(seconds, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
