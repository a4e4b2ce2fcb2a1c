"""Let the ledger of a demo live through the past of a simulated world: the same rounds, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic import SecretStr

from prisma_postgres_exporter.config import Config, Credential, Tokens
from prisma_postgres_exporter.ledger.backfill import plan_backfill
from prisma_postgres_exporter.ledger.plan import Plan, PlannedRead, Planner
from prisma_postgres_exporter.model import DatabaseState, day_start, month_start, next_month_start
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service.opening import opened
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor

CLOSELY = timedelta(days=3)
"""For so long before the end there are rounds as often as here."""

HOURS = (2, 8, 14, 20)
WINDOWS_SINCE = timedelta(hours=8)
"""For so long before the end rolling windows are read too."""

BESIDE = timedelta(minutes=2)
"""So long before a database goes it is read, and so long after it came or went that is seen: what goes, twice."""

OVER_FOR = timedelta(minutes=70)
"""So soon after a day's end what is known of its storage is not all."""

PAST_ROUNDS = 20
"""At most so many rounds at one instant, for what is due all together."""

ONE_MINUTE = timedelta(minutes=1)
ONE_HOUR = timedelta(hours=1)
ONE_DAY = timedelta(days=1)


@dataclass(slots=True)
class Visit:
    """At one instant: the workspaces that have a round, those that are looked at, and the databases read alone."""

    rounds: set[str] = field(default_factory=set)
    looks: set[str] = field(default_factory=set)
    databases: set[str] = field(default_factory=set)


async def live_through_the_past(vendor: Vendor, config: Config, *, since: datetime, now: datetime) -> None:
    """Fill an empty store as an exporter would have that saw the world since `since` and ran without a pause of late.

    Before, it had a round on each month's last day, and saw every database come and go; the days in between it read
    later, as `backfill` does.
    """
    clock = ManualClock(since.replace(microsecond=0))
    tokens = Tokens(
        credentials=tuple(
            Credential(name=workspace_id, token=SecretStr(token)) for token, workspace_id in vendor.world.tokens.items()
        )
    )
    # What a rolling window was is not kept: the newest are enough.
    patient = config.model_copy(update={"poll": config.poll.model_copy(update={"windows": ()})})
    async with opened(
        patient,
        clock=clock,
        make_api=lambda credential, *_: DirectApi(vendor, clock, credential.token.get_secret_value()),
        tokens=tokens,
        is_lasting=False,
    ) as running:
        collector = running.collector
        await asyncio.gather(*map(collector.identify, tuple(collector.readers.unidentified)))
        # Days of a month that is over are not read once more when they are read first.
        caught_up_at = _whole_seconds(max(now - CLOSELY, month_start(now) + (now - day_start(now.date())) / 3))
        visits = _visits(vendor, clock.now, now)
        visits.setdefault(caught_up_at, Visit()).rounds.update(vendor.world.registry.workspaces)
        for at, visit in sorted(visits.items()):
            clock.now = at
            for turn in collector.turns.values():
                if turn.discovered_at is not None:
                    # In between it looked all the time, and nothing was new: what came or went has a visit.
                    turn.discovered_at = at - config.discovery.interval
            if at >= now - WINDOWS_SINCE and collector.config is patient:
                collector.reconfigure(config)
            await asyncio.gather(*(collector.discover(id_) for id_ in visit.looks - visit.rounds))
            await asyncio.gather(*(_round(collector, id_, is_only_one=at <= caught_up_at) for id_ in visit.rounds))
            states = collector.ledger_state.databases.values()
            alone = [row for row in states if row.database.id in visit.databases]
            await _read_now(collector, alone)
            if at <= caught_up_at:
                await _catch_up(collector, states if at == caught_up_at else alone, since)


def _visits(vendor: Vendor, since: datetime, now: datetime) -> dict[datetime, Visit]:
    visits: dict[datetime, Visit] = {}

    def visit(at: datetime) -> Visit:
        return visits.setdefault(_whole_seconds(at), Visit()) if since <= at < now else Visit()

    broken_since = vendor.behaviour.broken_since.values()
    # Once more than an interval apart, so that the second one is due.
    broken = [beside for at in broken_since for beside in (at - ONE_MINUTE, at + 6 * ONE_MINUTE)]
    for at in (since, *_month_ends(since, now), *_of_late(now), *broken):
        visit(at).rounds.update(vendor.world.registry.workspaces)
    for change in vendor.world.changes(since, now):
        visit(change.at + BESIDE).looks.add(change.workspace_id)
        if change.is_deletion:
            visit(change.at + 2 * BESIDE).looks.add(change.workspace_id)
            # At the day's beginning too: a storage level counts from when it was read.
            for at in (day_start(change.at.date()) + ONE_MINUTE, change.at - BESIDE):
                visit(at).databases.add(change.database_id)
        elif change.at.date() == now.date():
            visit(change.at + BESIDE).databases.add(change.database_id)
    return visits


def _month_ends(since: datetime, now: datetime) -> Iterator[datetime]:
    """So that it is known by which plan each month is charged."""
    at = next_month_start(since)
    while at < now:
        yield at - ONE_HOUR
        at = next_month_start(at)


def _of_late(now: datetime) -> Iterator[datetime]:
    day = day_start((now - CLOSELY).date())
    while day < now:
        yield from (day + hour * ONE_HOUR for hour in HOURS)
        day += ONE_DAY
    # Early today, and just now.
    yield now - (now - day_start(now.date())) * 2 / 3
    yield now - timedelta(seconds=1)


async def _round(collector: Collector, workspace_id: str, *, is_only_one: bool) -> None:
    for _ in range(PAST_ROUNDS):
        report = await collector.round(workspace_id, is_only_one=is_only_one)
        if is_only_one or report.next_at > collector.now():
            return


async def _read_now(collector: Collector, states: Iterable[DatabaseState]) -> None:
    for state in states:
        workspace = collector.ledger_state.workspaces[state.database.workspace_id]
        plan = Planner(collector.config.poll).plan(
            workspace, followed={state.database.id}, attempts={}, budget=None, now=collector.now()
        )
        await collector.read(workspace.workspace.id, plan)


async def _catch_up(collector: Collector, states: Iterable[DatabaseState], since: datetime) -> None:
    """Read what is missing of the days that are over for a while, and settle it at once."""
    # Those that were read too: so they are settled, and need no second look.
    there = [
        replace(row, known_until=row.begins_on - ONE_DAY, recent_days=()) for row in states if row.deleted_at is None
    ]
    todo = plan_backfill(there, from_day=since.date(), to_day=(collector.now() - ONE_DAY - OVER_FOR).date(), earlier=())
    by_workspace: dict[str, list[PlannedRead]] = {}
    for read in todo.reads:
        by_workspace.setdefault(read.workspace_id, []).append(read)
    config = collector.config
    poll = config.poll.model_copy(update={"settle_after": timedelta(0)})
    collector.reconfigure(config.model_copy(update={"poll": poll}))
    for workspace_id, reads in by_workspace.items():
        groups = tuple((read,) for read in reads)
        await collector.read(workspace_id, Plan(groups=groups, deferred=0, next_due_at=collector.now()))
    collector.reconfigure(config)


def _whole_seconds(at: datetime) -> datetime:
    return at.replace(microsecond=0)
