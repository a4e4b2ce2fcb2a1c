"""The read-only JSON API: `/api/v1/…`, by FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from pydantic.alias_generators import to_camel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.documents import Budgets, CostRows, Databases, OneDatabase, UsageRows, Workspaces
from prisma_postgres_exporter.errors import StoreError, TooBusy
from prisma_postgres_exporter.expose.beside import OneAtATime
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.expose.v1.parameters import NoParameters, given_once, on_not_accepted
from prisma_postgres_exporter.expose.v1.problems import (
    Problem,
    described,
    on_fault,
    on_refused,
    on_unreadable,
)
from prisma_postgres_exporter.expose.v1.questions import Questions
from prisma_postgres_exporter.expose.v1.shown import Shown
from prisma_postgres_exporter.expose.v1.writing import NO_STORE, Writing
from prisma_postgres_exporter.snapshot import Snapshot

DESCRIPTION = (
    "Read-only: what the exporter knows of Prisma Postgres, the same numbers as in its metrics. Amounts are USD as "
    "exact texts, instants RFC 3339 in UTC, days and months UTC, sizes bytes. `null` means not reported, never 0."
)
NOT_TRACED: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""Spans are of the exporter's own work (`tracing`); FastAPI's would have every query in them."""


def json_api(snapshot: Callable[[], Snapshot | None], ledger: Ledger) -> FastAPI:
    """Return the application to be mounted at `/api/v1`; `snapshot` gives the newest snapshot, if there is one."""
    api = FastAPI(
        title="prisma-postgres-exporter",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/api/v1"}],
        # Its own would take any parameter, and its pages load scripts from strangers.
        openapi_url=None,
        # It would redirect to whatever the Host header says.
        redirect_slashes=False,
        telemetry=NOT_TRACED,
        dependencies=[Depends(given_once)],
        responses=described(400, 405, 503),
        generate_unique_id_function=lambda route: to_camel(route.name),
        exception_handlers={
            HTTPException: on_refused,
            RequestValidationError: on_not_accepted,
            StoreError: on_unreadable,
            TooBusy: on_unreadable,
            Exception: on_fault,
        },
    )
    api.add_middleware(_HeadAsGet)
    write = Writing()
    shown, questions = Shown(snapshot, write), Questions(ledger, write)
    api.get("/workspaces", response_model=Workspaces)(shown.list_workspaces)
    api.get("/databases", response_model=Databases, responses=described(404))(shown.list_databases)
    api.get("/databases/{database_id}", response_model=OneDatabase, responses=described(404))(shown.get_database)
    api.get("/usage", response_model=UsageRows, responses=described(404, 422))(questions.list_usage)
    api.get("/cost", response_model=CostRows, responses=described(404, 422))(questions.list_cost)
    api.get("/budgets", response_model=Budgets)(shown.list_budgets)

    @api.get("/openapi.json", include_in_schema=False)
    async def openapi(asked: Annotated[NoParameters, Query()]) -> Response:
        return JSONResponse(await OneAtATime()(partial(_document, api)), headers=NO_STORE)

    return api


def _document(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document with our kind of problem instead of FastAPI's, which no answer has."""
    document = api.openapi()
    schemas = document["components"]["schemas"]
    schemas[Problem.__name__] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for path in document["paths"].values():
        responses = path["get"]["responses"]
        if responses.get("422", {}).get("description") == "Validation Error":
            del responses["422"]
    return document


class _HeadAsGet:
    """Answers HEAD as GET: the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, "method": "GET"} if scope["method"] == "HEAD" else scope, receive, send)
