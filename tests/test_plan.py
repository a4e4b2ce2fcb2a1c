"""The plan's rules, one by one, and that nobody starves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.model import (
    Book,
    Database,
    DayUsage,
    MonthUsage,
    Position,
    RollingUsage,
    Window,
    WindowKind,
    day_start,
)
from prisma_postgres_exporter.plan import NEVER, Attempt, Plan, PlannedRead, Rank, attempt_key, make_plan

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
POLL = PollConfig()


def position(number: int = 1, *, created_at: datetime = NOW - timedelta(days=400), **changes: object) -> Position:
    first = Position(
        key=number,
        workspace_key=1,
        database=Database(
            id=f"db_{number:04}",
            name="a",
            project_id="proj_a",
            project_name="a",
            workspace_id="wksp_a",
            region=None,
            status="ready",
            is_default=False,
            created_at=created_at,
        ),
        first_seen_at=NOW,
        counted_from=NOW.date(),
        known_until=NOW.date() - timedelta(days=1),
        checked_until=NOW.date() - timedelta(days=1),
    )
    return replace(first, **changes)  # type: ignore[arg-type]  # a shorthand of these tests


def day(
    of: date, *, read_at: datetime, closed_at: datetime | None = None, settled_at: datetime | None = None
) -> DayUsage:
    return DayUsage(
        database_key=1,
        day=of,
        workspace_key=1,
        operations=1,
        operations_high=1,
        storage_bytes=1,
        storage_byte_seconds=0,
        storage_seconds=0,
        read_at=read_at,
        unchanged_since_at=closed_at,
        settled_at=settled_at,
        is_counted=True,
    )


def month(of: date, *, read_at: datetime, difference: int | None = 0, days_operations: int = 5) -> MonthUsage:
    return MonthUsage(
        database_key=1,
        month=of,
        workspace_key=1,
        days_operations=days_operations,
        operations=5,
        difference_operations=difference,
        period_end_at=read_at,
        read_at=read_at,
    )


def up_to_date(now: datetime = NOW) -> Position:
    """A position of which everything was read at `now`."""
    return position(
        known_until=now.date(),
        recent_days=(
            day(now.date() - timedelta(days=1), read_at=now, closed_at=now, settled_at=now),
            day(now.date(), read_at=now),
        ),
        months=(month(date(2026, 10, 1), read_at=now), month(date(2026, 11, 1), read_at=now)),
        rolling=tuple(
            RollingUsage(window_name=window.name, operations=1, period_start_at=now, period_end_at=now, read_at=now)
            for window in POLL.windows
        ),
    )


def plan(
    *positions: Position, now: datetime = NOW, budget: int = 1_000, attempts: dict[object, Attempt] | None = None
) -> Plan:
    return make_plan(
        Book(generation=1, positions={row.database.id: row for row in positions}),
        followed={row.database.id for row in positions},
        readable_workspaces={"wksp_a"},
        attempts=attempts or {},  # type: ignore[arg-type]  # a shorthand of these tests
        poll=POLL,
        budget=budget,
        now=now,
    )


def names(reads: tuple[PlannedRead, ...]) -> list[str]:
    return [window.name for read in reads for window in read.windows]


def test_a_new_database_is_read_over_every_window_once() -> None:
    reads = plan(position()).reads

    assert names(reads) == ["day", "month", "24h", "7d", "30d", "month"]
    assert {read.due_at for read in reads[:5]} == {NEVER}
    assert all(window.end_at == NOW for read in reads[:5] for window in read.windows)


def test_nothing_is_read_again_before_its_time() -> None:
    assert plan(up_to_date(), now=NOW + timedelta(minutes=4)).reads == ()


def test_each_window_is_read_as_often_as_its_width_deserves() -> None:
    def due_after(**later: int) -> list[str]:
        return names(plan(up_to_date(), now=NOW + timedelta(**later)).reads)

    assert due_after(minutes=5) == ["day"]
    assert due_after(minutes=15) == ["day", "24h"]
    assert sorted(due_after(hours=2)) == ["24h", "7d", "day", "month"]
    assert sorted(due_after(hours=8)) == ["24h", "30d", "7d", "day", "month"]


def test_the_month_is_read_with_the_day_where_the_day_moved() -> None:
    idle = up_to_date()
    busy = replace(idle, months=(idle.months[0], month(date(2026, 11, 1), read_at=NOW, days_operations=9)))
    unknown = replace(idle, months=(idle.months[0], month(date(2026, 11, 1), read_at=NOW, difference=None)))
    later = NOW + timedelta(minutes=5)

    assert names(plan(idle, now=later).reads) == ["day"]
    assert names(plan(busy, now=later).reads) == ["day", "month"]
    assert names(plan(unknown, now=later).reads) == ["day", "month"]


def test_a_closed_day_is_read_when_it_has_closed_and_then_less_and_less_often() -> None:
    yesterday, midnight = date(2026, 11, 22), datetime(2026, 11, 23, tzinfo=UTC)

    def due_at(row: DayUsage) -> timedelta:
        """After how many quarters of an hour since midnight the day is read."""
        last = replace(up_to_date(), recent_days=(row, day(NOW.date(), read_at=midnight + timedelta(days=1))))
        for quarters in range(4 * 24):
            now = midnight + timedelta(minutes=15 * quarters, seconds=1)
            if any(
                window.start_at == day_start(yesterday) for read in plan(last, now=now).reads for window in read.windows
            ):
                return timedelta(minutes=15 * quarters)
        raise AssertionError("it is never due")

    def read_after(hours: float) -> DayUsage:
        at = midnight + timedelta(hours=hours)
        return day(yesterday, read_at=at, closed_at=at)

    assert due_at(day(yesterday, read_at=midnight - timedelta(minutes=5))) == timedelta(0)
    assert due_at(read_after(0)) == timedelta(hours=1)
    assert due_at(read_after(2)) == timedelta(hours=4)
    assert due_at(read_after(12)) == timedelta(hours=18)


def test_a_settled_day_is_not_read_again() -> None:
    reads = plan(up_to_date(), now=NOW + timedelta(hours=11)).reads

    assert all(window.start_at != datetime(2026, 11, 22, tzinfo=UTC) for read in reads for window in read.windows)


def test_on_the_first_the_day_and_the_month_are_one_read() -> None:
    first = datetime(2026, 12, 1, 9, tzinfo=UTC)
    reads = plan(replace(up_to_date(first), months=(), recent_days=()), now=first).reads

    assert sorted(window.name for window in reads[0].windows) == ["day", "month"]


def test_at_midnight_exactly_there_is_no_open_day_yet_and_the_closed_one_is_read() -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    last = up_to_date(midnight - timedelta(minutes=5))

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
    young = position(created_at=datetime(2026, 11, 10, tzinfo=UTC), known_until=date(2026, 11, 22))

    assert names(plan(young).reads) == ["day", "month", "24h", "7d", "30d"]


def test_missing_days_come_last_oldest_first_and_a_few_at_a_time() -> None:
    behind = replace(up_to_date(), known_until=date(2026, 11, 10), recent_days=(day(NOW.date(), read_at=NOW),))

    reads = plan(behind, now=NOW + timedelta(minutes=5)).reads

    assert [read.rank for read in reads] == [Rank.DAY, *[Rank.MISSING_DAY] * 4]
    assert [read.windows[0].start_at.day for read in reads[1:]] == [11, 12, 13, 14]


def test_missing_days_have_a_share_of_a_budget_that_is_too_small() -> None:
    behind = [replace(position(number), known_until=date(2026, 11, 10)) for number in range(20)]

    made = plan(*behind, budget=20)

    assert sum(read.rank is Rank.MISSING_DAY for read in made.reads) == 2
    assert made.deferred == 20 * 10 - 20


def test_what_failed_is_left_alone_longer_and_longer_up_to_a_quarter_of_an_hour() -> None:
    window = Window(kind=WindowKind.DAY, name="day", start_at=day_start(NOW.date()), end_at=NOW)
    key = attempt_key("db_0001", window)

    def is_due(failures: int, minutes: int) -> bool:
        attempts: dict[object, Attempt] = {key: Attempt(failed_at=NOW, failures=failures)}
        return "day" in names(plan(position(), now=NOW + timedelta(minutes=minutes), attempts=attempts).reads)

    assert [is_due(1, 4), is_due(1, 5)] == [False, True]
    assert [is_due(2, 9), is_due(2, 10)] == [False, True]
    assert [is_due(50, 14), is_due(50, 15)] == [False, True]


def test_deleted_unfollowed_and_unreadable_databases_are_not_read() -> None:
    rows = {"db_0001": position(deleted_at=NOW)}
    made = make_plan(
        Book(generation=1, positions=rows),
        followed={"db_0001"},
        readable_workspaces={"wksp_a"},
        attempts={},
        poll=POLL,
        budget=10,
        now=NOW,
    )
    assert made == Plan(reads=(), deferred=0)
    alive = Book(generation=1, positions={"db_0001": position()})
    for followed, readable in (((), {"wksp_a"}), ({"db_0001"}, ())):
        made = make_plan(
            alive, followed=followed, readable_workspaces=readable, attempts={}, poll=POLL, budget=10, now=NOW
        )
        assert made.reads == ()


@settings(max_examples=50, deadline=None)
@given(databases=st.integers(1, 12), budget=st.integers(1, 5))
def test_nobody_starves_however_small_the_budget(databases: int, budget: int) -> None:
    rows = {number: position(number) for number in range(databases)}
    read: set[int] = set()
    now = NOW
    for _ in range(databases):
        now += timedelta(minutes=1)
        for chosen in plan(*rows.values(), now=now, budget=budget).reads:
            number = int(chosen.database_id.removeprefix("db_"))
            if chosen.rank is Rank.DAY:
                read.add(number)
                rows[number] = replace(rows[number], recent_days=(day(now.date(), read_at=now),))

    assert read == set(range(databases))


def test_when_a_month_has_ended_it_is_read_before_anything_else() -> None:
    just_after = datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC)
    known = replace(up_to_date(), months=(month(date(2026, 11, 1), read_at=NOW),))

    first, *_ = plan(known, now=just_after).reads

    assert (first.rank, first.windows[0].start_at.month) == (Rank.PREVIOUS_MONTH, 11)


def test_settled_days_are_read_once_more_when_their_month_is_over_a_few_at_a_time() -> None:
    after = datetime(2026, 12, 10, 12, tzinfo=UTC)
    behind = replace(up_to_date(after), known_until=after.date(), checked_until=date(2026, 11, 14))

    reads = [read for read in plan(behind, now=after).reads if read.rank is Rank.SETTLED_DAY]

    assert [read.windows[0].start_at.date() for read in reads] == [date(2026, 11, day) for day in range(15, 23)]
    key: object = attempt_key("db_0001", reads[0].windows[0])
    failed = {key: Attempt(failed_at=after, failures=1)}
    assert all(read.rank is not Rank.SETTLED_DAY for read in plan(behind, now=after, attempts=failed).reads)
    done = replace(behind, checked_until=date(2026, 11, 30))
    assert all(read.rank is not Rank.SETTLED_DAY for read in plan(done, now=after).reads)


def test_settled_days_of_this_month_are_read_again_where_the_vendors_month_disagrees() -> None:
    doubted = replace(up_to_date(), checked_until=date(2026, 11, 9), recheck_at=NOW - timedelta(hours=1))

    first, *_ = [read for read in plan(doubted).reads if read.rank is Rank.SETTLED_DAY]

    assert first.windows[0].start_at.date() == date(2026, 11, 10)
