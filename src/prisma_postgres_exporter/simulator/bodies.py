"""The documents of the Management API's answers, as things are when a question is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prisma_postgres_exporter.simulator.clock import vendor_text
from prisma_postgres_exporter.simulator.founding import REGIONS
from prisma_postgres_exporter.simulator.questions import Json, Question, encoded
from prisma_postgres_exporter.simulator.registry import (
    BranchRecord,
    ConnectionRecord,
    DatabaseRecord,
    IntegrationRecord,
    ProjectRecord,
    TokenRecord,
    WorkspaceRecord,
)
from prisma_postgres_exporter.simulator.vendor import BackupRecord, VendorUsage

_GIBIBYTE: Final = 2**30
_API: Final = "https://api.prisma.io/v1"
_HOSTS: Final = {"direct": "db.simulator.invalid", "pooled": "pooled.simulator.invalid"}
_PORT: Final = 5432
_USER: Final = "simulated-user"


def single(document: Json) -> bytes:
    """`{"data": {…}}`"""
    return encoded({"data": document})


def unpaged(documents: Sequence[Json]) -> bytes:
    """`{"data": […]}`: a list without pages."""
    return encoded({"data": documents})


def usage(answer: VendorUsage) -> bytes:
    """The one bare body; formatted by hand because benchmarks ask for nothing else."""
    # A GiB count is exact: bytes divided by a power of two.
    return (
        f'{{"period":{{"start":"{vendor_text(answer.start_ms)}","end":"{vendor_text(answer.end_ms)}"}},'
        f'"metrics":{{"operations":{{"used":{answer.operations},"unit":"ops"}},'
        f'"storage":{{"used":{answer.storage_bytes / _GIBIBYTE!r},"unit":"GiB"}}}},'
        f'"generatedAt":"{vendor_text(answer.generated_ms)}"}}'
    ).encode()


def regions(*, product: str | None = None, has_status: bool = True) -> list[Json]:
    """Every region; the list of one product does not name it, and Accelerate has no status there."""
    members = ({} if product is None else {"product": product}) | ({"status": "available"} if has_status else {})
    return [{"id": id_, "type": "region", "name": name, **members} for id_, name in REGIONS.items()]


def backups(found: Sequence[BackupRecord], *, limit: int, retention_days: int) -> bytes:
    """A list of backups: as many as `limit` says, without a cursor for the rest."""
    documents: list[Json] = [
        {
            "id": backup.id,
            "type": "backup",
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


def me(question: Question) -> Json:
    """Whose token it is: a service token's, so no user's."""
    workspace, token = question.workspace, question.token
    return {
        "user": None,
        "workspace": {"id": _id(question, workspace.id), "name": workspace.names.at(question.now_ms)},
        "credential": {"type": "service_token", "id": token.id, "name": token.name},
    }


def workspace(question: Question, record: WorkspaceRecord) -> Json:
    """A workspace."""
    return {
        **_reference(question, "workspaces", record.id, record.names.at(question.now_ms)),
        "type": "workspace",
        "createdAt": vendor_text(record.created_ms),
    }


def subscription(question: Question, record: WorkspaceRecord) -> Json:
    """A workspace's plan."""
    return {
        "planName": record.plan,
        "usageBlocked": record.blocked.at(question.now_ms),
        "upgradeUrl": "https://console.prisma.io/upgrade",
    }


def service_token(_question: Question, record: TokenRecord) -> Json:
    """A service token: what may be shown of it."""
    return {
        "id": record.id,
        "type": "serviceToken",
        "name": record.name,
        "valueHint": f"…{record.value[-4:]}",
        "createdAt": vendor_text(record.created_ms),
    }


def integration(question: Question, record: IntegrationRecord) -> Json:
    """An integration, with the user who let it in."""
    created_at, shown = vendor_text(record.created_ms), _id(question, record.id)
    user_id = _id(question, f"usr_{record.workspace_id.partition('_')[2]}")
    return {
        "id": shown,
        "url": f"{_API}/integrations/{shown}",
        "createdAt": created_at,
        "scopes": ["workspace:admin", "offline_access"],
        "client": {"id": record.client_id, "name": record.client_name, "createdAt": created_at},
        "createdByUser": {"id": user_id, "email": "owner@simulator.invalid", "displayName": None},
    }


