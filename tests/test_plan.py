"""The plan's rules, one by one, and that nobody starves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    NOW,
    database,
    database_state,
    day_usage,
    day_window,
    month_usage,
    month_window,
    rolling_usage,
    workspace_state,
)
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.ledger.plan import (
    NEVER,
    Attempt,
    AttemptKey,
    Plan,
    PlannedRead,
    Planner,
    Rank,
    attempt_key,
    next_slot,
)
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    MonthUsage,
    ReadingFailure,
    Window,
    day_start,
    month_start,
)
from prisma_postgres_exporter.rounds.attempts import Attempts

POLL = PollConfig(adaptive=False)
INTERVAL = POLL.interval
ONE_DAY = timedelta(days=1)


def state(number: int = 1, *, created_at: datetime = NOW - timedelta(days=400), **changes: Any) -> DatabaseState:
    first = database_state(
        key=number,
        database=database(f"db_{number:04}", created_at=created_at),
        known_until=NOW.date() - ONE_DAY,
        checked_until=NOW.date() - ONE_DAY,
    )
    return replace(first, **changes)


def month(of: date, *, read_at: datetime, difference: int | None = 0, days_operations: int = 5) -> MonthUsage:
    """A month that agrees with its days, unless they are other ones than five operations."""
    return month_usage(
        of, 5, days_operations=days_operations, difference_operations=difference, period_end_at=read_at, read_at=read_at
    )


def up_to_date(now: datetime = NOW, number: int = 1) -> DatabaseState:
    """A state of which everything was read at `now`."""
    this_month = month_start(now).date()
    return state(
        number,
        known_until=now.date(),
        checked_until=now.date() - ONE_DAY,
        recent_days=(
            day_usage(now.date() - ONE_DAY, read_at=now, unchanged_since_at=now, settled_at=now),
            day_usage(now.date(), read_at=now),
        ),
        months=(
            month((this_month - ONE_DAY).replace(day=1), read_at=now),
            month(this_month, read_at=now),
        ),
        rolling=tuple(rolling_usage(window.name, read_at=now) for window in POLL.windows),
    )


def slot(after: datetime = NOW, every: timedelta = INTERVAL, number: int = 1) -> datetime:
    """When what was read at `after` falls due again."""
    return next_slot(after, every, INTERVAL, f"db_{number:04}")


def plan(
    *states: DatabaseState,
    now: datetime = NOW,
    budget: int | None = 1_000,
    attempts: dict[AttemptKey, Attempt] | None = None,
    poll: PollConfig = POLL,
) -> Plan:
    return Planner(poll).plan(
        workspace_state(*states),
        followed={row.database.id for row in states},
        attempts=attempts or {},
        budget=budget,
        now=now,
    )


def names(reads: tuple[PlannedRead, ...]) -> list[str]:
    return [window.name for read in reads for window in read.windows]


def ranks(made: Plan) -> list[Rank]:
    """The ranks of a plan's reads, rolling windows left out."""
    return [read.rank for read in made.reads if read.rank is not Rank.ROLLING]


def first_days(made: Plan, rank: Rank) -> list[date]:
    return [read.windows[0].start_at.date() for read in made.reads if read.rank is rank]


def test_a_new_database_is_read_over_every_window_once() -> None:
    reads = plan(state()).reads

    assert names(reads) == ["day", "month", "24h", "7d", "30d", "month"]
    assert {read.due_at for read in reads[:5]} == {NEVER}
    assert all(window.end_at == NOW for read in reads[:5] for window in read.windows)


def test_nothing_is_read_again_before_its_slot() -> None:
    assert plan(up_to_date(), now=slot() - timedelta(seconds=1)).reads == ()
    assert ranks(plan(up_to_date(), now=slot())) == [Rank.DAY]


