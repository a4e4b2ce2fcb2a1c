from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from store_values import (
    DAY,
    NOW,
    TODAY,
    database,
    discover,
    discovered,
    generations,
    known,
    month_usage,
    post,
    settled_day,
    update_of,
)

from prisma_postgres_exporter.errors import StoreChanged
from prisma_postgres_exporter.model import Discovered, Event, EventKind, PlanChange, Workspace
from prisma_postgres_exporter.store import Store


def test_what_is_discovered_is_loaded_with_small_keys(store: Store) -> None:
    ledger_state = known(store, databases=3, workspaces=2)
    assert generations(ledger_state) == {"wksp_1": 1, "wksp_2": 1}
    assert [state.key for state in ledger_state.databases.values()] == [1, 2, 3]
    assert [workspace.key for workspace in ledger_state.workspaces.values()] == [1, 2]
    assert ledger_state.databases["db_2"].database == database(2)
    assert ledger_state.databases["db_2"].first_seen_at == NOW
    assert ledger_state.workspaces["wksp_2"].workspace == Workspace(id="wksp_2", name="workspace 2")


def test_a_discovery_written_again_changes_nothing_but_the_generation(store: Store) -> None:
    before = known(store, databases=2).workspaces["wksp_1"]
    after = known(store, databases=2).workspaces["wksp_1"]
    assert after == replace(before, generation=before.generation + 1)


def test_a_discovery_of_another_generation_is_refused(store: Store) -> None:
    known(store)
    with pytest.raises(StoreChanged, match=r"wksp_1 .* generation 1, not 0"):
        store.record_discovery(discovered(2), generations={"wksp_1": 0})
    assert list(store.load(NOW).databases) == ["db_1"]


def test_a_database_that_was_there_before_us_counts_from_today_and_its_ledger_from_the_first(store: Store) -> None:
    state = known(store).databases["db_1"]
    assert state.counted_from == TODAY
    assert state.known_until == date(2026, 10, 31)


@pytest.mark.parametrize(
    ("created_at", "seen_at", "counted_from", "known_until"),
    [
        pytest.param(NOW + 1 * DAY, NOW + 3 * DAY, TODAY + DAY, TODAY, id="this month"),
        pytest.param(NOW + 1 * DAY, NOW + 20 * DAY, TODAY + DAY, TODAY, id="last month, noticed late"),
        pytest.param(NOW - 1 * DAY, NOW + 3 * DAY, TODAY + 3 * DAY, TODAY - 2 * DAY, id="before us, shown late"),
        pytest.param(NOW + 9 * DAY, NOW + 3 * DAY, TODAY + 3 * DAY, TODAY + 2 * DAY, id="by a clock ahead of ours"),
    ],
)
def test_a_database_made_after_its_workspace_was_followed_counts_from_its_first_day(
    store: Store, created_at: datetime, seen_at: datetime, counted_from: date, known_until: date
) -> None:
    known(store)
    made = database(2, created_at=created_at)
    state = discover(store, Discovered(at=seen_at, databases=(made,))).databases["db_2"]
    assert (state.counted_from, state.known_until) == (counted_from, known_until)


def test_a_renamed_database_keeps_its_key_and_its_beginning(store: Store) -> None:
    before = known(store).databases["db_1"]
    renamed = replace(database(), name="new 'name' \\ \n 😀" * 700)
    discover(store, Discovered(at=NOW + DAY, databases=(renamed,)))
    assert store.load(NOW).databases["db_1"] == replace(before, database=renamed)


def test_a_moved_database_keeps_its_history_and_the_days_their_workspace(store: Store) -> None:
    ledger_state = known(store, workspaces=2)
    days = (settled_day(operations=5),)
    ledger_state = post(store, update_of(ledger_state.databases["db_1"], operations_total=5, recent_days=days))
    moved = database(workspace=2)
    moved_state = discover(store, Discovered(at=NOW, databases=(moved,)))
    after = moved_state.databases["db_1"]
    assert [list(workspace.databases) for workspace in moved_state.workspaces.values()] == [[], ["db_1"]]
    assert after == replace(ledger_state.databases["db_1"], database=moved, workspace_key=2)
    assert [day.workspace_key for day in after.recent_days] == [1]


