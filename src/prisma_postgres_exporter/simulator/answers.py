"""What each call answers when nothing goes wrong: the dispatch, and everything that only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.changing import Changes
from prisma_postgres_exporter.simulator.connecting import Connecting
from prisma_postgres_exporter.simulator.endpoints import ENDPOINTS
from prisma_postgres_exporter.simulator.instants import from_ms, to_ms
from prisma_postgres_exporter.simulator.paging import bad_cursor, page
from prisma_postgres_exporter.simulator.questions import Answer, Question, Refused, invalid
from prisma_postgres_exporter.simulator.records import DatabaseRecord, ProjectRecord, WorkspaceRecord
from prisma_postgres_exporter.simulator.restoring import Restoring
from prisma_postgres_exporter.simulator.sight import Sight
from prisma_postgres_exporter.simulator.telling import Telling
from prisma_postgres_exporter.simulator.vendor import PeriodRefused, Vendor

T = TypeVar("T", ProjectRecord, DatabaseRecord, WorkspaceRecord)

LARGEST_TOKEN_PAGE: Final = 100


class Answers:
    """Every call that is answered, by the names of `ENDPOINTS`; a token sees its own workspace only."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._registry = vendor.world.registry
        self._sight = Sight(vendor)
        self._telling = Telling(vendor)
        changes = Changes(vendor, self._sight, self._telling)
        connecting = Connecting(vendor, self._sight, self._telling)
        restoring = Restoring(vendor, self._sight, self._telling)
        self.by_call: Final[Mapping[str, Callable[[Question], bytes]]] = {
            "usage": self._usage,
            "me": self._me,
            "workspaces": self._workspaces,
            "workspace": self._workspace,
            "subscription": self._subscription,
            "service_tokens": self._service_tokens,
            "projects": self._projects,
            "project": self._project,
            "project_databases": self._project_databases,
            "databases": self._databases,
            "database": self._database,
            "regions": self._regions,
            "postgres_regions": self._postgres_regions,
            **changes.by_call,
            **connecting.by_call,
            **restoring.by_call,
        }

    def to(self, call: str, question: Question) -> Answer:
        """The answer to a call."""
        try:
            return Answer(body=self.by_call[call](question), status=ENDPOINTS[call].status)
        except Refused as refused:
            return refused.answer

    def _usage(self, question: Question) -> bytes:
        database = self._sight.database(question, question.id)
        start_ms = question.instant("startDate")
        if start_ms is None:
            start_ms = to_ms(month_start(from_ms(question.now_ms)))
        try:
            answer = self._vendor.usage_of(database, question.now_ms, start_ms, question.instant("endDate"))
        except PeriodRefused as exc:
            raise invalid(str(exc)) from exc
        return bodies.usage(answer, question.now_ms)

    def _me(self, question: Question) -> bytes:
        return bodies.single(self._telling.bodies.me(question.workspace, question.now_ms))

    def _workspaces(self, question: Question) -> bytes:
        def following(after: str | None) -> Iterable[WorkspaceRecord]:
            return () if after else (question.workspace,)

        return self._page(question, following, self._workspace_body)

    def _workspace(self, question: Question) -> bytes:
        return bodies.single(self._workspace_body(self._sight.workspace(question), question))

    def _subscription(self, question: Question) -> bytes:
        return bodies.single(self._telling.bodies.subscription(self._sight.workspace(question), question.now_ms))

    def _service_tokens(self, question: Question) -> bytes:
        workspace = self._sight.workspace(question)
        if question.limit() > LARGEST_TOKEN_PAGE:
            raise invalid(f"limit must not be above {LARGEST_TOKEN_PAGE}")

        def following(after: str | None) -> Iterable[WorkspaceRecord]:
            return () if after else (workspace,)

        return self._page(question, following, lambda held, _: self._telling.bodies.service_token(held))

    def _projects(self, question: Question) -> bytes:
        logical_id = question.parameters().get("logicalId")

        def following(after: str | None) -> Iterable[ProjectRecord]:
            if after is not None and after not in self._registry.projects:
                raise bad_cursor()
            held = self._registry.projects_in(question.workspace.id, question.now_ms, after=after)
            return (project for project in held if not logical_id or project.logical_id == logical_id)

        return self._page(question, following, self._telling.project)

    def _project(self, question: Question) -> bytes:
        return bodies.single(self._telling.project(self._sight.project(question, question.id), question))

    def _databases(self, question: Question) -> bytes:
        project_id = question.parameters().get("projectId")
        if project_id:
            return self._databases_of(question, project_id)
        return self._database_page(
            question,
            lambda after: self._registry.databases_in(
                question.workspace.id, question.now_ms, after=self._known_database(after)
            ),
        )

    def _project_databases(self, question: Question) -> bytes:
        return self._databases_of(question, question.id)

    def _databases_of(self, question: Question, project_id: str) -> bytes:
        project = self._sight.project(question, project_id)
        return self._database_page(
            question,
            lambda after: self._registry.databases_of(project.id, question.now_ms, after=self._known_database(after)),
        )

    def _database_page(self, question: Question, following: Callable[[str | None], Iterable[DatabaseRecord]]) -> bytes:
        """A page of the databases that have what the query asks for."""
        parameters = question.parameters()
        logical_id, git_name = parameters.get("logicalId"), parameters.get("branchGitName")
        branch_id = parameters.get("branchId", "").removeprefix("br_")

        def is_wanted(database: DatabaseRecord) -> bool:
            if logical_id and database.logical_id != logical_id:
                return False
            if git_name and database.branch_name != git_name:
                return False
            return not branch_id or self._telling.branch_id(database).removeprefix("br_") == branch_id

        return self._page(question, lambda after: filter(is_wanted, following(after)), self._telling.database)

    def _database(self, question: Question) -> bytes:
        return bodies.single(self._telling.database(self._sight.database(question, question.id), question))

    def _regions(self, question: Question) -> bytes:
        product = question.parameters().get("product", "postgres")
        if product not in {"postgres", "accelerate"}:
            raise invalid("product must be postgres or accelerate")
        return bodies.regions(with_product=True) if product == "postgres" else bodies.unpaged([])

    def _postgres_regions(self, _question: Question) -> bytes:
        return bodies.regions(with_product=False)

    def _workspace_body(self, workspace: WorkspaceRecord, question: Question) -> bodies.Json:
        return self._telling.bodies.workspace(workspace, question.now_ms)

    def _page(
        self,
        question: Question,
        following: Callable[[str | None], Iterable[T]],
        body: Callable[[T, Question], bodies.Json],
    ) -> bytes:
        return page(question, following, body, largest=self._vendor.behaviour.largest_page)

    def _known_database(self, database_id: str | None) -> str | None:
        if database_id is not None and database_id not in self._registry.databases:
            raise bad_cursor()
        return database_id
