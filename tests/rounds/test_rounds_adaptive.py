"""An adaptive plan in real rounds, over HTTP, before a vendor that publishes once in an hour."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from prisma_postgres_exporter.config import CostConfig, WorkspaceConfig
from prisma_postgres_exporter.cost.limits import is_limit_near
from prisma_postgres_exporter.ledger.attention import period_of
from prisma_postgres_exporter.service.status import describe
from prisma_postgres_exporter.simulator import ManualClock, VendorBehaviour
from prisma_postgres_exporter.store import Store
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


@pytest.mark.slow
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


def own(running: Bench, name: str, **labels: str) -> float | None:
    """A metric of the exporter's own, `None` where it is absent."""
    families = text_string_to_metric_families(running.text())
    samples = (sample for family in families for sample in family.samples)
    name = f"prisma_postgres_exporter_{name}"
    return next((sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)), None)


@pytest.mark.slow
async def test_what_was_learned_is_shown_by_workspace_with_what_it_saves(tmp_path: Path) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(
        clock, behaviour=VendorBehaviour(published_every=timedelta(hours=1)), workspaces=1, databases=3
    )
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with http_bench(url, vendor, clock, adaptive=True, windows=()) as running:
        (workspace_id,) = vendor.world.tokens.values()
        await running.rounds()
        assert own(running, "publication_period_seconds", workspace_id=workspace_id) is None
        assert own(running, "reading_age_bound_seconds", workspace_id=workspace_id) == 90 * 60
        await running.live(timedelta(hours=6), every=STEP)

        made, saved = (
            own(running, "open_day_readings_total", workspace_id=workspace_id, outcome=outcome)
            for outcome in ("made", "saved")
        )
        assert own(running, "publication_period_seconds", workspace_id=workspace_id) == 3_600
        # In every interval each would have been read once.
        assert made is not None
        assert saved is not None
        assert made + saved == pytest.approx(3 * timedelta(hours=6) / STEP, rel=0.1)
        assert saved > made
        (shown,) = describe(
            running.collector, running.display, started_at=BEGINS_AT, is_ready=True, now=clock.now, time=0.0
        ).rounds
        assert shown.learned is not None
        assert shown.learned.next_at is not None
        assert shown.learned.saved_share == pytest.approx(saved / (made + saved))
        assert clock.now < shown.learned.next_at <= clock.now + timedelta(hours=1)

        with closing(Store.open_to_read(url)) as store:
            moves = store.open_day_moves(BEGINS_AT)
        assert period_of(moves.by_workspace[workspace_id].values(), STEP) == timedelta(hours=1)

        # Without it nothing of it is shown.
        config = running.collector.config
        running.collector.reconfigure(
            config.model_copy(update={"poll": config.poll.model_copy(update={"adaptive": False})})
        )
        await running.rounds()
        assert own(running, "publication_period_seconds", workspace_id=workspace_id) is None
        assert own(running, "reading_age_bound_seconds", workspace_id=workspace_id) is None


def test_a_limit_is_near_for_a_day_before_it_and_after() -> None:
    hours = timedelta(hours=1)
    assert is_limit_near((("spend_limit", BEGINS_AT + 23 * hours),), BEGINS_AT)
    assert is_limit_near((("free_operations", BEGINS_AT - 23 * hours),), BEGINS_AT)
    assert not is_limit_near((("free_operations", BEGINS_AT + 25 * hours),), BEGINS_AT)
    assert not is_limit_near((), BEGINS_AT)
