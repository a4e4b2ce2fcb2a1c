from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from simulated import NOW, client

from prisma_postgres_exporter.model import day_start, month_start, next_month_start, previous_month_start
from prisma_postgres_exporter.simulator import (
    ManualClock,
    World,
    benchmark_simulator,
    demo_simulator,
    history_begins_at,
)

FREE_OPERATIONS = 200_000
MID_MONTH = datetime(2026, 11, 17, 14, 30, tzinfo=UTC)
STARTS = (
    MID_MONTH,
    datetime(2026, 12, 1, 0, 0, 30, tzinfo=UTC),
    datetime(2026, 12, 31, 21, tzinfo=UTC),
    datetime(2027, 2, 28, 9, tzinfo=UTC),
    datetime(2027, 3, 6, 5, tzinfo=UTC),
)


def demo_world(now: datetime) -> World:
    return demo_simulator(ManualClock(now)).world


def id_of(world: World, plan: str, now: datetime) -> str:
    return next(workspace.id for workspace in world.workspaces(now) if workspace.plan == plan)


@pytest.mark.parametrize("now", STARTS)
def test_the_demos_free_workspace_is_blocked_within_the_month_and_never_was_before(now: datetime) -> None:
    world = demo_world(now)
    free = id_of(world, "Free", now)
    begins_at, ends_at = month_start(now), next_month_start(now)
    used = world.workspace_operations(free, begins_at, now)

    assert used < FREE_OPERATIONS < world.workspace_operations(free, begins_at, ends_at)
    if day_start(date(now.year, now.month, 9)) <= now <= ends_at - timedelta(days=3):
        assert 0.84 < used / FREE_OPERATIONS < 0.86
    month_at = begins_at
    while month_at > history_begins_at(now):
        earlier_at = previous_month_start(month_at)
        assert world.workspace_operations(free, earlier_at, month_at) < 0.95 * FREE_OPERATIONS
        month_at = earlier_at
    databases = world.databases(now, workspace_id=free)
    assert len(databases) == 3
    assert sum(world.storage_bytes(database.id, now) for database in databases) < 500_000_000


@pytest.mark.parametrize("now", STARTS)
def test_the_demos_starter_workspace_would_cost_less_on_pro(now: datetime) -> None:
    world = demo_world(now)
    starter = id_of(world, "Starter", now)
    last_month = world.workspace_operations(starter, previous_month_start(now), month_start(now)) / 1e6
    gib = (
        sum(world.storage_bytes(row.id, month_start(now)) for row in world.databases(now, workspace_id=starter)) / 2**30
    )

    on_starter = 10 + 8 * (last_month - 1) + 2 * (gib - 10)
    on_pro = 49 + 2 * (last_month - 10)
    assert gib < 50
    assert on_pro < 0.6 * on_starter < 100


@pytest.mark.parametrize("now", STARTS)
def test_preview_databases_come_and_go_in_the_demos_pro_workspace(now: datetime) -> None:
    world = demo_world(now)
    pro = id_of(world, "Pro", now)
    names = {row.name for row in world.databases(now, workspace_id=pro)}
    previews = [row for row in world.registry.databases_ever_in(pro) if row.branch_id is not None]
    gone = [row for row in previews if row.deleted_ms is not None and row.deleted_ms < now.timestamp() * 1000]

    assert {"invoicing-production", "invoicing-staging"} <= names
    assert any(name.startswith("pr-") for name in names)
    assert len(gone) >= 15
    for row in previews:
        branch = world.registry.branches[row.branch_id or ""]
        assert row.names.at(row.created_ms).endswith(branch.git_name.removeprefix("feat/"))
        assert (branch.created_ms, branch.deleted_ms) == (row.created_ms, row.deleted_ms)
    in_an_hour = {row.id for row in world.databases(now + timedelta(minutes=10), workspace_id=pro)}
    assert in_an_hour - {row.id for row in world.databases(now, workspace_id=pro)}, "one more while somebody looks"