def test_a_slot_is_after_the_reading_and_less_than_an_interval_later_whenever_it_was_read() -> None:
    for number in range(50):
        slots = {slot(NOW + timedelta(seconds=seconds), number=number) for seconds in range(300)}
        # However late within the interval it was read: it is the same slot, or the one after it.
        assert len(slots) <= 2
        assert NOW < min(slots) <= NOW + INTERVAL
        assert max(slots) - min(slots) in (timedelta(0), INTERVAL)


def test_each_window_is_read_as_often_as_its_width_deserves_and_no_later() -> None:
    idle = up_to_date()
    busy = replace(idle, months=(idle.months[0], month(date(2026, 11, 1), read_at=NOW, days_operations=9)))
    for of, name, every in (
        (idle, "day", INTERVAL),
        (idle, "24h", timedelta(days=1) / 96),
        (idle, "7d", timedelta(days=7) / 96),
        (idle, "30d", timedelta(days=30) / 96),
        (idle, "month", timedelta(hours=1)),
        (busy, "month", INTERVAL),
    ):
        due_at = slot(every=every)
        assert NOW < due_at <= NOW + every
        assert name in names(plan(of, now=due_at).reads)
        assert name not in names(plan(of, now=due_at - timedelta(seconds=1)).reads)


def test_no_window_is_read_more_often_than_the_open_day() -> None:
    slow = PollConfig(interval=timedelta(hours=2))
    due_at = next_slot(NOW, slow.interval, slow.interval, "db_0001")

    assert plan(up_to_date(), now=due_at - timedelta(seconds=1), poll=slow).reads == ()
    assert sorted(names(plan(up_to_date(), now=due_at, poll=slow).reads)) == ["24h", "7d", "day", "month"]


def test_the_month_is_read_with_the_day_where_the_day_moved() -> None:
    idle = up_to_date()
    busy = replace(idle, months=(idle.months[0], month(date(2026, 11, 1), read_at=NOW, days_operations=9)))
    unknown = replace(idle, months=(idle.months[0], month(date(2026, 11, 1), read_at=NOW, difference=None)))

    assert ranks(plan(idle, now=slot())) == [Rank.DAY]
    assert sorted(ranks(plan(busy, now=slot()))) == [Rank.DAY, Rank.MONTH]
    assert sorted(ranks(plan(unknown, now=slot()))) == [Rank.DAY, Rank.MONTH]


def test_a_month_that_lacks_days_is_read_every_hour_however_often_its_open_day_moves() -> None:
    known = up_to_date()
    behind = replace(
        known,
        known_until=date(2026, 11, 10),
        recent_days=(day_usage(NOW.date(), read_at=NOW),),
        months=(known.months[0], month(date(2026, 11, 1), read_at=NOW, difference=None)),
    )
    assert sorted(ranks(plan(behind, now=slot()))) == [Rank.DAY, *[Rank.MISSING_DAY] * 4]
    assert Rank.MONTH in ranks(plan(behind, now=slot() + timedelta(hours=1)))
    # Nothing of this month is missing: the days of the one before can wait.
    settled = replace(known, months=(known.months[0], month(date(2026, 11, 1), read_at=NOW, difference=None)))
    assert Rank.MONTH in ranks(plan(settled, now=slot()))


def test_the_days_and_the_month_that_they_are_compared_with_are_one_group() -> None:
    closed = day_usage(date(2026, 11, 22), read_at=NOW, unchanged_since_at=NOW)
    idle = up_to_date()
    disputed = replace(
        idle,
        recent_days=(closed, idle.recent_days[1]),
        months=(idle.months[0], month(date(2026, 11, 1), read_at=NOW, difference=None)),
    )

    made = plan(disputed, now=slot(NOW + INTERVAL))

    together = next(group for group in made.groups if any(read.rank is Rank.MONTH for read in group))
    assert sorted(read.rank for read in together) == [Rank.DAY, Rank.MONTH, Rank.CLOSED_DAY]
    assert {read.windows[0].end_at for read in together if read.rank is not Rank.CLOSED_DAY} == {slot(NOW + INTERVAL)}
    # A month that was never read has nothing to be compared with: what is shown first does not wait for it.
    assert all(len(group) == 1 for group in plan(state()).groups)


