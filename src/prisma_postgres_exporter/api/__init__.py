"""The Management API as a typed async client, usable alone.

    from prisma_postgres_exporter.api import ManagementApi

    async with ManagementApi(token) as api:
        async for database in api.databases():
            usage = await api.usage(database.id)

Connection strings and passwords are `pydantic.SecretStr`: `get_secret_value()` shows them, nothing else does.

Every failure is an `ApiError` of `prisma_postgres_exporter.errors`, whose `reason` is one of:

| reason | error |
|---|---|
| `http_401`, `http_403`, `http_404`, other `http_4…` | CredentialRefused, NotAllowed, NotFound, RequestRefused |
| `http_429` | Throttled |
| `http_408`, `http_425`, `http_5…` | Unavailable |
| `connect_timeout`, `timeout`, `unreachable`, `tls`, `proxy`, `disconnected`, `cut_body` | Unavailable |
| `client_closed` | Unavailable, before anything is sent |
| `plan_limit_reached` | PlanLimitReached |
| `database_failed`, `not_ready` | DatabaseFailed, Unavailable, from `wait_until_ready` |
| `invalid_id`, `invalid_argument` | RequestRefused, before anything is sent |
| `redirect`, `unexpected_status`, `bad_http`, `compressed`, `too_large`, `not_json`, `wrong_shape` | MalformedAnswer |
| `wrong_unit`, `absurd_number`, `bad_period`, `cursor_repeats`, `endless_list` | MalformedAnswer |
"""

from prisma_postgres_exporter.api.arguments import BackupSource, DatabaseSource
from prisma_postgres_exporter.api.calls import CallObserver
from prisma_postgres_exporter.api.client import ManagementApi
from prisma_postgres_exporter.api.clock import Clock
from prisma_postgres_exporter.api.limits import Limits
from prisma_postgres_exporter.api.pages import Listing
from prisma_postgres_exporter.api.proxy import proxy_in_use
from prisma_postgres_exporter.api.schemas import (
    Backup,
    Backups,
    Connection,
    CreatedDatabase,
    CreatedProject,
    Credential,
    Database,
    DatabaseReference,
    DirectConnection,
    Endpoint,
    Endpoints,
    Me,
    Project,
    ProjectReference,
    Reference,
    Region,
    RegionReference,
    ServiceToken,
    Subscription,
    Usage,
    User,
    Workspace,
    WorkspaceReference,
)
from prisma_postgres_exporter.api.wire import Page, Refused

__all__ = [
    "Backup",
    "BackupSource",
    "Backups",
    "CallObserver",
    "Clock",
    "Connection",
    "CreatedDatabase",
    "CreatedProject",
    "Credential",
    "Database",
    "DatabaseReference",
    "DatabaseSource",
    "DirectConnection",
    "Endpoint",
    "Endpoints",
    "Limits",
    "Listing",
    "ManagementApi",
    "Me",
    "Page",
    "Project",
    "ProjectReference",
    "Reference",
    "Refused",
    "Region",
    "RegionReference",
    "ServiceToken",
    "Subscription",
    "Usage",
    "User",
    "Workspace",
    "WorkspaceReference",
    "proxy_in_use",
]
