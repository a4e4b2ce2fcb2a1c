"""What a running service shows of days that a backfill beside it read: they are in its forecast, without a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from constant_life import POLL, Given, backfill, follow

from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.expose import ExporterHealth, Exposition
from prisma_postgres_exporter.model import Window, WindowKind, day_start
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service.display import Display
from prisma_postgres_exporter.service.opening import api_maker
from prisma_postgres_exporter.store import Store

GIVEN = Given(per_day=lambda _: 1_000_000, storage_bytes=(2**30,))
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


async def test_the_forecast_of_a_running_service_is_made_of_what_a_backfill_read(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    # Of this month only today is answered: no forecast of operations can be made of that.
    follow(url, GIVEN, [NOW], days_from=NOW.date())
    clock = [NOW]
    with closing(Store.open(url)) as store, ThreadPoolExecutor(1) as threads:
        health = ExporterHealth()
        config = load_config(store_url=url, environ={})
        collector = Collector(
            config=config,
            store=store,
            health=health,
            clock=lambda: clock[0],
            store_threads=threads,
            make_api=api_maker(health),
        )
        display = Display(collector, Exposition(health), health, lambda: clock[0])
        await collector.open()
        await display.refresh()
        before = display.costs.workspaces["wksp_1"].expected_operations

        assert backfill(url, GIVEN, date(2026, 10, 1), date(2026, 11, 2), NOW) == 33
        clock[0] += timedelta(minutes=5)
        today = Window(kind=WindowKind.DAY, name="day", start_at=day_start(NOW.date()), end_at=clock[0])
        # The service's next write notices that the workspace was written beside it.
        await collector.ledger.record(
            "wksp_1", [GIVEN.reading("db_1", today, clock[0])], settle_after=POLL.settle_after
        )
        await display.refresh()
        after = display.costs.workspaces["wksp_1"].expected_operations
        shown = display.snapshot.workspaces[0].cost

    assert before is None
    assert after is not None
    assert after.expected == 30_000_000
    assert shown is not None
    assert shown.expected_operations == after
