"""What the Management API sends, as types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, SecretStr, model_validator

from prisma_postgres_exporter.api.wire import (
    BranchId,
    ConnectionId,
    DatabaseId,
    Instant,
    ListAnswer,
    ProjectId,
    Refused,
    Text,
    UserId,
    Wire,
    WorkspaceId,
)

UNKNOWN: Final = "unknown"


class Reference(Wire):
    """The workspace or project that something belongs to, by id and name."""

    id: Text
    name: Text


class RegionReference(Wire):
    """The region that something is in; `name` is `None` where the vendor does not say."""

    id: Text
    name: Text | None = None


class WorkspaceReference(Reference):
    """A workspace, by id and name."""

    id: WorkspaceId


class ProjectReference(Reference):
    """A project, by id and name."""

    id: ProjectId


class DatabaseReference(Reference):
    """A database, by id and name."""

    id: DatabaseId


class User(Wire):
    """The person behind a token."""

    id: UserId | None = None
    email: Text | None = None
    name: Text | None = None


class Credential(Wire):
    """The token itself; `type` is `service_token`, `oauth` or another of the vendor's words, `None` without one."""

    type: Text | None = None
    id: Text | None = None
    name: Text | None = None


class Me(Wire):
    """Whose token this is. `user` is `None` for a service token, `workspace` where the vendor does not say."""

    workspace: WorkspaceReference | None = None
    user: User | None = None
    credential: Credential | None = None


class Workspace(Wire):
    """A workspace."""

    id: WorkspaceId
    name: Text
    created_at: Instant | None = None


class Subscription(Wire):
    """A workspace's plan. A field is `None` when the vendor left it out."""

    plan_name: Text | None = None
    usage_blocked: bool | None = None
    upgrade_url: Text | None = None


class Project(Wire):
    """A project, with the workspace it belongs to now."""

    id: ProjectId
    name: Text
    workspace: WorkspaceReference
    created_at: Instant | None = None
    logical_id: Text | None = None
    default_region: Text | None = None


class Database(Wire):
    """A database, with the project it belongs to now; its workspace is known to the project only.

    `status` is `ready`, `provisioning`, `recovering`, `failure` or a later word, and `unknown` where the vendor
    does not say. `region` is `None`
    where the vendor says so. The vendor's `connections` hold passwords: they are read where the database was
    just created, and nowhere else.
    """

    id: DatabaseId
    name: Text
    status: Text = UNKNOWN
    created_at: Instant
    project: ProjectReference
    is_default: bool = False
    region: RegionReference | None = None
    default_connection_id: ConnectionId | None = None
    branch_id: BranchId | None = None
    logical_id: Text | None = None


class Endpoint(Wire):
    """Where a connection leads. `connection_string` is a secret that holds the password.

    It is there when the connection was just created or rotated, else `None`.
    """

    host: Text | None = None
    port: int | None = None
    connection_string: SecretStr | None = None


class Endpoints(Wire):
    """The ways of one connection: straight, through the pooler, through Accelerate."""

    direct: Endpoint | None = None
    pooled: Endpoint | None = None
    accelerate: Endpoint | None = None


class DirectConnection(Wire):
    """The parts of a direct connection; `password` is a secret."""

    host: Text | None = None
    user: Text | None = None
    password: SecretStr | None = Field(default=None, alias="pass")


class Connection(Wire):
    """A connection to a database; `kind` is `postgres` or `accelerate`, `None` where the vendor does not say.

    Its secrets are `SecretStr`: neither `repr` nor `str` nor JSON shows them, `get_secret_value()` does.
    """

    id: ConnectionId
    name: Text
    kind: Text | None = None
    created_at: Instant | None = None
    database: DatabaseReference
    endpoints: Endpoints = Endpoints()
    direct_connection: DirectConnection | None = None


class CreatedDatabase(Database):
    """A database as its creation is answered: with connections, and their connection strings in them."""

    connections: Annotated[tuple[Connection, ...], Field(strict=False)] = ()

    @model_validator(mode="before")
    @classmethod
    def _connections_know_it(cls, document: object) -> object:
        if not isinstance(document, dict) or not isinstance(connections := document.get("connections"), list):
            return document
        return {**document, "connections": [_owned(connection, "database", document) for connection in connections]}


class CreatedProject(Project):
    """A project as its creation is answered; `database` is `None` where none was asked for."""

    database: CreatedDatabase | None = None

    @model_validator(mode="before")
    @classmethod
    def _its_database_knows_it(cls, document: object) -> object:
        if not isinstance(document, dict):
            return document
        return {**document, "database": _owned(document.get("database"), "project", document)}


def _owned(thing: object, member: str, owner: Mapping[str, object]) -> object:
    # The vendor leaves out of what it nests in a new thing the reference back to that thing.
    if not isinstance(thing, dict) or thing.get(member) is not None:
        return thing
    return {**thing, member: {"id": owner.get("id"), "name": owner.get("name")}}


class Backup(Wire):
    """A backup. `backup_type` is `full`, `incremental`, `differential` or a later word, `None` without one.

    `status` is `running`, `completed`, `failed`, `unknown` or a later word. The vendor does not say what `size`
    is counted in; it is `None` where it was left out.
    """

    id: Text
    backup_type: Text | None = None
    created_at: Instant
    status: Text = UNKNOWN
    size: int | Annotated[float, Field(allow_inf_nan=False)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backups:
    """Some of a database's backups, in the vendor's order; `has_more` says that it keeps others too.

    `retention_days` is how long it keeps them, `None` where it does not say. `refused` are those left out of
    `entries` because they do not have the shape they should.
    """

    entries: tuple[Backup, ...]
    retention_days: int | None
    has_more: bool
    refused: tuple[Refused, ...] = ()


class ServiceToken(Wire):
    """A service token of a workspace, without its value; `value_hint` is what the vendor shows of it."""

    id: Text
    name: Text
    value_hint: Text | None = None
    created_at: Instant | None = None
    expires_at: Instant | None = None


class Region(Wire):
    """A region; `status` is `available` or `unavailable`, `None` where the vendor does not say."""

    id: Text
    name: Text | None = None
    product: Text | None = None
    status: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One database's usage over the period the vendor says it used (aware UTC instants).

    A number is `None` when the vendor left it out. `operations` is rounded to whole operations,
    `storage_bytes` is the vendor's GiB times 2**30. `answered_at` is the vendor's clock when it answered, in whole
    seconds, `None` where the answer has no date.
    """

    period_start_at: datetime
    period_end_at: datetime
    operations: int | None
    storage_bytes: int | None
    generated_at: datetime | None
    answered_at: datetime | None = None


class Period(Wire):
    """The span that usage was computed over, both ends included."""

    start: Instant
    end: Instant


class Metric(Wire):
    """A number and its unit."""

    used: int | float | None = None
    unit: Text | None = None


class Metrics(Wire):
    """The two metrics of a database."""

    operations: Metric | None = None
    storage: Metric | None = None


class UsageAnswer(Wire):
    """The bare body of a usage answer."""

    period: Period
    metrics: Metrics | None = None
    generated_at: Instant | None = None


class BackupsMeta(Wire):
    """What stands beside a list of backups."""

    backup_retention_days: int | None = None


class BackupsPagination(Wire):
    """Whether there are more; this list has no cursor."""

    has_more: bool


class BackupsAnswer(ListAnswer):
    """`{"data": […], "meta": {…}, "pagination": {…}}`"""

    pagination: BackupsPagination
    meta: BackupsMeta = BackupsMeta()
