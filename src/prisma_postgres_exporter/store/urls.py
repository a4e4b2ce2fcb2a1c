"""The store's URL: which engine it names, and how it is shown."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url

from prisma_postgres_exporter.config import display_url, store_url_problem
from prisma_postgres_exporter.errors import ConfigurationError

DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def parse_url(text: str) -> URL:
    """Return the URL with the driver we use, and an absolute path where it names a file.

    Raises:
        ConfigurationError: `store_url_problem` says why, or it names no file.
    """
    if problem := store_url_problem(text):
        raise ConfigurationError([f"store URL: {problem}"])
    url = make_url(text)
    url = url.set(drivername=DRIVERS[url.drivername])
    if url.get_backend_name() == "sqlite":
        # A database in memory would be another one for each connection.
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise ConfigurationError(["store URL: it names no file; write sqlite:///FILE"])
        url = url.set(database=str(Path(url.database).absolute()))
    return url


def public_url(url: URL) -> str:
    """Return the URL without password and options, for messages."""
    return display_url(url.render_as_string(hide_password=False))
