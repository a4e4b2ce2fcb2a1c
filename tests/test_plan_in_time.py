"""What plan and ledger make of hours and months, with a vendor that is slow or revises its days."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from builders import NOW, database, database_state, month_usage, settled_day, workspace_state
from planned_life import PlannedLife, Used
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.plan import Rank, next_slot
from prisma_postgres_exporter.model import DatabaseState, WorkspaceState

POLL = PollConfig(adaptive=False)
INTERVAL = POLL.interval
ONE_DAY = timedelta(days=1)
ZERO = timedelta(0)


def new_workspace(databases: int) -> WorkspaceState:
    """Databases that were made today: nothing of the past is to be read."""
    made_at = NOW - timedelta(hours=1)
    return workspace_state(
        *(
            database_state(
                f"db_{number:04}",
                key=number,
                database=database(f"db_{number:04}", created_at=made_at),
                known_until=NOW.date() - ONE_DAY,
                checked_until=NOW.date() - ONE_DAY,
            )
            for number in range(databases)
        )
    )


def busy(database_id: str, day: date, at: datetime) -> int:
    return 86_400


def idle(database_id: str, day: date, at: datetime) -> int:
    return 0


def lived(databases: int, latency: timedelta, *, used: Used = busy) -> PlannedLife:
    """Three hours, with a worker for every group."""
    life = PlannedLife(workspace=new_workspace(databases), poll=POLL, now=NOW, used=used, latency=latency, workers=256)
    life.run(NOW + timedelta(hours=3))
    return life


def largest_gap(life: PlannedLife, name: str) -> timedelta:
    """The longest time between two answers of one database's window of this name."""
    answered: dict[str, list[datetime]] = {id_: [] for id_ in life.workspace.databases}
    for done in life.done:
        if any(window.name == name for window in done.read.windows):
            answered[done.read.database_id].append(done.answered_at)
    for instants in answered.values():
        assert life.now - instants[-1] <= timedelta(hours=3)
    return max(later - earlier for instants in answered.values() for earlier, later in pairwise(instants))


@pytest.mark.parametrize(("databases", "seconds"), [(1, 0), (1, 20), (1, 200), (24, 0), (24, 20)])
def test_the_open_day_is_read_in_every_interval_however_long_an_answer_takes(databases: int, seconds: int) -> None:
    latency = timedelta(seconds=seconds)
    life = lived(databases, latency)

    assert largest_gap(life, "day") <= INTERVAL + latency
    # And in no interval twice: the first reading, and then one each.
    reads = Counter(done.read.database_id for done in life.done if done.read.rank is Rank.DAY)
    assert max(reads.values()) <= timedelta(hours=3) // INTERVAL + 1


def test_where_answers_take_most_of_an_interval_a_read_waits_for_one_round_at_most() -> None:
    latency = timedelta(seconds=200)

    # A round takes two answers, the open day's and the month's: what falls due in it waits for the next one.
    assert largest_gap(lived(24, latency), "day") <= INTERVAL + 2 * latency + latency


@pytest.mark.parametrize("seconds", [0, 20])
def test_no_window_is_later_than_the_readme_says(seconds: int) -> None:
    latency = timedelta(seconds=seconds)
    moving, still = lived(3, latency), lived(3, latency, used=idle)

    assert largest_gap(moving, "month") <= INTERVAL + 2 * latency  # after the open day
    assert INTERVAL < largest_gap(still, "month") <= timedelta(hours=1) + latency
    for name, width in (("24h", timedelta(days=1)), ("7d", timedelta(days=7))):
        for life in (moving, still):
            assert INTERVAL < largest_gap(life, name) <= width / 96 + latency


