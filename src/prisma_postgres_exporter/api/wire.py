"""The rules that every answer is read by, and the envelopes that answers come in.

Unknown fields are ignored, because new ones appear every few weeks; known ones must have their type. `null` is
the same as absent: `None` or the default where the field may be missing.
Text from the vendor is kept as it is, except for what neither UTF-8 nor Postgres can hold
(lone surrogates and NUL), which becomes U+FFFD.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from prisma_postgres_exporter.api.identifiers import normalised_id

T = TypeVar("T")

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

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, document: object) -> object:
        if not isinstance(document, dict):
            return document
        return {name: value for name, value in document.items() if value is not None}


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
    """One page of a list. `next_cursor` is `None` on the last one; `refused` are the records left out of `entries`.

    A page with `refused` records is not complete: they exist.
    """

    entries: tuple[T, ...]
    next_cursor: str | None
    refused: tuple[Refused, ...] = ()


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