def test_closed_days_are_not_read_with_a_month_that_the_open_day_alone_may_explain() -> None:
    closed = day_usage(date(2026, 11, 22), read_at=NOW, unchanged_since_at=NOW)
    idle = up_to_date()

    def closed_days(day_read_at: datetime) -> list[date]:
        """Those that are read in the next interval, where the month of `NOW` is not the sum of its days."""
        disputed = replace(
            idle,
            recent_days=(closed, day_usage(NOW.date(), operations=9, read_at=day_read_at)),
            months=(idle.months[0], month(date(2026, 11, 1), read_at=NOW, days_operations=9)),
        )
        return first_days(plan(disputed, now=slot(NOW + INTERVAL)), Rank.CLOSED_DAY)

    assert closed_days(NOW) == [closed.day]  # read together, and still different
    assert closed_days(NOW + timedelta(seconds=40)) == []
    assert closed_days(NOW - timedelta(seconds=40)) == []


def test_a_group_is_not_cut_by_the_budget() -> None:
    busy = [
        replace(row, months=(row.months[0], month(date(2026, 11, 1), read_at=NOW, days_operations=9)))
        for row in (up_to_date(number=number) for number in range(10))
    ]
    later = NOW + 2 * INTERVAL

    for budget in range(1, 8):
        made = plan(*busy, now=later, budget=budget)
        pairs = [group for group in made.groups if any(read.rank in (Rank.DAY, Rank.MONTH) for read in group)]
        assert all(sorted(read.rank for read in group) == [Rank.DAY, Rank.MONTH] for group in pairs)
        assert budget <= len(made.reads) <= budget + 1
        assert made.deferred == len(plan(*busy, now=later).reads) - len(made.reads)
        assert made.next_due_at == later


def test_a_closed_day_is_read_when_it_has_closed_and_then_less_and_less_often() -> None:
    yesterday, midnight = date(2026, 11, 22), datetime(2026, 11, 23, tzinfo=UTC)

    def due_at(row: DayUsage) -> timedelta:
        """After how many quarters of an hour since midnight the day is read."""
        last = replace(up_to_date(), recent_days=(row, day_usage(NOW.date(), read_at=midnight + timedelta(days=1))))
        for quarters in range(4 * 24):
            now = midnight + timedelta(minutes=15 * quarters, seconds=1)
            if any(
                window.start_at == day_start(yesterday) for read in plan(last, now=now).reads for window in read.windows
            ):
                return timedelta(minutes=15 * quarters)
        raise AssertionError("it is never due")

    def read_after(hours: float) -> DayUsage:
        at = midnight + timedelta(hours=hours)
        return day_usage(yesterday, read_at=at, unchanged_since_at=at)

    assert due_at(day_usage(yesterday, read_at=midnight - timedelta(minutes=5))) == timedelta(0)
    assert due_at(read_after(0)) == timedelta(hours=1)
    assert due_at(read_after(2)) == timedelta(hours=4)
    assert due_at(read_after(12)) == timedelta(hours=18)


def test_a_reading_in_flight_over_midnight_is_not_taken_for_the_days_last_word() -> None:
    yesterday, midnight = date(2026, 11, 22), datetime(2026, 11, 23, tzinfo=UTC)

    def is_due(seconds: int, unchanged_since_at: datetime | None) -> bool:
        """Whether the day is read again five minutes after midnight, though it was answered so long after midnight."""
        row = day_usage(yesterday, read_at=midnight + timedelta(seconds=seconds), unchanged_since_at=unchanged_since_at)
        made = plan(replace(up_to_date(), recent_days=(row,)), now=midnight + timedelta(minutes=5))
        return yesterday in first_days(made, Rank.CLOSED_DAY)

    assert is_due(20, None)  # asked for before midnight
    assert not is_due(20, midnight + timedelta(seconds=20))  # asked for after it, up to its end
    assert not is_due(121, None)  # no answer takes so long


