"""The answers of calls that create, change and delete.

Where the vendor does not say what is refused, this one is strict: a logical id is taken once on a branch, a project
has one default database, and of a project's databases only the default one goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.clock import from_ms, span_ms
from prisma_postgres_exporter.simulator.founding import REGIONS
from prisma_postgres_exporter.simulator.questions import Fields, Question, Refused, not_found
from prisma_postgres_exporter.simulator.reading import call, local
from prisma_postgres_exporter.simulator.records import BranchRecord, DatabaseRecord, ProjectRecord
from prisma_postgres_exporter.simulator.registry import prefixed
from prisma_postgres_exporter.simulator.vendor import BackupRecord, backups_of

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
            400, f"The project still has {len(others)} database(s) besides its default one", "Delete them first"
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
