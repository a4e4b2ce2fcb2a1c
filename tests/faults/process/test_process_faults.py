"""A process that is ended, stopped, or kept short of descriptors or memory."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from faulted import Setting, assert_kept
from processes import (
    EXPORTER,
    Exporter,
    Vendor,
    command,
    ended,
    run,
    vendor,
)
from test_store_migrations import make_older

import reliability
from prisma_postgres_exporter.simulator import Fault, FaultKind
from reliability import record

pytestmark = pytest.mark.slow

USUALLY_STOPPED_SECONDS = 12.0
STOPPED_SECONDS = float(os.environ.get("STOPPED_SECONDS", USUALLY_STOPPED_SECONDS))


def remember(tried: str, times: int, seen: str, seconds: float | None) -> None:
    record(reliability.Fault(part="process", tried=tried, times=times, seen=seen, lost="nothing", seconds=seconds))


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Setting]:
    """A service that reads a dozen databases each second."""
    with vendor(workspaces=1, databases=12) as running:
        yield Setting(tmp_path, running, f"sqlite:///{tmp_path / 'store.db'}")


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Setting]:
    """A service whose first round needs more memory than it had at its start."""
    with vendor(workspaces=1, databases=60) as running:
        yield Setting(tmp_path, running, f"sqlite:///{tmp_path / 'store.db'}")


def test_sigterm_at_any_moment_ends_it_in_order(busy: Setting) -> None:
    chance, times = random.Random(5), 5
    for _ in range(times):
        with busy.serving() as running:
            time.sleep(chance.random())
            running.send(signal.SIGTERM)
            assert running.wait() == 0
            assert "Traceback" not in running.output
            assert "abandoned" not in running.output
            assert "lost" not in running.output
    with busy.serving() as running:
        busy.known(running)
        busy.wait_for_exact()
    remember("SIGTERM in the middle of a round", times, "it stores what it read, and ends with status 0", None)


def test_sigterm_in_a_backfill_keeps_what_was_read(busy: Setting) -> None:
    first = (datetime.now(UTC) - timedelta(days=50)).date().isoformat()
    assert run("collect", *busy.options, cwd=busy.directory).returncode == 0
    with command("backfill", "--from", first, *busy.options, cwd=busy.directory) as running:
        busy.vendor.wait_for_calls("usage")
        running.send(signal.SIGTERM)
        assert running.wait() == 130
        assert "Traceback" not in running.output
    done = run("backfill", "--from", first, *busy.options, cwd=busy.directory)
    assert done.returncode == 0, done.stderr
    busy.assert_exact()
    remember("SIGTERM in the middle of a backfill", 1, "it ends; the next one reads the rest", None)


def test_ended_at_any_moment_of_a_migration_the_next_start_does_it(busy: Setting, tmp_path: Path) -> None:
    old, file = tmp_path / "old.db", tmp_path / "store.db"
    make_older(f"sqlite:///{old}", "0001")
    chance, times = random.Random(9), 10
    for number in range(times):
        for name in ("store.db", "store.db-wal", "store.db-shm", "store.db.lock"):
            (tmp_path / name).unlink(missing_ok=True)
        shutil.copy(old, file)
        with command("serve", *busy.options, "--listen", "127.0.0.1:0", cwd=tmp_path) as starting:
            time.sleep(chance.random() * 0.6)
            starting.send(signal.SIGTERM if number % 2 else signal.SIGKILL)
            starting.wait()
        done = run("store", "info", "--store-url", busy.store_url, cwd=tmp_path)
        assert done.returncode == 0 or "run `serve` or `collect` of this version once" in done.stderr, done.stderr
    with busy.serving() as running:
        busy.known(running)
        busy.wait_for_exact()
    remember("SIGTERM or `kill -9` in the middle of a migration", times, "the next start does it", None)


@pytest.mark.parametrize("engine", ["SQLite", "Postgres"])
def test_one_that_was_stopped_for_long_goes_on(
    engine: str, tmp_path: Path, world: Vendor, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}" if engine == "SQLite" else request.getfixturevalue("postgres_url")
    setting = Setting(tmp_path, world, url)
    with setting.serving() as running:
        before = setting.known(running)
        running.send(signal.SIGSTOP)
        time.sleep(STOPPED_SECONDS)
        running.send(signal.SIGCONT)
        seconds = setting.goes_on(running, before)
        assert "Traceback" not in running.output
        setting.wait_for_exact()
    if STOPPED_SECONDS == USUALLY_STOPPED_SECONDS:
        remember(f"SIGSTOP for {STOPPED_SECONDS:.0f} s, {engine}", 1, "no answer meanwhile; goes on by itself", seconds)


def test_with_32_descriptors_it_works_and_idle_clients_make_room(on_file: Setting) -> None:
    with limited(on_file, "--nofile=32") as running:
        before = on_file.known(running)
        port = int(running.url.rpartition(":")[2])
        with ExitStack() as idle:
            for _ in range(40):
                idle.enter_context(socket.create_connection(("127.0.0.1", port)))
            seconds = on_file.goes_on(running, before)
            on_file.wait_for_exact()
        assert "Traceback" not in running.output
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    remember("32 file descriptors, and 40 idle connections", 1, "it works: those idle for longest make room", seconds)


def test_with_32_descriptors_a_slow_api_leaves_room_for_who_scrapes(tmp_path: Path) -> None:
    with vendor(workspaces=3, databases=60) as api:
        setting = Setting(tmp_path, api, f"sqlite:///{tmp_path / 'store.db'}")
        api.faults.add(Fault(kind=FaultKind.SLOW, call="usage", seconds=0.3))
        with limited(setting, "--nofile=32") as running:
            before = setting.known(running)
            for _ in range(40):
                assert running.get("/").status == 200
                time.sleep(0.1)
            seconds = setting.goes_on(running, before)
            for lack in ("Too many open files", "too many open files", "no_descriptors", "accepted"):
                assert lack not in running.output
    remember("32 file descriptors, three workspaces and a slow API", 1, "scrapes and readings go on", seconds)


def test_without_memory_for_a_round_the_ledger_stays_whole(large: Setting) -> None:
    with ExitStack() as started:
        running = started.enter_context(large.serving())
        # From the start on, as it takes more then than ever after.
        unlimited = resource.prlimit(running.pid, resource.RLIMIT_AS)
        taken = int(Path(f"/proc/{running.pid}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(running.pid, resource.RLIMIT_AS, (taken, unlimited[1]))
        running.wait_for(r"MemoryError|can't start new thread|annot allocate memory|out of memory|want of memory")
        with suppress(ProcessLookupError):
            resource.prlimit(running.pid, resource.RLIMIT_AS, unlimited)
        began = time.monotonic()
        try:
            before = large.known(running)
        except (AssertionError, OSError):
            assert running.wait() == 1
            assert "ended for want of memory" in running.output
            # As its supervisor does.
            running = started.enter_context(large.serving())
            before = large.known(running)
        seconds = time.monotonic() - began
        large.goes_on(running, before)
        large.wait_for_exact()
        running.send(signal.SIGTERM)
        assert running.wait() == 0
    with large.serving() as running:
        assert_kept(before, large.known(running))
    remember("no more memory than it has", 1, "what fails is logged; goes on when there is memory, or ends", seconds)


@contextmanager
def limited(setting: Setting, *limits: str) -> Iterator[Exporter]:
    """Run the service under limits of its own."""
    popen = subprocess.Popen(
        ["prlimit", *limits, *EXPORTER, "serve", *setting.options, "--listen", "127.0.0.1:0"],
        cwd=setting.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
    )
    running = Exporter(popen)
    with ended(running):
        yield running
