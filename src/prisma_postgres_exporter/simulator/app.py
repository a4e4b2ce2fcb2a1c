"""The Management API over a simulated world, as an ASGI application, and two that are ready-made."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.simulator import writing  # noqa: F401  # registers its calls
from prisma_postgres_exporter.simulator.admin import Admin, CallLog, SeenCall
from prisma_postgres_exporter.simulator.clock import Clock, system_clock
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind, Faults, spoiled
from prisma_postgres_exporter.simulator.founding import WorldShape
from prisma_postgres_exporter.simulator.questions import LARGEST_BODY_BYTES, Answer, Question, Refused
from prisma_postgres_exporter.simulator.reading import ENDPOINTS
from prisma_postgres_exporter.simulator.registry import prefixed
from prisma_postgres_exporter.simulator.sending import CONNECTION_FAULTS, send_answer, send_badly
from prisma_postgres_exporter.simulator.vendor import Vendor, VendorBehaviour
from prisma_postgres_exporter.simulator.world import World

DEMO_HISTORY: Final = timedelta(days=100)
BENCHMARK_HISTORY: Final = timedelta(days=60)
LARGEST_WORKSPACE: Final = 1_000
"""Databases that the vendor lets a workspace hold."""


class Simulator:
    """A vendor that can be called: `app` speaks its API under `/v1/`, and its remote control under `/simulator/`.

    What happens while it runs is steered and seen from outside: `world`, `clock`, `faults`, and `calls`.
    """

    def __init__(
        self,
        world: World,
        clock: Clock = system_clock,
        *,
        behaviour: VendorBehaviour | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.world: Final = world
        self.clock: Final = clock
        self.vendor: Final = Vendor(world, behaviour)
        self.faults: Final = Faults() if faults is None else faults
        self.calls: Final = CallLog()
        admin = Admin(vendor=self.vendor, clock=clock, faults=self.faults, calls=self.calls)
        self.app: Final = Starlette(
            routes=[
                *(
                    Route(endpoint.path, Call(call, self), methods=[endpoint.method])
                    for call, endpoint in ENDPOINTS.items()
                ),
                Mount("/simulator", routes=admin.routes()),
            ],
            exception_handlers={HTTPException: _refused},
        )

    @property
    def requests(self) -> Counter[str]:
        """How many requests came, by call (`usage`, `databases` …)."""
        return self.calls.counts


def demo_simulator(clock: Clock = system_clock, *, seed: int = 1) -> Simulator:
    """Three workspaces with about 40 lively databases and a hundred days of history.

    Numbers are known within seconds, some closed days are revised, one database always fails, and names,
    regions and lifecycle are as mixed as in life.
    """
    now = clock()
    world = World(
        seed=seed,
        shape=WorldShape(
            workspaces=3,
            projects_per_workspace=4,
            databases=38,
            idle_share=0.08,
            awkward_share=0.1,
            plans=("Pro", "Starter", "Free"),
            busyness=(1.0, 0.4, 0.002),
            operations_per_day=(60_000, 900_000),
            churn_per_day=0.5,
        ),
        begins_at=day_start((now - DEMO_HISTORY).date()),
    )
    failing = world.databases(now)[1]
    return Simulator(
        world,
        clock,
        behaviour=VendorBehaviour(
            known_after=timedelta(seconds=2),
            known_every=timedelta(seconds=1),
            revised_share=0.2,
            creation_takes=timedelta(seconds=3),
        ),
        faults=Faults([Fault(kind=FaultKind.SERVER_ERROR, call="usage", database_id=failing.id)]),
    )


def benchmark_simulator(databases: int, clock: Clock = system_clock, *, seed: int = 1) -> Simulator:
    """`databases` in as many workspaces as the vendor would need for them; nothing goes wrong."""
    workspaces = max(1, -(-databases // LARGEST_WORKSPACE))
    world = World(
        seed=seed,
        shape=WorldShape(
            workspaces=workspaces,
            projects_per_workspace=max(1, databases // workspaces // 10),
            databases=databases,
        ),
        begins_at=day_start((clock() - BENCHMARK_HISTORY).date()),
    )
    return Simulator(world, clock)


class Call:
    """One call of the API: whose it is, which fault hits it, what it answers."""

    def __init__(self, name: str, simulator: Simulator) -> None:
        self._name = name
        self._simulator = simulator
        self.endpoint = ENDPOINTS[name]
        self._is_about_a_database = "/databases/{id}" in self.endpoint.path
        self._has_body = self.endpoint.method in {"POST", "PATCH"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ids = scope["path_params"]
        query = scope["query_string"].decode("latin-1")
        body = await _body(receive) if self._has_body else b""
        database_id = prefixed("db_", ids["id"]) if self._is_about_a_database else None
        now = self._simulator.clock()
        now_ms = self._simulator.world.live_until(now)
        presented = _bearer(scope)
        token = self._simulator.world.registry.token(presented, now_ms)
        spelling = presented if token is None else token.spelling
        fault = self._simulator.faults.next_for(spelling, self._name, database_id)
        kind = None if fault is None else fault.kind
        if token is None:
            answer = Refused(401, "The token is not valid").answer
        else:
            answer = self.answer(
                Question(
                    vendor=self._simulator.vendor,
                    token=token,
                    now_ms=now_ms,
                    ids=ids,
                    invalid_status=self.endpoint.invalid_status,
                    query=query,
                    body=body,
                )
            )
        answer = _dated(answer, now)
        self._simulator.calls.add(SeenCall(spelling, self._name, database_id, query, kind))
        if fault is None:
            await send_answer(answer, send)
        elif fault.kind in CONNECTION_FAULTS:
            await send_badly(answer, fault, scope, receive, send)
        else:
            await send_answer(spoiled(answer, fault), send)

    def answer(self, question: Question) -> Answer:
        """The answer to somebody whose token is good."""
        try:
            return Answer(body=self.endpoint.answer(question), status=self.endpoint.status)
        except Refused as refused:
            return refused.answer


def _dated(answer: Answer, now: datetime) -> Answer:
    """The answer with the vendor's time, as every server tells it."""
    return replace(answer, headers=(*answer.headers, (b"date", format_datetime(now, usegmt=True).encode())))


async def _body(receive: Receive) -> bytes:
    """The body; of one that is too large only so much that this is seen."""
    body, is_whole = b"", False
    while not is_whole:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        body = (body + message.get("body", b""))[: LARGEST_BODY_BYTES + 1]
        is_whole = not message.get("more_body", False)
    return body


def _bearer(scope: Scope) -> str:
    """The token, empty where there is none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, token = value.decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""


def _refused(_request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    answer = Refused(status, _REFUSALS.get(status, "Refused")).answer
    return Response(answer.body, status_code=status, media_type="application/json")


_REFUSALS: Final = {404: "No such path", 405: "No such method on this path"}
