"""A collector with its store, its clients and what it shows, opened and closed in the right order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog

from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.config import Config, Credential, Tokens, read_tokens, require_usable
from prisma_postgres_exporter.errors import StoreUnavailable
from prisma_postgres_exporter.expose import ExporterHealth, Exposition
from prisma_postgres_exporter.rounds import Collector, MakeApi, Unshared
from prisma_postgres_exporter.service.display import Display
from prisma_postgres_exporter.service.leasing import LeaseKeeper
from prisma_postgres_exporter.service.limits import limits_of
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.threads import StartedThreads

log = structlog.get_logger(__name__)

COMMAND_UNREAD_FOR = timedelta(days=2)
"""After so long without a reading a command takes a workspace of which it has no token for gone.

It may have fewer tokens than a service on the same store, or than another command that runs once a day.
"""

EXAMINED_SECONDS = 5.0
"""So long a start waits until it is known that a store which was not closed is whole."""

STORE_THREADS = 4
"""So many workspaces can wait for the store at once before another has to wait for them."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A collector and what shows its state; `leases` where it is one of several services that share a store."""

    collector: Collector
    display: Display
    exposition: Exposition
    leases: LeaseKeeper | None = None


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


def api_maker(health: ExporterHealth) -> MakeApi:
    """Return what makes the Management API's client for a credential; its calls are counted in `health`."""

    def make(credential: Credential, config: Config, clients: int) -> ManagementApi:
        limits = limits_of(config, clients)
        return ManagementApi(credential.token, base_url=config.api_url, limits=limits, observer=health)

    return make


@contextlib.asynccontextmanager
async def opened(
    config: Config,
    *,
    clock: Callable[[], datetime] = utc_now,
    make_api: MakeApi | None = None,
    health: ExporterHealth | None = None,
    tokens: Tokens | None = None,
    on_leases: Callable[[], None] | None = None,
    unread_for: timedelta = timedelta(0),
    is_lasting: bool = True,
) -> AsyncIterator[Opened]:
    """Open the store in threads of its own, read it back, and show it; at the end close the clients and then the store.

    `make_api` makes the clients, those of the Management API if it is `None`; `tokens` are read where not given.
    With `on_leases` it is for a service: one of several that share the store, which is told when it is to collect other
    workspaces, or the only one. A workspace of which there is no token is noted as gone where nothing was read of it
    for `unread_for`, and by services that share the store where none of them has one. No write to a store that is not
    `is_lasting` waits for its disk.

    Raises:
        ConfigurationError: no token can be used.
        StoreDamaged: it is for a service, and was found to be damaged.
        StoreInUse: it is for a service, and the store has one already and cannot be shared.
        StoreError: the store cannot be opened.
    """
    if tokens is None:
        tokens = await asyncio.to_thread(read_tokens, config)
        require_usable(tokens)
    health = health or ExporterHealth()
    exposition = Exposition(health, has_created=config.web.created)
    async with contextlib.AsyncExitStack() as closing:
        threads = closing.enter_context(StartedThreads(STORE_THREADS, "store"))
        in_thread = asyncio.get_running_loop().run_in_executor
        store = await in_thread(threads, partial(Store.open, config.store.url, is_lasting=is_lasting))
        closing.push_async_callback(in_thread, threads, store.close)
        leases: LeaseKeeper | None = None
        unshared = Unshared(unread_for)
        if on_leases is None:
            if (await in_thread(threads, store.shares)).processes:
                unshared = Unshared(None)
        elif store.is_shared:
            leases = LeaseKeeper(store, health, on_change=on_leases)
            closing.push_async_callback(leases.stop)
        else:
            closing.enter_context(store.keep_others_out())
            await closing.enter_async_context(_examined(store, health))
        collector = Collector(
            config=config,
            store=store,
            health=health,
            clock=clock,
            store_threads=threads,
            make_api=make_api or api_maker(health),
            leases=leases or unshared,
        )
        display = Display(collector, exposition, health, clock)
        await collector.open()
        # Before the leases are given back: it stores what could not be stored before.
        closing.push_async_callback(collector.close)
        await collector.use_tokens(tokens)
        await display.refresh()
        yield Opened(collector, display, exposition, leases)


@contextlib.asynccontextmanager
async def _examined(store: Store, health: ExporterHealth) -> AsyncIterator[None]:
    """Have a store that may be damaged looked through before it is used, the rest of a large one meanwhile."""
    if not store.is_doubtful or await asyncio.to_thread(store.examine, seconds=EXAMINED_SECONDS):
        yield
        return
    going_on = asyncio.create_task(_go_on_examining(store, health))
    try:
        yield
    finally:
        store.hurry()
        await going_on


async def _go_on_examining(store: Store, health: ExporterHealth) -> None:
    try:
        if await asyncio.to_thread(store.examine):
            log.info("store found to be whole")
    except StoreUnavailable as error:
        log.error("store not examined", error=str(error))
        health.store_failed()
