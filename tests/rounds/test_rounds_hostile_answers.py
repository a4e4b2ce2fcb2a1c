"""Whatever stands in one place of one answer is used or refused for that one: its neighbours stay exact and fresh."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from odd_vendor import MISSING, VALUES, OddVendor, Place, Victim, places

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.expose.pages.overview import status_page
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.service.doctor import examine
from prisma_postgres_exporter.service.status import describe
from prisma_postgres_exporter.simulator import ManualClock, Simulator, serve_simulator
from rounds_bench import Bench, bench, configuration, small_vendor, tokens_of

BEGINS_AT = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)
"""Early in a month: few days are read again with their month each round, and the month before is watched too."""
A_WHILE = timedelta(minutes=21)


def new_vendor() -> Simulator:
    return small_vendor(ManualClock(BEGINS_AT), workspaces=2, databases=4)


def victim_of(vendor: Simulator) -> Victim:
    database = vendor.world.databases(BEGINS_AT)[0]
    token = next(token for token, id_ in vendor.world.tokens.items() if id_ == database.workspace_id)
    return Victim(token=token, project_id=database.project_id, database_id=database.id)


@pytest.fixture(autouse=True)
def _nothing_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer hangs here: one that a busy machine holds up is waited for, and not left to a later round."""
    monkeypatch.setattr("prisma_postgres_exporter.rounds.polling.STUCK_SECONDS", math.inf)


PLACES = places(new_vendor(), victim_of(new_vendor()))


PARTS, LONGER_PARTS = 4, 13
"""Each service is tried with some places, one after the other: here with one value each, in the longer run with every
other one, so that each value stands in every other place."""


@pytest.mark.parametrize("part", range(PARTS))
async def test_an_odd_value_anywhere_hurts_nobody_else(part: int, tmp_path: Path) -> None:
    tried = [
        (place, dict([list(VALUES.items())[(part + number) % len(VALUES)]]))
        for number, place in enumerate(PLACES[part::PARTS])
    ]
    await hurts_nobody_else(tried, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(LONGER_PARTS))
async def test_every_odd_value_anywhere_hurts_nobody_else(part: int, tmp_path: Path) -> None:
    tried = [
        (place, dict(list(VALUES.items())[number % 2 :: 2]))
        for number, place in enumerate(PLACES)
        if number % LONGER_PARTS == part
    ]
    await hurts_nobody_else(tried, tmp_path)


async def test_records_that_are_left_out_are_told_on_the_page_and_by_doctor(tmp_path: Path) -> None:
    vendor = new_vendor()
    victim = victim_of(vendor)
    assert isinstance(vendor.clock, ManualClock)
    odd = OddVendor(vendor.app, victim)
    odd.place, odd.value = Place("databases", ("record", "name")), 7
    async with serve_simulator(odd) as url:  # type: ignore[arg-type]  # an application is an application
        config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", api_url=url)
        credentials = [{"name": row.name, "token": row.token} for row in tokens_of(vendor.world).credentials]
        config = Config.model_validate({**dict(config), "credentials": credentials})
        async with bench(config, vendor.clock, tokens_of(vendor.world)) as running:
            await running.round()
            status = describe(
                running.collector,
                running.display,
                started_at=BEGINS_AT,
                is_ready=True,
                now=BEGINS_AT,
                time=asyncio.get_running_loop().time(),
            )
            name = running.ledger_state.workspaces[vendor.world.tokens[victim.token]].workspace.name
            told = f"Left out, as they cannot be used: 1 record of workspace {name} (outside_the_contract)"
            assert status.notes == (told,)
            assert status.notes[0] in status_page(status, status.snapshot, "not asked for")

        examined = await examine(config, clock=vendor.clock)
        left_out = {finding.subject: finding.lines for finding in examined.findings if finding.step == "workspace"}
        own = vendor.world.tokens[victim.token]
        assert {subject: bool(lines) for subject, lines in left_out.items()} == {
            subject: own in subject for subject in left_out
        }
        assert ("1 record left out, which cannot be used: outside_the_contract",) in left_out.values()


