"""Each workspace is written for itself; what concerns two takes both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest
from store_values import (
    DAY,
    NOW,
    database,
    discover,
    discovered,
    generations,
    known,
    other_program,
    post,
    reading,
    rolling_usage,
    rows_of,
    settled_day,
    update_of,
)

from prisma_postgres_exporter.errors import StoreChanged, StoreUnavailable
from prisma_postgres_exporter.model import Discovered, Event, EventKind, LedgerState, LedgerUpdate, Workspace
from prisma_postgres_exporter.store import Store, postgres
from prisma_postgres_exporter.store.rows import day_row
from prisma_postgres_exporter.store.tables import days, metadata

WRITERS = 6


@pytest.fixture
def other(store: Store, store_url: str) -> Iterator[Store]:
    """The same store, opened by another process."""
    with closing(Store.open(store_url)) as opened:
        yield opened


def two(store: Store) -> LedgerState:
    """Let the store discover two workspaces, `db_1` in the first and `db_2` in the second."""
    found = discovered(1, workspaces=2)
    return discover(store, replace(found, databases=(*found.databases, database(2, workspace=2))))


def test_a_write_to_one_workspace_leaves_the_writers_of_others_alone(store: Store, other: Store) -> None:
    two(store)
    held = other.load(NOW)
    post(store, update_of(held.databases["db_2"], operations_total=7), workspace_id="wksp_2")
    discover(store, Discovered(at=NOW, databases=(database(3, workspace=2),)))
    discover(store, Discovered(at=NOW, workspaces=(Workspace(id="wksp_3", name="workspace 3"),)))
    discover(store, Discovered(at=NOW, gone_workspace_ids=("wksp_3",)))

    changed = update_of(held.databases["db_1"], operations_total=5)
    assert other.record(changed, workspace_id="wksp_1", generation=1, at=NOW) == 2
    renamed = Discovered(at=NOW, workspaces=(Workspace(id="wksp_1", name="renamed"),))
    other.record_discovery(renamed, generations={"wksp_1": 2})

    after = store.load(NOW)
    assert generations(after) == {"wksp_1": 3, "wksp_2": 3, "wksp_3": 2}
    assert {id_: state.operations_total for id_, state in after.databases.items()} == {"db_1": 5, "db_2": 7, "db_3": 0}


def test_a_write_of_an_unknown_workspace_is_refused(store: Store) -> None:
    known(store)
    with pytest.raises(StoreChanged, match=r"workspace wksp_9 .* generation None, not 1"):
        store.record(LedgerUpdate(readings=(reading(),)), workspace_id="wksp_9", generation=1, at=NOW)


def test_a_database_that_moves_changes_both_workspaces(store: Store) -> None:
    before = two(store)
    after = discover(store, Discovered(at=NOW, databases=(database(1, workspace=2),)))
    assert generations(after) == {"wksp_1": 2, "wksp_2": 2}
    assert [list(workspace.databases) for workspace in after.workspaces.values()] == [[], ["db_1", "db_2"]]
    gone = update_of(before.databases["db_1"], operations_total=5)
    with pytest.raises(StoreChanged, match="wksp_1"):
        store.record(gone, workspace_id="wksp_1", generation=1, at=NOW)


def test_a_database_that_moves_changes_the_workspace_that_somebody_else_found_it_in(store: Store, other: Store) -> None:
    known(store, databases=0, workspaces=2)
    found = discover(other, Discovered(at=NOW, databases=(database(),))).databases["db_1"]

    store.record_discovery(Discovered(at=NOW, databases=(database(workspace=2),)), generations={"wksp_2": 1})
    assert generations(store.load(NOW)) == {"wksp_1": 3, "wksp_2": 2}
    with pytest.raises(StoreChanged, match=r"workspace wksp_1 .* generation 3, not 2"):
        other.record(update_of(found, operations_total=5), workspace_id="wksp_1", generation=2, at=NOW)


@pytest.mark.parametrize("stale", ["wksp_1", "wksp_2"])
def test_a_move_on_an_older_generation_of_either_workspace_is_refused_and_writes_nothing(
    store: Store, store_url: str, stale: str
) -> None:
    loaded = generations(two(store))
    post(store, LedgerUpdate(readings=(reading(2 if stale == "wksp_2" else 1),)), workspace_id=stale)
    written = rows(store_url)
    moved = Event(at=NOW, kind=EventKind.MOVED, subject="database", subject_id="db_1", workspace_id="wksp_2")
    found = Discovered(
        at=NOW + DAY,
        workspaces=(Workspace(id="wksp_2", name="renamed"),),
        databases=(database(1, workspace=2),),
        events=(moved,),
    )
    with pytest.raises(StoreChanged, match=rf"workspace {stale} .* generation 2, not 1"):
        store.record_discovery(found, generations=loaded)
    assert rows(store_url) == written


@pytest.mark.slow
def test_a_new_workspace_that_somebody_else_discovered_is_refused(store: Store, other: Store, store_url: str) -> None:
    known(store)
    written = rows(store_url)
    with pytest.raises(StoreChanged, match=r"workspace wksp_1 .* generation 1, not None"):
        other.record_discovery(discovered(2), generations={})
    assert rows(store_url) == written


def test_workspaces_discovered_at_once_get_keys_of_their_own(store: Store, store_url: str) -> None:
    def find(number: int) -> Callable[[Store], object]:
        new, placed = Workspace(id=f"wksp_{number}", name="new"), database(number, workspace=number)
        found = Discovered(at=NOW, workspaces=(new,), databases=(placed,))
        return lambda other: other.record_discovery(found, generations={})

    at_once(store_url, [find(number) for number in range(1, WRITERS + 1)])
    after = store.load(NOW)
    numbers = set(range(1, WRITERS + 1))
    assert {workspace.key for workspace in after.workspaces.values()} == numbers
    assert {state.key for state in after.databases.values()} == numbers
    for workspace in after.workspaces.values():
        [state] = workspace.databases.values()
        assert state.database.workspace_id == workspace.workspace.id
    assert set(generations(after).values()) == {1}


def test_of_those_who_discover_the_same_workspace_at_once_one_writes(store: Store, store_url: str) -> None:
    failures: list[StoreChanged] = []

    def try_to_discover(other: Store) -> None:
        try:
            other.record_discovery(discovered(3), generations={})
        except StoreChanged as exc:
            failures.append(exc)

    at_once(store_url, [try_to_discover] * WRITERS)
    assert len(failures) == WRITERS - 1
    after = store.load(NOW)
    assert generations(after) == {"wksp_1": 1}
    assert list(after.databases) == ["db_1", "db_2", "db_3"]


def test_windows_seen_at_once_get_keys_of_their_own(store: Store, store_url: str) -> None:
    names = [f"{number}h" for number in range(1, WRITERS + 1)]
    found = discovered(0, workspaces=WRITERS)
    placed = tuple(database(number, workspace=number) for number in range(1, WRITERS + 1))
    states = discover(store, replace(found, databases=placed)).databases

    def see(number: int) -> Callable[[Store], object]:
        update = update_of(states[f"db_{number}"], rolling=(rolling_usage(names[number - 1]),))
        return lambda other: other.record(update, workspace_id=f"wksp_{number}", generation=1, at=NOW)

    at_once(store_url, [see(number) for number in range(1, WRITERS + 1)])
    after = store.load(NOW).databases.values()
    assert [[usage.window_name for usage in state.rolling] for state in after] == [[name] for name in names]


def test_databases_that_move_both_ways_at_once_keep_nobody_waiting_for_ever(store: Store, store_url: str) -> None:
    two(store)

    def move(other: Store, number: int, workspace: int) -> None:
        while True:
            held = other.load(NOW)
            try:
                moved = Discovered(at=NOW, databases=(database(number, workspace=workspace),))
                other.record_discovery(moved, generations=generations(held))
            except StoreChanged:
                continue
            return

    at_once(store_url, [lambda other: move(other, 1, 2), lambda other: move(other, 2, 1)])
    after = store.load(NOW)
    assert {id_: state.database.workspace_id for id_, state in after.databases.items()} == {
        "db_1": "wksp_2",
        "db_2": "wksp_1",
    }
    assert generations(after) == {"wksp_1": 3, "wksp_2": 3}


def test_who_writes_one_workspace_on_a_server_keeps_only_its_other_writers_waiting(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", "50ms")
    with closing(Store.open(postgres_url)) as store:
        state = two(store)
        one, moved = state.databases["db_1"], Discovered(at=NOW, databases=(database(2, workspace=1),))
        with other_program(postgres_url) as connection:
            postgres.lock_workspaces(connection, ["wksp_1"])
            # Of the other workspace: days, a new window, a new week of readings, a new database.
            update = update_of(state.databases["db_2"], recent_days=(settled_day(2),), rolling=(rolling_usage(),))
            post(store, replace(update, readings=(reading(2),)), workspace_id="wksp_2")
            discover(store, Discovered(at=NOW, databases=(database(3, workspace=2),)))
            store.ping()
            assert store.load_workspaces(["wksp_1"], NOW) == {"wksp_1": state.workspaces["wksp_1"]}
            writes: tuple[Callable[[], object], ...] = (
                lambda: post(store, update_of(one, operations_total=5)),
                lambda: discover(store, Discovered(at=NOW, deleted_database_ids=("db_1",))),
                lambda: discover(store, moved),
            )
            for write in writes:
                with pytest.raises(StoreUnavailable, match="another process is writing for too long"):
                    write()
        after = store.load(NOW)
        assert generations(after) == {"wksp_1": 1, "wksp_2": 3}
        assert after.workspaces["wksp_1"] == state.workspaces["wksp_1"]
        discover(store, moved)
        assert list(post(store, update_of(one, operations_total=5)).workspaces["wksp_1"].databases) == ["db_1", "db_2"]


def test_who_gives_out_keys_on_a_server_keeps_only_others_who_do_waiting(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", "50ms")
    with closing(Store.open(postgres_url)) as store:
        two(store)
        post(store, LedgerUpdate(readings=(reading(),)))
        with other_program(postgres_url) as connection:
            postgres.lock_keys(connection)
            post(store, LedgerUpdate(readings=(reading(2),)), workspace_id="wksp_2")
            discover(store, Discovered(at=NOW, deleted_database_ids=("db_1",)))
            writes: tuple[Callable[[], object], ...] = (
                lambda: post(store, LedgerUpdate(readings=(reading(window="new"),))),
                lambda: discover(store, Discovered(at=NOW, databases=(database(3),))),
                store.ping,
            )
            for write in writes:
                with pytest.raises(StoreUnavailable, match="another process is writing for too long"):
                    write()
        assert generations(store.load(NOW)) == {"wksp_1": 3, "wksp_2": 2}


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Everything that a store holds."""
    return {name: rows_of(url, name) for name in metadata.tables}


