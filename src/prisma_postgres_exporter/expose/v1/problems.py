"""What is wrong with a request, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
NO_STORE = {"Cache-Control": "no-store"}
ROUTERS = {
    404: "there is nothing at this address; /api/v1/openapi.json says what there is",
    405: "only GET and HEAD are answered: nothing can be changed here",
}
"""What is said where the router refuses."""


class Problem(BaseModel):
    """Why there is no answer."""

    type: Literal["about:blank"] = Field(
        description="Always `about:blank`: the status says what kind of problem it is."
    )
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was given, what is accepted, and what to do.")


class Refused(HTTPException):
    """A request that cannot be answered: `detail` says what was given and what is accepted."""


def problem_answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer for a problem."""
    problem = Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(
        problem.model_dump_json(), status_code=status, media_type=MEDIA_TYPE, headers={**NO_STORE, **(headers or {})}
    )


async def on_http_problem(request: Request, error: Exception) -> Response:
    """Answer what the router or an endpoint refused."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these only
    is_routers = error.detail == HTTPStatus(error.status_code).phrase
    detail = ROUTERS.get(error.status_code, error.detail) if is_routers else error.detail
    return problem_answer(error.status_code, detail, error.headers)
