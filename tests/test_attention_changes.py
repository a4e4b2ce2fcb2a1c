"""What an adaptive plan does where the vendor changes its rhythm, keeps none, or the exporter forgets it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from prisma_postgres_exporter.config import PollConfig
from published_life import BEGINS_AT, EPOCH, Measured, PublishedLife, Timetable, begun, measured

POLL = PollConfig(windows=(), adaptive=True)
INTERVAL = POLL.interval.total_seconds()
BOUND = POLL.read_within
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CHANGES_AT = BEGINS_AT + DAY + 10.4 * HOUR
ENDS_AT = BEGINS_AT + 3 * DAY
READS_A_DAY = DAY / POLL.interval


def every(span: timedelta, begins_at: datetime, ends_at: datetime) -> Iterator[datetime]:
    """Instants so far apart, the first of them so long after the beginning."""
    while (begins_at := begins_at + span) < ends_at:
        yield begins_at


def life_by(instants: tuple[datetime, ...]) -> PublishedLife:
    return begun({"db_1": Timetable(rate=1_000, period=HOUR, phase=timedelta(0), instants=instants)}, POLL)


def before_and_after(instants: tuple[datetime, ...], *, learned_in: timedelta) -> tuple[Measured, Measured]:
    """What came of the time in which a change was learned, and of the rest."""
    life = life_by(instants)
    life.run(ENDS_AT)
    return measured(life, CHANGES_AT, CHANGES_AT + learned_in), measured(life, CHANGES_AT + learned_in, ENDS_AT)


@pytest.mark.parametrize(
    ("first", "then", "later"),
    [
        (HOUR, 3 * HOUR, timedelta(minutes=17)),
        (3 * HOUR, HOUR, timedelta(minutes=17)),
        (6 * HOUR, 2 * HOUR, timedelta(0)),
        (6 * HOUR, 6 * HOUR, HOUR),  # as clocks do that keep summer time
        (HOUR, HOUR, DAY),  # nothing for a day
        (3 * HOUR, 3 * HOUR, DAY),
    ],
    ids=str,
)
def test_a_rhythm_that_changes_is_learned_again(first: timedelta, then: timedelta, later: timedelta) -> None:
    instants = (*every(first, EPOCH, CHANGES_AT), *every(then, CHANGES_AT + later, ENDS_AT))
    learning, learned = before_and_after(instants, learned_in=later + 4 * then)

    # Never later than the bound, and then as good as ever.
    assert max(learning.delays, default=0) <= BOUND.total_seconds()
    assert max(learned.delays) <= 2 * INTERVAL
    assert learned.reads_a_day <= 0.15 * READS_A_DAY
    assert learned.oldest <= BOUND


def test_what_is_published_at_random_is_seen_within_the_bound() -> None:
    chance = random.Random(1)
    instants, at = [], EPOCH
    while at < ENDS_AT:
        instants.append(at)
        at += timedelta(minutes=1 + chance.expovariate(1 / 120))
    life = life_by(tuple(instants))
    life.run(ENDS_AT)
    found = measured(life, BEGINS_AT, ENDS_AT)

    assert max(found.delays) <= BOUND.total_seconds()
    assert found.oldest <= BOUND
    assert found.reads_a_day <= READS_A_DAY


@pytest.mark.parametrize("hours", [1, 3])
def test_after_a_restart_two_publications_tell_the_rhythm_again(hours: int) -> None:
    period = hours * HOUR
    life = life_by(tuple(every(period, EPOCH + timedelta(minutes=24), ENDS_AT)))
    life.run(CHANGES_AT)
    life.forget()
    life.run(ENDS_AT)
    learned_at = CHANGES_AT + 2 * period

    # In between they are read in every interval.
    assert max(measured(life, CHANGES_AT, learned_at).delays) <= INTERVAL
    learned = measured(life, learned_at, ENDS_AT)
    assert max(learned.delays) <= INTERVAL
    assert learned.reads_a_day <= 0.15 * READS_A_DAY


@pytest.mark.parametrize("step", [-2 * HOUR, timedelta(minutes=-7), timedelta(minutes=7), 3 * HOUR], ids=str)
def test_a_clock_that_is_set_costs_no_more_than_the_time_by_which_it_was(step: timedelta) -> None:
    life = life_by(tuple(every(HOUR, EPOCH + timedelta(minutes=24), ENDS_AT)))
    life.run(CHANGES_AT)
    life.now += step
    life.run(ENDS_AT)
    # What was read last is of the future until then.
    caught_up_at = CHANGES_AT + max(timedelta(0), step)

    found = measured(life, caught_up_at, ENDS_AT)
    assert max(found.delays) <= 2 * INTERVAL
    assert found.reads_a_day <= 0.15 * READS_A_DAY
    assert found.oldest <= BOUND + max(timedelta(0), step)


def test_databases_of_one_workspace_keep_rhythms_of_their_own() -> None:
    rhythms = {f"db_{hours}": hours * HOUR for hours in (1, 3, 6)}
    life = begun(
        {
            id_: Timetable(
                rate=1_000,
                period=period,
                phase=timedelta(0),
                instants=tuple(every(period, EPOCH + number * timedelta(minutes=11), ENDS_AT)),
            )
            for number, (id_, period) in enumerate(rhythms.items())
        },
        POLL,
    )
    life.run(ENDS_AT)
    learned = measured(life, BEGINS_AT + DAY, ENDS_AT)

    assert max(learned.delays) <= INTERVAL + 30
    assert learned.reads_a_day <= 0.15 * READS_A_DAY
    assert learned.oldest <= BOUND
