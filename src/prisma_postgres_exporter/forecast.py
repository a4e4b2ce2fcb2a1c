"""The forecast: what a calendar month (UTC) will have come to when it ends, from the days before now.

Pure. The days of the month that are known count as they are; only what is left of it is estimated:

1. Weekdays: each weekday's factor, shrunk towards 1 by as much as chance alone would explain
   (James and Stein's estimator), so that a series without a weekly rhythm gets none.
2. Level: bursts are cut back; the level is followed at several speeds, and once with a damped trend
   (Brown's double smoothing). Each is asked on every third past day what the next days' sum would be, and
   the better it has foretold, the more its present answer weighs. A new level, of which each of at least four
   newest days lies beyond all of the four weeks before, is believed the more, the longer it lasts.
3. Interval: as wide as those past answers were wrong over as many days, meant to hold the truth
   four times in five.

A storage level has no weekdays: it goes on from where it is, as fast as it steadily grew.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, combinations, pairwise
from operator import mul, sub, truediv
from statistics import median

FEWEST_DAYS = 7
MOST_DAYS = 84
WEEK = 7
# Past answers of neighbouring days are nearly the same: every third tells as much, in a third of the time.
STRIDE = 3
SPEEDS = (0.03, 0.09, 0.2)
TREND_DAMPING = 0.6
TREND_BOUND = 0.5
BURST_SPREADS = 5.0
# A new level: its fewest and most days, how far beyond the usual day, and how many days' worth the old one still has.
SHIFT_DAYS = range(4, 2 * WEEK + 1)
SHIFT_RATIO = 1.5
SHIFT_PRIOR_DAYS = 0.5
SELECTIVENESS = 1.5
PRIOR_DAYS = 2.0
PRIOR_MISS = 0.15
PRIOR_ERROR = 0.2
# 1.28 is four times in five of a bell curve; the past errors are those of levels that were chosen by them, hence small.
INTERVAL_WIDTH = 1.7
GROWTH_TRUST = 0.8
GROWTH_DOUBT = 0.25
# How far a storage level strays in a day when nothing is known of it, and what of its changes is a step.
PRIOR_STRAY = 0.02
STEP_SPREADS = 8.0
STEP_GROWTHS = 4.0
SMALLEST_STEP = 0.001
STEP_RULE = 3
SMALLEST_SHARE = 0.1
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A whole calendar month (UTC): `low` <= `expected` <= `high`, in the unit of the days it was made from.

    The month is meant to end between `low` and `high` four times in five.
    """

    low: int
    expected: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a level goes on: by how much a day it grows, and how far a day usually strays from that."""

    per_day: float
    stray_per_day: float

    def stray(self, days: float) -> float:
        """How far the sum of the levels of so many days lies from the expected one, four times in five."""
        # What is added and dropped adds up like a random walk: its mean over n days strays by sqrt(n / 3) days' worth.
        wandering = self.stray_per_day * math.sqrt(days / 3) * days
        return INTERVAL_WIDTH * math.hypot(wandering, GROWTH_DOUBT * self.per_day * days**2 / 2)


def forecast_operations(
    days: Sequence[int | None],
    *,
    today_operations: int | None,
    now: datetime,
    used: int | None = None,
    unknown: Sequence[float] | None = None,
    unknown_today: float | None = None,
) -> Forecast | None:
    """What the month that holds `now` will have come to at its end, in operations.

    `days` is one number a UTC day, the oldest first, the last one the day before `now`'s; `None` is a day
    that is not known: as much as on the same weekday nearby. The newest 84 count. `today_operations` are
    those of the day of `now` until `now`, `None` when not known.

    `days` may be estimates, where only a part of them is known. Then `used` is what is known of this month
    until now, `unknown` what part of each of its past days is not in it (0 to 1, the 1st first), and
    `unknown_today` what part of today so far. Left out, `used` is the sum of the days: a day before the first
    known one counts as nothing, a gap after it as wholly unknown.

    `None` when fewer than seven days are known. `low` is never below what is already used.
    """
    at = now.astimezone(UTC)
    history = _filled(days[-MOST_DAYS:])
    if history is None:
        return None
    before_today = at.day - 1
    left = monthrange(at.year, at.month)[1] - before_today
    rates, error = _outlook(history, left)
    passed = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() / SECONDS_PER_DAY
    if today_operations is None:
        today, rest_of_today = passed * rates[0], (1 - passed) * rates[0]
    else:
        # The later it is, the more today's own pace says about the rest of today.
        today, rest_of_today = today_operations, (1 - passed) * ((1 - passed) * rates[0] + today_operations)
    past = days[-before_today:] if before_today else ()
    if used is None:
        used = sum(day for day in past if day is not None) + (today_operations or 0)
    if unknown is None:
        begins = len(past) - len(history)
        unknown = [1.0 if day is None and place >= begins else 0.0 for place, day in enumerate(past)]
    if unknown_today is None:
        unknown_today = 1.0 if today_operations is None else 0.0
    in_gaps = sum(map(mul, unknown, _past_of(history, len(unknown)))) + today * unknown_today
    return _bounded(used, max(in_gaps, 0.0) + rest_of_today + sum(rates[1:]), error)


def steady_growth(levels: Sequence[tuple[float, float]]) -> Growth:
    """How a level that was `(day, level)` at these times, oldest first, goes on.

    The slope is the median of all slopes between two of the newest four weeks' levels (Theil and Sen), since the
    last step: a change beyond all others of the last two weeks, as an import makes, is no growth. Changes
    that are seen three times in four weeks are no steps: so this level grows. No growth is told from fewer
    than seven levels.
    """
    if not levels:
        return Growth(per_day=0.0, stray_per_day=0.0)
    newest_at, newest = levels[-1]
    recent = [(at, level) for at, level in levels if at >= newest_at - 4 * WEEK]
    changes = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(recent)]
    steps = _steps(changes, newest)
    since = recent[steps[-1] + 1 :] if steps else recent
    per_day = 0.0
    if len(since) >= FEWEST_DAYS:
        slopes = [(after[1] - before[1]) / (after[0] - before[0]) for before, after in combinations(since, 2)]
        per_day = GROWTH_TRUST * median(slopes)
    usual = [change - per_day for place, change in enumerate(changes) if place not in steps]
    # A level of which little is known may move: what it does is believed the more, the longer it was seen.
    squares = sum(map(mul, usual, usual)) + (PRIOR_STRAY * newest) ** 2
    return Growth(per_day=per_day, stray_per_day=math.sqrt(squares / (len(usual) + 1)))


def _steps(changes: Sequence[float], level: float) -> list[int]:
    """The places of the changes that are steps, unless there are so many of them that they are the rule."""
    newest = changes[-2 * WEEK :]
    if not newest:
        return []
    usual = median(newest)
    spread = median(abs(change - usual) for change in newest)
    bound = max(STEP_SPREADS * spread, STEP_GROWTHS * abs(usual), SMALLEST_STEP * level)
    steps = [place for place, change in enumerate(changes) if abs(change - usual) > bound]
    # An import at noon changes the means of two days.
    events = sum(place - 1 not in steps for place in steps)
    return steps if events < STEP_RULE else []


def _past_of(history: list[float], count: int) -> list[float]:
    """The newest `count` days of a history; before its first day, the same weekdays of its first week."""
    before = count - len(history)
    if before <= 0:
        return history[-count:] if count else []
    return [*(history[(place - before) % WEEK] for place in range(before)), *history]


def _bounded(used: int, to_come: float, error: float) -> Forecast:
    expected = round(to_come)
    return Forecast(
        low=used + min(math.floor(to_come / (1 + INTERVAL_WIDTH * error)), expected),
        expected=used + expected,
        high=used + max(math.ceil(to_come * (1 + INTERVAL_WIDTH * error)), expected),
    )


def _filled(days: Sequence[int | None]) -> list[float] | None:
    """The days from the first known one on, each gap filled; `None` when too few are known."""
    known = len(days) - days.count(None)
    if known < FEWEST_DAYS:
        return None
    if known == len(days):
        return [float(day) for day in days if day is not None]
    first = next(index for index, day in enumerate(days) if day is not None)
    mean = sum(day for day in days if day is not None) / known
    filled: list[float] = []
    for index, day in enumerate(days[first:]):
        if day is not None:
            filled.append(float(day))
        elif index >= WEEK:
            filled.append(filled[index - WEEK])
        else:
            filled.append(mean)
    return filled


def _outlook(history: list[float], ahead: int) -> tuple[list[float], float]:
    """How much each of the next `ahead` days will bring, today first; the usual relative error of their sum."""
    factors = _weekday_factors(history)
    count = len(history)
    weeks = -(-count // WEEK)
    level_days = list(map(truediv, history, (factors * weeks)[:count]))
    rate, error = _level(level_days, ahead)
    return [rate * factors[(count + day) % WEEK] for day in range(ahead)], error


def _weekday_factors(history: list[float]) -> list[float]:
    """What each weekday brings, as a multiple of the mean day; the first is that of the history's first day."""
    weeks = len(history) // WEEK
    if weeks < 2:
        return [1.0] * WEEK
    start = len(history) - weeks * WEEK
    shares: list[list[float]] = []
    for week in range(start, len(history), WEEK):
        days = history[week : week + WEEK]
        total = sum(days)
        if total > 0:
            # One burst must not make a weekday of itself.
            cap = 3.0 * sorted(days)[WEEK // 2] or total
            capped = [day if day < cap else cap for day in days]
            scale = WEEK / sum(capped)
            shares.append([day * scale for day in capped])
    kept = len(shares)
    if kept < 2:
        return [1.0] * WEEK
    means = [sum(column) / kept for column in zip(*shares, strict=True)]
    squares = sum(sum(map(mul, share, share)) for share in shares)
    between = sum(map(mul, means, means))
    chance = (squares - kept * between) / (kept * (kept - 1))
    spread = between - WEEK
    trust = max(0.0, 1.0 - chance / spread) if spread > 0 else 0.0
    factors = [max(1.0 + trust * (mean - 1.0), 0.02) for mean in means]
    turn = (WEEK - start) % WEEK
    return factors[turn:] + factors[:turn]


def _level(days: list[float], ahead: int) -> tuple[float, float]:
    """The mean of the next `ahead` days without their weekdays, and how wrong such means usually were."""
    cap = max(_burst_cap(days), _burst_cap(days[-2 * WEEK :]))
    calm = [day if day < cap else cap for day in days]
    # A sum over longer than a third of what is known would have too few past ones to be judged by.
    reach = min(ahead, max(1, len(days) // 3))
    truths = _next_means(calm, reach)
    tracks = _tracks(calm, len(truths), ahead)
    weights = [_weight(track, truths) for track in tracks]
    total = sum(weights)
    blended = [sum(map(mul, weights, levels)) / total for levels in zip(*tracks, strict=True)]
    return _shifted(days, blended.pop()), _usual_error(blended, _next_means(days, reach))


def _shifted(days: list[float], level: float) -> float:
    """The level, drawn to that of the newest days where all of them lie beyond all of the four weeks before them."""
    for count in reversed(SHIFT_DAYS):
        newest, before = days[-count:], sorted(days[-count - 4 * WEEK : -count])
        if len(before) < 2 * WEEK:
            continue
        usual = before[len(before) // 2]
        is_above = min(newest) > max(before[-1], usual * SHIFT_RATIO)
        if is_above or max(newest) < min(before[0], usual / SHIFT_RATIO):
            trust = count / (count + SHIFT_PRIOR_DAYS)
            return trust * median(newest) + (1 - trust) * level
    return level


def _next_means(days: list[float], reach: int) -> list[float]:
    """The means of the `reach` days from the second week's first day on, from every third day after it on."""
    sums = list(accumulate(days, initial=0.0))
    return [
        (after - before) / reach
        for before, after in zip(sums[WEEK::STRIDE], sums[WEEK + reach :: STRIDE], strict=False)
    ]


def _tracks(days: list[float], judged: int, ahead: int) -> list[list[float]]:
    """What each way to follow the level said on the `judged` days that `_next_means` begins with, and says now."""
    start = sum(days[:WEEK]) / WEEK
    steady, once, nimble = (_smoothed(days, speed, start) for speed in SPEEDS)
    twice = _judged(_smoothed(once[1:], SPEEDS[1], start), judged)
    gain = 1 + TREND_DAMPING * SPEEDS[1] / (1 - SPEEDS[1]) * (ahead + 1) / 2
    followed = [_judged(track, judged) for track in (steady, once, nimble)]
    trend = [
        min(level / TREND_BOUND, max(level * TREND_BOUND, level + gain * (level - slower)))
        for level, slower in zip(followed[1], twice, strict=True)
    ]
    return [*followed, trend]


def _smoothed(days: list[float], speed: float, start: float) -> list[float]:
    kept = 1 - speed
    return list(accumulate(days, lambda level, day: kept * level + speed * day, initial=start))


def _judged(track: list[float], judged: int) -> list[float]:
    return [*track[WEEK : WEEK + judged * STRIDE : STRIDE], track[-1]]


def _weight(track: list[float], truths: list[float]) -> float:
    """How much a way to follow the level is believed: the less it missed what came, the more."""
    if not truths:
        return 1.0
    misses = list(map(sub, track, truths))
    mean = sum(truths) / len(truths)
    squares = sum(map(mul, misses, misses)) + PRIOR_DAYS * (PRIOR_MISS * mean) ** 2
    return squares**-SELECTIVENESS if squares > 0 else 1.0


def _usual_error(levels: list[float], truths: list[float]) -> float:
    """By what share the levels missed the truths, upwards or downwards, with a prior for the first weeks."""
    squares = PRIOR_DAYS * PRIOR_ERROR**2
    # Next to nothing, forecast or come true, would be wrong beyond all measure.
    floor = SMALLEST_SHARE * (sum(truths) + sum(levels)) / (2 * len(truths) or 1)
    for level, truth in zip(levels, truths, strict=True):
        lesser, greater = (level, truth) if level < truth else (truth, level)
        if greater > floor:
            squares += (greater / (lesser if lesser > floor else floor) - 1) ** 2
    return math.sqrt(squares / (len(truths) + PRIOR_DAYS))


def _burst_cap(days: list[float]) -> float:
    """What a day has to be above to be a burst."""
    ordered = sorted(days)
    middle, upper = ordered[len(days) // 2], ordered[3 * len(days) // 4]
    return middle + BURST_SPREADS * (upper - middle) if upper > middle else 2 * middle or ordered[-1]
