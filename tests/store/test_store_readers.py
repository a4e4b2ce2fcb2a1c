from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

import pytest
from store_values import (
    DAY,
    NOW,
    TODAY,
    database,
    day_usage,
    discover,
    discovered,
    execute,
    generations,
    known,
    post,
    query,
    update_of,
)

from prisma_postgres_exporter.errors import StoreMissing, StoreUnavailable
from prisma_postgres_exporter.model import (
    DayUsage,
    Discovered,
    Event,
    EventKind,
    Happened,
    LedgerUpdate,
    Revision,
)
from prisma_postgres_exporter.store import Store

NOVEMBER = date(2026, 11, 1)


def revision(key: int, day: date, hours: int = 1) -> Revision:
    return Revision(
        database_key=key,
        day=day,
        revised_at=NOW + timedelta(hours=hours),
        operations_before=10,
        operations_after=12,
    )


def days_of(revisions: Iterable[Revision]) -> tuple[DayUsage, ...]:
    """The days that these are revisions of."""
    return tuple(day_usage(row.database_key, row.day) for row in revisions)


def test_revisions_are_read_by_day_database_and_time(store: Store) -> None:
    known(store, databases=3)
    kept = [revision(key, TODAY - back * DAY, hours) for back in (700, 2, 1) for key in (1, 3) for hours in (1, 30, 31)]
    post(store, LedgerUpdate(other_days=days_of(kept), revisions=tuple(reversed(kept))))
    assert list(store.revisions()) == kept
    assert list(store.revisions(None, TODAY - 2 * DAY, TODAY - 2 * DAY)) == [
        row for row in kept if row.day == TODAY - 2 * DAY
    ]
    assert list(store.revisions("db_3")) == [row for row in kept if row.database_key == 3]
    assert list(store.revisions("db_3", TODAY - 2 * DAY)) == [
        row for row in kept if row.database_key == 3 and row.day >= TODAY - 2 * DAY
    ]
    assert list(store.revisions("db_2")) == list(store.revisions("db_9")) == []


def test_revisions_of_an_empty_store_are_none(store: Store) -> None:
    assert list(store.revisions()) == list(store.revisions("db_1")) == []


def test_databases_are_all_that_ever_were(store: Store) -> None:
    known(store, databases=2)
    later = NOW + 400 * DAY
    discover(store, Discovered(at=NOW, deleted_database_ids=("db_2",)))
    assert list(store.load(later).databases) == ["db_1"]
    first, deleted = store.databases()
    assert (first.key, first.database, first.counted_from, first.deleted_at) == (1, database(1), TODAY, None)
    assert (deleted.key, deleted.database, deleted.first_seen_at, deleted.deleted_at) == (2, database(2), NOW, NOW)


def test_events_of_one_subject_are_its_own(store: Store) -> None:
    kept = [
        Event(
            at=NOW + minutes * timedelta(minutes=1),
            kind=EventKind.RENAMED,
            subject="database",
            subject_id=id_,
            workspace_id="wksp_1",
            before="a",
            after="b",
        )
        for minutes in (1, 2, 3)
        for id_ in ("db_1", "db_2")
    ]
    store.record_discovery(Discovered(at=NOW, events=tuple(kept)), generations={})
    assert list(store.events()) == kept
    assert list(store.events(subject_id="db_2")) == [event for event in kept if event.subject_id == "db_2"]
    assert list(store.events(NOW + timedelta(minutes=2), NOW + timedelta(minutes=3), subject_id="db_2")) == [kept[3]]


def test_readers_see_one_moment_while_others_write(store: Store) -> None:
    known(store, databases=3)
    kept = [revision(key, TODAY - back * DAY) for back in range(900, 0, -1) for key in (1, 2, 3)]
    revised = LedgerUpdate(other_days=days_of(kept), revisions=tuple(kept))
    post(store, revised)
    reading = store.revisions()
    first = list(islice(reading, 5))
    newer = (revision(1, TODAY),)
    post(store, LedgerUpdate(other_days=days_of(newer), revisions=newer))
    assert first + list(reading) == kept