def test_a_month_in_flight_over_its_end_is_read_again_at_once() -> None:
    ended_at = datetime(2026, 12, 1, tzinfo=UTC)

    def is_due(period_end_at: datetime) -> bool:
        read_at = ended_at + timedelta(seconds=20)
        ended = replace(month(date(2026, 11, 1), read_at=read_at), period_end_at=period_end_at)
        made = plan(replace(up_to_date(), months=(ended,)), now=ended_at + timedelta(minutes=5))
        return Rank.PREVIOUS_MONTH in ranks(made)

    assert is_due(ended_at - timedelta(seconds=10))
    assert not is_due(ended_at)


def test_a_settled_day_is_not_read_again() -> None:
    reads = plan(up_to_date(), now=NOW + timedelta(hours=11)).reads

    assert all(window.start_at != datetime(2026, 11, 22, tzinfo=UTC) for read in reads for window in read.windows)


def test_on_the_first_the_day_and_the_month_are_one_read() -> None:
    first = datetime(2026, 12, 1, 9, tzinfo=UTC)
    reads = plan(replace(up_to_date(first), months=(), recent_days=()), now=first).reads

    assert sorted(window.name for window in reads[0].windows) == ["day", "month"]


def test_at_midnight_exactly_there_is_no_open_day_yet_and_the_closed_one_is_read() -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    last = up_to_date(midnight - timedelta(seconds=1))

    (read,) = plan(last, now=midnight).reads

    assert (read.windows[0].start_at, read.windows[0].end_at) == (midnight - timedelta(days=1), midnight)


def test_after_the_months_end_the_month_that_ended_is_read_at_once() -> None:
    first = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
    reads = plan(up_to_date(first - timedelta(minutes=5)), now=first).reads

    november = [
        window for read in reads for window in read.windows if window.start_at.month == 11 and window.name == "month"
    ]
    assert [(window.start_at.day, window.end_at) for window in november] == [(1, datetime(2026, 12, 1, tzinfo=UTC))]


def test_a_database_made_this_month_has_no_month_before() -> None:
    young = state(created_at=datetime(2026, 11, 10, tzinfo=UTC))

    assert names(plan(young).reads) == ["day", "month", "24h", "7d", "30d"]


def test_missing_days_come_last_oldest_first_and_a_few_at_a_time() -> None:
    behind = replace(up_to_date(), known_until=date(2026, 11, 10), recent_days=(day_usage(NOW.date(), read_at=NOW),))

    made = plan(behind, now=slot())

    assert ranks(made) == [Rank.DAY, *[Rank.MISSING_DAY] * 4]
    assert [day.day for day in first_days(made, Rank.MISSING_DAY)] == [11, 12, 13, 14]


def test_missing_days_have_a_share_of_a_budget_that_is_too_small() -> None:
    behind = [replace(state(number), known_until=date(2026, 11, 10)) for number in range(20)]

    made = plan(*behind, budget=20)

    assert sum(read.rank is Rank.MISSING_DAY for read in made.reads) == 2
    assert made.deferred == 20 * 10 - 20
    assert made.next_due_at == NOW


def test_without_a_budget_everything_but_days_of_the_past_is_read() -> None:
    behind = replace(state(), known_until=date(2026, 11, 10))

    assert names(plan(behind, budget=None).reads) == ["day", "month", "24h", "7d", "30d", "month"]


def failed(failures: int, **changes: Any) -> dict[AttemptKey, Attempt]:
    """The open day of `state()` failed so often in a row, at `NOW` for the last time."""
    attempt = replace(Attempt(tried_at=NOW, failures=failures), **changes)
    return {attempt_key("db_0001", day_window(NOW.date())): attempt}


