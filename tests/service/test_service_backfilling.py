"""A backfill beside others who write to the same store: it waits for them, and says what could not be stored."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from prisma_postgres_exporter.config import Config, load_config
from prisma_postgres_exporter.errors import StoreUnavailable
from prisma_postgres_exporter.model import LedgerUpdate, month_start, previous_month_start
from prisma_postgres_exporter.service import open_backfill, read_month
from prisma_postgres_exporter.simulator import Fault, FaultKind, ManualClock, Simulator, serve_simulator
from prisma_postgres_exporter.store import Store
from rounds_bench import no_wait, small_vendor, tokens_of

TO = datetime.now(UTC).date() - timedelta(days=20)
FROM = TO - timedelta(days=29)


@pytest.fixture
def vendor() -> Simulator:
    # The client compares this machine's clock with the vendor's: a test may run long after it was collected.
    return small_vendor(ManualClock(datetime.now(UTC)))


@pytest.fixture
async def config(vendor: Simulator, tmp_path: Path) -> AsyncIterator[Config]:
    credentials = tokens_of(vendor.world).credentials
    directory = tmp_path / "tokens"
    directory.mkdir()
    for credential in credentials:
        (directory / credential.name).write_text(credential.token.get_secret_value())
    written = tmp_path / "config.yaml"
    written.write_text(f"credentials:\n  - token_file: {directory}\n")
    async with serve_simulator(vendor.app) as url:
        yield load_config(
            config_path=str(written), api_url=url, store_url=f"sqlite:///{tmp_path / 'ledger.db'}", environ={}
        )


class Rival:
    """Writes to every workspace before a write of readings, so many times; its own count is of tries."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
        self.writes = 0
        record = Store.record

        def record_after_it(store: Store, update: LedgerUpdate, **given: object) -> int:
            if self.writes < times:
                self.writes += 1
                with closing(sqlite3.connect(path)) as connection, connection:
                    connection.execute("UPDATE workspaces SET generation = generation + 1")
            return record(store, update, **given)  # type: ignore[arg-type]

        monkeypatch.setattr(Store, "record", record_after_it)


async def test_what_others_write_meanwhile_is_waited_for(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_backfill(config, from_day=FROM, to_day=TO, requests_per_second=100) as work:
        rival = Rival(tmp_path / "ledger.db", monkeypatch, times=12)
        told: list[tuple[int, int]] = []
        missing = await work.run(lambda done, failed: told.append((done, failed)))
    assert rival.writes == 12
    assert (missing, work.not_tried, dict(work.failures)) == (0, 0, {})
    assert told[-1] == (len(work.todo.reads), 0)


async def test_a_store_that_takes_nothing_for_a_while_is_waited_for(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_backfill(config, from_day=FROM, to_day=TO, requests_per_second=100) as work:
        refusing(monkeypatch, times=3)
        missing = await work.run(lambda done, failed: None, sleep=no_wait)
    assert (missing, work.not_tried, dict(work.failures)) == (0, 0, {})


async def test_what_moved_since_is_read_in_the_workspace_that_has_it_now(config: Config, vendor: Simulator) -> None:
    """Though that is looked at first, while its old one has a slow list."""
    async with open_backfill(config, from_day=TO, to_day=TO, requests_per_second=100):
        pass
    now, (token, holder) = datetime.now(UTC), next(iter(vendor.world.tokens.items()))
    mover = next(row for row in vendor.world.databases(now) if row.workspace_id == holder)
    [receiver] = [row.id for row in vendor.world.workspaces(now) if row.id != holder]
    vendor.world.move_project(mover.project_id, receiver, at=now - timedelta(minutes=1))
    vendor.faults.add(Fault(kind=FaultKind.SLOW, call="databases", token=token, seconds=0.5))
    async with open_backfill(config, from_day=TO, to_day=TO, requests_per_second=100) as work:
        assert mover.id in {read.database_id for read in work.todo.reads if read.workspace_id == receiver}
        assert await work.run(lambda done, failed: None) == 0
    assert not work.failures


async def test_a_report_and_a_backfill_lack_the_same_days(config: Config) -> None:
    """Also of a month before anybody followed the databases, of which some days were read."""
    now = datetime.now(UTC).replace(microsecond=0)
    first, last = previous_month_start(now), month_start(now) - timedelta(seconds=1)
    async with open_backfill(config, from_day=first.date(), to_day=last.date()) as work:
        all_of_it = work.todo
    span = (first.date().replace(day=1), first.date().replace(day=3))
    async with open_backfill(config, from_day=span[0], to_day=span[1], requests_per_second=100) as work:
        await work.run(lambda done, failed: None)
        read = len(work.todo.reads)
    with closing(Store.open_to_read(config.store.url)) as store:
        missing = read_month(store, config, last, now).missing

    assert read
    assert missing is not None
    assert (missing.first_day, missing.last_day) == (first.date().replace(day=4), last.date())
    assert missing.requests == len(all_of_it.reads) - read
    async with open_backfill(config, from_day=missing.first_day, to_day=missing.last_day) as work:
        assert len(work.todo.reads) == missing.requests


async def test_what_could_not_be_stored_is_counted_and_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_backfill(config, from_day=FROM, to_day=TO, requests_per_second=1) as work:
        refusing(monkeypatch, times=1_000)
        told: list[tuple[int, int]] = []
        missing = await work.run(lambda done, failed: told.append((done, failed)), sleep=no_wait)
        workspaces = len({read.workspace_id for read in work.todo.reads})
    assert missing == len(work.todo.reads)
    assert set(work.failures) == {"store_unavailable"}
    assert work.failures.total() == 5 * workspaces
    assert work.failures.total() + work.not_tried == missing
    assert told[-1] == (0, 5 * workspaces)


def refusing(monkeypatch: pytest.MonkeyPatch, *, times: int) -> None:
    """Let the store take nothing, so many times, as where another process writes for too long."""
    record, left = Store.record, times

    def refuse(store: Store, update: LedgerUpdate, **given: object) -> int:
        nonlocal left
        left -= 1
        if left >= 0:
            raise StoreUnavailable("cannot write the store: database is locked")
        return record(store, update, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "record", refuse)
