"""Read who the keys of the ledger's rows are, deleted databases included."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sqlalchemy import Connection, select

from prisma_postgres_exporter.model import BilledMonth, KnownDatabase, Workspace
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.tables import databases, months, workspaces


def stream_databases(connection: Connection) -> Iterator[KnownDatabase]:
    """Every database that was ever followed, by key."""
    query = (
        select(databases, workspaces.c.id)
        .join(workspaces, workspaces.c.key == databases.c.workspace_key)
        .order_by(databases.c.key)
    )
    return map(rows.read_database, rows.fetched(connection, query))


def stream_billed_months(connection: Connection, month: date) -> Iterator[BilledMonth]:
    """The rows of one month by database key, two for a database that moved in it."""
    holder, own = workspaces.alias("holder"), workspaces.alias("own")
    query = (
        select(months, databases, own.c.id, holder.c.id, holder.c.name, holder.c.plan, holder.c.usage_blocked)
        .join(databases, databases.c.key == months.c.database_key)
        .join(own, own.c.key == databases.c.workspace_key)
        .join(holder, holder.c.key == months.c.workspace_key)
        .where(months.c.month == rows.month_number(month))
        .order_by(months.c.database_key, months.c.workspace_key)
    )
    month_end, database_end = len(months.columns), len(months.columns) + len(databases.columns) + 1
    for row in rows.fetched(connection, query):
        [usage] = rows.read_months([row[:month_end]])
        id_, name, plan, usage_blocked = row[database_end:]
        yield BilledMonth(
            usage=usage,
            database=rows.read_database(row[month_end:database_end]),
            workspace=Workspace(id=id_, name=name, plan=plan, usage_blocked=usage_blocked),
        )
