"""A simulated world and the service before it, on one clock that runs fast: what a Prometheus would have scraped."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fast_service import fast_service, stamped

from prisma_postgres_exporter.simulator import (
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    VendorBehaviour,
    World,
    WorldShape,
)

_COST = {
    "workspaces": [{"workspace": "Acme", "spend_limit_usd": 5}],
    "budgets": [
        {"name": "everything", "monthly_usd": 400, "thresholds": [0.1, 0.8, 1.0]},
        {"name": "small", "monthly_usd": 5, "thresholds": [0.5, 0.9]},
    ],
}
JOB = "prisma-postgres"
RENAMED = "renamed-lately"
REPLICA = "replica-a:9478"
SECOND_REPLICA = "replica-b:9478"
NOW = datetime(2026, 11, 6, 10, 30, tzinfo=UTC)
"""When the world ends: early in a month, so that last month was read after its end."""
ZERO = timedelta(0)
LIVED = timedelta(days=9)
LOOKED_AT_CLOSELY = timedelta(hours=2)
"""At the end it is scraped every minute and by two, before that every half an hour."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What /metrics showed at an instant, in text 0.0.4."""

    at: datetime
    text: str


def scrapes() -> list[Scrape]:
    """Let the service live for nine days until `NOW`, and return what it showed."""
    with tempfile.TemporaryDirectory(prefix="lived-world-") as folder:
        return asyncio.run(_scrape_all(Path(folder)))


def with_timestamps(scraped: list[Scrape]) -> Iterator[str]:
    """Yield the samples of all scrapes, the oldest first; in the end a second replica shows them too.

    The replicas share a store: they show the same, and a query that adds them up counts twice.
    """
    for scrape in scraped:
        replicas = (REPLICA, SECOND_REPLICA) if NOW - scrape.at <= LOOKED_AT_CLOSELY else (REPLICA,)
        for replica in replicas:
            yield stamped(scrape.text, int(scrape.at.timestamp() * 1000), JOB, replica)


async def _scrape_all(folder: Path) -> list[Scrape]:
    clock = ManualClock(NOW - LIVED)
    simulator = _simulator(clock)
    scraped = []
    async with fast_service(simulator, folder, _COST) as service:
        for at in _instants():
            clock.now = at
            _happen(simulator, NOW - at)
            every = timedelta(minutes=5) if NOW - at <= LOOKED_AT_CLOSELY else timedelta(hours=2)
            if (NOW - at) % every == ZERO:
                await service.round()
            scraped.append(Scrape(at, await service.scrape()))
    return scraped


def _simulator(clock: ManualClock) -> Simulator:
    shape = WorldShape(
        workspaces=3,
        projects_per_workspace=2,
        databases=9,
        idle_share=0.0,
        blocked_workspaces=1,
        plans=("Pro", "Starter", "Free"),
        busyness=(1.0, 0.5, 0.05),
        operations_per_day=(200_000, 900_000),
    )
    world = World(seed=5, shape=shape, begins_at=clock.now - timedelta(days=40))
    behaviour = VendorBehaviour(known_after=timedelta(minutes=10), known_every=timedelta(minutes=10), revised_share=0.4)
    return Simulator(world, clock, behaviour=behaviour)


def _happen(simulator: Simulator, left: timedelta) -> None:
    """Let things happen to the databases of one workspace, at their time before the end."""
    world, at = simulator.world, simulator.clock()
    ids = {workspace.name: workspace.id for workspace in world.workspaces(at)}
    acme = world.databases(at, workspace_id=ids["Acme"])
    if left == timedelta(hours=25):
        # From its second day on what is expected of a workspace has a range again.
        world.add_database(acme[0].project_id, at=at, name="created-lately")
    if left == timedelta(minutes=65):
        world.rename_database(acme[0].id, RENAMED, at=at)
        world.delete_database(acme[1].id, at=at)
    if left == timedelta(minutes=50):
        add = simulator.faults.add
        add(Fault(kind=FaultKind.NEGATIVE, call="usage", database_id=acme[2].id))
        add(Fault(kind=FaultKind.SERVER_ERROR, call="usage", times=3))
        add(Fault(kind=FaultKind.THROTTLED, call="usage", retry_after="0", times=3))


def _instants() -> Iterator[datetime]:
    at = NOW - LIVED
    while at <= NOW:
        # At the month's end the newest sample is a minute old, as it nearly always is in life.
        yield at - timedelta(minutes=1) if at == NOW.replace(day=1, hour=0, minute=0) else at
        at += timedelta(minutes=1) if NOW - at <= LOOKED_AT_CLOSELY else timedelta(minutes=30)
