"""How a calendar month (UTC) will end: expected, and an interval that holds the truth four times out of five.

Pure. The days that are known count as they are. For the days to come: a robust level (each day divided by its
weekday's factor, recent days weighing more, outliers clipped), the weekday's factor, and half of the trend
between the last two fortnights, damped. The interval is made from how far such sums were off before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import sqrt
from statistics import median

from prisma_postgres_exporter.model import month_start, next_month_start

LEAST_DAYS = 7
NEWEST_DAYS = 91
HALF_LIFE_DAYS = 10.0
SHRINKAGE_WEEKS = 1.5
CLIP = 4.0
TREND_DAYS = 14
TREND_DAMPING = 0.93
COVERAGE_Z = 1.2816
"""Four times out of five the truth lies this many standard deviations around what is expected."""

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Whole operations, or bytes, of the whole month: `low` <= `expected` <= `high`."""

    low: int
    expected: int
    high: int


def forecast_operations(days: Sequence[int | None], *, today_operations: int | None, now: datetime) -> Forecast | None:
    """Forecast the month of `now` from one number a UTC day, oldest first, the last one of the day before now's.

    `None` is a day that is not known: it is taken as an ordinary one. `today_operations` is what today has
    made so far. `None` where fewer than seven days are known.
    """
    today = now.date()
    known = list(days)[-NEWEST_DAYS:]
    shape = _Shape.of(known, today)
    if shape is None:
        return None
    month_begins_on, month_ends_at = month_start(now).date(), next_month_start(now)
    first = today - len(known) * ONE_DAY
    past, unknown = 0, []
    day = month_begins_on
    while day < today:
        place = (day - first).days
        value = known[place] if place >= 0 else None
        if value is None:
            unknown.append(shape.level_of(day))
        else:
            past += value
        day += ONE_DAY
    rest_of_today = _rest_of_today(shape, today, today_operations, now)
    to_come = [shape.level_of(today + ahead * ONE_DAY) for ahead in range(1, (month_ends_at.date() - today).days)]
    used = past + (today_operations or 0)
    expected = used + sum(unknown) + rest_of_today + sum(to_come)
    off = COVERAGE_Z * shape.spread(len(to_come) + len(unknown), rest_of_today, (*unknown, *to_come))
    return Forecast(
        low=max(used, round(expected - off)), expected=max(used, round(expected)), high=max(used, round(expected + off))
    )


def forecast_average_storage(daily_means: Sequence[int | None], *, now: datetime) -> Forecast | None:
    """Forecast the month's mean level from the mean level of each UTC day, ordered as in `forecast_operations`.

    Levels go on from the last one, with half of the growth a day of the last fortnight, damped.
    """
    known = list(daily_means)[-NEWEST_DAYS:]
    levels = [value for value in known if value is not None]
    if len(levels) < LEAST_DAYS:
        return None
    today, month_begins_on = now.date(), month_start(now).date()
    month_days = (next_month_start(now).date() - month_begins_on).days
    in_month = [value for value in known[-(today - month_begins_on).days :] if value is not None]
    in_month = in_month if today > month_begins_on else []
    mean = sum(in_month) / len(in_month) if in_month else 0.0
    growth = (levels[-1] - levels[-min(TREND_DAYS, len(levels))]) / max(1, min(TREND_DAYS, len(levels)) - 1)
    days_past = (today - month_begins_on).days if in_month else 0
    to_come, level, step = 0.0, float(levels[-1]), growth
    for _ in range(month_days - days_past):
        level = max(0.0, level + step)
        step *= TREND_DAMPING
        to_come += level
    expected = (mean * days_past + to_come) / month_days
    steps = [abs(later - earlier) for earlier, later in itertools.pairwise(levels)]
    ahead = month_days - days_past
    off = COVERAGE_Z * (sum(steps) / len(steps)) * sqrt(ahead) * ahead / month_days if steps else 0.0
    floor = mean * days_past / month_days
    return Forecast(
        low=round(max(floor, expected - off)), expected=round(max(floor, expected)), high=round(expected + off)
    )


