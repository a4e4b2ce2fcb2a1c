"""What one database uses as time goes by: operations and storage, exact, in constant time.

Operations are a whole number of ever finer units, summed in closed form and divided once at the end, so
that any span is a difference of two counts and spans add up exactly. Time is cut into blocks of four
weeks, counted from the Monday before the database was made:

- growth: in block `b` everything is `1000 + growth * b` thousandths of what it was at first;
- weekly rhythm: each day of the week has its weight;
- day noise: an amount lent by one day to the next, always less than a day, so that it never sums up;
- daily rhythm: the rate moves in straight lines from hour to hour;
- bursts: the same amount in every block, at random times.

Storage grows, with a weekly sawtooth of bloat and clean-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import Final

from prisma_postgres_exporter.simulator.chance import between, draw
from prisma_postgres_exporter.simulator.clock import DAY_MS, HOUR_MS

_WEEKS: Final = 4
_BLOCK_DAYS: Final = 7 * _WEEKS
_BLOCK_MS: Final = _BLOCK_DAYS * DAY_MS
_WHOLE: Final = 1_000
_MINUTE_MS: Final = 60_000
_LONGEST_BURST_MINUTES: Final = 180


class _DayCourse:
    """How far a day has come at each of its milliseconds: `until(DAY_MS)` is `total`."""

    def __init__(self, hourly_weights: tuple[int, ...]) -> None:
        self._weights = (*hourly_weights, hourly_weights[0])
        # Twice the area under the rate, so that triangles are whole numbers.
        pairs = zip(self._weights, self._weights[1:], strict=False)
        self._whole_hours = (0, *accumulate((left + right) * HOUR_MS * HOUR_MS for left, right in pairs))
        self.total = self._whole_hours[-1]

    def until(self, ms_of_day: int) -> int:
        hour, into = divmod(ms_of_day, HOUR_MS)
        rate = self._weights[hour]
        return self._whole_hours[hour] + (2 * HOUR_MS * rate + (self._weights[hour + 1] - rate) * into) * into


_DAY_COURSES: Final = tuple(
    _DayCourse(weights)
    for weights in (
        (2, 1, 1, 1, 1, 2, 5, 10, 16, 20, 22, 22, 18, 20, 22, 22, 20, 16, 12, 9, 7, 5, 4, 3),  # an office
        (6, 4, 3, 2, 2, 3, 5, 7, 8, 9, 9, 10, 11, 11, 11, 12, 13, 15, 18, 21, 22, 20, 15, 10),  # evenings at home
        (10,) * 24,  # machines
        (30, 40, 35, 20, 8, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 8, 15),  # nightly batches
    )
)
_WEEK_COURSES: Final = (
    (120, 125, 125, 122, 110, 50, 48),
    (90, 90, 92, 95, 105, 118, 110),
    (100, 100, 100, 100, 100, 100, 100),
    (110, 110, 110, 110, 110, 75, 75),
)


class Rhythm(IntEnum):
    """Who makes the operations: their hours and days of the week."""

    OFFICE = 0
    EVENINGS = 1
    MACHINES = 2
    NIGHTLY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a load goes: its rhythm, its growth from block to block, its bursts in each, and how uneven its days are.

    `unevenness_permille` is how much of the week's quietest day a day may leave to the next.
    """

    rhythm: Rhythm
    growth_permille: int = 0
    bursts: int = 0
    unevenness_permille: int = 1_000


def drawn_course(key: int) -> Course:
    """The course of the database with the random number `key`."""
    bits = draw(key, 4)
    return Course(
        rhythm=Rhythm(bits % len(Rhythm)), growth_permille=between(0, 60, bits >> 8), bursts=between(0, 3, bits >> 24)
    )


