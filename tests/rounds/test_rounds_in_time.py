"""The shipped rounds on simulated time, before a vendor that takes its time to answer."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from builders import day_window
from prisma_postgres_exporter.api import Usage
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.ledger.plan import NEVER, PlannedRead, Rank
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.rounds import Collector, Reader
from prisma_postgres_exporter.rounds.polling import BATCH_SECONDS, STUCK_SECONDS, Group, Polling, poll
from prisma_postgres_exporter.simulator import DirectApi, ManualClock
from prisma_postgres_exporter.store import Store
from rounds_bench import configuration, small_vendor, tokens_of
from virtual_time import InlineExecutor, run_virtually

BEGINS_AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
INTERVAL_SECONDS = 300.0
STARTED_SECONDS = 2_400.0
"""Until then the days of the past are read."""

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Answers = dict[str, list[float]]


async def lived(store: Path, *, databases: int, latency_seconds: float, hours: float) -> Answers:
    """When the open day of each database was answered, in seconds since the start."""
    loop = asyncio.get_running_loop()
    vendor = small_vendor(ManualClock(BEGINS_AT), workspaces=1, databases=databases)
    answers: Answers = defaultdict(list)

    def clock() -> datetime:
        return BEGINS_AT + timedelta(seconds=loop.time())

    class SlowApi(DirectApi):
        async def usage(
            self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
        ) -> Usage:
            await asyncio.sleep(latency_seconds)
            if start_at == day_start(clock().date()):
                answers[database_id].append(loop.time())
            return await super().usage(database_id, start_at=start_at, end_at=end_at)

    opened = Store.open(f"sqlite:///{store}")
    collector = Collector(
        config=configuration(opened.url, requests_per_second=10.0),
        store=opened,
        health=ExporterHealth(),
        clock=clock,
        store_threads=InlineExecutor(),
        make_api=lambda credential, *_: SlowApi(vendor.vendor, clock, credential.token.get_secret_value()),
    )
    await collector.open()
    await collector.use_tokens(tokens_of(vendor.world))
    workspace_id = await collector.identify("token-1")
    assert workspace_id is not None
    while loop.time() < hours * 3_600:
        report = await collector.round(workspace_id)
        await asyncio.sleep(max(0.001, (report.next_at - clock()).total_seconds()))
    await collector.close()
    opened.close()
    assert len(answers) == databases
    return answers


def gaps(answers: Answers) -> list[float]:
    """The times between two answers for one database, the shortest first, once the start is over."""
    return sorted(
        later - earlier
        for instants in answers.values()
        for earlier, later in pairwise(at for at in instants if at > STARTED_SECONDS)
    )


@pytest.mark.slow
def test_the_interval_is_kept_while_the_days_of_a_whole_month_are_not_settled_yet(tmp_path: Path) -> None:
    found = gaps(run_virtually(lived(tmp_path / "ledger.db", databases=24, latency_seconds=20.0, hours=2.0)))

    assert found[int(len(found) * 0.95)] <= INTERVAL_SECONDS + 20.0
    assert found[-1] <= 2 * INTERVAL_SECONDS


@pytest.mark.slow
def test_more_than_the_workers_can_do_is_done_as_fast_as_they_can(tmp_path: Path) -> None:
    found = gaps(run_virtually(lived(tmp_path / "ledger.db", databases=100, latency_seconds=20.0, hours=1.5)))

    # Two reads of each database, and a third for every other one, by 8 workers.
    bound_seconds = 100 * 2.5 * 20.0 / 8
    assert found[int(len(found) * 0.95)] <= bound_seconds
    assert found[-1] <= 1.5 * bound_seconds


def test_a_long_group_is_waited_for_by_no_round_and_keeps_its_worker_in_the_next() -> None:
    run_virtually(_poll_beside_a_long_group())


async def _poll_beside_a_long_group() -> None:
    loop = asyncio.get_running_loop()
    under_way: Counter[str] = Counter()
    most = 0

    class SteadyApi(DirectApi):
        async def usage(
            self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
        ) -> Usage:
            nonlocal most
            under_way[database_id] += 1
            most = max(most, under_way.total())
            await asyncio.sleep(4.0)
            under_way[database_id] -= 1
            return await super().usage(database_id, start_at=start_at, end_at=end_at)

    vendor = small_vendor(ManualClock(NOW), workspaces=1, databases=6)
    first, *others = (database.id for database in vendor.world.databases(NOW))
    reader = Reader("token-1", SteadyApi(vendor.vendor, vendor.clock, "simulator-token-1"))
    polling = Polling(lambda: reader, lambda: NOW)

    async def polled(groups: Sequence[Group]) -> list[str]:
        return [
            outcome.database_id
            async for batch in poll(polling, groups, hung=(), concurrency=2, seconds=30.0, stop=asyncio.Event())
            for outcome in batch
        ]

    assert await polled([(planned(first),) * 30]) == []
    assert loop.time() <= 30.0 + STUCK_SECONDS + BATCH_SECONDS
    assert polling.busy == {first}

    most = 0
    assert sorted(await polled([(planned(id_),) for id_ in others])) == sorted(others)
    assert most == 2
    await polling.give_up()


def planned(database_id: str) -> PlannedRead:
    return PlannedRead(
        database_id=database_id,
        workspace_id="wksp_a",
        created_at=NOW - timedelta(days=100),
        windows=(day_window(NOW.date(), until=NOW),),
        due_at=NEVER,
        rank=Rank.DAY,
    )