def test_a_deleted_database_leaves_the_state_when_its_last_month_is_in_no_bill_any_more(store: Store) -> None:
    # Nobody read the second one: what it used is missing in the same bills.
    ledger_state = known(store, databases=2)
    post(
        store,
        update_of(ledger_state.databases["db_1"], months=(month_usage(operations=9, read_at=NOW, period_end_at=NOW),)),
    )
    gone = Discovered(at=NOW + timedelta(hours=1), deleted_database_ids=("db_1", "db_2"))
    discover(store, gone)

    billed = store.load(NOW).databases
    assert list(billed) == ["db_1", "db_2"]
    assert billed["db_1"].deleted_at == NOW + timedelta(hours=1)
    assert list(store.load(datetime(2026, 12, 31, tzinfo=UTC)).databases) == ["db_1", "db_2"]
    assert list(store.load(datetime(2027, 1, 1, tzinfo=UTC)).databases) == []


def test_deleting_again_keeps_the_first_instant(store: Store) -> None:
    ledger_state = known(store)
    post(store, update_of(ledger_state.databases["db_1"], months=(month_usage(),)))
    for at in (NOW, NOW + DAY):
        discover(store, Discovered(at=at, deleted_database_ids=("db_1",)))
    assert store.load(NOW).databases["db_1"].deleted_at == NOW


def test_a_database_that_returns_goes_on_where_it_was(store: Store) -> None:
    ledger_state = known(store)
    ledger_state = post(store, update_of(ledger_state.databases["db_1"], operations_total=77))
    discover(store, Discovered(at=NOW, deleted_database_ids=("db_1",)))
    assert store.load(NOW + 99 * DAY).databases == {}
    discover(store, Discovered(at=NOW + 9 * DAY, databases=(database(),)))
    assert store.load(NOW).databases == ledger_state.databases


def test_a_workspace_goes_and_returns(store: Store) -> None:
    ledger_state = known(store, workspaces=2)
    without = discover(store, Discovered(at=NOW, gone_workspace_ids=("wksp_2",)))
    assert [workspace.is_gone for workspace in without.workspaces.values()] == [False, True]
    subscribed = Workspace(id="wksp_2", name="other", plan="Pro", usage_blocked=False)
    returned = discover(store, Discovered(at=NOW + DAY, workspaces=(subscribed,))).workspaces["wksp_2"]
    since_then = (PlanChange(at=NOW + DAY, plan="Pro"),)
    before = ledger_state.workspaces["wksp_2"]
    assert returned == replace(before, workspace=subscribed, plans=since_then, generation=3)


def test_a_workspaces_plans_are_kept_with_the_time_they_were_seen(store: Store) -> None:
    known(store)
    for after, plan in ((1, "Free"), (2, "Free"), (3, "Pro")):
        seen = Workspace(id="wksp_1", name="workspace 1", plan=plan)
        discover(store, Discovered(at=NOW + after * DAY, workspaces=(seen,)))

    assert store.load(NOW).workspaces["wksp_1"].plans == (
        PlanChange(at=NOW + DAY, plan="Free"),
        PlanChange(at=NOW + 3 * DAY, plan="Pro"),
    )


def test_events_come_back_oldest_first_with_workspaces_before_databases(store: Store) -> None:
    created = Event(
        at=NOW, kind=EventKind.CREATED, subject="database", subject_id="db_1", workspace_id="wksp_1", after="a"
    )
    workspace = replace(created, subject="workspace", subject_id="wksp_1")
    renamed = replace(created, at=NOW + DAY, kind=EventKind.RENAMED, before="a", after="b")
    for events in ((renamed, created), (workspace, created)):
        store.record_discovery(Discovered(at=NOW, events=events), generations={})
    assert list(store.events()) == [workspace, created, renamed]
    assert list(store.events(from_at=NOW + DAY)) == [renamed]
    assert list(store.events(to_at=NOW + DAY)) == [workspace, created]
