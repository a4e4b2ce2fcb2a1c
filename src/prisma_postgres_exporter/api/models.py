"""What the Management API sends, as types, and the rules that it is read by.

Unknown fields are ignored, because new ones appear every few weeks; known ones must have their type. `null` is
the same as absent: `None` or the default where the field may be missing. A `Lenient` field that cannot be read is
`None` too. Words of the vendor's (`status`, `kind` …) are text, so that a new one is no error. Text is kept as it is,
except for what neither UTF-8 nor Postgres can hold (lone surrogates and NUL), which becomes U+FFFD.

What a creation answers is shown once: there a member that cannot be read is `None`, and costs nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from prisma_postgres_exporter.api.arguments import normalised_id

T = TypeVar("T")

UNKNOWN: Final = "unknown"

# An instant outside is a mistake, and one at an end of the calendar breaks the arithmetic of whoever gets it.
_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2200

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _storable(value: object) -> object:
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value


def _instant(value: object) -> object:
    if not isinstance(value, str):
        return value
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("an instant without a time zone")
    try:
        instant = instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant outside the calendar") from None
    if not is_plausible(instant):
        raise ValueError("an instant that is centuries away")
    return instant


def is_plausible(instant: datetime) -> bool:
    """Whether an instant in UTC is of the years 2000 to 2200."""
    return _FIRST_YEAR <= instant.year <= _LAST_YEAR


def _id_of(prefix: str) -> BeforeValidator:
    return BeforeValidator(lambda value: normalised_id(prefix, value) if isinstance(value, str) else value)


def _readable(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    try:
        return handler(value)
    except ValidationError:
        return None


Text = Annotated[str, BeforeValidator(_storable)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
WorkspaceId = Annotated[str, _id_of("wksp_")]
ProjectId = Annotated[str, _id_of("proj_")]
DatabaseId = Annotated[str, _id_of("db_")]
BranchId = Annotated[str, _id_of("br_")]
UserId = Annotated[str, _id_of("usr_")]
IntegrationId = Annotated[str, _id_of("itgr_")]
ConnectionId = Annotated[str, _id_of("")]
"""Sent back exactly as it came: the vendor varies its prefix."""
Lenient = Annotated[T | None, WrapValidator(_readable)]
"""What nothing depends on: `None` where it cannot be read, so that it does not cost the record."""


class Wire(BaseModel):
    """The rules that every answer is read by."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, document: object) -> object:
        if not isinstance(document, dict):
            return document
        return {name: value for name, value in document.items() if value is not None}


