"""An adaptive plan in real rounds, over HTTP, before a vendor that publishes once in an hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from prisma_postgres_exporter.config import CostConfig, WorkspaceConfig
from prisma_postgres_exporter.cost.limits import is_limit_near
from prisma_postgres_exporter.simulator import ManualClock, VendorBehaviour
from rounds_bench import Bench, http_bench, small_vendor

STEP = timedelta(minutes=5)
BEGINS_AT = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOURLY = VendorBehaviour(known_after=timedelta(minutes=10), known_every=timedelta(hours=1))


async def read_in(running: Bench, span: timedelta) -> int:
    """How many open days are read in a span."""
    reads, until = 0, running.clock.now + span
    while running.clock.now < until:
        before = {id_: state.recent_days[-1].read_at for id_, state in running.databases.items()}
        running.clock.advance(STEP)
        await running.rounds()
        reads += sum(state.recent_days[-1].read_at > before[id_] for id_, state in running.databases.items())
    return reads


async def test_rounds_learn_the_rhythm_keep_it_through_a_reload_and_leave_it_near_a_limit(tmp_path: Path) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock, behaviour=HOURLY, workspaces=1, databases=3)
    async with http_bench(f"sqlite:///{tmp_path / 'a.db'}", vendor, clock, adaptive=True, windows=()) as running:
        await running.round()
        every_interval = len(running.databases) * (timedelta(hours=1) // STEP)
        await running.live(timedelta(hours=3), every=STEP)
        assert await read_in(running, timedelta(hours=2)) <= 0.25 * 2 * every_interval
        assert all(view.is_up for view in running.views.values())

        running.collector.reconfigure(running.collector.config)
        assert await read_in(running, timedelta(hours=1)) <= 0.25 * every_interval

        # What is not Postgres reaches the limit by itself.
        (workspace_id,) = running.ledger_state.workspaces
        own = WorkspaceConfig(
            workspace=workspace_id, plan="Pro", spend_limit_usd=Decimal("0.5"), other_usage_usd=Decimal(1)
        )
        config = running.collector.config
        running.collector.reconfigure(config.model_copy(update={"cost": CostConfig(workspaces=(own,))}))
        await running.rounds()
        assert await read_in(running, timedelta(hours=1)) >= 0.9 * every_interval


def test_a_limit_is_near_for_a_day_before_it_and_after() -> None:
    hours = timedelta(hours=1)
    assert is_limit_near((("spend_limit", BEGINS_AT + 23 * hours),), BEGINS_AT)
    assert is_limit_near((("free_operations", BEGINS_AT - 23 * hours),), BEGINS_AT)
    assert not is_limit_near((("free_operations", BEGINS_AT + 25 * hours),), BEGINS_AT)
    assert not is_limit_near((), BEGINS_AT)
