"""Every workspace, project and database that ever was, who held what when, and in which order lists show them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final

from prisma_postgres_exporter.simulator.records import DatabaseRecord, ProjectRecord, WorkspaceRecord

_BEFORE_ALL: Final = (-(2**63), "")
_Key = tuple[int, str]
"""When something was made, and its id: the order of every list, so that nothing new moves what is old."""


class Registry:
    """What the world is made of. Instants are milliseconds; nothing is ever forgotten."""

    def __init__(self) -> None:
        self.workspaces: dict[str, WorkspaceRecord] = {}
        self.projects: dict[str, ProjectRecord] = {}
        self.databases: dict[str, DatabaseRecord] = {}
        self._projects_ever_in: dict[str, list[_Key]] = {}
        self._databases_of: dict[str, list[_Key]] = {}

    def add_workspace(self, workspace: WorkspaceRecord) -> None:
        """Add one that has no projects yet."""
        self.workspaces[workspace.id] = workspace
        self._projects_ever_in[workspace.id] = []

    def add_project(self, project: ProjectRecord) -> None:
        """Add one that has no databases yet to the workspace it begins in."""
        self.projects[project.id] = project
        self._databases_of[project.id] = []
        insort(self._projects_ever_in[project.workspace_ids.at(project.created_ms)], _key(project))

    def add_database(self, database: DatabaseRecord) -> None:
        """Add one to its project; where that is no more, neither is the database."""
        self.databases[database.id] = database
        if not self.projects[database.project_id].exists_at(database.created_ms):
            database.deleted_ms = database.created_ms
        insort(self._databases_of[database.project_id], _key(database))

    def move_project(self, project_id: str, workspace_id: str, at_ms: int) -> None:
        """Let `workspace_id` hold the project from `at_ms`."""
        project, held = self.projects[project_id], self._projects_ever_in[workspace_id]
        project.workspace_ids.change(at_ms, workspace_id)
        if _key(project) not in held:
            insort(held, _key(project))

    def delete_project(self, project_id: str, at_ms: int) -> None:
        """Let it be no more from `at_ms`, with every database in it; an earlier end stays."""
        project = self.projects[project_id]
        project.deleted_ms = at_ms if project.deleted_ms is None else min(at_ms, project.deleted_ms)
        for created_ms, database_id in self._databases_of[project_id]:
            # What was to be made later is never made.
            self.delete_database(database_id, max(at_ms, created_ms))

    def delete_database(self, database_id: str, at_ms: int) -> None:
        """Let it be no more from `at_ms`; an earlier end stays."""
        database = self.databases[database_id]
        database.deleted_ms = at_ms if database.deleted_ms is None else min(at_ms, database.deleted_ms)

    def workspace_of(self, database: DatabaseRecord, at_ms: int) -> str:
        """The workspace that holds the database's project at an instant."""
        return self.projects[database.project_id].workspace_ids.at(at_ms)

    def projects_in(self, workspace_id: str, at_ms: int, *, after: str | None = None) -> Iterator[ProjectRecord]:
        """The projects that a workspace holds at an instant, in order, those after the project `after` only."""
        keys = self._projects_ever_in[workspace_id]
        start = 0 if after is None else bisect_right(keys, _key(self.projects[after]))
        return self._held(workspace_id, at_ms, start)

    def databases_in(self, workspace_id: str, at_ms: int, *, after: str | None = None) -> Iterator[DatabaseRecord]:
        """The databases that a workspace holds at an instant, by project, those after the database `after` only."""
        keys, start = self._projects_ever_in[workspace_id], 0
        if after is not None:
            start = bisect_left(keys, _key(self.projects[self.databases[after].project_id]))
        for project in self._held(workspace_id, at_ms, start):
            yield from self.databases_of(project.id, at_ms, after=after)

    def databases_of(self, project_id: str, at_ms: int, *, after: str | None = None) -> Iterator[DatabaseRecord]:
        """The databases of a project at an instant, in order; `after` counts if it is one of them."""
        keys = self._databases_of[project_id]
        last = self.databases[after] if after is not None else None
        follows = _key(last) if last is not None and last.project_id == project_id else _BEFORE_ALL
        for position in range(bisect_right(keys, follows), len(keys)):
            database = self.databases[keys[position][1]]
            if database.exists_at(at_ms):
                yield database

    def databases_ever_in(self, workspace_id: str) -> Iterator[DatabaseRecord]:
        """Every database whose project was ever held by a workspace, the deleted ones included."""
        for _, project_id in self._projects_ever_in[workspace_id]:
            for _, database_id in self._databases_of[project_id]:
                yield self.databases[database_id]

    def _held(self, workspace_id: str, at_ms: int, start: int) -> Iterator[ProjectRecord]:
        keys = self._projects_ever_in[workspace_id]
        for position in range(start, len(keys)):
            project = self.projects[keys[position][1]]
            if project.exists_at(at_ms) and project.workspace_ids.at(at_ms) == workspace_id:
                yield project


def prefixed(prefix: str, id_: str) -> str:
    """An id with its prefix, given with or without it."""
    return id_ if id_.startswith(prefix) else prefix + id_


def _key(record: ProjectRecord | DatabaseRecord) -> _Key:
    return record.created_ms, record.id