def test_what_failed_is_left_alone_longer_and_longer_up_to_a_quarter_of_an_hour() -> None:
    def is_due(failures: int, seconds: int) -> bool:
        made = plan(state(), now=NOW + timedelta(seconds=seconds), attempts=failed(failures))
        return "day" in names(made.reads)

    for failures, seconds in ((1, 30), (2, 60), (3, 120), (50, 15 * 60)):
        assert [is_due(failures, seconds - 1), is_due(failures, seconds)] == [False, True]


def test_a_wait_that_the_vendor_asked_for_is_kept() -> None:
    attempts = Attempts(ExporterHealth())
    failure = ReadingFailure(
        database_id="db_0001",
        window=day_window(NOW.date()),
        reason="throttled",
        message="too many requests",
        failed_at=NOW,
        retry_at=NOW + timedelta(minutes=40),
    )
    attempts.note([failure])

    for seconds, is_due in ((-1, False), (0, True)):
        now = NOW + timedelta(minutes=40, seconds=seconds)
        assert (Rank.DAY in ranks(plan(state(), now=now, attempts=attempts.tried))) is is_due


def test_a_failed_attempt_of_the_future_is_of_a_clock_that_was_wrong() -> None:
    wrong = failed(9, tried_at=NOW + timedelta(hours=3), not_before_at=NOW + timedelta(hours=4))

    assert plan(state(), attempts=wrong) == plan(state())


def test_deleted_and_unfollowed_databases_are_not_read() -> None:
    planner = Planner(POLL)
    deleted = state(deleted_at=NOW)
    tomorrow = datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC)

    for held, followed in ((deleted, {"db_0001"}), (state(), set()), (state(), {"db_0002"})):
        made = planner.plan(workspace_state(held), followed=followed, attempts={}, budget=10, now=NOW)
        assert made == Plan(groups=(), deferred=0, next_due_at=tomorrow)


def test_a_planner_forgets_what_is_gone() -> None:
    planner = Planner(POLL)
    one, two = up_to_date(number=1), up_to_date(number=2)
    followed = {"db_0001", "db_0002"}
    planner.plan(workspace_state(one, two), followed=followed, attempts={}, budget=10, now=NOW)
    assert planner._quiet.keys() == followed

    planner.plan(workspace_state(two), followed=followed, attempts={}, budget=10, now=NOW)

    assert planner._quiet.keys() == {"db_0002"}


def test_attempts_forget_what_is_gone() -> None:
    attempts = Attempts(ExporterHealth())
    hung = ReadingFailure(
        database_id="db_0001", window=day_window(NOW.date()), reason="timeout", message="late", failed_at=NOW
    )
    attempts.note([hung, replace(hung, database_id="db_0002")])

    attempts.forget_all_but({"db_0002"})

    assert {key[0] for key in attempts.tried} == {"db_0002"}
    assert attempts.hung == {"db_0002"}


@settings(max_examples=50)
@given(databases=st.integers(1, 12), budget=st.integers(1, 5))
def test_nobody_starves_however_small_the_budget(databases: int, budget: int) -> None:
    rows = {number: state(number) for number in range(databases)}
    read: set[int] = set()
    now = NOW
    for _ in range(databases):
        now += timedelta(minutes=1)
        for chosen in plan(*rows.values(), now=now, budget=budget).reads:
            number = int(chosen.database_id.removeprefix("db_"))
            if chosen.rank is Rank.DAY:
                read.add(number)
                rows[number] = replace(rows[number], recent_days=(day_usage(now.date(), read_at=now),))

    assert read == set(range(databases))


def test_when_a_month_has_ended_it_is_read_before_anything_else() -> None:
    just_after = datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC)
    known = replace(up_to_date(), months=(month(date(2026, 11, 1), read_at=NOW),))

    first, *_ = plan(known, now=just_after).reads

    assert (first.rank, first.windows[0].start_at.month) == (Rank.PREVIOUS_MONTH, 11)


