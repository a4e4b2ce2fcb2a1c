"""What is wrong with a request, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from prisma_postgres_exporter.errors import StoreError, TooBusy
from prisma_postgres_exporter.expose.v1.writing import NO_STORE

MEDIA_TYPE = "application/problem+json"
RETRY = {"Retry-After": "5"}
ROUTERS: Mapping[int, tuple[str, Mapping[str, str]]] = {
    404: ("there is nothing at this address; /api/v1/openapi.json says what there is", {}),
    405: ("only GET and HEAD are answered: nothing can be changed here", {"Allow": "GET, HEAD"}),
}
"""What is said where the router refuses."""

REASONS = {
    400: "A parameter that is not known, is given twice, or has a value that is not accepted.",
    404: "What the address or a filter names is not there.",
    405: "Only GET and HEAD are answered.",
    422: "The parameters contradict each other, or ask for a time that has not begun.",
    503: "Nothing is known yet, the ledger cannot be read now, or too many questions wait: see `Retry-After`.",
}


class Problem(BaseModel):
    """Why there is no answer."""

    type: Literal["about:blank"] = Field(
        description="Always `about:blank`: the status says what kind of problem it is."
    )
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was given, what is accepted, and what to do.")


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of these problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{Problem.__name__}"}}}
    return {status: {"description": REASONS[status], "content": content} for status in statuses}


async def on_refused(_: Request, error: HTTPException) -> Response:
    """Answer what the router or an endpoint refused."""
    is_routers = error.detail == HTTPStatus(error.status_code).phrase and error.status_code in ROUTERS
    detail, headers = ROUTERS[error.status_code] if is_routers else (error.detail, error.headers or {})
    return problem_answer(error.status_code, detail, headers)


async def on_unreadable(_: Request, error: StoreError | TooBusy) -> Response:
    """Answer where the ledger cannot be asked now."""
    return problem_answer(503, str(error), RETRY)


async def on_fault(_: Request, __: Exception) -> Response:
    """Answer a fault of ours; the server's log has it."""
    return problem_answer(500, "this is a fault of the exporter; its log says more")


def nothing_here() -> Response:
    """Return the answer for an address that nothing is at."""
    return problem_answer(404, *ROUTERS[404])


def not_there(names: Sequence[str]) -> HTTPException:
    """Return what is raised where filters name what is not there: `names` are like `workspace 'wksp_1'`."""
    return HTTPException(
        404, f"there is no {', no '.join(names)} here; /api/v1/workspaces and /api/v1/databases list what there is"
    )


def problem_answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for a problem."""
    problem = Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(
        problem.model_dump_json(), status_code=status, media_type=MEDIA_TYPE, headers={**NO_STORE, **(headers or {})}
    )