class Load:
    """The operations of one database since `created_ms`.

    `operations_a_day` is the mean of its first block without bursts, 0 for an idle database. The size of its bursts
    follows from `key`, the database's random number, and so does its course if there is none.
    """

    __slots__ = (
        "_burst_units",
        "_bursts",
        "_day_course",
        "_first_monday",
        "_first_units",
        "_growth_permille",
        "_key",
        "_most_lent",
        "_operations_a_day",
        "_units_of_seven_operations",
        "_week",
        "_week_units",
        "created_ms",
    )

    def __init__(self, *, key: int, created_ms: int, operations_a_day: int, course: Course | None = None) -> None:
        course = course or drawn_course(key)
        self._key = key
        self.created_ms = created_ms
        self._operations_a_day = operations_a_day
        self._day_course = _DAY_COURSES[course.rhythm]
        self._week = _WEEK_COURSES[course.rhythm]
        self._week_units = sum(self._week)
        self._most_lent = max(1, min(self._week) * course.unevenness_permille)
        self._units_of_seven_operations = self._week_units * _WHOLE * self._day_course.total
        self._growth_permille = course.growth_permille
        self._bursts = course.bursts
        burst_percent_of_a_day = between(30, 250, draw(key, 4) >> 32)
        self._burst_units = self._week_units * burst_percent_of_a_day * self._day_course.total // 700
        created_day = created_ms // DAY_MS
        self._first_monday = created_day - (created_day + 3) % 7  # 1970-01-01 was a Thursday
        self._first_units = self._units_until(created_ms)

    def operations_until(self, at_ms: int) -> int:
        """Operations from `created_ms` until just before `at_ms`, which must not be earlier."""
        if not self._operations_a_day:
            return 0
        units = self._units_until(at_ms) - self._first_units
        return units * self._operations_a_day * 7 // self._units_of_seven_operations

    def _units_until(self, at_ms: int) -> int:
        day, ms_of_day = divmod(at_ms, DAY_MS)
        age_days = day - self._first_monday
        block, day_of_block = divmod(age_days, _BLOCK_DAYS)
        weeks, weekday = divmod(day_of_block, 7)
        level = _WHOLE + self._growth_permille * block
        past_levels = _WHOLE * block + self._growth_permille * (block * (block - 1) // 2)

        lent, lent_next = self._lent_before(age_days), self._lent_before(age_days + 1)
        past_weeks = self._week_units * (_WEEKS * past_levels + weeks * level)
        past_days = past_weeks + level * sum(self._week[:weekday]) - lent
        this_day = level * self._week[weekday] + lent - lent_next
        steady = past_days * self._day_course.total + this_day * self._day_course.until(ms_of_day)

        past_bursts = self._burst_units * self._bursts * past_levels
        return steady + past_bursts + self._bursts_until(block, day_of_block * DAY_MS + ms_of_day, level)

    def _lent_before(self, age_days: int) -> int:
        """Units that the day before `age_days` leaves to that day: less than the quietest day has."""
        return draw(self._key, 1, age_days) % self._most_lent

    def _bursts_until(self, block: int, ms_of_block: int, level: int) -> int:
        burst_units = self._burst_units * level
        made = 0
        for number in range(self._bursts):
            bits = draw(self._key, 2, block, number)
            lasts_ms = between(15, _LONGEST_BURST_MINUTES, bits) * _MINUTE_MS
            starts_ms = (bits >> 16) % (_BLOCK_MS - lasts_ms)
            made += burst_units * min(max(ms_of_block - starts_ms, 0), lasts_ms) // lasts_ms
        return made


PAGE_BYTES: Final = 8192

_CLEAN_UP_EVERY_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class StorageCourse:
    """A level in whole pages: `first_bytes`, `growth_bytes_a_day`, and `bloat_bytes` that come and go weekly."""

    first_bytes: int
    growth_bytes_a_day: int
    bloat_bytes: int

    def level_bytes(self, age_ms: int) -> int:
        """The level at an age (not negative)."""
        grown_bytes = self.growth_bytes_a_day * age_ms // DAY_MS
        bloated_bytes = self.bloat_bytes * (age_ms % _CLEAN_UP_EVERY_MS) // _CLEAN_UP_EVERY_MS
        return (self.first_bytes + grown_bytes + bloated_bytes) // PAGE_BYTES * PAGE_BYTES


def storage_course(key: int, first_bytes: int) -> StorageCourse:
    """The course of the database with the random number `key`: it doubles in about a year or never grows."""
    bits = draw(key, 5)
    return StorageCourse(
        first_bytes=first_bytes,
        growth_bytes_a_day=first_bytes * between(0, 30, bits) // 10_000,
        bloat_bytes=first_bytes * between(0, 80, bits >> 16) // 1_000,
    )
