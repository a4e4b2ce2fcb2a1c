"""How often a line is logged whose cause comes as often as somebody else likes."""

from __future__ import annotations

import time
from collections.abc import Callable

TOLD_EVERY_SECONDS = 60.0


class Telling:
    """Says what is new at once, and what goes on once a minute with how often it came."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: object = None
        self._told_at: float | None = None
        self._times = 0

    def times(self, what: object) -> int | None:
        """How often this came since it was said last, now included; `None` where it is not to be said yet."""
        now = self._clock()
        if what == self._last and self._told_at is not None and now - self._told_at < TOLD_EVERY_SECONDS:
            self._times += 1
            return None
        times = self._times + 1 if what == self._last else 1
        self._last, self._told_at, self._times = what, now, 0
        return times
