"""What each call answers when nothing goes wrong: pure functions of a request, the world and an instant."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.instants import from_ms, parsed, to_ms
from prisma_postgres_exporter.simulator.records import DatabaseRecord, ProjectRecord, WorkspaceRecord
from prisma_postgres_exporter.simulator.registry import prefixed
from prisma_postgres_exporter.simulator.vendor import PeriodRefused, Vendor

T = TypeVar("T", ProjectRecord, DatabaseRecord, WorkspaceRecord)

PATHS: Final[Mapping[str, str]] = {
    "usage": "/v1/databases/{id}/usage",
    "me": "/v1/me",
    "workspaces": "/v1/workspaces",
    "workspace": "/v1/workspaces/{id}",
    "subscription": "/v1/workspaces/{id}/subscription",
    "projects": "/v1/projects",
    "project": "/v1/projects/{id}",
    "project_databases": "/v1/projects/{id}/databases",
    "databases": "/v1/databases",
    "database": "/v1/databases/{id}",
    "regions": "/v1/regions",
    "postgres_regions": "/v1/regions/postgres",
}
"""The path of each call, the busiest first; the names are those that faults and counts go by."""

DEFAULT_PAGE: Final = 100

_CURSOR: Final = "after:"
FIRST_PAGE_CURSOR: Final = base64.urlsafe_b64encode(_CURSOR.encode()).decode()
"""A cursor that leads back to the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, a JSON body and further headers."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request by somebody whose token is good. `id` fills the path's `{id}`, with its prefix or without."""

    workspace: WorkspaceRecord
    now_ms: int
    id: str = ""
    query: str = ""

    def parameters(self) -> Mapping[str, str]:
        """The query, the last of equal names winning."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


class Refused(Exception):
    """An answer with an error body."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.answer: Final = Answer(status=status, body=bodies.error(code, message, hint))


