from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from store_values import DAY, NOW, TODAY, database, discovered, known, month_usage, post, posting_of, settled_day

from prisma_postgres_exporter.errors import StoreChanged
from prisma_postgres_exporter.model import Discovered, Event, EventKind, PlanChange, Workspace
from prisma_postgres_exporter.store import Store


def test_what_is_discovered_is_loaded_with_small_keys(store: Store) -> None:
    book = known(store, databases=3, workspaces=2)
    assert book.generation == 1
    assert [position.key for position in book.positions.values()] == [1, 2, 3]
    assert [workspace.key for workspace in book.workspaces.values()] == [1, 2]
    assert book.positions["db_2"].database == database(2)
    assert book.positions["db_2"].first_seen_at == NOW
    assert book.workspaces["wksp_2"].workspace == Workspace(id="wksp_2", name="workspace 2")


def test_a_discovery_written_again_changes_nothing_but_the_generation(store: Store) -> None:
    book = known(store, databases=2)
    assert replace(known(store, databases=2), generation=book.generation) == book


def test_a_discovery_of_another_generation_is_refused(store: Store) -> None:
    known(store)
    with pytest.raises(StoreChanged, match="generation 1, not 0"):
        store.record_discovery(discovered(2), generation=0)
    assert list(store.load(NOW).positions) == ["db_1"]


def test_a_database_that_was_there_before_us_counts_from_today_and_its_ledger_from_the_first(store: Store) -> None:
    position = known(store).positions["db_1"]
    assert position.counted_from == TODAY
    assert position.known_until == date(2026, 10, 31)


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
    store.record_discovery(Discovered(at=seen_at, databases=(made,)), generation=1)
    position = store.load(seen_at).positions["db_2"]
    assert (position.counted_from, position.known_until) == (counted_from, known_until)


def test_a_renamed_database_keeps_its_key_and_its_beginning(store: Store) -> None:
    before = known(store).positions["db_1"]
    renamed = replace(database(), name="new 'name' \\ \n 😀" * 700)
    store.record_discovery(Discovered(at=NOW + DAY, databases=(renamed,)), generation=1)
    assert store.load(NOW).positions["db_1"] == replace(before, database=renamed)


def test_a_moved_database_keeps_its_history_and_the_days_their_workspace(store: Store) -> None:
    book = known(store, workspaces=2)
    days = (settled_day(operations=5),)
    book = post(store, posting_of(book.positions["db_1"], operations_total=5, recent_days=days))
    moved = database(workspace=2)
    store.record_discovery(Discovered(at=NOW, databases=(moved,)), generation=book.generation)
    after = store.load(NOW).positions["db_1"]
    assert after == replace(book.positions["db_1"], database=moved, workspace_key=2)
    assert [day.workspace_key for day in after.recent_days] == [1]


def test_a_deleted_database_leaves_the_book_unless_its_usage_is_still_billed(store: Store) -> None:
    book = known(store, databases=2)
    book = post(store, posting_of(book.positions["db_1"], months=(month_usage(operations=9),)))
    gone = Discovered(at=NOW + timedelta(hours=1), deleted_database_ids=("db_1", "db_2"))
    store.record_discovery(gone, generation=book.generation)

    billed = store.load(NOW).positions
    assert list(billed) == ["db_1"]
    assert billed["db_1"].deleted_at == NOW + timedelta(hours=1)
    assert list(store.load(datetime(2026, 12, 31, tzinfo=UTC)).positions) == ["db_1"]
    assert list(store.load(datetime(2027, 1, 1, tzinfo=UTC)).positions) == []


def test_deleting_again_keeps_the_first_instant(store: Store) -> None:
    book = known(store)
    post(store, posting_of(book.positions["db_1"], months=(month_usage(),)))
    for generation, at in ((2, NOW), (3, NOW + DAY)):
        store.record_discovery(Discovered(at=at, deleted_database_ids=("db_1",)), generation=generation)
    assert store.load(NOW).positions["db_1"].deleted_at == NOW


def test_a_database_that_returns_goes_on_where_it_was(store: Store) -> None:
    book = known(store)
    book = post(store, posting_of(book.positions["db_1"], operations_total=77))
    store.record_discovery(Discovered(at=NOW, deleted_database_ids=("db_1",)), generation=2)
    assert store.load(NOW).positions == {}
    store.record_discovery(Discovered(at=NOW + 9 * DAY, databases=(database(),)), generation=3)
    assert store.load(NOW).positions == book.positions


def test_a_workspace_goes_and_returns(store: Store) -> None:
    book = known(store, workspaces=2)
    store.record_discovery(Discovered(at=NOW, gone_workspace_ids=("wksp_2",)), generation=1)
    assert [workspace.is_gone for workspace in store.load(NOW).workspaces.values()] == [False, True]
    subscribed = Workspace(id="wksp_2", name="other", plan="Pro", usage_blocked=False)
    store.record_discovery(Discovered(at=NOW + DAY, workspaces=(subscribed,)), generation=2)
    returned = store.load(NOW).workspaces["wksp_2"]
    since_then = (PlanChange(at=NOW + DAY, plan="Pro"),)
    assert returned == replace(book.workspaces["wksp_2"], workspace=subscribed, plans=since_then)


def test_a_workspaces_plans_are_kept_with_the_time_they_were_seen(store: Store) -> None:
    known(store)
    for after, plan in ((1, "Free"), (2, "Free"), (3, "Pro")):
        seen = Workspace(id="wksp_1", name="workspace 1", plan=plan)
        store.record_discovery(Discovered(at=NOW + after * DAY, workspaces=(seen,)), generation=after)

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
    store.record_discovery(Discovered(at=NOW, events=(renamed, created)), generation=0)
    store.record_discovery(Discovered(at=NOW, events=(workspace, created)), generation=1)
    assert list(store.events()) == [workspace, created, renamed]
    assert list(store.events(from_at=NOW + DAY)) == [renamed]
    assert list(store.events(to_at=NOW + DAY)) == [workspace, created]
