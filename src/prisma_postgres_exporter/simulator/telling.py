"""What the vendor tells of projects, databases and connections."""

from __future__ import annotations

from typing import Final

from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.questions import Question
from prisma_postgres_exporter.simulator.records import ConnectionRecord, DatabaseRecord, ProjectRecord
from prisma_postgres_exporter.simulator.vendor import Vendor


class Telling:
    """Documents of what the world remembers, as it is when a question is asked."""

    def __init__(self, vendor: Vendor) -> None:
        self._registry = vendor.world.registry
        self._connections = vendor.world.connections
        self.bodies: Final = bodies.Bodies(has_prefixes=vendor.behaviour.has_prefixes)

    def project(self, project: ProjectRecord, question: Question) -> bodies.Json:
        """A project."""
        return self.bodies.project(project, question.workspace, question.now_ms)

    def database(self, database: DatabaseRecord, question: Question) -> bodies.Json:
        """A database, without connection strings."""
        return self._database(database, question, with_strings=False)

    def new_database(self, database: DatabaseRecord, question: Question) -> bodies.Json:
        """A database that was just made, with connection strings."""
        return self._database(database, question, with_strings=True)

    def connection(self, connection: ConnectionRecord, question: Question) -> bodies.Json:
        """A connection, without its strings."""
        return self._connection(connection, question, with_strings=False)

    def new_connection(self, connection: ConnectionRecord, question: Question) -> bodies.Json:
        """A connection that was just made or rotated, with its strings."""
        return self._connection(connection, question, with_strings=True)

    def branch_id(self, database: DatabaseRecord) -> str:
        """The id of a database's branch, empty for one that has none."""
        return "" if database.branch_name is None else bodies.branch_id(database.project_id, database.branch_name)

    def _database(self, database: DatabaseRecord, question: Question, *, with_strings: bool) -> bodies.Json:
        return self.bodies.database(
            database,
            self._registry.projects[database.project_id],
            self._connections.of(database, question.now_ms),
            question.now_ms,
            with_strings=with_strings,
        )

    def _connection(self, connection: ConnectionRecord, question: Question, *, with_strings: bool) -> bodies.Json:
        database = self._registry.databases[connection.database_id]
        return self.bodies.connection(connection, database, question.now_ms, with_strings=with_strings)
