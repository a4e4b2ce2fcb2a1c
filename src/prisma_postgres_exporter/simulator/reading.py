"""Every call, by the name that faults and counts go by, and the answers of those that only read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Final

from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.clock import from_ms, to_ms
from prisma_postgres_exporter.simulator.questions import Json, Question, Refused, not_found, rest
from prisma_postgres_exporter.simulator.records import DatabaseRecord, ProjectRecord
from prisma_postgres_exporter.simulator.registry import prefixed
from prisma_postgres_exporter.simulator.vendor import PeriodRefused, backups_of, retention_days

DEFAULT_BACKUPS: Final = 25
MOST_BACKUPS: Final = 100
LARGEST_TOKEN_PAGE: Final = 100

Answering = Callable[[Question], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a call goes, what answers it, the status of a good answer, and the one that refuses nonsense."""

    method: str
    path: str
    status: int
    invalid_status: int
    answer: Answering


ENDPOINTS: Final[dict[str, Endpoint]] = {}
"""Every call, the busiest first."""


def call(method: str, path: str, status: int = 200, *, invalid: int = 422) -> Callable[[Answering], Answering]:
    """Let a function answer a call that has its name."""

    def register(answer: Answering) -> Answering:
        ENDPOINTS[answer.__name__] = Endpoint(
            method=method, path=path, status=status, invalid_status=invalid, answer=answer
        )
        return answer

    return register


@call("GET", "/v1/databases/{id}/usage", invalid=400)
def usage(question: Question) -> bytes:
    database = question.database(question.id)
    start_ms = question.instant("startDate")
    if start_ms is None:
        start_ms = to_ms(month_start(from_ms(question.now_ms)))
    try:
        answer = question.vendor.usage_of(database, question.now_ms, start_ms, question.instant("endDate"))
    except PeriodRefused as exc:
        raise question.invalid(str(exc)) from exc
    return bodies.usage(answer, question.now_ms)


@call("GET", "/v1/workspaces")
def workspaces(question: Question) -> bytes:
    return question.page(lambda after: rest([question.workspace], after), bodies.workspace)


@call("GET", "/v1/workspaces/{id}/service-tokens")
def service_tokens(question: Question) -> bytes:
    """Newest first; empty for a workspace that is not the token's own."""
    held = question.registry.tokens_of(question.workspace.id, question.now_ms)
    return question.page(
        lambda after: rest(held if question.is_about_own_workspace else [], after),
        bodies.service_token,
        most=LARGEST_TOKEN_PAGE,
    )


@call("GET", "/v1/workspaces/{id}/integrations")
def workspace_integrations(question: Question) -> bytes:
    return _integrations(question, question.own_workspace().id)


@call("GET", "/v1/integrations")
def integrations(question: Question) -> bytes:
    """Empty for a workspace that is not the token's own."""
    workspace_id = question.parameters().get("workspaceId")
    if not workspace_id:
        raise question.invalid("workspaceId is missing")
    return _integrations(question, prefixed("wksp_", workspace_id))


def _integrations(question: Question, workspace_id: str) -> bytes:
    is_own = workspace_id == question.workspace.id
    held = question.registry.integrations_of(workspace_id, question.now_ms) if is_own else []
    return question.page(lambda after: rest(held, after), bodies.integration)


@call("GET", "/v1/integrations/{id}")
def integration(question: Question) -> bytes:
    for held in question.registry.integrations_of(question.workspace.id, question.now_ms):
        if held.id == prefixed("itgr_", question.id):
            return bodies.single(bodies.integration(question, held))
    raise not_found("integration")


@call("GET", "/v1/projects")
def projects(question: Question) -> bytes:
    logical_id = question.parameters().get("logicalId")

    def following(after: str | None) -> Iterable[ProjectRecord]:
        held = question.registry.projects_in(question.workspace.id, question.now_ms, after=after)
        return (project for project in held if not logical_id or project.logical_id == logical_id)

    return question.page(following, bodies.project)


@call("GET", "/v1/projects/{id}/branches")
def branches(question: Question) -> bytes:
    held_by = question.project(question.id)
    parameters = question.parameters()
    name, part = parameters.get("gitName"), parameters.get("gitNameContains")
    if name is not None and part is not None:
        raise question.invalid("give gitName or gitNameContains, not both")
    found = [
        branch
        for branch in question.registry.branches_of(held_by.id, question.now_ms)
        if name in {None, branch.git_name} and (part or "") in branch.git_name
    ]
    return question.page(lambda after: rest(found, after), bodies.branch)


