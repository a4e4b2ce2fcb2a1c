"""The forecast: what a calendar month (UTC) will have come to when it ends, from the days before now.

Pure. The days of the month that are known count as they are; only what is left of it is estimated:

1. Weekdays: each weekday's factor, shrunk towards 1 by as much as chance alone would explain
   (James and Stein's estimator), so that a series without a weekly rhythm gets none.
2. Level: bursts are cut back; the level is followed at several speeds, and once with a damped trend
   (Brown's double smoothing). Each is asked on every third past day what the next days' sum would be, and
   the better it has foretold, the more its present answer weighs.
3. Interval: as wide as those past answers were wrong over as many days, meant to hold the truth
   four times in five.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from operator import mul, sub, truediv

FEWEST_DAYS = 7
MOST_DAYS = 84
WEEK = 7
# Past answers of neighbouring days are nearly the same: every third tells as much, in a third of the time.
STRIDE = 3
SPEEDS = (0.03, 0.09, 0.2)
TREND_DAMPING = 0.6
TREND_BOUND = 0.5
BURST_SPREADS = 5.0
SELECTIVENESS = 1.5
PRIOR_DAYS = 2.0
PRIOR_MISS = 0.15
PRIOR_ERROR = 0.2
# 1.28 is four times in five of a bell curve; the past errors are those of levels that were chosen by them, hence small.
INTERVAL_WIDTH = 1.7
GROWTH_TRUST = 0.8
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


def forecast_operations(days: Sequence[int | None], *, today_operations: int | None, now: datetime) -> Forecast | None:
    """What the month that holds `now` will have come to at its end, in operations.

    `days` is one number a UTC day, the oldest first, the last one the day before `now`'s; `None` is a day
    that is not known: 0 before the first known day, else as much as on the same weekday nearby. The newest
    84 count. `today_operations` are those of the day of `now` until `now`, `None` when not known.

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
        to_come = sum(rates)
    else:
        # The later it is, the more today's own pace says about the rest of today.
        to_come = (1 - passed) * ((1 - passed) * rates[0] + today_operations) + sum(rates[1:])
    used = sum(day for day in days[-before_today:] if day is not None) if before_today else 0
    in_gaps = sum(history[-before_today:]) - used if before_today else 0.0
    return _bounded(used + (today_operations or 0), max(in_gaps, 0.0) + to_come, error)


def forecast_average_storage(daily_means: Sequence[int | None], *, now: datetime) -> Forecast | None:
    """The mean of storage over the whole month that holds `now`, in bytes, every day weighing the same.

    `daily_means` is the time-weighted mean of each UTC day, as `days` in `forecast_operations`: today is still
    to come. Storage has no rhythm to know: it goes on from where it is, as fast as it lately grew.

    `None` when fewer than seven days are known. `low` is never below what the days of this month that are
    known already make of the whole month.
    """
    at = now.astimezone(UTC)
    history = _filled(daily_means[-MOST_DAYS:])
    if history is None:
        return None
    before_today = at.day - 1
    length = monthrange(at.year, at.month)[1]
    left = length - before_today
    growth = _steady_growth(history)
    to_come = sum(max(history[-1] + growth * day, 0.0) for day in range(1, left + 1))
    held = sum(history[-before_today:]) if before_today else 0.0
    # What is added and dropped adds up like a random walk: its mean over n days strays by sqrt(n / 3) days' worth.
    stray = INTERVAL_WIDTH * _usual_step(history, growth) * math.sqrt(left / 3) * left
    expected = round((held + to_come) / length)
    return Forecast(
        low=min(math.floor((held + max(to_come - stray, 0.0)) / length), expected),
        expected=expected,
        high=max(math.ceil((held + to_come + stray) / length), expected),
    )


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
    return blended.pop(), _usual_error(blended, _next_means(days, reach))


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


def _steady_growth(history: list[float]) -> float:
    """By how much a day the newest four weeks grew, in part trusted."""
    recent = history[-4 * WEEK :]
    return GROWTH_TRUST * (recent[-1] - recent[0]) / (len(recent) - 1)


def _usual_step(history: list[float], growth: float) -> float:
    """How far a day usually lies from the day before, growth apart."""
    recent = history[-4 * WEEK :]
    steps = [after - before - growth for before, after in pairwise(recent)]
    return math.sqrt(sum(map(mul, steps, steps)) / len(steps))
