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
    return begun(
        {
            f"db_{number}": Timetable(rate=1_000 * number, period=HOUR, phase=timedelta(0), instants=instants)
            for number in (1, 2, 3)
        },
        POLL,
    )


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
