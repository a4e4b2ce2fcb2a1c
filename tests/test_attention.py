"""What the plan learns of the vendor's rhythm and of whose news is worth most, and that it keeps its promises."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, database, database_state, day_usage, day_window, month_usage, reading, workspace_state
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.attention import Attention, Prior
from prisma_postgres_exporter.ledger.plan import Plan, Planner, Rank
from prisma_postgres_exporter.ledger.rhythm import PERIODS, Change, common_rhythm, rhythm_of
from prisma_postgres_exporter.model import DatabaseState, day_start, month_start
from published_life import Publisher, lived, publishers_of

INTERVAL = 300
HOUR = 3_600
ADAPTIVE = PollConfig(windows=(), adaptive=True)
TODAYS = PollConfig(windows=(), adaptive=False)
BOUND = ADAPTIVE.read_within


def around(published: int, every: int, place: int = 0) -> Change:
    """The readings around a publication, of those that come every so often."""
    hi = published + (place - published) % every
    return hi - every, hi


@given(
    period=st.sampled_from([period for period in PERIODS if period >= 8 * INTERVAL]),
    phase=st.integers(0, 12 * HOUR),
    place=st.integers(0, INTERVAL - 1),
)
def test_two_publications_that_were_read_around_tell_the_rhythm(period: int, phase: int, place: int) -> None:
    published = [phase + number * period for number in range(1, 3)]
    rhythm = rhythm_of([around(at, INTERVAL, place) for at in published], INTERVAL)

    assert rhythm is not None
    # A period that is a part of it, or a whole one, would explain two as well: the longest one is meant.
    assert rhythm.period == period
    following = phase + 3 * period
    assert 0 <= rhythm.by(following + INTERVAL) - following <= INTERVAL
    assert rhythm.after(published[-1] + INTERVAL) - following <= INTERVAL


@given(
    period=st.sampled_from([period for period in PERIODS if period >= 8 * INTERVAL]),
    phase=st.integers(-60, 60) | st.integers(0, 12 * HOUR),
    readings=st.lists(
        st.tuples(st.integers(1, 5), st.integers(1, INTERVAL), st.integers(0, INTERVAL - 1)), min_size=6, max_size=9
    ),
)
def test_what_is_published_exactly_lies_within_the_phase_that_is_learned(
    period: int, phase: int, readings: list[tuple[int, int, int]]
) -> None:
    published, changes = phase, []
    for steps, every, place in readings:
        published += steps * period
        changes.append(around(published, every, place))

    for rhythm in (rhythm_of(changes, INTERVAL), common_rhythm(changes * 2, INTERVAL)):
        assert rhythm is not None
        # It is the period, or another one by which all of them came.
        assert (rhythm.latest - published) % rhythm.period < rhythm.latest - rhythm.earliest


def test_what_is_published_just_before_the_full_hour_is_within_the_phase_that_many_tell() -> None:
    published = [number * HOUR - 30 for number in range(1, 13)]
    rhythm = common_rhythm([(at - 100, at + 120) for at in published], INTERVAL)

    assert rhythm is not None
    assert rhythm.earliest < published[-1] <= rhythm.latest


def test_wide_readings_that_nearly_agree_on_a_longer_period_do_not_make_it_one() -> None:
    # What a database was read by that is published every three hours, 42 minutes and 31 seconds past: an hour apart.
    read = (("00:41:21", "02:05:31"), ("03:41:41", "03:46:31"), ("05:44:21", "06:42:41"), ("08:42:49", "09:42:41"))
    changes = [(seconds_of(lo), seconds_of(hi)) for lo, hi in (*read, ("11:42:56", "12:42:51"))]
    rhythm = rhythm_of(changes, INTERVAL)

    assert rhythm is not None
    assert rhythm.period == 3 * HOUR
    assert rhythm.earliest < seconds_of("12:42:31") <= rhythm.latest
    # The newest two agree on four hours as well, by two seconds: they tell nothing.
    assert rhythm_of(changes[-2:], INTERVAL) is None


def seconds_of(clock: str) -> int:
    hours, minutes, seconds = map(int, clock.split(":"))
    return hours * HOUR + minutes * 60 + seconds


def test_numbers_that_move_all_the_time_have_no_rhythm() -> None:
    changes = [(at, at + INTERVAL) for at in range(0, 6 * INTERVAL, INTERVAL)]

    assert rhythm_of(changes, INTERVAL) is None
    assert common_rhythm(changes * 20, INTERVAL) is None


@pytest.mark.parametrize("seed", range(5))
def test_many_databases_tell_a_rhythm_that_is_shorter_than_two_of_their_readings(seed: int) -> None:
    chance = random.Random(seed)
    every, phase = 50 * 60, 1_234
    changes = [
        around(phase + number * HOUR, every, chance.randrange(every)) for _ in range(60) for number in range(10, 13)
    ]
    rhythm = common_rhythm(changes, INTERVAL)

    assert rhythm is not None
    assert rhythm.period == HOUR
    assert abs((rhythm.latest - phase + HOUR // 2) % HOUR - HOUR // 2) <= INTERVAL
    # Numbers that move all the time look alike in windows that are as wide.
    random_changes = [around(chance.randrange(100 * HOUR), every, chance.randrange(every)) for _ in range(180)]
    assert common_rhythm(random_changes, INTERVAL) is None


def test_a_phase_that_moves_is_followed() -> None:
    rhythm = rhythm_of([around(HOUR, INTERVAL), around(2 * HOUR, INTERVAL)], INTERVAL)
    assert rhythm is not None
    later = rhythm.kept((10 * HOUR, 10 * HOUR + INTERVAL), INTERVAL)
    assert later is not None
    assert later.by(11 * HOUR) == 10 * HOUR + INTERVAL
    # Half an hour away it is another rhythm.
    assert rhythm.kept((10 * HOUR + 1_800, 10 * HOUR + 1_800 + INTERVAL), INTERVAL) is None


def test_a_rhythm_of_few_readings_is_not_trusted_where_the_workspaces_explains_them_as_well() -> None:
    published = [seconds_of(clock) for clock in ("00:42:31", "06:42:31", "12:42:31")]
    midnight = day_start(NOW.date())
    every_interval = range(60, 13 * HOUR, INTERVAL)
    few = [seconds_of(clock) for clock in ("00:41:01", "02:04:51", "06:41:31", "06:46:31", "11:31:51", "12:42:41")]
    attention = Attention(ADAPTIVE)
    for number in range(1, 9):
        for second in few if number == 1 else every_interval:
            at = midnight + timedelta(seconds=second)
            answer = reading(day_window(NOW.date(), until=at), sum(second >= each for each in published), read_at=at)
            attention.note([replace(answer, database_id=f"db_{number:04}")])
    # By themselves they look like five hours.
    assert rhythm_of(list(pairwise(few))[::2], INTERVAL).period == 5 * HOUR  # type: ignore[union-attr]  # it is found
    read_at = midnight + timedelta(seconds=few[-1])
    states = [state(number, operations=10**6, read_at=read_at) for number in range(1, 9)]
    attention.pool({row.database.id: row for row in states}, read_at)

    news_at = midnight + timedelta(seconds=seconds_of("18:42:31"))
    while (due_at := attention.due_at(states[0], read_at, read_at)) is not None and due_at < news_at:
        read_at = due_at
    assert due_at is not None
    assert due_at - news_at <= ADAPTIVE.interval


# Whose news is worth most ------------------------------------------------------------------------
def test_rates_that_differ_keep_their_own_and_equal_ones_are_drawn_together() -> None:
    chance = random.Random(1)
    day = 86_400.0
    equal = [(float(sum(chance.random() < 0.5 for _ in range(40))), day) for _ in range(200)]
    prior = Prior.of(equal)
    mean = fmean(operations / day for operations, _ in equal)
    # The shrunk estimates are nearer to the truth, which is one for all, than the raw ones.
    raw = fmean((operations / day - mean) ** 2 for operations, _ in equal)
    shrunk = fmean((prior.rate(operations, day) - mean) ** 2 for operations, _ in equal)
    assert shrunk < raw / 2

    different = Prior.of([(1_000 * math.exp(chance.gauss(0, 2)), day) for _ in range(200)])
    assert different.rate(0.0, day) * day < 1.0
    assert different.rate(5_000.0, day) * day == pytest.approx(5_000.0, rel=0.05)


def test_nothing_is_assumed_of_nobody() -> None:
    assert Prior.of([]).rate(0.0, 0.0) == 0.0
    assert Prior.of([(0.0, 3_600.0), (0.0, 0.0)]).rate(0.0, 3_600.0) == 0.0


def state(number: int, *, operations: int, read_at: datetime) -> DatabaseState:
    """A database whose open day and month were read at an instant."""
    this_month = month_start(NOW).date()
    created_at = day_start(NOW.date())
    return database_state(
        key=number,
        database=database(f"db_{number:04}", created_at=created_at),
        known_until=NOW.date(),
        checked_until=NOW.date() - timedelta(days=1),
        recent_days=(day_usage(NOW.date(), operations=operations, read_at=read_at),),
        months=(
            month_usage(
                this_month,
                operations,
                days=1,
                days_operations=operations,
                difference_operations=0,
                period_end_at=read_at,
                read_at=read_at,
            ),
        ),
    )


def plan(*states: DatabaseState, now: datetime, budget: int | None, poll: PollConfig = ADAPTIVE) -> Plan:
    return Planner(poll).plan(
        workspace_state(*states),
        followed={row.database.id for row in states},
        attempts={},
        budget=budget,
        now=now,
    )


def order(made: Plan) -> list[str]:
    return [read.database_id for read in made.reads if read.rank is Rank.DAY]


def test_where_not_all_fit_the_most_operations_that_wait_come_first() -> None:
    read_at = NOW - timedelta(minutes=10)
    few, some, many = (state(number, operations=10**number, read_at=read_at) for number in (2, 4, 6))

    assert order(plan(few, some, many, now=NOW, budget=2)) == ["db_0006", "db_0004"]
    # As many operations wait where few were made for longer: a tenth of them in three times the time, about.
    waited = replace(some, recent_days=(replace(some.recent_days[0], read_at=NOW - timedelta(minutes=80)),))
    busy = state(5, operations=10**5, read_at=read_at)
    assert order(plan(few, waited, busy, now=NOW, budget=1)) == ["db_0004"]


def test_ties_are_broken_by_age() -> None:
    older, newer = (
        state(number, operations=0, read_at=NOW - timedelta(minutes=minutes)) for number, minutes in ((2, 87), (1, 86))
    )
    assert order(plan(older, newer, now=NOW, budget=1)) == ["db_0002"]


def test_whoever_reaches_the_bound_goes_before_whatever_is_worth_more() -> None:
    quiet = state(1, operations=0, read_at=NOW - BOUND)
    busy = [state(number, operations=10**6, read_at=NOW - timedelta(minutes=20)) for number in range(2, 9)]

    assert order(plan(quiet, *busy, now=NOW, budget=1)) == ["db_0001"]


def with_yesterday(today: DatabaseState, *, due_at: datetime) -> DatabaseState:
    """The state, with a closed day that is due for a recheck at an instant."""
    yesterday = NOW.date() - timedelta(days=1)
    closed_at, read_at = day_start(NOW.date()), due_at - timedelta(hours=4)
    row = day_usage(yesterday, read_at=read_at, unchanged_since_at=closed_at)
    created_at = day_start(yesterday)
    return replace(
        today,
        database=replace(today.database, created_at=created_at),
        recent_days=(row, *today.recent_days),
        known_until=yesterday,
        checked_until=yesterday - timedelta(days=1),
    )


@pytest.mark.parametrize(("waits", "first"), [(timedelta(minutes=5), Rank.DAY), (timedelta(hours=1), Rank.CLOSED_DAY)])
def test_whoever_reaches_the_bound_waits_for_closed_days_only_where_these_wait_for_long(
    waits: timedelta, first: Rank
) -> None:
    now = day_start(NOW.date()) + timedelta(hours=8)
    oldest = state(1, operations=0, read_at=now - BOUND)
    closed = [
        with_yesterday(state(number, operations=0, read_at=now), due_at=now - waits - timedelta(seconds=number))
        for number in range(2, 9)
    ]
    assert {read.rank for read in plan(*closed, now=now, budget=None).reads} == {Rank.CLOSED_DAY}

    assert plan(oldest, *closed, now=now, budget=1).reads[0].rank is first


def test_a_day_that_begins_is_read_first_where_the_one_before_was_read_longest_ago() -> None:
    midnight = day_start(NOW.date())
    states = []
    for number, minutes in ((1, 10), (2, 87), (3, 86)):
        row = day_usage(NOW.date() - timedelta(days=1), read_at=midnight - timedelta(minutes=minutes))
        states.append(replace(with_yesterday(state(number, operations=0, read_at=NOW), due_at=NOW), recent_days=(row,)))

    made = plan(*states, now=midnight + timedelta(seconds=1), budget=2)
    assert [read.database_id for read in made.reads if read.rank is Rank.DAY][:2] == ["db_0002", "db_0003"]


def test_a_quiet_database_is_read_within_the_bound_and_a_watched_one_in_every_interval() -> None:
    quiet = state(1, operations=0, read_at=NOW)
    workspace = workspace_state(quiet)
    planner = Planner(ADAPTIVE)

    def due_at(*, is_watched: bool, now: datetime = NOW) -> datetime:
        made = planner.plan(workspace, followed={"db_0001"}, attempts={}, budget=10, now=now, is_watched=is_watched)
        return made.next_due_at

    assert due_at(is_watched=False) == NOW + BOUND - ADAPTIVE.interval
    assert due_at(is_watched=True) <= NOW + ADAPTIVE.interval
    assert due_at(is_watched=False) == NOW + BOUND - ADAPTIVE.interval
    assert order(plan(quiet, now=NOW + BOUND, budget=10)) == ["db_0001"]
    assert order(plan(quiet, now=NOW + BOUND - 2 * ADAPTIVE.interval, budget=10)) == []


def test_the_bound_follows_the_interval_and_off_is_off() -> None:
    assert PollConfig(adaptive=False).read_within == PollConfig().interval
    assert PollConfig(adaptive=True, interval=timedelta(seconds=10)).read_within == timedelta(minutes=3)
    assert PollConfig(adaptive=True).read_within == timedelta(minutes=90)
    assert PollConfig(adaptive=True, interval=timedelta(hours=2)).read_within == timedelta(hours=2)
    assert PollConfig(adaptive=False).silent_for(2) == 2 * PollConfig().interval
    assert PollConfig(adaptive=True).silent_for(2) == timedelta(minutes=95)


def test_the_vendors_own_time_narrows_a_change_and_a_time_of_just_now_tells_nothing() -> None:
    busy = state(1, operations=10**6, read_at=NOW)
    due: list[datetime] = []
    for told in (timedelta(minutes=4), timedelta(0)):
        attention = Attention(ADAPTIVE)
        for hour in range(3):
            for minute in range(0, 60, 5):
                at = NOW - timedelta(hours=2) + timedelta(hours=hour, minutes=minute)
                if at <= NOW:
                    window = replace(day_window(NOW.date()), end_at=at)
                    answer = reading(window, hour, read_at=at, database_id="db_0001", generated_at=at - told)
                    attention.note([answer])
        due_at = attention.due_at(busy, NOW, NOW)
        assert due_at is not None
        due.append(due_at)
    # Published at :56, which the vendor said; else it is known to have been there on the hour.
    assert due[1] - due[0] >= timedelta(minutes=3)


def test_with_few_requests_all_are_young_enough_to_wait_when_news_comes() -> None:
    """Else the bound would ask for those of whom nothing is unseen before those of whom most is."""
    busy, databases, seconds_each = state(1, operations=10**6, read_at=NOW), 50, 30
    attention = Attention(ADAPTIVE)
    news_at = NOW - timedelta(hours=6)
    for minute in range(0, 6 * 60 + 1, 5):
        at = news_at + timedelta(minutes=minute)
        window = replace(day_window(NOW.date()), end_at=at)
        attention.note([reading(window, minute // 180, read_at=at, database_id="db_0001")])

    def gap_before_news(reads_per_second: float) -> timedelta:
        attention.pace(databases, reads_per_second)
        read_at, next_news_at = NOW + timedelta(minutes=20), NOW + timedelta(hours=3)
        while (due_at := attention.due_at(busy, read_at, read_at)) is not None and due_at < next_news_at:
            read_at = due_at
        return next_news_at - read_at

    all_read_in = timedelta(seconds=databases * seconds_each)
    assert gap_before_news(10.0) > BOUND - 2 * ADAPTIVE.interval - all_read_in
    assert gap_before_news(1 / seconds_each) <= BOUND - ADAPTIVE.interval - all_read_in


# In time -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("hours", [1, 6])
def test_few_readings_see_what_is_published_as_soon(hours: int) -> None:
    publishers = publishers_of(3, sigma=1, period=timedelta(hours=hours), seed=2)
    day = timedelta(days=1)
    learned = lived(publishers, ADAPTIVE, days=2, measured_from=day)

    assert learned.reads_a_day <= 0.15 * (day / ADAPTIVE.interval)
    # In every interval they would be an interval late at most.
    assert max(learned.delays) <= 2 * ADAPTIVE.interval.total_seconds()
    assert learned.oldest <= BOUND


@pytest.mark.slow
def test_with_few_requests_nobody_is_older_than_the_bound_at_midnight_either_and_closed_days_are_exact() -> None:
    publishers = publishers_of(20, sigma=2, period=timedelta(hours=3), seed=5)
    scarce = lived(publishers, ADAPTIVE, days=1.8, share=0.1)

    assert scarce.oldest <= BOUND
    assert scarce.wrong_days == []


def test_a_database_that_wakes_is_seen_within_the_bound() -> None:
    made = publishers_of(2, sigma=0, period=timedelta(hours=1), seed=3)
    (id_, first), (other, idle) = made.items()
    wakes_at = day_start(NOW.date()) + timedelta(hours=20)
    publishers: dict[str, Publisher] = {id_: first, other: replace(idle, wakes_at=wakes_at)}

    found = lived(publishers, ADAPTIVE, days=1)
    assert max(found.delays) <= BOUND.total_seconds()
    assert found.oldest <= BOUND
