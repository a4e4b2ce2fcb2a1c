"""Read who the keys of the ledger's rows are, deleted databases included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlalchemy import Connection, select

from prisma_postgres_exporter.model import KnownDatabase
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.loading import load_moves
from prisma_postgres_exporter.store.tables import databases, workspaces


def stream_databases(connection: Connection) -> Iterator[KnownDatabase]:
    """Every database that was ever followed, by key."""
    moves = load_moves(connection)
    query = (
        select(databases, workspaces.c.id)
        .join(workspaces, workspaces.c.key == databases.c.workspace_key)
        .order_by(databases.c.key)
    )
    for known in map(rows.read_database, rows.fetched(connection, query)):
        yield replace(known, moves=tuple(moves[known.key])) if known.key in moves else known
