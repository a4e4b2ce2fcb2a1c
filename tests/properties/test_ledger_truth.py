"""What must always hold of the ledger, with the shipped rounds on real stores, and a vendor that is late, revises,
fails, hangs, throttles and lies."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lives import Ending, Fate, Life

from longer import BOTH_ENGINES
from prisma_postgres_exporter.simulator import Vendor, VendorBehaviour, World, WorldShape
from prisma_postgres_exporter.store import Store

CASES = int(os.environ.get("LEDGER_CASES", "3"))
HOUR = timedelta(hours=1)

BEGINNINGS = (
    datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
    datetime(2026, 11, 30, 20, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 22, 30, tzinfo=UTC),
    datetime(2027, 2, 27, 23, 0, tzinfo=UTC),
    datetime(2028, 2, 28, 18, 0, tzinfo=UTC),
    datetime(2028, 3, 1, 0, 0, tzinfo=UTC),
)
ADVANCES = (timedelta(0), timedelta(minutes=5), HOUR, 7 * HOUR, 26 * HOUR, timedelta(days=4), timedelta(days=33))


HAPPENINGS = (
    "restart",
    "clock set back",
    "create",
    "rename",
    "delete",
    "move",
    "reload",
    "reload in a round",
    "move in a round",
)


@dataclass(frozen=True)
class Step:
    """Time passes, something happens, and rounds run until nothing is due."""

    advance: timedelta
    happens: str
    discovers: bool
    fates: Sequence[Fate]
    misbehaves: str
    ending: Ending
    ahead: timedelta
    is_claimed_twice: bool


steps = st.builds(
    Step,
    advance=st.sampled_from(ADVANCES),
    happens=st.sampled_from(["nothing"] * 6 + list(HAPPENINGS)),
    discovers=st.booleans(),
    fates=st.lists(st.sampled_from([Fate.ANSWERED] * 4 + list(Fate)), min_size=1, max_size=7),
    misbehaves=st.sampled_from(["one database", "one database", "one workspace", "nobody"]),
    ending=st.sampled_from([Ending.STORED] * 3 + list(Ending)),
    ahead=st.sampled_from([timedelta(0)] * 8 + [timedelta(days=2), timedelta(minutes=-20), timedelta(days=-3)]),
    is_claimed_twice=st.sampled_from([False, False, False, True]),
)
behaviours = st.builds(
    VendorBehaviour,
    known_after=st.sampled_from([timedelta(0), timedelta(minutes=50), 5 * HOUR]),
    known_every=st.sampled_from([timedelta(0), timedelta(minutes=30), 3 * HOUR]),
    revised_share=st.sampled_from([0.0, 0.3, 1.0]),
    revised_by=st.sampled_from([0.05, 0.5]),
    revised_for=st.sampled_from([5 * HOUR, timedelta(days=2), timedelta(days=3)]),
)


@pytest.fixture(scope="module")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=BOTH_ENGINES)
def fresh_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of an empty store each time it is called."""
    numbers = count()

    def fresh_sqlite() -> str:
        path = tmp_path / f"{next(numbers)}.db"
        shutil.copyfile(request.getfixturevalue("empty_sqlite"), path)
        return f"sqlite:///{path}"

    def fresh_postgres() -> str:
        url = str(request.getfixturevalue("postgres_url"))
        if next(numbers) == 0:
            Store.open(url).close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "TRUNCATE plans, databases, workspaces, positions, days, months, windows, rolling, readings,"
                " revisions, events"
            )
        return url

    return fresh_sqlite if request.param == "sqlite" else fresh_postgres


@settings(
    max_examples=CASES,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    seed=st.integers(0, 10_000),
    begins_at=st.sampled_from(BEGINNINGS),
    behaviour=behaviours,
    adaptive=st.booleans(),
    script=st.lists(steps, min_size=1, max_size=12),
)
def test_whatever_happens_the_settled_ledger_is_the_truth(
    fresh_store: Callable[[], str],
    seed: int,
    begins_at: datetime,
    behaviour: VendorBehaviour,
    adaptive: bool,
    script: Sequence[Step],
) -> None:
    asyncio.run(live(fresh_store(), seed, begins_at, behaviour, script, adaptive=adaptive))


async def live(
    store_url: str,
    seed: int,
    begins_at: datetime,
    behaviour: VendorBehaviour,
    script: Sequence[Step],
    *,
    adaptive: bool,
) -> None:
    world = World(
        seed=seed,
        shape=WorldShape(
            workspaces=3, projects_per_workspace=1, databases=6, idle_share=0.1, operations_per_day=(10, 50_000)
        ),
        begins_at=begins_at - timedelta(days=40),
    )
    life = Life(vendor=Vendor(world, behaviour), store_url=store_url, now=begins_at, adaptive=adaptive)
    await life.start()
    try:
        await life.running.round()
        newest_at = begins_at
        for step in script:
            life.clock.advance(step.advance)
            newest_at = max(newest_at, life.clock.now)
            life.fates, life.ending, life.ahead = step.fates, step.ending, step.ahead
            misbehave(life, step)
            await happen(life, step.happens, newest_at)
            if step.discovers:
                await life.discover()
            await life.round()
            if step.ahead == timedelta(0) and life.clock.now == newest_at and step.ending is Ending.STORED:
                await life.check_neighbours()
        life.ahead = timedelta(0)
        await life.restart()
        await life.check_ledger()

        until = newest_at.date()
        life.clock.now = newest_at
        await life.settle(life.vendor.final_at(until) + timedelta(days=3), every=13 * HOUR)
        await life.check_ledger()
        await life.restart()
        await life.check_truth(until=until)
    finally:
        await life.end()


def misbehave(life: Life, step: Step) -> None:
    """Choose who misbehaves: nobody else may notice."""
    there = life.vendor.world.databases(life.clock.now)
    first = there[0].workspace_id
    own = [database.id for database in there if database.workspace_id == first]
    chosen = {"one database": own[:1], "one workspace": own, "nobody": []}[step.misbehaves]
    life.misbehaving = frozenset(chosen)
    life.misbehaved.update(chosen)
    workspaces = [row.id for row in life.vendor.world.workspaces(life.clock.now)]
    life.also_claimed_by = workspaces[-1] if step.is_claimed_twice else None


async def happen(life: Life, what: str, newest_at: datetime) -> None:
    world, now = life.vendor.world, life.clock.now
    existing = world.databases(now)
    collector = life.running.collector
    if what == "restart":
        await life.restart()
    elif what == "clock set back":
        life.clock.advance(-3 * HOUR)
    elif what == "reload":
        collector.reconfigure(life.config)
    elif what == "reload in a round":
        life.during = lambda: collector.reconfigure(life.config)
    elif now < newest_at:
        return  # the world's own past cannot be changed any more
    elif what == "create":
        world.add_database(existing[0].project_id, at=now)
    elif what == "rename":
        world.rename_database(existing[0].id, f"renamed at {now}", at=now)
    elif what == "delete" and len(existing) > 3:
        world.delete_database(existing[-1].id, at=now)
    elif what.startswith("move"):
        target = next(row.id for row in world.workspaces(now) if row.id != existing[-1].workspace_id)

        def move() -> None:
            world.move_project(existing[-1].project_id, target, at=life.clock.now)

        if what == "move":
            move()
        else:
            life.during = move
