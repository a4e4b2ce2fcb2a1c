"""The bodies of the Management API's answers, made from what the world remembers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from prisma_postgres_exporter.simulator.founding import REGIONS
from prisma_postgres_exporter.simulator.instants import vendor_text
from prisma_postgres_exporter.simulator.records import DatabaseRecord, ProjectRecord, WorkspaceRecord
from prisma_postgres_exporter.simulator.vendor import VendorUsage

Json = dict[str, object]

_GIBIBYTE = 2**30
_REGION_NAMES = {
    "us-east-1": "US East (N. Virginia)",
    "us-west-1": "US West (N. California)",
    "eu-west-3": "EU West (Paris)",
    "eu-central-1": "EU Central (Frankfurt)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
}
_API = "https://api.prisma.io/v1"


def encoded(document: object) -> bytes:
    """A document as the body of an answer."""
    return json.dumps(document, separators=(",", ":")).encode()


def single(document: Json) -> bytes:
    """`{"data": {…}}`"""
    return encoded({"data": document})


def page(documents: Sequence[Json], next_cursor: str | None) -> bytes:
    """`{"data": […], "pagination": {…}}`; without a cursor it is the last page."""
    return encoded({"data": documents, "pagination": {"nextCursor": next_cursor, "hasMore": next_cursor is not None}})


def unpaged(documents: Sequence[Json]) -> bytes:
    """`{"data": […]}`: a list without pages."""
    return encoded({"data": documents})


def error(code: str, message: str, hint: str | None = None) -> bytes:
    """`{"error": {…}}`"""
    return encoded({"error": {"code": code, "message": message} | ({} if hint is None else {"hint": hint})})


def usage(answer: VendorUsage, now_ms: int) -> bytes:
    """The one bare body; formatted by hand because benchmarks ask for nothing else."""
    # A GiB count is exact: bytes divided by a power of two.
    return (
        f'{{"period":{{"start":"{vendor_text(answer.start_ms)}","end":"{vendor_text(answer.end_ms)}"}},'
        f'"metrics":{{"operations":{{"used":{answer.operations},"unit":"ops"}},'
        f'"storage":{{"used":{answer.storage_bytes / _GIBIBYTE!r},"unit":"GiB"}}}},'
        f'"generatedAt":"{vendor_text(now_ms)}"}}'
    ).encode()


def region(id_: str, *, with_product: bool) -> Json:
    """A region; the list of one product does not name it."""
    product: Json = {"product": "postgres"} if with_product else {}
    return {"id": id_, "type": "region", "name": _REGION_NAMES[id_], **product, "status": "available"}


def regions(*, with_product: bool) -> bytes:
    """Every region of Prisma Postgres."""
    return unpaged([region(id_, with_product=with_product) for id_ in REGIONS])


class Bodies:
    """The documents of workspaces, projects and databases at an instant, ids with or without prefix."""

    def __init__(self, *, has_prefixes: bool) -> None:
        self._has_prefixes = has_prefixes

    def id(self, id_: str) -> str:
        """An id as this vendor writes it."""
        return id_ if self._has_prefixes else id_.partition("_")[2]

    def me(self, workspace: WorkspaceRecord, at_ms: int) -> Json:
        """Whose token it is: a service token's, so no user's."""
        return {
            "user": None,
            "workspace": {"id": self.id(workspace.id), "name": workspace.names.at(at_ms)},
            "credential": {"type": "service_token", "id": workspace.token, "name": "exporter"},
        }

    def workspace(self, workspace: WorkspaceRecord, at_ms: int) -> Json:
        """A workspace."""
        return {
            **self._reference("workspaces", workspace.id, workspace.names.at(at_ms)),
            "type": "workspace",
            "createdAt": vendor_text(workspace.created_ms),
        }

    def subscription(self, workspace: WorkspaceRecord, at_ms: int) -> Json:
        """A workspace's plan."""
        return {
            "planName": workspace.plan,
            "usageBlocked": workspace.blocked.at(at_ms),
            "upgradeUrl": "https://console.prisma.io/upgrade",
        }

    def project(self, project: ProjectRecord, workspace: WorkspaceRecord, at_ms: int) -> Json:
        """A project with the workspace that holds it."""
        return {
            **self._reference("projects", project.id, project.names.at(at_ms)),
            "type": "project",
            "logicalId": None,
            "createdAt": vendor_text(project.created_ms),
            "defaultRegion": None,
            "workspace": self._reference("workspaces", workspace.id, workspace.names.at(at_ms)),
        }

    def database(self, database: DatabaseRecord, project: ProjectRecord, at_ms: int) -> Json:
        """A database with its connection, whose password must turn up nowhere else."""
        name = database.names.at(at_ms)
        connection_id = self.id(f"con_{database.id.removeprefix('db_')}")
        reference = self._reference("databases", database.id, name)
        return {
            **reference,
            "type": "database",
            "status": "ready",
            "createdAt": vendor_text(database.created_ms),
            "isDefault": database.is_default,
            "defaultConnectionId": connection_id,
            "connections": [
                {
                    "id": connection_id,
                    "type": "connection",
                    "url": f"{_API}/connections/{connection_id}",
                    "name": "default",
                    "createdAt": vendor_text(database.created_ms),
                    "kind": "postgres",
                    "endpoints": {"direct": {"host": "db.simulator.invalid", "port": 5432}},
                    "directConnection": {
                        "host": "db.simulator.invalid",
                        "user": "simulated-user",
                        "pass": "simulated-password",
                    },
                    "database": reference,
                }
            ],
            "project": self._reference("projects", project.id, project.names.at(at_ms)),
            "region": None
            if database.region is None
            else {"id": database.region, "name": _REGION_NAMES[database.region]},
            "source": None,
            "branchId": None if database.branch_name is None else self._branch_id(database),
            "logicalId": None,
        }

    def _branch_id(self, database: DatabaseRecord) -> str:
        return self.id(f"br_{database.id.removeprefix('db_')}")

    def _reference(self, kind: str, id_: str, name: str) -> Json:
        shown = self.id(id_)
        return {"id": shown, "url": f"{_API}/{kind}/{shown}", "name": name}
