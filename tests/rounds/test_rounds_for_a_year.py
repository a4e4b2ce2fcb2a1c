"""A year at speed: what a service holds, and what a round costs it, do not grow with the days that have passed.

The vendor answers without a network and the clock is moved by hand; rounds, discoveries, pruning, showing and scraping
are the service's. With `DATABASES=100 DAYS=360 STEP_HOURS=12`, `pytest -m slow -s` of this file
prints the figures of the guide.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest
import structlog

from postgres import PostgresServer
from prisma_postgres_exporter.service.opening import STORE_THREADS
from prisma_postgres_exporter.simulator import (
    DirectApi,
    ManualClock,
    Vendor,
    World,
    WorldShape,
)
from rounds_bench import Bench, bench, configuration, tokens_of

pytestmark = pytest.mark.slow

DATABASES = int(os.environ.get("DATABASES", "3"))
DAYS = int(os.environ.get("DAYS", "300"))
STEP = timedelta(hours=int(os.environ.get("STEP_HOURS", "24")))
ENGINES = os.environ.get("STORE", "sqlite,postgres").split(",")
MONTH = timedelta(days=30)
BEGINS_AT = datetime(2026, 1, 1, tzinfo=UTC)
MIB = 2**20
THREADS = 1 + STORE_THREADS + min(32, (os.cpu_count() or 1) + 4)
"""The event loop's, those of the store, and asyncio's own for what takes long."""


@pytest.fixture(autouse=True)
def _few_words() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.reset_defaults()


@dataclass(frozen=True, slots=True)
class Month:
    """What there is at the end of 30 days, and what its rounds took; latencies are the medians of CPU times."""

    resident_bytes: int
    objects: int
    descriptors: int
    threads: int
    store_bytes: int
    readings: int
    round_ms: float
    scrape_ms: float

    def __str__(self) -> str:
        return (
            f"{self.resident_bytes / MIB:6.1f} MiB resident, {self.objects:8,} objects, {self.descriptors} descriptors,"
            f" {self.threads} threads, store {self.store_bytes / MIB:6.2f} MiB, {self.readings:7,} raw readings,"
            f" a round {self.round_ms:6.1f} ms, a scrape {self.scrape_ms:5.1f} ms of CPU"
        )


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_year_leaves_nothing_behind_but_its_days(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    if engine == "postgres":
        server: PostgresServer = request.getfixturevalue("shared_postgres")
        with server.fresh_database() as url:
            months = await lived(url)
    else:
        months = await lived(url)
    second, last = months[1], months[-1]
    assert last.threads <= THREADS
    # Each of the threads may hold a connection: to a file they are three.
    assert last.descriptors <= second.descriptors + 3 * STORE_THREADS
    assert last.objects <= 1.02 * second.objects
    assert last.resident_bytes <= 1.10 * second.resident_bytes
    # As many days are kept each month, and raw readings for as long as they are kept: a straight line. A file of
    # Postgres grows by steps of several pages, now that of one table and now of another.
    middle = months[len(months) // 2]
    assert last.store_bytes - middle.store_bytes <= 1.5 * (middle.store_bytes - second.store_bytes) + MIB / 8
    assert last.readings <= 1.10 * second.readings


async def lived(url: str) -> list[Month]:
    clock = ManualClock(BEGINS_AT)
    shape = WorldShape(workspaces=2, projects_per_workspace=3, databases=DATABASES, idle_share=0.1)
    world = World(seed=5, shape=shape, begins_at=BEGINS_AT - timedelta(days=60))
    vendor = Vendor(world)
    config = configuration(url)
    months: list[Month] = []
    async with bench(
        config,
        clock,
        tokens_of(world),
        make_api=lambda credential, *_: DirectApi(vendor, clock, credential.token.get_secret_value()),
    ) as running:
        await running.discover()
        while clock.now < BEGINS_AT + timedelta(days=DAYS):
            months.append(await month(running))
            print(f"  day {(clock.now - BEGINS_AT).days:3}: {months[-1]}", flush=True)
    return months


async def month(running: Bench) -> Month:
    """Live for 30 days."""
    rounds_ms, scrapes_ms = [], []
    for _ in range(MONTH // STEP):
        running.clock.advance(STEP)
        begun = time.process_time()
        if running.clock.now.hour < STEP // timedelta(hours=1):
            await running.discover()
            await running.collector.prune()
        await running.rounds()
        rounds_ms.append((time.process_time() - begun) * 1_000)
        begun = time.process_time()
        assert "prisma_postgres_database_operations_total{" in running.text()
        scrapes_ms.append((time.process_time() - begun) * 1_000)
    gc.collect()
    if running.collector.config.store.url.startswith("postgresql"):
        # Postgres does so by its own clock, for which this year is some minutes.
        with psycopg.connect(running.collector.config.store.url, autocommit=True) as connection:
            connection.execute("VACUUM")
    summary = await running.collector.in_store(lambda store: store.summary())
    process = psutil.Process()
    return Month(
        resident_bytes=process.memory_info().rss,
        objects=len(gc.get_objects()),
        descriptors=process.num_fds(),
        threads=threading.active_count(),
        store_bytes=summary.size_bytes,
        readings=summary.rows["readings"],
        round_ms=sorted(rounds_ms)[len(rounds_ms) // 2],
        scrape_ms=sorted(scrapes_ms)[len(scrapes_ms) // 2],
    )
