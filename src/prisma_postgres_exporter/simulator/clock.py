"""Time: the machine's own or one that stands until it is moved, and instants as the vendor's whole milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

Clock = Callable[[], datetime]
"""Gives the current instant, aware and in UTC."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_MS: Final = timedelta(milliseconds=1)


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


def to_ms(instant: datetime) -> int:
    """The millisecond that `instant` (aware) lies in."""
    return (instant - _EPOCH) // _ONE_MS


def from_ms(instant_ms: int) -> datetime:
    """The aware UTC instant at which a millisecond begins."""
    return _EPOCH + timedelta(milliseconds=instant_ms)


def span_ms(span: timedelta) -> int:
    """Whole milliseconds of a span."""
    return span // _ONE_MS


def vendor_text(instant_ms: int) -> str:
    """`2026-11-01T00:00:00.000Z`, as the vendor writes it."""
    return from_ms(instant_ms).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parsed(text: str) -> int | None:
    """The millisecond of an ISO date-time with a time zone; `None` for a bare date and for anything else."""
    if "T" not in text:
        return None
    try:
        instant = datetime.fromisoformat(text)
        return None if instant.tzinfo is None else to_ms(instant.astimezone(UTC))
    except (ValueError, OverflowError):
        return None
