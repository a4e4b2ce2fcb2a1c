"""What a discovery found to be different from what is held: pure, so that it can be tried on every case."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from prisma_postgres_exporter.model import (
    LONGEST_UNWATCHED,
    Database,
    DatabaseState,
    Discovered,
    Event,
    EventKind,
    Workspace,
    WorkspaceState,
)
from prisma_postgres_exporter.rounds.inventory import Inventory

LOOK_NOTED_EVERY = timedelta(minutes=30)
"""So often is it stored that somebody looked and found nothing new."""


def find_changes(
    known: WorkspaceState | None,
    inventory: Inventory,
    *,
    moving: Mapping[str, DatabaseState],
    staying: Collection[str],
    kept: Collection[str],
    before_at: datetime | None,
    looked_at: datetime | None,
    now: datetime,
    noted_at: datetime,
) -> Discovered:
    """Compare an inventory, begun at `now`, with the state of its workspace at `noted_at`.

    `moving` are the listed databases that another workspace holds and that come to this one, `staying` those that stay
    where they are. A database that is held and not listed is deleted, unless it is one of `kept`, or
    the inventory is not complete. One that is new was created if that was after `before_at`, the discovery before, and
    else found. The databases of a workspace seen for the first time make no events. `looked_at` is when somebody looked
    what it holds before this, as far as anybody knows: if that is long ago, the workspace is found once more.
    """
    held = known.databases if known else {}
    workspace = _with_known_plan(inventory.workspace, known)
    databases: list[Database] = []
    events: list[Event] = list(_workspace_events(known, workspace, looked_at, now))
    for listed in inventory.databases:
        if listed.id in staying:
            continue
        state = held.get(listed.id) or moving.get(listed.id)
        created_at = _creation(listed, state, now)
        database = listed if created_at == listed.created_at else replace(listed, created_at=created_at)
        if state is None or state.deleted_at is not None or state.database != database:
            databases.append(database)
            if known is not None or state is not None:
                events.extend(_database_events(state, database, before_at, now, noted_at))
    events.extend(_project_events(held, inventory, now))
    listed_ids = inventory.listed_ids
    deleted = [
        state
        for id_, state in held.items()
        if state.deleted_at is None and id_ not in listed_ids and id_ not in kept and inventory.is_complete
    ]
    events.extend(_event(EventKind.DELETED, state.database, now) for state in deleted)
    is_changed = known is None or known.is_gone or known.workspace != workspace
    return Discovered(
        at=now,
        workspaces=(workspace,) if is_changed else (),
        databases=tuple(databases),
        deleted_database_ids=tuple(state.database.id for state in deleted),
        events=tuple(events),
        looked=_looked(known, now),
    )


def workspace_gone(workspace: Workspace, now: datetime) -> Discovered:
    """A workspace that no credential reads any more."""
    return Discovered(
        at=now,
        gone_workspace_ids=(workspace.id,),
        events=(_event(EventKind.DELETED, workspace, now),),
    )


def _creation(listed: Database, state: DatabaseState | None, now: datetime) -> datetime:
    """When it was made. That lies in the past, and what was believed once does not become later."""
    return min(listed.created_at, state.database.created_at if state else now)


def _with_known_plan(workspace: Workspace, known: WorkspaceState | None) -> Workspace:
    if known is None or workspace.plan is not None:
        return workspace
    return replace(workspace, plan=known.workspace.plan, usage_blocked=known.workspace.usage_blocked)


def _looked(known: WorkspaceState | None, now: datetime) -> Event | None:
    """That somebody looks, unless that was said a short while ago."""
    if known is None or (known.looked_at is not None and now - known.looked_at < LOOK_NOTED_EVERY):
        return None
    return replace(_event(EventKind.FOUND, known.workspace, known.first_seen_at), last_there_at=now)


def _workspace_events(
    known: WorkspaceState | None, workspace: Workspace, looked_at: datetime | None, now: datetime
) -> Iterator[Event]:
    if known is None:
        yield replace(_event(EventKind.FOUND, workspace, now), last_there_at=now)
        return
    if looked_at is not None and now - looked_at > LONGEST_UNWATCHED:
        yield replace(_event(EventKind.FOUND, workspace, now), last_there_at=looked_at)
    if known.is_gone:
        yield _event(EventKind.RETURNED, workspace, now)
    elif known.workspace.name != workspace.name:
        yield _event(EventKind.RENAMED, workspace, now, known.workspace.name, workspace.name)


def _database_events(
    state: DatabaseState | None, database: Database, before_at: datetime | None, now: datetime, noted_at: datetime
) -> Iterator[Event]:
    if state is None:
        is_new = before_at is not None and database.created_at > before_at
        yield _event(EventKind.CREATED if is_new else EventKind.FOUND, database, now)
        return
    known = state.database
    has_moved = known.workspace_id != database.workspace_id
    # What was taken for deleted and has another workspace was moved all the time.
    if state.deleted_at is not None and not has_moved:
        yield _event(EventKind.RETURNED, database, now)
    if known.name != database.name:
        yield _event(EventKind.RENAMED, database, now, known.name, database.name)
    if has_moved:
        seen = (state.first_seen_at, state.last_success_at, *(move.at for move in state.moves))
        # Not when the list began: it may have moved while that was read.
        moved = _event(EventKind.MOVED, database, noted_at, known.workspace_id, database.workspace_id)
        yield replace(moved, last_there_at=min(noted_at, max(at for at in seen if at is not None)))
    elif known.project_id != database.project_id:
        yield _event(EventKind.MOVED, database, now, known.project_id, database.project_id)


def _project_events(held: Mapping[str, DatabaseState], inventory: Inventory, now: datetime) -> Iterator[Event]:
    """One event for each renamed project, however many databases it holds."""
    renamed: dict[str, tuple[str, str]] = {}
    for database in inventory.databases:
        state = held.get(database.id)
        if state is None or state.database.project_id != database.project_id:
            continue
        if state.database.project_name != database.project_name:
            renamed[database.project_id] = state.database.project_name, database.project_name
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


def _event(
    kind: EventKind, subject: Workspace | Database, now: datetime, before: str | None = None, after: str | None = None
) -> Event:
    name, workspace_id = (
        ("database", subject.workspace_id) if isinstance(subject, Database) else ("workspace", subject.id)
    )
    return Event(
        at=now,
        kind=kind,
        subject=name,
        subject_id=subject.id,
        workspace_id=workspace_id,
        before=before,
        after=after,
    )
