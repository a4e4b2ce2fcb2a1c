"""The rules that every answer is read by, and the envelopes that answers come in.

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
