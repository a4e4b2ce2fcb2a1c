"""A scrape, a round and a restart of ours beside what one would use instead, in one run; prints tables for the guide.

`pytest -m benchmark -s tests/benchmarks/test_against_others.py`. It takes nginx and Debian's prometheus-node-exporter
from the machine, and query-exporter from the package index into an environment of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import http.client
import multiprocessing
import os
import random
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server
from test_exposition import (
    _ClientCollector,
    _ledger_state,
    _nginx,
    _our_server,
    _rendered,
    _samples,
    _snapshot,
)
from test_rounds import _bare_cpu_per_request, _config, _cost, _vendor

from ports import free_port
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.expose import Format
from prisma_postgres_exporter.service import opened
from prisma_postgres_exporter.snapshot import Snapshot

SIZES = [int(size) for size in os.environ.get("DATABASES", "100,1000,10000,50000").split(",")]
SLOWEST = 10_000
"""Of more databases the slow ones are not asked: twenty scrapes of theirs take many minutes."""

QUERY_EXPORTER = "query-exporter==5.0.2"
STARTS_WITHIN_SECONDS = 120.0
Scrape = tuple[float, float]
"""The medians of plain and gzip, in seconds."""


@pytest.mark.benchmark
def test_a_scrape_beside_what_one_would_use_instead(tmp_path: Path) -> None:
    asked = _query_exporter(tmp_path)
    print(
        "\n| databases | bytes, plain / gzip | this exporter | nginx | node exporter, textfile | prometheus-client |",
        end="",
    )
    print(" query-exporter |\n|---|---|---|---|---|---|---|")
    for databases in SIZES:
        directory = tmp_path / str(databases)
        directory.mkdir()
        snapshot = _snapshot(_ledger_state(databases, random.Random(1)))
        text = _rendered(snapshot).body(Format.TEXT, is_gzip=False).joined()
        (directory / "plain").write_bytes(text)
        (directory / "gzip").write_bytes(gzip.compress(text, 6))
        (directory / "numbers.prom").write_bytes(text)
        repeats = max(3, min(200, 2_000_000 // databases))
        with _our_server(snapshot) as (port, _):
            ours = _when_it_answers(port, repeats)
        with _nginx(directory) as port:
            floor = _when_it_answers(port, repeats, plain="/plain", zipped="/gzip")
        others: list[Scrape | None] = [None, None, None]
        if databases <= SLOWEST:
            others = [_node_exporter(directory, repeats // 5 + 3), _client(snapshot, 5), asked(snapshot, directory)]
        sizes = f"{len(text) / 2**20:.2f} / {(directory / 'gzip').stat().st_size / 2**20:.2f} MiB"
        cells = [f"{databases:,}", sizes, _told(ours, floor), _told(floor, None), *(_told(one, ours) for one in others)]
        print(f"| {' | '.join(cells)} |", flush=True)


@pytest.mark.benchmark
def test_a_round_and_a_restart_beside_the_least_they_could_take(tmp_path: Path) -> None:
    """A round without days of the past; beyond `SLOWEST` databases filling the store takes an hour."""
    print("\n| databases | CPU a reading | of the bare client | restart to first whole scrape, time / CPU |", end="")
    print(" importing the libraries | resident |\n|---|---|---|---|---|---|")
    resident: dict[int, int] = {}
    for databases in (size for size in SIZES if size <= SLOWEST):
        store = tmp_path / f"{databases}.db"
        with _vendor(databases) as (url, tokens):
            reading, bare = asyncio.run(_a_round(_config(url, tokens, store)))
            restart, resident[databases] = _restart(databases, store, url, tokens)
        imports = _imports()
        cells = [f"{databases:,}", f"{reading * 1e6:,.0f} µs ({reading / bare:.2f} ×)", f"{bare * 1e6:,.0f} µs"]
        cells += [f"{_seconds(restart)} ({restart[1] / imports[1]:.2f} × the CPU)", _seconds(imports)]
        print(f"| {' | '.join([*cells, f'{resident[databases] / 2**20:,.0f} MiB'])} |", flush=True)
    slope, base = statistics.linear_regression(list(resident), list(resident.values()))
    print(f"resident: {base / 2**20:.0f} MiB, and {slope:,.0f} bytes for each database")


async def _a_round(config: Config) -> tuple[float, float]:
    """CPU seconds of a reading, stored and shown, and of a request of the bare client."""
    async with opened(config) as running:
        collector = running.collector
        await asyncio.gather(*map(collector.identify, collector.readers.unidentified))
        await asyncio.gather(*map(collector.discover, tuple(collector.turns)))
        bare = await _bare_cpu_per_request(config, running)
        with _cost() as cost:
            rounds = [collector.round(id_, is_only_one=True) for id_ in tuple(collector.turns)]
            reports = await asyncio.gather(*rounds)
            await running.display.refresh()
        return cost.cpu_seconds / sum(report.reads for report in reports), bare


def _restart(databases: int, store: Path, url: str, tokens: str) -> tuple[tuple[float, float], int]:
    """Wall and CPU seconds until a scrape shows every database, and what is resident then."""
    port = free_port()
    command = [sys.executable, "-m", "prisma_postgres_exporter", "serve", "--api-url", url]
    command += ["--store-url", f"sqlite:///{store}", "--listen", f"127.0.0.1:{port}"]
    environ = {**os.environ, "PRISMA_POSTGRES_TOKEN": tokens}
    began = time.perf_counter()
    with _running(command, environ) as process:
        served = psutil.Process(process.pid)
        while True:
            assert process.poll() is None
            try:
                with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                    connection.request("GET", "/metrics")
                    text = connection.getresponse().read()
            except ConnectionError:
                time.sleep(0.01)
                continue
            if text.count(b"\nprisma_postgres_database_operations_total{") == databases:
                cpu = served.cpu_times()
                return (time.perf_counter() - began, cpu.user + cpu.system), served.memory_info().rss


def _imports() -> tuple[float, float]:
    """Wall and CPU seconds of a process that only imports what `serve` does."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import prisma_postgres_exporter.service.service"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _seconds(taken: tuple[float, float]) -> str:
    return " / ".join(f"{seconds:.2f} s" for seconds in taken)


