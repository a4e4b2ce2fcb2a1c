"""The simulator on a socket: its server, and answers that are sent whole or as badly as a fault wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from prisma_postgres_exporter.simulator.faults import Fault, FaultKind
from prisma_postgres_exporter.simulator.questions import Answer

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
