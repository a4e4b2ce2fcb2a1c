"""What is shown of costs: worked out as often as it is cheap, and at once where an old number would be wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from prisma_postgres_exporter.config import Config, load_config
from prisma_postgres_exporter.cost import Costs, charge, used_in_month
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format
from prisma_postgres_exporter.expose.cap import OWN_SERIES
from prisma_postgres_exporter.expose.visible import visible_ledger
from prisma_postgres_exporter.model import WorkspaceDay
from prisma_postgres_exporter.report import MonthCosts
from prisma_postgres_exporter.service import LedgerReader, display
from prisma_postgres_exporter.simulator import ManualClock
from prisma_postgres_exporter.store import Store
from rounds_bench import Bench, http_bench, small_vendor

LAST_DAY = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A store of which all is read and shown; to work out its costs took so long that it is dear for weeks."""
    clock = ManualClock(LAST_DAY)
    vendor = small_vendor(clock)
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", vendor, clock) as bench:
        await bench.round()
        clock.advance(timedelta(minutes=10))
        await bench.rounds()
        monkeypatch.setattr(display, "COSTS_SHARE_OF_TIME", 1e-9)
        monkeypatch.setattr(display, "COSTS_BURST_SECONDS", 0.0)
        yield bench


def priced(running: Bench, path: Path, included_operations: int) -> Config:
    """The configuration with a price of each workspace's own."""
    prices = {
        "plan": "own",
        "version": "1",
        "from": "2026-01-01",
        "fee_usd": 3,
        "included_operations": included_operations,
        "included_storage": "10GiB",
        "usd_per_million_operations": 1,
        "usd_per_gib_month": 1,
    }
    workspaces = [{"workspace": id_, "prices": prices} for id_ in running.ledger_state.workspaces]
    path.write_text(yaml.safe_dump({"cost": {"workspaces": workspaces}}))
    changed = load_config(config_path=str(path), environ={})
    return running.collector.config.model_copy(update={"cost": changed.cost})


