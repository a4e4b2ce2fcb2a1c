"""When the vendor publishes a number: learned from the readings between which it changed.

Pure. A change that was found at `hi` by a reading, after another one at `lo` that did not show it, was published
within (lo, hi]. A period explains changes if some phase of it lies in every one of these windows. Of those that do the
likeliest is taken: the one of whose phases the largest part does, with few publications in between in which nothing
changed. All instants here are unix seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

HOUR = 3_600
PERIODS = (*(hours * HOUR for hours in range(6, 0, -1)), 1_800, 1_200, 900)
"""The periods, in seconds, that a vendor may publish by, the longest first."""

CHANGES_KEPT = 6
LEAST_CHANGES = 2
EXACT_SECONDS = 60
"""How exactly the instant is worth knowing."""

MISSED = 0.1
"""How likely a publication is in which a number that moves did not."""

CHANGED_LIKE_MISSED = 3
"""That the vendor changed its rhythm is about as likely as so many publications in a row without a change."""

MOST_BY_CHANCE = 1 / 8
"""Changes that would agree by chance as often as this tell no rhythm."""

LEAST_SHARED = 10
SHARED = 0.9
BEYOND_CHANCE = 0.1
"""What makes a rhythm common: of so many windows so large a part holds its phase, and so much more than any other."""

TRUSTED_FOR = 20
"""After so many publications a phase is known an interval less exactly."""

Change = tuple[int, int]
"""The readings around a change: after the first, until the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """A number is published every `period` seconds: not before `earliest`, and by `latest`, whole periods apart."""

    period: int
    earliest: int
    latest: int

    def by(self, at: int) -> int:
        """The newest instant, not after `at`, by which something was published."""
        return at - (at - self.latest) % self.period

    def after(self, at: int) -> int:
        """The first instant after `at` by which something will be published."""
        return self.by(at) + self.period

    @property
    def halfway(self) -> int | None:
        """How long before `latest` a reading would tell most of the phase; `None` where it is known well enough."""
        width = self.latest - self.earliest
        return None if width <= EXACT_SECONDS else min(width, self.period) // 2

    def kept(self, change: Change, interval: int) -> Rhythm | None:
        """The rhythm that also explains this change, its phase narrowed or moved a little; `None` if it does not.

        It is trusted a little less each time, so that a phase that moves is noticed.
        """
        lo, hi = change
        earliest = max(self.earliest - interval // TRUSTED_FOR, self.latest - self.period + 1)
        if hi - lo >= self.period:
            return Rhythm(period=self.period, earliest=earliest, latest=self.latest)
        # The first whole periods on that end after the phase begins, or near to it.
        moved = -((hi + interval - earliest) // self.period) * self.period
        lo, hi = lo + moved, hi + moved
        if hi <= earliest or lo >= self.latest:
            is_near = lo < self.latest + interval and hi - lo <= 2 * interval
            return Rhythm(period=self.period, earliest=lo, latest=hi) if is_near else None
        return Rhythm(period=self.period, earliest=max(lo, earliest), latest=min(hi, self.latest))

    def holds(self, change: Change) -> bool:
        """Whether something was published in a window, or near to it."""
        lo, hi = change
        return self.by(hi + self.latest - self.earliest + EXACT_SECONDS) > lo - EXACT_SECONDS

    def explains(self, other: Rhythm) -> bool:
        """Whether whatever `other` publishes is published by this one too."""
        if other.period % self.period:
            return False
        gap = (other.latest - self.latest) % self.period
        return gap <= other.latest - other.earliest or self.period - gap <= self.latest - self.earliest


def common_rhythm(changes: Sequence[Change], interval: int) -> Rhythm | None:
    """Find the rhythm that nearly all of many databases' changes share; `None` where there is none, or too few tell.

    Each database must have changed at least twice in them. Where readings are rare it takes many to tell: how many
    windows hold the best phase is compared with how many would hold any.
    """
    for period in PERIODS:
        told = [(lo, hi) for lo, hi in changes if hi - lo < period]
        if period < 2 * interval or len(told) < LEAST_SHARED or 2 * len(told) < len(changes):
            continue
        by_chance = sum(hi - lo for lo, hi in told) / period / len(told)
        share, earliest, latest = _fullest(told, period)
        if share >= SHARED and share - by_chance >= BEYOND_CHANCE:
            newest = max(hi for _, hi in told)
            moved = (newest - latest) // period * period
            return Rhythm(period=period, earliest=earliest + moved, latest=latest + moved)
    return None


def rhythm_of(changes: Sequence[Change], interval: int) -> Rhythm | None:
    """Find the rhythm of changes, the oldest first; `None` where none explains the newest two, or chance would as well.

    First one that is kept exactly; else one that is kept to the minute, or to the `interval` (seconds) of the readings.
    """
    for slack in (0, EXACT_SECONDS, interval):
        widened = [(lo - slack, hi + slack) for lo, hi in changes]
        explained: list[tuple[int, Rhythm, list[Change]]] = []
        for count in sorted({len(changes), 3, LEAST_CHANGES}, reverse=True):
            newest = widened[-count:] if LEAST_CHANGES <= count <= len(changes) else []
            periods = (period for period in PERIODS if period >= 2 * interval)
            found = [found for period in periods if (found := _explained(newest, period)) is not None]
            if found:
                # The likeliest is chosen first: a less likely one may need less to be told from chance.
                _, missed, rhythm = max(found, key=lambda candidate: candidate[0])
                explained.append((missed if count == len(changes) else missed + CHANGED_LIKE_MISSED, rhythm, newest))
        if explained:
            _, rhythm, newest = min(explained, key=lambda candidate: candidate[0])
            return rhythm if _by_chance(newest, rhythm.period) <= MOST_BY_CHANCE else None
    return None


def _explained(changes: Sequence[Change], period: int) -> tuple[float, int, Rhythm] | None:
    """How likely changes are with a period, if every phase is as likely; publications without one; the phases."""
    narrow = [(lo, hi) for lo, hi in changes if hi - lo < period]
    if not narrow:
        return None
    share, earliest, latest = _fullest(narrow, period)
    numbers = [(hi - latest) // period for _, hi in narrow]
    if share < 1 or any(later <= earlier for earlier, later in pairwise(numbers)):
        return None
    missed = sum((lo - latest) // period - (hi - latest) // period for (_, hi), (lo, _) in pairwise(changes) if hi < lo)
    likelihood = (latest - earliest) / period * MISSED**missed
    return likelihood, missed, Rhythm(period=period, earliest=earliest, latest=latest)


def _by_chance(changes: Sequence[Change], period: int) -> float:
    """About how likely windows as wide as these are to hold one phase, wherever they lie."""
    parts = sorted(min(1.0, (hi - lo) / period) for lo, hi in changes)
    return math.prod(parts[1:])


def _fullest(changes: Sequence[Change], period: int) -> tuple[float, int, int]:
    """The part of the windows that hold the best phase, after its earliest and until its latest second.

    These are near to the newest window, and no whole periods apart.
    """
    origin = changes[-1][0]
    steps: list[tuple[int, int]] = []
    for lo, hi in changes:
        begins = (lo - origin) % period
        ends = begins + hi - lo
        # Where the first second ends nothing, the best phase cannot lie on both sides of it.
        steps += [(begins, 1), (ends, -1)] if ends <= period else [(begins, 1), (0, 1), (ends - period, -1)]
    steps.sort()
    held = best = first = last = 0
    for index, (at, step) in enumerate(steps):
        held += step
        if held > best:
            best, first = held, at
            last = steps[index + 1][0] if index + 1 < len(steps) else period
    return best / len(changes), origin + first, origin + last
