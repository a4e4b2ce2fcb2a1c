"""Whose the days of a database that moved are, whenever they were read: against a world that knows where it was."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from prisma_postgres_exporter.cost import used_in_month
from prisma_postgres_exporter.ledger.backfill import plan_backfill
from prisma_postgres_exporter.ledger.plan import Plan
from prisma_postgres_exporter.model import LedgerState, day_start, month_start, next_month_start
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor, VendorBehaviour, World, WorldShape
from prisma_postgres_exporter.store import Store
from rounds_bench import Bench, bench, configuration, tokens_of

CASES = int(os.environ.get("LEDGER_CASES", "3"))
BEGINS_AT = datetime(2026, 9, 24, 9, 0, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)
Held = Sequence[tuple[datetime, str]]
"""From when on a database was in which workspace, as the world has it."""


@dataclass(frozen=True)
class Look:
    """So long after the one before somebody looks again; the database perhaps moved meanwhile, so long before."""

    after: timedelta
    moved_before: timedelta | None
    reads: bool


hours = st.integers(1, 400).map(lambda count: timedelta(hours=count))
looks = st.builds(
    Look,
    after=st.one_of(st.integers(1, 30).map(lambda count: timedelta(hours=count)), hours),
    moved_before=st.one_of(st.none(), st.integers(0, 200).map(lambda count: timedelta(minutes=30 * count))),
    reads=st.sampled_from([True, True, True, False]),
)

# Read in the old workspace at 09:00 on a day, found in the new one at 09:30.
BOTH_LOOKED_AT = [
    Look(timedelta(days=14), None, reads=True),
    Look(timedelta(minutes=30), timedelta(minutes=10), reads=True),
]
# Nobody looked for ten days, in which it moved.
NOBODY_LOOKED = [Look(timedelta(days=3), None, reads=True), Look(timedelta(days=10), timedelta(days=5), reads=True)]


@settings(max_examples=CASES, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(script=st.lists(looks, min_size=1, max_size=5))
@example(script=BOTH_LOOKED_AT)
@example(script=NOBODY_LOOKED)
def test_a_day_is_of_the_workspace_that_held_it_or_neither_month_is_whole(script: Sequence[Look]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live(f"sqlite:///{Path(folder) / 'store.db'}", script))


async def live(store_url: str, script: Sequence[Look]) -> None:
    shape = WorldShape(workspaces=2, projects_per_workspace=1, databases=2, idle_share=0.0)
    world = World(seed=7, shape=shape, begins_at=BEGINS_AT - timedelta(days=60))
    vendor = Vendor(world, VendorBehaviour())
    clock = ManualClock(BEGINS_AT)
    made = bench(
        configuration(store_url),
        clock,
        tokens_of(world),
        make_api=lambda credential, _: DirectApi(vendor, clock, credential.token.get_secret_value()),
    )
    async with made as running:
        await running.round()
        mover = world.databases(clock.now)[0]
        was_in = [(world.begins_at, mover.workspace_id)]
        read_at = [clock.now]
        for look in script:
            ends_at = clock.now + look.after
            if look.moved_before is not None and look.moved_before < look.after:
                was_in.append(move(world, mover.project_id, was_in[-1][1], at=ends_at - look.moved_before))
            clock.advance(look.after)
            await running.discover()
            if look.reads:
                await running.rounds()
                read_at.append(clock.now)
        clock.advance(timedelta(days=3))
        await running.round()
        read_at.append(clock.now)
        await backfill(running)
        await check(running, world, mover.id, was_in, read_at)


def move(world: World, project_id: str, from_id: str, *, at: datetime) -> tuple[datetime, str]:
    """Move a project to the other workspace."""
    [other] = [row.id for row in world.workspaces(at) if row.id != from_id]
    world.move_project(project_id, other, at=at)
    return at, other


async def backfill(running: Bench) -> None:
    """Read every day that is missing, from before the exporter began on."""
    known = frozenset((row.database_key, row.day) for row in await running.days() if row.unchanged_since_at is not None)
    first, last = date(2026, 8, 1), running.clock.now.date() - ONE_DAY
    todo = plan_backfill(running.databases.values(), from_day=first, to_day=last, known=known)
    by_workspace = defaultdict(list)
    for read in todo.reads:
        by_workspace[read.workspace_id].append(read)
    for id_, reads in by_workspace.items():
        plan = Plan(groups=tuple((read,) for read in reads), deferred=0, next_due_at=running.clock.now)
        report = await running.collector.read(id_, plan)
        assert (report.is_stored, report.failures) == (True, 0)


async def check(running: Bench, world: World, database_id: str, was_in: Held, read_at: Sequence[datetime]) -> None:
    found = await running.collector.in_store(lambda store: list(store.violations(running.clock.now)))
    assert not found, found
    stored = await running.stored()
    assert stored.workspaces == running.ledger_state.workspaces
    state = stored.databases[database_id]
    ids = {row.key: id_ for id_, row in stored.workspaces.items()}
    rows = {row.day: row for row in await running.days(database_id)}
    doubtful = set()
    for day, row in rows.items():
        if state.unplaced_moves(day, day):
            # In doubt is only what nobody could know: no reading of the day or after it came before the move was found.
            [event] = [move for move in state.moves if move.unplaced_days[0] <= day < move.unplaced_days[1]]
            assert not any(day <= at.date() and at < event.at for at in read_at), day
            doubtful.add(day)
        else:
            assert ids[row.workspace_key] in holders(was_in, day), day
    month = month_start(min(map(day_start, rows)))
    while month <= running.clock.now:
        until = min(running.clock.now, next_month_start(month) - ONE_SECOND)
        held = await running.collector.in_store(partial(Store.load, now=until))
        check_month(held, world, database_id, was_in, until, doubtful)
        month = next_month_start(month)


def check_month(
    held: LedgerState, world: World, database_id: str, was_in: Held, until: datetime, doubtful: set[date]
) -> None:
    """A month that is called whole has every day that was that workspace's, and none of the other's."""
    first = month_start(until).date()
    days = [first + ahead * ONE_DAY for ahead in range((until.date() - first).days)]
    if until.date() < (until + ONE_SECOND).date():
        days.append(until.date())
    ids = {row.key: id_ for id_, row in held.workspaces.items()}
    shares = {ids[key]: used[database_id] for key, used in used_in_month(held, until).items() if database_id in used}
    is_in_doubt = any(day in doubtful for day in days)
    for workspace_id in ids.values():
        usage = shares.get(workspace_id)
        if usage is not None and usage.are_operations_known:
            assert not is_in_doubt
            least = most = 0
            for day in days:
                of_day = world.operations(database_id, day_start(day), day_start(day) + ONE_DAY)
                its = holders(was_in, day)
                most += of_day if workspace_id in its else 0
                least += of_day if its == {workspace_id} else 0
            today = world.operations(database_id, day_start(until.date()), until) if until.date() not in days else 0
            assert least <= usage.known_operations <= most + today, (first, workspace_id)
        elif is_in_doubt:
            assert usage is not None, "a month of which it is not known is left out"
        else:
            assert usage is None or until.date() not in days, "every day was read"


def holders(held: Held, day: date) -> set[str]:
    """The workspaces that held it on a day: two on the day of a move, which either may count."""
    begins_at, ends_at = day_start(day), day_start(day) + ONE_DAY
    before = [id_ for at, id_ in held if at <= begins_at][-1]
    return {before, *(id_ for at, id_ in held if begins_at < at < ends_at)}
