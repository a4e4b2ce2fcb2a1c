"""Every call, by the name that faults and counts go by, and its answer.

Where the vendor does not say what is refused, this one is strict: a logical id is taken once on a branch, a project
has one default database, and of a project's databases only the default one goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final

from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.clock import from_ms, span_ms, to_ms
from prisma_postgres_exporter.simulator.founding import REGIONS
from prisma_postgres_exporter.simulator.questions import Fields, Json, Question, Refused, not_found, rest
from prisma_postgres_exporter.simulator.registry import BranchRecord, DatabaseRecord, ProjectRecord, prefixed
from prisma_postgres_exporter.simulator.vendor import BackupRecord, Broken, PeriodRefused, backups_of, retention_days
from prisma_postgres_exporter.words import counted

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
    except Broken as exc:
        raise Refused(500, "Something went wrong") from exc
    return bodies.usage(answer)


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


DEFAULT_REGION: Final = "us-east-1"
INHERITED: Final = "inherit"
MOST_DATABASES: Final[Mapping[str, int]] = {"Free": 50}
MOST_DATABASES_OF_PAID_PLANS: Final = 1_000


@call("POST", "/v1/workspaces", 201)
def create_workspace(question: Question) -> bytes:
    """Tokens of this vendor are a workspace's, and it takes a user's to make one."""
    if question.body:
        question.fields().text("displayName")
    raise Refused(403, "Workspace integration tokens cannot create workspaces")


@call("POST", "/v1/workspaces/{id}/service-tokens", 201)
def create_service_token(question: Question) -> bytes:
    workspace = question.own_workspace()
    name = question.fields().needed("name")
    added = question.vendor.world.add_token(workspace.id, name, at=from_ms(question.now_ms))
    return bodies.single({**bodies.service_token(question, added), "value": added.value})


@call("DELETE", "/v1/workspaces/{id}/service-tokens/{serviceTokenId}", 204)
def delete_service_token(question: Question) -> bytes:
    workspace = question.own_workspace()
    for token in question.registry.tokens_of(workspace.id, question.now_ms):
        if token.id == question.ids["serviceTokenId"]:
            token.deleted_ms = question.now_ms
            return b""
    raise not_found("service token")


@call("DELETE", "/v1/workspaces/{id}/integrations/{clientId}", 204)
def delete_workspace_integration(question: Question) -> bytes:
    question.own_workspace()
    return _revoke(question, client_id=question.ids["clientId"])


@call("DELETE", "/v1/integrations/{id}", 204)
def delete_integration(question: Question) -> bytes:
    return _revoke(question, id_=prefixed("itgr_", question.id))


def _revoke(question: Question, *, id_: str | None = None, client_id: str | None = None) -> bytes:
    for integration in question.registry.integrations_of(question.workspace.id, question.now_ms):
        if id_ == integration.id or client_id == integration.client_id:
            integration.deleted_ms = question.now_ms
            return b""
    raise not_found("integration")


@call("POST", "/v1/projects", 201)
def create_project(question: Question) -> bytes:
    """The answer's database has no `project`: it stands in it."""
    fields, registry, at = question.fields(), question.registry, from_ms(question.now_ms)
    workspace_id = fields.text("workspaceId")
    if workspace_id is not None and prefixed("wksp_", workspace_id) != question.workspace.id:
        raise fields.invalid("workspaceId is not the token's workspace")
    logical_id = fields.text("logicalId")
    held = registry.projects_in(question.workspace.id, question.now_ms)
    if logical_id is not None and any(project.logical_id == logical_id for project in held):
        raise _taken()
    region, name = _region(fields), fields.text("name")
    has_database = fields.flag("createDatabase", default=True)
    if has_database:
        _refuse_full(question, 409)
    project_id = question.vendor.world.add_project(
        question.workspace.id, at=at, name=name, logical_id=logical_id, default_region=region
    )
    document = bodies.project(question, registry.projects[project_id])
    document["database"] = None
    if has_database:
        database_id = question.vendor.world.add_database(
            project_id, at=at, is_default=True, region=region or DEFAULT_REGION
        )
        document["database"] = new = bodies.new_database(question, _provisioned(question, database_id))
        del new["project"]
    return bodies.single(document)


