"""The contract's operations: what the client, the simulator, the commands and the README are held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from prisma_postgres_exporter.api import BackupSource, ManagementApi

Call = Callable[[ManagementApi], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Documented:
    """An operation: its good status, its documented errors, the client's method, and a call of it."""

    endpoint: str
    success: int
    errors: tuple[int, ...]
    method: str
    call: Call
    is_repeatable: bool = True


def first(entries: AsyncIterator[object]) -> Awaitable[object]:
    async def read() -> object:
        return [entry async for entry in entries]

    return read()


CONTRACT = (
    Documented("GET /v1/me", 200, (401,), "me", lambda api: api.me()),
    Documented("GET /v1/workspaces", 200, (401,), "workspaces", lambda api: first(api.workspaces())),
    Documented("GET /v1/workspaces/{id}", 200, (401, 404), "workspace", lambda api: api.workspace("1")),
    Documented(
        "GET /v1/workspaces/{id}/subscription", 200, (401, 404), "subscription", lambda api: api.subscription("1")
    ),
    Documented("GET /v1/projects", 200, (401,), "projects", lambda api: first(api.projects())),
    Documented("GET /v1/projects/{id}", 200, (401, 404), "project", lambda api: api.project("1")),
    Documented(
        "POST /v1/projects", 201, (401, 409, 413), "create_project", lambda api: api.create_project(name="x"), False
    ),
    Documented(
        "PATCH /v1/projects/{id}",
        200,
        (401, 403, 404, 413, 422),
        "update_project",
        lambda api: api.update_project("1", name="x"),
    ),
    Documented("DELETE /v1/projects/{id}", 204, (400, 401, 404), "delete_project", lambda api: api.delete_project("1")),
    Documented(
        "POST /v1/projects/{id}/transfer",
        204,
        (401, 404, 409, 413),
        "transfer_project",
        lambda api: api.transfer_project("1", "recipients-test-token"),
        False,
    ),
    Documented("GET /v1/databases", 200, (401, 403), "databases", lambda api: first(api.databases())),
    Documented(
        "GET /v1/projects/{id}/databases",
        200,
        (401, 404),
        "project_databases",
        lambda api: first(api.project_databases("1")),
    ),
    Documented("GET /v1/databases/{id}", 200, (401, 403, 404), "database", lambda api: api.database("1")),
    Documented(
        "POST /v1/databases",
        201,
        (400, 401, 403, 404, 409, 413),
        "create_database",
        lambda api: api.create_database("1"),
        False,
    ),
    Documented(
        "POST /v1/projects/{id}/databases",
        201,
        (400, 401, 403, 404, 413),
        "create_project_database",
        lambda api: api.create_project_database("1"),
        False,
    ),
    Documented(
        "PATCH /v1/databases/{id}",
        200,
        (401, 403, 404, 409, 413),
        "update_database",
        lambda api: api.update_database("1", name="x"),
    ),
    Documented(
        "DELETE /v1/databases/{id}", 204, (401, 403, 404), "delete_database", lambda api: api.delete_database("1")
    ),
    Documented("GET /v1/connections", 200, (401,), "connections", lambda api: first(api.connections())),
    Documented(
        "GET /v1/databases/{id}/connections",
        200,
        (401,),
        "database_connections",
        lambda api: first(api.database_connections("1")),
    ),
    Documented("GET /v1/connections/{id}", 200, (401, 404), "connection", lambda api: api.connection("1")),
    Documented(
        "POST /v1/databases/{id}/connections",
        200,
        (401, 404),
        "create_database_connection",
        lambda api: api.create_database_connection("1", "app"),
        False,
    ),
    Documented(
        "POST /v1/connections",
        201,
        (401, 404),
        "create_connection",
        lambda api: api.create_connection("1", "app"),
        False,
    ),
    Documented(
        "POST /v1/connections/{id}/rotate",
        200,
        (401, 404),
        "rotate_connection",
        lambda api: api.rotate_connection("1"),
        False,
    ),
    Documented(
        "DELETE /v1/connections/{id}", 204, (401, 404), "delete_connection", lambda api: api.delete_connection("1")
    ),
    Documented("GET /v1/databases/{id}/backups", 200, (401, 404, 422), "backups", lambda api: api.backups("1")),
    Documented(
        "POST /v1/databases/{id}/restore",
        200,
        (401, 404, 409, 422),
        "restore_database",
        lambda api: api.restore_database("1", BackupSource(database_id="2", backup_id="b")),
        False,
    ),
    Documented("GET /v1/databases/{id}/usage", 200, (400, 401, 404, 500, 503), "usage", lambda api: api.usage("1")),
    Documented("GET /v1/regions", 200, (401,), "regions", lambda api: api.regions()),
    Documented("GET /v1/regions/postgres", 200, (401,), "postgres_regions", lambda api: api.postgres_regions()),
    Documented(
        "GET /v1/workspaces/{id}/service-tokens",
        200,
        (401,),
        "service_tokens",
        lambda api: first(api.service_tokens("1")),
    ),
    Documented(
        "POST /v1/workspaces", 201, (401, 403, 413), "create_workspace", lambda api: api.create_workspace(), False
    ),
    Documented(
        "POST /v1/workspaces/{id}/service-tokens",
        201,
        (401, 404, 422),
        "create_service_token",
        lambda api: api.create_service_token("1", "ci"),
        False,
    ),
    Documented(
        "DELETE /v1/workspaces/{id}/service-tokens/{serviceTokenId}",
        204,
        (401, 404),
        "delete_service_token",
        lambda api: api.delete_service_token("1", "t"),
    ),
    Documented("GET /v1/integrations", 200, (401,), "integrations", lambda api: first(api.integrations("1"))),
    Documented(
        "GET /v1/workspaces/{id}/integrations",
        200,
        (401, 404),
        "workspace_integrations",
        lambda api: first(api.workspace_integrations("1")),
    ),
    Documented("GET /v1/integrations/{id}", 200, (401, 404), "integration", lambda api: api.integration("1")),
    Documented(
        "DELETE /v1/integrations/{id}", 204, (401, 404), "delete_integration", lambda api: api.delete_integration("1")
    ),
    Documented(
        "DELETE /v1/workspaces/{id}/integrations/{clientId}",
        204,
        (401, 404),
        "delete_workspace_integration",
        lambda api: api.delete_workspace_integration("1", "c"),
    ),
    Documented(
        "GET /v1/projects/{id}/branches", 200, (401, 404, 422), "branches", lambda api: first(api.branches("1"))
    ),
    Documented(
        "POST /v1/projects/{id}/branches",
        201,
        (401, 404, 409, 422),
        "create_branch",
        lambda api: api.create_branch("1", "main"),
        False,
    ),
    Documented("GET /v1/branches/{id}", 200, (401, 404), "branch", lambda api: api.branch("1")),
    Documented(
        "PATCH /v1/branches/{id}",
        200,
        (401, 404, 422),
        "update_branch",
        lambda api: api.update_branch("1", is_default=True),
    ),
    Documented(
        "DELETE /v1/branches/{id}", 204, (401, 404, 409, 422), "delete_branch", lambda api: api.delete_branch("1")
    ),
    Documented("GET /v1/regions/accelerate", 200, (401,), "accelerate_regions", lambda api: api.accelerate_regions()),
)
"""Every operation of the vendor's documentation that this project speaks."""
