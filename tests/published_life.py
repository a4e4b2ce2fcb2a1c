"""Databases whose open days a vendor publishes by a rhythm, read by plan and ledger on simulated time; and the measure.

What is measured knows nothing of the plan: a publication is seen by the first reading that is answered after it.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean, quantiles

from builders import NOW, database, database_state, workspace_state
from planned_life import PlannedLife
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.plan import Planner, Rank
from prisma_postgres_exporter.model import DayUsage, Window, day_start

ONE_DAY = timedelta(days=1)
BEGINS_AT = day_start(NOW.date())
EPOCH = BEGINS_AT - ONE_DAY
LAG = timedelta(minutes=10)

FINAL_AFTER = timedelta(hours=18)
"""So long after its end a day should be known for good."""


@dataclass(frozen=True, kw_only=True)
class Publisher:
    """A database: `rate` operations an hour, none before `wakes_at`.

    Those until `LAG` ago are told `phase` after each whole `period`, up to `jitter` late.
    """

    rate: float
    period: timedelta
    phase: timedelta
    jitter: timedelta = timedelta(0)
    wakes_at: datetime = EPOCH
    seed: int = 0

    def made(self, at: datetime) -> int:
        """Operations that were made until an instant."""
        return int(max(0.0, (at - self.wakes_at) / timedelta(hours=1)) * self.rate)

    def published_at(self, number: int) -> datetime:
        """When the publication of this number comes."""
        late = random.Random(self.seed * 1_000_003 + number).random() * self.jitter
        return EPOCH + self.phase + number * self.period + late

    def known_until(self, at: datetime) -> datetime:
        """How far is known at an instant what was made."""
        number = (at - EPOCH - self.phase) // self.period
        if self.published_at(number) > at:
            number -= 1
        return self._told(number)

    def _told(self, number: int) -> datetime:
        return EPOCH + self.phase + number * self.period - LAG

    def between(self, begins_at: datetime, ends_at: datetime) -> list[tuple[datetime, int]]:
        """The publications of a span that say something new of an open day, with its new operations."""
        found, number = [], (begins_at - EPOCH - self.phase) // self.period + 1
        while (at := self.published_at(number)) < ends_at:
            told, before = self._told(number), self._told(number - 1)
            operations = self.made(told) - self.made(max(before, min(day_start(at.date()), told)))
            if at >= begins_at and operations:
                found.append((at, operations))
            number += 1
        return found


@dataclass(frozen=True, kw_only=True)
class Timetable(Publisher):
    """A database of which news is published at `instants`, in their order, and at no other."""

    instants: tuple[datetime, ...]

    def known_until(self, at: datetime) -> datetime:
        """How far is known at an instant what was made."""
        number = bisect_right(self.instants, at)
        return self.instants[number - 1] - LAG if number else EPOCH

    def between(self, begins_at: datetime, ends_at: datetime) -> list[tuple[datetime, int]]:
        """The publications of a span that say something new of an open day, with its new operations."""
        found = []
        for before, at in pairwise(self.instants):
            told, known = at - LAG, max(before - LAG, min(day_start(at.date()), at - LAG))
            if begins_at <= at < ends_at and (operations := self.made(told) - self.made(known)):
                found.append((at, operations))
        return found


class PublishedLife(PlannedLife):
    """A life whose vendor publishes."""

    publishers: Mapping[str, Publisher]

    def forget(self) -> None:
        """Restart: what was learned is gone, the ledger is not."""
        self._planner = Planner(self.poll)

    def _operations(self, database_id: str, window: Window, at: datetime) -> int:
        publisher = self.publishers[database_id]
        until = max(window.start_at, min(window.end_at, publisher.known_until(at)))
        return publisher.made(until) - publisher.made(window.start_at)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a life came to: open days read a day by a database, delays in seconds, unseen operations on average."""

    reads_a_day: float
    reads_of_all: float
    delays: list[float] = field(repr=False)
    unseen: float
    least: float
    oldest: timedelta
    wrong_days: list[DayUsage]

    @property
    def mean_delay(self) -> float:
        return fmean(self.delays) if self.delays else math.nan

    def delay_of(self, percent: int) -> float:
        """What so many percent of the publications were not later than."""
        return quantiles(self.delays, n=100)[percent - 1] if len(self.delays) > 1 else math.nan


def lived(
    publishers: Mapping[str, Publisher],
    poll: PollConfig,
    *,
    days: float,
    share: float | None = None,
    measured_from: timedelta = timedelta(0),
) -> Measured:
    """Live so many days with a budget that is a `share` of the full rate; without one: with enough."""
    life = begun(publishers, poll, share=share)
    ends_at = BEGINS_AT + days * ONE_DAY
    life.run(ends_at)
    return measured(life, BEGINS_AT + measured_from, ends_at)