class Answers:
    """Every call that is answered, by the names of `PATHS`; a token sees its own workspace only."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._registry = vendor.world.registry
        self._bodies = bodies.Bodies(has_prefixes=vendor.behaviour.has_prefixes)
        self.by_call: Final[Mapping[str, Callable[[Question], bytes]]] = {
            "usage": self._usage,
            "me": self._me,
            "workspaces": self._workspaces,
            "workspace": self._workspace,
            "subscription": self._subscription,
            "projects": self._projects,
            "project": self._project,
            "project_databases": self._project_databases,
            "databases": self._databases,
            "database": self._database,
            "regions": self._regions,
            "postgres_regions": self._postgres_regions,
        }

    def to(self, call: str, question: Question) -> Answer:
        """The answer to a call."""
        try:
            return Answer(body=self.by_call[call](question))
        except Refused as refused:
            return refused.answer

    def _usage(self, question: Question) -> bytes:
        database = self._seen_database(question)
        parameters = question.parameters()
        start_ms = _instant(parameters, "startDate")
        if start_ms is None:
            start_ms = to_ms(month_start(from_ms(question.now_ms)))
        try:
            answer = self._vendor.usage_of(database, question.now_ms, start_ms, _instant(parameters, "endDate"))
        except PeriodRefused as exc:
            raise Refused(400, "invalidRequest", str(exc)) from exc
        return bodies.usage(answer, question.now_ms)

    def _me(self, question: Question) -> bytes:
        return bodies.single(self._bodies.me(question.workspace, question.now_ms))

    def _workspaces(self, question: Question) -> bytes:
        return self._page(question, lambda after: iter(() if after else (question.workspace,)), self._workspace_body)

    def _workspace(self, question: Question) -> bytes:
        return bodies.single(self._workspace_body(self._seen_workspace(question), question))

    def _subscription(self, question: Question) -> bytes:
        return bodies.single(self._bodies.subscription(self._seen_workspace(question), question.now_ms))

    def _projects(self, question: Question) -> bytes:
        def following(after: str | None) -> Iterator[ProjectRecord]:
            if after is not None and after not in self._registry.projects:
                raise _bad_cursor()
            return self._registry.projects_in(question.workspace.id, question.now_ms, after=after)

        if question.parameters().get("logicalId"):
            return bodies.page([], None)
        return self._page(question, following, self._project_body)

    def _project(self, question: Question) -> bytes:
        return bodies.single(self._project_body(self._seen_project(question, question.id), question))

    def _databases(self, question: Question) -> bytes:
        parameters = question.parameters()
        if parameters.get("projectId"):
            return self._databases_of(question, parameters["projectId"])
        return self._page(
            question,
            lambda after: self._registry.databases_in(
                question.workspace.id, question.now_ms, after=self._known_database(after)
            ),
            self._database_body,
        )

    def _project_databases(self, question: Question) -> bytes:
        return self._databases_of(question, question.id)

    def _databases_of(self, question: Question, project_id: str) -> bytes:
        project = self._seen_project(question, project_id)
        return self._page(
            question,
            lambda after: self._registry.databases_of(project.id, question.now_ms, after=self._known_database(after)),
            self._database_body,
        )

    def _database(self, question: Question) -> bytes:
        return bodies.single(self._database_body(self._seen_database(question), question))

    def _regions(self, question: Question) -> bytes:
        product = question.parameters().get("product", "postgres")
        if product not in {"postgres", "accelerate"}:
            raise Refused(400, "invalidRequest", "product must be postgres or accelerate")
        return bodies.regions(with_product=True) if product == "postgres" else bodies.unpaged([])

    def _postgres_regions(self, _question: Question) -> bytes:
        return bodies.regions(with_product=False)

    def _workspace_body(self, workspace: WorkspaceRecord, question: Question) -> bodies.Json:
        return self._bodies.workspace(workspace, question.now_ms)

    def _project_body(self, project: ProjectRecord, question: Question) -> bodies.Json:
        return self._bodies.project(project, question.workspace, question.now_ms)

    def _database_body(self, database: DatabaseRecord, question: Question) -> bodies.Json:
        return self._bodies.database(database, self._registry.projects[database.project_id], question.now_ms)

    def _page(
        self,
        question: Question,
        following: Callable[[str | None], Iterator[T]],
        body: Callable[[T, Question], bodies.Json],
    ) -> bytes:
        """One page of a list: what follows the thing that the cursor names."""
        parameters = question.parameters()
        limit = min(_limit(parameters), self._vendor.behaviour.largest_page)
        cursor = parameters.get("cursor")
        shown = list(islice(following(_after(cursor) if cursor else None), limit + 1))
        next_cursor = _cursor_after(shown[limit - 1].id) if len(shown) > limit else None
        return bodies.page([body(record, question) for record in shown[:limit]], next_cursor)

    def _seen_workspace(self, question: Question) -> WorkspaceRecord:
        if prefixed("wksp_", question.id) != question.workspace.id:
            raise _not_found("workspace")
        return question.workspace

    def _seen_project(self, question: Question, project_id: str) -> ProjectRecord:
        project = self._registry.projects.get(prefixed("proj_", project_id))
        if project is None or project.created_ms > question.now_ms:
            raise _not_found("project")
        if project.workspace_ids.at(question.now_ms) != question.workspace.id:
            raise _not_found("project")
        return project

    def _seen_database(self, question: Question) -> DatabaseRecord:
        database = self._registry.databases.get(prefixed("db_", question.id))
        if database is None or not database.exists_at(question.now_ms):
            raise _not_found("database")
        if self._registry.workspace_of(database, question.now_ms) != question.workspace.id:
            raise _not_found("database")
        if self._vendor.behaviour.refuses_blocked and question.workspace.blocked.at(question.now_ms):
            raise Refused(402, "planLimitReached", "This workspace is blocked", "Upgrade the plan")
        return database

    def _known_database(self, database_id: str | None) -> str | None:
        if database_id is not None and database_id not in self._registry.databases:
            raise _bad_cursor()
        return database_id


def _instant(parameters: Mapping[str, str], name: str) -> int | None:
    if name not in parameters:
        return None
    instant_ms = parsed(parameters[name])
    if instant_ms is None:
        raise Refused(400, "invalidRequest", f"{name} must be an ISO date-time")
    return instant_ms


def _limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit", str(DEFAULT_PAGE))
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise Refused(400, "invalidRequest", "limit must be a whole number above zero")
    return int(text)


def _cursor_after(id_: str) -> str:
    return base64.urlsafe_b64encode(f"{_CURSOR}{id_}".encode()).decode()


def _after(cursor: str) -> str | None:
    try:
        mark, _, id_ = base64.urlsafe_b64decode(cursor).decode().rpartition(_CURSOR)
    except (binascii.Error, ValueError) as exc:
        raise _bad_cursor() from exc
    if mark:
        raise _bad_cursor()
    return id_ or None


def _bad_cursor() -> Refused:
    return Refused(400, "invalidRequest", "cursor is not one of ours")


def _not_found(subject: str) -> Refused:
    return Refused(404, "notFound", f"No such {subject}")
