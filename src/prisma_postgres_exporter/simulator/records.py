"""What the world remembers of each thing it holds, and how a value changes over time.

Instants are milliseconds. `deleted_ms` is the first instant at which a thing is no more, `None` for one that stays.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from prisma_postgres_exporter.simulator.load import Load, StorageCourse, storage_course

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
    _load: Load | None = None
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
            self._load = Load(key=self.key, created_ms=self.created_ms, operations_a_day=self.operations_a_day)
        until_ms = at_ms if self.deleted_ms is None else min(at_ms, self.deleted_ms)
        added = sum(operations for made_ms, operations in self._added if made_ms < until_ms)
        return self._load.operations_until(until_ms) + added


@dataclass(slots=True, kw_only=True)
class ConnectionRecord:
    """A connection to a database; `rotations` counts how often it got new credentials."""

    id: str
    database_id: str
    name: str
    created_ms: int
    deleted_ms: int | None = None
    rotations: int = 0
