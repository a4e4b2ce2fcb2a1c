from __future__ import annotations

from datetime import timedelta

from simulated import NOW, client

from prisma_postgres_exporter.simulator import ManualClock, benchmark_simulator, demo_simulator


async def test_the_demo_moves_fails_and_has_a_past() -> None:
    clock = ManualClock(NOW)
    simulator = demo_simulator(clock)
    world = simulator.world
    databases = world.databases(NOW)
    assert len(world.tokens) == 3
    assert 30 <= len(databases) <= 50

    seconds = timedelta(seconds=5)
    moving = [database for database in databases if world.operations(database.id, NOW, NOW + seconds)]
    assert len(moving) >= len(databases) / 3
    assert sum(world.operations(d.id, NOW - timedelta(days=90), NOW - timedelta(days=89)) for d in databases) > 0
    free = next(workspace for workspace in world.workspaces(NOW) if workspace.plan == "Free")
    month_starts_at = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert 50_000 < world.workspace_operations(free.id, month_starts_at, NOW) < 1_000_000

    statuses = []
    for token, workspace_id in world.tokens.items():
        async with client(simulator, token) as api:
            statuses += [
                (await api.get(f"/v1/databases/{database.id}/usage")).status_code
                for database in world.databases(NOW, workspace_id=workspace_id)
            ]
    assert statuses.count(500) == 1
    assert statuses.count(200) == len(databases) - 1


def test_a_benchmark_has_as_many_workspaces_as_the_vendor_would_need() -> None:
    for databases, workspaces in ((10, 1), (1_000, 1), (2_500, 3)):
        simulator = benchmark_simulator(databases, ManualClock(NOW))
        assert len(simulator.world.tokens) == workspaces
        assert len(simulator.world.databases(NOW)) == databases
