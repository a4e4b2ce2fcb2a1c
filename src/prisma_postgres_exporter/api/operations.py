"""The operations of the Management API, one row each: method, path, success, shape and size of the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from prisma_postgres_exporter.api import schemas, shapes
from prisma_postgres_exporter.api.schemas import Envelope, Page, PageAnswer
from prisma_postgres_exporter.api.shapes import Shape, enveloped, listed, paged
from prisma_postgres_exporter.api.transport import Request

T = TypeVar("T")

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

    def request(self, *, path_id: str = "", query: Mapping[str, str | None] | None = None) -> Request:
        """The request for one thing: `path_id` fills the template, a `None` in `query` is left out."""
        target = self.path.replace("{id}", path_id)
        known = {name: value for name, value in (query or {}).items() if value is not None}
        return Request(
            method=self.method,
            target=f"{target}?{urlencode(known)}" if known else target,
            answer_limit_bytes=self.answer_limit_bytes,
        )


def _read(path: str, shape: Shape[T], *, answer_limit_bytes: int = _MEBIBYTE) -> Operation[T]:
    return Operation(method="GET", path=path, shape=shape, answer_limit_bytes=answer_limit_bytes, is_repeatable=True)


def _read_page(path: str, model: type[PageAnswer[T]]) -> Operation[Page[T]]:
    return _read(path, paged(model), answer_limit_bytes=16 * _MEBIBYTE)


ME: Final = _read("/v1/me", enveloped(Envelope[schemas.Me]))
WORKSPACES: Final = _read_page("/v1/workspaces", PageAnswer[schemas.Workspace])
WORKSPACE: Final = _read("/v1/workspaces/{id}", enveloped(Envelope[schemas.Workspace]))
SUBSCRIPTION: Final = _read("/v1/workspaces/{id}/subscription", enveloped(Envelope[schemas.Subscription]))
PROJECTS: Final = _read_page("/v1/projects", PageAnswer[schemas.Project])
PROJECT: Final = _read("/v1/projects/{id}", enveloped(Envelope[schemas.Project]))
DATABASES: Final = _read_page("/v1/databases", PageAnswer[schemas.Database])
DATABASE: Final = _read("/v1/databases/{id}", enveloped(Envelope[schemas.Database]))
USAGE: Final = _read("/v1/databases/{id}/usage", shapes.usage, answer_limit_bytes=64 * _KIBIBYTE)
REGIONS: Final = _read("/v1/regions", listed(Envelope[list[schemas.Region]]))
