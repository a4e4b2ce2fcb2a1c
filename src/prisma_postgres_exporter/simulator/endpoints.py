"""Which calls there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a call goes, and the status of a good answer."""

    method: str
    path: str
    status: int = 200


ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    "usage": Endpoint("GET", "/v1/databases/{id}/usage"),
    "me": Endpoint("GET", "/v1/me"),
    "workspaces": Endpoint("GET", "/v1/workspaces"),
    "workspace": Endpoint("GET", "/v1/workspaces/{id}"),
    "subscription": Endpoint("GET", "/v1/workspaces/{id}/subscription"),
    "service_tokens": Endpoint("GET", "/v1/workspaces/{id}/service-tokens"),
    "projects": Endpoint("GET", "/v1/projects"),
    "create_project": Endpoint("POST", "/v1/projects", 201),
    "project": Endpoint("GET", "/v1/projects/{id}"),
    "update_project": Endpoint("PATCH", "/v1/projects/{id}"),
    "delete_project": Endpoint("DELETE", "/v1/projects/{id}", 204),
    "transfer_project": Endpoint("POST", "/v1/projects/{id}/transfer", 204),
    "project_databases": Endpoint("GET", "/v1/projects/{id}/databases"),
    "create_project_database": Endpoint("POST", "/v1/projects/{id}/databases", 201),
    "databases": Endpoint("GET", "/v1/databases"),
    "create_database": Endpoint("POST", "/v1/databases", 201),
    "database": Endpoint("GET", "/v1/databases/{id}"),
    "update_database": Endpoint("PATCH", "/v1/databases/{id}"),
    "delete_database": Endpoint("DELETE", "/v1/databases/{id}", 204),
    "backups": Endpoint("GET", "/v1/databases/{id}/backups"),
    "restore_database": Endpoint("POST", "/v1/databases/{id}/restore"),
    "database_connections": Endpoint("GET", "/v1/databases/{id}/connections"),
    "create_database_connection": Endpoint("POST", "/v1/databases/{id}/connections"),
    "connections": Endpoint("GET", "/v1/connections"),
    "create_connection": Endpoint("POST", "/v1/connections", 201),
    "connection": Endpoint("GET", "/v1/connections/{id}"),
    "delete_connection": Endpoint("DELETE", "/v1/connections/{id}", 204),
    "rotate_connection": Endpoint("POST", "/v1/connections/{id}/rotate"),
    "regions": Endpoint("GET", "/v1/regions"),
    "postgres_regions": Endpoint("GET", "/v1/regions/postgres"),
}
"""Every call, the busiest first; the names are those that faults and counts go by."""
