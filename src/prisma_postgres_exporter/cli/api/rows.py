"""What is printed of each kind of thing: the keys of JSON and CSV, and the columns of tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from prisma_postgres_exporter.api import (
    Backup,
    Connection,
    CreatedDatabase,
    CreatedProject,
    Database,
    Endpoint,
    Me,
    Project,
    Region,
    ServiceToken,
    Subscription,
    Usage,
    Workspace,
)
from prisma_postgres_exporter.cli.printing import Column, Columns

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Named(Generic[T]):
    """Something that is known only together with the name of what it belongs to."""

    owner: Database
    thing: T


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """Something of a workspace."""

    workspace: Workspace
    thing: T


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a credential is."""

    credential: str
    me: Me


WORKSPACE: Columns[Workspace] = (
    Column("id", lambda workspace: workspace.id, "id"),
    Column("name", lambda workspace: workspace.name, "name"),
    Column("created_at", lambda workspace: workspace.created_at, "created"),
)
SUBSCRIPTION: Columns[Held[Subscription]] = (
    Column("workspace_id", lambda held: held.workspace.id, "workspace id"),
    Column("workspace_name", lambda held: held.workspace.name, "workspace"),
    Column("plan_name", lambda held: held.thing.plan_name, "plan"),
    Column("usage_blocked", lambda held: held.thing.usage_blocked, "blocked"),
    Column("upgrade_url", lambda held: held.thing.upgrade_url),
)
SERVICE_TOKEN: Columns[Held[ServiceToken]] = (
    Column("id", lambda held: held.thing.id, "id"),
    Column("name", lambda held: held.thing.name, "name"),
    Column("value_hint", lambda held: held.thing.value_hint, "hint"),
    Column("created_at", lambda held: held.thing.created_at, "created"),
    Column("expires_at", lambda held: held.thing.expires_at, "expires"),
    Column("workspace_id", lambda held: held.workspace.id),
    Column("workspace_name", lambda held: held.workspace.name, "workspace"),
)
IDENTITY: Columns[Identity] = (
    Column("credential", lambda identity: identity.credential, "credential"),
    Column(
        "workspace_id", lambda identity: identity.me.workspace.id if identity.me.workspace else None, "workspace id"
    ),
    Column(
        "workspace_name", lambda identity: identity.me.workspace.name if identity.me.workspace else None, "workspace"
    ),
    Column("type", lambda identity: identity.me.credential.type if identity.me.credential else None, "type"),
    Column("id", lambda identity: identity.me.credential.id if identity.me.credential else None),
    Column("name", lambda identity: identity.me.credential.name if identity.me.credential else None, "name"),
    Column("user_id", lambda identity: identity.me.user.id if identity.me.user else None),
    Column("user_email", lambda identity: identity.me.user.email if identity.me.user else None, "user"),
    Column("user_name", lambda identity: identity.me.user.name if identity.me.user else None),
)
REGION: Columns[Region] = (
    Column("id", lambda region: region.id, "id"),
    Column("name", lambda region: region.name, "name"),
    Column("product", lambda region: region.product, "product"),
    Column("status", lambda region: region.status, "status"),
)
PROJECT: Columns[Project] = (
    Column("id", lambda project: project.id, "id"),
    Column("name", lambda project: project.name, "name"),
    Column("workspace_id", lambda project: project.workspace.id),
    Column("workspace_name", lambda project: project.workspace.name, "workspace"),
    Column("default_region", lambda project: project.default_region, "region"),
    Column("logical_id", lambda project: project.logical_id),
    Column("created_at", lambda project: project.created_at, "created"),
)
DATABASE: Columns[Database] = (
    Column("id", lambda database: database.id, "id"),
    Column("name", lambda database: database.name, "name"),
    Column("project_id", lambda database: database.project.id),
    Column("project_name", lambda database: database.project.name, "project"),
    Column("region", lambda database: database.region.id if database.region else None, "region"),
    Column("status", lambda database: database.status, "status"),
    Column("is_default", lambda database: database.is_default, "default"),
    Column("default_connection_id", lambda database: database.default_connection_id),
    Column("branch_id", lambda database: database.branch_id),
    Column("logical_id", lambda database: database.logical_id),
    Column("created_at", lambda database: database.created_at, "created"),
)
CONNECTION: Columns[Connection] = (
    Column("id", lambda connection: connection.id, "id"),
    Column("name", lambda connection: connection.name, "name"),
    Column("database_id", lambda connection: connection.database.id),
    Column("database_name", lambda connection: connection.database.name, "database"),
    Column("kind", lambda connection: connection.kind, "kind"),
    Column("created_at", lambda connection: connection.created_at, "created"),
)
BACKUP: Columns[Named[Backup]] = (
    Column("id", lambda named: named.thing.id, "id"),
    Column("backup_type", lambda named: named.thing.backup_type, "type"),
    Column("status", lambda named: named.thing.status, "status"),
    Column("created_at", lambda named: named.thing.created_at, "created"),
    Column("size", lambda named: named.thing.size, "size"),
    Column("database_id", lambda named: named.owner.id),
    Column("database_name", lambda named: named.owner.name, "database"),
)
USAGE: Columns[Named[Usage]] = (
    Column("database_id", lambda named: named.owner.id),
    Column("database_name", lambda named: named.owner.name, "database"),
    Column("project_id", lambda named: named.owner.project.id),
    Column("project_name", lambda named: named.owner.project.name, "project"),
    Column("operations", lambda named: named.thing.operations, "operations"),
    Column("storage_bytes", lambda named: named.thing.storage_bytes, "storage, bytes"),
    Column("period_start_at", lambda named: named.thing.period_start_at, "from"),
    Column("period_end_at", lambda named: named.thing.period_end_at, "to"),
    Column("generated_at", lambda named: named.thing.generated_at),
)


def new_connection(*, is_revealed: bool) -> Columns[Connection]:
    """A connection that was just made or rotated: with its strings, `None` unless they are to be revealed."""

    def itself(connection: Connection) -> Connection | None:
        return connection

    return (*CONNECTION, *_strings(itself, is_revealed=is_revealed))


def new_database(*, is_revealed: bool) -> Columns[CreatedDatabase]:
    """A database that was just made, with the strings of its first connection."""

    def connection(database: CreatedDatabase) -> Connection | None:
        return database.connections[0] if database.connections else None

    return (*DATABASE, *_strings(connection, is_revealed=is_revealed))


def new_project(*, is_revealed: bool) -> Columns[CreatedProject]:
    """A project that was just made, with its database and the strings of that one's first connection."""

    def connection(project: CreatedProject) -> Connection | None:
        return project.database.connections[0] if project.database and project.database.connections else None

    return (
        *PROJECT,
        Column("database_id", lambda project: project.database.id if project.database else None, "database id"),
        Column("database_name", lambda project: project.database.name if project.database else None, "database"),
        *_strings(connection, is_revealed=is_revealed),
    )


def _strings(connection_of: Callable[[T], Connection | None], *, is_revealed: bool) -> Columns[T]:
    def string(way: str) -> Callable[[T], str | None]:
        def value(thing: T) -> str | None:
            connection = connection_of(thing)
            endpoint: Endpoint | None = getattr(connection.endpoints, way) if connection else None
            secret = endpoint.connection_string if endpoint else None
            return secret.get_secret_value() if secret and is_revealed else None

        return value

    return tuple(
        Column(f"{way}_connection_string", string(way), f"{way} string" if is_revealed else None)
        for way in ("direct", "pooled", "accelerate")
    )