def begun(publishers: Mapping[str, Publisher], poll: PollConfig, *, share: float | None = None) -> PublishedLife:
    """A life that has just begun.

    The full rate is the one that `backfill` counts with: the open day and its month in every interval.
    """
    life = PublishedLife(
        workspace=workspace_state(
            *(
                database_state(
                    id_,
                    key=number,
                    database=database(id_, created_at=BEGINS_AT),
                    counted_from=BEGINS_AT.date(),
                    known_until=EPOCH.date(),
                    checked_until=EPOCH.date(),
                )
                for number, id_ in enumerate(publishers, start=1)
            )
        ),
        poll=poll,
        now=BEGINS_AT + timedelta(seconds=1),
        used=lambda *_: 0,
    )
    life.publishers = publishers
    if share is not None:
        seconds = round(poll.interval.total_seconds() / len(publishers) / share / 2)
        life.latency, life.workers = timedelta(seconds=seconds), 1
        life.budget = max(1, 30 // seconds)
    return life


def measured(life: PublishedLife, begins_at: datetime, ends_at: datetime) -> Measured:
    """What came of a span of a life."""
    asked: dict[str, list[datetime]] = {id_: [] for id_ in life.publishers}
    answered: dict[str, list[datetime]] = {id_: [] for id_ in life.publishers}
    everything = 0
    for done in life.done:
        everything += begins_at <= done.asked_at < ends_at
        if done.read.rank is Rank.DAY:
            asked[done.read.database_id].append(done.asked_at)
            answered[done.read.database_id].append(done.answered_at)
    for instants in (*asked.values(), *answered.values()):
        instants.sort()  # a clock may be set back
    delays: list[float] = []
    unseen = 0.0
    for id_, publisher in life.publishers.items():
        for at, operations in publisher.between(begins_at, ends_at):
            # An answer says what is published when it is given.
            found = bisect_left(answered[id_], at)
            # At the end of its day it is a closed day's, which is read at once.
            seen_at = answered[id_][found] if found < len(answered[id_]) else ends_at
            delay = (min(seen_at, day_start(at.date()) + ONE_DAY, ends_at) - at).total_seconds()
            delays.append(delay)
            unseen += operations * delay
    span = (ends_at - begins_at).total_seconds()
    reads = sum(begins_at <= at < ends_at for instants in asked.values() for at in instants)
    return Measured(
        reads_a_day=reads / len(life.publishers) / (span / 86_400),
        reads_of_all=everything / len(life.publishers) / (span / 86_400),
        delays=delays,
        unseen=unseen / span,
        least=least_unseen(life.publishers.values(), life.latency.total_seconds(), begins_at, ends_at),
        oldest=max(later - earlier for instants in answered.values() for earlier, later in pairwise(instants)),
        wrong_days=_wrong_days(life, ends_at - FINAL_AFTER),
    )


def _wrong_days(life: PublishedLife, until: datetime) -> list[DayUsage]:
    """The days before, of those in the ledger, that are not what was made."""
    by_key = {state.key: life.publishers[id_] for id_, state in life.workspace.databases.items()}
    return [
        row
        for row in life.days.values()
        if day_start(row.day) + ONE_DAY <= until
        and row.operations
        != by_key[row.database_key].made(day_start(row.day) + ONE_DAY)
        - by_key[row.database_key].made(day_start(row.day))
    ]


def least_unseen(publishers: Iterable[Publisher], read_seconds: float, begins_at: datetime, ends_at: datetime) -> float:
    """The unseen operations, on average, of one who reads open days alone and knows what is published, and when.

    One reading after the other, always of the database of which most is unseen.
    """
    published = sorted(
        ((at - begins_at).total_seconds(), number, operations)
        for number, publisher in enumerate(publishers)
        for at, operations in publisher.between(begins_at, ends_at)
    )
    span = (ends_at - begins_at).total_seconds()
    waiting: dict[int, int] = {}
    free_at = total = 0.0
    for (at, number, operations), (following, _, _) in pairwise([*published, (span, 0, 0)]):
        waiting[number] = waiting.get(number, 0) + operations
        total -= operations * at
        free_at = max(free_at, at)
        while waiting and free_at < following:
            free_at += read_seconds
            total += waiting.pop(max(waiting, key=waiting.__getitem__)) * free_at
    return (total + sum(waiting.values()) * span) / span


def publishers_of(
    databases: int,
    *,
    sigma: float,
    period: timedelta | None,
    seed: int,
    jitter: timedelta = timedelta(0),
    differs: float = 0.0,
) -> dict[str, Publisher]:
    """Databases with log-normal rates: one period and phase for all, `differs` of them (a part) with their own.

    Without a `period` each database has its own of one to six hours.
    """
    chance = random.Random(seed)
    common = timedelta(seconds=chance.randrange(3_600))
    made: dict[str, Publisher] = {}
    for number in range(databases):
        id_ = "db_c" + "".join(chance.choices("abcdefghijkmnpqrstuvwxyz0123456789", k=20))
        every = period or timedelta(hours=chance.choice((1, 2, 3, 4, 6)))
        is_own = period is None or chance.random() < differs
        made[id_] = Publisher(
            rate=1_000 * math.exp(chance.gauss(0, sigma)),
            period=every,
            phase=timedelta(seconds=chance.randrange(round(every.total_seconds()))) if is_own else common,
            jitter=jitter,
            seed=seed * 1_000 + number,
        )
    return made
