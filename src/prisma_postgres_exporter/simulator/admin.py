"""What the simulator tells and takes beside the vendor's API: under /simulator/, without a token."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prisma_postgres_exporter.simulator.clocks import ManualClock
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind

if TYPE_CHECKING:
    from prisma_postgres_exporter.simulator.app import Simulator


def admin_routes(simulator: Simulator) -> list[Route]:
    """Return the routes: world, truth, faults, clock and requests."""

    async def world(request: Request) -> Response:
        now = simulator.clock()
        return JSONResponse(
            {
                "now": now.isoformat(),
                "tokens": {token: f"wksp_{id_}" for token, id_ in simulator.world.tokens.items()},
                "databases": [
                    {
                        "id": f"db_{database.id}",
                        "name": database.name_at(now),
                        "workspace_id": f"wksp_{database.project.workspace_at(now)}",
                    }
                    for database in simulator.world.databases.values()
                    if database.exists_at(now)
                ],
            }
        )

    async def truth(request: Request) -> Response:
        query = request.query_params
        database = simulator.world.databases.get(query.get("database", "").removeprefix("db_"))
        try:
            starts_at, ends_at = datetime.fromisoformat(query["from"]), datetime.fromisoformat(query["to"])
        except (KeyError, ValueError):
            return _wrong("from and to must be ISO date-times with a time zone")
        if database is None:
            return _wrong("database must be the id of one")
        return JSONResponse({"operations": database.operations(starts_at, ends_at)})

    async def add_fault(request: Request) -> Response:
        try:
            given = await request.json()
            fault = Fault(**{**given, "kind": FaultKind(given["kind"])})
        except (KeyError, TypeError, ValueError):
            return _wrong(f"a fault has a kind, one of {', '.join(FaultKind)}, and the fields of Fault")
        simulator.faults.add(fault)
        return Response(status_code=204)

    async def clear_faults(request: Request) -> Response:
        simulator.faults.clear()
        return Response(status_code=204)

    async def advance_clock(request: Request) -> Response:
        if not isinstance(simulator.clock, ManualClock):
            return _wrong("the clock is the real one and cannot be moved")
        try:
            seconds = float((await request.json())["advance_seconds"])
        except (KeyError, TypeError, ValueError):
            return _wrong("advance_seconds must be a number")
        return JSONResponse({"now": simulator.clock.advance(timedelta(seconds=seconds)).isoformat()})

    async def requests(request: Request) -> Response:
        return JSONResponse(dict(simulator.requests))

    return [
        Route("/simulator/world", world),
        Route("/simulator/truth", truth),
        Route("/simulator/faults", add_fault, methods=["POST"]),
        Route("/simulator/faults", clear_faults, methods=["DELETE"]),
        Route("/simulator/clock", advance_clock, methods=["POST"]),
        Route("/simulator/requests", requests),
    ]


def _wrong(message: str) -> Response:
    return JSONResponse({"error": {"code": "validationError", "message": message}}, 400)
