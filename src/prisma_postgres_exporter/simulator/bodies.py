"""The bodies of the Management API's answers, made from what the world remembers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from prisma_postgres_exporter.simulator.backups import BackupRecord
from prisma_postgres_exporter.simulator.chance import identifier
from prisma_postgres_exporter.simulator.founding import REGIONS
from prisma_postgres_exporter.simulator.instants import vendor_text
from prisma_postgres_exporter.simulator.records import ConnectionRecord, DatabaseRecord, ProjectRecord, WorkspaceRecord
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
_PORT = 5432
_USER = "simulated-user"


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


def backups(found: Sequence[BackupRecord], *, limit: int, retention_days: int) -> bytes:
    """A list of backups: as many as `limit` says, without a cursor for the rest."""
    documents: list[Json] = [
        {
            "id": backup.id,
            "backupType": backup.backup_type,
            "createdAt": vendor_text(backup.created_ms),
            "size": backup.size_bytes,
            "status": backup.status,
        }
        for backup in found[:limit]
    ]
    return encoded(
        {
            "data": documents,
            "meta": {"backupRetentionDays": retention_days},
            "pagination": {"hasMore": len(found) > limit, "limit": limit},
        }
    )


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
            "credential": {"type": "service_token", "id": service_token_id(workspace), "name": "exporter"},
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

    def service_token(self, workspace: WorkspaceRecord) -> Json:
        """The workspace's one service token: what may be shown of it."""
        return {
            "id": service_token_id(workspace),
            "type": "service-token",
            "name": "exporter",
            "valueHint": f"…{workspace.token[-4:]}",
            "createdAt": vendor_text(workspace.created_ms),
            "expiresAt": None,
        }

    def project(self, project: ProjectRecord, workspace: WorkspaceRecord, at_ms: int) -> Json:
        """A project with the workspace that holds it."""
        return {
            **self._reference("projects", project.id, project.names.at(at_ms)),
            "type": "project",
            "logicalId": project.logical_id,
            "createdAt": vendor_text(project.created_ms),
            "defaultRegion": project.default_region,
            "workspace": self._reference("workspaces", workspace.id, workspace.names.at(at_ms)),
        }

    def database(
        self,
        database: DatabaseRecord,
        project: ProjectRecord,
        connections: Iterable[ConnectionRecord],
        at_ms: int,
        *,
        with_strings: bool = False,
    ) -> Json:
        """A database with its connections, whose passwords must turn up nowhere else."""
        held = [self.connection(held, database, at_ms, with_strings=with_strings) for held in connections]
        return {
            **self._reference("databases", database.id, database.names.at(at_ms)),
            "type": "database",
            "status": database.status(at_ms),
            "createdAt": vendor_text(database.created_ms),
            "isDefault": database.is_default,
            "defaultConnectionId": held[0]["id"] if held else None,
            "connections": held,
            "project": self._reference("projects", project.id, project.names.at(at_ms)),
            "region": None
            if database.region is None
            else {"id": database.region, "name": _REGION_NAMES[database.region]},
            "source": database.source,
            "branchId": None
            if database.branch_name is None
            else self.id(branch_id(database.project_id, database.branch_name)),
            "logicalId": database.logical_id,
        }

    def connection(
        self, connection: ConnectionRecord, database: DatabaseRecord, at_ms: int, *, with_strings: bool = False
    ) -> Json:
        """A connection; its strings are told when it is made or rotated."""
        password = "simulated-password" + (f"-{connection.rotations}" if connection.rotations else "")
        return {
            **self._reference("connections", connection.id, connection.name),
            "type": "connection",
            "createdAt": vendor_text(connection.created_ms),
            "kind": "postgres",
            "endpoints": {
                "direct": _endpoint("db.simulator.invalid", password, with_string=with_strings),
                "pooled": _endpoint("pooled.simulator.invalid", password, with_string=with_strings),
            },
            "directConnection": {"host": "db.simulator.invalid", "user": _USER, "pass": password},
            "database": self._reference("databases", database.id, database.names.at(at_ms)),
        }

    def _reference(self, kind: str, id_: str, name: str) -> Json:
        shown = self.id(id_)
        return {"id": shown, "url": f"{_API}/{kind}/{shown}", "name": name}


def branch_id(project_id: str, branch_name: str) -> str:
    """The id of a project's git branch."""
    digest = hashlib.blake2b(f"{project_id}/{branch_name}".encode(), digest_size=8).digest()
    return identifier("br_", int.from_bytes(digest, "big"))


def service_token_id(workspace: WorkspaceRecord) -> str:
    """The id of a workspace's service token, which is not its value."""
    return f"tok_{workspace.id.removeprefix('wksp_')}"


def _endpoint(host: str, password: str, *, with_string: bool) -> Json:
    address: Json = {"host": host, "port": _PORT}
    if with_string:
        address["connectionString"] = f"postgres://{_USER}:{password}@{host}:{_PORT}/postgres?sslmode=require"
    return address