def project(question: Question, record: ProjectRecord) -> Json:
    """A project with the workspace that holds it."""
    return {
        **_reference(question, "projects", record.id, record.names.at(question.now_ms)),
        "type": "project",
        "logicalId": record.logical_id,
        "createdAt": vendor_text(record.created_ms),
        "defaultRegion": record.default_region,
        "workspace": _reference(
            question, "workspaces", question.workspace.id, question.workspace.names.at(question.now_ms)
        ),
    }


def branch(question: Question, record: BranchRecord) -> Json:
    """A branch with its project."""
    held_by = question.registry.projects[record.project_id]
    shown = _id(question, record.id)
    return {
        "id": shown,
        "type": "branch",
        "url": f"{_API}/branches/{shown}",
        "gitName": record.git_name,
        "isDefault": record.is_default,
        "role": "production" if record.is_production else "preview",
        "createdAt": vendor_text(record.created_ms),
        "updatedAt": vendor_text(record.updated_ms),
        "project": _reference(question, "projects", held_by.id, held_by.names.at(question.now_ms)),
    }


def database(question: Question, record: DatabaseRecord, *, with_strings: bool = False) -> Json:
    """A database with its connections, whose passwords must turn up nowhere else."""
    held_by = question.registry.projects[record.project_id]
    held = [
        _connection(question, connection, with_strings=with_strings)
        for connection in question.registry.connections_of(record, question.now_ms)
    ]
    return {
        **_reference(question, "databases", record.id, record.names.at(question.now_ms)),
        "type": "database",
        "status": record.status(question.now_ms),
        "createdAt": vendor_text(record.created_ms),
        "isDefault": record.is_default,
        "defaultConnectionId": held[0]["id"] if held else None,
        "connections": held,
        "project": _reference(question, "projects", held_by.id, held_by.names.at(question.now_ms)),
        "region": None if record.region is None else {"id": record.region, "name": REGIONS[record.region]},
        "source": record.source,
        "branchId": None if record.branch_id is None else _id(question, record.branch_id),
        "logicalId": record.logical_id,
    }


def new_database(question: Question, record: DatabaseRecord) -> Json:
    """A database that was just made in a project, with the members that only these answers still have."""
    (first,) = question.registry.connections_of(record, question.now_ms)
    key = _connection(question, first, with_strings=False)
    del key["database"]
    key["connectionString"] = connection_string = _connection_string("direct", first)
    return {
        **database(question, record, with_strings=True),
        "apiKeys": [key],
        "connectionString": connection_string,
        "directConnection": key["directConnection"],
    }


def connection(question: Question, record: ConnectionRecord) -> Json:
    """A connection, without its strings."""
    return _connection(question, record, with_strings=False)


def new_connection(question: Question, record: ConnectionRecord) -> Json:
    """A connection that was just made or rotated, with its strings and what is written out of them."""
    return {
        **_connection(question, record, with_strings=True),
        "connectionString": _connection_string("direct", record),
        **_written_out(record),
    }


def _connection(question: Question, record: ConnectionRecord, *, with_strings: bool) -> Json:
    reached = question.registry.databases[record.database_id]
    return {
        **_reference(question, "connections", record.id, record.name),
        "type": "connection",
        "createdAt": vendor_text(record.created_ms),
        "kind": "postgres",
        "endpoints": {
            kind: {"host": host, "port": _PORT}
            | ({"connectionString": _connection_string(kind, record)} if with_strings else {})
            for kind, host in _HOSTS.items()
        },
        "directConnection": _written_out(record),
        "database": _reference(question, "databases", reached.id, reached.names.at(question.now_ms)),
    }


def _written_out(record: ConnectionRecord) -> Json:
    return {"host": _HOSTS["direct"], "user": _USER, "pass": _password(record)}


def _connection_string(kind: str, record: ConnectionRecord) -> str:
    return f"postgres://{_USER}:{_password(record)}@{_HOSTS[kind]}:{_PORT}/postgres?sslmode=require"


def _password(record: ConnectionRecord) -> str:
    return "simulated-password" + (f"-{record.rotations}" if record.rotations else "")


def _reference(question: Question, kind: str, id_: str, name: str) -> Json:
    shown = _id(question, id_)
    return {"id": shown, "url": f"{_API}/{kind}/{shown}", "name": name}


def _id(question: Question, id_: str) -> str:
    """An id as this vendor writes it."""
    return id_ if question.vendor.behaviour.has_prefixes else id_.partition("_")[2]