def _told(scrape: Scrape | None, beside: Scrape | None) -> str:
    if scrape is None:
        return "not asked"
    times = " / ".join(f"{seconds * 1000:.2f}" for seconds in scrape)
    if beside is None:
        return f"{times} ms"
    ratios = " / ".join(f"{one / other:.2f}" for one, other in zip(scrape, beside, strict=True))
    return f"{times} ms ({ratios} ×)"


def _median(port: int, path: str, coding: str, repeats: int) -> float:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            connection.request("GET", path, headers={"Accept-Encoding": coding})
            answer = connection.getresponse()
            assert answer.status == 200
            assert len(answer.read()) > 1_000
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def _client(snapshot: Snapshot, repeats: int) -> Scrape:
    """prometheus-client with the same families, their numbers at hand, behind its own server."""
    port, samples = free_port(), tuple(_samples(snapshot))

    def serve() -> None:
        registry = CollectorRegistry()
        registry.register(_ClientCollector(samples))
        _, thread = start_http_server(port, "127.0.0.1", registry)
        thread.join()

    process = multiprocessing.get_context("fork").Process(target=serve)
    process.start()
    try:
        return _when_it_answers(port, repeats)
    finally:
        process.kill()
        process.join()


def _node_exporter(directory: Path, repeats: int) -> Scrape | None:
    """Debian's node exporter with its textfile collector alone."""
    program = shutil.which("prometheus-node-exporter")
    if program is None:
        return None
    port = free_port()
    options = ("--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={directory}")
    with _running([program, *options, f"--web.listen-address=127.0.0.1:{port}"]):
        return _when_it_answers(port, repeats)


def _query_exporter(directory: Path) -> Callable[[Snapshot, Path], Scrape]:
    """query-exporter, with the same numbers in SQLite, a table a family; it keeps them and draws them at a scrape."""
    environment = directory / "query-exporter"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    subprocess.run([str(environment / "bin" / "pip"), "install", "-q", QUERY_EXPORTER], check=True)

    def asked(snapshot: Snapshot, place: Path) -> Scrape:
        configuration = place / "query-exporter.yaml"
        configuration.write_text(yaml.safe_dump(_queries(snapshot, place / "numbers.db")))
        port = free_port()
        options = ("--host", "127.0.0.1", "--port", str(port), "--config", str(configuration))
        families = len(tuple(_samples(snapshot)))
        with _running([str(environment / "bin" / "query-exporter"), *options]):
            _wait_for_all(port, families)
            return _when_it_answers(port, 3)

    return asked


def _queries(snapshot: Snapshot, file: Path) -> dict[str, object]:
    metrics: dict[str, object] = {}
    queries: dict[str, object] = {}
    with closing(sqlite3.connect(file)) as connection, connection:
        for family, samples in _samples(snapshot):
            if not samples:
                continue
            labels = list(samples[0][0])
            connection.execute(f"CREATE TABLE {family.name} ({', '.join([*labels, 'number'])})")
            marks = ", ".join("?" * (len(labels) + 1))
            rows = [(*own.values(), number) for own, number in samples if len(own) == len(labels)]
            connection.executemany(f"INSERT INTO {family.name} VALUES ({marks})", rows)
            metrics[family.name] = {"type": "gauge", "labels": labels}
            columns = ", ".join([*labels, f"number AS {family.name}"])
            queries[family.name] = {
                "databases": ["numbers"],
                "metrics": [family.name],
                "sql": f"SELECT {columns} FROM {family.name}",
                "interval": "1h",
            }
    return {"databases": {"numbers": {"dsn": f"sqlite:///{file}"}}, "metrics": metrics, "queries": queries}


def _wait_for_all(port: int, families: int) -> None:
    ends_at = time.monotonic() + 5 * STARTS_WITHIN_SECONDS
    while time.monotonic() < ends_at:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=600)) as connection:
                connection.request("GET", "/metrics")
                text = connection.getresponse().read()
        except OSError:
            text = b""
        if text.count(b"# TYPE prisma_postgres_database_") >= families - 3 and b"prisma_postgres_database_up{" in text:
            return
        time.sleep(1)
    raise AssertionError("query-exporter did not read everything")


def _when_it_answers(port: int, repeats: int, *, plain: str = "/metrics", zipped: str = "/metrics") -> Scrape:
    ends_at = time.monotonic() + STARTS_WITHIN_SECONDS
    while True:
        try:
            return _median(port, plain, "identity", repeats), _median(port, zipped, "gzip", repeats)
        except ConnectionError:
            assert time.monotonic() < ends_at
            time.sleep(0.2)


@contextmanager
def _running(command: list[str], environ: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
