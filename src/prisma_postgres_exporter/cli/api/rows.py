"""What is printed of each kind of thing: the keys of JSON and CSV, and the columns of tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from prisma_postgres_exporter.cli.printing import Column, Columns

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import (
        AnyBranch,
        AnyConnection,
        AnyDatabase,
        AnyProject,
        AnyServiceToken,
        Backup,
        CreatedConnection,
        CreatedDatabase,
        CreatedProject,
        CreatedServiceToken,
        CreatedWorkspace,
        Database,
        Endpoint,
        Integration,
        Me,
        Region,
        Subscription,
        Usage,
        Workspace,
    )

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
D_co = TypeVar("D_co", covariant=True, bound="AnyDatabase")


@dataclass(frozen=True, slots=True)
class Named(Generic[T_co]):
    """Something that is known only together with the name of what it belongs to."""

    owner: Database
    thing: T_co


@dataclass(frozen=True, slots=True)
class Held(Generic[T_co]):
    """Something of a workspace."""

    workspace: Workspace
    thing: T_co


@dataclass(frozen=True, slots=True)
class Placed(Generic[D_co]):
    """A database with the name of its branch, `None` where that is not known."""

    database: D_co
    branch: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a credential is."""

    credential: str
    me: Me


WORKSPACE: Columns[Workspace | CreatedWorkspace] = (
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
SERVICE_TOKEN: Columns[Held[AnyServiceToken]] = (
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
INTEGRATION: Columns[Integration] = (
    Column("id", lambda integration: integration.id, "id"),
    Column("client_id", lambda integration: integration.client.id if integration.client else None),
    Column("client_name", lambda integration: integration.client.name if integration.client else None, "program"),
    Column(
        "user_email",
        lambda integration: integration.created_by_user.email if integration.created_by_user else None,
        "allowed by",
    ),
    Column("scopes", lambda integration: " ".join(integration.scopes), "scopes"),
    Column("created_at", lambda integration: integration.created_at, "created"),
)
PROJECT: Columns[AnyProject] = (
    Column("id", lambda project: project.id, "id"),
    Column("name", lambda project: project.name, "name"),
    Column("workspace_id", lambda project: project.workspace.id if project.workspace else None),
    Column("workspace_name", lambda project: project.workspace.name if project.workspace else None, "workspace"),
    Column("default_region", lambda project: project.default_region, "region"),
    Column("logical_id", lambda project: project.logical_id),
    Column("created_at", lambda project: project.created_at, "created"),
)
BRANCH: Columns[AnyBranch] = (
    Column("id", lambda branch: branch.id, "id"),
    Column("git_name", lambda branch: branch.git_name, "name"),
    Column("is_default", lambda branch: branch.is_default, "default"),
    Column("role", lambda branch: branch.role, "role"),
    Column("project_id", lambda branch: branch.project.id if branch.project else None),
    Column("project_name", lambda branch: branch.project.name if branch.project else None, "project"),
    Column("created_at", lambda branch: branch.created_at, "created"),
    Column("updated_at", lambda branch: branch.updated_at),
)
DATABASE: Columns[Placed[AnyDatabase]] = (
    Column("id", lambda placed: placed.database.id, "id"),
    Column("name", lambda placed: placed.database.name, "name"),
    Column("project_id", lambda placed: placed.database.project.id if placed.database.project else None),
    Column("project_name", lambda placed: placed.database.project.name if placed.database.project else None, "project"),
    Column("region", lambda placed: placed.database.region.id if placed.database.region else None, "region"),
    Column("status", lambda placed: placed.database.status, "status"),
    Column("is_default", lambda placed: placed.database.is_default, "default"),
    Column("default_connection_id", lambda placed: placed.database.default_connection_id),
    Column("branch_id", lambda placed: placed.database.branch_id),
    Column("branch_name", lambda placed: placed.branch, "branch"),
    Column("logical_id", lambda placed: placed.database.logical_id),
    Column("created_at", lambda placed: placed.database.created_at, "created"),
)
CONNECTION: Columns[AnyConnection] = (
    Column("id", lambda connection: connection.id, "id"),
    Column("name", lambda connection: connection.name, "name"),
    Column("database_id", lambda connection: connection.database.id if connection.database else None),
    Column("database_name", lambda connection: connection.database.name if connection.database else None, "database"),
    Column("kind", lambda connection: connection.kind, "kind"),
    Column("created_at", lambda connection: connection.created_at, "created"),
)
BACKUP: Columns[Named[Backup]] = (
    Column("id", lambda named: named.thing.id, "id", weight=30),
    Column("backup_type", lambda named: named.thing.backup_type, "type", weight=12),
    Column("status", lambda named: named.thing.status, "status", weight=14),
    Column("created_at", lambda named: named.thing.created_at, "created", weight=15),
    Column("size", lambda named: named.thing.size, "size", weight=13),
    Column("database_id", lambda named: named.owner.id),
    Column("database_name", lambda named: named.owner.name, "database"),
)
USAGE: Columns[Named[Usage]] = (
    Column("database_id", lambda named: named.owner.id, "id", weight=1),
    Column("database_name", lambda named: named.owner.name, "database", weight=30),
    Column("project_id", lambda named: named.owner.project.id),
    Column("project_name", lambda named: named.owner.project.name, "project", weight=5),
    Column("operations", lambda named: named.thing.operations, "operations", weight=21),
    Column("storage_bytes", lambda named: named.thing.storage_bytes, "storage bytes", weight=20),
    Column("period_start_at", lambda named: named.thing.period_start_at, "from", weight=3),
    Column("period_end_at", lambda named: named.thing.period_end_at, "to", weight=2),
    Column("generated_at", lambda named: named.thing.generated_at),
)


def new_service_token(*, is_revealed: bool) -> Columns[Held[CreatedServiceToken]]:
    """A service token that was just made: with its value, `None` unless it is to be revealed."""

    def value(held: Held[CreatedServiceToken]) -> str | None:
        secret = held.thing.value
        return secret.get_secret_value() if secret and is_revealed else None

    return (*SERVICE_TOKEN, Column("value", value, "value"))


def new_connection(*, is_revealed: bool) -> Columns[CreatedConnection]:
    """A connection that was just made or rotated: with its strings, `None` unless they are to be revealed."""

    def itself(connection: CreatedConnection) -> AnyConnection | None:
        return connection

    return (*CONNECTION, *_strings(itself, is_revealed=is_revealed))


def new_database(*, is_revealed: bool) -> Columns[Placed[CreatedDatabase]]:
    """A database that was just made, with the strings of its first connection."""

    def connection(placed: Placed[CreatedDatabase]) -> AnyConnection | None:
        return next(iter(placed.database.connections), None)

    return (*DATABASE, *_strings(connection, is_revealed=is_revealed))


def new_project(*, is_revealed: bool) -> Columns[CreatedProject]:
    """A project that was just made, with its database and the strings of that one's first connection."""

    def connection(project: CreatedProject) -> AnyConnection | None:
        return next(iter(project.database.connections), None) if project.database else None

    return (
        *PROJECT,
        Column("database_id", lambda project: project.database.id if project.database else None, "database id"),
        Column("database_name", lambda project: project.database.name if project.database else None, "database"),
        Column("database_region", _region_of_database),
        *_strings(connection, is_revealed=is_revealed),
    )


def _region_of_database(project: CreatedProject) -> str | None:
    return project.database.region.id if project.database and project.database.region else None


def _strings(connection_of: Callable[[T], AnyConnection | None], *, is_revealed: bool) -> Columns[T]:
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
