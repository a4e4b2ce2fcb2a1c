"""Two collectors on one store: each shows what the other wrote, and one that writes nothing holds what is stored."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from prisma_postgres_exporter.model import Lease
from prisma_postgres_exporter.simulator import ManualClock, Simulator, serve_simulator
from rounds_bench import Bench, bench, configuration, small_vendor, tokens_of

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


class Nothing:
    """Somebody else collects everything."""

    def holds(self, workspace_id: str) -> bool:
        return False

    def lease(self, workspace_id: str) -> Lease | None:
        raise AssertionError("it writes")

    def is_unclaimed(self, workspace_id: str, unread: timedelta | None) -> bool:
        return False


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def vendor(clock: ManualClock) -> Simulator:
    return small_vendor(clock)


@contextlib.asynccontextmanager
async def two(vendor: Simulator, clock: ManualClock, path: Path) -> AsyncIterator[tuple[Bench, Bench]]:
    """Two collectors with the same tokens."""
    async with serve_simulator(vendor.app) as url:
        config = configuration(f"sqlite:///{path / 'ledger.db'}", api_url=url)
        tokens = tokens_of(vendor.world)
        async with bench(config, clock, tokens) as one, bench(config, clock, tokens) as other:
            yield one, other


async def test_what_a_write_of_its_own_met_there_is_followed(
    vendor: Simulator, clock: ManualClock, tmp_path: Path
) -> None:
    async with two(vendor, clock, tmp_path) as (one, other):
        await one.round()
        await other.collector.catch_up()
        project = vendor.world.projects(clock.now)[0]
        new = vendor.world.add_database(project.id, name="new", at=clock.now)
        clock.advance(timedelta(minutes=6))
        await other.discover()
        # It reads and writes, and meets what the other found.
        [turn] = [turn for turn in one.collector.turns.values() if turn.workspace_id == project.workspace_id]
        turn.discovery_tried_at = clock.now
        await one.collector.round(project.workspace_id)
        assert new in one.databases
        await one.collector.catch_up()
        assert new in one.collector.followed


async def test_a_workspace_that_is_handed_over_is_of_today(
    vendor: Simulator, clock: ManualClock, tmp_path: Path
) -> None:
    async with two(vendor, clock, tmp_path) as (one, _):
        await one.round()
        vendor.world.delete_database(vendor.world.databases(clock.now)[0].id, at=clock.now)
        clock.advance(timedelta(minutes=6))
        await one.discover()
        assert len(one.databases) == 4
        # Of no bill any more.
        clock.advance(timedelta(days=70))
        for id_ in one.ledger_state.workspaces:
            await one.collector.hand_over(id_)
        assert one.ledger_state == await one.stored()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
async def test_one_that_writes_nothing_holds_what_the_store_does(
    seed: int, vendor: Simulator, clock: ManualClock, tmp_path: Path
) -> None:
    dice = Random(seed)
    async with two(vendor, clock, tmp_path) as (one, other):
        other.collector.leases = Nothing()
        for step in range(40):
            await one.round(discover=dice.random() < 0.3)
            change(vendor, clock, dice, step)
            if dice.random() < 0.6:
                await other.collector.catch_up()
                assert other.ledger_state == await other.stored()
                assert {id_ for id_, row in other.databases.items() if row.deleted_at is None} == (
                    other.collector.followed
                )
            clock.advance(dice.choice([timedelta(minutes=5), timedelta(hours=3), timedelta(days=1)]))


def change(vendor: Simulator, clock: ManualClock, dice: Random, step: int) -> None:
    """Let something happen at the vendor, now and then."""
    world, at = vendor.world, clock.now
    databases = world.databases(at)
    match dice.randrange(8):
        case 0 if len(databases) > 2:
            world.delete_database(dice.choice(databases).id, at=at)
        case 1:
            world.add_database(dice.choice(world.projects(at)).id, name=f"new-{step}", at=at)
        case 2:
            workspaces = world.workspaces(at)
            world.move_project(dice.choice(world.projects(at)).id, dice.choice(workspaces).id, at=at)
        case 3:
            world.rename_workspace(dice.choice(world.workspaces(at)).id, f"name-{step}", at=at)
