"""The web server inside the service's own event loop, which leaves signals to the service."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import structlog
import uvicorn
from starlette.types import ASGIApp

from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.service.connections import Connection, Connections, Refusals
from prisma_postgres_exporter.service.http_protocol import BoundedProtocol
from prisma_postgres_exporter.service.listeners import opened_listeners, url_of
from prisma_postgres_exporter.service.web_lock import OPEN, WebLock

log = structlog.get_logger(__name__)

CLOSING_SECONDS = 2
HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 2.0
PAUSE_SECONDS = 0.2
"""How long to wait when no descriptor is left."""

TOLD_EVERY_SECONDS = 60.0
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n\r\ntoo many connections\n"
)


class _Server(uvicorn.Server):
    """Accepts by itself, so that who is let in, and with which TLS, is decided for each connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        listeners: Sequence[socket.socket],
        lock: Callable[[], WebLock],
        refusals: Refusals,
    ) -> None:
        super().__init__(config)
        self._listeners = listeners
        self._lock = lock
        self._refusals = refusals
        self._connections = Connections(refusals)
        self._accept_told_at: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: they are the service's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await self.lifespan.startup()
        self.servers = []
        self._accepting = [asyncio.create_task(self._accept(listener)) for listener in self._listeners]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more, and let answers that are under way come to their end."""
        for task in (*self._accepting, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._accepting, *self._tasks, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        """Let in whoever connects; want of memory does not end that: nobody else would."""
        while True:
            with contextlib.suppress(MemoryError):
                await self._accept_next(listener)

    async def _accept_next(self, listener: socket.socket) -> None:
        try:
            client, address = await asyncio.get_running_loop().sock_accept(listener)
        except MemoryError:
            await self._not_accepted(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
            return
        except OSError as error:
            await self._not_accepted(error)
            return
        # An address of a file is no one's in particular.
        connection = self._connections.admit(address[0] if isinstance(address, tuple) else "")
        if connection is None:
            self._turn_away(client)
        else:
            try:
                task = asyncio.create_task(self._serve_connection(client, connection))
            except MemoryError:
                self._connections.gone(connection)
                raise
            connection.close = task.cancel
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        # Whoever connects as fast as it can has one turn of the loop each, as others have.
        await asyncio.sleep(0)

    async def _serve_connection(self, client: socket.socket, connection: Connection) -> None:
        """Shake hands, where that is to be done, and hand the connection over to its protocol."""
        lock = self._lock()
        is_tls = lock.context is not None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: BoundedProtocol(
                    self.config,
                    self.server_state,
                    connection=connection,
                    connections=self._connections,
                    refusals=self._refusals,
                    allowed_names=lock.file.tls_server_config.required_names,
                ),
                client,
                ssl=lock.context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if is_tls else None,
                ssl_shutdown_timeout=GOODBYE_SECONDS if is_tls else None,
            )
        except (OSError, TimeoutError):
            self._refusals.count("handshake")
            self._connections.gone(connection)
            client.close()
        except BaseException:
            self._connections.gone(connection)
            client.close()
            raise

    def _turn_away(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._lock().context is None:
                client.setblocking(False)
                client.send(_REFUSAL)
        client.close()

    async def _not_accepted(self, error: OSError) -> None:
        """Say so once a minute; where descriptors are short, make room."""
        if error.errno in {errno.ECONNABORTED, errno.EPROTO, errno.EINTR}:
            return
        self._refusals.count("accept")
        now = time.monotonic()
        if self._accept_told_at is None or now - self._accept_told_at >= TOLD_EVERY_SECONDS:
            self._accept_told_at = now
            log.error("no connection can be accepted", error=error.strerror, open=len(self._connections))
        self._connections.make_room()
        await asyncio.sleep(PAUSE_SECONDS)


@contextlib.asynccontextmanager
async def listening(
    app: ASGIApp,
    addresses: Sequence[str],
    *,
    refusals: Refusals | None = None,
    lock: Callable[[], WebLock] = lambda: OPEN,
) -> AsyncIterator[tuple[str, ...]]:
    """Serve `app` while the context lasts; yields where each address is. `lock` is asked for each connection.

    Raises:
        ConfigurationError: an address cannot be listened on.
    """
    with opened_listeners(addresses) as listeners:
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            headers=[("X-Content-Type-Options", "nosniff")],
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
        server = _Server(config, listeners, lock, refusals or Refusals(ExporterHealth()))
        serving = asyncio.create_task(server.serve())
        try:
            yield tuple(url_of(listener, is_tls=lock().context is not None) for listener in listeners)
        finally:
            server.should_exit = True
            await serving
