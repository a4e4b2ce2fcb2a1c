"""What a discovery found to be different from the book: pure, so that it can be tried on every case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from prisma_postgres_exporter.discover.inventory import Inventory
from prisma_postgres_exporter.model import (
    Book,
    Database,
    Discovered,
    Event,
    EventKind,
    Position,
    Workspace,
    WorkspacePosition,
)


def find_changes(
    book: Book, inventories: Iterable[Inventory], *, gone_workspace_ids: Collection[str], now: datetime
) -> Discovered:
    """Compare complete inventories with the book.

    A database of the book that its workspace's inventory does not have is deleted, unless another
    inventory has it: then it moved. A workspace that no inventory speaks of keeps its databases,
    except those of `gone_workspace_ids`, which no credential reads any more. The databases of a
    workspace seen for the first time are found, not created: they make no events.
    """
    inventories = tuple(inventories)
    present = {database.id for inventory in inventories for database in inventory.databases}
    workspaces: list[Workspace] = []
    databases: list[Database] = []
    deleted: list[Position] = []
    events: list[Event] = []
    for inventory in inventories:
        known = book.workspaces.get(inventory.workspace.id)
        workspace = _with_known_plan(inventory.workspace, known)
        if known is None or known.is_gone or known.workspace != workspace:
            workspaces.append(workspace)
            events.extend(_workspace_events(known, workspace, now))
        for database in inventory.databases:
            position = book.positions.get(database.id)
            if position is None or position.deleted_at is not None or position.database != database:
                databases.append(database)
                is_first_sight = known is None and position is None
                events.extend(() if is_first_sight else _database_events(position, database, now))
        events.extend(_project_events(book, inventory, now))
        deleted.extend(_deleted(book, inventory.workspace.id, present))
    events.extend(_event(EventKind.DELETED, position.database, now) for position in deleted)
    gone = [id_ for id_ in gone_workspace_ids if not book.workspaces[id_].is_gone]
    events.extend(
        Event(at=now, kind=EventKind.DELETED, subject="workspace", subject_id=id_, workspace_id=id_) for id_ in gone
    )
    return Discovered(
        at=now,
        workspaces=tuple(workspaces),
        databases=tuple(databases),
        deleted_database_ids=tuple(position.database.id for position in deleted),
        gone_workspace_ids=tuple(gone),
        events=tuple(events),
    )


def _with_known_plan(workspace: Workspace, known: WorkspacePosition | None) -> Workspace:
    if known is None or workspace.plan is not None:
        return workspace
    return replace(workspace, plan=known.workspace.plan, usage_blocked=known.workspace.usage_blocked)


def _workspace_events(known: WorkspacePosition | None, workspace: Workspace, now: datetime) -> Iterator[Event]:
    if known is None:
        yield _workspace_event(EventKind.CREATED, workspace, now)
    elif known.is_gone:
        yield _workspace_event(EventKind.RETURNED, workspace, now)
    elif known.workspace.name != workspace.name:
        yield _workspace_event(EventKind.RENAMED, workspace, now, known.workspace.name, workspace.name)


def _workspace_event(
    kind: EventKind, workspace: Workspace, now: datetime, before: str | None = None, after: str | None = None
) -> Event:
    return Event(
        at=now,
        kind=kind,
        subject="workspace",
        subject_id=workspace.id,
        workspace_id=workspace.id,
        before=before,
        after=after,
    )


def _database_events(position: Position | None, database: Database, now: datetime) -> Iterator[Event]:
    if position is None:
        yield _event(EventKind.CREATED, database, now)
        return
    known = position.database
    if position.deleted_at is not None:
        yield _event(EventKind.RETURNED, database, now)
    if known.name != database.name:
        yield _event(EventKind.RENAMED, database, now, known.name, database.name)
    if known.workspace_id != database.workspace_id:
        yield _event(EventKind.MOVED, database, now, known.workspace_id, database.workspace_id)
    elif known.project_id != database.project_id:
        yield _event(EventKind.MOVED, database, now, known.project_id, database.project_id)


def _event(
    kind: EventKind, database: Database, now: datetime, before: str | None = None, after: str | None = None
) -> Event:
    return Event(
        at=now,
        kind=kind,
        subject="database",
        subject_id=database.id,
        workspace_id=database.workspace_id,
        before=before,
        after=after,
    )


def _project_events(book: Book, inventory: Inventory, now: datetime) -> Iterator[Event]:
    """One event for each renamed project, however many databases it holds."""
    renamed: dict[str, tuple[str, str]] = {}
    for database in inventory.databases:
        position = book.positions.get(database.id)
        if position is None or position.database.project_id != database.project_id:
            continue
        if position.database.project_name != database.project_name:
            renamed[database.project_id] = position.database.project_name, database.project_name
    for project_id, (before, after) in renamed.items():
        yield Event(
            at=now,
            kind=EventKind.RENAMED,
            subject="project",
            subject_id=project_id,
            workspace_id=inventory.workspace.id,
            before=before,
            after=after,
        )


def _deleted(book: Book, workspace_id: str, present: Collection[str]) -> Iterator[Position]:
    for position in book.positions.values():
        is_here = position.deleted_at is None and position.database.workspace_id == workspace_id
        if is_here and position.database.id not in present:
            yield position
