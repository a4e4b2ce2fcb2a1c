"""The operations of the Management API, one row each: method, path, success, shape and size of the answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from pydantic import SecretStr

from prisma_postgres_exporter.api import schemas, shapes
from prisma_postgres_exporter.api.shapes import Shape, enveloped, listed, paged
from prisma_postgres_exporter.api.transport import Request
from prisma_postgres_exporter.api.wire import Envelope, Page, Wire

T = TypeVar("T")
W = TypeVar("W", bound=Wire)

_KIBIBYTE: Final = 1024
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Generic[T]):
    """One operation. `path` is a template; `success` are its good statuses, 204 without a body.

    `is_repeatable` says that asking twice does no more than asking once.
    """

    method: str
    path: str
    shape: Shape[T]
    success: frozenset[int] = frozenset({200})
    answer_limit_bytes: int = _MEBIBYTE
    is_repeatable: bool = False

    @property
    def endpoint(self) -> str:
        """`GET /v1/databases/{id}/usage`: what labels, logs and messages call it."""
        return f"{self.method} {self.path}"

    @property
    def is_deletion(self) -> bool:
        """Whether it leaves nothing behind, so that finding nothing is as good."""
        return self.method == "DELETE"

    def request(
        self,
        *,
        path_id: str = "",
        query: Mapping[str, str | None] | None = None,
        body: Mapping[str, object] | None = None,
        secrets: Iterable[SecretStr] = (),
    ) -> Request:
        """The request for one thing: `path_id` fills the template, a `None` in `query` or `body` is left out.

        `secrets` are what the body holds and no message may show.

        Raises:
            ValueError, TypeError: `body` is not JSON.
        """
        target = self.path.replace("{id}", path_id)
        known = {name: value for name, value in (query or {}).items() if value is not None}
        return Request(
            method=self.method,
            target=f"{target}?{urlencode(known)}" if known else target,
            answer_limit_bytes=self.answer_limit_bytes,
            body=None if body is None else _encoded(body),
            secrets=tuple(secrets),
        )


def _encoded(body: Mapping[str, object]) -> bytes:
    known = {name: value for name, value in body.items() if value is not None}
    return json.dumps(known, allow_nan=False, separators=(",", ":")).encode()


def _read(path: str, shape: Shape[T], *, answer_limit_bytes: int = _MEBIBYTE) -> Operation[T]:
    return Operation(method="GET", path=path, shape=shape, answer_limit_bytes=answer_limit_bytes, is_repeatable=True)


def _read_page(path: str, model: type[W]) -> Operation[Page[W]]:
    return _read(path, paged(model), answer_limit_bytes=16 * _MEBIBYTE)


def _create(path: str, shape: Shape[T], *, status: int = 201) -> Operation[T]:
    return Operation(method="POST", path=path, shape=shape, success=frozenset({status}))


def _update(path: str, shape: Shape[T]) -> Operation[T]:
    # Setting a value twice leaves what setting it once leaves.
    return Operation(method="PATCH", path=path, shape=shape, is_repeatable=True)


def _delete(path: str) -> Operation[None]:
    return Operation(method="DELETE", path=path, shape=shapes.nothing, success=frozenset({204}), is_repeatable=True)


_PROJECT: Final = enveloped(Envelope[schemas.Project])
_DATABASE: Final = enveloped(Envelope[schemas.Database])
_CREATED_DATABASE: Final = enveloped(Envelope[schemas.CreatedDatabase])
_CONNECTION: Final = enveloped(Envelope[schemas.Connection])

ME: Final = _read("/v1/me", enveloped(Envelope[schemas.Me]))

WORKSPACES: Final = _read_page("/v1/workspaces", schemas.Workspace)
WORKSPACE: Final = _read("/v1/workspaces/{id}", enveloped(Envelope[schemas.Workspace]))
SUBSCRIPTION: Final = _read("/v1/workspaces/{id}/subscription", enveloped(Envelope[schemas.Subscription]))
SERVICE_TOKENS: Final = _read_page("/v1/workspaces/{id}/service-tokens", schemas.ServiceToken)

PROJECTS: Final = _read_page("/v1/projects", schemas.Project)
PROJECT: Final = _read("/v1/projects/{id}", _PROJECT)
CREATE_PROJECT: Final = _create("/v1/projects", enveloped(Envelope[schemas.CreatedProject]))
UPDATE_PROJECT: Final = _update("/v1/projects/{id}", _PROJECT)
DELETE_PROJECT: Final = _delete("/v1/projects/{id}")
TRANSFER_PROJECT: Final = _create("/v1/projects/{id}/transfer", shapes.nothing, status=204)

DATABASES: Final = _read_page("/v1/databases", schemas.Database)
PROJECT_DATABASES: Final = _read_page("/v1/projects/{id}/databases", schemas.Database)
DATABASE: Final = _read("/v1/databases/{id}", _DATABASE)
CREATE_DATABASE: Final = _create("/v1/databases", _CREATED_DATABASE)
CREATE_PROJECT_DATABASE: Final = _create("/v1/projects/{id}/databases", _CREATED_DATABASE)
UPDATE_DATABASE: Final = _update("/v1/databases/{id}", _DATABASE)
DELETE_DATABASE: Final = _delete("/v1/databases/{id}")
BACKUPS: Final = _read("/v1/databases/{id}/backups", shapes.backups)
RESTORE_DATABASE: Final = _create("/v1/databases/{id}/restore", _DATABASE, status=200)
USAGE: Final = _read("/v1/databases/{id}/usage", shapes.usage, answer_limit_bytes=64 * _KIBIBYTE)

CONNECTIONS: Final = _read_page("/v1/connections", schemas.Connection)
DATABASE_CONNECTIONS: Final = _read_page("/v1/databases/{id}/connections", schemas.Connection)
CONNECTION: Final = _read("/v1/connections/{id}", _CONNECTION)
CREATE_CONNECTION: Final = _create("/v1/connections", _CONNECTION)
CREATE_DATABASE_CONNECTION: Final = _create("/v1/databases/{id}/connections", _CONNECTION, status=200)
ROTATE_CONNECTION: Final = _create("/v1/connections/{id}/rotate", _CONNECTION, status=200)
DELETE_CONNECTION: Final = _delete("/v1/connections/{id}")

REGIONS: Final = _read("/v1/regions", listed(schemas.Region))
POSTGRES_REGIONS: Final = _read("/v1/regions/postgres", listed(schemas.Region))
