"""What tests of every area share: a real Postgres."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from postgres import PostgresServer, find_programs, postgres_server


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PostgresServer]:
    """One server for the whole run; each test takes a database of its own on it."""
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
