"""Write what a discovery found: keys for what is new, and since when it counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import count

from sqlalchemy import Column, Connection, Table, bindparam, func, select

from prisma_postgres_exporter.model import Database, Discovered, Workspace, ledger_begins_on
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.backend import Backend
from prisma_postgres_exporter.store.recording import write_rows
from prisma_postgres_exporter.store.rows import Values
from prisma_postgres_exporter.store.tables import databases, events, plans, positions, workspaces

ONE_DAY = timedelta(days=1)
IDS_AT_ONCE = 500


def write_discovered(connection: Connection, backend: Backend, discovered: Discovered) -> None:
    """Write new and changed subjects, mark those that left, and keep the events."""
    at = rows.unix_seconds(discovered.at)
    _write_workspaces(connection, backend, discovered.workspaces, at)
    _write_databases(connection, backend, discovered.databases, at)
    _mark(connection, workspaces, workspaces.c.gone_at, discovered.gone_workspace_ids, at)
    _mark(connection, databases, databases.c.deleted_at, discovered.deleted_database_ids, at)
    looked = () if discovered.looked is None else (discovered.looked,)
    write_rows(connection, backend, events, map(rows.event_row, (*discovered.events, *looked)))


def holders(connection: Connection, found: Iterable[Database]) -> set[str]:
    """Return the ids of the workspaces that these databases are in, before they are written."""
    query = select(workspaces.c.id).distinct().join(databases, workspaces.c.key == databases.c.workspace_key)
    return {
        workspace_id
        for chunk in _chunks([database.id for database in found])
        for workspace_id in connection.execute(query.where(databases.c.id.in_(chunk))).scalars()
    }


def first_days(created_at: datetime, followed_since_at: datetime, seen_at: datetime) -> tuple[date, date]:
    """Return a new database's `counted_from` and `known_until`.

    A counter of what we learn begins on the day we look. A database made after we began to follow its
    workspace counts from its first day, however late it was noticed. The ledger begins with the
    month or the database, whichever is later, and never after the counter.
    """
    seen_on = seen_at.date()
    counted_from = min(created_at.date(), seen_on) if created_at >= followed_since_at else seen_on
    return counted_from, ledger_begins_on(created_at, seen_at, counted_from) - ONE_DAY


def _write_workspaces(connection: Connection, backend: Backend, found: Sequence[Workspace], at: int) -> None:
    columns = workspaces.c
    known = {
        id_: (key, first_seen_at, plan, generation)
        for id_, key, first_seen_at, plan, generation in connection.execute(
            select(columns.id, columns.key, columns.first_seen_at, columns.plan, columns.generation)
        )
    }
    new_keys = count(max((key for key, *_ in known.values()), default=0) + 1)
    found_rows: list[Values] = []
    changed_plans: list[Values] = []
    for workspace in found:
        key, first_seen_at, plan, generation = known.get(workspace.id) or (next(new_keys), at, None, 0)
        if workspace.plan != plan:
            changed_plans.append((key, at, workspace.plan))
        found_rows.append(
            (
                key,
                workspace.id,
                workspace.name,
                workspace.plan,
                workspace.usage_blocked,
                first_seen_at,
                None,
                generation,
                at,
                generation,  # the write is counted after this
            )
        )
    write_rows(connection, backend, workspaces, found_rows)
    write_rows(connection, backend, plans, changed_plans)


def _write_databases(connection: Connection, backend: Backend, found: Sequence[Database], at: int) -> None:
    if not found:
        return
    columns = databases.c
    followed = {
        id_: (key, first_seen_at)
        for id_, key, first_seen_at in connection.execute(
            select(workspaces.c.id, workspaces.c.key, workspaces.c.first_seen_at)
        )
    }
    known = {
        id_: rest
        for chunk in _chunks([database.id for database in found])
        for id_, *rest in connection.execute(
            select(columns.id, columns.key, columns.first_seen_at, columns.counted_from).where(columns.id.in_(chunk))
        )
    }
    new_keys = count((connection.execute(select(func.max(columns.key))).scalar() or 0) + 1)
    seen_at = rows.instant(at)
    found_rows, new_positions = [], []
    for database in found:
        workspace_key, followed_since = followed[database.workspace_id]
        if database.id in known:
            key, first_seen_at, counted_from = known[database.id]
        else:
            counted_from_day, known_until = first_days(database.created_at, rows.instant(followed_since), seen_at)
            key, first_seen_at, counted_from = next(new_keys), at, rows.day_number(counted_from_day)
            new_positions.append(rows.new_position_row(key, known_until))
        found_rows.append(rows.database_row(key, workspace_key, database, first_seen_at, counted_from))
    write_rows(connection, backend, databases, found_rows)
    write_rows(connection, backend, positions, new_positions)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """A few hundred at a time: a statement has a bounded number of parameters."""
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))


def _mark(connection: Connection, table: Table, left_at: Column[int], ids: Iterable[str], at: int) -> None:
    """Say since when these are not there any more; who left before keeps its own instant."""
    parameters = [{"left_id": id_} for id_ in ids]
    if parameters:
        update = table.update().where(table.c.id == bindparam("left_id"), left_at.is_(None)).values({left_at: at})
        connection.execute(update, parameters)
