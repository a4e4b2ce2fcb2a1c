"""Open the store for a report: one that is not there is told with where it was looked for, and where it may be."""

from __future__ import annotations

import os
from pathlib import Path

from prisma_postgres_exporter.config import Config, display_url
from prisma_postgres_exporter.errors import StoreMissing
from prisma_postgres_exporter.store import Store

SERVICES_FILE = Path("/var/lib/prisma-postgres-exporter/prisma-postgres-exporter.db")
"""Where the systemd unit, the image and the chart keep it."""


def open_to_read(config: Config, *, is_for_repair: bool = False) -> Store:
    """Open the configured store to read it only; nothing is made where there is none.

    `is_for_repair` takes a store of before the schema's rules too: `Store.open_to_repair`.

    Raises:
        ConfigurationError: it is not the URL of a store.
        StoreMissing: there is no store; the message says where from the place is, and what to give.
        StoreTooNew: a newer version made it.
        StoreUnavailable: it cannot be read.
    """
    try:
        return (Store.open_to_repair if is_for_repair else Store.open_to_read)(config.store.url)
    except StoreMissing as error:
        raise StoreMissing(f"no store here: {_place(config)}; {_way_out(config)}") from error


def _place(config: Config) -> str:
    url, source = config.store.url, config.sources.store_url
    if not url.startswith("sqlite"):
        return f"no tables that this role can see at {display_url(url)} (from {source})"
    path = url.partition(":///")[2].partition("?")[0]
    is_relative = not Path(path).is_absolute()
    where = f"{Path(path).absolute()} does not exist, or is empty"
    relative = ", relative to the current directory" if is_relative else ""
    return f"{where} (from {source or 'the default'}{relative})"


def _way_out(config: Config) -> str:
    url = f"sqlite:///{SERVICES_FILE}"
    if config.store.url != url and os.path.exists(SERVICES_FILE):  # Path's raises where it may not look
        return f"the service's is at {SERVICES_FILE}: --store-url {url}"
    return (
        "give the service's with --store-url, PRISMA_POSTGRES_STORE_URL or its --config; "
        "where there is no service, `serve` and `collect` make a store"
    )
