"""The truth: what exists, what it is called, who holds it and what it really used, at any instant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prisma_postgres_exporter.model import Database, Project, Workspace
from prisma_postgres_exporter.simulator.clock import HOUR_MS, from_ms, to_ms
from prisma_postgres_exporter.simulator.founding import Founder, Lifecycle, WorldShape
from prisma_postgres_exporter.simulator.registry import DatabaseRecord, Registry, TokenRecord, exists, prefixed

_DRAWN, _ADDED = 3, 4  # rows of random numbers: what the seed makes, and what is added by hand


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A span in which one workspace held a database that existed."""

    workspace_id: str
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A database was made, or deleted, in the workspace that held it."""

    at: datetime
    database_id: str
    workspace_id: str
    is_deletion: bool


class World:
    """A world that is a function of its seed, its shape and time, except for what is changed by hand.

    It `begins_at` (aware) with everything of `shape` in place, made up to two years earlier; from then on
    `churn_a_day` changes happen. Every instant can be asked for, in any order. Instants are cut to
    milliseconds; spans run from `start_at` until just before `end_at`. Database ids are taken with or
    without their prefix; one that never was is a `KeyError`.

    What is changed by hand must not lie before what was changed by hand earlier, to be told as it happened.
    """

    def __init__(self, *, seed: int = 1, shape: WorldShape | None = None, begins_at: datetime) -> None:
        self.seed: Final = seed
        self.begins_at: Final = begins_at
        self.registry: Final = Registry()
        shape = shape or WorldShape()
        founder = Founder(seed, _DRAWN, shape, self.registry)
        self._lifecycle = Lifecycle(seed, shape, self.registry, founder, begins_ms=to_ms(begins_at))
        self._by_hand = Founder(seed, _ADDED, shape, self.registry)

    @property
    def tokens(self) -> Mapping[str, str]:
        """The id of the workspace that each token opens: `simulator-token-1` and so on, short for the token's JWT."""
        return {token.alias: token.workspace_id for token in self.registry.tokens.values() if token.alias}

    def service_token(self, workspace_id: str) -> str:
        """The JWT that a workspace begins with, as the vendor would write it."""
        return next(token.value for token in self.registry.tokens.values() if token.workspace_id == workspace_id)

    def live_until(self, at: datetime) -> int:
        """Let everything until `at` happen, if it has not yet; returns `at` in milliseconds."""
        at_ms = to_ms(at)
        self._lifecycle.live_until(at_ms)
        return at_ms

    def workspaces(self, at: datetime) -> tuple[Workspace, ...]:
        """Every workspace, as it is at `at`."""
        return tuple(self.workspace(id_, at) for id_ in self.registry.workspaces)

    def workspace(self, workspace_id: str, at: datetime) -> Workspace:
        """One workspace, as it is at `at`."""
        at_ms, record = self.live_until(at), self.registry.workspaces[workspace_id]
        return Workspace(
            id=record.id, name=record.names.at(at_ms), plan=record.plan, usage_blocked=record.blocked.at(at_ms)
        )

    def projects(self, at: datetime) -> tuple[Project, ...]:
        """Every project that exists at `at`, by workspace."""
        at_ms = self.live_until(at)
        return tuple(
            Project(id=record.id, name=record.names.at(at_ms), workspace_id=workspace_id)
            for workspace_id in self.registry.workspaces
            for record in self.registry.projects_in(workspace_id, at_ms)
        )

    def databases(self, at: datetime, *, workspace_id: str | None = None) -> tuple[Database, ...]:
        """Every database that exists at `at`, by workspace and project; of one workspace if asked."""
        at_ms = self.live_until(at)
        workspace_ids = tuple(self.registry.workspaces) if workspace_id is None else (workspace_id,)
        return tuple(
            self._as_of(record, at_ms)
            for held_by in workspace_ids
            for record in self.registry.databases_in(held_by, at_ms)
        )

    def database(self, database_id: str, at: datetime) -> Database | None:
        """One database as it is at `at`; `None` when it does not exist then."""
        at_ms = self.live_until(at)
        record = self.registry.databases.get(prefixed("db_", database_id))
        return self._as_of(record, at_ms) if record is not None and exists(record, at_ms) else None

    def changes(self, start_at: datetime, end_at: datetime) -> Iterator[Change]:
        """The databases that were made or deleted in a span."""
        start_ms, end_ms = self._span(start_at, end_at)
        for record in self.registry.databases.values():
            for at_ms in (record.created_ms, record.deleted_ms):
                if at_ms is not None and start_ms <= at_ms < end_ms:
                    yield Change(
                        at=from_ms(at_ms),
                        database_id=record.id,
                        workspace_id=self.registry.workspace_of(record, at_ms),
                        is_deletion=at_ms == record.deleted_ms,
                    )

    def deleted_at(self, database_id: str) -> datetime | None:
        """From when on the database is no more; `None` for one that stays."""
        deleted_ms = self._record(database_id).deleted_ms
        return None if deleted_ms is None else from_ms(deleted_ms)

    def operations(self, database_id: str, start_at: datetime, end_at: datetime) -> int:
        """Operations that a database really made: exact, so that spans add up."""
        start_ms, end_ms = self._span(start_at, end_at)
        return self._record(database_id).operations(start_ms, end_ms)

    def workspace_operations(self, workspace_id: str, start_at: datetime, end_at: datetime) -> int:
        """Operations made while the workspace held their database, those of deleted databases included."""
        start_ms, end_ms = self._span(start_at, end_at)
        return sum(
            record.operations(since_ms, until_ms)
            for record in self.registry.databases_ever_in(workspace_id)
            for held_by, since_ms, until_ms in self._held(record, start_ms, end_ms)
            if held_by == workspace_id
        )

    def stays(self, database_id: str, start_at: datetime, end_at: datetime) -> tuple[Stay, ...]:
        """Which workspace held a database when, within a span and while it existed; in order."""
        start_ms, end_ms = self._span(start_at, end_at)
        return tuple(
            Stay(workspace_id=workspace_id, start_at=from_ms(since_ms), end_at=from_ms(until_ms))
            for workspace_id, since_ms, until_ms in self._held(self._record(database_id), start_ms, end_ms)
        )

    def storage_bytes(self, database_id: str, at: datetime) -> int:
        """The level that a database really holds at an instant; 0 when it does not exist."""
        return self._record(database_id).storage_bytes(self.live_until(at))

    def storage_byte_hours(self, database_id: str, start_at: datetime, end_at: datetime) -> int:
        """The levels at every whole hour of a span, summed: what storage is billed by."""
        start_ms, end_ms = self._span(start_at, end_at)
        record = self._record(database_id)
        return sum(map(record.storage_bytes, range(-(-start_ms // HOUR_MS) * HOUR_MS, end_ms, HOUR_MS)))

    def add_operations(self, database_id: str, operations: int, *, at: datetime) -> None:
        """Let a database make operations by hand, all of them at `at`, which may be past.

        Raises:
            ValueError: fewer than one, or the database does not exist then.
        """
        at_ms, record = self.live_until(at), self._record(database_id)
        if operations < 1 or not exists(record, at_ms):
            raise ValueError("operations are at least one, at an instant at which the database exists")
        record.add_operations(operations, at_ms)

    def add_project(
        self,
        workspace_id: str,
        *,
        at: datetime,
        name: str | None = None,
        logical_id: str | None = None,
        default_region: str | None = None,
    ) -> str:
        """Create a project by hand; returns its id."""
        return self._by_hand.project(
            workspace_id, self.live_until(at), name=name, logical_id=logical_id, default_region=default_region
        ).id

    def add_database(
        self,
        project_id: str,
        *,
        at: datetime,
        name: str | None = None,
        is_default: bool = False,
        branch_id: str | None = None,
        region: str | None = None,
        logical_id: str | None = None,
        source: Mapping[str, str] | None = None,
        is_remote: bool = False,
    ) -> str:
        """Create a database by hand; returns its id. A remote one cannot be backed up."""
        at_ms = self.live_until(at)
        return self._by_hand.database(
            self.registry.projects[project_id],
            at_ms,
            is_default=is_default,
            name=name,
            branch_id=branch_id,
            region=region,
            logical_id=logical_id,
            source=source,
            is_remote=is_remote,
        ).id

    def add_token(self, workspace_id: str, name: str, *, at: datetime) -> TokenRecord:
        """Create a service token by hand."""
        return self._by_hand.token(workspace_id, name, self.live_until(at))

    def rename_workspace(self, workspace_id: str, name: str, *, at: datetime) -> None:
        """Rename a workspace by hand."""
        self.registry.workspaces[workspace_id].names.change(self.live_until(at), name)

    def block_workspace(self, workspace_id: str, is_blocked: bool, *, at: datetime) -> None:
        """Block a workspace's usage by hand, or lift the block."""
        self.registry.workspaces[workspace_id].blocked.change(self.live_until(at), is_blocked)

    def rename_project(self, project_id: str, name: str, *, at: datetime) -> None:
        """Rename a project by hand."""
        self.registry.projects[project_id].names.change(self.live_until(at), name)

    def move_project(self, project_id: str, workspace_id: str, *, at: datetime) -> None:
        """Transfer a project with its databases to another workspace by hand."""
        self.registry.move_project(project_id, workspace_id, self.live_until(at))

    def delete_project(self, project_id: str, *, at: datetime) -> None:
        """Delete a project with its databases by hand."""
        self.registry.delete_project(project_id, self.live_until(at))

    def change_status(self, database_id: str, status: str, *, at: datetime) -> None:
        """Let a database have a status (`ready`, `recovering` …) from `at`, by hand."""
        self._record(database_id).change_status(self.live_until(at), status)

    def rename_database(self, database_id: str, name: str, *, at: datetime) -> None:
        """Rename a database by hand."""
        self._record(database_id).names.change(self.live_until(at), name)

    def delete_database(self, database_id: str, *, at: datetime) -> None:
        """Delete a database by hand."""
        self.registry.delete_database(self._record(database_id).id, self.live_until(at))

    def _record(self, database_id: str) -> DatabaseRecord:
        return self.registry.databases[prefixed("db_", database_id)]

    def _span(self, start_at: datetime, end_at: datetime) -> tuple[int, int]:
        return to_ms(start_at), self.live_until(end_at)

    def _held(self, record: DatabaseRecord, start_ms: int, end_ms: int) -> Iterator[tuple[str, int, int]]:
        since_ms = max(start_ms, record.created_ms)
        until_ms = end_ms if record.deleted_ms is None else min(end_ms, record.deleted_ms)
        return self.registry.projects[record.project_id].workspace_ids.spans(since_ms, until_ms)

    def _as_of(self, record: DatabaseRecord, at_ms: int) -> Database:
        project = self.registry.projects[record.project_id]
        return Database(
            id=record.id,
            name=record.names.at(at_ms),
            project_id=project.id,
            project_name=project.names.at(at_ms),
            workspace_id=project.workspace_ids.at(at_ms),
            region=record.region,
            status=record.status(at_ms),
            is_default=record.is_default,
            created_at=from_ms(record.created_ms),
        )
