"""The parameters of requests: what is accepted, and what is said of what is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails
from starlette.datastructures import QueryParams

from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.expose.v1.problems import Refused

MOST_DATABASES = 10_000
DAY_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
MONTH_PATTERN = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"

P = TypeVar("P", bound=BaseModel)


def _day(text: object) -> object:
    if isinstance(text, str) and re.fullmatch(DAY_PATTERN, text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise ValueError("there is no such day") from None
    raise ValueError("is not a valid day; write it like 2026-11-05")


def _month(text: object) -> object:
    if isinstance(text, str) and re.fullmatch(MONTH_PATTERN, text):
        return date.fromisoformat(f"{text}-01")
    raise ValueError("is not a valid month; write it like 2026-11")


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Month = Annotated[date, BeforeValidator(_month), WithJsonSchema({"type": "string", "pattern": MONTH_PATTERN})]
Id = Annotated[str, Field(min_length=1, max_length=200)]


class Step(StrEnum):
    """How long the time of one row is."""

    DAY = "day"
    MONTH = "month"


class Parameters(BaseModel):
    """What a request may ask; nothing else."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParameters(Parameters):
    """None."""


class DatabasesParameters(Parameters):
    """Which databases."""

    workspace: Id | None = Field(None, description="Only those of this workspace, by id.")
    project: Id | None = Field(None, description="Only those of this project, by id.")
    limit: int = Field(1_000, ge=1, le=MOST_DATABASES, description="The most rows to return.")
    after: Id | None = Field(None, description="Go on after here: `next_after` of the answer before.")


class UsageParameters(Parameters):
    """Which usage."""

    from_: Day | None = Field(
        None, alias="from", description="The first day (UTC). Default: 30 days before `to`, or the same month."
    )
    to: Day | None = Field(None, description="The last day (UTC), included. Default: today.")
    by: Step = Field(Step.DAY, description="One row a day, or a month: of every month that the days lie in.")
    group: By = Field(By.DATABASE, description="What a row is about.")
    workspace: Id | None = Field(None, description="Only this workspace, by id.")
    project: Id | None = Field(None, description="Only this project, by id.")
    database: Id | None = Field(None, description="Only this database, by id.")


class CostParameters(Parameters):
    """Which costs."""

    month: Month | None = Field(None, description="A calendar month (UTC). Default: this one, so far.")
    by: By = Field(By.WORKSPACE, description="What a row is about.")
    workspace: Id | None = Field(None, description="Only this workspace, by id.")
    project: Id | None = Field(None, description="Only this project, by id.")


def parsed(kind: type[P], query: QueryParams) -> P:
    """Read a request's parameters.

    Raises:
        Refused: 400 with everything that is wrong.
    """
    twice = [name for name, count in Counter(name for name, _ in query.multi_items()).items() if count > 1]
    problems = [f"{name} was given more than once" for name in twice]
    try:
        found = kind.model_validate(dict(query))
    except ValidationError as error:
        problems += [_problem(kind, query, line) for line in error.errors()]
    else:
        if not problems:
            return found
    raise Refused(400, "; ".join(problems))


def _problem(kind: type[BaseModel], query: QueryParams, error: ErrorDetails) -> str:
    """What is wrong with one parameter, and the nearest that is accepted."""
    name = str(error["loc"][0])
    if error["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in kind.model_fields.items()]
        return f"there is no parameter {name!r}; " + _accepted(name, known)
    given = query[name]
    field = next(field for own, field in kind.model_fields.items() if (field.alias or own) == name)
    if isinstance(field.annotation, type) and issubclass(field.annotation, StrEnum):
        return f"{name}={given!r} is not accepted; " + _accepted(given, [member.value for member in field.annotation])
    reason = str(error["ctx"]["error"]) if error["type"] == "value_error" else error["msg"]
    return f"{name}={given!r}: {reason}"


def _accepted(given: str, known: Sequence[str]) -> str:
    if not known:
        return "none is accepted here"
    near = get_close_matches(given, known, n=1)
    return (f"did you mean {near[0]}? " if near else "") + f"Accepted: {', '.join(known)}"