class Once(Wire):
    """What is shown once: a member that cannot be read is left out, so that it does not cost the others."""

    @model_validator(mode="wrap")
    @classmethod
    def _what_can_be_read(cls, document: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(document)
        except ValidationError as exc:
            unread = {
                problem["loc"][0] for problem in exc.errors(include_url=False, include_input=False) if problem["loc"]
            }
            if not isinstance(document, dict):
                raise
            try:
                return handler({name: value for name, value in document.items() if name not in unread})
            except ValidationError:
                raise exc from None


class Created(Once):
    """What was just made; `shown_once` are the secrets of its answer that stand in no other member of it."""

    shown_once: tuple[SecretStr, ...] = Field(default=(), exclude=True)


class Identified(Wire):
    """What a record is known by when nothing else of it fits."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record of a list that does not have the shape it should.

    `id` is its id with its prefix, `None` where that cannot be read either. `reason` is the place and what is wrong
    there (`createdAt: missing`), never a value.
    """

    id: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list, or a list that has no pages; it iterates over its `entries`.

    `next_cursor` is `None` on the last one; `refused` are the records left out of `entries`: they exist. `is_cut` says
    that more entries exist behind the last page, and the vendor gave no cursor for them.
    """

    entries: tuple[T, ...]
    next_cursor: str | None
    refused: tuple[Refused, ...] = ()
    is_cut: bool = False

    def __iter__(self) -> Iterator[T]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class Envelope(Wire, Generic[T]):
    """`{"data": …}`"""

    data: T


class Pagination(Wire):
    """Where a list goes on; the cursor is opaque."""

    has_more: bool
    next_cursor: Annotated[str, Field(max_length=4096)] | None = None


class ListAnswer(Wire):
    """`{"data": […]}`; its records are read one by one, so that a bad one does not cost the others."""

    data: list[object]


class PageAnswer(ListAnswer):
    """`{"data": […], "pagination": …}`; without `pagination` a cut list would pass for a whole one."""

    pagination: Pagination


class Reference(Wire):
    """The workspace or project that something belongs to, by id and name."""

    id: Text
    name: Text


class RegionReference(Wire):
    """The region that something is in; `name` is `None` where the vendor does not say."""

    id: Text
    name: Lenient[Text] = None


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


class CreatedWorkspace(Created):
    """A workspace as its creation is answered."""

    id: WorkspaceId
    name: Text | None = None
    created_at: Instant | None = None


class Workspace(Wire):
    """A workspace."""

    id: WorkspaceId
    name: Text
    created_at: Lenient[Instant] = None


class Subscription(Wire):
    """A workspace's plan. A field is `None` when the vendor left it out."""

    plan_name: Text | None = None
    usage_blocked: bool | None = None
    upgrade_url: Text | None = None


class AnyBranch(Wire):
    """A branch of a project. `role` is `production`, `preview` or a later word."""

    id: BranchId
    git_name: Text | None = None
    is_default: bool | None = None
    role: Lenient[Text] = None
    created_at: Lenient[Instant] = None
    updated_at: Lenient[Instant] = None
    project: ProjectReference | None = None


class CreatedBranch(AnyBranch, Created):
    """A branch as its creation is answered: what could not be read of it is `None`."""


class Branch(AnyBranch):
    """A branch of a project, which it belongs to for ever."""

    git_name: Text
    project: ProjectReference


class AnyProject(Wire):
    """A project, as far as an answer tells of it."""

    id: ProjectId
    name: Text | None = None
    workspace: WorkspaceReference | None = None
    created_at: Lenient[Instant] = None
    logical_id: Lenient[Text] = None
    default_region: Lenient[Text] = None


class Project(AnyProject):
    """A project, with the workspace it belongs to now."""

    name: Text
    workspace: WorkspaceReference


class Origin(Wire):
    """What a database was filled with. `type` is `empty`, `backup`, `database` or a later word."""

    type: Text | None = None
    database_id: DatabaseId | None = None
    backup_id: Text | None = None


class AnyDatabase(Wire):
    """A database, as far as an answer tells of it.

    `status` is `ready`, `provisioning`, `recovering`, `failure` or a later word, and `unknown` where the vendor
    does not say. `region` is `None` where the vendor says so.
    """

    id: DatabaseId | None = None
    name: Text | None = None
    status: Text = UNKNOWN
    created_at: Instant | None = None
    project: ProjectReference | None = None
    is_default: bool = False
    region: Lenient[RegionReference] = None
    source: Lenient[Origin] = None
    default_connection_id: Lenient[ConnectionId] = None
    branch_id: Lenient[BranchId] = None
    logical_id: Lenient[Text] = None


class Database(AnyDatabase):
    """A database, with the project it belongs to now; its workspace is known to the project only.

    The vendor's `connections` hold passwords: they are read where the database was just created, and nowhere else.
    """

    id: DatabaseId
    name: Text
    created_at: Instant
    project: ProjectReference


class RestoredDatabase(AnyDatabase, Created):
    """A database as a restore of it is answered: what could not be read of it is `None`."""

    id: DatabaseId


class Endpoint(Once):
    """Where a connection leads. `connection_string` is a secret that holds the password.

    It is there when the connection was just created or rotated, else `None`.
    """

    host: Text | None = None
    port: int | None = None
    connection_string: SecretStr | None = None


class Endpoints(Once):
    """The ways of one connection: straight, through the pooler, through Accelerate."""

    direct: Endpoint | None = None
    pooled: Endpoint | None = None
    accelerate: Endpoint | None = None


class DirectConnection(Once):
    """The parts of a direct connection; `password` is a secret."""

    host: Text | None = None
    user: Text | None = None
    password: SecretStr | None = Field(default=None, alias="pass")


class AnyConnection(Wire):
    """A connection, as far as an answer tells of it; `kind` is `postgres`, `accelerate` or a later word.

    Its secrets are `SecretStr`: neither `repr` nor `str` nor JSON shows them, `get_secret_value()` does.
    """

    id: ConnectionId | None = None
    name: Text | None = None
    kind: Lenient[Text] = None
    created_at: Lenient[Instant] = None
    database: DatabaseReference | None = None
    endpoints: Endpoints = Endpoints()
    direct_connection: Lenient[DirectConnection] = None


class Connection(AnyConnection):
    """A connection to a database, without connection strings: those come with `CreatedConnection`."""

    id: ConnectionId
    name: Text
    database: DatabaseReference


class HeldConnection(AnyConnection, Once):
    """A connection of what was just created, with its connection strings."""

    @model_validator(mode="before")
    @classmethod
    def _from_deprecated_members(cls, document: object) -> object:
        return _with_strings(document) if isinstance(document, dict) else document


class CreatedConnection(HeldConnection, Created):
    """A connection that was just created or rotated, with its connection strings."""

    id: ConnectionId


class HeldDatabase(AnyDatabase, Once):
    """The database of what was just created: with connections, and their connection strings in them.

    What could not be read of it is `None`.
    """

    connections: Annotated[tuple[HeldConnection, ...], Field(strict=False)] = ()

    @model_validator(mode="before")
    @classmethod
    def _connections_know_it(cls, document: object) -> object:
        if not isinstance(document, dict):
            return document
        held = [_owned(one, "database", document) for one in _connections(document) if isinstance(one, dict)]
        return {**document, "connections": held}


class CreatedDatabase(HeldDatabase, Created):
    """A database as its creation is answered: with connections, and their connection strings in them.

    What could not be read of it is `None`.
    """

    id: DatabaseId


class CreatedProject(AnyProject, Created):
    """A project as its creation is answered; `database` is `None` where none was asked for, or none could be read."""

    database: HeldDatabase | None = None

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


def _connections(database: Mapping[str, object]) -> list[object]:
    """The connections of a new database, or where they have no strings, those of its deprecated members."""
    ways = [ways for name in ("connections", "apiKeys") if isinstance(ways := database.get(name), list)]
    own = {"id": database.get("defaultConnectionId"), "connectionString": database.get("connectionString")}
    ways.append([{**own, "directConnection": database.get("directConnection")}])
    return next((way for way in ways if any(map(_has_string, way))), ways[0] if len(ways) > 1 else [])


def _has_string(connection: object) -> bool:
    if not isinstance(connection, dict):
        return False
    endpoints = connection.get("endpoints")
    held = [connection, *(endpoints.values() if isinstance(endpoints, dict) else ())]
    return any(isinstance(one, dict) and isinstance(one.get("connectionString"), str) for one in held)


def _with_strings(connection: dict[str, object]) -> dict[str, object]:
    """A connection with what its deprecated members tell in the place of today's, where those are missing."""
    told = dict(connection)
    string = connection.get("connectionString")
    endpoints = connection.get("endpoints")
    endpoints = endpoints if isinstance(endpoints, dict) else {}
    if isinstance(string, str) and not _has_string({"endpoints": endpoints}):
        way = "accelerate" if string.startswith("prisma") else "direct"
        endpoint = endpoints.get(way)
        held = {**(endpoint if isinstance(endpoint, dict) else {}), "connectionString": string}
        told["endpoints"] = {**endpoints, way: held}
    parts = {name: connection.get(name) for name in ("host", "user", "pass")}
    if connection.get("directConnection") is None and any(parts.values()):
        told["directConnection"] = parts
    return told


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


class AnyServiceToken(Wire):
    """A service token of a workspace; `value_hint` is what the vendor shows of its value."""

    id: Text
    name: Text | None = None
    value_hint: Lenient[Text] = None
    created_at: Lenient[Instant] = None
    expires_at: Lenient[Instant] = None


class ServiceToken(AnyServiceToken):
    """A service token of a workspace, without its value."""

    name: Text


class CreatedServiceToken(AnyServiceToken, Created):
    """A service token that was just created; `value` is the token itself, shown this once."""

    value: SecretStr | None = None


class IntegrationClient(Wire):
    """The program that an integration belongs to."""

    id: Text
    name: Text | None = None
    created_at: Instant | None = None


class IntegrationUser(Wire):
    """The person who allowed an integration."""

    id: Text | None = None
    email: Text | None = None
    display_name: Text | None = None


class Integration(Wire):
    """A program that a person allowed into a workspace; `scopes` are what it may do."""

    id: IntegrationId
    created_at: Lenient[Instant] = None
    scopes: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    client: Lenient[IntegrationClient] = None
    created_by_user: Lenient[IntegrationUser] = None


class Region(Wire):
    """A region; `status` is `available` or `unavailable`, `None` where the vendor does not say."""

    id: Text
    name: Lenient[Text] = None
    product: Lenient[Text] = None
    status: Lenient[Text] = None


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
