"""Who is connected to the web server, and who is not let in: at a bound whoever has waited longest makes room."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from prisma_postgres_exporter.descriptors import for_web
from prisma_postgres_exporter.expose import ExporterHealth

log = structlog.get_logger(__name__)

MOST_OF_ONE_ADDRESS = 128
"""Behind a proxy everyone has one address."""

TOLD_EVERY_SECONDS = 60.0


@dataclass(slots=True, eq=False)
class Connection:
    """One connection of `address`; `close` ends it at once."""

    address: str
    close: Callable[[], object] = field(default=lambda: None)


class Refusals:
    """Counts what was refused, and says so once a minute, however much it is."""

    def __init__(self, health: ExporterHealth) -> None:
        self._health = health
        self._untold: dict[str, int] = {}
        self._told_at: float | None = None

    def count(self, reason: str) -> None:
        """Something was refused for this reason, a constant."""
        self._health.web_refused(reason)
        self._untold[reason] = self._untold.get(reason, 0) + 1
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= TOLD_EVERY_SECONDS:
            log.warning("web requests refused", **self._untold)
            self._untold, self._told_at = {}, now


class Connections:
    """The connections that are open, within the bounds of all and of each address."""

    def __init__(self, refusals: Refusals, *, most: int | None = None, most_of_one: int = MOST_OF_ONE_ADDRESS) -> None:
        self._most = most if most is not None else for_web()
        self._most_of_one = min(most_of_one, self._most)
        self._refusals = refusals
        self._open: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}
        self._by_address: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, address: str) -> Connection | None:
        """Let a connection in, if need be in the place of one that waits; `None` where all are at work."""
        if self._by_address.get(address, 0) >= self._most_of_one and not self.make_room(address):
            self._refusals.count("too_many_of_one_address")
            return None
        if len(self._open) >= self._most and not self.make_room():
            self._refusals.count("too_many_connections")
            return None
        connection = Connection(address)
        self._open.add(connection)
        self._by_address[address] = self._by_address.get(address, 0) + 1
        self.waits(connection)
        return connection

    def waits(self, connection: Connection) -> None:
        """It waits for a request from now on."""
        self._waiting.pop(connection, None)
        if connection in self._open:
            self._waiting[connection] = None

    def works(self, connection: Connection) -> None:
        """It has a request to answer."""
        self._waiting.pop(connection, None)

    def gone(self, connection: Connection) -> None:
        """It is closed."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self._by_address[connection.address] -= 1
        if not self._by_address[connection.address]:
            del self._by_address[connection.address]

    def make_room(self, address: str | None = None) -> bool:
        """End the connection (of an address) that has waited longest; whether there was one."""
        waiting = (one for one in self._waiting if address is None or one.address == address)
        oldest = next(waiting, None)
        if oldest is None:
            return False
        self._refusals.count("made_room")
        self.gone(oldest)
        oldest.close()
        return True