@call("PATCH", "/v1/projects/{id}")
def update_project(question: Question) -> bytes:
    project, fields = question.project(question.id, elsewhere=403), question.fields()
    name = fields.text("name")
    fields.fields("settings")
    if name is not None:
        project.names.change(question.now_ms, name)
    return bodies.single(bodies.project(question, project))


@call("DELETE", "/v1/projects/{id}", 204)
def delete_project(question: Question) -> bytes:
    project = question.project(question.id)
    held = question.registry.databases_of(project.id, question.now_ms)
    others = [database for database in held if not database.is_default]
    if others:
        raise Refused(
            400,
            f"The project still has {counted(len(others), 'database')} besides its default one",
            "Delete them first",
        )
    question.vendor.world.delete_project(project.id, at=from_ms(question.now_ms))
    return b""


@call("POST", "/v1/projects/{id}/transfer", 204)
def transfer_project(question: Question) -> bytes:
    project = question.project(question.id)
    recipient = question.registry.token(question.fields().needed("recipientAccessToken", most=4_096), question.now_ms)
    if recipient is None:
        raise Refused(401, "The recipient's access token is not valid")
    if recipient.workspace_id == question.workspace.id:
        raise Refused(409, "The project is in the recipient's workspace already")
    question.vendor.world.move_project(project.id, recipient.workspace_id, at=from_ms(question.now_ms))
    return b""


@call("POST", "/v1/projects/{id}/branches", 201)
def create_branch(question: Question) -> bytes:
    project, fields = question.project(question.id), question.fields()
    git_name, is_default = fields.needed("gitName"), fields.flag("isDefault", default=False)
    if question.registry.branch_named(project.id, git_name, question.now_ms):
        raise Refused(409, "The project has a branch of this name already")
    added = question.registry.add_branch(project.id, git_name, question.now_ms, is_default=is_default)
    return bodies.single(bodies.branch(question, added))


@call("PATCH", "/v1/branches/{id}")
def update_branch(question: Question) -> bytes:
    branch, fields = question.branch(question.id), question.fields()
    fields.refuse_others("isDefault")
    if fields.flag("isDefault", default=branch.is_default):
        question.registry.make_default(branch, question.now_ms)
    elif branch.is_default:
        raise Refused(422, "A default branch is replaced by another one", "Make another branch the default")
    return bodies.single(bodies.branch(question, branch))


@call("DELETE", "/v1/branches/{id}", 204)
def delete_branch(question: Question) -> bytes:
    branch = question.branch(question.id)
    if branch.is_default or branch.is_production:
        raise Refused(422, "The project's default and production branches cannot be deleted")
    held = question.registry.databases_of(branch.project_id, question.now_ms)
    if any(database.branch_id == branch.id for database in held):
        raise Refused(409, "The branch still has databases", "Delete them first")
    branch.deleted_ms = question.now_ms
    return b""


@call("POST", "/v1/databases", 201, invalid=400)
def create_database(question: Question) -> bytes:
    fields = question.fields()
    project = question.project(fields.needed("projectId"), elsewhere=403)
    logical_id = fields.text("logicalId")
    if logical_id is not None and fields.text("branchGitName") is not None:
        raise question.invalid("logicalId cannot be combined with branchGitName: pass branchId")
    _refuse_taken(question, project, fields.text("branchId"), logical_id)
    _refuse_full(question, 409)
    added = _add_database(
        question, project, fields, source=_source(question, fields.fields("source")), takes_branch=True
    )
    added.logical_id = logical_id
    return bodies.single(bodies.database(question, added, with_strings=True))


