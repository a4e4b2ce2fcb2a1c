"""Whose the days of a database that moved are, whenever they were read: against a world that knows where it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from lives import backfill

from prisma_postgres_exporter.config import Credential
from prisma_postgres_exporter.cost import used_in_month
from prisma_postgres_exporter.model import Event, EventKind, LedgerState, month_start, next_month_start
from prisma_postgres_exporter.service.once import read_all
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor, VendorBehaviour, World, WorldShape
from prisma_postgres_exporter.store import Store
from rounds_bench import Bench, bench, configuration, tokens_of

CASES = int(os.environ.get("LEDGER_CASES", "3"))
BEGINS_AT = datetime(2026, 9, 24, 9, 0, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)
BRIDGED = 3600
"""So many seconds without a storage level take the mean of the others."""


@dataclass(frozen=True)
class Look:
    """So long after the one before somebody looks again; the database perhaps moved meanwhile, so long before."""

    after: timedelta
    moved_before: timedelta | None
    reads: bool = True


hours = st.integers(1, 400).map(lambda count: timedelta(hours=count))
looks = st.builds(
    Look,
    after=st.one_of(st.integers(1, 30).map(lambda count: timedelta(hours=count)), hours),
    moved_before=st.one_of(st.none(), st.integers(0, 200).map(lambda count: timedelta(minutes=30 * count))),
    reads=st.sampled_from([True, True, True, False]),
)

# Read in the old workspace at 09:00 on a day, found in the new one at 09:30.
BOTH_LOOKED_AT = [Look(timedelta(days=14), None), Look(timedelta(minutes=30), timedelta(minutes=10))]
# Nobody looked for ten days, in which it moved.
NOBODY_LOOKED = [Look(timedelta(days=3), None), Look(timedelta(days=10), timedelta(days=5))]
# Once a day at 06:00: it moved at 15:00, and back at 03:00 a week later.
ONCE_A_DAY = [
    Look(timedelta(days=14, hours=-3), None),
    Look(timedelta(days=1), timedelta(hours=15)),
    Look(timedelta(days=7), timedelta(hours=3)),
]
# Seen there at midnight, and here a day later at midnight: one day is in doubt, and no more.
FROM_MIDNIGHT_TO_MIDNIGHT = [Look(timedelta(days=9, hours=15), None), Look(timedelta(days=1), timedelta(hours=7))]


@settings(max_examples=CASES, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(script=st.lists(looks, min_size=1, max_size=5), is_service=st.booleans())
@example(script=BOTH_LOOKED_AT, is_service=True)
@example(script=NOBODY_LOOKED, is_service=True)
@example(script=ONCE_A_DAY, is_service=False)
@example(script=FROM_MIDNIGHT_TO_MIDNIGHT, is_service=False)
def test_what_is_a_workspaces_for_sure_is_never_more_than_the_truth_and_whole_only_where_it_is(
    script: Sequence[Look], is_service: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Life(f"sqlite:///{Path(folder) / 'store.db'}").live(script, is_service=is_service))


class Life:
    """A world with a database that moves, and who looks at it: a service, or commands one after the other."""

    def __init__(self, store_url: str) -> None:
        shape = WorldShape(workspaces=2, projects_per_workspace=1, databases=2, idle_share=0.0)
        self.world = World(seed=7, shape=shape, begins_at=BEGINS_AT - timedelta(days=60))
        self.clock = ManualClock(BEGINS_AT)
        self._vendor = Vendor(self.world, VendorBehaviour())
        self._store_url = store_url
        mover = self.world.databases(self.clock.now)[0]
        self.database_id, self.project_id = mover.id, mover.project_id
        self.was_in = [(mover.created_at, mover.workspace_id)]

    async def live(self, script: Sequence[Look], *, is_service: bool) -> None:
        script = [Look(timedelta(0), None), *script, Look(timedelta(days=3), None)]
        if is_service:
            async with self._running() as running:
                for look in script:
                    self._pass(look)
                    await self._look(running, look)
        else:
            for look in script:
                self._pass(look)
                async with self._running() as running:
                    await self._look_once(running, look)
        async with self._running() as running:
            await running.round()
            await backfill(running, BEGINS_AT.date().replace(day=1))
            await self._check(running)

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[Bench]:
        def make(credential: Credential, *_: object) -> DirectApi:
            return DirectApi(self._vendor, self.clock, credential.token.get_secret_value())

        async with bench(configuration(self._store_url), self.clock, tokens_of(self.world), make_api=make) as running:
            await running.identify()
            yield running

    def _pass(self, look: Look) -> None:
        ends_at = self.clock.now + look.after
        if look.moved_before is not None and look.moved_before < look.after:
            at, here = ends_at - look.moved_before, self.was_in[-1][1]
            [other] = [row.id for row in self.world.workspaces(at) if row.id != here]
            self.world.move_project(self.project_id, other, at=at)
            self.was_in.append((at, other))
        self.clock.advance(look.after)

    @staticmethod
    async def _look(running: Bench, look: Look) -> None:
        await running.discover()
        await asyncio.gather(*map(running.collector.discover, running.collector.receivers))
        if look.reads:
            await running.rounds()

    @staticmethod
    async def _look_once(running: Bench, look: Look) -> None:
        if look.reads:
            await read_all(running.collector)
            return
        # As a backfill that finds nothing to read.
        await asyncio.gather(*map(running.collector.discover, running.collector.readers.workspace_ids))
        await asyncio.gather(*map(running.collector.discover, running.collector.receivers))

    async def _check(self, running: Bench) -> None:
        found = await running.collector.in_store(lambda store: list(store.violations(running.clock.now)))
        assert not found, found
        stored = await running.stored()
        assert stored.workspaces == running.ledger_state.workspaces
        self._check_events(await running.events(), stored)
        # However long ago it was deleted, its days are asked for with its moves.
        everything = await running.collector.in_store(lambda store: {row.key: row for row in store.databases()})
        for state in stored.databases.values():
            assert everything[state.key].moves == state.moves
        month = month_start(BEGINS_AT)
        while month <= running.clock.now:
            until = min(running.clock.now, next_month_start(month) - ONE_SECOND)
            held = await running.collector.in_store(partial(Store.load, now=until))
            self._check_month(held, month, until)
            month = next_month_start(month)

    def _check_events(self, events: Sequence[Event], stored: LedgerState) -> None:
        """Each move is one event, with a span that it happened in; so it was seen where it was at both its ends."""
        happened = [event for event in events if event.subject_id == self.database_id]
        assert [(event.kind, event.after) for event in happened] == [
            (EventKind.MOVED, id_) for _, id_ in self.was_in[1:]
        ]
        moves = stored.databases[self.database_id].moves
        for (at, _), move in zip(self.was_in[1:], moves, strict=True):
            assert move.last_there_at < at <= move.at

    def _check_month(self, held: LedgerState, month: datetime, until: datetime) -> None:
        ends_at = min(self.clock.now, next_month_start(month))
        ids = {row.key: id_ for id_, row in held.workspaces.items()}
        shares = {ids[key]: of.get(self.database_id) for key, of in used_in_month(held, until).items()}
        whole = 0
        for workspace_id in ids.values():
            usage, stays = shares.get(workspace_id), list(self._stays(workspace_id, month, ends_at))
            operations = sum(self.world.operations(self.database_id, *stay) for stay in stays)
            seconds = sum(int((end - begin).total_seconds()) for begin, end in stays)
            if usage is None:
                assert not stays, "a month that it was there is whole without it"
                continue
            assert usage.known_operations <= operations, (month, workspace_id)
            assert usage.storage_seconds_known <= seconds + BRIDGED, (month, workspace_id)
            if usage.are_operations_known:
                assert usage.known_operations == operations, (month, workspace_id)
            if usage.is_storage_known:
                assert abs(usage.storage_seconds_known - seconds) <= BRIDGED, (month, workspace_id)
            whole += usage.are_operations_known
            assert (usage.days_known == usage.days) == usage.are_operations_known, "every day was read"
        if all(event.at <= month or event.last_there_at >= ends_at for event in held.databases[self.database_id].moves):
            assert whole == 1, "nothing is in doubt where it did not move"

    def _stays(self, workspace_id: str, begins_at: datetime, ends_at: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The parts of a span that it was in a workspace."""
        lefts = [*(at for at, _ in self.was_in[1:]), ends_at]
        for (came_at, id_), left_at in zip(self.was_in, lefts, strict=True):
            if id_ == workspace_id and max(came_at, begins_at) < min(left_at, ends_at):
                yield max(came_at, begins_at), min(left_at, ends_at)
