"""What is held in memory is what the store holds, value by value, whatever was read and whenever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lived_store import BEGINS_AT, ENDS_AT, carry, due_windows, live, live_discovery, live_reads
from store_values import DAY, FreshUrl, database, discovered

from longer import examples
from prisma_postgres_exporter.model import (
    DatabaseState,
    Discovered,
    LedgerState,
    Window,
    WindowKind,
    WorkspaceState,
    day_start,
)
from prisma_postgres_exporter.store import Store

STEPS = (timedelta(minutes=5), timedelta(hours=1), timedelta(hours=9), DAY, 3 * DAY, 20 * DAY, 45 * DAY)


@pytest.fixture
def lived(lived_url: str) -> Iterator[Store]:
    with closing(Store.open_to_read(lived_url)) as store:
        yield store


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ids=st.lists(st.sampled_from(["wksp_1", "wksp_2", "wksp_9", "db_1", ""])),
    now=st.datetimes(datetime(2026, 10, 1), datetime(2027, 3, 1)),  # noqa: DTZ001
)
def test_loading_some_workspaces_is_loading_all_and_leaving_out_the_others(
    lived: Store, ids: list[str], now: datetime
) -> None:
    at = now.replace(tzinfo=ENDS_AT.tzinfo)
    everything = lived.load(at).workspaces
    some = lived.load_workspaces(ids, at)
    assert some == {id_: workspace for id_, workspace in everything.items() if id_ in ids}
    assert list(some) == [id_ for id_ in everything if id_ in ids]


def test_a_month_of_rounds_leaves_in_memory_what_the_store_holds(store: Store) -> None:
    rounds = 0

    def compare(ledger_state: LedgerState, now: datetime) -> None:
        nonlocal rounds
        rounds += 1
        assert store.load(now) == ledger_state

    live(store, compare)
    assert rounds > 100


@examples(few=6, many=20)
def test_whatever_was_read_memory_holds_what_the_store_does(fresh_url: FreshUrl, examples: int) -> None:
    @settings(max_examples=examples)
    @given(chance=st.randoms(use_true_random=False))
    def holds(chance: Random) -> None:
        with fresh_url() as url, closing(Store.open(url)) as store:
            live_by_chance(store, chance)

    holds()


def live_by_chance(store: Store, chance: Random) -> None:
    """Compare memory and store after each of some rounds, a chance apart."""
    now = BEGINS_AT
    held = live_discovery(store, LedgerState(), discovered(3, workspaces=2, at=now))
    for _ in range(chance.randint(4, 16)):
        now += chance.choice(STEPS)
        # A round that goes on over midnight lets go of nothing until the next one begins.
        held = carry(held, now) if chance.random() < 0.8 else held
        if held.databases and chance.random() < 0.3:
            held = live_discovery(store, held, random_discovery(chance, held, now))
        for workspace in held.workspaces.values():
            windows = due_windows(workspace, now, budget=chance.choice([1, 5, 30, 300]))
            windows += random_days(chance, workspace, now)
            failed = {number for number in range(len(windows)) if chance.random() < 0.2}
            held = held.with_workspaces(live_reads(store, workspace, windows, now, failed=failed))
        assert store.load(now) == carry(held, now)


def random_days(chance: Random, workspace: WorkspaceState, now: datetime) -> list[tuple[DatabaseState, Window]]:
    """Days that somebody wants to be read, due or not, as a backfill does."""
    states = [state for state in workspace.databases.values() if state.deleted_at is None]
    if not states or chance.random() < 0.5:
        return []
    days = (day_start(now.date() - chance.randint(1, 120) * DAY) for _ in range(chance.randint(1, 6)))
    return [
        (chance.choice(states), Window(kind=WindowKind.DAY, name="day", start_at=starts_at, end_at=starts_at + DAY))
        for starts_at in days
    ]


def random_discovery(chance: Random, held: LedgerState, now: datetime) -> Discovered:
    """A database is deleted, made, or found in a workspace: it moved there, returned, or stayed."""
    state = chance.choice(list(held.databases.values()))
    if chance.random() < 0.3:
        return Discovered(at=now, deleted_database_ids=(state.database.id,))
    workspace = chance.choice([1, 2])
    if chance.random() < 0.3:
        made = database(chance.randint(4, 8), workspace=workspace, created_at=now - chance.randint(0, 90) * DAY)
        if made.id not in held.databases:
            return Discovered(at=now, databases=(made,))
    return Discovered(at=now, databases=(replace(state.database, workspace_id=f"wksp_{workspace}"),))
