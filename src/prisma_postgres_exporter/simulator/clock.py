"""The simulator's time: the machine's own, or one that stands until it is moved."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]
"""Gives the current instant, aware and in UTC."""


def system_clock() -> datetime:
    """The machine's time."""
    return datetime.now(UTC)


class ManualClock:
    """A clock that stands at `now` (aware) until it is moved, forwards or back."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """Where it stands, in UTC."""
        return self._now

    @property
    def now(self) -> datetime:
        """Where it stands, in UTC.

        Raises:
            ValueError: it is set to an instant without a time zone.
        """
        return self._now

    @now.setter
    def now(self, now: datetime) -> None:
        if now.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        self._now = now.astimezone(UTC)

    def advance(self, span: timedelta) -> datetime:
        """Move by `span`; returns the new instant."""
        self._now += span
        return self._now