@call("GET", "/v1/databases")
def databases(question: Question) -> bytes:
    project_id = question.parameters().get("projectId")
    if project_id:
        try:
            return _databases_of(question, question.project(project_id, elsewhere=403))
        except Refused as refused:
            return _nothing_found(question, refused)
    return _database_page(
        question,
        lambda after: question.registry.databases_in(question.workspace.id, question.now_ms, after=after),
    )


@call("GET", "/v1/projects/{id}/databases")
def project_databases(question: Question) -> bytes:
    return _databases_of(question, question.project(question.id))


def _databases_of(question: Question, held_by: ProjectRecord) -> bytes:
    def following(after: str | None) -> Iterable[DatabaseRecord]:
        return question.registry.databases_of(held_by.id, question.now_ms, after=after)

    return _database_page(question, following)


def _database_page(question: Question, following: Callable[[str | None], Iterable[DatabaseRecord]]) -> bytes:
    """A page of the databases that have what the query asks for."""
    parameters = question.parameters()
    logical_id, branch_id = parameters.get("logicalId"), parameters.get("branchId")
    git_name = parameters.get("branchGitName")

    def is_wanted(record: DatabaseRecord) -> bool:
        if logical_id and record.logical_id != logical_id:
            return False
        if git_name and (not record.branch_id or question.registry.branches[record.branch_id].git_name != git_name):
            return False
        return not branch_id or record.branch_id == prefixed("br_", branch_id)

    return question.page(lambda after: filter(is_wanted, following(after)), bodies.database)


def _nothing_found(question: Question, refused: Refused) -> bytes:
    """Lists that are filtered do not know 404: what is not there has nothing in it."""
    if refused.answer.status != 404:
        raise refused
    return question.page(lambda after: rest((), after), bodies.database)


@call("GET", "/v1/databases/{id}/backups")
def backups(question: Question) -> bytes:
    record = local(question.database(question.id))
    limit, plan = question.limit(default=DEFAULT_BACKUPS, most=MOST_BACKUPS), question.workspace.plan
    found = backups_of(record, question.now_ms, plan=plan)
    return bodies.backups(found, limit=limit, retention_days=retention_days(plan))


def local(record: DatabaseRecord) -> DatabaseRecord:
    """The database, unless it is a remote one, which has no backups."""
    if record.is_remote:
        raise Refused(422, "Backups of remote databases are not supported")
    return record


@call("GET", "/v1/connections")
def connections(question: Question) -> bytes:
    database_id = question.parameters().get("databaseId")
    if database_id:
        return _connections_of_one(question, database_id)
    return _connections_of(question, question.registry.databases_in(question.workspace.id, question.now_ms))


@call("GET", "/v1/databases/{id}/connections")
def database_connections(question: Question) -> bytes:
    return _connections_of_one(question, question.id)


def _connections_of_one(question: Question, database_id: str) -> bytes:
    try:
        return _connections_of(question, [question.database(database_id)])
    except Refused as refused:
        return _nothing_found(question, refused)


def _connections_of(question: Question, held: Iterable[DatabaseRecord]) -> bytes:
    found = chain.from_iterable(question.registry.connections_of(record, question.now_ms) for record in held)
    return question.page(lambda after: rest(found, after), bodies.connection)


@call("GET", "/v1/regions")
def regions(question: Question) -> bytes:
    product = question.parameters().get("product")
    if product not in {None, "postgres", "accelerate"}:
        raise question.invalid("product must be postgres or accelerate")
    products = ("postgres", "accelerate") if product is None else (product,)
    return bodies.unpaged([region for named in products for region in bodies.regions(product=named)])


@call("GET", "/v1/regions/postgres")
def postgres_regions(_question: Question) -> bytes:
    return bodies.unpaged(bodies.regions())


@call("GET", "/v1/regions/accelerate")
def accelerate_regions(_question: Question) -> bytes:
    return bodies.unpaged(bodies.regions(has_status=False))


def _show(path: str, name: str, document: Callable[[Question], Json]) -> None:
    """A call that shows one thing."""
    ENDPOINTS[name] = Endpoint(
        method="GET", path=path, status=200, invalid_status=422, answer=lambda asked: bodies.single(document(asked))
    )


_show("/v1/me", "me", bodies.me)
_show("/v1/workspaces/{id}", "workspace", lambda q: bodies.workspace(q, q.own_workspace()))
_show("/v1/workspaces/{id}/subscription", "subscription", lambda q: bodies.subscription(q, q.own_workspace()))
_show("/v1/projects/{id}", "project", lambda q: bodies.project(q, q.project(q.id)))
_show("/v1/branches/{id}", "branch", lambda q: bodies.branch(q, q.branch(q.id)))
_show("/v1/databases/{id}", "database", lambda q: bodies.database(q, q.database(q.id, elsewhere=403)))
_show("/v1/connections/{id}", "connection", lambda q: bodies.connection(q, q.connection()))
