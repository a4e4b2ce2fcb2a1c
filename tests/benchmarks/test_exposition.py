"""How long rendering and scraping take, as ratios within one run: `pytest -m benchmark -s tests/benchmarks`."""

from __future__ import annotations

import asyncio
import gc
import gzip
import multiprocessing
import random
import resource
import shutil
import socket
import statistics
import string
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from rich.console import Console
from rich.table import Table

from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, ServiceStatus, web_app
from prisma_postgres_exporter.expose.families import DATABASES
from prisma_postgres_exporter.expose.parts import make_part
from prisma_postgres_exporter.expose.sheet import Column, empty_sheet, redraw
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot

_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_STATUS = ServiceStatus(version="", now_at=_NOW, started_at=_NOW, api_url="", store_url="")


@pytest.mark.benchmark
@pytest.mark.parametrize("databases", [1_000, 10_000])
def test_exposition(databases: int, tmp_path: Path) -> None:
    chance = random.Random(1)
    views = _views(databases, chance)
    tenth = set(chance.sample(range(databases), databases // 10))
    changed = tuple(_polled(view, chance) if place in tenth else view for place, view in enumerate(views))
    table = Table(title=f"{databases:,} databases", title_justify="left")
    for head in ("what", "value", "ratio", "target"):
        table.add_column(head, justify="left" if head == "what" else "right")
    _render_rows(table, views, changed)
    table.add_section()
    _scrape_rows(table, views, tmp_path)
    Console(width=120).print(table)


def _render_rows(table: Table, views: tuple[DatabaseView, ...], changed: tuple[DatabaseView, ...]) -> None:
    client = _fastest(lambda: generate_latest(_ClientCollector(views)), repeats=2)
    join = _fastest(lambda: _plain_join(views))
    first = redraw(empty_sheet(DATABASES), views)
    full = _fastest(lambda: _rendered(views))
    full_compressing = _fastest(lambda: _compress(first.columns))
    exposition = _rendered(views)

    def there_and_back() -> None:
        exposition.render(_snapshot(changed))
        exposition.render(_snapshot(views))

    again = _fastest(there_and_back) / 2
    second = redraw(first, changed)
    redrawn = [after for before, after in zip(first.columns, second.columns, strict=True) if before is not after]
    again_compressing = _fastest(lambda: _compress(redrawn))
    health = _fastest(exposition.refresh_health)
    body, zipped = (exposition.body(Format.TEXT, is_gzip=is_gzip).length for is_gzip in (False, True))
    of_client, of_full = "of prometheus-client", "of a full one"
    drawing, drawing_again = full - full_compressing, again - again_compressing
    table.add_row("prometheus-client, custom collector, text only", _ms(client))
    table.add_row("plain join, text only", _ms(join), f"{join / client:.3f} {of_client}")
    table.add_row("full rendering, both formats", _ms(drawing), f"{drawing / client:.3f} {of_client}", "0.167")
    table.add_row("  with compression", _ms(full), f"{full / client:.3f} {of_client}")
    table.add_row(
        "after a tenth changed, at random", _ms(drawing_again), f"{drawing_again / drawing:.3f} {of_full}", "0.333"
    )
    table.add_row("  with compression", _ms(again), f"{again / full:.3f} {of_full}")
    table.add_row("own health alone", _ms(health), f"{health / full:.4f} {of_full}")
    table.add_row("body", f"{body / 1e6:.1f} MB", f"{zipped / body:.3f} as gzip")
    idle, busy = asyncio.run(_longest_stalls(views))
    table.add_row("longest stall of the event loop, idle / rendering", f"{_ms(idle)} / {_ms(busy)}", "", "20 ms")


def _scrape_rows(table: Table, views: tuple[DatabaseView, ...], directory: Path) -> None:
    exposition = _rendered(views)
    text = exposition.body(Format.TEXT, is_gzip=False).joined()
    del exposition
    repeats = 300 if len(text) < 10_000_000 else 60
    (directory / "plain").write_bytes(text)
    (directory / "gzip").write_bytes(gzip.compress(text, 1))
    with _our_server(views) as (port, process_id):
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


def _views(databases: int, chance: random.Random) -> tuple[DatabaseView, ...]:
    def made_up_id(prefix: str) -> str:
        return prefix + "c" + "".join(chance.choices(string.ascii_lowercase + string.digits, k=24))

    workspaces = [made_up_id("wksp_") for _ in range(max(1, databases // 500))]
    projects = [made_up_id("proj_") for _ in range(max(1, databases * 2 // 5))]
    return tuple(
        DatabaseView(
            workspace_id=workspaces[number * len(workspaces) // databases],
            project_id=projects[number * len(projects) // databases],
            database_id=made_up_id("db_"),
            database_name=f"database {number}",
            project_name="project",
            workspace_name="workspace",
            region="us-east-1",
            status="ready",
            is_default=True,
            created_at=_NOW - timedelta(seconds=chance.randrange(10**7)),
            is_up=True,
            operations_total=chance.randrange(10**8),
            day_to_date_operations=chance.randrange(10**6),
            previous_day_operations=chance.randrange(10**6),
            month_to_date_operations=chance.randrange(10**7),
            previous_month_operations=chance.randrange(10**7),
            rolling=tuple([(window, chance.randrange(10**7)) for window in ("24h", "7d", "30d")]),
            storage_bytes=chance.randrange(10**10),
            usage_at=_NOW,
            last_success_at=_NOW + timedelta(seconds=chance.random() * 100),
            revisions_up=0,
            revisions_down=0,
            reconciliation_difference_operations=0,
            failing_since_at=None,
            failure_reason=None,
        )
        for number in range(databases)
    )


def _polled(view: DatabaseView, chance: random.Random) -> DatabaseView:
    """The view after a cycle in which its database was read and had worked."""
    return replace(
        view,
        operations_total=(view.operations_total or 0) + chance.randrange(5000),
        day_to_date_operations=(view.day_to_date_operations or 0) + chance.randrange(5000),
        month_to_date_operations=(view.month_to_date_operations or 0) + chance.randrange(5000),
        rolling=tuple([(window, operations + chance.randrange(5000)) for window, operations in view.rolling]),
        usage_at=_NOW + timedelta(minutes=5),
        last_success_at=_NOW + timedelta(seconds=300 + chance.random() * 100),
    )


def _snapshot(views: tuple[DatabaseView, ...]) -> Snapshot:
    return Snapshot(taken_at=_NOW, workspaces=(), databases=views, filtered=0)


def _rendered(views: tuple[DatabaseView, ...]) -> Exposition:
    exposition = Exposition(ExporterHealth())
    exposition.render(_snapshot(views))
    return exposition


def _compress(columns: Iterable[Column]) -> None:
    for column in columns:
        make_part(column.part.plain)


class _ClientCollector(Collector):
    """The same families as prometheus-client would be given them at a scrape."""

    def __init__(self, views: Iterable[DatabaseView]) -> None:
        self._views = views

    def collect(self) -> Iterator[Metric]:
        for family in DATABASES.families:
            metric = Metric(family.name.removesuffix("_total"), family.help, family.kind)
            own_labels = family.labels[3:]
            for view in self._views:
                labels = dict(zip(DATABASES.labels, DATABASES.identify(view), strict=True))
                value = family.read(view)
                if isinstance(value, tuple):
                    for values, number in value:
                        own = dict(zip(own_labels, values, strict=True))
                        metric.add_sample(family.name, {**labels, **own}, number)
                elif isinstance(value, datetime):
                    metric.add_sample(family.name, labels, value.timestamp())
                elif isinstance(value, int):
                    metric.add_sample(family.name, labels, value)
            yield metric


def _plain_join(views: tuple[DatabaseView, ...]) -> bytes:
    opened = [
        f'{{workspace_id="{view.workspace_id}",project_id="{view.project_id}",database_id="{view.database_id}"'
        for view in views
    ]
    return "".join([line for family in DATABASES.families for line in family.draw(views, opened)]).encode()


async def _longest_stalls(views: tuple[DatabaseView, ...]) -> tuple[float, float]:
    async def longest_while(work: Callable[[], object]) -> float:
        longest = 0.0
        running = asyncio.ensure_future(asyncio.to_thread(work))
        while not running.done():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before - 0.001)
        return longest

    return await longest_while(lambda: time.sleep(0.5)), await longest_while(lambda: _rendered(views))


@contextmanager
def _our_server(views: tuple[DatabaseView, ...]) -> Iterator[tuple[int, int]]:
    # With its protocol named, so that asyncio sees that it is TCP and turns Nagle's algorithm off.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)

    def serve() -> None:
        app = web_app(_rendered(views), lambda: _STATUS, None)
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
    times = []
    for _ in range(repeats):
        gc.collect()
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
