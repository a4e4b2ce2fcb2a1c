"""A collector with its store and its clients, opened and closed in the right order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cycle import Collector
from prisma_postgres_exporter.expose import ExporterHealth, Exposition
from prisma_postgres_exporter.service.clients import Clients
from prisma_postgres_exporter.store import Store


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


@contextlib.asynccontextmanager
async def open_collector(
    config: Config,
    exposition: Exposition,
    health: ExporterHealth,
    clients: Clients,
    clock: Callable[[], datetime],
) -> AsyncIterator[Collector]:
    """Open the store in its own thread and read it back; at the end close the clients and then the store.

    Raises:
        StoreError: the store cannot be opened.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="store") as store_thread:
        in_thread = asyncio.get_running_loop().run_in_executor
        store = await in_thread(store_thread, Store.open, config.store.url)
        try:
            collector = Collector(
                config=config,
                store=store,
                exposition=exposition,
                health=health,
                clock=clock,
                store_thread=store_thread,
            )
            collector.readers.use(clients.by_name, clients.expiries)
            await collector.open()
            yield collector
        finally:
            await clients.close()
            await in_thread(store_thread, store.close)
