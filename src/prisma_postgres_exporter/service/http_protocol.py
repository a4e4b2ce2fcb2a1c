"""uvicorn's HTTP/1 within bounds: of bytes and headers of a request, of requests at once, and of time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Mapping
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from prisma_postgres_exporter.service.connections import Connection, Connections, Refusals
from prisma_postgres_exporter.service.tls import names_of

MOST_HEADER_BYTES = 32 * 1024
MOST_HEADERS = 100
MOST_REQUEST_BYTES = 64 * 1024
"""Nothing that is asked here has a body worth the name."""

MOST_PIPELINED = 4
"""How many requests may wait behind the one that is answered; no scraper and no browser sends any so."""

MOST_UNSENT_BYTES = 128 * 1024
"""What the kernel takes for a client that does not read: without a bound it copies megabytes for each connection."""

REQUEST_SECONDS = 20.0
"""How long a request may take to come, the first one from the beginning of the connection on."""

ANSWER_SECONDS = 120.0
"""How long an answer may take to be made and read."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection; whoever goes beyond a bound is told so where that is possible, and cut off."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        *,
        connection: Connection,
        connections: Connections,
        refusals: Refusals,
        allowed_names: Collection[str] | None = None,
    ) -> None:
        super().__init__(config, server_state, {})
        self.access_log = False
        self._connection = connection
        self._connections_of_all = connections
        self._refusals = refusals
        self._allowed_names = None if allowed_names is None else frozenset(allowed_names)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread_bytes = self._header_bytes = self._headers = 0
        self._refusal: tuple[int, str] | None = None
        self._is_unread = False

    # The connection -----------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._connection.close = transport.abort
        # Then `write_paused` says whether anything of an answer is still here; with 0 TLS would never write on.
        transport.set_write_buffer_limits(1, 0)
        _bound_unsent(transport)
        if not self._is_allowed(transport):
            self._refusals.count("certificate")
            transport.abort()
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room for another one."""
        self._connections_of_all.gone(self._connection)
        self._end_within(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, as many as a request may have."""
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._unread_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Whatever else it would rather speak, it gets HTTP/1.1, once.
            self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self._refuse(*self._refusal or (400, "not_http"))
            return
        if self._unread_bytes > MOST_REQUEST_BYTES:
            self._refuse(413, "too_large")

    # The request --------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        """Begin to count."""
        self._header_bytes = self._headers = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the URL as a header."""
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, as many as there may be."""
        self._headers += 1
        self._count_header(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer, or queue up behind the request before."""
        if len(self.pipeline) >= MOST_PIPELINED:
            self._stop_parsing(429, "too_many_at_once")
        super().on_headers_complete()
        if not self.pipeline:
            self._work()

    def on_message_complete(self) -> None:
        """The request is there as a whole."""
        self._unread_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, or go on with the one that came meanwhile, once the answer is read."""
        if self.pipeline and self.flow.write_paused and not self.transport.is_closing():
            self._is_unread = True
            self._wait()
            return
        super().on_response_complete()
        if self.transport.is_closing():
            self._end_within(REQUEST_SECONDS)
        elif self.cycle.response_complete:
            self._wait()
        else:
            self._work()

    def resume_writing(self) -> None:
        """The client has read what there was: go on with what it asked meanwhile."""
        super().resume_writing()
        if self._is_unread:
            self._is_unread = False
            self.on_response_complete()

    # Bounds -------------------------------------------------------------------------------------
    def _wait(self) -> None:
        self._connections_of_all.waits(self._connection)
        self._end_within(REQUEST_SECONDS)

    def _work(self) -> None:
        self._connections_of_all.works(self._connection)
        self._end_within(ANSWER_SECONDS)

    def _end_within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        if not self.transport.is_closing():
            self._refusals.count("too_slow")
        self.transport.abort()

    def _count_header(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > MOST_HEADER_BYTES or self._headers > MOST_HEADERS:
            self._stop_parsing(431, "headers_too_large")

    def _stop_parsing(self, status: int, reason: str) -> None:
        self._refusal = status, reason
        raise ValueError(reason)

    def _refuse(self, status: int, reason: str) -> None:
        """Answer and close; where another answer is under way, only close."""
        self._refusals.count(reason)
        if self._is_answering:
            self.transport.abort()
            return
        text = f"{reason.replace('_', ' ')}\n".encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
            (b"connection", b"close"),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + text)
        self.transport.close()
        self._end_within(REQUEST_SECONDS)

    @property
    def _is_answering(self) -> bool:
        # uvicorn's type forgets that there is none at first.
        return bool(self.cycle) and not self.cycle.response_complete

    def _is_allowed(self, transport: asyncio.Transport) -> bool:
        """Whether a client's certificate, if there is one, has one of the names that it must have."""
        tls = transport.get_extra_info("ssl_object")
        if tls is None or self._allowed_names is None:
            return True
        certificate: Mapping[str, Any] | None = tls.getpeercert()
        return certificate is not None and not self._allowed_names.isdisjoint(names_of(certificate))


def _bound_unsent(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    # A Unix socket has no such bound, nor has every system.
    if connection.family in {socket.AF_INET, socket.AF_INET6} and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT_BYTES)