def at_once(url: str, writes: list[Callable[[Store], object]]) -> None:
    """Let each write with a store of its own, all of them at once."""
    together = threading.Barrier(len(writes))
    with ExitStack() as stack, ThreadPoolExecutor(len(writes)) as threads:
        stores = [stack.enter_context(closing(Store.open(url))) for _ in writes]
        for opened in stores:
            opened.load(NOW)

        def run(write: Callable[[Store], object], opened: Store) -> None:
            together.wait()
            write(opened)

        for written in [threads.submit(run, *pair) for pair in zip(writes, stores, strict=True)]:
            written.result()


def test_two_writers_of_databases_that_moved_both_ways_do_not_wait_for_each_other(postgres_url: str) -> None:
    """Each writes a day that its database was in the other's workspace: the row refers to it, and locks nobody out."""
    with closing(Store.open(postgres_url)) as store:
        held = two(store)
        with other_program(postgres_url) as first, other_program(postgres_url) as second:
            postgres.lock_workspaces(first, ["wksp_1"])
            postgres.lock_workspaces(second, ["wksp_2"])
            for connection, own, other in ((first, 1, 2), (second, 2, 1)):
                day = settled_day(held.databases[f"db_{own}"].key, workspace_key=other)
                postgres.upsert(connection, days, [day_row(day)])
        assert {row.workspace_key for row in store.days("db_1")} == {2}
        assert {row.workspace_key for row in store.days("db_2")} == {1}
