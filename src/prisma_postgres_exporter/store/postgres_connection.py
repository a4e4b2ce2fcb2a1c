"""A connection that leaves it to its server what may be written, and does not wait for ever for one that is silent."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from prisma_postgres_exporter.store.patience import SILENT, Patience

NOTHING_YET = 0
"""What psycopg sends to a call that waits, ten times a second, while nothing has come."""

T = TypeVar("T")


class StoreConnection(psycopg.Connection[Any]):
    """Is closed when `patience` is over, which no timeout of the server or of TCP sees to.

    The kernel of a machine whose server was stopped, or hangs, goes on to confirm what it gets.
    """

    patience = Patience()
    waits_long = False

    def set_read_only(self, value: bool | None) -> None:
        """Make transactions read-only, or leave it to the server.

        SQLAlchemy asks for `False` after a transaction that only read. The next one would then insist on writing, also
        where the server was made read-only, because its disk is full, say.
        """
        super().set_read_only(value or None)

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        """Run a call to its end.

        Raises:
            psycopg.OperationalError: the server said nothing for too long.
        """
        return super().wait(self._impatient(gen), *arguments, **options)

    def _impatient(self, call: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        try:
            waits_for = next(call)
            since = time.monotonic()
            while True:
                ready = yield waits_for
                if ready != NOTHING_YET:
                    since = time.monotonic()
                elif not self.waits_long and time.monotonic() - since > self.patience.seconds:
                    # Nobody knows what became of the transaction: a closed connection is never used again.
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"{SILENT} for {self.patience.seconds:.0f} s")
                waits_for = call.send(ready)
        except StopIteration as ended:
            value: T = ended.value
            return value