@call("POST", "/v1/projects/{id}/databases", 201, invalid=400)
def create_project_database(question: Question) -> bytes:
    """Knows `fromDatabase`, the older way to say `source`."""
    fields = question.fields()
    project = question.project(question.id, elsewhere=403)
    source, older = fields.fields("source"), fields.fields("fromDatabase")
    if source is not None and older is not None:
        raise question.invalid("give source or fromDatabase, not both")
    told = _source(question, source) if older is None else _source_of(question, older.needed("id"), older)
    _refuse_full(question, 400)
    return bodies.single(bodies.new_database(question, _add_database(question, project, fields, source=told)))


def _add_database(
    question: Question,
    project: ProjectRecord,
    fields: Fields,
    *,
    source: Mapping[str, str],
    takes_branch: bool = False,
) -> DatabaseRecord:
    question.refuse_blocked()
    is_default = fields.flag("isDefault", default=False)
    held = question.registry.databases_of(project.id, question.now_ms)
    if is_default and any(database.is_default for database in held):
        raise question.invalid("The project has a default database already")
    region, name = _region(fields, INHERITED), fields.text("name")
    # The last step that may refuse: it makes the branch that git names.
    branch = _branch(question, project, fields) if takes_branch else None
    database_id = question.vendor.world.add_database(
        project.id,
        at=from_ms(question.now_ms),
        name=name,
        is_default=is_default,
        branch_id=None if branch is None else branch.id,
        region=(project.default_region if region == INHERITED else region) or DEFAULT_REGION,
        source=source,
    )
    return _provisioned(question, database_id)


def _provisioned(question: Question, database_id: str) -> DatabaseRecord:
    """A new database: provisioning for as long as that takes."""
    database = question.registry.databases[database_id]
    takes_ms = span_ms(question.vendor.behaviour.creation_takes)
    if takes_ms:
        database.change_status(question.now_ms, "provisioning")
        database.change_status(question.now_ms + takes_ms, "ready")
    return database


@call("PATCH", "/v1/databases/{id}")
def update_database(question: Question) -> bytes:
    database, fields = question.database(question.id, elsewhere=403), question.fields()
    name, logical_id = fields.text("name"), fields.text("logicalId")
    is_moved = fields.text("branchId") is not None or fields.text("branchGitName") is not None
    if logical_id is not None and is_moved:
        raise Refused(409, "logicalId cannot be combined with a branch", "Move the database first")
    project = question.registry.projects[database.project_id]
    branch = _branch(question, project, fields)
    branch_id = database.branch_id if branch is None else branch.id
    _refuse_taken(question, project, branch_id, logical_id or database.logical_id, owner=database)
    if name is not None:
        database.names.change(question.now_ms, name)
    database.branch_id = branch_id
    database.logical_id = logical_id or database.logical_id
    return bodies.single(bodies.database(question, database))


@call("DELETE", "/v1/databases/{id}", 204)
def delete_database(question: Question) -> bytes:
    database = question.database(question.id)
    if database.is_default:
        raise Refused(403, "A project's default database cannot be deleted", "Delete the project instead")
    question.vendor.world.delete_database(database.id, at=from_ms(question.now_ms))
    return b""


@call("POST", "/v1/databases/{id}/restore")
def restore_database(question: Question) -> bytes:
    target = local(question.database(question.id))
    source = question.fields().fields("source")
    if source is None or source.needed("type") != "backup":
        raise question.invalid("source must be a backup")
    origin = local(question.database(source.needed("databaseId")))
    backup = _backup(question, origin, source.needed("backupId"))
    if backup.status != "completed":
        raise Refused(422, f"The backup is {backup.status}", "Choose one that is completed")
    if target.status(question.now_ms) in {"provisioning", "recovering"}:
        raise Refused(409, "The database is not ready", "Wait until it is")
    target.change_status(question.now_ms, "recovering")
    target.change_status(question.now_ms + span_ms(question.vendor.behaviour.restore_takes), "ready")
    target.source = {"type": "backup", "databaseId": origin.id, "backupId": backup.id}
    return bodies.single(bodies.database(question, target))


