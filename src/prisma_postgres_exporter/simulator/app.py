"""The Management API over a simulated world, as an ASGI application, on a socket too, and two that are ready-made."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.simulator.admin import Admin, CallLog, SeenCall
from prisma_postgres_exporter.simulator.calls import ENDPOINTS
from prisma_postgres_exporter.simulator.clock import Clock, system_clock
from prisma_postgres_exporter.simulator.faults import Fault, FaultKind, Faults, is_refusal, spoiled
from prisma_postgres_exporter.simulator.founding import WorldShape
from prisma_postgres_exporter.simulator.questions import LARGEST_BODY_BYTES, Answer, Question, Refused
from prisma_postgres_exporter.simulator.registry import prefixed
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


def demo_simulator(
    clock: Clock = system_clock, *, seed: int = 1, published_every: timedelta = timedelta(0)
) -> Simulator:
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
            published_every=published_every,
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
        elif fault is not None and is_refusal(fault):
            answer = Answer(body=b"")
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


CONNECTION_FAULTS: Final = frozenset({FaultKind.SLOW, FaultKind.DRIP, FaultKind.RESET, FaultKind.HALF_BODY})
TRANSPORT: Final = "transport"
"""Where a request's scope state holds the connection's transport, which ASGI itself hides."""

_NO_CONTENT: Final = 204
_JSON: Final = (b"content-type", b"application/json")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER for no time: the kernel sends RST instead of FIN


@contextlib.asynccontextmanager
async def serve_simulator(app: Starlette, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve `app` while the context lasts; yields its URL. Port 0 is a free one.

    At the end every connection is cut, as if the plug were pulled.

    Raises:
        OSError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=1_024) as listener:
        server = _Server(
            uvicorn.Config(
                app,
                http=_OpenProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=60,
                timeout_graceful_shutdown=1,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://{f'[{host}]' if family is socket.AF_INET6 else host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            for connection in tuple(server.server_state.connections):
                connection.transport.abort()
            await serving


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: they are the program's."""
        yield


class _OpenProtocol(H11Protocol):
    """Hands each request its connection, for the faults below HTTP."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.app_state = {**self.app_state, TRANSPORT: transport}
        # asyncio does so only where the listener names its protocol; without it every answer takes 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def send_answer(answer: Answer, send: Send) -> None:
    """Send an answer whole."""
    await _send_start(answer, send)
    await send({"type": "http.response.body", "body": answer.body})


async def send_badly(answer: Answer, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer late or drop by drop, cut it in the middle, or reset the connection instead."""
    if fault.kind is FaultKind.SLOW:
        if await _stays(receive, fault.seconds):
            await send_answer(answer, send)
    elif fault.kind is FaultKind.DRIP:
        await _drip(answer, fault, receive, send)
    elif fault.kind is FaultKind.HALF_BODY:
        await _send_start(answer, send)
        half = answer.body[: len(answer.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        _transport(scope).close()
        await _gone(receive)
    else:
        connection: socket.socket = _transport(scope).get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        _transport(scope).abort()
        await _gone(receive)


async def _drip(answer: Answer, fault: Fault, receive: Receive, send: Send) -> None:
    await _send_start(answer, send)
    for place in range(len(answer.body)):
        is_last = place + 1 == len(answer.body)
        await send({"type": "http.response.body", "body": answer.body[place : place + 1], "more_body": not is_last})
        if not is_last and not await _stays(receive, fault.seconds):
            return


async def _send_start(answer: Answer, send: Send) -> None:
    if answer.status == _NO_CONTENT:
        await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
        return
    length = (b"content-length", str(len(answer.body)).encode())
    has_type = any(name == b"content-type" for name, _ in answer.headers)
    headers = [*answer.headers, length] if has_type else [_JSON, *answer.headers, length]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


async def _stays(receive: Receive, seconds: float) -> bool:
    """Wait; whether the client is still there afterwards. One that leaves ends the wait."""
    try:
        async with asyncio.timeout(seconds):
            await _gone(receive)
    except TimeoutError:
        return True
    return False


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(scope: Scope) -> asyncio.Transport:
    transport = scope["state"][TRANSPORT]
    if not isinstance(transport, asyncio.Transport):
        raise TypeError("connection faults need the simulator's own server")
    return transport