async def test_costs_are_told_where_the_days_are_behind_what_was_read(
    running: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade days that were read a moment ago would be charged for, whenever they were."""
    told: list[bool] = []

    def noted(*given: Any, are_days_behind: bool) -> Costs:
        told.append(are_days_behind)
        return charge(*given, are_days_behind=are_days_behind)

    monkeypatch.setattr(display, "charge", noted)
    shown, held, now = running.display, running.ledger_state, running.clock.now
    for more in (0, 1):
        assert shown._days_read is not None
        what, known_days = shown._days_read.news
        shown._days_read = replace(shown._days_read, news=(what, known_days - more))
        shown._charged = None
        shown._charge(held, running.collector.config, now, used_in_month(held, now))

    assert told == [False, True]


async def test_costs_that_are_dear_are_not_worked_out_for_every_drawing(running: Bench) -> None:
    before = running.display.costs
    running.clock.advance(timedelta(minutes=10))
    await running.rounds()

    assert running.display.costs is before
    # What is shown says of which instant they are, beside usage that is newer.
    assert running.snapshot.costs_at == before.worked_out_at
    assert before.worked_out_at is not None
    assert before.worked_out_at < running.snapshot.taken_at
    [line] = [
        line
        for line in running.text().splitlines()
        if line.startswith("prisma_postgres_exporter_costs_timestamp_seconds ")
    ]
    assert float(line.split()[1]) == before.worked_out_at.timestamp()
    assert {view.last_success_at for view in running.snapshot.databases} == {running.clock.now}


@pytest.mark.parametrize("is_bound", [False, True], ids=["everything", "bound user"])
async def test_all_money_of_a_page_is_of_one_instant(running: Bench, tmp_path: Path, is_bound: bool) -> None:
    collector = running.collector
    reader = LedgerReader(
        lambda: collector.config, running.clock, shown=lambda: running.display.month, patience_seconds=600
    )
    ledger = visible_ledger(reader, frozenset(running.ledger_state.workspaces) if is_bound else None)
    with closing(reader):
        for included in (10, 20):
            # What is read now is in the ledger before it is in the costs that are shown.
            running.clock.advance(timedelta(minutes=10))
            await running.rounds()
            taken = running.snapshot
            costs = await ledger.costs()

            assert isinstance(costs, MonthCosts)
            assert taken.costs_at is not None
            assert taken.costs_at < taken.taken_at
            assert costs.until == taken.costs_at
            bills = {line.workspace_id: line.bill for line in costs.lines if line.workspace_id}
            assert bills == {view.workspace_id: view.cost and view.cost.bill for view in taken.workspaces}
            assert costs.lines[0].beside.last_month_known_usd is not None
            collector.reconfigure(priced(running, tmp_path / "prices.yml", included))
            await running.display.refresh()


async def test_the_month_of_a_workspace_is_of_the_state_that_is_shown_though_its_costs_are_older(
    running: Bench,
) -> None:
    running.clock.advance(timedelta(minutes=10))
    await running.rounds()

    for workspace in running.snapshot.workspaces:
        own = [view for view in running.snapshot.databases if view.workspace_id == workspace.workspace_id]
        assert workspace.month_to_date_operations == sum(view.month_to_date_operations or 0 for view in own)


async def test_at_a_start_costs_are_of_what_is_shown_however_dear_the_first_ones_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages said "2 % of the storage's time" beside 97 %, and no operations beside millions, for half a minute."""
    monkeypatch.setattr(display, "COSTS_SHARE_OF_TIME", 1e-9)
    clock = ManualClock(LAST_DAY)
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", small_vendor(clock), clock) as bench:
        for _ in range(2):  # the first level of today comes with its second reading
            await bench.round()
            await bench.display.refresh()
            clock.advance(timedelta(minutes=10))

        charged = {
            id_: sum(usage.storage_seconds_known for usage in used.values())
            for id_, used in bench.display.costs.used.items()
        }
        assert charged == {view.workspace_id: view.usage.storage_seconds_known for view in bench.snapshot.workspaces}


async def test_a_price_that_changed_counts_with_the_next_drawing_however_dear_costs_are(
    running: Bench, tmp_path: Path
) -> None:
    for included in (1_234, 5_678):
        running.collector.reconfigure(priced(running, tmp_path / f"{included}.yaml", included))
        await running.display.refresh()

        shown = {view.cost.included_operations for view in running.snapshot.workspaces if view.cost is not None}
        assert shown == {included}


async def test_at_midnight_costs_are_of_the_new_month_however_dear_they_are(running: Bench) -> None:
    assert all(operations_charged(running))
    running.clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    await running.display.current()

    assert not any(operations_charged(running))


async def test_days_that_are_read_while_old_ones_are_charged_are_charged_next(
    running: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_charging, may_go_on = threading.Event(), threading.Event()
    charged: list[Sequence[WorkspaceDay]] = []

    def held_up(*arguments: Any, **named: Any) -> Costs:
        charged.append(arguments[2])
        is_charging.set()
        may_go_on.wait()
        return charge(*arguments, **named)

    in_store, are_read = running.collector.in_store, asyncio.Event()

    async def read(work: Callable[[Store], Any]) -> Any:
        found = await in_store(work)
        are_read.set()
        return found

    monkeypatch.setattr(display, "charge", held_up)
    monkeypatch.setattr(running.collector, "in_store", read)
    old = running.display.workspace_days
    running.clock.now = datetime(2026, 12, 1, tzinfo=UTC)
    scrape = asyncio.create_task(running.display.current())
    await asyncio.to_thread(is_charging.wait)
    refresh = asyncio.create_task(running.display.refresh())
    await are_read.wait()
    may_go_on.set()
    await asyncio.gather(scrape, refresh)

    assert charged[0] is old
    assert charged[-1] is running.display.workspace_days


def operations_charged(running: Bench) -> list[int]:
    """What of each database is in the costs."""
    return [
        usage.known_operations for by_database in running.display.costs.used.values() for usage in by_database.values()
    ]


@pytest.mark.slow
async def test_a_bound_on_series_is_held_in_the_exposition_and_told_once(tmp_path: Path) -> None:
    clock = ManualClock(LAST_DAY)
    vendor = small_vendor(clock, databases=60)
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", vendor, clock) as bench:
        await bench.round()
        config = bench.collector.config
        web = config.web.model_copy(update={"max_series": 1_000})
        bench.collector.reconfigure(config.model_copy(update={"web": web}))
        health = ExporterHealth()
        exposition = Exposition(health)
        with capture_logs() as logs:
            capping = display.Display(bench.collector, exposition, health, lambda: clock.now)
            await capping.refresh()
            await capping.refresh()

        text = exposition.body(Format.TEXT, is_gzip=False).joined().decode()
        samples = [line for line in text.splitlines() if not line.startswith("#")]
        assert len(samples) + OWN_SERIES > 900
        assert len(samples) <= 1_000
        assert sum(line.startswith("prisma_postgres_database_operations_total{") for line in samples) > 2
        [capped] = [line for line in samples if line.startswith("prisma_postgres_exporter_series_capped ")]
        kept = sum(line.startswith("prisma_postgres_database_info{") for line in samples)
        assert float(capped.split()[1]) == 60 - kept > 0
        assert [line["databases"] for line in logs if line["event"].startswith("series capped")] == [60 - kept]
        # A person sees every database.
        assert len(capping.snapshot.databases) == 60
        # What is pushed says since when the sum counts.
        sums = [view for view in capping.exposed.databases if view.database_id == "other"]
        assert [view.counting_since_at for view in sums] == [clock.now, clock.now]


async def test_a_bound_is_exceeded_where_more_is_shown_than_it_and_not_where_more_could_be(running: Bench) -> None:
    config = running.collector.config

    async def exceeded(most: int) -> tuple[int, list[int]]:
        """How much is shown, and what the log says is needed, of two refreshes."""
        web = config.web.model_copy(update={"max_series": most})
        running.collector.reconfigure(config.model_copy(update={"web": web}))
        health = ExporterHealth()
        exposition = Exposition(health)
        with capture_logs() as logs:
            capping = display.Display(running.collector, exposition, health, lambda: LAST_DAY)
            await capping.refresh()
            await capping.refresh()
        text = exposition.body(Format.TEXT, is_gzip=False).joined()
        shown = sum(not line.startswith(b"#") for line in text.splitlines())
        return shown, [line["needed"] for line in logs if line["event"].endswith("is too small and is exceeded")]

    shown, _ = await exceeded(1)
    assert await exceeded(shown - 1) == (shown, [shown])
    assert await exceeded(shown) == (shown, [])


async def test_the_first_levels_of_a_day_are_shown_with_the_second_readings(tmp_path: Path) -> None:
    clock = ManualClock(LAST_DAY)
    minute = timedelta(minutes=1)
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", small_vendor(clock), clock, interval=minute) as bench:
        await bench.round()
        assert all(days[-1].storage_bytes is None for days in bench.display.days_by_workspace.values())
        clock.advance(minute)
        await bench.rounds()
        assert all(days[-1].storage_bytes for days in bench.display.days_by_workspace.values())
