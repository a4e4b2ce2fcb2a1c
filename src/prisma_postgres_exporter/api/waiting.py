"""Waiting for a database that is being made or restored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prisma_postgres_exporter.api.answers import CLIENT_CLOSED
from prisma_postgres_exporter.api.clock import Clock
from prisma_postgres_exporter.api.schemas import Database
from prisma_postgres_exporter.errors import DatabaseFailed, Unavailable

_READY, _FAILED = "ready", "failure"


async def until_ready(
    look: Callable[[], Awaitable[Database]],
    *,
    every_seconds: float,
    timeout_seconds: float,
    on_look: Callable[[Database], None] | None,
    clock: Clock,
) -> Database:
    """The database that `look` finds, once it is ready; looks at once, and then every so many seconds.

    A look that is answered "unavailable" is one more reason to wait.

    Raises:
        DatabaseFailed: its status is `failure`.
        Unavailable: it was not ready in time (`not_ready`), or the client was closed meanwhile (`client_closed`).
        ApiError: as `look` does, `Unavailable` excepted.
    """
    ends_at = clock.monotonic() + timeout_seconds
    status = "unknown"
    while True:
        try:
            database = await look()
        except Unavailable as error:
            if error.reason == CLIENT_CLOSED.reason:
                raise
        else:
            if on_look is not None:
                on_look(database)
            if database.status == _READY:
                return database
            if database.status == _FAILED:
                raise DatabaseFailed(f"database {database.id} has the status failure", reason="database_failed")
            status = database.status
        if clock.monotonic() + every_seconds > ends_at:
            raise Unavailable(
                f"the database is not ready after {timeout_seconds:g} seconds; its status was {status}",
                reason="not_ready",
            )
        await clock.sleep(every_seconds)
