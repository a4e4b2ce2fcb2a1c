"""Calls that create, change and delete projects and databases.

Where the vendor does not say what is refused, this one is strict: a logical id is taken once in a workspace, a
project has one default database, and of a project's databases only the default one goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.founding import REGIONS
from prisma_postgres_exporter.simulator.instants import from_ms
from prisma_postgres_exporter.simulator.questions import Fields, Question, Refused, invalid, not_found
from prisma_postgres_exporter.simulator.records import DatabaseRecord, ProjectRecord
from prisma_postgres_exporter.simulator.registry import prefixed
from prisma_postgres_exporter.simulator.restoring import known_backup
from prisma_postgres_exporter.simulator.sight import Sight
from prisma_postgres_exporter.simulator.telling import Telling
from prisma_postgres_exporter.simulator.vendor import Vendor


class Changes:
    """Writes on projects and databases, by the names of the calls."""

    def __init__(self, vendor: Vendor, sight: Sight, telling: Telling) -> None:
        self._world = vendor.world
        self._registry = vendor.world.registry
        self._sight = sight
        self._telling = telling
        self.by_call: Final[Mapping[str, Callable[[Question], bytes]]] = {
            "create_project": self._create_project,
            "update_project": self._update_project,
            "delete_project": self._delete_project,
            "transfer_project": self._transfer_project,
            "create_database": self._create_database,
            "create_project_database": self._create_project_database,
            "update_database": self._update_database,
            "delete_database": self._delete_database,
        }

    def _create_project(self, question: Question) -> bytes:
        fields = question.document()
        workspace_id = fields.text("workspaceId")
        if workspace_id is not None and prefixed("wksp_", workspace_id) != question.workspace.id:
            raise not_found("workspace")
        logical_id = fields.text("logicalId")
        if logical_id is not None and any(
            project.logical_id == logical_id
            for project in self._registry.projects_in(question.workspace.id, question.now_ms)
        ):
            raise _taken(409)
        region, name = _region(fields), fields.text("name")
        has_database = fields.flag("createDatabase", default=True)
        at = from_ms(question.now_ms)
        project_id = self._world.add_project(
            question.workspace.id, at=at, name=name, logical_id=logical_id, default_region=region
        )
        project = self._registry.projects[project_id]
        document = self._telling.project(project, question)
        document["database"] = None
        if has_database:
            database_id = self._world.add_database(project_id, at=at, is_default=True, region=region)
            document["database"] = self._telling.new_database(self._registry.databases[database_id], question)
        return bodies.single(document)

    def _update_project(self, question: Question) -> bytes:
        project = self._sight.project(question, question.id, elsewhere=403)
        fields = question.document()
        name = fields.text("name", status=422)
        fields.fields("settings", status=422)
        if name is not None:
            project.names.change(question.now_ms, name)
        return bodies.single(self._telling.project(project, question))

    def _delete_project(self, question: Question) -> bytes:
        project = self._sight.project(question, question.id)
        held = self._registry.databases_of(project.id, question.now_ms)
        others = [database for database in held if not database.is_default]
        if others:
            raise Refused(
                400,
                "hasDependencies",
                f"The project still has {len(others)} database(s) besides its default one",
                "Delete them first",
            )
        self._world.delete_project(project.id, at=from_ms(question.now_ms))
        return b""

    def _transfer_project(self, question: Question) -> bytes:
        project = self._sight.project(question, question.id)
        token = question.document().needed("recipientAccessToken", most=4_096)
        recipient_id = self._world.tokens.get(token)
        if recipient_id is None:
            raise Refused(401, "unauthorized", "The recipient's access token is not valid")
        if recipient_id == question.workspace.id:
            raise Refused(409, "conflict", "The project is in the recipient's workspace already")
        self._world.move_project(project.id, recipient_id, at=from_ms(question.now_ms))
        return b""

    def _create_database(self, question: Question) -> bytes:
        fields = question.document()
        return self._add_database(question, fields, fields.needed("projectId"), taken=409)

    def _create_project_database(self, question: Question) -> bytes:
        return self._add_database(question, question.document(), question.id, taken=400)

    def _add_database(self, question: Question, fields: Fields, project_id: str, *, taken: int) -> bytes:
        project = self._sight.project(question, project_id, elsewhere=403)
        self._sight.refuse_blocked(question)
        is_default = fields.flag("isDefault", default=False)
        if is_default and any(held.is_default for held in self._registry.databases_of(project.id, question.now_ms)):
            raise invalid("The project has a default database already")
        database_id = self._world.add_database(
            project.id,
            at=from_ms(question.now_ms),
            name=fields.text("name"),
            is_default=is_default,
            branch_name=self._branch_name(question, project, fields, both=400),
            region=_region(fields) or project.default_region,
            logical_id=self._free_logical_id(question, fields, None, taken=taken),
            source=self._source(question, fields.fields("source")),
        )
        return bodies.single(self._telling.new_database(self._registry.databases[database_id], question))

    def _update_database(self, question: Question) -> bytes:
        database = self._sight.database(question, question.id, elsewhere=403)
        fields = question.document()
        name = fields.text("name")
        project = self._registry.projects[database.project_id]
        branch_name = self._branch_name(question, project, fields, both=409)
        logical_id = self._free_logical_id(question, fields, database, taken=409)
        if name is not None:
            database.names.change(question.now_ms, name)
        database.branch_name = branch_name or database.branch_name
        database.logical_id = logical_id or database.logical_id
        return bodies.single(self._telling.database(database, question))

    def _delete_database(self, question: Question) -> bytes:
        database = self._sight.database(question, question.id)
        if database.is_default:
            raise Refused(
                403,
                "defaultDatabase",
                "A project's default database cannot be deleted",
                "Delete the project instead",
            )
        self._world.delete_database(database.id, at=from_ms(question.now_ms))
        return b""

    def _branch_name(self, question: Question, project: ProjectRecord, fields: Fields, *, both: int) -> str | None:
        branch_id, git_name = fields.text("branchId"), fields.text("branchGitName")
        if branch_id is None:
            return git_name
        if git_name is not None:
            raise invalid("give branchId or branchGitName, not both", status=both)
        for database in self._registry.databases_of(project.id, question.now_ms):
            if self._telling.branch_id(database) == prefixed("br_", branch_id):
                return database.branch_name
        raise not_found("branch")

    def _free_logical_id(
        self, question: Question, fields: Fields, owner: DatabaseRecord | None, *, taken: int
    ) -> str | None:
        logical_id = fields.text("logicalId")
        if logical_id is not None:
            for database in self._registry.databases_in(question.workspace.id, question.now_ms):
                if database.logical_id == logical_id and database is not owner:
                    raise _taken(taken)
        return logical_id

    def _source(self, question: Question, fields: Fields | None) -> Mapping[str, str] | None:
        kind = "empty" if fields is None else fields.needed("type")
        if fields is None or kind == "empty":
            return {"type": "empty"}
        if kind not in {"database", "backup"}:
            raise invalid("source.type must be empty, database or backup")
        source = self._sight.database(question, fields.needed("databaseId"))
        if kind == "database":
            return {"type": kind, "databaseId": source.id}
        backup = known_backup(source, fields.needed("backupId"), question)
        return {"type": kind, "databaseId": source.id, "backupId": backup.id}


def _region(fields: Fields) -> str | None:
    region = fields.text("region")
    if region is not None and region not in REGIONS:
        raise invalid(f"region must be one of {', '.join(REGIONS)}")
    return region


def _taken(status: int) -> Refused:
    return Refused(status, "conflict", "The logicalId is taken", "Choose another logicalId")
