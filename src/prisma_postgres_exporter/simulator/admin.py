"""The simulator's remote control under `/simulator/`: truth, usage, faults, clock and request counts, as JSON."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prisma_postgres_exporter.simulator.clock import Clock, ManualClock, from_ms, parsed, to_ms, vendor_text
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind, Faults
from prisma_postgres_exporter.simulator.vendor import Vendor

KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class SeenCall:
    """One call as it arrived: its name, the query as sent, and the fault that hit it, if one did."""

    token: str
    call: str
    database_id: str | None
    query: str
    fault: FaultKind | None


@dataclass(slots=True)
class CallLog:
    """`counts` by call since the last reset; `newest` holds the last 10,000, oldest first."""

    counts: Counter[str] = field(default_factory=Counter)
    newest: deque[SeenCall] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, seen: SeenCall) -> None:
        """Take down one call."""
        self.counts[seen.call] += 1
        self.newest.append(seen)

    def reset(self) -> None:
        """Begin again with nothing seen."""
        self.counts.clear()
        self.newest.clear()


class AddedUsage(BaseModel):
    """Operations to be made by a database, all at one instant, by default now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str
    operations: Annotated[int, Field(ge=1)]
    at: AwareDatetime | None = None


class ChangedStatus(BaseModel):
    """What a database's status is from now on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: str
    status: Literal["failure", "provisioning", "ready", "recovering"]


class Admin:
    """Handlers of the remote control; instants are ISO date-times with a time zone, spans end exclusive."""

    def __init__(self, *, vendor: Vendor, clock: Clock, faults: Faults, calls: CallLog) -> None:
        self._vendor = vendor
        self._world = vendor.world
        self._clock = clock
        self._faults = faults
        self._calls = calls

    def routes(self) -> list[Route]:
        """The paths below `/simulator`."""
        return [
            Route("/world", self._show_world),
            Route("/truth", self._show_truth),
            Route("/usage", self._add_usage, methods=["POST"]),
            Route("/status", self._change_status, methods=["POST"]),
            Route("/faults", self._show_faults, methods=["GET"]),
            Route("/faults", self._add_fault, methods=["POST"]),
            Route("/faults", self._clear_faults, methods=["DELETE"]),
            Route("/faults/{number:int}", self._clear_fault, methods=["DELETE"]),
            Route("/clock", self._show_clock, methods=["GET"]),
            Route("/clock", self._set_clock, methods=["POST"]),
            Route("/requests", self._show_requests, methods=["GET"]),
            Route("/requests", self._reset_requests, methods=["DELETE"]),
        ]

    async def _show_world(self, request: Request) -> Response:
        """Everything that exists at `at`, by default now; databases of one workspace with `workspace`."""
        at = self._instant(request, "at") or self._clock()
        workspace_id = request.query_params.get("workspace")
        if workspace_id is not None and workspace_id not in self._world.registry.workspaces:
            return _problem(404, f"no workspace {workspace_id}")
        return JSONResponse(
            {
                "at": vendor_text(to_ms(at)),
                "tokens": dict(self._world.tokens),
                "workspaces": [asdict(workspace) for workspace in self._world.workspaces(at)],
                "projects": [asdict(project) for project in self._world.projects(at)],
                "databases": [
                    {**asdict(database), "created_at": vendor_text(to_ms(database.created_at))}
                    for database in self._world.databases(at, workspace_id=workspace_id)
                ],
            }
        )

    async def _show_truth(self, request: Request) -> Response:
        """Operations of `database` or `workspace` from `from` to `to`, and a database's storage at the end."""
        start_at, end_at = self._instant(request, "from"), self._instant(request, "to")
        if start_at is None or end_at is None or end_at < start_at:
            return _problem(400, "from and to must be ISO date-times with a time zone, from not after to")
        database_id, workspace_id = (request.query_params.get(name) for name in ("database", "workspace"))
        self._world.live_until(end_at)
        if database_id in self._world.registry.databases:
            return JSONResponse(
                {
                    "operations": self._world.operations(database_id, start_at, end_at),
                    "storage_bytes": self._world.storage_bytes(database_id, end_at),
                    "final_at": vendor_text(to_ms(self._vendor.final_at(end_at.date()))),
                }
            )
        if workspace_id in self._world.registry.workspaces:
            return JSONResponse({"operations": self._world.workspace_operations(workspace_id, start_at, end_at)})
        return _problem(404, "database or workspace must name something in the world")

    async def _add_usage(self, request: Request) -> Response:
        """`{"database": "db_…", "operations": 5000}`, made now or at `"at"`."""
        try:
            wish = AddedUsage.model_validate_json(await request.body())
            self._world.add_operations(wish.database, wish.operations, at=wish.at or self._clock())
        except KeyError:
            return _problem(404, "database must name something in the world")
        except ValidationError as exc:
            return _problem(400, _described(exc, AddedUsage))
        except ValueError as exc:
            return _problem(400, str(exc))
        return Response(status_code=204)

    async def _change_status(self, request: Request) -> Response:
        """`{"database": "db_…", "status": "failure"}`, from now on."""
        try:
            wish = ChangedStatus.model_validate_json(await request.body())
            self._world.change_status(wish.database, wish.status, at=self._clock())
        except KeyError:
            return _problem(404, "database must name something in the world")
        except ValidationError as exc:
            return _problem(400, _described(exc, ChangedStatus))
        except ValueError as exc:
            return _problem(400, str(exc))
        return Response(status_code=204)

    async def _show_faults(self, _request: Request) -> Response:
        return JSONResponse(
            {number: fault.model_dump(mode="json") for number, fault in self._faults.in_force().items()}
        )

    async def _add_fault(self, request: Request) -> Response:
        try:
            fault = Fault.model_validate_json(await request.body())
        except ValidationError as exc:
            return _problem(400, _described(exc, Fault))
        return JSONResponse({"number": self._faults.add(fault)}, status_code=201)

    async def _clear_faults(self, _request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def _clear_fault(self, request: Request) -> Response:
        try:
            self._faults.clear(request.path_params["number"])
        except KeyError:
            return _problem(404, "no such fault in force")
        return Response(status_code=204)

    async def _show_clock(self, _request: Request) -> Response:
        return JSONResponse(
            {"now": vendor_text(to_ms(self._clock())), "is_manual": isinstance(self._clock, ManualClock)}
        )

    async def _set_clock(self, request: Request) -> Response:
        """`{"now": "…"}` or `{"advance_seconds": 60}`, for a manual clock."""
        if not isinstance(self._clock, ManualClock):
            return _problem(409, "this simulator runs on the machine's time")
        try:
            wish = json.loads(await request.body())
            if "now" in wish:
                self._clock.now = datetime.fromisoformat(wish["now"])
            else:
                self._clock.advance(timedelta(seconds=wish["advance_seconds"]))
        except (ValueError, KeyError, TypeError, OverflowError):
            return _problem(400, 'expected {"now": date-time with a time zone} or {"advance_seconds": number}')
        return await self._show_clock(request)

    async def _show_requests(self, _request: Request) -> Response:
        return JSONResponse(
            {"counts": dict(self._calls.counts), "newest": [asdict(seen) for seen in self._calls.newest]}
        )

    async def _reset_requests(self, _request: Request) -> Response:
        self._calls.reset()
        return Response(status_code=204)

    def _instant(self, request: Request, name: str) -> datetime | None:
        instant_ms = parsed(request.query_params.get(name, ""))
        return None if instant_ms is None else from_ms(instant_ms)


def _described(exc: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with an order, member by member."""
    problems = []
    for error in exc.errors():
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] in {"enum", "literal_error"}:
            message = f"{error['input']!r} is none of {error['ctx']['expected']}"
        elif error["type"] == "extra_forbidden":
            message = f"no such member; there are {', '.join(model.model_fields)}"
        problems.append(": ".join([*map(str, error["loc"]), message]))
    return "; ".join(problems)


def _problem(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": "simulator", "message": message}}, status_code=status)
