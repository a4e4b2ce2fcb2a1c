"""A server that answers as badly as a test wants it to: raw bytes on a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


Behaviour = Callable[[SeenRequest, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class HostileServer:
    """Follows its script, one behaviour a request; the last one repeats."""

    script: Sequence[Behaviour]
    url: str = ""
    requests: list[SeenRequest] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    most_open_connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    arrival: asyncio.Event = field(default_factory=asyncio.Event)
    departure: asyncio.Event = field(default_factory=asyncio.Event)

    async def arrived(self, count: int) -> None:
        """Returns when `count` requests have arrived."""
        while len(self.requests) < count:
            self.arrival.clear()
            await self.arrival.wait()

    async def all_left(self) -> None:
        """Returns when no connection is open."""
        while self.open_connections:
            self.departure.clear()
            await self.departure.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        self.open_connections += 1
        self.most_open_connections = max(self.most_open_connections, self.open_connections)
        try:
            # A client that goes away, or the end of the test, is no failure of the server.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    request = _parsed(await reader.readuntil(b"\r\n\r\n"))
                    body = await reader.readexactly(int(request.headers.get("content-length", "0")))
                    request = replace(request, body=body)
                    behaviour = self.script[min(len(self.requests), len(self.script) - 1)]
                    self.requests.append(request)
                    self.arrival.set()
                    await behaviour(request, writer)
        finally:
            self.open_connections -= 1
            self.departure.set()
            self.tasks.discard(task)
            writer.close()


@asynccontextmanager
async def hostile_server(*script: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[HostileServer]:
    """A running server on loopback."""
    hostile = HostileServer(script)
    server = await asyncio.start_server(hostile.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    hostile.url = f"http://127.0.0.1:{port}" if tls is None else f"https://localhost:{port}"
    try:
        yield hostile
    finally:
        server.close()
        for task in tuple(hostile.tasks):
            task.cancel()
        await asyncio.gather(*hostile.tasks)


def answer(body: object = None, *, status: int = 200, headers: dict[str, str] | None = None) -> Behaviour:
    """A well-formed answer: `body` as JSON, or as it is when it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{name}: {value}" for name, value in (headers or {}).items()]

    async def behave(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, *lines, f"Content-Length: {len(content)}") + content)
        await writer.drain()

    return behave


def raw(content: bytes) -> Behaviour:
    """Exactly these bytes, then the end of the connection."""

    async def behave(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(content)
        await writer.drain()
        writer.close()

    return behave


def routed(choose: Callable[[SeenRequest], Behaviour]) -> Behaviour:
    """What `choose` says for each request."""

    async def behave(request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        await choose(request)(request, writer)

    return behave


def drip(body: object) -> Behaviour:
    """One byte at a time, so that no single read ever times out."""
    content = json.dumps(body).encode()

    async def behave(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, f"Content-Length: {len(content)}"))
        for byte in content:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    return behave


async def silence(_request: SeenRequest, _writer: asyncio.StreamWriter) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def reset(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
    """Resets the connection instead of answering."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def half(body: object, *, framing: str) -> Behaviour:
    """Half of the body, `framing` it as `length`, `chunked` or `close`, then the end of the connection."""
    content = json.dumps(body).encode()
    part = content[: len(content) // 2]
    if framing == "length":
        return raw(_head(200, f"Content-Length: {len(content)}") + part)
    if framing == "chunked":
        return raw(_head(200, "Transfer-Encoding: chunked") + f"{len(content):x}\r\n".encode() + part)
    return raw(_head(200, "Connection: close") + part)


def bomb(*, status: int = 200) -> Behaviour:
    """Some 64 KiB that would become 64 MiB."""
    return answer(_bomb(), status=status, headers={"Content-Encoding": "gzip"})


def endless(*, status: int = 200) -> Behaviour:
    """A body without an end."""

    async def behave(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, "Connection: close"))
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()

    return behave


def long(size: int) -> Behaviour:
    """A body of `size` bytes, never whole in the server's own memory."""

    async def behave(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, f"Content-Length: {size}"))
        for sent in range(0, size, 65_536):
            writer.write(b" " * min(65_536, size - sent))
            await writer.drain()

    return behave


def endless_headers() -> Behaviour:
    """A head without an end."""

    async def behave(_request: SeenRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: and more\r\n" * 1000)
            await writer.drain()

    return behave


@cache
def _bomb() -> bytes:
    # One member: a decoder stops at the end of the first.
    return gzip.compress(bytes(2**26), 9)


def _head(status: int, *lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status} Status", *lines, "")).encode("latin-1")


def _parsed(head: bytes) -> SeenRequest:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    return SeenRequest(method=method, target=target, headers=headers)
