"""How good the forecast is: every day of many months, beside the straight run rate and the same weekdays of last week.

Months of simulated worlds, of made-up series with one trait each, and of real ones where `FORECAST_SERIES` names a
folder of CSV files (columns `day`, an ISO date, and `total`): `FORECAST_SERIES=… pytest -m benchmark -s <this file>`.
"""

from __future__ import annotations

import csv
import math
import os
import random
import time
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from prisma_postgres_exporter.forecast import forecast_operations
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.simulator import World, WorldShape

pytestmark = pytest.mark.benchmark

ONE_DAY = timedelta(days=1)
BEGINS_ON = date(2026, 1, 1)
SERIES_DAYS = 151
SEEDS = range(12)
LEAST_HISTORY = 8


@dataclass(slots=True)
class Score:
    """Sums over forecasts: relative errors of three methods, and how often the truth lay in the interval."""

    forecasts: int = 0
    ours: float = 0.0
    run_rate: float = 0.0
    seasonal: float = 0.0
    covered: int = 0
    by_day: dict[int, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0, 0.0, 0.0]))


def test_the_forecast_beats_the_straight_run_rate() -> None:
    scores: dict[str, Score] = defaultdict(Score)
    seconds = 0.0
    for kind, begins_on, days in _series():
        begun = time.process_time()
        _walk(scores[kind], begins_on, days)
        seconds += time.process_time() - begun
    table = Table("series", "forecasts", "ours", "run rate", "same weekdays", "in the interval", title="Mean error")
    for kind, score in scores.items():
        count = score.forecasts
        table.add_row(
            kind,
            f"{count:,}",
            f"{score.ours / count:.1%}",
            f"{score.run_rate / count:.1%}",
            f"{score.seasonal / count:.1%}",
            f"{score.covered / count:.0%}",
        )
    by_day = Table("day of the month", "ours", "run rate", "same weekdays", title="Mean error by day, all series")
    for day in range(1, 32, 2):
        sums = [0.0, 0.0, 0.0, 0.0]
        for score in scores.values():
            sums = [total + part for total, part in zip(sums, score.by_day[day], strict=True)]
        if sums[3]:
            by_day.add_row(str(day), *(f"{part / sums[3]:.1%}" for part in sums[:3]))
    Console(width=110).print(table, by_day)
    count = sum(score.forecasts for score in scores.values())
    print(f"{seconds / count * 1_000_000:.0f} us CPU a forecast, the comparison with it")
    for kind, score in scores.items():
        assert score.ours < score.run_rate, kind
    assert sum(score.ours for score in scores.values()) < 0.8 * sum(score.run_rate for score in scores.values())


def _walk(score: Score, begins_on: date, days: Sequence[int]) -> None:
    """Forecast each whole month of a series at the beginning of each of its days."""
    for first in range(len(days)):
        day = begins_on + first * ONE_DAY
        length = monthrange(day.year, day.month)[1]
        truth = sum(days[first : first + length])
        if day.day != 1 or first + length > len(days) or truth == 0:
            continue
        for past in range(1, length):
            now = day_start(day + past * ONE_DAY)
            known = days[: first + past]
            if len(known) >= LEAST_HISTORY:
                _note(score, known, past, length, truth, now)


def _note(score: Score, known: Sequence[int], past: int, length: int, truth: int, now: datetime) -> None:
    forecast = forecast_operations(known, today_operations=0, now=now)
    assert forecast is not None
    used = sum(known[-past:])
    week = known[-7:]
    seasonal = used + sum(week[ahead % 7] for ahead in range(length - past))
    errors = [abs(said - truth) / truth for said in (forecast.expected, used / past * length, seasonal)]
    score.forecasts += 1
    score.ours += errors[0]
    score.run_rate += errors[1]
    score.seasonal += errors[2]
    score.covered += forecast.low <= truth <= forecast.high
    sums = score.by_day[past]
    for place, part in enumerate((*errors, 1.0)):
        sums[place] += part


def _series() -> Iterator[tuple[str, date, list[int]]]:
    yield from (("simulated world", BEGINS_ON, days) for days in _simulated())
    for seed in SEEDS:
        for kind, days in _made_up(random.Random(seed)):
            yield kind, BEGINS_ON, days
    folder = os.environ.get("FORECAST_SERIES")
    for path in sorted(Path(folder).glob("*.csv")) if folder else ():
        with path.open(encoding="utf-8") as lines:
            rows = [(date.fromisoformat(row["day"]), int(float(row["total"]))) for row in csv.DictReader(lines)]
        # Cut into months of its own: short series hold no whole calendar month with a past.
        for begin in (BEGINS_ON, BEGINS_ON + 11 * ONE_DAY, BEGINS_ON + 19 * ONE_DAY):
            yield "real", begin, [total for _, total in rows]


def _simulated() -> Iterator[list[int]]:
    world = World(
        seed=7,
        shape=WorldShape(workspaces=2, projects_per_workspace=4, databases=16, idle_share=0.0),
        begins_at=datetime(2025, 6, 1, tzinfo=UTC),
    )
    for database in world.databases(datetime(2026, 1, 1, tzinfo=UTC)):
        days = [day_start(BEGINS_ON + back * ONE_DAY) for back in range(SERIES_DAYS)]
        yield [world.operations(database.id, day, day + ONE_DAY) for day in days]


def _made_up(chance: random.Random) -> Iterator[tuple[str, list[int]]]:
    base = math.exp(chance.uniform(5, 14))
    week = [chance.uniform(0.4, 1.4) for _ in range(7)]
    growth = chance.uniform(-0.01, 0.02)
    shift_at, shift = chance.randrange(60, 130), chance.choice([0.4, 2.0, 3.0])
    walk = 1.0
    made: dict[str, list[int]] = defaultdict(list)
    for day in range(SERIES_DAYS):
        usual = base * week[day % 7]
        noise = math.exp(chance.gauss(0, 0.1))
        walk *= math.exp(chance.gauss(0, 0.06))
        made["weekly rhythm"].append(int(usual * noise))
        made["growth"].append(int(usual * noise * math.exp(growth * day)))
        made["level shift"].append(int(usual * noise * (shift if day >= shift_at else 1)))
        made["bursts"].append(int(usual * noise * (chance.uniform(3, 8) if chance.random() < 0.04 else 1)))
        made["wandering level"].append(int(usual * noise * walk))
        made["now and then"].append(int(chance.expovariate(1 / base)) if chance.random() < 0.3 else 0)
    yield from made.items()