@pytest.mark.parametrize("every", [INTERVAL, timedelta(days=1) / 96, timedelta(hours=1)])
@pytest.mark.parametrize("kind", ["counted", "made up"])
def test_the_reads_of_a_thousand_databases_are_spread_over_the_interval(every: timedelta, kind: str) -> None:
    chance = random.Random(5)
    ids = [
        f"db_{number:04}"
        if kind == "counted"
        else "db_c" + "".join(chance.choices("abcdefghijkmnpqrstuvwxyz0123456789", k=24))
        for number in range(1_000)
    ]
    buckets = Counter(int((next_slot(NOW, every, INTERVAL, id_) - NOW).total_seconds()) // 10 for id_ in ids)

    share = len(ids) * timedelta(seconds=10) / every
    assert max(buckets.values()) <= max(3 * share, 12)
    assert all(NOW < next_slot(NOW, every, INTERVAL, id_) <= NOW + every for id_ in ids)


# Revisions --------------------------------------------------------------------------------------
REVISED = {date(2026, 11, 3): 5}
OFFSETTING = {date(2026, 11, 5): 10, date(2026, 11, 6): -10}
RECHECKED_AT = datetime(2026, 11, 15, 12, tzinfo=UTC)
OFFSET_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def revising(database_id: str, day: date, at: datetime) -> int:
    """A hundred operations a day; some are revised on the 15th, and two others on the 20th, by as much up as down."""
    revised = REVISED.get(day, 0) if at >= RECHECKED_AT else 0
    return 100 + revised + (OFFSETTING.get(day, 0) if at >= OFFSET_AT else 0)


def known_on_the_15th() -> DatabaseState:
    """A database made on the 1st whose days until the 13th are settled."""
    november = date(2026, 11, 1)
    yesterday = RECHECKED_AT.date() - ONE_DAY
    return database_state(
        database=database(created_at=datetime(2026, 11, 1, tzinfo=UTC)),
        counted_from=november,
        known_until=yesterday - ONE_DAY,
        checked_until=november - ONE_DAY,
        months=(month_usage(november, days=13, days_operations=1_300),),
    )


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_settled_day_is_read_once_more_when_its_month_is_over_also_where_it_was_rechecked_before(
    adaptive: bool,
) -> None:
    poll = PollConfig(interval=timedelta(hours=1), windows=(), adaptive=adaptive)
    life = PlannedLife(
        workspace=workspace_state(known_on_the_15th()),
        poll=poll,
        now=RECHECKED_AT - timedelta(hours=3),
        used=revising,
        days={(1, date(2026, 11, day)): settled_day(date(2026, 11, day), 100) for day in range(1, 14)},
    )

    def counts_of(days: Iterable[date]) -> dict[date, int]:
        return {day: life.days[1, day].operations for day in days}

    life.run(OFFSET_AT)
    # The vendor's month told that a day was revised, and every settled day was read for it.
    assert counts_of(REVISED) == {date(2026, 11, 3): 105}
    assert life.workspace.databases["db_a"].recheck_at is not None

    life.run(datetime(2026, 11, 30, 23, 30, tzinfo=UTC))
    # What is revised up and down by as much, the month does not tell.
    assert counts_of(OFFSETTING) == {date(2026, 11, 5): 100, date(2026, 11, 6): 100}

    made_before = len(life.done)
    life.run(datetime(2026, 12, 2, tzinfo=UTC))
    rechecked = [
        done.read.windows[0].start_at.date() for done in life.done[made_before:] if done.read.rank is Rank.SETTLED_DAY
    ]
    assert counts_of(OFFSETTING) == {date(2026, 11, 5): 110, date(2026, 11, 6): 90}
    assert set(OFFSETTING) <= set(rechecked)
    # Once more, not twice and not for ever.
    assert max(Counter(rechecked).values()) == 1
    life.run(datetime(2026, 12, 6, tzinfo=UTC))
    last = [done for done in life.done if done.asked_at > datetime(2026, 12, 4, tzinfo=UTC)]
    assert all(done.read.rank is not Rank.SETTLED_DAY for done in last)
    state = life.workspace.databases["db_a"]
    assert state.checked_until == date(2026, 11, 30)
    assert all(
        life.days[1, date(2026, 11, day)].operations == revising("db_a", date(2026, 11, day), life.now)
        for day in range(1, 31)
    )