def test_the_month_before_is_read_again_in_time_where_the_open_day_is_seldom_read() -> None:
    now = datetime(2026, 12, 2, 1, tzinfo=UTC)
    seldom = PollConfig(interval=timedelta(hours=12))
    known = up_to_date(now, 6)
    after_end = month(date(2026, 11, 1), read_at=datetime(2026, 12, 1, 14, tzinfo=UTC))
    known = replace(known, months=(after_end, known.months[1]), checked_until=date(2026, 11, 30))
    due_at = datetime(2026, 12, 2, 4, tzinfo=UTC)
    assert next_slot(now, seldom.interval, seldom.interval, "db_0006") > due_at

    assert plan(known, now=now, poll=seldom) == Plan(groups=(), deferred=0, next_due_at=due_at)
    assert ranks(plan(known, now=due_at, poll=seldom)) == [Rank.PREVIOUS_MONTH]


def test_settled_days_are_read_once_more_when_their_month_is_over_a_few_at_a_time() -> None:
    after = datetime(2026, 12, 10, 12, tzinfo=UTC)
    behind = replace(up_to_date(after), checked_until=date(2026, 11, 14))

    made = plan(behind, now=after)

    assert first_days(made, Rank.SETTLED_DAY) == [date(2026, 11, day) for day in range(15, 23)]
    first = next(read for read in made.reads if read.rank is Rank.SETTLED_DAY)
    attempts = {attempt_key("db_0001", first.windows[0]): Attempt(tried_at=after, failures=1)}
    assert first_days(plan(behind, now=after, attempts=attempts), Rank.SETTLED_DAY) == []
    done = replace(behind, checked_until=date(2026, 11, 30))
    assert first_days(plan(done, now=after), Rank.SETTLED_DAY) == []


def test_settled_days_of_this_month_are_read_again_where_the_vendors_month_disagrees() -> None:
    doubted = replace(up_to_date(), checked_until=date(2026, 11, 9), recheck_at=NOW - timedelta(hours=1))

    first, *_ = first_days(plan(doubted), Rank.SETTLED_DAY)

    assert first == date(2026, 11, 10)


