"""Whole rounds on both stores: the real client, the simulated vendor over HTTP, and a clock that is moved by hand."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from longer import BOTH_ENGINES
from prisma_postgres_exporter.api import Usage
from prisma_postgres_exporter.config.values import rolling_windows
from prisma_postgres_exporter.model import EventKind, day_start
from prisma_postgres_exporter.simulator import (
    DirectApi,
    Fault,
    FaultKind,
    ManualClock,
    VendorBehaviour,
    serve_simulator,
)
from rounds_bench import bench, configuration, http_bench, small_vendor, tokens_of

BEGINS_AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.fixture(params=BOTH_ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        assert isinstance(url, str)
        return url
    return f"sqlite:///{tmp_path / 'ledger.db'}"


async def test_over_days_the_ledger_equals_the_truth_however_late_and_revised_the_vendor_is(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    behaviour = VendorBehaviour(
        known_after=timedelta(minutes=50),
        known_every=timedelta(minutes=30),
        revised_share=0.5,
        revised_by=0.2,
        revised_for=timedelta(hours=5),
    )
    vendor = small_vendor(clock, behaviour=behaviour)
    async with http_bench(store_url, vendor, clock) as running:
        totals: dict[str, int] = {}
        for _ in range(4 * 24):
            await running.round(discover=clock.now.hour % 6 == 0)
            for id_, state in running.databases.items():
                assert state.operations_total >= totals.get(id_, 0)
                totals[id_] = state.operations_total
            clock.advance(timedelta(hours=1))

        month_start, today = datetime(2026, 11, 1, tzinfo=UTC), day_start(clock.now.date())
        ledger_state = running.ledger_state
        assert len(ledger_state.databases) == 4
        for id_, state in ledger_state.databases.items():
            database = vendor.world.database(id_, clock.now)
            assert database is not None
            days = {row.day: row for row in await running.days(id_)}
            closed = [row for row in days.values() if row.day < (today - timedelta(days=1)).date()]
            begins = max(month_start, day_start(database.created_at.date()))
            assert min(days) == begins.date()
            assert all(row.settled_at is not None for row in closed)
            for row in closed:
                assert row.operations == vendor.world.operations(
                    id_, day_start(row.day), day_start(row.day) + timedelta(days=1)
                )
            (month,) = [row for row in state.months if row.month == month_start.date()]
            assert month.days_operations == sum(row.operations for row in days.values() if row.day.month == 11)
            assert state.operations_total == sum(row.operations_high for row in days.values() if row.is_counted)


async def test_a_second_round_at_the_same_instant_reads_nothing_and_changes_nothing(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    async with http_bench(store_url, vendor, clock) as running:
        for _ in range(10):
            await running.round()
        ledger_state, asked = running.ledger_state, vendor.requests["usage"]

        await running.round()

        assert vendor.requests["usage"] == asked
        assert running.databases == ledger_state.databases


@pytest.mark.slow
async def test_what_is_in_memory_is_what_is_stored(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock, behaviour=VendorBehaviour(revised_share=0.5))
    async with http_bench(store_url, vendor, clock) as running:
        for _ in range(20):
            await running.round()
            clock.advance(timedelta(hours=3))
        clock.advance(-timedelta(hours=3))

        stored = await running.stored()
        assert stored.workspaces.keys() == running.ledger_state.workspaces.keys()
        for id_, workspace in running.ledger_state.workspaces.items():
            assert asdict(stored.workspaces[id_]) == asdict(workspace)
        for id_, state in running.databases.items():
            assert asdict(stored.databases[id_]) == asdict(state)


async def test_a_restart_shows_the_same_snapshot_before_the_vendor_is_asked(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    async with serve_simulator(vendor.app) as url:
        config, tokens = configuration(store_url, api_url=url), tokens_of(vendor.world)
        async with bench(config, clock, tokens) as first:
            await first.round()
            before = data_lines(first.text())
        asked = sum(vendor.requests.values())
        async with bench(config, clock, tokens) as second:
            after = data_lines(second.text())

        assert sum(vendor.requests.values()) == asked
        assert [line for line in before if "_workspace_up" not in line] == after


def data_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("prisma_postgres_database", "prisma_postgres_work"))]


async def test_at_the_months_end_last_months_numbers_are_never_shown_as_this_months(store_url: str) -> None:
    clock = ManualClock(datetime(2026, 11, 30, 23, 50, tzinfo=UTC))
    vendor = small_vendor(clock)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        assert "prisma_postgres_database_month_to_date_operations{" in running.text()

        clock.now = datetime(2026, 12, 1, tzinfo=UTC)
        await running.display.refresh()
        assert "prisma_postgres_database_month_to_date_operations{" not in running.text()

        clock.now = datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)
        await running.round()
        for view in running.snapshot.databases:
            november = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
            assert view.previous_month_operations == vendor.world.operations(view.database_id, *november)
            assert view.month_to_date_operations == vendor.world.operations(view.database_id, november[1], clock.now)


async def test_created_renamed_moved_and_deleted_databases_are_noticed_once(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock, databases=8)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        renamed, deleted, other = vendor.world.databases(clock.now)[:3]
        target = next(row.id for row in vendor.world.workspaces(clock.now) if row.id != other.workspace_id)
        clock.advance(timedelta(minutes=10))
        vendor.world.rename_database(renamed.id, "another", at=clock.now)
        vendor.world.delete_database(deleted.id, at=clock.now)
        vendor.world.move_project(other.project_id, target, at=clock.now)

        await running.round()
        await running.round()

        events = [(event.kind, event.subject_id) for event in await running.events() if event.subject == "database"]
        assert events.count((EventKind.RENAMED, renamed.id)) == 1
        assert events.count((EventKind.DELETED, deleted.id)) == 1
        moved = [row.id for row in vendor.world.databases(clock.now) if row.project_id == other.project_id]
        assert sorted(id_ for kind, id_ in events if kind is EventKind.MOVED) == sorted(moved)
        assert f'database_id="{deleted.id}"' not in running.text()
        assert f'workspace_id="{target}",project_id="{other.project_id}"' in running.text()


async def test_a_deleted_database_stays_in_its_workspaces_month(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        before = {view.workspace_id: view.month_to_date_operations for view in running.snapshot.workspaces}
        for database in vendor.world.databases(clock.now):
            vendor.world.delete_database(database.id, at=clock.now)

        await running.round()

        after = {view.workspace_id: view.month_to_date_operations for view in running.snapshot.workspaces}
        assert after == before
        assert running.snapshot.databases == ()


async def test_a_database_that_fails_keeps_its_values_for_a_bounded_time(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        failing = vendor.world.databases(clock.now)[0].id
        vendor.faults.add(Fault(kind=FaultKind.NOT_FOUND, call="usage", database_id=failing))
        before = running.views[failing]

        clock.advance(timedelta(minutes=10))
        await running.round()
        kept = running.views[failing]
        assert (kept.is_up, kept.failure_reason) == (False, "http_404")
        assert kept.operations_total == before.operations_total
        assert kept.last_success_at == before.last_success_at

        clock.advance(timedelta(days=1))
        await running.round()
        gone = running.views[failing]
        assert (gone.is_up, gone.operations_total, gone.storage_bytes) == (False, None, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.NEGATIVE,
        FaultKind.NAN,
        FaultKind.HUGE,
        FaultKind.TEXT_NUMBER,
        FaultKind.WRONG_UNIT,
        FaultKind.OTHER_PERIOD,
        FaultKind.WRONG_JSON,
        FaultKind.HTML,
    ],
)
async def test_an_absurd_answer_is_a_counted_failure_and_changes_nothing_stored(
    kind: FaultKind, tmp_path: Path
) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", vendor, clock) as running:
        await running.round()
        days = await running.days()
        vendor.faults.add(Fault(kind=kind, call="usage"))
        clock.advance(timedelta(minutes=10))

        await running.round()

        assert await running.days() == days
        assert all(view.is_up is False for view in running.snapshot.databases)
        assert "prisma_postgres_exporter_reading_failures_total{" in running.text()


async def test_a_widened_window_is_shown_as_such(tmp_path: Path) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock, behaviour=VendorBehaviour(widens=True))
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", vendor, clock) as running:
        await running.round()

        shown = {
            window: f'prisma_postgres_exporter_window_widened{{window="{window}"}}' for window in ("24h", "7d", "day")
        }
        assert f"{shown['24h']} {len(running.views)}.0" in running.text()
        assert f"{shown['day']} 0.0" in running.text()

        config = running.collector.config
        poll = config.poll.model_copy(update={"windows": rolling_windows(("7d",))})
        running.collector.reconfigure(config.model_copy(update={"poll": poll}))
        await running.display.refresh()
        assert shown["24h"] not in running.text()
        assert shown["7d"] in running.text()


async def test_one_odd_database_widens_its_own_windows_only(tmp_path: Path) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    odd = vendor.world.databases(BEGINS_AT)[0].id

    class OddApi(DirectApi):
        async def usage(
            self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
        ) -> Usage:
            said = await super().usage(database_id, start_at=start_at, end_at=end_at)
            return replace(said, period_start_at=day_start(said.period_start_at.date())) if database_id == odd else said

    async with bench(
        configuration(f"sqlite:///{tmp_path / 'ledger.db'}"),
        clock,
        tokens_of(vendor.world),
        make_api=lambda credential, *_: OddApi(vendor.vendor, clock, credential.token.get_secret_value()),
    ) as running:
        for _ in range(4):
            await running.round()
            assert 'prisma_postgres_exporter_window_widened{window="24h"} 1.0' in running.text()
            clock.advance(timedelta(minutes=20))


@pytest.mark.slow
async def test_two_processes_on_one_store_count_nothing_twice(store_url: str) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    async with serve_simulator(vendor.app) as url:
        config, tokens = configuration(store_url, api_url=url), tokens_of(vendor.world)
        async with bench(config, clock, tokens) as one, bench(config, clock, tokens) as other:
            for _ in range(6):
                await one.round()
                clock.advance(timedelta(minutes=5))
                await other.round()
                clock.advance(timedelta(minutes=5))

            for id_, state in (await one.stored()).databases.items():
                counted = [row for row in await one.days(id_) if row.is_counted]
                assert state.operations_total == sum(row.operations_high for row in counted)
                since = day_start(min(row.day for row in counted))
                assert state.operations_total == vendor.world.operations(id_, since, clock.now - timedelta(minutes=5))


@pytest.mark.parametrize("stopped", [timedelta(hours=1), timedelta(days=1), timedelta(days=33)], ids=str)
async def test_after_a_stop_the_counter_catches_up_by_exactly_what_happened_in_between(
    stopped: timedelta, store_url: str
) -> None:
    clock = ManualClock(BEGINS_AT)
    vendor = small_vendor(clock)
    async with serve_simulator(vendor.app) as url:
        config, tokens = configuration(store_url, api_url=url), tokens_of(vendor.world)
        async with bench(config, clock, tokens) as first:
            await first.round()
            before = {id_: row.operations_total for id_, row in first.databases.items()}
        clock.advance(stopped)
        async with bench(config, clock, tokens) as second:
            await second.round()
            for id_, state in second.databases.items():
                used = vendor.world.operations(id_, BEGINS_AT, clock.now)
                assert state.operations_total - before[id_] == used
            days = {row.day for row in await second.days()}
            assert len(days) == (clock.now.date() - min(days)).days + 1
