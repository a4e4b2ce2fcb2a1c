from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import BEGINS_AT, LIVELY, NOW, instants, seeds

from prisma_postgres_exporter.simulator import World, WorldShape

SMALL = WorldShape(workspaces=1, projects_per_workspace=1, databases=5)
DAY = timedelta(days=1)
QUIET_UNTIL = BEGINS_AT + timedelta(days=10)


@given(seed=seeds, cuts=st.lists(instants, min_size=2, max_size=8))
def test_spans_add_up_exactly_at_any_millisecond(seed: int, cuts: list[datetime]) -> None:
    world = World(seed=seed, shape=SMALL, begins_at=BEGINS_AT)
    cuts.sort()
    for database in world.databases(BEGINS_AT):
        parts = [world.operations(database.id, start, end) for start, end in pairwise(cuts)]
        assert min(parts) >= 0
        assert sum(parts) == world.operations(database.id, cuts[0], cuts[-1])


@given(seed=seeds, start_at=instants)
def test_a_busy_database_is_never_idle_for_a_day_and_never_absurd(seed: int, start_at: datetime) -> None:
    shape = WorldShape(
        workspaces=1, projects_per_workspace=1, databases=2, idle_share=0, operations_per_day=(9_000, 9_000)
    )
    world = World(seed=seed, shape=shape, begins_at=BEGINS_AT)
    for database in world.databases(BEGINS_AT):
        start_at = max(start_at, database.created_at)
        assert 0 < world.operations(database.id, start_at, start_at + DAY) < 9_000 * 40


def test_idle_databases_make_no_operations_and_others_follow_day_and_week() -> None:
    shape = WorldShape(workspaces=1, projects_per_workspace=1, databases=200, idle_share=0.25)
    world = World(seed=3, shape=shape, begins_at=BEGINS_AT)
    weeks = [
        [world.operations(database.id, BEGINS_AT + DAY * day, BEGINS_AT + DAY * (day + 1)) for day in range(28)]
        for database in world.databases(BEGINS_AT)
    ]
    idle = [days for days in weeks if not any(days)]
    busy = [days for days in weeks if sum(days) > 1_000]
    assert 30 <= len(idle) <= 70
    assert all(len(set(days)) > 7 for days in busy)
    hours = Counter[int]()
    for database in world.databases(BEGINS_AT):
        for hour in range(24):
            at = BEGINS_AT + timedelta(hours=hour)
            hours[hour] += world.operations(database.id, at, at + timedelta(hours=1))
    assert max(hours.values()) > 1.5 * min(hours.values())


def test_nothing_is_used_before_creation_or_after_deletion() -> None:
    world = World(seed=1, shape=SMALL, begins_at=BEGINS_AT)
    project = world.projects(NOW)[0]
    database_id = world.add_database(project.id, at=NOW, name="short")
    world.delete_database(database_id, at=NOW + DAY)
    lived = world.operations(database_id, NOW, NOW + DAY)
    assert lived == world.operations(database_id, NOW - 50 * DAY, NOW + 50 * DAY)
    assert world.storage_bytes(database_id, NOW - DAY) == world.storage_bytes(database_id, NOW + DAY) == 0
    assert world.storage_bytes(database_id, NOW) > 0
    assert world.deleted_at(database_id) == NOW + DAY


def test_the_same_seed_is_the_same_world_in_every_process() -> None:
    script = (
        "import hashlib;from datetime import *;from prisma_postgres_exporter.simulator import *;"
        "at=datetime(2026,9,1,tzinfo=timezone.utc);end=at+timedelta(days=60,hours=7,milliseconds=1);"
        "w=World(seed=5,shape=WorldShape(churn_per_day=4,awkward_share=.3),begins_at=at);"
        "print(hashlib.sha256(repr([(d,w.operations(d.id,at,end),w.storage_bytes(d.id,end))"
        " for d in w.databases(end)]).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, env={"PYTHONHASHSEED": hash_seed}
        ).stdout
        for hash_seed in ("1", "2")
    }
    end_at = BEGINS_AT + timedelta(days=60, hours=7, milliseconds=1)
    world = World(seed=5, shape=WorldShape(churn_per_day=4, awkward_share=0.3), begins_at=BEGINS_AT)
    here = [
        (database, world.operations(database.id, BEGINS_AT, end_at), world.storage_bytes(database.id, end_at))
        for database in world.databases(end_at)
    ]
    assert seen == {hashlib.sha256(repr(here).encode()).hexdigest().encode() + b"\n"}


