"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faulted import Setting
from processes import Vendor, vendor

from postgres import PostgresServer, find_programs, postgres_server


@pytest.fixture
def world() -> Iterator[Vendor]:
    """A vendor with one workspace of four databases."""
    with vendor(workspaces=1, databases=4, projects_per_workspace=1) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a store is to be."""
    return tmp_path / "store.db"


@pytest.fixture
def on_file(tmp_path: Path, world: Vendor, file: Path) -> Setting:
    """A service with a SQLite store."""
    return Setting(tmp_path, world, f"sqlite:///{file}")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with postgres_server(find_programs()) as running:
        yield running


@pytest.fixture
def on_server(tmp_path: Path, world: Vendor, server: PostgresServer) -> Iterator[Setting]:
    """A service with a store on that server, from which nobody drops it while it is stopped."""
    with server.fresh_database() as url:
        yield Setting(tmp_path, world, url)
