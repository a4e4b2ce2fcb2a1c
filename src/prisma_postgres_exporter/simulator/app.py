"""The Management API over a simulated world, as an ASGI application."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from prisma_postgres_exporter.simulator.admin import admin_routes
from prisma_postgres_exporter.simulator.clocks import Clock, ManualClock
from prisma_postgres_exporter.simulator.documents import Documents, Json
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind, Faults
from prisma_postgres_exporter.simulator.server import abort_connection
from prisma_postgres_exporter.simulator.vendor import VendorBehaviour, answer
from prisma_postgres_exporter.simulator.world import SimDatabase, SimProject, SimWorkspace, World

PAGE_SIZE = 100
T = TypeVar("T")
Answered = Callable[["Simulator", Request, SimWorkspace, datetime], Response]


class Refused(Exception):  # an answer that ends a call early, not an error of ours
    """The call ends with this answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.response = problem(status, code, message)


class Simulator:
    """A vendor: a world, a clock, a behaviour and its faults. `app` speaks HTTP for it.

    `requests` counts the calls by operation, those that failed too.
    """

    def __init__(
        self,
        world: World,
        clock: Clock | ManualClock,
        *,
        behaviour: VendorBehaviour | None = None,
        faults: Faults | None = None,
        has_prefixes: bool = True,
    ) -> None:
        self.world = world
        self.clock = clock
        self.behaviour = behaviour or VendorBehaviour()
        self.faults = faults or Faults()
        self.requests: Counter[str] = Counter()
        self.documents = Documents(world, has_prefixes=has_prefixes)
        self.app = Starlette(
            routes=[
                *(Route(f"/v1{path}", self._endpoint(name, call)) for name, path, call in OPERATIONS),
                *admin_routes(self),
                Route("/{path:path}", not_found, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ]
        )

    def workspace_of(self, request: Request) -> SimWorkspace | None:
        """Return the workspace that the request's token belongs to."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        workspace_id = self.world.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        return self.world.workspaces[workspace_id] if workspace_id is not None else None

    def _endpoint(self, name: str, call: Answered) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self.requests[name] += 1
            workspace = self.workspace_of(request)
            if workspace is None:
                return problem(401, "unauthorized", "The token is missing or not valid.")
            database_id = _bare(request.path_params.get("database_id"))
            fault = self.faults.strike(token=workspace.token, call=name, database_id=database_id)
            if fault is not None:
                early = await _strike(fault, request)
                if early is not None:
                    return early
            try:
                response = call(self, request, workspace, self.clock())
            except Refused as refused:
                return refused.response
            return response if fault is None else _spoil(fault, response)

        return endpoint


# Operations ---------------------------------------------------------------------------------------
def _me(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    return JSONResponse({"data": simulator.documents.me(workspace)})


def _workspaces(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    return _page(request, [workspace], lambda found: found.id, simulator.documents.workspace)


def _workspace(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    _require(_bare(request.path_params["workspace_id"]) == workspace.id)
    return JSONResponse({"data": simulator.documents.workspace(workspace)})


def _subscription(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    _require(_bare(request.path_params["workspace_id"]) == workspace.id)
    return JSONResponse({"data": simulator.documents.subscription(workspace)})


def _projects(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    found = simulator.world.projects_of(workspace.id, now)
    return _page(request, found, lambda project: project.id, lambda project: simulator.documents.project(project, now))


def _project(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    return JSONResponse({"data": simulator.documents.project(_find_project(simulator, request, workspace, now), now)})


def _databases(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    projects = simulator.world.projects_of(workspace.id, now)
    wanted = _bare(request.query_params.get("projectId"))
    return _database_page(simulator, request, [p for p in projects if wanted in (None, p.id)], now)


def _databases_of_project(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    return _database_page(simulator, request, [_find_project(simulator, request, workspace, now)], now)


def _database(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    database = _find_database(simulator, request, workspace, now)
    return JSONResponse({"data": simulator.documents.database(database, now)})


def _usage(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    database = _find_database(simulator, request, workspace, now)
    starts_at, ends_at = (_instant(request, name) for name in ("startDate", "endDate"))
    if starts_at is not None and ends_at is not None and ends_at < starts_at:
        raise Refused(400, "validationError", "endDate lies before startDate")
    told = answer(database, simulator.behaviour, starts_at=starts_at, ends_at=ends_at, now=now)
    return JSONResponse(simulator.documents.usage(told))


def _regions(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> Response:
    product = request.query_params.get("product", "postgres")
    return JSONResponse({"data": simulator.documents.regions() if product == "postgres" else []})


OPERATIONS: tuple[tuple[str, str, Answered], ...] = (
    ("me", "/me", _me),
    ("workspaces", "/workspaces", _workspaces),
    ("workspace", "/workspaces/{workspace_id}", _workspace),
    ("subscription", "/workspaces/{workspace_id}/subscription", _subscription),
    ("projects", "/projects", _projects),
    ("project", "/projects/{project_id}", _project),
    ("databases_of_project", "/projects/{project_id}/databases", _databases_of_project),
    ("databases", "/databases", _databases),
    ("database", "/databases/{database_id}", _database),
    ("usage", "/databases/{database_id}/usage", _usage),
    ("regions", "/regions", _regions),
    ("regions", "/regions/postgres", _regions),
)


def problem(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Return an error answer in the vendor's form."""
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


async def not_found(request: Request) -> Response:
    """Answer for a path that the vendor does not have."""
    return problem(404, "notFound", "There is nothing at this path.")


def _require(is_there: bool) -> None:
    if not is_there:
        raise Refused(404, "notFound", "It does not exist, or the token may not see it.")


def _find_project(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> SimProject:
    project = simulator.world.projects.get(_bare(request.path_params["project_id"]) or "")
    if project is None or project.created_at > now or project.workspace_at(now) != workspace.id:
        raise Refused(404, "notFound", "The project does not exist, or the token may not see it.")
    return project


def _find_database(simulator: Simulator, request: Request, workspace: SimWorkspace, now: datetime) -> SimDatabase:
    database = simulator.world.databases.get(_bare(request.path_params["database_id"]) or "")
    if database is None or not database.exists_at(now) or database.project.workspace_at(now) != workspace.id:
        raise Refused(404, "notFound", "The database does not exist, or the token may not see it.")
    return database


def _database_page(simulator: Simulator, request: Request, projects: Sequence[SimProject], now: datetime) -> Response:
    found = [database for project in projects for database in simulator.world.databases_of(project, now)]
    found.sort(key=lambda database: database.id)
    return _page(
        request, found, lambda database: database.id, lambda database: simulator.documents.database(database, now)
    )


def _page(request: Request, found: Sequence[T], key: Callable[[T], str], document: Callable[[T], Json]) -> Response:
    """Return one page of what was found, in the order of its keys; the cursor hides the last key of the page."""
    limit = request.query_params.get("limit", str(PAGE_SIZE))
    if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_SIZE:
        raise Refused(400, "validationError", f"limit must be a number from 1 to {PAGE_SIZE}")
    after = _cursor_key(request.query_params.get("cursor"))
    rest = [entry for entry in found if after is None or key(entry) > after]
    page = rest[: int(limit)]
    has_more = len(rest) > len(page)
    return JSONResponse(
        {
            "data": [document(entry) for entry in page],
            "pagination": {"nextCursor": _cursor(key(page[-1])) if has_more else None, "hasMore": has_more},
        }
    )


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(f"after:{key}".encode()).decode()


def _cursor_key(cursor: str | None) -> str | None:
    if not cursor:
        return None
    try:
        return base64.urlsafe_b64decode(cursor).decode().removeprefix("after:")
    except (ValueError, binascii.Error):
        raise Refused(400, "validationError", "the cursor is not one of ours") from None


def _bare(identifier: str | None) -> str | None:
    return identifier.rpartition("_")[2] if identifier is not None else None


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise Refused(400, "validationError", f"{name} must be an ISO date-time")
    return instant.astimezone(UTC)


# Faults -------------------------------------------------------------------------------------------
REFUSALS = {
    FaultKind.UNAUTHORIZED: (401, "unauthorized", "The token is not valid."),
    FaultKind.FORBIDDEN: (403, "forbidden", "The token may not do this."),
    FaultKind.NOT_FOUND: (404, "notFound", "The database does not exist."),
    FaultKind.PLAN_LIMIT: (402, "planLimitReached", "The workspace has reached its plan's limit."),
    FaultKind.THROTTLED: (429, "rateLimited", "Too many requests."),
    FaultKind.SERVER_ERROR: (500, "internalError", "Something went wrong."),
    FaultKind.UNAVAILABLE: (503, "unavailable", "Usage is temporarily unavailable."),
}
SAY_WHEN = (FaultKind.THROTTLED, FaultKind.UNAVAILABLE)


async def _strike(fault: Fault, request: Request) -> Response | None:
    """Return the answer of a fault that needs no real one; `None` where the real one comes, later or spoiled."""
    if fault.kind in REFUSALS:
        wait = {"Retry-After": str(max(1, round(fault.seconds)))} if fault.kind in SAY_WHEN else None
        return problem(*REFUSALS[fault.kind], wait)
    match fault.kind:
        case FaultKind.HTML:
            return HTMLResponse("<html><body>502 Bad Gateway</body></html>")
        case FaultKind.WRONG_JSON:
            return JSONResponse([1, 2, 3])
        case FaultKind.RESET:
            abort_connection(request.scope)
            return Response()
        case FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
    return None


def _spoil(fault: Fault, response: Response) -> Response:
    """Return the real answer with something wrong in it."""
    body = bytes(response.body)
    if fault.kind is FaultKind.HALF_BODY:

        async def half() -> AsyncIterator[bytes]:
            yield body[: len(body) // 2]

        headers = {"content-type": "application/json", "content-length": str(len(body))}
        return StreamingResponse(half(), headers=headers)
    said = json.loads(body)
    if not isinstance(said, dict) or "metrics" not in said:
        return response
    operations = said["metrics"]["operations"]
    match fault.kind:
        case FaultKind.NEGATIVE:
            operations["used"] = -1
        case FaultKind.NAN:
            return Response(
                body.replace(f'"used":{operations["used"]}'.encode(), b'"used":NaN'), media_type="application/json"
            )
        case FaultKind.HUGE:
            operations["used"] = 1e300
        case FaultKind.TEXT_NUMBER:
            operations["used"] = str(operations["used"])
        case FaultKind.WRONG_UNIT:
            operations["unit"] = "kops"
        case FaultKind.OTHER_PERIOD:
            said["period"] = {"start": "2001-01-01T00:00:00.000Z", "end": "2001-01-31T23:59:59.999Z"}
        case FaultKind.ABSENT_METRICS:
            said["metrics"] = {}
    return JSONResponse(said)
