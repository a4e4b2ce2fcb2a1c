"""Every test of the store runs on both engines: on Postgres in the longer run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from lived_store import live
from store_values import FreshUrl

from longer import BOTH_ENGINES
from postgres import PostgresServer
from prisma_postgres_exporter.store import Store


@pytest.fixture(params=BOTH_ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that does not exist yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    opened = Store.open(store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session", params=BOTH_ENGINES)
def fresh_url(request: pytest.FixtureRequest) -> FreshUrl:
    """What gives the URL of a store that does not exist yet, for tests that need many."""
    if request.param == "sqlite":
        return fresh_file
    fresh_database: FreshUrl = request.getfixturevalue("shared_postgres").fresh_database
    return fresh_database


@contextmanager
def fresh_file() -> Iterator[str]:
    with TemporaryDirectory() as directory:
        yield f"sqlite:///{Path(directory) / 'store.db'}"


@pytest.fixture(params=BOTH_ENGINES)
def lived_url(request: pytest.FixtureRequest) -> str:
    """A store with a month in it, closed; who changes it takes a copy."""
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('lived_file')}"
    url: str = request.getfixturevalue("lived_database")
    return url


@pytest.fixture(scope="session")
def lived_database(shared_postgres: PostgresServer) -> Iterator[str]:
    """The same on Postgres."""
    with shared_postgres.fresh_database() as url:
        fill(url)
        yield url


def fill(url: str) -> None:
    with closing(Store.open(url)) as store:
        live(store)
