"""What the Management API sends, as types.

Unknown fields are ignored, because new ones appear every few weeks; known ones must have their type.
Text from the vendor is kept as it is, except for what neither UTF-8 nor Postgres can hold
(lone surrogates and NUL), which becomes U+FFFD.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from prisma_postgres_exporter.api.identifiers import normalised_id

T = TypeVar("T")

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
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("an instant outside the calendar") from None


def _id_of(prefix: str) -> BeforeValidator:
    return BeforeValidator(lambda value: normalised_id(prefix, value) if isinstance(value, str) else value)


Text = Annotated[str, BeforeValidator(_storable)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
WorkspaceId = Annotated[str, _id_of("wksp_")]
ProjectId = Annotated[str, _id_of("proj_")]
DatabaseId = Annotated[str, _id_of("db_")]
ConnectionId = Annotated[str, _id_of("con_")]
BranchId = Annotated[str, _id_of("br_")]
UserId = Annotated[str, _id_of("usr_")]


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


class Reference(Wire):
    """The workspace or project that something belongs to, by id and name."""

    id: Text
    name: Text


class WorkspaceReference(Reference):
    """A workspace, by id and name."""

    id: WorkspaceId


class ProjectReference(Reference):
    """A project, by id and name."""

    id: ProjectId


class User(Wire):
    """The person behind a token."""

    id: UserId
    email: Text | None = None
    name: Text | None = None


class Credential(Wire):
    """The token itself; `type` is `service_token`, `oauth` or another of the vendor's words."""

    type: Text
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

    `status` is `ready`, `provisioning`, `recovering`, `failure` or a later word. `region` is `None`
    where the vendor says so. The vendor's `connections` hold passwords and are not read.
    """

    id: DatabaseId
    name: Text
    status: Text
    created_at: Instant
    project: ProjectReference
    is_default: bool = False
    region: Reference | None = None
    default_connection_id: ConnectionId | None = None
    branch_id: BranchId | None = None
    logical_id: Text | None = None


class Region(Wire):
    """A region; `status` is `available` or `unavailable`, `None` where the vendor does not say."""

    id: Text
    name: Text
    product: Text | None = None
    status: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One database's usage over the period the vendor says it used (aware UTC instants).

    A number is `None` when the vendor left it out. `operations` is rounded to whole operations,
    `storage_bytes` is the vendor's GiB times 2**30.
    """

    period_start_at: datetime
    period_end_at: datetime
    operations: int | None
    storage_bytes: int | None
    generated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list. `next_cursor` is `None` on the last one."""

    entries: tuple[T, ...]
    next_cursor: str | None


class Envelope(Wire, Generic[T]):
    """`{"data": …}`"""

    data: T


class Pagination(Wire):
    """Where a list goes on; the cursor is opaque."""

    has_more: bool
    next_cursor: Annotated[str, Field(max_length=4096)] | None = None


class PageAnswer(Wire, Generic[T]):
    """`{"data": […], "pagination": …}`; without `pagination` a cut list would pass for a whole one."""

    data: list[T]
    pagination: Pagination


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
