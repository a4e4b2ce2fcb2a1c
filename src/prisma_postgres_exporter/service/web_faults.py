"""What nobody foresaw in the web application: counted, and said once a minute however often it is asked for."""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.service.telling import Telling

log = structlog.get_logger(__name__)


class CountedFaults:
    """Ends here what `app` has answered with 500: the server would log a traceback for each request."""

    def __init__(self, app: ASGIApp, health: ExporterHealth) -> None:
        self._app = app
        self._health = health
        self._telling = Telling()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        try:
            await self._app(scope, receive, send)
        except Exception as fault:
            self._health.fault("web")
            # One line for all of a minute: whoever asks chooses how many kinds there are.
            if (times := self._telling.times("web")) is not None:
                log.exception("a web request ended by a fault", fault=type(fault).__name__, times=times)
