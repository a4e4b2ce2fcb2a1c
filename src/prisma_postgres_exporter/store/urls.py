"""The store's URL: which engine it names, and how it is shown."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

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
        ConfigurationError: it is not a URL, or of an engine that is neither SQLite nor Postgres.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The parser's own message may quote the password.
        raise ConfigurationError(
            ["store URL: not a URL; write sqlite:///PATH or postgresql://USER@HOST/DATABASE"]
        ) from None
    if url.drivername not in DRIVERS:
        raise ConfigurationError([f"store URL: {url.drivername!r} is not supported; use sqlite or postgresql"])
    url = url.set(drivername=DRIVERS[url.drivername])
    if url.get_backend_name() == "sqlite":
        # A database in memory would be another one for each connection.
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise ConfigurationError(["store URL: it names no file; write sqlite:///PATH"])
        url = url.set(database=str(Path(url.database).absolute()))
    return url


def public_url(url: URL) -> str:
    """Return the URL without password and options, for messages."""
    return url.set(drivername=url.get_backend_name(), query={}).render_as_string(hide_password=True)
