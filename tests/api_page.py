"""The table of operations in the client's README."""

from __future__ import annotations

from prisma_postgres_exporter.api import OPERATIONS

COMMANDS = {
    "me": "me",
    "workspaces": "workspaces list",
    "workspace": "workspaces get",
    "create_workspace": "workspaces create",
    "subscription": "workspaces subscription",
    "service_tokens": "service-tokens list",
    "create_service_token": "service-tokens create",
    "delete_service_token": "service-tokens delete",
    "integrations": "integrations list",
    "integration": "integrations get",
    "delete_integration": "integrations delete",
    "projects": "projects list",
    "project": "projects get",
    "create_project": "projects create",
    "update_project": "projects update",
    "delete_project": "projects delete",
    "transfer_project": "projects transfer",
    "branches": "branches list",
    "branch": "branches get",
    "create_branch": "branches create",
    "update_branch": "branches update",
    "delete_branch": "branches delete",
    "databases": "databases list",
    "project_databases": "databases list --project",
    "database": "databases get",
    "create_database": "databases create",
    "update_database": "databases update",
    "delete_database": "databases delete",
    "backups": "backups list",
    "restore_database": "databases restore",
    "usage": "usage",
    "connections": "connections list",
    "database_connections": "connections list --database",
    "connection": "connections get",
    "create_connection": "connections create",
    "rotate_connection": "connections rotate",
    "delete_connection": "connections delete",
    "regions": "regions",
    "postgres_regions": "regions postgres",
    "accelerate_regions": "regions accelerate",
}
"""The command `api …` of each method that has one; the others do the same as another by a second path."""


def operations_table() -> str:
    """The table as the code has it."""
    rows = [
        f"| `{operation.endpoint}` | `{name}` | {f'`{COMMANDS[name]}`' if name in COMMANDS else ''} |\n"
        for name, operation in OPERATIONS.items()
    ]
    return "| operation | method | command `api …` |\n|---|---|---|\n" + "".join(rows)