def test_the_demos_days_follow_the_week_and_its_hours_the_day() -> None:
    world = demo_world(MID_MONTH)
    pro = id_of(world, "Pro", MID_MONTH)
    monday = day_start(date(2026, 11, 2))
    days = [
        world.workspace_operations(pro, monday + timedelta(days=day), monday + timedelta(days=day + 1))
        for day in range(7)
    ]
    assert max(days[5:]) < 0.7 * min(days[:5])
    portal = next(row for row in world.databases(MID_MONTH) if row.name == "portal-production")
    night, noon = (
        world.operations(portal.id, monday + timedelta(hours=hour), monday + timedelta(hours=hour + 3))
        for hour in (1, 10)
    )
    assert night < noon / 5


@pytest.mark.parametrize("now", STARTS)
async def test_one_database_of_the_demo_does_not_answer_and_one_day_is_told_wrong_at_first(now: datetime) -> None:
    simulator = demo_simulator(ManualClock(now))
    [(broken, since_at)] = simulator.vendor.behaviour.broken_since.items()
    [((revised, day), wrong)] = simulator.vendor.behaviour.wrong_days.items()
    statuses = {}
    for token, workspace_id in simulator.world.tokens.items():
        async with client(simulator, token) as api:
            for database in simulator.world.databases(now, workspace_id=workspace_id):
                statuses[database.id] = (await api.get(f"/v1/databases/{database.id}/usage")).status_code
    vendor, starts_at = simulator.vendor, day_start(day)
    ends_at = starts_at + timedelta(days=1)
    true = simulator.world.operations(revised, starts_at, ends_at)
    before, after = (
        vendor.usage(revised, now=at, start_at=starts_at, end_at=ends_at - timedelta(milliseconds=1)).operations
        for at in (wrong.until_at - timedelta(seconds=1), wrong.until_at)
    )

    assert {id_ for id_, status in statuses.items() if status == 500} == {broken}
    assert set(statuses.values()) == {200, 500}
    assert day_start(now.date()) <= since_at < now
    assert ends_at < wrong.until_at < now
    assert before < after == true


@pytest.mark.slow
@pytest.mark.parametrize("now", STARTS)
def test_the_same_start_makes_the_same_demo_whatever_the_time_zone(now: datetime) -> None:
    program = (
        "import sys, datetime as d\n"
        "from prisma_postgres_exporter.simulator import ManualClock, demo_simulator\n"
        "now = d.datetime.fromisoformat(sys.argv[1]); world = demo_simulator(ManualClock(now)).world\n"
        "for row in world.registry.databases.values():\n"
        "    print(row.id, row.names.at(row.created_ms), row.created_ms, row.deleted_ms,\n"
        "          row.operations(0, int(now.timestamp() * 1000)), row.storage_bytes(int(now.timestamp() * 1000)))\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program, now.isoformat()],
            env={**os.environ, "TZ": zone, "PYTHONHASHSEED": seed},
            cwd=Path.cwd(),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for zone, seed in (("UTC", "1"), ("America/New_York", "2"))
    }

    assert len(told) == 1
    assert len(min(told).splitlines()) > 30


def test_the_demos_names_are_plain() -> None:
    world = demo_world(NOW)
    registry = world.registry
    named = [row.names for row in registry.databases.values()] + [row.names for row in registry.projects.values()]

    assert all(names.at(0).replace("-", "").isalnum() for names in named)
    assert all(0 < len(workspace.name) < 30 for workspace in world.workspaces(NOW))


def test_a_benchmark_has_as_many_workspaces_as_the_vendor_would_need() -> None:
    for databases, workspaces in ((10, 1), (1_000, 1), (2_500, 3)):
        simulator = benchmark_simulator(databases, ManualClock(NOW))
        assert len(simulator.world.tokens) == workspaces
        assert len(simulator.world.databases(NOW)) == databases
