"""A collector with its store, its clients and what it shows, opened and closed in the right order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from prisma_postgres_exporter.api import Limits, ManagementApi
from prisma_postgres_exporter.config import Config, Credential, Tokens, read_tokens, require_usable
from prisma_postgres_exporter.expose import ExporterHealth, Exposition
from prisma_postgres_exporter.rounds import Collector, MakeApi
from prisma_postgres_exporter.service.display import Display
from prisma_postgres_exporter.store import Store

STORE_THREADS = 4
"""So many workspaces can wait for the store at once before another has to wait for them."""

ATTEMPTS = 2
"""A call is repeated once: then the plan asks again."""

LONGEST_WAIT_SECONDS = 5.0
"""A wait of more than this ends a call: the plan asks again, and the worker is free for others."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A collector and what shows its state."""

    collector: Collector
    display: Display
    exposition: Exposition


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def api_maker(health: ExporterHealth) -> MakeApi:
    """Return what makes the Management API's client for a credential; its calls are counted in `health`."""

    def make(credential: Credential, config: Config) -> ManagementApi:
        return ManagementApi(credential.token, base_url=config.api_url, limits=limits_of(config), observer=health)

    return make


def limits_of(config: Config) -> Limits:
    """The limits of one credential, as configured."""
    poll = config.poll
    return Limits(
        requests_per_second=poll.requests_per_second,
        # Half of it is for workers in the place of those that hang.
        concurrency=2 * poll.concurrency,
        attempts=ATTEMPTS,
        connect_timeout_seconds=poll.connect_timeout.total_seconds(),
        read_timeout_seconds=poll.read_timeout.total_seconds(),
        total_timeout_seconds=poll.total_timeout.total_seconds(),
        longest_wait_seconds=LONGEST_WAIT_SECONDS,
    )


@contextlib.asynccontextmanager
async def opened(
    config: Config,
    *,
    clock: Callable[[], datetime] = utc_now,
    make_api: MakeApi | None = None,
    health: ExporterHealth | None = None,
    tokens: Tokens | None = None,
) -> AsyncIterator[Opened]:
    """Open the store in threads of its own, read it back, and show it; at the end close the clients and then the store.

    `make_api` makes the clients, those of the Management API if it is `None`; `tokens` are read where not given.

    Raises:
        ConfigurationError: no token can be used.
        StoreError: the store cannot be opened.
    """
    if tokens is None:
        tokens = await asyncio.to_thread(read_tokens, config)
        require_usable(tokens)
    health = health or ExporterHealth()
    exposition = Exposition(health)
    with ThreadPoolExecutor(max_workers=STORE_THREADS, thread_name_prefix="store") as threads:
        in_thread = asyncio.get_running_loop().run_in_executor
        store = await in_thread(threads, Store.open, config.store.url)
        try:
            collector = Collector(
                config=config,
                store=store,
                health=health,
                clock=clock,
                store_threads=threads,
                make_api=make_api or api_maker(health),
            )
            display = Display(collector, exposition, health, clock)
            await collector.open()
            await collector.use_tokens(tokens)
            await display.refresh()
            try:
                yield Opened(collector, display, exposition)
            finally:
                await collector.close()
        finally:
            await in_thread(threads, store.close)
