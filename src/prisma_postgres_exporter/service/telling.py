"""How often a line is logged whose cause comes as often as somebody else likes."""

from __future__ import annotations

import time
from collections.abc import Callable

TOLD_EVERY_SECONDS = 60.0
MOST_LINES = 10
"""As many in a minute: what comes and goes is new each time."""


class Telling:
    """Says what is new at once, what goes on once a minute with how often it came, and never more than `MOST_LINES`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._newest: object = None
        self._said: object = None
        self._times = 0
        self._told_at: list[float] = []

    @property
    def is_owed(self) -> bool:
        """Whether what came last is not what was said last."""
        return self._newest != self._said

    def times(self, what: object, *, is_asked: bool = False) -> int | None:
        """How often this came since it or another was said, now included; `None` where it is not to be said yet.

        What somebody `is_asked` for is news each time.
        """
        now = self._clock()
        if what != self._newest:
            self._newest, self._times = what, 0
        self._times += 1
        self._told_at = [at for at in self._told_at if now - at < TOLD_EVERY_SECONDS]
        is_news = is_asked or what != self._said
        if self._told_at and not (is_news and len(self._told_at) < MOST_LINES):
            return None
        times, self._times, self._said = self._times, 0, what
        self._told_at.append(now)
        return times
