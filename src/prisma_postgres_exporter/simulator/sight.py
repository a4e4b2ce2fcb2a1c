"""What a token may see: its own workspace, and what is in it now."""

from __future__ import annotations

from prisma_postgres_exporter.simulator.questions import Question, Refused, not_found
from prisma_postgres_exporter.simulator.records import (
    ConnectionRecord,
    DatabaseRecord,
    ProjectRecord,
    WorkspaceRecord,
)
from prisma_postgres_exporter.simulator.registry import prefixed
from prisma_postgres_exporter.simulator.vendor import Vendor


class Sight:
    """Finds what a question is about, or refuses it."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._registry = vendor.world.registry
        self._connections = vendor.world.connections

    def workspace(self, question: Question) -> WorkspaceRecord:
        """The workspace that is asked for: 404 for any but the token's own."""
        if prefixed("wksp_", question.id) != question.workspace.id:
            raise not_found("workspace")
        return question.workspace

    def project(self, question: Question, project_id: str, *, elsewhere: int = 404) -> ProjectRecord:
        """A project; `elsewhere` is the status for one that another workspace holds."""
        project = self._registry.projects.get(prefixed("proj_", project_id))
        if project is None or not project.exists_at(question.now_ms):
            raise not_found("project")
        if project.workspace_ids.at(question.now_ms) != question.workspace.id:
            raise _elsewhere("project", elsewhere)
        return project

    def database(self, question: Question, database_id: str, *, elsewhere: int = 404) -> DatabaseRecord:
        """A database; `elsewhere` is the status for one that another workspace holds."""
        database = self._registry.databases.get(prefixed("db_", database_id))
        if database is None or not database.exists_at(question.now_ms):
            raise not_found("database")
        if self._registry.workspace_of(database, question.now_ms) != question.workspace.id:
            raise _elsewhere("database", elsewhere)
        self.refuse_blocked(question)
        return database

    def connection(self, question: Question) -> ConnectionRecord:
        """The connection that is asked for."""
        connection = self._connections.find(question.id, question.now_ms)
        if connection is None:
            raise not_found("connection")
        database = self._registry.databases[connection.database_id]
        is_there = database.exists_at(question.now_ms)
        if not is_there or self._registry.workspace_of(database, question.now_ms) != question.workspace.id:
            raise not_found("connection")
        return connection

    def refuse_blocked(self, question: Question) -> None:
        """Refuse what is about databases while the workspace is blocked, if this vendor does."""
        if self._vendor.behaviour.refuses_blocked and question.workspace.blocked.at(question.now_ms):
            raise Refused(402, "planLimitReached", "This workspace is blocked", "Upgrade the plan")


def _elsewhere(subject: str, status: int) -> Refused:
    if status == 404:
        return not_found(subject)
    return Refused(status, "forbidden", f"The {subject} does not belong to this token's workspace")
