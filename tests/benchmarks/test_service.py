"""What the running service does from its first second on: `pytest -m benchmark -s tests/benchmarks/test_service.py`.

Prints the table of the guide's chapter "Performance". The vendor is simulated in a process of its own, with the default
budget of 10 requests/s for each credential. `DATABASES=10000` chooses a size. Times count from "listening" on.

How long an event loop stands still depends on what else the machine does: an idle loop in a process of its own,
watched in the same way at the same time, says how much of it is the machine's.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from test_rounds import _vendor

from ports import free_port

SIZES = [int(size) for size in os.environ.get("DATABASES", "10000,50000").split(",")]
POLLED_SECONDS = float(os.environ.get("POLLED_SECONDS", "60"))
STEP_SECONDS = 0.2
SERVE = """
import sys
from loop_watch import watched
from prisma_postgres_exporter.cli import main
from prisma_postgres_exporter.service import Service
run, path = Service.run, sys.argv.pop(1)
Service.run = lambda self, *rest: watched(run(self, *rest), path)
main()
"""
IDLE = """
import asyncio, signal, sys
from loop_watch import watched
async def idle():
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await watched(stopped.wait(), sys.argv[1])
asyncio.run(idle())
"""
TARGETS = {
    "first operations": "5 s",
    "every database listed": "",
    "longest stall of the event loop": "20 ms",
    "  of an idle loop beside it": "",
    "scrape while polling, gzip, p50 / p99": "250 ms",
    "scrape while polling, plain, p50 / p99": "",
    "bytes of a scrape, plain / gzip": "",
    "resident while polling, at most": "200 MB; 50,000: 450 MB",
    "CPU while polling": "",
    "  a request, all included": "1.5 ms",
    "stop": "",
}
"""What is measured, and what it should be at most."""


@dataclass(slots=True)
class Served:
    """A running service; `largest_bytes` is what it was seen to hold resident at most."""

    port: int
    popen: subprocess.Popen[bytes]
    process: psutil.Process
    largest_bytes: int = 0

    def scrape(self, *, is_gzip: bool = False) -> bytes:
        """One scrape, as it is sent."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip" if is_gzip else "identity"})
            return connection.getresponse().read()
        finally:
            connection.close()

    def wait(self, seconds: float) -> None:
        """Let it poll."""
        ends_at = time.perf_counter() + seconds
        while time.perf_counter() < ends_at:
            self.largest_bytes = max(self.largest_bytes, self.process.memory_info().rss)
            time.sleep(STEP_SECONDS)

    def when(self, is_so: Callable[[bytes], bool]) -> float:
        """When a scrape shows something for the first time."""
        while True:
            assert self.popen.poll() is None
            try:
                text = self.scrape()
            except OSError:
                time.sleep(0.02)
                continue
            if is_so(text):
                return time.perf_counter()
            time.sleep(STEP_SECONDS)

    def requests(self) -> float:
        """How many requests it has made."""
        found = re.findall(
            r"^prisma_postgres_exporter_api_requests_total\{.*\} (\S+)$", self.scrape().decode(), re.MULTILINE
        )
        return sum(map(float, found))


@pytest.mark.benchmark
def test_service(tmp_path: Path) -> None:
    measured = []
    for size in SIZES:
        directory = tmp_path / str(size)
        directory.mkdir()
        measured.append(_measure(size, directory))
    print(f"\n| | target | {' | '.join(f'{size:,} databases' for size in SIZES)} |")
    print(f"|---|---|{'---|' * len(SIZES)}")
    for what, target in TARGETS.items():
        print(f"| {what} | {target} | {' | '.join(values[what] for values in measured)} |")


def _measure(databases: int, directory: Path) -> dict[str, str]:
    stalls, idle_stalls = directory / "stalls", directory / "idle_stalls"
    port = free_port()
    found: dict[str, str] = {}
    with _vendor(databases) as (url, tokens), (directory / "serve.log").open("wb") as log:
        command = [sys.executable, "-c", SERVE, str(stalls), "serve", "--api-url", url, "--listen", f"127.0.0.1:{port}"]
        command += ["--store-url", f"sqlite:///{directory / 'ledger.db'}"]
        here = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environ = {**os.environ, "PYTHONPATH": here, "PRISMA_POSTGRES_TOKEN": tokens}
        with (
            subprocess.Popen([sys.executable, "-c", IDLE, str(idle_stalls)], env=environ) as idle,
            subprocess.Popen(command, env=environ, stdout=log, stderr=log) as serving,
        ):
            served = Served(port, serving, psutil.Process(serving.pid))
            began = served.when(lambda text: True)
            first_at = served.when(lambda text: b"\nprisma_postgres_database_operations_total{" in text)
            listed_at = served.when(lambda text: text.count(b"\nprisma_postgres_database_info{") == databases)
            found["first operations"] = f"{first_at - began:.1f} s"
            found["every database listed"] = f"{listed_at - began:.1f} s"
            served.wait(POLLED_SECONDS)  # until the burst of the start is over
            found.update(_polling(served))
            for name, is_gzip in (("gzip", True), ("plain", False)):
                found[f"scrape while polling, {name}, p50 / p99"] = _latency(served, is_gzip=is_gzip)
            sizes = [len(served.scrape(is_gzip=is_gzip)) / 1e6 for is_gzip in (False, True)]
            found["bytes of a scrape, plain / gzip"] = f"{sizes[0]:.0f} / {sizes[1]:.1f} MB"
            found["resident while polling, at most"] = f"{served.largest_bytes / 1e6:.0f} MB"
            at = time.perf_counter()
            serving.send_signal(signal.SIGTERM)
            idle.send_signal(signal.SIGTERM)
            assert serving.wait() == 0
            found["stop"] = f"{time.perf_counter() - at:.1f} s"
    for what, path in (("longest stall of the event loop", stalls), ("  of an idle loop beside it", idle_stalls)):
        found[what] = _longest(path)
    return found


def _polling(served: Served) -> dict[str, str]:
    """What polling costs when nobody scrapes."""
    requests, cpu, at = served.requests(), _cpu_seconds(served), time.perf_counter()
    served.wait(POLLED_SECONDS)
    cpu, seconds = _cpu_seconds(served) - cpu, time.perf_counter() - at
    requests = served.requests() - requests
    return {
        "CPU while polling": f"{cpu / seconds:.2f} core at {requests / seconds:.0f} requests/s",
        "  a request, all included": f"{cpu / requests * 1_000:.2f} ms",
    }


def _latency(served: Served, *, is_gzip: bool) -> str:
    latencies = []
    ends_at = time.perf_counter() + POLLED_SECONDS
    while time.perf_counter() < ends_at:
        began = time.perf_counter()
        served.scrape(is_gzip=is_gzip)
        latencies.append((time.perf_counter() - began) * 1_000)
        served.wait(STEP_SECONDS)
    return f"{statistics.median(latencies):.0f} / {statistics.quantiles(latencies, n=100)[98]:.0f} ms"


def _longest(path: Path) -> str:
    """The longest stall of all, and the usual one of a second."""
    stalls = sorted(float(line) * 1_000 for line in path.read_text().split())
    return f"{stalls[-1]:.0f} ms (in half of all seconds at most {statistics.median(stalls):.0f})"


def _cpu_seconds(served: Served) -> float:
    return sum(served.process.cpu_times()[:2])