@call("POST", "/v1/databases/{id}/connections")
def create_database_connection(question: Question) -> bytes:
    return _add_connection(question, question.id)


@call("POST", "/v1/connections", 201)
def create_connection(question: Question) -> bytes:
    return _add_connection(question, question.fields().needed("databaseId"))


def _add_connection(question: Question, database_id: str) -> bytes:
    database = question.database(database_id)
    name = question.fields().needed("name", least=3, most=65)
    added = question.registry.add_connection(database, name, question.now_ms)
    return bodies.single(bodies.new_connection(question, added))


@call("POST", "/v1/connections/{id}/rotate")
def rotate_connection(question: Question) -> bytes:
    connection = question.registry.keep_connection(question.connection())
    connection.rotations += 1
    return bodies.single(bodies.new_connection(question, connection))


@call("DELETE", "/v1/connections/{id}", 204)
def delete_connection(question: Question) -> bytes:
    question.registry.keep_connection(question.connection()).deleted_ms = question.now_ms
    return b""


def _branch(question: Question, project: ProjectRecord, fields: Fields) -> BranchRecord | None:
    """The branch that is named; one that is named by git and does not exist yet is made."""
    branch_id, git_name = fields.text("branchId"), fields.text("branchGitName")
    if "branchId" in fields and branch_id is None:
        raise question.invalid("branchId must not be null")
    if branch_id is not None and git_name is not None:
        raise Refused(400 if question.invalid_status == 400 else 409, "give branchId or branchGitName, not both")
    if branch_id is not None:
        branch = question.branch(branch_id)
        if branch.project_id != project.id:
            raise not_found("branch")
        return branch
    if git_name is None:
        return None
    held = question.registry.branch_named(project.id, git_name, question.now_ms)
    return held or question.registry.add_branch(project.id, git_name, question.now_ms)


def _source(question: Question, fields: Fields | None) -> Mapping[str, str]:
    kind = "empty" if fields is None else fields.needed("type")
    if fields is None or kind == "empty":
        return {"type": "empty"}
    if kind not in {"database", "backup"}:
        raise question.invalid("source.type must be empty, database or backup")
    if kind == "backup":
        fields.needed("backupId")
    return _source_of(question, fields.needed("databaseId"), fields)


def _source_of(question: Question, database_id: str, fields: Fields) -> Mapping[str, str]:
    origin, backup_id = question.database(database_id), fields.text("backupId")
    if backup_id is None:
        return {"type": "database", "databaseId": origin.id}
    return {"type": "backup", "databaseId": origin.id, "backupId": _backup(question, origin, backup_id).id}


def _backup(question: Question, database: DatabaseRecord, backup_id: str) -> BackupRecord:
    for backup in backups_of(database, question.now_ms, plan=question.workspace.plan):
        if backup.id == backup_id:
            return backup
    raise not_found("backup")


def _region(fields: Fields, *others: str) -> str | None:
    region, known = fields.text("region"), (*REGIONS, *others)
    if region is not None and region not in known:
        raise fields.invalid(f"region must be one of {', '.join(known)}")
    return region


def _refuse_taken(
    question: Question,
    project: ProjectRecord,
    branch_id: str | None,
    logical_id: str | None,
    *,
    owner: DatabaseRecord | None = None,
) -> None:
    branch_id = branch_id and prefixed("br_", branch_id)
    for held in question.registry.databases_of(project.id, question.now_ms):
        is_same = logical_id is not None and held.logical_id == logical_id and held.branch_id == branch_id
        if is_same and held is not owner:
            raise _taken()


def _refuse_full(question: Question, status: int) -> None:
    most = MOST_DATABASES.get(question.workspace.plan, MOST_DATABASES_OF_PAID_PLANS)
    if sum(1 for _ in question.registry.databases_in(question.workspace.id, question.now_ms)) >= most:
        raise Refused(status, f"The plan allows {most} databases", "Upgrade the plan", code="quota-exceeded")


def _taken() -> Refused:
    return Refused(409, "The logicalId is taken", "Choose another logicalId")
