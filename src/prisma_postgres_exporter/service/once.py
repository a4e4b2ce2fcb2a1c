"""One round and out: what `collect` does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prisma_postgres_exporter.config import Config, read_tokens
from prisma_postgres_exporter.cycle import Collector
from prisma_postgres_exporter.expose import ExporterHealth, Exposition
from prisma_postgres_exporter.service.clients import Clients
from prisma_postgres_exporter.service.opening import open_collector, utc_now
from prisma_postgres_exporter.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What is known after one round: the picture, its metrics in text 0.0.4, and what failed, a line each."""

    snapshot: Snapshot
    metrics: bytes
    problems: tuple[str, ...]


async def collect_once(config: Config, *, clock: Callable[[], datetime] = utc_now) -> Collected:
    """Discover, read everything that is due, store it, and return what is known then.

    Raises:
        ConfigurationError: tokens or addresses cannot be used.
        StoreError: the store cannot be opened.
    """
    health = ExporterHealth()
    exposition = Exposition(health)
    clients = Clients(health)
    await clients.use(config, await asyncio.to_thread(read_tokens, config))
    async with open_collector(config, exposition, health, clients, clock) as collector:
        await collector.run_discovery()
        await collector.run_subscriptions()
        await collector.run_cycles(asyncio.Event(), catches_up=False)
        return Collected(
            snapshot=collector.snapshot,
            metrics=exposition.picture_text(),
            problems=tuple(_problems(collector)),
        )


def _problems(collector: Collector) -> Iterator[str]:
    for name, state in collector.readers.credentials.items():
        if state.error is not None:
            yield f"credential {name}: {state.error}"
    if collector.store_error is not None:
        yield f"store: {collector.store_error}"
    for view in collector.snapshot.databases:
        if view.is_up is False:
            yield f"database {view.database_id} ({view.database_name}): {view.failure_reason}"
