"""The Management API as a typed client, usable alone; `README.md` beside this file shows every method.

    from prisma_postgres_exporter.api import ManagementApi, ManagementApiSync

    async with ManagementApi.from_env() as api:
        async for database in api.databases():
            usage = await api.usage(database.id)

    with ManagementApiSync.from_env() as api:
        for database in api.databases():
            usage = api.usage(database.id)

Connection strings and passwords are `pydantic.SecretStr`: `get_secret_value()` shows them, nothing else does.

Every failure is an `ApiError` of `prisma_postgres_exporter.errors`, whose `reason` is one of:

| reason | error |
|---|---|
| `http_401`, `http_403`, `http_404`, other `http_4…` | CredentialRefused, NotAllowed, NotFound, RequestRefused |
| `http_429` | Throttled |
| `http_408`, `http_425`, `http_5…` | Unavailable |
| `connect_timeout`, `timeout`, `unreachable`, `tls`, `proxy`, `disconnected`, `cut_body` | Unavailable |
| `no_descriptors` | Unavailable, before anything is sent |
| `client_closed` | ClientClosed, before anything is sent |
| `plan_limit_reached` | PlanLimitReached |
| `database_failed`, `not_ready` | DatabaseFailed, Unavailable, from `wait_until_ready` |
| `invalid_id`, `invalid_argument` | RequestRefused, before anything is sent |
| `redirect`, `unexpected_status`, `bad_http`, `compressed`, `too_large`, `not_json`, `wrong_shape` | MalformedAnswer |
| `wrong_unit`, `absurd_number`, `bad_period`, `cursor_repeats`, `endless_list`, `list_cut` | MalformedAnswer |
"""

from prisma_postgres_exporter.api.arguments import BackupSource, DatabaseSource, EmptySource
from prisma_postgres_exporter.api.calls import CallObserver, Listing
from prisma_postgres_exporter.api.client import ManagementApi
from prisma_postgres_exporter.api.decode import Json, RawResponse
from prisma_postgres_exporter.api.models import (
    AnyBranch,
    AnyConnection,
    AnyDatabase,
    AnyProject,
    AnyServiceToken,
    Backup,
    Backups,
    Branch,
    Connection,
    Created,
    CreatedBranch,
    CreatedConnection,
    CreatedDatabase,
    CreatedProject,
    CreatedServiceToken,
    CreatedWorkspace,
    Credential,
    Database,
    DatabaseReference,
    DirectConnection,
    Endpoint,
    Endpoints,
    HeldConnection,
    HeldDatabase,
    Integration,
    IntegrationClient,
    IntegrationUser,
    Me,
    Origin,
    Page,
    Project,
    ProjectReference,
    Reference,
    Refused,
    Region,
    RegionReference,
    RestoredDatabase,
    ServiceToken,
    Subscription,
    Usage,
    User,
    Workspace,
    WorkspaceReference,
)
from prisma_postgres_exporter.api.operations import OPERATIONS, Operation
from prisma_postgres_exporter.api.retry import Clock, Limits
from prisma_postgres_exporter.api.send import proxy_in_use
from prisma_postgres_exporter.api.views import ListingSync, ManagementApiSync, RawManagementApi, RawManagementApiSync

__all__ = [
    "OPERATIONS",
    "AnyBranch",
    "AnyConnection",
    "AnyDatabase",
    "AnyProject",
    "AnyServiceToken",
    "Backup",
    "BackupSource",
    "Backups",
    "Branch",
    "CallObserver",
    "Clock",
    "Connection",
    "Created",
    "CreatedBranch",
    "CreatedConnection",
    "CreatedDatabase",
    "CreatedProject",
    "CreatedServiceToken",
    "CreatedWorkspace",
    "Credential",
    "Database",
    "DatabaseReference",
    "DatabaseSource",
    "DirectConnection",
    "EmptySource",
    "Endpoint",
    "Endpoints",
    "HeldConnection",
    "HeldDatabase",
    "Integration",
    "IntegrationClient",
    "IntegrationUser",
    "Json",
    "Limits",
    "Listing",
    "ListingSync",
    "ManagementApi",
    "ManagementApiSync",
    "Me",
    "Operation",
    "Origin",
    "Page",
    "Project",
    "ProjectReference",
    "RawManagementApi",
    "RawManagementApiSync",
    "RawResponse",
    "Reference",
    "Refused",
    "Region",
    "RegionReference",
    "RestoredDatabase",
    "ServiceToken",
    "Subscription",
    "Usage",
    "User",
    "Workspace",
    "WorkspaceReference",
    "proxy_in_use",
]
