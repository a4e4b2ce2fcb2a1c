"""What exists now with the configured tokens: how many databases to follow, and how long the API takes to answer."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from prisma_postgres_exporter.config import Config, read_tokens, require_usable
from prisma_postgres_exporter.errors import StoreMissing
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.ledger.rehearsal import changes_per_day
from prisma_postgres_exporter.model import Workspace
from prisma_postgres_exporter.rounds import VendorApi, is_followed, read_inventory
from prisma_postgres_exporter.service.opening import api_maker
from prisma_postgres_exporter.service.reading import open_to_read

MOVES_LOOKED_AT = timedelta(days=1)
"""In readings of so long before now it is looked how the vendor's numbers move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A workspace with its databases that are followed, and how long the API took for their usage, if it was asked.

    Without what a call waits for the configured pace.
    """

    workspace: Workspace
    databases: int
    projects: int
    latency: timedelta | None


class _Stopwatch(ExporterHealth):
    """Keeps how long the newest attempt of a call took."""

    seconds = 0.0

    def attempt_finished(self, endpoint: str, seconds: float, failure: str | None) -> None:
        super().attempt_finished(endpoint, seconds, failure)
        self.seconds = seconds


def stored_changes_per_day(config: Config, *, now: datetime) -> float | None:
    """How often a day the vendor's numbers moved, as the store tells; `None` where there is none that does.

    Raises:
        StoreError: there is one that cannot be read.
    """
    try:
        with closing(open_to_read(config)) as store:
            return changes_per_day(store.open_day_moves(now - MOVES_LOOKED_AT), config.poll, now)
    except StoreMissing:
        return None


async def look(config: Config) -> tuple[Found, ...]:
    """Ask with each token; a workspace that two of them open counts once.

    Raises:
        ConfigurationError: no token can be used.
        ApiError: a workspace could not be read.
    """
    tokens = read_tokens(config)
    require_usable(tokens)
    stopwatch = _Stopwatch()
    make = api_maker(stopwatch)
    found: dict[str, Found] = {}
    for credential in tokens.credentials:
        client = make(credential, config, 1)
        try:
            seen = await _look(client, config, stopwatch)
        finally:
            await client.retire()
        if seen is not None:
            found[seen.workspace.id] = seen
    return tuple(found.values())


async def _look(client: VendorApi, config: Config, stopwatch: _Stopwatch) -> Found | None:
    me = await client.me()
    if me.workspace is None:
        return None
    workspace = Workspace(id=me.workspace.id, name=me.workspace.name)
    inventory = await read_inventory(client, workspace)
    followed = [
        database
        for database in inventory.databases
        if is_followed(database, workspace_name=workspace.name, discovery=config.discovery)
    ]
    latency = None
    if followed:
        await client.usage(followed[0].id)
        latency = timedelta(seconds=stopwatch.seconds)
    projects = len({database.project_id for database in inventory.databases})
    return Found(workspace=workspace, databases=len(followed), projects=projects, latency=latency)