async def hurts_nobody_else(tried: Iterable[tuple[Place, Mapping[str, object]]], tmp_path: Path) -> None:
    vendor = new_vendor()
    victim = victim_of(vendor)
    assert isinstance(vendor.clock, ManualClock)
    odd = OddVendor(vendor.app, victim)
    async with serve_simulator(odd) as url:  # type: ignore[arg-type]  # an application is an application
        config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", api_url=url)
        async with bench(config, vendor.clock, tokens_of(vendor.world)) as running:
            await running.round()
            for place, values in tried:
                for name, value in values.items():
                    odd.place, odd.value, odd.used = place, value, 0
                    vendor.clock.advance(A_WHILE)
                    if place.call == "subscription":
                        vendor.clock.advance(timedelta(hours=1))
                    await running.round()
                    assert odd.used, (str(place), name, "was never answered")
                    failed = [turn.failures_in_a_row for turn in running.collector.turns.values()]
                    assert failed == [0, 0], (str(place), name, "a round broke")
                    check_exact(running, vendor, f"{place} {name}", leaving_out=excused(vendor, victim, place, value))
                    if place.call == "databases":
                        # What a complete list left out is gone until it is listed again.
                        odd.place = None
                        vendor.clock.advance(A_WHILE)
                        await running.round()
                odd.place = None
                vendor.clock.advance(A_WHILE)
                await running.round()
                check_exact(running, vendor, f"after {place}", leaving_out=set())
            assert all(view.is_up for view in running.snapshot.databases)
            found = await running.collector.in_store(lambda store: list(store.violations(vendor.clock())))
            assert found == []


def excused(vendor: Simulator, victim: Victim, place: Place, value: object) -> set[str]:
    """Whose numbers the odd value is about; a complete list that leaves something out says that it is gone."""
    is_another = value is MISSING or isinstance(value, dict)
    if place.call == "usage" or (place == Place("databases", ("record",)) and is_another):
        return {victim.database_id}
    if place == Place("databases", ("data",)) and value == []:
        own = vendor.world.tokens[victim.token]
        return {database.id for database in vendor.world.databases(vendor.clock()) if database.workspace_id == own}
    return set()


def check_exact(running: Bench, vendor: Simulator, name: str, *, leaving_out: set[str]) -> None:
    now = vendor.clock()
    for database in vendor.world.databases(now):
        if database.id in leaving_out:
            continue
        view = running.views.get(database.id)
        assert view is not None, (name, database.id, "is not shown")
        assert view.last_success_at == now, (name, database.id, "is not fresh")
        operations = vendor.world.operations(database.id, day_start(now.date()), now)
        assert view.day_to_date_operations == operations, (name, database.id, "is not exact")


def test_the_places_are_those_of_the_contract() -> None:
    """A place that the simulator forgets would never be tried: `tests/contract` is to hold it against the vendor's."""
    shown = {str(place) for place in PLACES}
    for wanted in (
        "me data.workspace.id",
        "projects record.workspace.id",
        "projects pagination.nextCursor",
        "databases record.createdAt",
        "databases record.project.id",
        "databases record.region",
        "databases record.connections",
        "usage period.end",
        "usage metrics.operations.used",
        "usage metrics.storage.unit",
        "usage generatedAt",
        "subscription data.usageBlocked",
    ):
        assert wanted in shown


async def test_an_entry_that_is_listed_twice_over_pages_counts_once(tmp_path: Path) -> None:
    vendor = new_vendor()
    victim = victim_of(vendor)
    odd = OddVendor(vendor.app, victim)
    assert isinstance(vendor.clock, ManualClock)
    async with serve_simulator(odd) as url:  # type: ignore[arg-type]  # an application is an application
        config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", api_url=url)
        async with bench(config, vendor.clock, tokens_of(vendor.world)) as running:
            odd.place = Place("databases", ("data",))
            async with asyncio.timeout(60):
                await running.round()  # the first look shows what the list is
            records = odd.seen["databases"]["data"]
            odd.value = [*records, *records]
            vendor.clock.advance(A_WHILE)
            await running.round()

            assert len(running.views) == 4
            check_exact(running, vendor, "listed twice", leaving_out=set())