@dataclass(slots=True)
class _Shape:
    """What days are like: a level, a factor for each weekday, a trend a day, and how far days are off it."""

    today: date
    level: float
    factors: tuple[float, ...]
    growth: float
    error: float
    drift: float

    @classmethod
    def of(cls, days: Sequence[int | None], today: date) -> _Shape | None:
        dated = [(today - (len(days) - place) * ONE_DAY, value) for place, value in enumerate(days)]
        known = [(day, float(value)) for day, value in dated if value is not None]
        if len(known) < LEAST_DAYS:
            return None
        factors = _weekday_factors(known)
        flat = [value / factors[day.weekday()] for day, value in known]
        clipped = _clipped(flat)
        level = _recent_mean(clipped)
        growth = _growth(clipped)
        relative = [value - level_before for value, level_before in zip(flat[1:], _running(clipped), strict=False)]
        error = sqrt(sum(part * part for part in relative) / len(relative)) if relative else level
        weeks = [sum(flat[end - 7 : end]) / 7 for end in range(7, len(flat) + 1, 7)]
        steps = [later - earlier for earlier, later in itertools.pairwise(weeks)]
        drift = sqrt(sum(step * step for step in steps) / len(steps)) if steps else error
        return cls(today, level, factors, growth, error, drift)

    def level_of(self, day: date) -> float:
        """What is expected of a day."""
        ahead = max(0, (day - self.today).days)
        grown = self.growth * (1 - TREND_DAMPING**ahead) / (1 - TREND_DAMPING)
        return max(0.0, (self.level + grown) * self.factors[day.weekday()])

    def spread(self, days: int, rest_of_today: float, expected: Iterable[float]) -> float:
        """The standard deviation of a sum of days: each is off on its own, and the level moves for all of them."""
        total = sum(expected) + rest_of_today
        count = days + 0.5
        apart = self.error * sqrt(count)
        together = self.drift * count * sqrt(max(count, 1) / 7) * 0.5 if total else 0.0
        return sqrt(apart * apart + together * together)


def _weekday_factors(known: Sequence[tuple[date, float]]) -> tuple[float, ...]:
    """Each weekday's median share of its surrounding week, drawn towards 1 where few weeks are known."""
    overall = _recent_mean([value for _, value in known]) or 1.0
    factors = []
    for weekday in range(7):
        shares = []
        for place, (day, value) in enumerate(known):
            if day.weekday() == weekday:
                around = [other for _, other in known[max(0, place - 3) : place + 4]]
                mean = sum(around) / len(around)
                shares.append(value / mean if mean else 1.0)
        count = len(shares)
        factors.append((median(shares) * count + SHRINKAGE_WEEKS) / (count + SHRINKAGE_WEEKS) if shares else 1.0)
    if not overall:
        return (1.0,) * 7
    mean = sum(factors) / 7
    return tuple(max(factor / mean, 0.05) for factor in factors)


def _clipped(values: Sequence[float]) -> list[float]:
    middle = median(values)
    width = median([abs(value - middle) for value in values]) * CLIP
    return [min(max(value, middle - width), middle + width) if width else value for value in values]


def _recent_mean(values: Sequence[float]) -> float:
    weight = total = 0.0
    for age, value in enumerate(reversed(values)):
        share = 0.5 ** (age / HALF_LIFE_DAYS)
        weight += share
        total += share * value
    return total / weight if weight else 0.0


def _running(values: Sequence[float]) -> Iterable[float]:
    """The level as it was known before each value but the first."""
    keep = 0.5 ** (1 / HALF_LIFE_DAYS)
    weight = total = 0.0
    for value in values:
        weight = weight * keep + 1
        total = total * keep + value
        yield total / weight


def _growth(values: Sequence[float]) -> float:
    """Half of the growth a day between the last two fortnights."""
    recent, before = values[-TREND_DAYS:], values[-2 * TREND_DAYS : -TREND_DAYS]
    if len(before) < TREND_DAYS // 2:
        return 0.0
    return (sum(recent) / len(recent) - sum(before) / len(before)) / TREND_DAYS / 2


def _rest_of_today(shape: _Shape, today: date, made: int | None, now: datetime) -> float:
    """What is still to come today: an ordinary day's rest, moved halfway to what today is like so far."""
    passed = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)) / ONE_DAY
    ordinary = shape.level_of(today) * (1 - passed)
    if made is None or passed < 0.25:
        return ordinary
    return (ordinary + made * (1 - passed) / passed) / 2
