"""What a snapshot, rendering and scraping take, as ratios in one run: `pytest -m benchmark -s tests/benchmarks`."""

from __future__ import annotations

import asyncio
import gc
import gzip
import multiprocessing
import random
import re
import resource
import shutil
import socket
import statistics
import string
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import pytest
import uvicorn
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from rich.console import Console
from rich.table import Table

from builders import NOW, ONE_DAY, database, database_state, day_usage, month_usage, rolling_usage, workspace_state
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, ServiceStatus, web_app
from prisma_postgres_exporter.expose.families import DATABASES
from prisma_postgres_exporter.expose.lines import Family, opened_labels
from prisma_postgres_exporter.expose.parts import make_part
from prisma_postgres_exporter.model import LedgerState
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, take_snapshot

WINDOWS = ("24h", "30d", "7d")
_STATUS = ServiceStatus(version="", now_at=NOW, started_at=NOW, api_url="", store_url="")
_SAMPLE = re.compile(r"\w+\{(?P<labels>.*)\} (?P<number>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@pytest.mark.benchmark
@pytest.mark.parametrize("databases", [1_000, 10_000])
def test_exposition(databases: int, tmp_path: Path) -> None:
    ledger_state = _ledger_state(databases, random.Random(1))
    table = Table(title=f"{databases:,} databases", title_justify="left")
    for head in ("what", "value", "ratio", "target"):
        table.add_column(head, justify="left" if head == "what" else "right")
    _render_rows(table, ledger_state)
    table.add_section()
    _scrape_rows(table, _snapshot(ledger_state), tmp_path)
    Console(width=120).print(table)


def _render_rows(table: Table, ledger_state: LedgerState) -> None:
    snapshot = _snapshot(ledger_state)
    samples = tuple(_samples(snapshot))
    client = _fastest(lambda: generate_latest(_ClientCollector(samples)), repeats=2)
    join = _fastest(lambda: _plain_join(snapshot.databases))
    taking = _fastest(lambda: _snapshot(ledger_state))
    full = _fastest(lambda: _rendered(snapshot))
    texts = [text.encode() for _, text in _drawn(snapshot.databases)]
    compressing = _fastest(lambda: _compress(texts))
    exposition = _rendered(snapshot)
    again = _fastest(lambda: exposition.render(snapshot))
    drawing = full - compressing
    health = _fastest(exposition.refresh_health)
    body, zipped = (exposition.body(Format.TEXT, is_gzip=is_gzip).length for is_gzip in (False, True))
    of_client, of_full = "of prometheus-client", "of a full one"
    table.add_row("prometheus-client, custom collector, text only", _ms(client))
    table.add_row("plain join, text only", _ms(join), f"{join / client:.3f} {of_client}")
    table.add_row("snapshot of the ledger's state", _ms(taking), f"{taking / client:.3f} {of_client}")
    table.add_row("full rendering, both formats", _ms(drawing), f"{drawing / client:.3f} {of_client}", "0.167")
    table.add_row("  with compression", _ms(full), f"{full / client:.3f} {of_client}")
    table.add_row("snapshot and full rendering", _ms(taking + full), f"{(taking + full) / client:.3f} {of_client}")
    table.add_row("rendering again where nothing changed", _ms(again), f"{again / full:.3f} {of_full}")
    table.add_row("own health alone", _ms(health), f"{health / full:.4f} {of_full}")
    table.add_row("body", f"{body / 1e6:.1f} MB", f"{zipped / body:.3f} as gzip")
    idle, busy = asyncio.run(_longest_stalls(snapshot))
    table.add_row("longest stall of the event loop, idle / rendering", f"{_ms(idle)} / {_ms(busy)}", "", "20 ms")


def _scrape_rows(table: Table, snapshot: Snapshot, directory: Path) -> None:
    exposition = _rendered(snapshot)
    text = exposition.body(Format.TEXT, is_gzip=False).joined()
    del exposition
    repeats = 300 if len(text) < 10_000_000 else 60
    (directory / "plain").write_bytes(text)
    (directory / "gzip").write_bytes(gzip.compress(text, 1))
    with _our_server(snapshot) as (port, process_id):
        ours = {coding: _p50(port, "/metrics", coding, repeats) for coding in ("identity", "gzip")}
        resident_pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    floor: dict[str, float] = {}
    if shutil.which("nginx"):
        with _nginx(directory) as port:
            floor = {"identity": _p50(port, "/plain", "", repeats), "gzip": _p50(port, "/gzip", "", repeats)}
    for coding, seconds in ours.items():
        ratio = f"{seconds / floor[coding]:.2f} of nginx ({_ms(floor[coding])})" if floor else ""
        table.add_row(f"scrape p50, {coding}", _ms(seconds), ratio, "2")
    table.add_row(
        "resident memory of the serving process",
        f"{resident_pages * resource.getpagesize() / 2**20:.0f} MiB",
        "",
        "250 MiB",
    )


def _ledger_state(databases: int, chance: random.Random) -> LedgerState:
    """Workspaces of five hundred databases, of which everything was read."""

    def made_up_id(prefix: str) -> str:
        return prefix + "c" + "".join(chance.choices(string.ascii_lowercase + string.digits, k=24))

    workspaces = [
        workspace_state(key=key, id_=made_up_id("wksp_"), name="workspace")
        for key in range(1, max(1, databases // 500) + 1)
    ]
    projects = [made_up_id("proj_") for _ in range(max(1, databases * 2 // 5))]
    states = []
    for number in range(databases):
        workspace = workspaces[number * len(workspaces) // databases]
        states.append(
            database_state(
                key=number,
                workspace_key=workspace.key,
                database=database(
                    made_up_id("db_"),
                    name=f"database {number}",
                    project_id=projects[number * len(projects) // databases],
                    project_name="project",
                    workspace_id=workspace.workspace.id,
                    region="us-east-1",
                    is_default=True,
                    created_at=NOW - timedelta(seconds=chance.randrange(10**7)),
                ),
                operations_total=chance.randrange(10**8),
                storage_bytes=chance.randrange(10**10),
                usage_at=NOW,
                last_success_at=NOW - timedelta(seconds=chance.randrange(100)),
                recent_days=tuple(
                    day_usage(day, chance.randrange(10**6), unchanged_since_at=NOW)
                    for day in (NOW.date() - ONE_DAY, NOW.date())
                ),
                months=tuple(
                    month_usage(month, chance.randrange(10**7), workspace_key=workspace.key, storage_seconds=600)
                    for month in (date(2026, 10, 1), date(2026, 11, 1))
                ),
                rolling=tuple(rolling_usage(name, chance.randrange(10**7)) for name in WINDOWS),
            )
        )
    return LedgerState.of(workspaces, states)


def _snapshot(ledger_state: LedgerState) -> Snapshot:
    return take_snapshot(
        ledger_state,
        followed=ledger_state.databases.keys(),
        workspace_failures={},
        silent_after=timedelta(minutes=10),
        keep_last_value=timedelta(days=1),
        window_names=WINDOWS,
        now=NOW,
    )


def _rendered(snapshot: Snapshot) -> Exposition:
    exposition = Exposition(ExporterHealth())
    exposition.render(snapshot)
    return exposition


def _drawn(views: tuple[DatabaseView, ...]) -> list[tuple[Family[DatabaseView], str]]:
    opened = [opened_labels(DATABASES.labels, DATABASES.identify(view)) for view in views]
    return [(family, "".join(family.draw(views, opened))) for family in DATABASES.families]


def _compress(texts: Iterable[bytes]) -> None:
    for text in texts:
        make_part(text)


class _ClientCollector(Collector):
    """The same families as prometheus-client would be given them at a scrape, their numbers at hand."""

    def __init__(self, samples: Iterable[tuple[Family[DatabaseView], list[tuple[dict[str, str], float]]]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        for family, samples in self._samples:
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            for labels, number in samples:
                metric.add_sample(family.name, labels, number)
            yield metric


def _samples(snapshot: Snapshot) -> Iterator[tuple[Family[DatabaseView], list[tuple[dict[str, str], float]]]]:
    for family, text in _drawn(snapshot.databases):
        lines = [_SAMPLE.match(line) for line in text.splitlines()]
        yield (
            family,
            [(dict(_LABEL.findall(line["labels"])), float(line["number"])) for line in lines if line is not None],
        )


def _plain_join(views: tuple[DatabaseView, ...]) -> bytes:
    opened = [
        f'{{workspace_id="{view.workspace_id}",project_id="{view.project_id}",database_id="{view.database_id}"'
        for view in views
    ]
    return "".join([line for family in DATABASES.families for line in family.draw(views, opened)]).encode()


async def _longest_stalls(snapshot: Snapshot) -> tuple[float, float]:
    async def longest_while(work: Callable[[], object]) -> float:
        longest = 0.0
        running = asyncio.ensure_future(asyncio.to_thread(work))
        while not running.done():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before - 0.001)
        return longest

    return await longest_while(lambda: time.sleep(0.5)), await longest_while(lambda: _rendered(snapshot))


@contextmanager
def _our_server(snapshot: Snapshot) -> Iterator[tuple[int, int]]:
    # With its protocol named, so that asyncio sees that it is TCP and turns Nagle's algorithm off.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)

    def serve() -> None:
        app = web_app(_rendered(snapshot), lambda: _STATUS, None)
        uvicorn.Server(uvicorn.Config(app, lifespan="off", access_log=False, log_level="warning")).run([listener])

    process = multiprocessing.get_context("fork").Process(target=serve)
    process.start()
    try:
        yield listener.getsockname()[1], process.pid or 0
    finally:
        process.kill()
        process.join()
        listener.close()


@contextmanager
def _nginx(directory: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"""
        daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;
        events {{}}
        http {{
            access_log off; sendfile on; keepalive_requests 100000; default_type text/plain;
            server {{ listen 127.0.0.1:{port}; root {directory}; }}
        }}
        """
    )
    process = subprocess.Popen(["nginx", "-c", str(configuration), "-p", str(directory)], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def _p50(port: int, path: str, coding: str, repeats: int) -> float:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\n\r\n".encode()
    with _connected(port) as connection:
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            connection.sendall(request)
            _read_answer(connection)
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def _connected(port: int) -> socket.socket:
    give_up_at = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        except ConnectionRefusedError:
            if time.monotonic() > give_up_at:
                raise


def _read_answer(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, start = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    left = length - len(start)
    buffer = bytearray(2**20)
    while left:
        left -= connection.recv_into(buffer, min(left, len(buffer)))


def _fastest(work: Callable[[], object], repeats: int = 5) -> float:
    """The least CPU time of several."""
    times = []
    for _ in range(repeats):
        gc.collect()
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
