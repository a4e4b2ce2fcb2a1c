"""Every connection that ever was: each database begins with one, others are added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prisma_postgres_exporter.simulator.chance import identifier
from prisma_postgres_exporter.simulator.records import ConnectionRecord, DatabaseRecord
from prisma_postgres_exporter.simulator.registry import Registry, prefixed

_CONNECTIONS: Final = 8  # the row of a database's random numbers for its connections
_PREFIX: Final = "con_"


class ConnectionBook:
    """The connections of a registry's databases. Instants are milliseconds."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        # A first connection is kept here when it changes; until then it follows from its database.
        self._first: dict[str, ConnectionRecord] = {}
        self._added: dict[str, list[ConnectionRecord]] = {}

    def of(self, database: DatabaseRecord, at_ms: int) -> Iterator[ConnectionRecord]:
        """The connections of a database at an instant, in the order in which they were made."""
        for connection in (self._first_of(database), *self._added.get(database.id, ())):
            if connection.exists_at(at_ms):
                yield connection

    def find(self, connection_id: str, at_ms: int) -> ConnectionRecord | None:
        """A connection that exists at an instant, by its id, with or without prefix."""
        wanted = prefixed(_PREFIX, connection_id)
        database = self._registry.databases.get("db_" + wanted.removeprefix(_PREFIX))
        known = [self._first_of(database)] if database is not None else []
        for added in self._added.values():
            known += added
        return next((found for found in known if found.id == wanted and found.exists_at(at_ms)), None)

    def add(self, database: DatabaseRecord, name: str, at_ms: int) -> ConnectionRecord:
        """Make another connection."""
        added = self._added.setdefault(database.id, [])
        connection = ConnectionRecord(
            id=identifier(_PREFIX, database.key, _CONNECTIONS, len(added)),
            database_id=database.id,
            name=name,
            created_ms=at_ms,
        )
        added.append(connection)
        return connection

    def rotate(self, connection: ConnectionRecord) -> None:
        """Give it new credentials."""
        self._keep(connection)
        connection.rotations += 1

    def delete(self, connection: ConnectionRecord, at_ms: int) -> None:
        """Let it be no more from `at_ms`."""
        self._keep(connection)
        connection.deleted_ms = at_ms

    def _first_of(self, database: DatabaseRecord) -> ConnectionRecord:
        id_ = _PREFIX + database.id.removeprefix("db_")
        return self._first.get(id_) or ConnectionRecord(
            id=id_, database_id=database.id, name="default", created_ms=database.created_ms
        )

    def _keep(self, connection: ConnectionRecord) -> None:
        if connection.id.removeprefix(_PREFIX) == connection.database_id.removeprefix("db_"):
            self._first[connection.id] = connection
