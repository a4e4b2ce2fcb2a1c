"""Let the ledger of a demo live through the past of a simulated world: the same rounds, without a network."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from pydantic import SecretStr

from prisma_postgres_exporter.config import Config, Credential, Tokens
from prisma_postgres_exporter.ledger.backfill import plan_backfill
from prisma_postgres_exporter.ledger.plan import Plan
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service.opening import opened
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor

BACKFILLED_DAYS = timedelta(days=92)
LIVED = timedelta(days=4)
ROUND_EVERY = timedelta(hours=7)
LAST_ROUNDS = timedelta(hours=2)
PAST_ROUNDS = 20
"""At most so many rounds at one instant, for days of the past that are due all together."""


async def live_through_the_past(vendor: Vendor, config: Config, *, now: datetime) -> None:
    """Fill an empty store as three months of running would have: days, revisions, settled days and events."""
    clock = ManualClock((now - LIVED).replace(microsecond=0))
    tokens = Tokens(
        credentials=tuple(
            Credential(name=workspace_id, token=SecretStr(token)) for token, workspace_id in vendor.world.tokens.items()
        )
    )
    async with opened(
        config,
        clock=clock,
        make_api=lambda credential, _: DirectApi(vendor, clock, credential.token.get_secret_value()),
        tokens=tokens,
    ) as running:
        collector = running.collector
        for name in collector.readers.unidentified:
            workspace_id = await collector.identify(name)
            if workspace_id is not None:
                await collector.discover(workspace_id)
                await _backfill(collector, workspace_id)
        while clock.now < now:
            await asyncio.gather(*(_round(collector, id_) for id_ in tuple(collector.turns)))
            # Then as often as in life, so that what was revised meanwhile is found and put right.
            at = clock.now
            clock.now = max(at + config.poll.interval, min(at + ROUND_EVERY, now - LAST_ROUNDS))


async def _round(collector: Collector, workspace_id: str) -> None:
    for _ in range(PAST_ROUNDS):
        report = await collector.round(workspace_id)
        if report.next_at > collector.now():
            return


async def _backfill(collector: Collector, workspace_id: str) -> None:
    today = collector.now().date()
    todo = plan_backfill(
        collector.ledger_state.workspaces[workspace_id].databases.values(),
        from_day=today - BACKFILLED_DAYS,
        to_day=today - timedelta(days=1),
        known=(),
    )
    groups = tuple((read,) for read in todo.reads)
    await collector.read(workspace_id, Plan(groups=groups, deferred=0, next_due_at=collector.now()))
