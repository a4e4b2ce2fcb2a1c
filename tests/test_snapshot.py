"""What a snapshot shows, and what it does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from builders import (
    GIB,
    NOW,
    database_state,
    day_usage,
    day_window,
    month_usage,
    reading,
    rolling_usage,
    workspace_state,
)
from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config.values import rolling_windows
from prisma_postgres_exporter.expose import ExporterHealth, Exposition
from prisma_postgres_exporter.model import (
    DatabaseState,
    LedgerState,
    MonthUsage,
    Move,
    UsageReading,
    Workspace,
    WorkspaceState,
)
from prisma_postgres_exporter.snapshot import INTERVALS_MISSED, DatabaseView, Snapshot, take_snapshot

MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)
KEEP_LAST_VALUE = timedelta(days=1)
SECOND = timedelta(seconds=1)


def month(of: date, operations: int | None, *, workspace_key: int = 1, days: int = 0, seconds: int = 0) -> MonthUsage:
    return month_usage(
        of,
        operations,
        workspace_key=workspace_key,
        days=1,
        days_operations=days,
        storage_byte_seconds=100 * seconds,
        storage_seconds=seconds,
        difference_operations=0,
    )


def state(id_: str = "db_a", **changes: Any) -> DatabaseState:
    """A database of which everything was read at `NOW`."""
    well = database_state(
        id_,
        operations_total=7,
        storage_bytes=50,
        storage_at=NOW,
        usage_at=NOW,
        last_success_at=NOW,
        recent_days=(
            day_usage(date(2026, 11, 22), 30, unchanged_since_at=MIDNIGHT),
            day_usage(date(2026, 11, 23), 5),
        ),
        months=(month(date(2026, 10, 1), 900), month(date(2026, 11, 1), 400)),
        rolling=(rolling_usage("24h", 33), rolling_usage("90d", 99)),
    )
    return replace(well, **changes)


def snapshot(
    *states: DatabaseState,
    now: datetime = NOW,
    followed: set[str] | None = None,
    workspaces: tuple[WorkspaceState, ...] = (workspace_state(),),
    failures: Mapping[str, str | None] | None = None,
    interval: timedelta = INTERVAL,
    window_names: Sequence[str] = ("24h", "7d"),
) -> Snapshot:
    return take_snapshot(
        LedgerState.of(workspaces, states),
        followed={row.database.id for row in states} if followed is None else followed,
        workspace_failures=failures or {},
        silent_after=INTERVALS_MISSED * interval,
        keep_last_value=KEEP_LAST_VALUE,
        window_names=window_names,
        now=now,
    )


def view(
    of: DatabaseState,
    *,
    now: datetime = NOW,
    interval: timedelta = INTERVAL,
    window_names: Sequence[str] = ("24h", "7d"),
) -> DatabaseView:
    return snapshot(of, now=now, interval=interval, window_names=window_names).databases[0]


def test_everything_that_is_known_is_shown() -> None:
    shown = view(state())

    assert (shown.day_to_date_operations, shown.previous_day_operations) == (5, 30)
    assert (shown.month_to_date_operations, shown.previous_month_operations) == (400, 900)
    assert (shown.operations_total, shown.storage_bytes, shown.is_up) == (7, 50, True)
    assert shown.reconciliation_difference_operations == 0


def test_rolling_windows_are_shown_by_their_width_however_they_are_configured_or_stored() -> None:
    stored = replace(state(), rolling=tuple(rolling_usage(name, 1) for name in ("24h", "30d", "7d")))
    names = [window.name for window in rolling_windows(("30d", "24h", "7d"))]

    assert names == ["24h", "7d", "30d"]
    shown = view(stored, window_names=names)
    assert [name for name, _ in shown.rolling] == names
    assert shown.windows == tuple((name, 1, rolling_usage(name).period_end_at) for name in names)


def test_a_window_that_is_not_configured_any_more_is_not_shown() -> None:
    assert view(state()).rolling == (("24h", 33),)


def test_at_midnight_yesterdays_number_is_never_shown_as_todays() -> None:
    shown = view(state(), now=datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC))

    assert (shown.day_to_date_operations, shown.previous_day_operations) == (None, None)
    assert shown.month_to_date_operations == 400


def test_at_the_months_end_its_number_is_dropped_until_the_vendor_said_the_next() -> None:
    before, at = DECEMBER - SECOND, DECEMBER
    assert view(state(last_success_at=before), now=before).month_to_date_operations == 400

    shown = view(state(last_success_at=before), now=at)

    assert shown.operations_total == 7
    assert (shown.month_to_date_operations, shown.reconciliation_difference_operations) == (None, None)
    (workspace,) = snapshot(state(last_success_at=before), now=at).workspaces
    assert (workspace.month_to_date_operations, workspace.period_start_at) == (None, DECEMBER)
    # The vendor's first word on the new month.
    november, new = month(date(2026, 11, 1), 400), replace(month(DECEMBER.date(), 3), read_at=at)
    assert view(state(last_success_at=at, months=(november, new)), now=at).month_to_date_operations == 3


def test_last_months_number_is_shown_only_when_it_was_read_after_the_month() -> None:
    december = datetime(2026, 12, 1, 0, 5, tzinfo=UTC)
    early = replace(state(), last_success_at=december)
    assert view(early, now=december).previous_month_operations is None

    ended_at, read_at = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 1, 0, 1, tzinfo=UTC)
    read_after = replace(month(date(2026, 11, 1), 410), read_at=read_at, period_end_at=ended_at)
    assert view(replace(early, months=(read_after,)), now=december).previous_month_operations == 410
    # It was asked for before midnight, and answered after it.
    late_answer = replace(read_after, period_end_at=ended_at - timedelta(seconds=4))
    assert view(replace(early, months=(late_answer,)), now=december).previous_month_operations is None


def test_a_value_that_is_too_old_is_shown_no_more() -> None:
    old = state(last_success_at=NOW - timedelta(hours=25), failing_since_at=NOW - timedelta(hours=24))
    shown = view(old)

    assert (shown.is_up, shown.operations_total, shown.storage_bytes) == (False, None, None)
    assert (shown.month_to_date_operations, shown.rolling) == (None, ())
    assert shown.last_success_at == NOW - timedelta(hours=25)


def families(of: DatabaseState, now: datetime) -> set[str]:
    """The names of the families that show something of a database."""
    exposition = Exposition(ExporterHealth())
    exposition.render(snapshot(of, now=now))
    lines = exposition.snapshot_text().decode().splitlines()
    return {line.partition("{")[0] for line in lines if "database_id=" in line}


def test_after_a_day_of_silence_only_what_is_not_usage_remains_and_the_database_is_down() -> None:
    of = state(failing_since_at=NOW + INTERVAL)
    prefix = "prisma_postgres_database_"
    usage = {
        "operations_total",
        "window_operations",
        "month_to_date_operations",
        "storage_bytes",
        "usage_timestamp_seconds",
        "reconciliation_difference_operations",
    }
    remaining = {"info", "created_timestamp_seconds", "up", "last_success_timestamp_seconds", "revisions_total"}
    until = NOW + KEEP_LAST_VALUE

    assert families(of, until) >= {prefix + name for name in usage | remaining}
    assert families(of, until + SECOND) == {prefix + name for name in remaining}
    shown = view(of, now=until + SECOND)
    assert (shown.is_up, shown.last_success_at) == (False, NOW)


# Up or down -------------------------------------------------------------------------------------
@pytest.mark.parametrize("last_success", [NOW, None])
def test_two_intervals_of_silence_for_whatever_reason_are_down(last_success: datetime | None) -> None:
    of = state(last_success_at=last_success)
    is_up = True if last_success else None

    assert view(of, now=NOW + 2 * INTERVAL).is_up is is_up
    assert view(of, now=NOW + 2 * INTERVAL + SECOND).is_up is False


def test_a_last_reading_of_the_future_is_silence_too() -> None:
    of = state(last_success_at=NOW + 2 * INTERVAL)

    assert view(of, now=NOW).is_up is True
    assert view(of, now=NOW - SECOND).is_up is False


def test_a_short_interval_gives_a_reading_half_a_minute() -> None:
    of = state(last_success_at=NOW)

    assert view(of, now=NOW + timedelta(seconds=30), interval=SECOND).is_up is True
    assert view(of, now=NOW + timedelta(seconds=31), interval=SECOND).is_up is False


def test_an_open_day_that_fails_is_down_at_once_also_before_the_first_reading() -> None:
    assert view(state(failing_since_at=NOW)).is_up is False
    assert view(state(failing_since_at=NOW, last_success_at=None)).is_up is False


def test_a_counter_is_shown_once_a_day_that_counts_is_known() -> None:
    new = database_state(known_until=date(2026, 11, 22), counted_from=date(2026, 11, 23))
    told = reading(day_window(date(2026, 11, 23)), None, storage_bytes=GIB)
    counted = reading(day_window(date(2026, 11, 23)), 0)

    def after(answer: UsageReading) -> DatabaseView:
        update = ledger.post(workspace_state(new), [answer], settle_after=timedelta(hours=6), now=NOW)
        return view(update.after[0])

    assert (after(told).operations_total, after(told).storage_bytes) == (None, GIB)
    assert after(counted).operations_total == 0


def test_a_snapshot_is_valid_until_the_next_midnight() -> None:
    for now, midnight in (
        (NOW, datetime(2026, 11, 24, tzinfo=UTC)),
        (MIDNIGHT, datetime(2026, 11, 24, tzinfo=UTC)),
        (MIDNIGHT - SECOND, MIDNIGHT),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ):
        assert snapshot(now=now).valid_until == midnight


# What is counted in -----------------------------------------------------------------------------
def test_deleted_and_unfollowed_databases_are_not_shown_and_the_unfollowed_are_counted() -> None:
    shown = snapshot(state("db_a"), state("db_b", deleted_at=NOW), state("db_c"), followed={"db_a"})

    assert [row.database_id for row in shown.databases] == ["db_a"]
    assert shown.filtered == 1


def test_a_deleted_databases_month_stays_in_its_workspace() -> None:
    (shown,) = snapshot(state("db_a"), state("db_b", deleted_at=NOW)).workspaces

    assert (shown.databases, shown.month_to_date_operations) == (1, 800)


def test_a_database_that_moved_leaves_each_workspace_the_days_it_had() -> None:
    november = date(2026, 11, 1)
    moved = state(months=(month(november, 400, days=150), month(november, 400, workspace_key=2, days=250)))
    others = (workspace_state(), workspace_state(key=2, id_="wksp_b"))

    shown = {row.workspace_id: row for row in snapshot(moved, workspaces=others).workspaces}

    assert shown["wksp_a"].month_to_date_operations == 150
    assert shown["wksp_b"].month_to_date_operations == 250


def test_a_counter_that_was_0_in_another_workspace_says_of_none_since_when_it_counts() -> None:
    moved = state(moves=(Move(at=NOW, from_key=2, to_key=1, last_there_at=NOW - timedelta(hours=1)),))

    assert [view.counting_since_at is None for view in snapshot(moved).databases] == [True]
    assert [view.counting_since_at is None for view in snapshot(state()).databases] == [False]


def test_the_months_mean_storage_takes_a_database_for_as_long_as_it_existed() -> None:
    elapsed = int((NOW - datetime(2026, 11, 1, tzinfo=UTC)).total_seconds())
    half_covered = state(months=(month(date(2026, 11, 1), 1, seconds=elapsed // 2),))

    (shown,) = snapshot(half_covered).workspaces

    assert shown.month_average_storage_bytes == 100


def test_a_workspace_without_databases_used_nothing_and_one_that_was_not_read_yet_is_not_known() -> None:
    (empty,) = snapshot().workspaces
    (unread,) = snapshot(state(months=(), recent_days=(), last_success_at=None)).workspaces

    assert (empty.month_to_date_operations, empty.month_average_storage_bytes) == (0, 0)
    assert (unread.month_to_date_operations, unread.month_average_storage_bytes) == (None, None)


def test_a_workspace_is_up_down_or_not_tried_yet() -> None:
    def is_up(failures: Mapping[str, str | None]) -> bool | None:
        return snapshot(state(), failures=failures).workspaces[0].is_up

    assert [is_up({}), is_up({"wksp_a": None}), is_up({"wksp_a": "http_401"})] == [None, True, False]


@pytest.mark.parametrize("said", [None, False, True])
def test_a_workspace_is_blocked_where_its_subscription_says_so_or_a_reading_or_listing_is_refused_for_that(
    said: bool | None,
) -> None:
    """Pages said "blocked" where the metric and JSON said 0 until the subscription was read, up to an hour later."""

    def is_blocked(of: DatabaseState, **failures: str | None) -> bool | None:
        held = workspace_state(workspace=Workspace(id="wksp_a", name="a", usage_blocked=said))
        (shown,) = snapshot(of, workspaces=(held,), failures=failures).workspaces
        return shown.is_usage_blocked

    refused = state(failing_since_at=NOW, failure_reason="plan_limit_reached")
    assert is_blocked(refused) is True
    assert is_blocked(state(), wksp_a="plan_limit_reached") is True
    assert is_blocked(replace(refused, deleted_at=NOW)) is said
    assert is_blocked(state(failing_since_at=NOW, failure_reason="http_403"), wksp_a="http_403") is said
    assert is_blocked(state()) is said
    # One that is not followed any more keeps its last refusal; others are read since.
    held = workspace_state(workspace=Workspace(id="wksp_a", name="a", usage_blocked=said))
    for read_at, is_refused in ((NOW - timedelta(minutes=1), True), (NOW + timedelta(minutes=1), False)):
        (shown,) = snapshot(refused, state("db_2", key=2, last_success_at=read_at), workspaces=(held,)).workspaces
        assert shown.is_usage_blocked is (True if is_refused else said)


def test_a_workspace_that_is_gone_is_not_shown() -> None:
    assert snapshot(workspaces=(workspace_state(gone_at=NOW),)).workspaces == ()
