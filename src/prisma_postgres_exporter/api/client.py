"""The Management API, one method for each operation."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TypeVar

from pydantic import SecretStr

from prisma_postgres_exporter.api import operations, pages
from prisma_postgres_exporter.api.address import base_url_problems, token_problems
from prisma_postgres_exporter.api.calls import CallObserver, Calls
from prisma_postgres_exporter.api.clockwork import Clockwork
from prisma_postgres_exporter.api.identifiers import normalised_id
from prisma_postgres_exporter.api.limits import Limits
from prisma_postgres_exporter.api.operations import Operation
from prisma_postgres_exporter.api.schemas import (
    Database,
    Me,
    Page,
    Project,
    Region,
    Subscription,
    Usage,
    Workspace,
)
from prisma_postgres_exporter.api.transport import Transport
from prisma_postgres_exporter.errors import ConfigurationError, RequestRefused

T = TypeVar("T")


class ManagementApi:
    """The Management API as one credential sees it; a credential belongs to one workspace.

    Use it with `async with`, or call `aclose()`, in one event loop. Ids are taken with or without their
    prefix and come back with it. Lists are async iterators that fetch page after page; `limit` is the size
    of a page (the vendor's default is 100). Every method raises an `ApiError`; see `errors` for the tree.

    `trust_env` lets `HTTPS_PROXY`, `NO_PROXY` and `SSL_CERT_FILE` count; `tls` replaces the trusted certificates.

    Raises:
        ConfigurationError: a token that no header can carry, or a `base_url` that is not https; plain http is
            for loopback only.
    """

    def __init__(
        self,
        token: str | SecretStr,
        *,
        base_url: str = "https://api.prisma.io",
        limits: Limits | None = None,
        observer: CallObserver | None = None,
        trust_env: bool = False,
        tls: ssl.SSLContext | None = None,
        clockwork: Clockwork | None = None,
    ) -> None:
        # The plain token must not stay in a local variable: some tracebacks show them.
        token = token if isinstance(token, SecretStr) else SecretStr(token)
        problems = (*token_problems(token), *base_url_problems(base_url))
        if problems:
            raise ConfigurationError(problems)
        limits = limits or Limits()
        self._most_pages = limits.pages
        self._transport = Transport(token, base_url=base_url, limits=limits, trust_env=trust_env, tls=tls)
        self._calls = Calls(
            self._transport, token=token, limits=limits, clockwork=clockwork or Clockwork(), observer=observer
        )

    async def __aenter__(self) -> ManagementApi:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. The client cannot be used afterwards."""
        await self._transport.aclose()

    async def me(self) -> Me:
        """Whose token this is, and its workspace."""
        return await self._get(operations.ME)

    def workspaces(self, *, limit: int | None = None) -> AsyncIterator[Workspace]:
        """Every workspace the token can see."""
        return self._list(operations.WORKSPACES, limit)

    async def workspace(self, workspace_id: str) -> Workspace:
        """One workspace."""
        return await self._get(operations.WORKSPACE, _path_id("wksp_", workspace_id))

    async def subscription(self, workspace_id: str) -> Subscription:
        """A workspace's plan, and whether its usage is blocked."""
        return await self._get(operations.SUBSCRIPTION, _path_id("wksp_", workspace_id))

    def projects(self, *, limit: int | None = None) -> AsyncIterator[Project]:
        """Every project the token can see."""
        return self._list(operations.PROJECTS, limit)

    async def project(self, project_id: str) -> Project:
        """One project."""
        return await self._get(operations.PROJECT, _path_id("proj_", project_id))

    def databases(self, project_id: str | None = None, *, limit: int | None = None) -> AsyncIterator[Database]:
        """Every database the token can see, or those of one project."""
        chosen = None if project_id is None else _path_id("proj_", project_id)
        return self._list(operations.DATABASES, limit, {"projectId": chosen})

    async def database(self, database_id: str) -> Database:
        """One database."""
        return await self._get(operations.DATABASE, _path_id("db_", database_id))

    async def usage(
        self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
    ) -> Usage:
        """One database's usage between two aware instants, both included; sent in whole milliseconds.

        Without them the vendor takes the start of the month, and now. `period` in the result is what
        the vendor really used. A 503 is a normal state: it is tried again after its `Retry-After`,
        and at the end `Unavailable.retry_after_seconds` says when to come back.
        """
        if start_at is not None and end_at is not None and _is_aware(start_at, end_at) and start_at > end_at:
            raise _wrong_argument("start_at must not be after end_at")
        query = {"startDate": _timestamp(start_at), "endDate": _timestamp(end_at)}
        return await self._get(operations.USAGE, _path_id("db_", database_id), query)

    async def regions(self, *, product: str | None = None) -> tuple[Region, ...]:
        """Every region, or those of one product (`postgres`, `accelerate`)."""
        return await self._get(operations.REGIONS, query={"product": product})

    async def _get(
        self, operation: Operation[T], path_id: str = "", query: Mapping[str, str | None] | None = None
    ) -> T:
        return await self._calls.call(operation, operation.request(path_id=path_id, query=query))

    def _list(
        self, operation: Operation[Page[T]], limit: int | None, query: Mapping[str, str | None] | None = None
    ) -> AsyncIterator[T]:
        if limit is not None and limit < 1:
            raise _wrong_argument("limit must be at least 1")
        fixed = {**(query or {}), "limit": None if limit is None else str(limit)}

        async def fetch(cursor: str | None) -> Page[T]:
            return await self._calls.call(operation, operation.request(query={**fixed, "cursor": cursor}))

        return pages.entries(fetch, endpoint=operation.endpoint, most_pages=self._most_pages)


def _path_id(prefix: str, raw_id: str) -> str:
    try:
        return normalised_id(prefix, raw_id)
    except ValueError as exc:
        raise RequestRefused(f"{exc}: {raw_id!r:.140}", reason="invalid_id") from None


def _timestamp(instant: datetime | None) -> str | None:
    if instant is None:
        return None
    if not _is_aware(instant):
        raise _wrong_argument("an instant must have a time zone")
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _is_aware(*instants: datetime) -> bool:
    return all(instant.utcoffset() is not None for instant in instants)


def _wrong_argument(message: str) -> RequestRefused:
    return RequestRefused(message, reason="invalid_argument")
