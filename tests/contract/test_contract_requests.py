"""What the client sends is what the vendor's types take: path, query and body, with every argument given."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import pytest
from vendor_types import Contract, problems

from prisma_postgres_exporter.api import (
    OPERATIONS,
    BackupSource,
    DatabaseSource,
    EmptySource,
    Limits,
    ManagementApi,
)
from prisma_postgres_exporter.api.decode import Answer
from prisma_postgres_exporter.api.send import Request, Transport
from prisma_postgres_exporter.errors import NotFound

AT: Final = datetime(2026, 11, 1, tzinfo=UTC)
BACKUP: Final = BackupSource(database_id="2", backup_id="b")
Call = Callable[[ManagementApi], Awaitable[object]]
CALLS: Final[Mapping[str, tuple[Call, ...]]] = {
    "me": (lambda api: api.me(),),
    "workspaces": (lambda api: api.workspaces(limit=5, cursor="c").page(),),
    "workspace": (lambda api: api.workspace("1"),),
    "create_workspace": (lambda api: api.create_workspace(display_name="x"), lambda api: api.create_workspace()),
    "subscription": (lambda api: api.subscription("1"),),
    "service_tokens": (lambda api: api.service_tokens("1", limit=5, cursor="c").page(),),
    "create_service_token": (lambda api: api.create_service_token("1", "ci"),),
    "delete_service_token": (lambda api: api.delete_service_token("1", "t"),),
    "integrations": (lambda api: api.integrations("1", limit=5, cursor="c").page(),),
    "workspace_integrations": (lambda api: api.workspace_integrations("1", limit=5, cursor="c").page(),),
    "integration": (lambda api: api.integration("1"),),
    "delete_integration": (lambda api: api.delete_integration("1"),),
    "delete_workspace_integration": (lambda api: api.delete_workspace_integration("1", "c"),),
    "projects": (lambda api: api.projects(logical_id="l", limit=5, cursor="c").page(),),
    "project": (lambda api: api.project("1"),),
    "create_project": (
        lambda api: api.create_project(),
        lambda api: api.create_project(
            name="x", region="eu-central-1", create_database=False, logical_id="l", workspace_id="1"
        ),
    ),
    "update_project": (lambda api: api.update_project("1", name="x", settings={"a": [1, None]}),),
    "delete_project": (lambda api: api.delete_project("1"),),
    "transfer_project": (lambda api: api.transfer_project("1", "recipients-token"),),
    "branches": (
        lambda api: api.branches("1", git_name="main", limit=5, cursor="c").page(),
        lambda api: api.branches("1", git_name_contains="ma").page(),
    ),
    "branch": (lambda api: api.branch("1"),),
    "create_branch": (lambda api: api.create_branch("1", "main", is_default=True),),
    "update_branch": (lambda api: api.update_branch("1", is_default=True),),
    "delete_branch": (lambda api: api.delete_branch("1"),),
    "databases": (
        lambda api: api.databases("1", logical_id="l", branch_id="unassigned", limit=5, cursor="c").page(),
        lambda api: api.databases(branch_git_name="main").page(),
    ),
    "project_databases": (lambda api: api.project_databases("1", limit=5, cursor="c").page(),),
    "database": (lambda api: api.database("1"),),
    "create_database": (
        lambda api: api.create_database("1"),
        lambda api: api.create_database("1", source=BACKUP, branch_git_name="main"),
        lambda api: api.create_database(
            "1", name="x", region="inherit", is_default=True, source=EmptySource(), branch_id="br_1", logical_id="l"
        ),
    ),
    "create_project_database": (
        lambda api: api.create_project_database(
            "1", name="x", region="inherit", is_default=False, source=DatabaseSource(database_id="2")
        ),
    ),
    "update_database": (
        lambda api: api.update_database("1", name="x", branch_id="1"),
        lambda api: api.update_database("1", branch_git_name="main"),
        lambda api: api.update_database("1", logical_id="l"),
    ),
    "delete_database": (lambda api: api.delete_database("1"),),
    "backups": (lambda api: api.backups("1", limit=5),),
    "restore_database": (lambda api: api.restore_database("1", BACKUP),),
    "usage": (lambda api: api.usage("1", start_at=AT, end_at=AT),),
    "connections": (lambda api: api.connections("1", limit=5, cursor="c").page(),),
    "database_connections": (lambda api: api.database_connections("1", limit=5, cursor="c").page(),),
    "connection": (lambda api: api.connection("conn_1"),),
    "create_connection": (lambda api: api.create_connection("1", "app"),),
    "create_database_connection": (lambda api: api.create_database_connection("1", "app"),),
    "rotate_connection": (lambda api: api.rotate_connection("conn_1"),),
    "delete_connection": (lambda api: api.delete_connection("conn_1"),),
    "regions": (lambda api: api.regions(product="accelerate"),),
    "postgres_regions": (lambda api: api.postgres_regions(),),
    "accelerate_regions": (lambda api: api.accelerate_regions(),),
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_is_sent_is_what_the_types_take(
    contract: Contract, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    sent: list[Request] = []

    async def send(_: Transport, request: Request) -> Answer:
        sent.append(request)
        return Answer(status=404, headers={}, body=b"")

    monkeypatch.setattr(Transport, "send", send)
    async with ManagementApi("test-token-1", limits=Limits(requests_per_second=1000)) as api:
        for call in CALLS[name]:
            with pytest.raises(NotFound):
                await call(api)

    operation = contract.find(OPERATIONS[name].method, OPERATIONS[name].path)
    for request in sent:
        assert contract.find(request.method, request.target) == operation
        body = None if request.body is None else json.loads(request.body)
        assert problems(operation.request, body, exact=True) == []
        query = dict(parse_qsl(urlsplit(request.target).query))
        assert query.keys() <= operation.query.get("properties", {}).keys()
        assert set(operation.query.get("required", ())) <= query.keys()
