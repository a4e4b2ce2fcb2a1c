"""What the running service tells of itself: a counter for each failure, and a line an interval in its log."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from test_service_schedule import MovedClock, run_beside, until

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.errors import StoreUnavailable
from prisma_postgres_exporter.service import Service, summary
from prisma_postgres_exporter.service.costs import CostKeeper
from prisma_postgres_exporter.simulator import ManualClock, serve_simulator
from prisma_postgres_exporter.store import Store
from rounds_bench import bench, configuration, small_vendor, tokens_of

OWN = "prisma_postgres_exporter_"
QUIET_LINES = 5
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def counted(running: Service, name: str, **labels: str) -> float:
    value = running.health._registry.get_sample_value(f"{OWN}{name}", labels)
    return value or 0.0


async def test_a_fault_of_a_job_is_counted_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_job(running: Service) -> None:
        async def broken(self: CostKeeper) -> None:
            raise ValueError("nobody foresaw it")

        with monkeypatch.context() as patched:
            patched.setattr(CostKeeper, "keep", broken)
            running._scheduler.modify_job("costs", func=running._costs.keep, next_run_time=running._clock())
            await until(lambda: counted(running, "faults_total", part="costs") == 1)

    await run_beside(tmp_path / "ledger.db", MovedClock(), break_job)


async def test_a_store_that_cannot_be_read_is_counted_whoever_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_store(running: Service) -> None:
        def broken(self: Store, *_: object) -> None:
            raise StoreUnavailable("it does not answer")

        before = counted(running, "store_errors_total")
        with monkeypatch.context() as patched:
            patched.setattr(Store, "load_newer", broken)
            with pytest.raises(StoreUnavailable):
                await running.running.collector.catch_up()
        with monkeypatch.context() as patched:
            patched.setattr(Store, "costs", broken)
            await running._costs.keep()
        assert counted(running, "store_errors_total") >= before + 2

    await run_beside(tmp_path / "ledger.db", MovedClock(), break_store)


async def test_a_database_that_the_ledger_cannot_take_is_counted_and_the_others_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = small_vendor(ManualClock(NOON), workspaces=1, databases=3)
    assert isinstance(vendor.clock, ManualClock)
    broken = vendor.world.databases(vendor.clock())[0].id
    post = ledger.post

    def failing(workspace: object, outcomes: list[object], **rest: object) -> object:
        if any(getattr(outcome, "database_id", "") == broken for outcome in outcomes):
            raise ZeroDivisionError
        return post(workspace, outcomes, **rest)  # type: ignore[arg-type]  # it is passed on as it came

    async with serve_simulator(vendor.app) as url:
        config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", api_url=url)
        async with bench(config, vendor.clock, tokens_of(vendor.world)) as running:
            await running.round()
            monkeypatch.setattr(ledger, "post", failing)
            vendor.clock.advance(timedelta(minutes=6))
            await running.round()
            assert re.search(rf'{OWN}reading_failures_total{{reason="unforeseen"}} [1-9]', running.text())
            fresh = {id_: view.last_success_at == vendor.clock.now for id_, view in running.views.items()}
    assert {id_ for id_, is_fresh in fresh.items() if not is_fresh} == {broken}


async def test_a_quiet_service_writes_one_line_an_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "SHORTEST", timedelta(seconds=1))
    seen: list[Mapping[str, object]] = []

    async def listen(running: Service) -> None:
        await until(lambda: bool(running.running.display.snapshot.databases))
        with capture_logs() as logs:
            await until(lambda: [row["event"] for row in logs].count("collected") > QUIET_LINES)
        seen.extend(row for row in logs if row["log_level"] != "debug")

    await run_beside(tmp_path / "ledger.db", MovedClock(), listen)

    first = next(number for number, row in enumerate(seen) if row["event"] == "collected")
    assert {row["event"] for row in seen[first:]} == {"collected"}
    for row in seen[first + 1 :]:
        assert row.items() >= {"failing": 0, "failed_readings": 0}.items()
        assert row["databases"]
    assert sum(int(str(row["readings"])) for row in seen[first + 1 :]) > 0


async def test_an_hour_in_which_nothing_happens_writes_nothing_else(tmp_path: Path) -> None:
    vendor = small_vendor(ManualClock(NOON), workspaces=2, databases=6)
    assert isinstance(vendor.clock, ManualClock)
    async with serve_simulator(vendor.app) as url:
        config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", api_url=url)
        async with bench(config, vendor.clock, tokens_of(vendor.world)) as running:
            await running.round()
            with capture_logs() as logs:
                await running.live(timedelta(hours=1), every=timedelta(minutes=5))
    assert [row for row in logs if row["log_level"] != "debug"] == []
    assert any(row["event"] == "round finished" for row in logs)
