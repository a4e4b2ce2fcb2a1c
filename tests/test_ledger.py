"""The ledger's rules, each on the smallest case that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import (
    GIB,
    database,
    database_state,
    day_usage,
    day_window,
    month_usage,
    month_window,
    reading,
    rolling_window,
    settled_day,
    workspace_state,
)
from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    LedgerRows,
    LedgerUpdate,
    Move,
    ReadingFailure,
    UsageReading,
    Window,
    WorkspaceState,
    day_start,
)

SETTLE_AFTER = timedelta(hours=6)
TODAY = date(2026, 11, 23)
NO_ROWS = LedgerRows()


def at(day: int, hour: int = 0, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def state(**changes: Any) -> DatabaseState:
    """A database that was made and first seen on the 22nd."""
    first_day = date(2026, 11, 22)
    before = first_day - timedelta(days=1)
    first = database_state(
        database=database(created_at=at(22)),
        first_seen_at=at(22, 12),
        counted_from=first_day,
        known_until=before,
        checked_until=before,
    )
    return replace(first, **changes)


def read_day(day: int, operations: int | None, *, until: datetime, storage_bytes: int | None = GIB) -> UsageReading:
    window = day_window(date(2026, 11, day), until=until)
    return reading(window, operations, read_at=until, storage_bytes=storage_bytes)


def read_month(operations: int, *, until: datetime) -> UsageReading:
    return reading(month_window(until.date(), until=until), operations)


def failure(window: Window, failed_at: datetime, reason: str = "http_503") -> ReadingFailure:
    return ReadingFailure(database_id="db_a", window=window, reason=reason, message="unavailable", failed_at=failed_at)


def post(
    of: DatabaseState,
    *outcomes: UsageReading | ReadingFailure,
    older: LedgerRows = NO_ROWS,
    now: datetime | None = None,
) -> LedgerUpdate:
    """Post what was read, at the instant of the newest outcome."""
    newest_at = max(row.read_at if isinstance(row, UsageReading) else row.failed_at for row in outcomes)
    return ledger.post(workspace_state(of), outcomes, settle_after=SETTLE_AFTER, now=now or newest_at, older=older)


def posted(of: DatabaseState, *outcomes: UsageReading | ReadingFailure, now: datetime | None = None) -> DatabaseState:
    update = post(of, *outcomes, now=now)
    return update.after[0] if update.after else of


def follow(of: DatabaseState, rounds: Iterable[UsageReading]) -> DatabaseState:
    for outcome in rounds:
        of = posted(of, outcome)
    return of


def day_row(of: DatabaseState, day: int) -> DayUsage:
    return next(row for row in of.recent_days if row.day == date(2026, 11, day))


def test_the_counter_grows_by_what_the_open_day_grows() -> None:
    after = follow(state(), [read_day(22, 100, until=at(22, 13)), read_day(22, 140, until=at(22, 14))])

    assert after.operations_total == 140
    assert day_row(after, 22).operations == 140


def test_a_revised_day_never_lowers_the_counter_and_is_never_counted_twice() -> None:
    after = follow(
        state(),
        [
            read_day(22, 100, until=at(23, 0, 5)),
            read_day(22, 60, until=at(23, 1, 5)),
            read_day(22, 90, until=at(23, 2, 5)),
            read_day(22, 110, until=at(23, 4, 5)),
        ],
    )

    assert after.operations_total == 110
    assert day_row(after, 22).operations == 110
    assert (after.revisions_up, after.revisions_down) == (2, 1)


def test_a_revision_is_kept_with_both_numbers_and_its_time() -> None:
    closed = posted(state(), read_day(22, 100, until=at(23, 0, 5)))

    (revision,) = post(closed, read_day(22, 60, until=at(23, 1, 5))).revisions

    assert (revision.operations_before, revision.operations_after, revision.revised_at) == (100, 60, at(23, 1, 5))


def test_the_open_day_that_grows_is_no_revision_and_one_that_falls_is() -> None:
    open_day = follow(state(), [read_day(22, 100, until=at(22, 13)), read_day(22, 140, until=at(22, 14))])
    assert (open_day.revisions_up, open_day.revisions_down) == (0, 0)

    fallen = posted(open_day, read_day(22, 120, until=at(22, 15)))

    assert (fallen.revisions_up, fallen.revisions_down) == (0, 1)
    assert fallen.operations_total == 140


def test_the_last_growth_of_a_day_after_midnight_is_no_revision() -> None:
    after = follow(state(), [read_day(22, 100, until=at(22, 23, 55)), read_day(22, 105, until=at(23, 0, 5))])

    assert (after.revisions_up, after.operations_total) == (0, 105)


def test_a_closed_day_settles_when_readings_six_hours_apart_agree() -> None:
    first = follow(state(), [read_day(22, 100, until=at(23, 0, 5)), read_day(22, 100, until=at(23, 6, 4))])
    assert day_row(first, 22).settled_at is None

    settled = posted(first, read_day(22, 100, until=at(23, 6, 5)))

    assert day_row(settled, 22).settled_at == at(23, 6, 5)


def test_a_change_starts_the_wait_again_and_opens_a_settled_day() -> None:
    settled = follow(state(), [read_day(22, 100, until=at(23, 0, 5)), read_day(22, 100, until=at(23, 7))])
    assert day_row(settled, 22).settled_at is not None

    revised = posted(settled, read_day(22, 101, until=at(23, 8)))

    assert day_row(revised, 22).settled_at is None
    assert day_row(revised, 22).unchanged_since_at == at(23, 8)


def test_a_day_that_the_vendor_did_not_cover_to_its_end_is_not_final() -> None:
    reading = replace(read_day(22, 100, until=at(23, 0, 5)), period_end_at=at(22, 22))

    after = posted(state(), reading)

    assert day_row(after, 22).unchanged_since_at is None


def test_posting_the_same_readings_again_changes_nothing() -> None:
    outcomes = [read_day(22, 100, until=at(22, 13)), read_month(500, until=at(22, 13))]
    once = posted(state(), *outcomes)

    again = post(once, *outcomes)

    assert again == LedgerUpdate()


def test_an_older_reading_that_arrives_late_changes_nothing() -> None:
    newest = posted(state(), read_day(22, 140, until=at(22, 14)))

    assert posted(newest, read_day(22, 100, until=at(22, 13))) == newest


def test_days_before_the_database_was_followed_do_not_move_the_counter() -> None:
    seen_late = state(counted_from=date(2026, 11, 23), known_until=date(2026, 11, 21))

    after = posted(seen_late, read_day(22, 1_000, until=at(23, 1)), read_day(23, 5, until=at(23, 1)))

    assert after.operations_total == 5
    assert not day_row(after, 22).is_counted


def test_after_a_stop_the_counter_catches_up_by_what_happened_in_between() -> None:
    stopped = posted(state(), read_day(22, 100, until=at(22, 13)))

    back = posted(
        stopped,
        read_day(25, 7, until=at(25, 9)),
        read_day(22, 150, until=at(25, 9)),
        read_day(23, 30, until=at(25, 9)),
    )
    assert (back.operations_total, back.known_until) == (187, date(2026, 11, 23))

    whole = posted(back, read_day(24, 13, until=at(25, 9, 5)))

    assert (whole.operations_total, whole.known_until) == (200, date(2026, 11, 25))


def test_an_old_day_whose_row_was_not_given_is_refused() -> None:
    settled_long_ago = state(known_until=date(2026, 11, 22))

    with pytest.raises(ValueError, match="was not given"):
        post(settled_long_ago, read_day(20, 1, until=at(23)))


def test_a_given_old_row_is_corrected_and_its_month_follows() -> None:
    settled = follow(state(), [read_day(22, 100, until=at(23, 0, 5)), read_day(22, 100, until=at(23, 7))])
    old = day_row(settled, 22)
    since = replace(posted(settled, read_day(25, 2, until=at(25, 2))), known_until=date(2026, 11, 25))
    assert old not in since.recent_days

    corrected = post(
        since,
        read_day(22, 90, until=at(25, 3)),
        older=LedgerRows(looked_up=frozenset({(1, old.day)}), days=(old,), months=since.months),
    )

    assert corrected.after[0].months[0].days_operations == 92
    assert corrected.after[0].operations_total == 102


def test_a_months_sums_follow_its_days() -> None:
    after = follow(
        state(),
        [
            read_day(22, 100, until=at(23, 0, 5)),
            read_day(23, 10, until=at(23, 0, 5)),
            read_day(22, 90, until=at(23, 1, 5)),
        ],
    )

    (month,) = after.months
    assert (month.days, month.days_operations) == (2, 100)


def test_a_month_that_agrees_with_its_days_has_no_difference() -> None:
    after = posted(state(), read_day(22, 100, until=at(22, 13)), read_month(100, until=at(22, 13)))

    assert after.months[0].difference_operations == 0


def test_a_difference_is_believed_only_when_all_days_were_read_with_the_month() -> None:
    yesterday = posted(state(), read_day(22, 100, until=at(23, 0, 5)))

    unproven = posted(yesterday, read_day(23, 5, until=at(23, 2)), read_month(125, until=at(23, 2)))
    assert unproven.months[0].difference_operations is None

    proven = posted(
        unproven,
        read_day(22, 100, until=at(23, 3)),
        read_day(23, 5, until=at(23, 3)),
        read_month(125, until=at(23, 3)),
    )
    assert proven.months[0].difference_operations == 20


def test_nothing_is_compared_while_days_of_the_month_are_missing() -> None:
    began_in_mid_month = state()
    older = replace(began_in_mid_month, database=replace(began_in_mid_month.database, created_at=at(1)))

    after = posted(older, read_day(22, 100, until=at(22, 13)), read_month(5_000, until=at(22, 13)))

    assert after.months[0].difference_operations is None


def test_a_storage_level_holds_until_the_next_one_and_is_split_at_midnight() -> None:
    after = follow(
        state(),
        [
            read_day(22, 1, until=at(22, 23), storage_bytes=2 * GIB),
            read_day(23, 1, until=at(23, 2), storage_bytes=4 * GIB),
        ],
    )

    assert (day_row(after, 22).storage_seconds, day_row(after, 23).storage_seconds) == (3600, 7200)
    assert day_row(after, 23).storage_byte_seconds == 2 * GIB * 7200
    assert after.months[0].storage_byte_seconds == 2 * GIB * 10_800
    assert after.storage_bytes == 4 * GIB


def test_the_day_of_its_creation_holds_no_more_storage_than_what_was_left_of_it() -> None:
    created = state()
    created = replace(created, database=replace(created.database, created_at=at(22, 20)))
    first = posted(created, read_day(22, 1, until=at(22, 23)))
    after = posted(first, read_day(22, 1, until=at(23, 0, 5)), read_day(23, 1, until=at(23, 0, 5)))

    assert day_row(after, 22).storage_seconds == 4 * 3600
    assert after.months[0].storage_seconds == 4 * 3600 + 5 * 60


def test_a_storage_level_holds_no_longer_than_a_day() -> None:
    after = follow(state(), [read_day(22, 1, until=at(22, 12)), read_day(24, 1, until=at(24, 12))])

    assert after.months[0].storage_seconds == 12 * 3600


def test_a_closed_day_without_any_level_takes_the_vendors_number_for_it() -> None:
    after = posted(state(), read_day(22, 1, until=at(24), storage_bytes=3 * GIB))

    assert day_row(after, 22).storage_byte_seconds == 3 * GIB * 86_400
    assert after.storage_bytes is None


def test_a_moved_database_takes_its_open_day_along_and_leaves_the_days_before() -> None:
    first = follow(state(), [read_day(22, 100, until=at(23, 0, 5)), read_day(23, 10, until=at(23, 0, 5))])
    moved = replace(first, workspace_key=2)

    after = posted(moved, read_day(23, 15, until=at(23, 1)), read_day(22, 101, until=at(23, 1)))

    assert {row.workspace_key: row.days_operations for row in after.months} == {1: 101, 2: 15}


def test_a_closed_day_that_is_read_after_a_move_is_of_whoever_held_the_database_then() -> None:
    """It was last seen in workspace 1 on the 24th and found in workspace 2 on the 27th: nobody knows of these days."""
    move = Move(at=at(27, 9), from_key=1, to_key=2, last_there_at=at(24, 9))
    moved = replace(state(), workspace_key=2, moves=(move,))

    after = posted(moved, *(read_day(day, 10, until=at(29)) for day in range(22, 29)), now=at(29))

    assert {row.day.day: row.workspace_key for row in after.recent_days} == {
        **dict.fromkeys((22, 23, 24), 1),
        **dict.fromkeys((25, 26), 2),
        **dict.fromkeys((27, 28), 2),
    }
    assert [day for day in range(20, 30) if after.is_unplaced(date(2026, 11, day))] == [24, 25, 26, 27]
    assert after.unplaced_moves(date(2026, 11, 27), date(2026, 11, 30)) == (move,)
    assert not after.unplaced_moves(date(2026, 11, 28), date(2026, 11, 30))
    assert not after.unplaced_moves(date(2026, 11, 1), date(2026, 11, 23))


@pytest.mark.parametrize(
    ("last_there_at", "noticed_at", "days"),
    [
        (at(24, 9), at(24, 9, 30), [24]),
        (at(23, 23, 30), at(24), [23]),
        (at(24), at(24, 9), [24]),
        (at(24), at(24), []),
        (at(23, 23, 59), at(24, 0, 1), [23, 24]),
    ],
)
def test_each_day_that_holds_a_part_of_the_span_of_a_move_is_in_doubt(
    last_there_at: datetime, noticed_at: datetime, days: list[int]
) -> None:
    move = Move(at=noticed_at, from_key=1, to_key=2, last_there_at=last_there_at)

    assert [day for day in range(22, 27) if replace(state(), moves=(move,)).is_unplaced(date(2026, 11, day))] == days


def test_a_day_in_doubt_is_held_as_long_as_its_month_and_revised_like_any_other() -> None:
    move = Move(at=at(24, 9), from_key=1, to_key=2, last_there_at=at(24, 8))
    first = posted(
        replace(state(), workspace_key=2, moves=(move,)),
        *(read_day(day, 10, until=at(28)) for day in range(22, 28)),
        now=at(28),
    )
    days = tuple(replace(row, settled_at=row.read_at) for row in first.recent_days)
    settled = replace(first, recent_days=days, known_until=date(2026, 12, 31))
    workspace = workspace_state(settled, key=2)

    def held_on(now: datetime) -> list[int]:
        (held,) = ledger.carry_workspace(workspace, now).databases.values()
        return [row.day.day for row in held.recent_days]

    assert held_on(at(31, 23, month=12)) == [24]
    assert held_on(datetime(2027, 1, 1, tzinfo=UTC)) == []
    (held,) = ledger.carry_workspace(workspace, at(10, month=12)).databases.values()
    revised = posted(held, read_day(24, 12, until=at(10, month=12)))
    assert [(row.day.day, row.operations) for row in revised.recent_days] == [(24, 12)]
    assert {row.workspace_key: row.days_operations for row in revised.months} == {1: 20, 2: 42}


def test_a_database_that_moved_on_and_back_has_each_day_where_it_was() -> None:
    moves = (
        Move(at=at(23, 9), from_key=1, to_key=2, last_there_at=at(23, 8)),
        Move(at=at(25, 9), from_key=2, to_key=1, last_there_at=at(25, 8)),
    )

    after = posted(replace(state(), moves=moves), *(read_day(day, 10, until=at(27)) for day in (22, 23, 24, 25, 26)))

    assert [row.workspace_key for row in after.recent_days] == [1, 2, 2, 1, 1]


def test_a_failure_keeps_the_numbers_and_says_since_when_and_why() -> None:
    good = posted(state(), read_day(22, 100, until=at(22, 13)))
    window = day_window(date(2026, 11, 22), until=at(22, 14))

    failing = posted(posted(good, failure(window, at(22, 14))), failure(window, at(22, 15)))
    assert (failing.failing_since_at, failing.failure_reason) == (at(22, 14), "http_503")
    assert (failing.operations_total, failing.last_success_at) == (100, at(22, 13))

    recovered = posted(failing, read_day(22, 120, until=at(22, 16)))
    assert (recovered.failing_since_at, recovered.failure_reason) == (None, None)


def test_a_number_the_vendor_left_out_changes_nothing() -> None:
    good = posted(state(), read_day(22, 100, until=at(22, 13)))

    after = posted(good, read_day(22, None, until=at(22, 14), storage_bytes=None))

    assert (after.operations_total, after.storage_bytes) == (100, GIB)
    assert day_row(after, 22).operations == 100


def test_an_unchanged_reading_keeps_no_new_raw_row() -> None:
    first = post(state(), read_day(22, 100, until=at(22, 13)))
    assert len(first.readings) == 1

    second = post(first.after[0], read_day(22, 100, until=at(22, 14)))

    assert second.readings == ()


def test_usage_reaches_no_further_than_the_time_it_was_read() -> None:
    widened = replace(read_day(22, 100, until=at(22, 13)), period_end_at=day_start(date(2026, 11, 23)))

    assert posted(state(), widened).usage_at == at(22, 13)


def test_a_day_after_a_gap_does_not_settle_before_the_gap_is_filled() -> None:
    behind = state(known_until=date(2026, 11, 20), checked_until=date(2026, 11, 20))
    agreed = follow(behind, [read_day(22, 100, until=at(23, 1)), read_day(22, 100, until=at(23, 8))])
    assert day_row(agreed, 22).settled_at is None
    assert agreed.known_until == date(2026, 11, 20)

    filled = posted(agreed, read_day(21, 5, until=at(24, 1)))

    assert filled.known_until == date(2026, 11, 22)
    assert filled.operations_total == agreed.operations_total


def test_a_difference_has_the_settled_days_read_again_once() -> None:
    settled = follow(state(), [read_day(22, 100, until=at(23, 0, 5)), read_day(22, 100, until=at(23, 7))])
    settled = replace(settled, checked_until=date(2026, 11, 22))
    now = at(23, 9)

    doubted = posted(settled, read_day(23, 5, until=now), read_month(95, until=now))
    assert (doubted.months[0].difference_operations, doubted.recheck_at) == (-10, now)
    assert doubted.checked_until == date(2026, 11, 21)

    later = at(23, 9, 5)
    corrected = posted(
        doubted, read_day(22, 90, until=later), read_day(23, 5, until=later), read_month(95, until=later)
    )
    assert (corrected.months[0].difference_operations, corrected.revisions_down) == (0, 1)
    assert corrected.checked_until == date(2026, 11, 22)


def test_a_difference_that_no_day_explains_is_looked_into_once_only() -> None:
    settled = follow(state(), [read_day(22, 100, until=at(23, 0, 5)), read_day(22, 100, until=at(23, 7))])
    doubted = posted(settled, read_day(23, 5, until=at(23, 9)), read_month(95, until=at(23, 9)))
    checked = posted(doubted, read_day(22, 100, until=at(23, 10)))
    assert checked.checked_until == date(2026, 11, 22)

    again = posted(checked, read_day(23, 5, until=at(23, 11)), read_month(95, until=at(23, 11)))

    assert (again.months[0].difference_operations, again.recheck_at) == (-10, at(23, 9))


def test_a_day_of_a_month_that_is_long_over_settles_with_its_first_reading() -> None:
    asked = state(known_until=date(2026, 11, 22))
    long_after = at(8, month=12)

    update = post(
        asked, read_day(10, 7, until=long_after), older=LedgerRows(looked_up=frozenset({(1, date(2026, 11, 10))}))
    )

    (row,) = update.other_days
    assert (row.operations, row.settled_at, row.is_counted) == (7, long_after, False)


def test_a_month_or_a_rolling_window_that_fails_does_not_make_the_database_failing() -> None:
    good = posted(state(), read_day(22, 100, until=at(22, 13)))
    others = (
        month_window(TODAY, until=at(22, 14)),
        rolling_window("24h", timedelta(days=1), until=at(22, 14)),
        day_window(date(2026, 11, 20), until=at(22, 14)),
    )

    assert posted(good, *(failure(window, at(22, 14)) for window in others)) == good
    failing = posted(good, failure(day_window(date(2026, 11, 22), until=at(22, 14)), at(22, 14)))
    assert failing.failing_since_at == at(22, 14)
    # Nor does one that is answered make it well: the open day says whether it is.
    assert posted(failing, read_month(100, until=at(22, 15))).failing_since_at == at(22, 14)


def test_a_failure_that_was_before_the_last_answer_says_nothing() -> None:
    good = posted(state(), read_day(22, 100, until=at(22, 13)))

    assert posted(good, failure(day_window(date(2026, 11, 22), until=at(22, 12)), at(22, 12))) == good


def test_nothing_is_counted_while_the_vendor_says_storage_only() -> None:
    told = posted(state(), read_day(22, None, until=at(22, 13)))
    assert (told.storage_bytes, told.last_success_at, told.has_counted) == (GIB, at(22, 13), False)

    assert posted(told, read_day(22, 0, until=at(22, 14))).has_counted


def test_a_day_before_the_database_was_followed_counts_nothing_either() -> None:
    seen_late = state(counted_from=date(2026, 11, 23))

    assert not posted(seen_late, read_day(22, 1_000, until=at(23, 1))).has_counted


settled_or_open = st.lists(st.sampled_from(["settled", "open", "missing"]), min_size=40, max_size=40)


@given(rows=settled_or_open, moved=st.booleans())
def test_what_is_held_on_the_next_day_is_what_a_reading_of_that_day_would_leave(rows: list[str], moved: bool) -> None:
    last_day = date(2026, 11, 23)
    days, known_until, is_whole = [], last_day - timedelta(days=40), True
    for back, kind in zip(range(39, -1, -1), rows, strict=True):
        day = last_day - timedelta(days=back)
        is_whole = is_whole and kind != "missing"
        known_until = day if is_whole else known_until
        if kind == "settled" and is_whole and day < last_day:
            days.append(settled_day(day))
        elif kind != "missing":
            days.append(day_usage(day, read_at=day_start(day) + timedelta(hours=1)))
    months = [
        month_usage(date(2026, month, 1), workspace_key=key)
        for month in range(8, 12)
        for key in ((1, 2) if moved else (1,))
    ]
    held = state(recent_days=tuple(days), months=tuple(months), known_until=known_until, first_seen_at=at(1, month=8))
    today, tomorrow = at(23, 12), at(24, 0, 5)
    workspace = ledger.carry_workspace(workspace_state(held), today)

    carried = ledger.carry_workspace(workspace, tomorrow)
    (after,) = carried.databases.values()

    expected = ledger.carry(days, months, moves=(), known_until=known_until, today=tomorrow.date())
    assert (after.recent_days, after.months) == (expected.days, expected.months)
    assert ledger.carry_workspace(carried, tomorrow) == carried
    # A reading that changes neither a day nor a month leaves the same.
    touched = posted(
        workspace.databases["db_a"], reading(rolling_window("24h", timedelta(days=1), until=tomorrow), 1), now=tomorrow
    )
    assert (touched.recent_days, touched.months) == (after.recent_days, after.months)
    # By the rule in other words: nothing that may still be read or shown is let go.
    assert all(row in after.recent_days for row in days if row.settled_at is None)
    oldest = min([known_until + timedelta(days=1), *(row.day for row in days if row.settled_at is None)])
    assert all(row in after.months for row in months if row.month >= oldest.replace(day=1) or row.month.month >= 10)


def held_on(workspace: WorkspaceState, now: datetime) -> list[str]:
    return sorted(ledger.carry_workspace(workspace, now).databases)


def test_a_deleted_database_leaves_when_its_last_month_is_in_no_bill_any_more() -> None:
    november = month_usage(date(2026, 11, 1))
    workspace = workspace_state(
        database_state("db_there"),
        database_state("db_gone", deleted_at=at(10), months=(month_usage(date(2026, 10, 1)), november)),
        database_state("db_gone_unread", deleted_at=at(10)),
    )

    # One that nobody read lived in that month all the same: what it used is missing in the bill.
    assert held_on(workspace, at(30, 23, 59)) == ["db_gone", "db_gone_unread", "db_there"]
    assert held_on(workspace, at(31, 23, 59, month=12)) == ["db_gone", "db_gone_unread", "db_there"]
    assert held_on(workspace, datetime(2027, 1, 1, tzinfo=UTC)) == ["db_there"]
