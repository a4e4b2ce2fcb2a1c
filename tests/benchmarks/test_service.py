"""What the running service does from its first second on: `pytest -m benchmark -s tests/benchmarks/test_service.py`.

The vendor is simulated in a process of its own, with the default budget of 10 requests/s for each credential.
`DATABASES=50000` chooses a size; without it 10,000 databases in 10 workspaces are measured. Times from "listening" on.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from rich.table import Table
from test_rounds import _vendor

from ports import free_port

SIZES = [int(size) for size in os.environ.get("DATABASES", "10000").split(",")]
POLLED_SECONDS = float(os.environ.get("POLLED_SECONDS", "60"))
SCRAPES = 100


@pytest.mark.benchmark
@pytest.mark.parametrize("databases", SIZES)
def test_service(databases: int, tmp_path: Path) -> None:
    table = Table(title=f"{databases:,} databases", title_justify="left")
    for head in ("what", "value"):
        table.add_column(head, justify="left" if head == "what" else "right")
    log = tmp_path / "serve.log"
    with _vendor(databases) as (url, tokens), log.open("wb") as output:
        listen = f"127.0.0.1:{free_port()}"
        command = [sys.executable, "-m", "prisma_postgres_exporter", "serve", "--api-url", url, "--listen", listen]
        command += ["--store-url", f"sqlite:///{tmp_path / 'ledger.db'}"]
        environ = {**os.environ, "PRISMA_POSTGRES_TOKEN": tokens}
        with subprocess.Popen(command, env=environ, stdout=output, stderr=output) as serving:
            scrape = f"http://{listen}/metrics"
            began = _when(scrape, serving, lambda text: True)
            listed = _when(scrape, serving, lambda text: text.count(b"\nprisma_postgres_database_info{") == databases)
            table.add_row("every database is listed", f"{listed - began:.1f} s")
            first = _when(scrape, serving, lambda text: b"\nprisma_postgres_database_operations_total{" in text)
            table.add_row("first operations", f"{first - began:.1f} s")
            process = psutil.Process(serving.pid)
            time.sleep(POLLED_SECONDS)  # until the burst of the start is over
            cpu, at = sum(process.cpu_times()[:2]), time.perf_counter()
            reads = _reads(scrape)
            time.sleep(POLLED_SECONDS)
            seconds = time.perf_counter() - at
            cpu = sum(process.cpu_times()[:2]) - cpu
            reads = _reads(scrape) - reads
            table.add_row("cores while polling", f"{cpu / seconds:.2f} at {reads / seconds:.0f} requests/s")
            latencies = []
            at = time.perf_counter()
            while time.perf_counter() - at < POLLED_SECONDS:
                latencies += [_timed(scrape) for _ in range(SCRAPES // 10)]
                time.sleep(1)
            latencies.sort()
            p50, p99 = statistics.median(latencies), latencies[int(len(latencies) * 0.99) - 1]
            table.add_row("scrape while polling, p50 / p99", f"{p50 * 1_000:.0f} / {p99 * 1_000:.0f} ms")
            table.add_row("resident", f"{process.memory_info().rss / 2**20:.0f} MiB")
            at = time.perf_counter()
            serving.send_signal(signal.SIGTERM)
            assert serving.wait() == 0
            table.add_row("stop", f"{time.perf_counter() - at:.1f} s")
    Console(width=110).print(table)


def _when(url: str, serving: subprocess.Popen[bytes], is_so: object) -> float:
    """When a scrape shows something for the first time."""
    while True:
        assert serving.poll() is None
        try:
            with urllib.request.urlopen(url) as answer:
                text = answer.read()
        except OSError:
            time.sleep(0.02)
            continue
        if is_so(text):  # type: ignore[operator]  # a predicate
            return time.perf_counter()
        time.sleep(0.2)


def _reads(url: str) -> float:
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    found = re.findall(r"^prisma_postgres_exporter_api_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(map(float, found))


def _timed(url: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        answer.read()
    return time.perf_counter() - began
