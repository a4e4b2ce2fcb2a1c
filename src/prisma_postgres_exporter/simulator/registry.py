"""Everything that a world holds or ever held: who held what when, and in which order lists show it.

Instants are milliseconds. `deleted_ms` is the first instant at which a thing is no more, `None` for one that stays.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, Generic, Protocol, TypeVar

from prisma_postgres_exporter.simulator.chance import identifier
from prisma_postgres_exporter.simulator.load import Course, Load, StorageCourse, storage_course

T = TypeVar("T")


class Made(Protocol):
    """Something that is made and may be deleted."""

    created_ms: int
    deleted_ms: int | None


def exists(record: Made, instant_ms: int) -> bool:
    """Whether it was made and not yet deleted."""
    return record.created_ms <= instant_ms and (record.deleted_ms is None or instant_ms < record.deleted_ms)


class History(Generic[T]):
    """A value that changes at instants (milliseconds); before the first change it is the first value."""

    __slots__ = ("_changes",)

    def __init__(self, since_ms: int, value: T) -> None:
        self._changes: list[tuple[int, T]] = [(since_ms, value)]

    def at(self, instant_ms: int) -> T:
        """The value held at an instant."""
        for since_ms, value in reversed(self._changes):
            if since_ms <= instant_ms:
                return value
        return self._changes[0][1]

    def change(self, at_ms: int, value: T) -> None:
        """Hold `value` from `at_ms` until the next change, if there is one."""
        insort(self._changes, (at_ms, value), key=lambda change: change[0])

    def spans(self, start_ms: int, end_ms: int) -> Iterator[tuple[T, int, int]]:
        """The values held from `start_ms` to `end_ms`, each with its part of that span."""
        starts = [start_ms, *(max(start_ms, since_ms) for since_ms, _ in self._changes[1:])]
        ends = [*starts[1:], end_ms]
        for (_, value), since_ms, until_ms in zip(self._changes, starts, ends, strict=True):
            if since_ms < min(until_ms, end_ms):
                yield value, since_ms, min(until_ms, end_ms)


@dataclass(slots=True, kw_only=True)
class WorkspaceRecord:
    """A workspace; it stays for ever."""

    id: str
    created_ms: int
    plan: str
    busy_permille: int
    names: History[str]
    blocked: History[bool]


@dataclass(slots=True, kw_only=True)
class TokenRecord:
    """A service token; `alias` is a short spelling of its `value`, for the tokens that a world begins with."""

    id: str
    workspace_id: str
    name: str
    value: str
    created_ms: int
    alias: str | None = None
    deleted_ms: int | None = None

    @property
    def spelling(self) -> str:
        """What faults and the log of calls know it by."""
        return self.alias or self.value


@dataclass(slots=True, kw_only=True)
class IntegrationRecord:
    """An application that a user let into a workspace."""

    id: str
    workspace_id: str
    client_id: str
    client_name: str
    created_ms: int
    deleted_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class ProjectRecord:
    """A project and the workspaces it belonged to."""

    id: str
    created_ms: int
    names: History[str]
    workspace_ids: History[str]
    deleted_ms: int | None = None
    logical_id: str | None = None
    default_region: str | None = None


@dataclass(slots=True, kw_only=True)
class BranchRecord:
    """A project's git branch; the first one is the project's production."""

    id: str
    project_id: str
    git_name: str
    is_default: bool
    is_production: bool
    created_ms: int
    updated_ms: int
    deleted_ms: int | None = None


@dataclass(slots=True, kw_only=True)
class DatabaseRecord:
    """A database, with what makes its usage: `key` is its own random number.

    `branch_id` is set for those of a git branch only. `source` is what it was made or restored from: the fields of
    the vendor's answer.
    """

    id: str
    key: int
    project_id: str
    created_ms: int
    deleted_ms: int | None
    is_default: bool
    region: str | None
    names: History[str]
    operations_a_day: int
    first_storage_bytes: int
    branch_id: str | None = None
    logical_id: str | None = None
    source: Mapping[str, str] | None = None
    is_remote: bool = False
    _statuses: History[str] | None = None
    _course: Course | None = None
    _load: Load | None = None
    _surges: tuple[Load, ...] = ()
    _added: tuple[tuple[int, int], ...] = ()
    _storage: StorageCourse | None = None

    def status(self, at_ms: int) -> str:
        """`ready`, if nothing else was said."""
        return "ready" if self._statuses is None else self._statuses.at(at_ms)

    def change_status(self, at_ms: int, status: str) -> None:
        """Let it have `status` from `at_ms` until the next change, if there is one."""
        if self._statuses is None:
            self._statuses = History(self.created_ms, "ready")
        self._statuses.change(at_ms, status)

    def use(self, operations_a_day: int, course: Course, storage: StorageCourse | None = None) -> None:
        """Make it use so much from its creation on, instead of what was drawn."""
        self.operations_a_day, self._course, self._load = operations_a_day, course, None
        self._storage = storage or self._storage

    def surge(self, load: Load) -> None:
        """Let it make those operations too."""
        self._surges += (load,)

    def operations(self, start_ms: int, end_ms: int) -> int:
        """True operations from `start_ms` until just before `end_ms`."""
        return self._operations_until(end_ms) - self._operations_until(start_ms)

    def add_operations(self, operations: int, at_ms: int) -> None:
        """Make operations beside the usual ones, all of them at one instant of its life."""
        self._added += ((at_ms, operations),)

    def storage_bytes(self, at_ms: int) -> int:
        """The true level at an instant; 0 when it does not exist."""
        if not exists(self, at_ms):
            return 0
        # Made when first asked for: a world of 50,000 databases must begin at once.
        if self._storage is None:
            self._storage = storage_course(self.key, self.first_storage_bytes)
        return self._storage.level_bytes(at_ms - self.created_ms)

    def _operations_until(self, at_ms: int) -> int:
        if at_ms <= self.created_ms:
            return 0
        if self._load is None:
            self._load = Load(
                key=self.key,
                created_ms=self.created_ms,
                operations_a_day=self.operations_a_day,
                course=self._course,
            )
        until_ms = at_ms if self.deleted_ms is None else min(at_ms, self.deleted_ms)
        surged = sum(load.operations_until(until_ms) for load in self._surges if load.created_ms < until_ms)
        added = sum(operations for made_ms, operations in self._added if made_ms < until_ms)
        return self._load.operations_until(until_ms) + surged + added


@dataclass(slots=True, kw_only=True)
class ConnectionRecord:
    """A connection to a database; `rotations` counts how often it got new credentials."""

    id: str
    database_id: str
    name: str
    created_ms: int
    deleted_ms: int | None = None
    rotations: int = 0


_BEFORE_ALL: Final = (-(2**63), "")
_CONNECTIONS: Final = 8  # the row of a database's random numbers for its connections
_Key = tuple[int, str]
"""When something was made, and its id: the order of every list, so that nothing new moves what is old."""


class Registry:
    """What the world is made of. Instants are milliseconds; nothing is ever forgotten."""

    def __init__(self) -> None:
        self.workspaces: dict[str, WorkspaceRecord] = {}
        self.projects: dict[str, ProjectRecord] = {}
        self.databases: dict[str, DatabaseRecord] = {}
        self.branches: dict[str, BranchRecord] = {}
        self.tokens: dict[str, TokenRecord] = {}
        self.integrations: dict[str, IntegrationRecord] = {}
        self._tokens_by_spelling: dict[str, TokenRecord] = {}
        self._projects_ever_in: dict[str, list[_Key]] = {}
        self._databases_of: dict[str, list[_Key]] = {}
        self._branches_of: dict[str, list[BranchRecord]] = {}
        # A database's first connection is kept here when it changes; until then it follows from its database.
        self._first_connections: dict[str, ConnectionRecord] = {}
        self._added_connections: dict[str, list[ConnectionRecord]] = {}

    def add_workspace(self, workspace: WorkspaceRecord) -> None:
        """Add one that has no projects yet."""
        self.workspaces[workspace.id] = workspace
        self._projects_ever_in[workspace.id] = []

    def add_token(self, token: TokenRecord) -> None:
        """Add a token to its workspace."""
        self.tokens[token.id] = token
        self._tokens_by_spelling |= {token.value: token, token.spelling: token}

    def add_project(self, project: ProjectRecord) -> None:
        """Add one that has no databases yet to the workspace it begins in."""
        self.projects[project.id] = project
        self._databases_of[project.id] = []
        self._branches_of[project.id] = []
        insort(self._projects_ever_in[project.workspace_ids.at(project.created_ms)], _key(project))

    def add_branch(self, project_id: str, git_name: str, at_ms: int, *, is_default: bool = False) -> BranchRecord:
        """Add a branch to a project: the first one is production, the default one takes over from another."""
        ever = self._branches_of[project_id]
        is_first = next(self.branches_of(project_id, at_ms), None) is None
        branch = BranchRecord(
            id=identifier("br_", *project_id.encode(), len(ever)),
            project_id=project_id,
            git_name=git_name,
            is_default=False,
            is_production=is_first,
            created_ms=at_ms,
            updated_ms=at_ms,
        )
        ever.append(branch)
        self.branches[branch.id] = branch
        if is_default or is_first:
            self.make_default(branch, at_ms)
        return branch

    def make_default(self, branch: BranchRecord, at_ms: int) -> None:
        """Let one branch be its project's default, and no other."""
        for held in self._branches_of[branch.project_id]:
            if held.is_default != (held is branch):
                held.is_default, held.updated_ms = held is branch, at_ms

    def branch_named(self, project_id: str, git_name: str, at_ms: int) -> BranchRecord | None:
        """A project's branch of that name."""
        return next((held for held in self.branches_of(project_id, at_ms) if held.git_name == git_name), None)

    def branches_of(self, project_id: str, at_ms: int) -> Iterator[BranchRecord]:
        """The branches of a project at an instant, in the order in which they were made."""
        return (branch for branch in self._branches_of[project_id] if exists(branch, at_ms))

    def add_database(self, database: DatabaseRecord) -> None:
        """Add one to its project; where that is no more, neither is the database."""
        self.databases[database.id] = database
        if not exists(self.projects[database.project_id], database.created_ms):
            database.deleted_ms = database.created_ms
        insort(self._databases_of[database.project_id], _key(database))

    def move_project(self, project_id: str, workspace_id: str, at_ms: int) -> None:
        """Let `workspace_id` hold the project from `at_ms`."""
        project, held = self.projects[project_id], self._projects_ever_in[workspace_id]
        project.workspace_ids.change(at_ms, workspace_id)
        if _key(project) not in held:
            insort(held, _key(project))

    def delete_project(self, project_id: str, at_ms: int) -> None:
        """Let it be no more from `at_ms`, with every branch and database in it; an earlier end stays."""
        project = self.projects[project_id]
        project.deleted_ms = at_ms if project.deleted_ms is None else min(at_ms, project.deleted_ms)
        for branch in self.branches_of(project_id, at_ms):
            branch.deleted_ms = at_ms
        for created_ms, database_id in self._databases_of[project_id]:
            # What was to be made later is never made.
            self.delete_database(database_id, max(at_ms, created_ms))

    def delete_database(self, database_id: str, at_ms: int) -> None:
        """Let it be no more from `at_ms`; an earlier end stays."""
        database = self.databases[database_id]
        database.deleted_ms = at_ms if database.deleted_ms is None else min(at_ms, database.deleted_ms)

    def token(self, spelling: str, at_ms: int) -> TokenRecord | None:
        """The token that is written like this, if it is good."""
        token = self._tokens_by_spelling.get(spelling)
        return token if token is not None and exists(token, at_ms) else None

    def tokens_of(self, workspace_id: str, at_ms: int) -> list[TokenRecord]:
        """The tokens of a workspace, the newest first."""
        held = [token for token in self.tokens.values() if token.workspace_id == workspace_id and exists(token, at_ms)]
        return held[::-1]

    def integrations_of(self, workspace_id: str, at_ms: int) -> list[IntegrationRecord]:
        """The integrations of a workspace."""
        return [
            integration
            for integration in self.integrations.values()
            if integration.workspace_id == workspace_id and exists(integration, at_ms)
        ]

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
            if exists(database, at_ms):
                yield database

    def databases_ever_in(self, workspace_id: str) -> Iterator[DatabaseRecord]:
        """Every database whose project was ever held by a workspace, the deleted ones included."""
        for _, project_id in self._projects_ever_in[workspace_id]:
            for _, database_id in self._databases_of[project_id]:
                yield self.databases[database_id]

    def connections_of(self, database: DatabaseRecord, at_ms: int) -> Iterator[ConnectionRecord]:
        """The connections of a database at an instant, in the order in which they were made."""
        for connection in (self._first_connection(database), *self._added_connections.get(database.id, ())):
            if exists(connection, at_ms):
                yield connection

    def connection(self, connection_id: str, at_ms: int) -> ConnectionRecord | None:
        """A connection that exists at an instant, by its id, with or without prefix."""
        wanted = prefixed("con_", connection_id)
        database = self.databases.get("db_" + wanted.removeprefix("con_"))
        known = [] if database is None else [self._first_connection(database)]
        found = chain(known, *self._added_connections.values())
        return next((held for held in found if held.id == wanted and exists(held, at_ms)), None)

    def add_connection(self, database: DatabaseRecord, name: str, at_ms: int) -> ConnectionRecord:
        """Make another connection to a database."""
        added = self._added_connections.setdefault(database.id, [])
        id_ = identifier("con_", database.key, _CONNECTIONS, len(added))
        added.append(ConnectionRecord(id=id_, database_id=database.id, name=name, created_ms=at_ms))
        return added[-1]

    def keep_connection(self, connection: ConnectionRecord) -> ConnectionRecord:
        """Remember a connection that is about to change."""
        if connection.id.removeprefix("con_") == connection.database_id.removeprefix("db_"):
            self._first_connections[connection.id] = connection
        return connection

    def _first_connection(self, database: DatabaseRecord) -> ConnectionRecord:
        id_ = "con_" + database.id.removeprefix("db_")
        return self._first_connections.get(id_) or ConnectionRecord(
            id=id_, database_id=database.id, name="default", created_ms=database.created_ms
        )

    def _held(self, workspace_id: str, at_ms: int, start: int) -> Iterator[ProjectRecord]:
        keys = self._projects_ever_in[workspace_id]
        for position in range(start, len(keys)):
            project = self.projects[keys[position][1]]
            if exists(project, at_ms) and project.workspace_ids.at(at_ms) == workspace_id:
                yield project


def prefixed(prefix: str, id_: str) -> str:
    """An id with its prefix, given with or without it."""
    return id_ if id_.startswith(prefix) else prefix + id_


def _key(record: ProjectRecord | DatabaseRecord) -> _Key:
    return record.created_ms, record.id
