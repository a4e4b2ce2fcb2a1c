"""The parameters of requests: what is accepted, and what is said of what is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, get_type_hints

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.expose.v1.problems import problem_answer
from prisma_postgres_exporter.words import listed, plainly

MOST_DATABASES = 10_000
DAY_PATTERN = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
MONTH_PATTERN = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"


def _day(text: object) -> object:
    if isinstance(text, str) and re.fullmatch(DAY_PATTERN, text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise ValueError("is not a day that exists") from None
    raise ValueError("is not a valid day; write it like 2026-11-05")


def _month(text: object) -> object:
    if isinstance(text, str) and re.fullmatch(MONTH_PATTERN, text):
        return date.fromisoformat(f"{text}-01")
    raise ValueError("is not a valid month; write it like 2026-11")


LONGEST_ID = 200
# Each may be absent, and no query can say `null`: the document does not speak of it.
Day = Annotated[date | None, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Month = Annotated[date | None, BeforeValidator(_month), WithJsonSchema({"type": "string", "pattern": MONTH_PATTERN})]
Id = Annotated[
    str | None,
    Field(min_length=1, max_length=LONGEST_ID),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST_ID}),
]


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

    workspace: Id = Field(None, description="Only those of this workspace, by id.")
    project: Id = Field(None, description="Only those of this project, by id.")
    limit: int = Field(1_000, ge=1, le=MOST_DATABASES, description="The most rows to return.")
    after: Id = Field(None, description="Go on after here: `next_after` of the answer before.")


class UsageParameters(Parameters):
    """Which usage."""

    from_: Day = Field(
        None, alias="from", description="The first day (UTC). Default: 30 days before `to`, or the same month."
    )
    to: Day = Field(None, description="The last day (UTC), included. Default: today.")
    by: Step = Field(Step.DAY, description="One row a day, or a month: of every month that the days lie in.")
    group: By = Field(By.DATABASE, description="What a row is about.")
    workspace: Id = Field(None, description="Only this workspace, by id.")
    project: Id = Field(None, description="Only this project, by id.")
    database: Id = Field(None, description="Only this database, by id.")


class CostParameters(Parameters):
    """Which costs."""

    month: Month = Field(None, description="A calendar month (UTC). Default: this one, so far.")
    by: By = Field(By.WORKSPACE, description="What a row is about.")
    workspace: Id = Field(None, description="Only this workspace, by id.")
    project: Id = Field(None, description="Only this project, by id.")


async def given_once(request: Request) -> None:
    """Refuse parameters that are given twice, of which FastAPI would take the last.

    Raises:
        HTTPException: 400 with every one of them.
    """
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if twice := [f"{name} was given more than once" for name, count in counts.items() if count > 1]:
        raise HTTPException(400, "; ".join(twice))


async def on_not_accepted(request: Request, error: RequestValidationError) -> Response:
    """Answer with everything that is wrong with the parameters, and the nearest that is accepted."""
    fields = get_type_hints(request.scope["endpoint"])["asked"].model_fields
    kinds = {field.alias or name: field.annotation for name, field in fields.items()}
    return problem_answer(400, "; ".join(_problem(kinds, line) for line in error.errors()))


def _problem(kinds: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    name, given = error["loc"][-1], error["input"]
    match error["type"]:
        case "extra_forbidden":
            return f"there is no parameter {name!r}; {_accepted(name, list(kinds))}"
        case "enum":
            return f"{name}={given!r} is not accepted; {_accepted(given, [member.value for member in kinds[name]])}"
        case "value_error":
            return f"{name}={given!r} {error['ctx']['error']}"
    return f"{name}={given!r} {plainly(error)}"


def _accepted(given: str, known: Sequence[str]) -> str:
    if not known:
        return "this address takes none"
    near = get_close_matches(given, known, n=1)
    return f"{f'did you mean {near[0]}? ' if near else ''}known {'are' if len(known) > 1 else 'is'} {listed(known)}"