def test_a_store_opened_to_read_reads_and_changes_nothing(store: Store, store_url: str) -> None:
    ledger_state = known(store)
    reader = Store.open_to_read(store_url)
    assert reader.load(NOW) == ledger_state
    with pytest.raises(StoreUnavailable):
        post(reader, update_of(ledger_state.databases["db_1"], operations_total=1))
    with pytest.raises(StoreUnavailable):
        reader.record_discovery(discovered(2), generations=generations(ledger_state))
    after = post(store, update_of(ledger_state.databases["db_1"], recent_days=(day_usage(),)))
    assert reader.load(NOW) == after
    reader.close()


def test_a_store_that_is_not_there_is_not_made_by_reading(store_url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match=r"no store at .* yet: `serve`"):
        Store.open_to_read(store_url)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(StoreMissing):
        Store.open_to_read(f"sqlite:///{path}")
    assert path.stat().st_size == 0


def test_an_older_store_is_not_migrated_by_reading(store: Store, store_url: str) -> None:
    execute(store_url, "UPDATE store_version SET version_num = '0000'")
    with pytest.raises(StoreUnavailable, match=r"run `serve` or `collect` of this version once"):
        Store.open_to_read(store_url)
    assert query(store_url, "SELECT version_num FROM store_version") == [("0000",)]


def test_the_newest_of_a_workspace_a_project_and_a_database_are_its_own(store: Store) -> None:
    """Two databases in one workspace and a third in another: each place has what happened in it, newest first."""
    known(store, databases=2, workspaces=2)
    discover(store, Discovered(at=NOW, databases=(database(3, workspace=2),)))
    told = [revision(key, TODAY, hours) for hours, key in enumerate((1, 2, 1, 3))]
    old = revision(1, TODAY - 90 * DAY, hours=9)
    days = tuple(day_usage(row.database_key, row.day) for row in (*told, old))
    post(store, LedgerUpdate(other_days=(*days[:2], days[4]), revisions=(*told[:3], old)))
    post(store, LedgerUpdate(other_days=days[3:4], revisions=tuple(told[3:])), workspace_id="wksp_2")
    moved = Event(
        at=NOW + DAY,
        kind=EventKind.RENAMED,
        subject="database",
        subject_id="db_2",
        workspace_id="wksp_1",
        before="old",
        after="database 2",
    )
    of_project = replace(moved, at=NOW + 2 * DAY, subject="project", subject_id="proj_1")
    elsewhere = replace(moved, subject_id="db_3", workspace_id="wksp_2")
    store.record_discovery(Discovered(at=NOW, events=(moved, of_project, elsewhere)), generations={})
    since = TODAY - 30 * DAY

    of_workspace = store.newest(workspace_id="wksp_1", from_day=since, most=9)
    assert of_workspace.revisions == (("db_1", told[2]), ("db_2", told[1]), ("db_1", told[0]))
    assert of_workspace.events == (of_project, moved)
    assert of_workspace.names == {
        "db_1": "database 1",
        "db_2": "database 2",
        "proj_1": "project 1",
    }
    assert store.newest(project_id="proj_1", from_day=since, most=9) == of_workspace
    assert store.newest(project_id="proj_2", from_day=since, most=9).events == (elsewhere,)
    of_database = store.newest(database_id="db_2", from_day=since, most=9)
    assert (of_database.revisions, of_database.events) == ((("db_2", told[1]),), (moved,))
    cut = store.newest(workspace_id="wksp_1", from_day=since, most=1)
    assert (cut.revisions, cut.events) == ((("db_1", told[2]),), (of_project,))
    assert store.newest(workspace_id="wksp_9", from_day=since, most=9) == Happened()
