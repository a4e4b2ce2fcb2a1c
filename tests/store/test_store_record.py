from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from store_values import (
    DAY,
    NOW,
    TODAY,
    YESTERDAY,
    day_usage,
    known,
    month_usage,
    post,
    reading,
    rolling_usage,
    rows_of,
    settled_day,
    update_of,
)

from prisma_postgres_exporter.errors import StoreChanged
from prisma_postgres_exporter.model import DatabaseState, LedgerUpdate, Revision
from prisma_postgres_exporter.store import Store

TABLES = ("positions", "days", "months", "rolling", "readings", "revisions", "windows", "databases")


def changed(state: DatabaseState) -> DatabaseState:
    return replace(
        state,
        known_until=TODAY,
        operations_total=2**53,
        revisions_up=3,
        revisions_down=4,
        storage_bytes=2**46,
        storage_at=NOW,
        usage_at=NOW - timedelta(minutes=5),
        last_success_at=NOW,
        failing_since_at=NOW - timedelta(hours=1),
        failure_reason="http_503",
        recent_days=(settled_day(operations_high=1_000), day_usage(is_counted=False)),
        months=(
            month_usage(month=date(2026, 10, 1), storage_byte_seconds=2**46 * 31 * 86_400, storage_seconds=31 * 86_400),
            month_usage(operations=12, difference_operations=-7, period_end_at=NOW, read_at=NOW),
            month_usage(workspace_key=2),
        ),
        rolling=(rolling_usage("24h"), rolling_usage("30d", 2**53), rolling_usage("7d")),
    )


def everything(state: DatabaseState) -> LedgerUpdate:
    return LedgerUpdate(
        before=(state,),
        after=(changed(state),),
        other_days=(settled_day(day=TODAY - 40 * DAY),),
        other_months=(month_usage(month=date(2025, 1, 1)),),
        readings=(reading(), reading(window="month", operations=None)),
        revisions=(Revision(database_key=1, day=YESTERDAY, revised_at=NOW, operations_before=5, operations_after=4),),
    )


def test_what_was_recorded_is_loaded_value_by_value(store: Store) -> None:
    state = known(store, workspaces=2).databases["db_1"]
    ledger_state = post(store, everything(state))
    assert ledger_state.workspaces["wksp_1"].generation == 2
    assert ledger_state.databases == {"db_1": changed(state)}


def test_the_same_update_twice_leaves_the_same_rows(store: Store, store_url: str) -> None:
    update = everything(known(store, workspaces=2).databases["db_1"])
    post(store, update)
    once = {table: rows_of(store_url, table) for table in TABLES}
    post(store, update)
    # But for the count of its workspace's writes, the last column.
    again = {table: rows_of(store_url, table) for table in TABLES}
    positions_once, positions_again = once.pop("positions"), again.pop("positions")
    assert again == once
    assert [row[:-1] for row in positions_again] == [row[:-1] for row in positions_once] != []
    assert all(once.values())


def test_an_update_of_an_older_generation_is_refused_and_writes_nothing(store: Store, store_url: str) -> None:
    state = known(store, workspaces=2).databases["db_1"]
    with pytest.raises(StoreChanged, match=r"workspace wksp_1 .* generation 1, not 0: another process wrote"):
        store.record(everything(state), workspace_id="wksp_1", generation=0, at=NOW)
    assert rows_of(store_url, "days") == rows_of(store_url, "readings") == []
    assert store.load(NOW).databases == {"db_1": state}


def test_two_stores_that_loaded_the_same_generation_cannot_both_write(store: Store, store_url: str) -> None:
    other = Store.open(store_url)
    state = known(store).databases["db_1"]
    store.record(update_of(state, operations_total=5), workspace_id="wksp_1", generation=1, at=NOW)
    with pytest.raises(StoreChanged):
        other.record(update_of(state, operations_total=6), workspace_id="wksp_1", generation=1, at=NOW)
    assert other.load(NOW).databases["db_1"].operations_total == 5
    other.close()


