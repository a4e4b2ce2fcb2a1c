"""Calls about connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Final

from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.paging import page, rest
from prisma_postgres_exporter.simulator.questions import Question
from prisma_postgres_exporter.simulator.records import ConnectionRecord, DatabaseRecord
from prisma_postgres_exporter.simulator.sight import Sight
from prisma_postgres_exporter.simulator.telling import Telling
from prisma_postgres_exporter.simulator.vendor import Vendor

SHORTEST_NAME: Final = 3
LONGEST_NAME: Final = 65


class Connecting:
    """Reads and writes of connections, by the names of the calls."""

    def __init__(self, vendor: Vendor, sight: Sight, telling: Telling) -> None:
        self._largest_page = vendor.behaviour.largest_page
        self._registry = vendor.world.registry
        self._book = vendor.world.connections
        self._sight = sight
        self._telling = telling
        self.by_call: Final[Mapping[str, Callable[[Question], bytes]]] = {
            "connections": self._connections,
            "database_connections": self._connections_of_database,
            "connection": self._connection,
            "create_connection": self._create,
            "create_database_connection": self._create_of_database,
            "rotate_connection": self._rotate,
            "delete_connection": self._delete,
        }

    def _connections(self, question: Question) -> bytes:
        database_id = question.parameters().get("databaseId")
        if database_id:
            return self._page(question, [self._sight.database(question, database_id)])
        return self._page(question, self._registry.databases_in(question.workspace.id, question.now_ms))

    def _connections_of_database(self, question: Question) -> bytes:
        return self._page(question, [self._sight.database(question, question.id)])

    def _page(self, question: Question, databases: Iterable[DatabaseRecord]) -> bytes:
        found = chain.from_iterable(self._book.of(database, question.now_ms) for database in databases)
        return page(question, lambda after: rest(found, after), self._telling.connection, largest=self._largest_page)

    def _connection(self, question: Question) -> bytes:
        return bodies.single(self._telling.connection(self._sight.connection(question), question))

    def _create(self, question: Question) -> bytes:
        return self._add(question, question.document().needed("databaseId"))

    def _create_of_database(self, question: Question) -> bytes:
        return self._add(question, question.id)

    def _add(self, question: Question, database_id: str) -> bytes:
        database = self._sight.database(question, database_id)
        name = question.document().needed("name", least=SHORTEST_NAME, most=LONGEST_NAME)
        added: ConnectionRecord = self._book.add(database, name, question.now_ms)
        return bodies.single(self._telling.new_connection(added, question))

    def _rotate(self, question: Question) -> bytes:
        connection = self._sight.connection(question)
        self._book.rotate(connection)
        return bodies.single(self._telling.new_connection(connection, question))

    def _delete(self, question: Question) -> bytes:
        self._book.delete(self._sight.connection(question), question.now_ms)
        return b""
