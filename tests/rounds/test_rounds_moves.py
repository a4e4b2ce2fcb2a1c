"""A database that moves while nobody looks is noticed as one move, whichever workspace is discovered first."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prisma_postgres_exporter.config import Credential
from prisma_postgres_exporter.model import Database, EventKind
from prisma_postgres_exporter.service.once import read_all
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor, VendorBehaviour, World, WorldShape
from rounds_bench import Bench, bench, configuration, tokens_of

BEGINS_AT = datetime(2026, 11, 18, 6, 0, 0, tzinfo=UTC)


class Once:
    """A store, a vendor, and commands that look at them one after the other, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(BEGINS_AT)
        shape = WorldShape(workspaces=2, projects_per_workspace=1, databases=2, idle_share=0.0)
        self.world = World(seed=7, shape=shape, begins_at=BEGINS_AT - timedelta(days=60))
        self._vendor = Vendor(self.world, VendorBehaviour())
        self._store_url = f"sqlite:///{folder / 'ledger.db'}"

    @property
    def mover(self) -> Database:
        return self.world.databases(self.clock.now)[0]

    def move(self) -> str:
        [other] = [row.id for row in self.world.workspaces(self.clock.now) if row.id != self.mover.workspace_id]
        self.world.move_project(self.mover.project_id, other, at=self.clock.now)
        return other

    @contextlib.asynccontextmanager
    async def command(self) -> AsyncIterator[Bench]:
        def make(credential: Credential, *_: object) -> DirectApi:
            return DirectApi(self._vendor, self.clock, credential.token.get_secret_value())

        async with bench(configuration(self._store_url), self.clock, tokens_of(self.world), make_api=make) as running:
            await running.identify()
            yield running

    async def collect(self) -> None:
        async with self.command() as running:
            await read_all(running.collector)

    async def happened(self) -> list[tuple[EventKind, datetime, datetime | None]]:
        async with self.command() as running:
            return [
                (event.kind, event.at, event.last_there_at)
                for event in await running.events()
                if event.subject_id == self.mover.id
            ]


@pytest.fixture
def once(tmp_path: Path) -> Once:
    return Once(tmp_path)


@pytest.mark.parametrize("moves", [1, 2], ids=["there", "there and back"])
async def test_a_move_between_two_collects_is_one_move_with_the_span_in_which_it_happened(
    once: Once, moves: int
) -> None:
    await once.collect()
    expected = []
    for _ in range(moves):
        looked_at = once.clock.now
        once.clock.advance(timedelta(days=2))
        workspace_id = once.move()
        once.clock.advance(timedelta(days=1))
        await once.collect()
        expected.append((EventKind.MOVED, once.clock.now, looked_at))
    assert await once.happened() == expected
    async with once.command() as running:
        state = running.databases[once.mover.id]
        assert state.database.workspace_id == workspace_id
        assert state.last_success_at == once.clock.now, "it is read where it is now"


@pytest.mark.parametrize("is_receiver_first", [True, False])
async def test_the_order_of_discovery_makes_no_difference(once: Once, is_receiver_first: bool) -> None:
    await once.collect()
    looked_at, holder = once.clock.now, once.mover.workspace_id
    once.clock.advance(timedelta(days=3))
    receiver = once.move()
    order = (receiver, holder) if is_receiver_first else (holder, receiver)
    async with once.command() as running:
        # As often as a service that has just begun would, or a workspace whose list fails at first.
        for id_ in (*order, *order, holder, holder):
            await running.collector.discover(id_)
    assert await once.happened() == [(EventKind.MOVED, once.clock.now, looked_at)]


async def test_a_database_that_another_workspace_lists_is_never_taken_for_deleted(once: Once) -> None:
    await once.collect()
    looked_at, holder = once.clock.now, once.mover.workspace_id
    once.clock.advance(timedelta(days=3))
    receiver = once.move()
    async with once.command() as running:
        for id_ in (receiver, holder, holder, holder):
            await running.collector.discover(id_)
        assert list(running.collector.receivers) == [receiver]
        once.clock.advance(timedelta(seconds=30))
        await running.collector.round(receiver)
        assert not list(running.collector.receivers)
    assert await once.happened() == [(EventKind.MOVED, once.clock.now, looked_at)]


async def test_what_was_taken_for_deleted_and_turns_up_elsewhere_was_moved(once: Once) -> None:
    """Its new workspace could not be looked at for so long that its old one noted it as deleted."""
    await once.collect()
    looked_at, holder = once.clock.now, once.mover.workspace_id
    once.clock.advance(timedelta(days=3))
    receiver, deleted_at = once.move(), once.clock.now
    async with once.command() as running:
        for id_ in (holder, holder):
            await running.collector.discover(id_)
        once.clock.advance(timedelta(days=1))
        await running.collector.discover(receiver)
    assert await once.happened() == [
        (EventKind.DELETED, deleted_at, None),
        (EventKind.MOVED, once.clock.now, looked_at),
    ]


async def test_a_database_that_is_deleted_between_two_collects_is_deleted(once: Once) -> None:
    await once.collect()
    once.clock.advance(timedelta(days=3))
    gone = once.mover
    once.world.delete_database(gone.id, at=once.clock.now)
    await once.collect()
    async with once.command() as running:
        kinds = [event.kind for event in await running.events() if event.subject_id == gone.id]
    assert kinds == [EventKind.DELETED]