@settings(max_examples=30)
@given(seed=seeds, order=st.permutations(range(0, 60, 12)))
def test_the_order_of_questions_changes_nothing(seed: int, order: list[int]) -> None:
    asked_in_order = World(seed=seed, shape=LIVELY, begins_at=BEGINS_AT)
    asked_at_random = World(seed=seed, shape=LIVELY, begins_at=BEGINS_AT)
    expected = {day: asked_in_order.databases(BEGINS_AT + DAY * day) for day in sorted(order)}
    assert {day: asked_at_random.databases(BEGINS_AT + DAY * day) for day in order} == expected


@settings(max_examples=30)
@given(seed=seeds)
def test_what_happens_over_time_fits_together(seed: int) -> None:
    world = World(seed=seed, shape=LIVELY, begins_at=BEGINS_AT)
    days = [BEGINS_AT + timedelta(days=day, hours=12) for day in range(60)]
    seen: dict[str, set[str]] = {}
    gone: set[str] = set()
    for at in days:
        project_ids = {project.id for project in world.projects(at)}
        there = {database.id: database for database in world.databases(at)}
        assert not gone & there.keys()
        assert all(database.project_id in project_ids for database in there.values())
        assert all(database.created_at <= at for database in there.values())
        gone |= seen.keys() - there.keys()
        for database in there.values():
            seen.setdefault(database.id, set()).add(database.workspace_id)
            assert world.database(database.id, at) == database
    assert all(world.deleted_at(database_id) is not None for database_id in gone)
    assert gone


def test_every_kind_of_change_happens() -> None:
    world = World(seed=1, shape=LIVELY, begins_at=BEGINS_AT)
    before = {database.id: database for database in world.databases(BEGINS_AT)}
    after = {database.id: database for database in world.databases(NOW)}
    both = before.keys() & after.keys()
    assert after.keys() - before.keys()
    assert before.keys() - after.keys()
    assert any(before[id_].name != after[id_].name for id_ in both)
    assert any(before[id_].project_name != after[id_].project_name for id_ in both)
    assert any(before[id_].workspace_id != after[id_].workspace_id for id_ in both)
    lives = [
        ended_at - database.created_at
        for hour in range(0, 24 * 30, 6)
        for database in world.databases(BEGINS_AT + timedelta(hours=hour))
        if (ended_at := world.deleted_at(database.id)) is not None
    ]
    assert any(life < timedelta(hours=41) for life in lives)


@settings(max_examples=20)
@given(seed=seeds)
def test_workspaces_share_out_what_their_databases_used(seed: int) -> None:
    shape = WorldShape(workspaces=3, projects_per_workspace=2, databases=12, churn_per_day=3, moved_projects=4)
    world = World(seed=seed, shape=shape, begins_at=BEGINS_AT)
    end_at = BEGINS_AT + timedelta(days=20)
    ids = {database.id for day in range(81) for database in world.databases(BEGINS_AT + timedelta(hours=6) * day)}
    ids |= set(world.registry.databases)
    by_database = sum(world.operations(id_, BEGINS_AT, end_at) for id_ in ids)
    by_workspace = {w.id: world.workspace_operations(w.id, BEGINS_AT, end_at) for w in world.workspaces(end_at)}
    assert sum(by_workspace.values()) == by_database
    by_stay = Counter[str]()
    for id_ in ids:
        for stay in world.stays(id_, BEGINS_AT, end_at):
            by_stay[stay.workspace_id] += world.operations(id_, stay.start_at, stay.end_at)
    assert {workspace_id: by_stay[workspace_id] for workspace_id in by_workspace} == by_workspace


def test_a_moved_database_belongs_to_one_workspace_each_day() -> None:
    shape = WorldShape(workspaces=2, projects_per_workspace=1, databases=2, moved_projects=1)
    world = World(seed=1, shape=shape, begins_at=BEGINS_AT)
    moved = world.databases(BEGINS_AT)[0]
    old, new = (workspace.id for workspace in world.workspaces(BEGINS_AT))
    stays = world.stays(moved.id, BEGINS_AT, BEGINS_AT + 3 * DAY)
    assert [(stay.workspace_id, stay.start_at, stay.end_at) for stay in stays] == [
        (old, BEGINS_AT, BEGINS_AT + DAY),
        (new, BEGINS_AT + DAY, BEGINS_AT + 3 * DAY),
    ]


