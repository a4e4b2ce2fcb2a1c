"""The simulated world's time: the real one, or one that is set by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the real time, in UTC."""
    return datetime.now(UTC)


class ManualClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Return what it shows, in UTC."""
        return self.now

    def advance(self, by: timedelta) -> datetime:
        """Move it, forwards or backwards."""
        self.now += by
        return self.now
