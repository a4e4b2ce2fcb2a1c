"""One round of every workspace and out: what `collect` does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.reasons import reason_in_words
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service.costs import CostKeeper, costs_in_force
from prisma_postgres_exporter.service.opening import COMMAND_UNREAD_FOR, opened, utc_now
from prisma_postgres_exporter.snapshot import Snapshot
from prisma_postgres_exporter.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What is known after one round: the snapshot, its metrics in text 0.0.4, and what failed, a line each."""

    snapshot: Snapshot
    metrics: bytes
    problems: tuple[str, ...]


async def collect_once(config: Config, *, clock: Callable[[], datetime] = utc_now) -> Collected:
    """Discover, read everything that is due, store it, and return what is known then.

    Costs are those of the configuration's `cost` section, which is left in the store, else those that are there.

    Raises:
        ConfigurationError: no token can be used, or an address cannot.
        StoreError: the store cannot be opened.
    """
    async with opened(config, clock=clock, unread_for=COMMAND_UNREAD_FOR) as running:
        collector = running.collector
        collector.reconfigure(await collector.in_store(lambda store: _with_costs(store, collector.config)))
        await CostKeeper(collector).keep()
        await asyncio.gather(*map(collector.identify, collector.readers.unidentified))
        await read_all(collector)
        await running.display.refresh()
        return Collected(
            snapshot=running.display.snapshot,
            metrics=running.exposition.snapshot_text(),
            problems=tuple(_problems(collector, running.display.snapshot)),
        )


async def read_all(collector: Collector) -> None:
    """Discover and read once what is due of every workspace."""
    await _rounds(collector, sorted(collector.readers.workspace_ids))
    # What is not listed any more has moved to a workspace that looked too early to know, or is deleted.
    await _rounds(collector, collector.receivers)
    await asyncio.gather(*(collector.discover(id_) for id_, turn in collector.turns.items() if turn.missing))


async def _rounds(collector: Collector, workspace_ids: Iterable[str]) -> None:
    await asyncio.gather(*(collector.round(id_, is_only_one=True) for id_ in workspace_ids))


def _with_costs(store: Store, config: Config) -> Config:
    """A run without a `cost` section must not undo that of a service; prices of the package are this version's."""
    in_force, _ = costs_in_force(store, config)
    return in_force if in_force.cost.prices_file is not None else in_force.model_copy(update={"prices": config.prices})


def _problems(collector: Collector, snapshot: Snapshot) -> Iterator[str]:
    yield from collector.readers.problems
    if collector.ledger.failure is not None:
        yield f"store: {collector.ledger.failure}"
    for workspace in snapshot.workspaces:
        if workspace.failure_reason is not None:
            reason = reason_in_words(workspace.failure_reason)
            yield f"workspace {workspace.workspace_id} ({workspace.workspace_name}): {reason}"
    for view in snapshot.databases:
        if view.is_up is False:
            reason = "not read" if view.failure_reason is None else reason_in_words(view.failure_reason)
            yield f"database {view.database_id} ({view.database_name}): {reason}"