def test_a_world_can_be_changed_by_hand() -> None:
    world = World(seed=1, shape=WorldShape(workspaces=2, databases=4), begins_at=BEGINS_AT)
    first, second = world.workspaces(NOW)
    project_id = world.add_project(first.id, at=NOW, name="by hand")
    database_id = world.add_database(project_id, at=NOW, name="one", is_default=True)
    later = NOW + timedelta(hours=1)
    world.rename_database(database_id, "two", at=later)
    world.rename_project(project_id, "still by hand", at=later)
    world.rename_workspace(second.id, "Second", at=later)
    world.move_project(project_id, second.id, at=later)
    world.block_workspace(second.id, True, at=later)

    before, after = world.database(database_id, NOW), world.database(database_id.removeprefix("db_"), later)
    assert before is not None
    assert after is not None
    assert (before.name, before.project_name, before.workspace_id) == ("one", "by hand", first.id)
    assert (after.name, after.project_name, after.workspace_id) == ("two", "still by hand", second.id)
    assert [(w.name, w.usage_blocked) for w in world.workspaces(later)] == [(first.name, False), ("Second", True)]
    assert world.database(database_id, NOW - timedelta(milliseconds=1)) is None


def test_changes_by_hand_leave_what_is_drawn_as_it_was() -> None:
    untouched = World(seed=9, shape=LIVELY, begins_at=BEGINS_AT)
    touched = World(seed=9, shape=LIVELY, begins_at=BEGINS_AT)
    added = touched.add_database(touched.projects(BEGINS_AT)[0].id, at=BEGINS_AT)
    touched.delete_database(added, at=BEGINS_AT + DAY)
    assert touched.databases(NOW) == untouched.databases(NOW)


def test_storage_is_whole_pages_and_billed_by_the_hour() -> None:
    world = World(seed=1, shape=SMALL, begins_at=BEGINS_AT)
    database_id = world.databases(BEGINS_AT)[0].id
    levels = [world.storage_bytes(database_id, BEGINS_AT + timedelta(hours=hour)) for hour in range(24 * 30)]
    assert all(level > 0 and level % 8_192 == 0 for level in levels)
    assert len(set(levels)) > 10
    assert world.storage_byte_hours(database_id, BEGINS_AT, BEGINS_AT + 30 * DAY) == sum(levels)


@pytest.mark.parametrize(
    "shape",
    [
        {"workspaces": 0},
        {"databases": -1},
        {"plans": ()},
        {"idle_share": 1.5},
        {"operations_per_day": (0, 5)},
        {"storage_bytes": (9, 5)},
    ],
)
def test_a_shape_that_makes_no_world_is_refused(shape: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        WorldShape(**shape)  # type: ignore[arg-type]  # wrong on purpose


def test_leap_days_and_the_years_before_1970_are_days_like_others() -> None:
    world = World(seed=1, shape=SMALL, begins_at=datetime(2028, 2, 28, tzinfo=UTC))
    database_id = world.databases(world.begins_at)[0].id
    february = [
        world.operations(database_id, world.begins_at + DAY * day, world.begins_at + DAY * (day + 1)) for day in (0, 1)
    ]
    assert sum(february) == world.operations(database_id, world.begins_at, datetime(2028, 3, 1, tzinfo=UTC))
    assert world.operations(database_id, datetime(1960, 1, 1, tzinfo=UTC), datetime(1961, 1, 1, tzinfo=UTC)) == 0


def test_the_work_for_a_database_is_the_same_in_a_world_of_any_size() -> None:
    calls = {databases: calls_to_begin(databases) for databases in (1_000, 2_000, 4_000)}

    assert calls[4_000] - calls[2_000] < 2.2 * (calls[2_000] - calls[1_000])


def calls_to_begin(databases: int) -> int:
    """How many functions are called to make a world of so many databases."""
    shape = WorldShape(workspaces=5, projects_per_workspace=10, databases=databases)
    calls = 0

    def count(*_event: object) -> None:
        nonlocal calls
        calls += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        world = World(seed=1, shape=shape, begins_at=BEGINS_AT)
    finally:
        sys.setprofile(before)
    assert len(world.registry.databases) == databases
    return calls


def test_a_world_that_is_quiet_at_first_has_what_was_asked_for_and_changes_later() -> None:
    world = World(seed=1, shape=replace(LIVELY, quiet_days=10), begins_at=BEGINS_AT)
    lively = World(seed=1, shape=LIVELY, begins_at=BEGINS_AT)
    held = {at: {database.id for database in world.databases(at)} for at in (BEGINS_AT, QUIET_UNTIL, NOW)}

    assert len(held[BEGINS_AT]) == LIVELY.databases
    assert held[BEGINS_AT] == held[QUIET_UNTIL] != held[NOW]
    assert held[QUIET_UNTIL] != {database.id for database in lively.databases(QUIET_UNTIL)}
