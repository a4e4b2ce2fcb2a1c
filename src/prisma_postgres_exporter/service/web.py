"""The web server inside the service's own event loop, which leaves signals to the service."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette

from prisma_postgres_exporter.errors import ConfigurationError

CLOSING_SECONDS = 2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: they are the service's."""
        yield


@contextlib.asynccontextmanager
async def listening(app: Starlette, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve `app` while the context lasts; yields its URL. An empty host means every address, port 0 a free one.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    listener = _listener(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            headers=[("X-Content-Type-Options", "nosniff")],
            timeout_graceful_shutdown=CLOSING_SECONDS,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        shown = host or "localhost"
        yield f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    try:
        if not host and socket.has_dualstack_ipv6():
            listener = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        else:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            [f"web.listen: cannot listen on {host}:{port}: {error.strerror}; choose another address or port"]
        ) from error
    # asyncio turns Nagle's algorithm off only where it sees that this is TCP; with it each small scrape takes 40 ms.
    return socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())
