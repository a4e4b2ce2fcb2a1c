"""What rounds cost from request to stored row: `pytest -m benchmark -s tests/benchmarks/test_rounds.py`.

The vendor is simulated in a process of its own. Ratios are to the bare HTTP client making as many of the
same requests in the same run. `DATABASES=50000` chooses one size; without it 1,000 and 10,000 are measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport
from rich.console import Console
from rich.table import Table

from prisma_postgres_exporter.config import Config, load_config, read_tokens
from prisma_postgres_exporter.expose import Format
from prisma_postgres_exporter.service import Opened, opened
from prisma_postgres_exporter.store import Store

SIZES = [int(size) for size in os.environ.get("DATABASES", "1000,10000").split(",")]
BARE_REQUESTS = 4_000
BARE_WORKERS = 8
SCRAPES = 100
VENDOR = """
import asyncio, sys
from prisma_postgres_exporter.simulator import benchmark_simulator, serve_simulator
async def main():
    vendor = benchmark_simulator(int(sys.argv[1]))
    async with serve_simulator(vendor.app) as url:
        print(url, ",".join(vendor.world.tokens), flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


@dataclass(slots=True)
class Cost:
    """Wall and CPU seconds of this process."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(slots=True)
class MovedClock:
    """The real clock, moved ahead by hand."""

    ahead: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.mark.benchmark
@pytest.mark.parametrize("databases", SIZES)
def test_rounds(databases: int, tmp_path: Path) -> None:
    table = Table(title=f"{databases:,} databases", title_justify="left")
    for head in ("what", "value", "ratio"):
        table.add_column(head, justify="left" if head == "what" else "right")
    with _vendor(databases) as (url, tokens):
        store = tmp_path / "ledger.db"
        config = _config(url, tokens, store)
        asyncio.run(_measure_rounds(table, config, databases))
        _measure_store(table, store, databases)
        _measure_start(table, config, tokens, tmp_path)
    Console(width=110).print(table)


@contextlib.contextmanager
def _vendor(databases: int) -> Iterator[tuple[str, str]]:
    command = [sys.executable, "-c", VENDOR, str(databases)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as vendor:
        assert vendor.stdout is not None
        url, tokens = vendor.stdout.readline().split()
        try:
            yield url, tokens
        finally:
            vendor.communicate("")


def _config(url: str, tokens: str, store: Path) -> Config:
    config = load_config(api_url=url, store_url=f"sqlite:///{store}", environ={"PRISMA_POSTGRES_TOKEN": tokens})
    poll = config.poll.model_copy(update={"requests_per_second": 1_000.0})
    return config.model_copy(update={"poll": poll})


async def _measure_rounds(table: Table, config: Config, databases: int) -> None:
    clock = MovedClock()
    async with opened(config, clock=clock) as running:
        collector, exposition = running.collector, running.exposition
        await asyncio.gather(*map(collector.identify, collector.readers.unidentified))
        with _cost() as discovery:
            await asyncio.gather(*map(collector.discover, tuple(collector.turns)))
        bare = await _bare_cpu_per_request(config, running)
        table.add_row("discovery", f"{discovery.seconds:.2f} s, CPU {discovery.cpu_seconds:.2f} s", "")
        table.add_row("bare client, a request", f"CPU {bare * 1e6:,.0f} µs", "1")
        for name, ahead in (("first full round", timedelta(0)), ("next round", timedelta(minutes=5))):
            clock.ahead += ahead
            reads, stalls, cost = await _round(running)
            per_read = cost.cpu_seconds / max(reads, 1)
            table.add_row(f"{name}: requests", f"{reads:,}", f"{reads / databases:.1f} a database")
            table.add_row(f"{name}: time", f"{cost.seconds:.1f} s, CPU {cost.cpu_seconds:.1f} s", "")
            table.add_row(f"{name}: CPU a reading", f"{per_read * 1e6:,.0f} µs", f"{per_read / bare:.2f}")
            table.add_row(f"{name}: longest stall of the loop", f"{max(stalls) * 1_000:.0f} ms", "")
        body = exposition.body(Format.TEXT, is_gzip=False)
        zipped = exposition.body(Format.TEXT, is_gzip=True)
        table.add_row("exposition, plain / gzip", f"{body.length / 1e6:.1f} / {zipped.length / 1e6:.1f} MB", "")
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    table.add_row("resident memory of this process, peak", f"{peak_bytes / 2**20:.0f} MiB", "")


async def _round(running: Opened) -> tuple[int, list[float], Cost]:
    """Run the rounds of every workspace until nothing is due, show them, and watch how late the loop answers."""
    stalls = [0.0]
    reads = 0

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls.append(time.perf_counter() - began - 0.001)

    async def run(workspace_id: str) -> None:
        nonlocal reads
        while True:
            report = await running.collector.round(workspace_id)
            reads += report.reads
            if report.next_at > running.collector.now():
                return

    showing = asyncio.create_task(running.display.run())
    watching = asyncio.create_task(watch())
    with _cost() as cost:
        await asyncio.gather(*map(run, tuple(running.collector.turns)))
    watching.cancel()
    showing.cancel()
    await asyncio.gather(watching, showing, return_exceptions=True)
    return reads, stalls, cost


async def _bare_cpu_per_request(config: Config, running: Opened) -> float:
    """CPU seconds of a request that only the HTTP client makes: no limits, no checks, nothing stored."""
    token = {row.name: row.token.get_secret_value() for row in read_tokens(config).credentials}
    workspaces = {state.workspace_id: name for name, state in running.collector.readers.states.items()}
    wanted = [
        (state.database.id, token[workspaces[state.database.workspace_id]])
        for state in running.collector.ledger_state.databases.values()
    ]
    waiting = [wanted[number % len(wanted)] for number in range(BARE_REQUESTS)]
    now = datetime.now(UTC).replace(tzinfo=None)
    query = {"startDate": f"{now:%Y-%m-%dT00:00:00.000Z}", "endDate": f"{now.isoformat(timespec='milliseconds')}Z"}

    async def work(client: httpx.AsyncClient) -> None:
        while waiting:
            database_id, secret = waiting.pop()
            answer = await client.get(
                f"{config.api_url}/v1/databases/{database_id}/usage",
                params=query,
                headers={"Authorization": f"Bearer {secret}"},
            )
            answer.json()

    async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
        with _cost() as cost:
            await asyncio.gather(*(work(client) for _ in range(BARE_WORKERS)))
    return cost.cpu_seconds / BARE_REQUESTS


def _measure_store(table: Table, store: Path, databases: int) -> None:
    opened = Store.open(f"sqlite:///{store}")
    days = sum(1 for _ in opened.days())
    opened.close()
    size = store.stat().st_size
    table.add_row("store", f"{size / 2**20:.1f} MiB, {days:,} days", f"{size / max(days, 1):.0f} bytes a day in all")
    table.add_row("store, a database", f"{size / databases:,.0f} bytes", "")


def _measure_start(table: Table, config: Config, tokens: str, tmp_path: Path) -> None:
    """From the start of the process to the first scrape that has every database, beside importing the same code."""
    imports = _fastest(
        lambda: subprocess.run([sys.executable, "-c", "import prisma_postgres_exporter.cli"], check=True)
    )
    port = 19_500 + os.getpid() % 400
    environ = {**os.environ, "PRISMA_POSTGRES_TOKEN": tokens}
    command = [sys.executable, "-m", "prisma_postgres_exporter", "serve", "--api-url", config.api_url]
    command += ["--store-url", config.store.url, "--listen", f"127.0.0.1:{port}"]
    log = (tmp_path / "serve.log").open("wb")
    began = time.perf_counter()
    with log, subprocess.Popen(command, env=environ, stderr=log, stdout=log) as serving:
        scrape = f"http://127.0.0.1:{port}/metrics"
        while not _has_totals(scrape):
            assert serving.poll() is None
            time.sleep(0.005)
        started = time.perf_counter() - began
        latencies = sorted(_timed(lambda: urllib.request.urlopen(scrape).read()) for _ in range(SCRAPES))
        serving.terminate()
    table.add_row("importing the code", f"{imports:.2f} s", "1")
    table.add_row("start to first good scrape", f"{started:.2f} s", f"{started / imports:.2f}")
    p50, p99 = statistics.median(latencies), latencies[int(SCRAPES * 0.99) - 1]
    table.add_row("scrape while it polls, p50 / p99", f"{p50 * 1_000:.1f} / {p99 * 1_000:.1f} ms", "")


def _has_totals(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return b"prisma_postgres_database_operations_total{" in answer.read()
    except OSError:
        return False


@contextlib.contextmanager
def _cost() -> Iterator[Cost]:
    cost = Cost()
    began, cpu_began = time.perf_counter(), time.process_time()
    yield cost
    cost.seconds, cost.cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began


def _fastest(call: Callable[[], object]) -> float:
    return min(_timed(call) for _ in range(3))


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
