"""The cost configuration that a service left in the store, as a document that others understand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.backend import Backend
from prisma_postgres_exporter.store.tables import cost_configuration

ONLY_KEY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCosts:
    """What was written, when (UTC), and by which version."""

    document: str
    written_at: datetime
    made_by: str


def read_costs(connection: Connection) -> StoredCosts | None:
    """Return what is there; `None` where no service has written it yet."""
    columns = cost_configuration.c
    query = select(columns.document, columns.written_at, columns.made_by).where(columns.key == ONLY_KEY)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    document, written_at, made_by = row
    return StoredCosts(document=document, written_at=rows.instant(written_at), made_by=made_by)


def write_costs(connection: Connection, backend: Backend, document: str, at: datetime) -> None:
    """Put it in the place of what is there."""
    backend.upsert(connection, cost_configuration, [(ONLY_KEY, document, rows.unix_seconds(at), __version__)])