# When something is due next ---------------------------------------------------------------------
seconds_ago = st.integers(-7_200, 40 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
intervals = st.sampled_from(
    [timedelta(seconds=1), timedelta(seconds=30), INTERVAL, timedelta(hours=1), timedelta(hours=7)]
)
instants = st.builds(
    lambda day, seconds: datetime(2026, 11, 20, tzinfo=UTC) + timedelta(days=day, seconds=seconds),
    st.integers(0, 20),
    st.integers(0, 86_399) | st.sampled_from([0, 1, 86_399]),
)


@st.composite
def day_rows(draw: st.DrawFn, day: date, now: datetime) -> DayUsage:
    read_at = max(now - draw(seconds_ago), day_start(day) + timedelta(seconds=1))
    is_closed = read_at >= day_start(day) + ONE_DAY
    since_at = read_at - draw(st.sampled_from([timedelta(0), timedelta(hours=3), timedelta(hours=7)]))
    return day_usage(
        day,
        read_at=read_at,
        unchanged_since_at=since_at if is_closed else None,
        settled_at=read_at if is_closed and draw(st.booleans()) else None,
    )


@st.composite
def month_rows(draw: st.DrawFn, starts_on: date, now: datetime) -> MonthUsage:
    row = month(
        starts_on,
        read_at=max(now - draw(seconds_ago), day_start(starts_on)),
        difference=draw(st.sampled_from([None, 0, 3])),
        days_operations=draw(st.sampled_from([2, 5, 9])),
    )
    return draw(st.sampled_from([row, replace(row, operations=None, read_at=None, difference_operations=None)]))


@st.composite
def states(draw: st.DrawFn, now: datetime) -> DatabaseState:
    """Any state that a database may have at `now`, as far as the plan looks at it."""
    today, this_month = now.date(), month_start(now).date()
    # At midnight nobody can have read the day that begins.
    newest = 0 if now > day_start(today) else 1
    back = [today - timedelta(days=days) for days in draw(st.lists(st.integers(newest, 8), max_size=5, unique=True))]
    starts = [(this_month - ONE_DAY).replace(day=1), this_month]
    return state(
        created_at=now - draw(seconds_ago.filter(lambda ago: ago >= timedelta(0))),
        known_until=today - timedelta(days=draw(st.integers(0, 8))),
        checked_until=today - timedelta(days=draw(st.integers(0, 40))),
        recheck_at=draw(st.none() | seconds_ago.map(lambda ago: now - abs(ago))),
        recent_days=tuple(draw(day_rows(day, now)) for day in sorted(back)),
        months=tuple(draw(month_rows(start, now)) for start in draw(st.sampled_from([[], starts[1:], starts]))),
        rolling=tuple(
            rolling_usage(window.name, read_at=now - draw(seconds_ago))
            for window in POLL.windows
            if draw(st.booleans())
        ),
    )


@st.composite
def tried(draw: st.DrawFn, now: datetime) -> dict[AttemptKey, Attempt]:
    """Failed tries of any windows, some by a clock that was ahead."""
    today = now.date()
    windows: list[Window] = [
        month_window(today, until=now),
        month_window((today.replace(day=1) - ONE_DAY), until=now),
        *(day_window(today - timedelta(days=days), until=now) for days in range(6)),
    ]
    chosen = draw(st.lists(st.sampled_from(windows), max_size=8, unique_by=lambda window: attempt_key("", window)))
    return {
        attempt_key("db_0001", window): Attempt(
            tried_at=now - draw(st.integers(-3_600, 3_600)) * timedelta(seconds=1),
            failures=draw(st.integers(1, 9)),
            not_before_at=now + draw(st.integers(-60, 3_600)) * timedelta(seconds=1) if draw(st.booleans()) else None,
        )
        for window in chosen
    }


@settings(max_examples=200)
@given(data=st.data(), now=instants, interval=intervals)
def test_nothing_is_due_before_the_instant_that_the_plan_gives_and_something_is_due_at_it(
    data: st.DataObject, now: datetime, interval: timedelta
) -> None:
    poll = PollConfig(interval=interval)
    held, attempts = data.draw(states(now)), data.draw(tried(now))
    # A try of the future is passed over until then: it is for the clock to be put right.
    attempts = {key: attempt for key, attempt in attempts.items() if attempt.tried_at <= now}
    made = plan(held, now=now, attempts=attempts, poll=poll)
    if made.groups:
        assert now < made.next_due_at <= now + interval
        return

    assert made.next_due_at > now
    seconds = int((made.next_due_at - now).total_seconds())
    between = now + timedelta(seconds=data.draw(st.integers(0, seconds - 1)))
    for before in (between, made.next_due_at - timedelta(seconds=1)):
        assert plan(held, now=before, attempts=attempts, poll=poll).groups == ()
    assert plan(held, now=made.next_due_at, attempts=attempts, poll=poll).groups


@settings(max_examples=60)
@given(data=st.data(), now=instants)
def test_a_planner_that_remembers_plans_as_a_new_one_does_wherever_the_clock_goes(
    data: st.DataObject, now: datetime
) -> None:
    held, attempts = [data.draw(states(now)) for _ in range(2)], data.draw(tried(now))
    planner = Planner(POLL)
    for _ in range(6):
        workspace = workspace_state(data.draw(st.sampled_from(held)))
        now += data.draw(st.integers(-1_800, 1_800)) * timedelta(seconds=1)
        arguments: dict[str, Any] = {
            "followed": workspace.databases.keys(),
            "attempts": attempts,
            "budget": 1_000,
            "now": now,
        }
        remembering, new = planner.plan(workspace, **arguments), Planner(POLL).plan(workspace, **arguments)
        assert remembering.groups == new.groups
        # It may look again too early, where a try of the future has come to count since.
        assert now < remembering.next_due_at <= new.next_due_at
