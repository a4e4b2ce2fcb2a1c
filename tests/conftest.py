"""What tests of every area share: a real Postgres, how properties are tried, and how a log line looks."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest
import structlog
from hypothesis import settings

from between_workers import made_once
from postgres import PostgresServer, find_programs, postgres_server

# A shell ignores Ctrl-C in what it runs in the background, and so would every command that the tests start from there.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Thousands of tests and modules are made while they are collected, and stay: who looks for garbage among them again and
# again takes a tenth of the time of all tests. Later there is less to look at, and it is looked at less often.
gc.disable()

# No case fails for being slow: the tests of two workers, and whatever else runs, share the machine.
settings.register_profile("exporter", deadline=None)
settings.load_profile("exporter")

# As the service writes them: structlog's own default draws each local variable of each frame, which takes longer than
# the test that it is about.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing is skipped: what a test needs is there, or the test fails."""
    report = yield
    return _no_skip_in_ci(report, item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same of a whole file."""
    report = yield
    return _no_skip_in_ci(report, collector.nodeid)


R = TypeVar("R", pytest.TestReport, pytest.CollectReport)


def _no_skip_in_ci(report: R, name: str) -> R:
    if report.skipped and "CI" in os.environ:
        report.outcome = "failed"
        report.longrepr = f"{name} was skipped, which hides a hole where CI is set: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """One server for each worker; each test takes a database of its own on it."""
    try:
        programs = find_programs()
    except FileNotFoundError as exc:
        if "CI" in os.environ:
            raise
        pytest.skip(str(exc))
    with postgres_server(programs) as server:
        yield server


@pytest.fixture
def postgres_url(shared_postgres: PostgresServer) -> Iterator[str]:
    """The URL of an empty Postgres database."""
    with shared_postgres.fresh_database() as url:
        yield url


@pytest.fixture(scope="module")
def module_postgres_url(shared_postgres: PostgresServer) -> Iterator[str]:
    """The URL of a Postgres database, empty at first, for all tests of a module, which only read it."""
    with shared_postgres.fresh_database() as url:
        yield url


@pytest.fixture(scope="session")
def lived_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a store with a month in it, closed; who changes it takes a copy."""
    from lived_store import live

    from prisma_postgres_exporter.store import Store

    def make(folder: Path) -> None:
        with closing(Store.open(f"sqlite:///{folder / 'store.db'}")) as store:
            live(store)

    made = made_once(tmp_path_factory, "lived", make) / "store.db"
    return Path(shutil.copy(made, tmp_path_factory.mktemp("lived")))
