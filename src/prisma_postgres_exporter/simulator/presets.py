"""Ready-made simulations: one to look at, one to measure with."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.simulator.app import Simulator
from prisma_postgres_exporter.simulator.clock import Clock, system_clock
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind, Faults
from prisma_postgres_exporter.simulator.founding import WorldShape
from prisma_postgres_exporter.simulator.vendor import VendorBehaviour
from prisma_postgres_exporter.simulator.world import World

DEMO_HISTORY: Final = timedelta(days=100)
BENCHMARK_HISTORY: Final = timedelta(days=60)
LARGEST_WORKSPACE: Final = 1_000
"""Databases that the vendor lets a workspace hold."""


def demo_simulator(clock: Clock = system_clock, *, seed: int = 1) -> Simulator:
    """Three workspaces with about 40 lively databases and a hundred days of history.

    Numbers are known within seconds, some closed days are revised, one database always fails, and names,
    regions and lifecycle are as mixed as in life.
    """
    now = clock()
    world = World(
        seed=seed,
        shape=WorldShape(
            workspaces=3,
            projects_per_workspace=4,
            databases=38,
            idle_share=0.08,
            awkward_share=0.1,
            plans=("Pro", "Starter", "Free"),
            busyness=(1.0, 0.4, 0.002),
            operations_per_day=(60_000, 900_000),
            churn_per_day=0.5,
        ),
        begins_at=day_start((now - DEMO_HISTORY).date()),
    )
    failing = world.databases(now)[1]
    return Simulator(
        world,
        clock,
        behaviour=VendorBehaviour(
            known_after=timedelta(seconds=2), known_every=timedelta(seconds=1), revised_share=0.2
        ),
        faults=Faults([Fault(kind=FaultKind.SERVER_ERROR, call="usage", database_id=failing.id)]),
    )


def benchmark_simulator(databases: int, clock: Clock = system_clock, *, seed: int = 1) -> Simulator:
    """`databases` in as many workspaces as the vendor would need for them; nothing goes wrong."""
    workspaces = max(1, -(-databases // LARGEST_WORKSPACE))
    world = World(
        seed=seed,
        shape=WorldShape(
            workspaces=workspaces,
            projects_per_workspace=max(1, databases // workspaces // 10),
            databases=databases,
        ),
        begins_at=day_start((clock() - BENCHMARK_HISTORY).date()),
    )
    return Simulator(world, clock)
