"""The operations of the Management API, one row each: method, path, success, shape and size of the answer."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from pydantic import SecretStr

from prisma_postgres_exporter.api import decode, models
from prisma_postgres_exporter.api.arguments import filled_path, shown_path
from prisma_postgres_exporter.api.decode import Json, Shape, enveloped, listed, paged
from prisma_postgres_exporter.api.models import Envelope, Page, Wire
from prisma_postgres_exporter.api.send import Request

T = TypeVar("T")
W = TypeVar("W", bound=Wire)

GENERIC: Final = "request"
"""What an operation without a row is called."""
_KIBIBYTE: Final = 1024
_MEBIBYTE: Final = 1024 * 1024
_OK: Final = frozenset({200})
# Whatever status of success a write is answered with: it was done, and must not be reported as a failure.
_DONE: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[T]):
    """One operation, by the name of the client's method. `path` is a template; `success` are its good statuses.

    `is_repeatable` says that asking twice does no more than asking once. `is_shown_once` says that its answer holds
    secrets that cannot be asked for again.
    """

    name: str
    method: str
    path: str
    shape: Shape[T]
    success: Container[int] = _OK
    answer_limit_bytes: int = _MEBIBYTE
    is_repeatable: bool = False
    is_shown_once: bool = False

    @property
    def endpoint(self) -> str:
        """`GET /v1/databases/{id}/usage`: what labels and logs call it."""
        return f"{self.method} {self.path}"

    @property
    def is_change(self) -> bool:
        """Whether it does something, so that a lost answer leaves in doubt whether it was done."""
        return self.method not in {"GET", "HEAD"}

    @property
    def is_deletion(self) -> bool:
        """Whether it leaves nothing behind, so that finding nothing is as good."""
        return self.method == "DELETE"

    def request(
        self,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str | None] | None = None,
        *,
        body: object = None,
    ) -> Request:
        """The request for one thing: `path` fills the template, a `None` in `query` is left out.

        A `SecretStr` in `body` is sent as what it holds, and no message shows it.

        Raises:
            RequestRefused: `path` does not fit the template.
            ValueError, TypeError: `body` is not JSON.
        """
        target = filled_path(self.path, path or {})
        known = {name: value for name, value in (query or {}).items() if value is not None}
        secrets: list[SecretStr] = []
        encoded = None if body is None else _encoded(body, secrets)
        return Request(
            method=self.method,
            target=f"{target}?{urlencode(known)}" if known else target,
            shown=f"{self.method} {shown_path(self.path, path or {})}",
            answer_limit_bytes=self.answer_limit_bytes,
            body=encoded,
            secrets=tuple(secrets),
        )


def _encoded(body: object, secrets: list[SecretStr]) -> bytes:
    def revealed(value: object) -> str:
        if not isinstance(value, SecretStr):
            raise TypeError(f"a {type(value).__name__} is not JSON")
        secrets.append(value)
        return value.get_secret_value()

    return json.dumps(body, allow_nan=False, separators=(",", ":"), default=revealed).encode()


def generic(method: str, path: str, *, is_repeatable: bool) -> Operation[Json]:
    """An operation that has no row: any JSON, with any status of success."""
    return Operation(
        name=GENERIC,
        method=method,
        path=path,
        shape=decode.json_value,
        success=_DONE,
        answer_limit_bytes=16 * _MEBIBYTE,
        is_repeatable=is_repeatable,
        is_shown_once=not is_repeatable,
    )


def _read(name: str, path: str, shape: Shape[T], *, answer_limit_bytes: int = _MEBIBYTE) -> Operation[T]:
    return Operation(
        name=name, method="GET", path=path, shape=shape, answer_limit_bytes=answer_limit_bytes, is_repeatable=True
    )


def _read_one(name: str, path: str, model: type[W]) -> Operation[W]:
    return _read(name, path, enveloped(Envelope[model]))  # type: ignore[valid-type]  # a model made of a model


def _read_page(name: str, path: str, model: type[W]) -> Operation[Page[W]]:
    return _read(name, path, paged(model), answer_limit_bytes=16 * _MEBIBYTE)


def _create(name: str, path: str, model: type[W]) -> Operation[W]:
    shape: Shape[W] = enveloped(Envelope[model])  # type: ignore[valid-type]  # a model made of a model
    return Operation(name=name, method="POST", path=path, shape=shape, success=_DONE, is_shown_once=True)


def _update(name: str, path: str, model: type[W]) -> Operation[W]:
    # Setting a value twice leaves what setting it once leaves.
    shape: Shape[W] = enveloped(Envelope[model])  # type: ignore[valid-type]  # a model made of a model
    return Operation(name=name, method="PATCH", path=path, shape=shape, success=_DONE, is_repeatable=True)


def _delete(name: str, path: str) -> Operation[None]:
    return Operation(name=name, method="DELETE", path=path, shape=decode.nothing, success=_DONE, is_repeatable=True)


ME: Final = _read_one("me", "/v1/me", models.Me)

WORKSPACES: Final = _read_page("workspaces", "/v1/workspaces", models.Workspace)
WORKSPACE: Final = _read_one("workspace", "/v1/workspaces/{id}", models.Workspace)
CREATE_WORKSPACE: Final = _create("create_workspace", "/v1/workspaces", models.CreatedWorkspace)
SUBSCRIPTION: Final = _read_one("subscription", "/v1/workspaces/{id}/subscription", models.Subscription)

SERVICE_TOKENS: Final = _read_page("service_tokens", "/v1/workspaces/{id}/service-tokens", models.ServiceToken)
CREATE_SERVICE_TOKEN: Final = _create(
    "create_service_token", "/v1/workspaces/{id}/service-tokens", models.CreatedServiceToken
)
DELETE_SERVICE_TOKEN: Final = _delete("delete_service_token", "/v1/workspaces/{id}/service-tokens/{serviceTokenId}")

INTEGRATIONS: Final = _read_page("integrations", "/v1/integrations", models.Integration)
WORKSPACE_INTEGRATIONS: Final = _read_page(
    "workspace_integrations", "/v1/workspaces/{id}/integrations", models.Integration
)
INTEGRATION: Final = _read_one("integration", "/v1/integrations/{id}", models.Integration)
DELETE_INTEGRATION: Final = _delete("delete_integration", "/v1/integrations/{id}")
DELETE_WORKSPACE_INTEGRATION: Final = _delete(
    "delete_workspace_integration", "/v1/workspaces/{id}/integrations/{clientId}"
)

PROJECTS: Final = _read_page("projects", "/v1/projects", models.Project)
PROJECT: Final = _read_one("project", "/v1/projects/{id}", models.Project)
CREATE_PROJECT: Final = _create("create_project", "/v1/projects", models.CreatedProject)
UPDATE_PROJECT: Final = _update("update_project", "/v1/projects/{id}", models.Project)
DELETE_PROJECT: Final = _delete("delete_project", "/v1/projects/{id}")
TRANSFER_PROJECT: Final[Operation[None]] = Operation(
    name="transfer_project", method="POST", path="/v1/projects/{id}/transfer", shape=decode.nothing, success=_DONE
)

BRANCHES: Final = _read_page("branches", "/v1/projects/{id}/branches", models.Branch)
BRANCH: Final = _read_one("branch", "/v1/branches/{id}", models.Branch)
CREATE_BRANCH: Final = _create("create_branch", "/v1/projects/{id}/branches", models.CreatedBranch)
UPDATE_BRANCH: Final = _update("update_branch", "/v1/branches/{id}", models.Branch)
DELETE_BRANCH: Final = _delete("delete_branch", "/v1/branches/{id}")

DATABASES: Final = _read_page("databases", "/v1/databases", models.Database)
PROJECT_DATABASES: Final = _read_page("project_databases", "/v1/projects/{id}/databases", models.Database)
DATABASE: Final = _read_one("database", "/v1/databases/{id}", models.Database)
CREATE_DATABASE: Final = _create("create_database", "/v1/databases", models.CreatedDatabase)
CREATE_PROJECT_DATABASE: Final = _create(
    "create_project_database", "/v1/projects/{id}/databases", models.CreatedDatabase
)
UPDATE_DATABASE: Final = _update("update_database", "/v1/databases/{id}", models.Database)
DELETE_DATABASE: Final = _delete("delete_database", "/v1/databases/{id}")
BACKUPS: Final = _read("backups", "/v1/databases/{id}/backups", decode.backups)
RESTORE_DATABASE: Final = _create("restore_database", "/v1/databases/{id}/restore", models.RestoredDatabase)
USAGE: Final = _read("usage", "/v1/databases/{id}/usage", decode.usage, answer_limit_bytes=64 * _KIBIBYTE)

CONNECTIONS: Final = _read_page("connections", "/v1/connections", models.Connection)
DATABASE_CONNECTIONS: Final = _read_page("database_connections", "/v1/databases/{id}/connections", models.Connection)
CONNECTION: Final = _read_one("connection", "/v1/connections/{id}", models.Connection)
CREATE_CONNECTION: Final = _create("create_connection", "/v1/connections", models.CreatedConnection)
CREATE_DATABASE_CONNECTION: Final = _create(
    "create_database_connection", "/v1/databases/{id}/connections", models.CreatedConnection
)
ROTATE_CONNECTION: Final = _create("rotate_connection", "/v1/connections/{id}/rotate", models.CreatedConnection)
DELETE_CONNECTION: Final = _delete("delete_connection", "/v1/connections/{id}")

REGIONS: Final = _read("regions", "/v1/regions", listed(models.Region))
POSTGRES_REGIONS: Final = _read("postgres_regions", "/v1/regions/postgres", listed(models.Region))
ACCELERATE_REGIONS: Final = _read("accelerate_regions", "/v1/regions/accelerate", listed(models.Region))

OPERATIONS: Final[Mapping[str, Operation[object]]] = {
    row.name: row for row in tuple(globals().values()) if isinstance(row, Operation)
}
"""Every operation that has a model, by the name of its method."""
