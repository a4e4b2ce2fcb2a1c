"""What a store holds, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, func, select

from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.backend import Backend
from prisma_postgres_exporter.store.tables import days, metadata, store_state, workspaces


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """How often the store was written to, over all workspaces, and when (UTC) for the last time; `None`: never."""

    generation: int
    written_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSummary:
    """`made_by` is the version that made or migrated it, `written_at` (UTC) when it was last written to.

    `rows` by table. `oldest_day` and `newest_day` are `None` where there are no days.
    """

    engine: str
    made_by: str
    generation: int
    written_at: datetime | None
    size_bytes: int
    rows: Mapping[str, int]
    oldest_day: date | None
    newest_day: date | None


def state_of(connection: Connection) -> StoreState:
    """Add up what is counted of each workspace."""
    columns = workspaces.c
    writes, written_at = connection.execute(select(func.sum(columns.generation), func.max(columns.written_at))).one()
    return StoreState(generation=int(writes or 0), written_at=None if written_at is None else rows.instant(written_at))


def summarise(connection: Connection, backend: Backend) -> StoreSummary:
    """Count everything, as of one moment."""
    state = state_of(connection)
    oldest = connection.execute(select(func.min(days.c.day))).scalar_one()
    newest = connection.execute(select(func.max(days.c.day))).scalar_one()
    return StoreSummary(
        engine=connection.dialect.name,
        made_by=connection.execute(select(store_state.c.made_by)).scalar_one(),
        generation=state.generation,
        written_at=state.written_at,
        size_bytes=backend.size_bytes(connection),
        rows={
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        },
        oldest_day=None if oldest is None else rows.day_of(oldest),
        newest_day=None if newest is None else rows.day_of(newest),
    )
