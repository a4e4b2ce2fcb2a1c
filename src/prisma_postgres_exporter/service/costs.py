"""Which costs are in force: the service leaves its own in the store, and reports take them from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.config import Config, costs_document, differing_costs, with_costs
from prisma_postgres_exporter.errors import StoreTooNew, StoreUnavailable
from prisma_postgres_exporter.store import Store, StoredCosts

if TYPE_CHECKING:
    from prisma_postgres_exporter.rounds import Collector

log = structlog.get_logger(__name__)


def costs_in_force(store: Store, config: Config) -> tuple[Config, str | None]:
    """Return the configuration with the costs to report by, and what a person should know of them.

    A `cost` section that was given wins, and is worth a word where the store has other costs; else they are the
    store's; else, where no service has left any, the defaults.

    Raises:
        StoreTooNew: the store's costs are needed, and this version cannot read them.
        StoreUnavailable: the store cannot be read.
    """
    stored = store.costs()
    if stored is None:
        return config, None
    own = config.sources.cost
    try:
        theirs = with_costs(config, stored.document)
    except ValueError as error:
        if own is None:
            raise _unreadable(store, stored) from error
        return config, f"costs are those of {own}; this version cannot read those in the store"
    if own is None:
        return theirs, None
    different = differing_costs(config, theirs)
    if not different:
        return config, None
    return config, (
        f"costs are those of {own}; those in the store, in force at the service since "
        f"{stored.written_at:%Y-%m-%d %H:%M} UTC, differ in {', '.join(different)}"
    )


class CostKeeper:
    """Keeps the store's costs those in force here, unless another service wrote its own later.

    `rivalry` says so then, for people; the newest is what reports use.
    """

    def __init__(self, collector: Collector) -> None:
        self.rivalry: str | None = None
        self._collector = collector
        self._kept: Config | None = None
        self._noticed: StoredCosts | None = None

    async def keep(self) -> None:
        """Write what changed here, or look whether another service wrote; tried again later where the store fails."""
        try:
            await self._keep(self._collector.config)
        except StoreUnavailable as error:
            log.warning("cost configuration not stored", error=str(error))

    async def _keep(self, config: Config) -> None:
        stored = await self._collector.in_store(lambda store: store.costs())
        is_news = self._kept is None or bool(differing_costs(self._kept, config))
        if stored is not None and is_in_store(config, stored):
            self.rivalry = None
        elif stored is None or is_news:
            now = self._collector.now()
            await self._collector.in_store(lambda store: store.keep_costs(costs_document(config), now))
            log.info("cost configuration stored", replaced_of=stored.written_at.isoformat() if stored else None)
            self.rivalry = None
        elif stored != self._noticed:
            self._noticed = stored
            self.rivalry = (
                f"another service stored another cost configuration at {stored.written_at:%Y-%m-%d %H:%M:%S} UTC, and "
                "reports use that one: give both the same `cost` section"
            )
            log.warning(
                "another service stored another cost configuration: reports use that one",
                written_at=stored.written_at.isoformat(),
                version=stored.made_by,
            )
        self._kept = config


def is_in_store(config: Config, stored: StoredCosts) -> bool:
    """Whether the store's costs are these; those that this version cannot read are not."""
    try:
        return not differing_costs(config, with_costs(config, stored.document))
    except ValueError:
        return False


def _unreadable(store: Store, stored: StoredCosts) -> StoreTooNew:
    return StoreTooNew(
        f"the cost configuration in the store at {store.url} was written by version {stored.made_by}, and this is "
        f"{__version__}, which cannot read it: run that version, or give a `cost` section of your own with --config"
    )