def test_only_rows_that_differ_from_those_before_are_written(store: Store, store_url: str) -> None:
    state = known(store).databases["db_1"]
    kept = (settled_day(), day_usage())
    before = replace(state, recent_days=kept[:1], months=(month_usage(),), rolling=(rolling_usage(),))
    after = replace(before, operations_total=1, recent_days=kept)
    post(store, LedgerUpdate(before=(before,), after=(after,)))
    assert [row[0] for row in rows_of(store_url, "days")] == [TODAY.toordinal() - date(1970, 1, 1).toordinal()]
    assert rows_of(store_url, "months") == rows_of(store_url, "rolling") == []


def test_two_days_read_at_one_instant_are_two_readings(store: Store, store_url: str) -> None:
    known(store)
    today = reading()
    yesterday = replace(today, period_start_at=today.period_start_at - DAY, period_end_at=today.period_start_at)
    post(store, LedgerUpdate(readings=(today, yesterday, today)))
    assert len(rows_of(store_url, "readings")) == 2


def test_fractions_of_a_second_are_cut_off(store: Store) -> None:
    state = known(store).databases["db_1"]
    ledger_state = post(store, update_of(state, last_success_at=NOW + timedelta(seconds=1, microseconds=999_999)))
    assert ledger_state.databases["db_1"].last_success_at == NOW + timedelta(seconds=1)


def test_today_and_yesterday_are_recent_and_older_days_while_they_are_not_settled(store: Store) -> None:
    state = known(store).databases["db_1"]
    unsettled_long_ago = day_usage(day=TODAY - 400 * DAY)
    settled_long_ago = settled_day(day=TODAY - 2 * DAY)
    recent = (settled_day(), day_usage())
    post(store, LedgerUpdate(other_days=(unsettled_long_ago, settled_long_ago, *recent)))
    assert store.load(NOW).databases["db_1"].recent_days == (unsettled_long_ago, *recent)
    assert store.load(NOW + 9 * DAY).databases["db_1"].recent_days == (unsettled_long_ago, recent[1])
    assert store.load(NOW).databases["db_1"] == replace(state, recent_days=(unsettled_long_ago, *recent), months=())


@pytest.mark.parametrize(
    ("known_until", "unsettled", "floor"),
    [
        pytest.param(TODAY, None, date(2026, 10, 1), id="nothing missing"),
        pytest.param(date(2026, 9, 29), None, date(2026, 9, 1), id="a day of September missing"),
        pytest.param(date(2026, 9, 30), None, date(2026, 10, 1), id="all of September known"),
        pytest.param(TODAY, date(2026, 8, 31), date(2026, 8, 1), id="a day of August not settled"),
    ],
)
def test_months_reach_back_to_the_oldest_day_still_to_be_read(
    store: Store, known_until: date, unsettled: date | None, floor: date
) -> None:
    states = known(store, databases=2).databases
    months = tuple(month_usage(key, date(2026, month, 1)) for key in (1, 2) for month in range(6, 12))
    days = () if unsettled is None else (day_usage(day=unsettled),)
    late, punctual = (
        replace(states["db_1"], known_until=known_until, checked_until=known_until),
        replace(states["db_2"], known_until=TODAY),
    )
    ledger_state = post(
        store,
        LedgerUpdate(before=tuple(states.values()), after=(late, punctual), other_days=days, other_months=months),
    )
    assert ledger_state.databases["db_1"].months == tuple(
        month for month in months if month.database_key == 1 and month.month >= floor
    )
    assert [month.month.month for month in ledger_state.databases["db_2"].months] == [10, 11]


def test_january_carries_december(store: Store) -> None:
    known(store)
    months = tuple(month_usage(month=month) for month in (date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)))
    state = store.load(NOW).databases["db_1"]
    post(store, replace(update_of(state, known_until=date(2026, 12, 31)), other_months=months))
    assert store.load(datetime(2027, 1, 1, tzinfo=UTC)).databases["db_1"].months == months[1:]
