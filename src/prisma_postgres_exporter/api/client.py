"""The Management API, one method for each operation."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TypeVar

from pydantic import SecretStr

from prisma_postgres_exporter.api import operations
from prisma_postgres_exporter.api.address import base_url_problems, token_problems
from prisma_postgres_exporter.api.arguments import (
    BackupSource,
    DatabaseSource,
    access_token,
    branch,
    is_aware,
    page_size,
    path_id,
    sized_name,
    source_document,
    timestamp,
    wrong_argument,
)
from prisma_postgres_exporter.api.calls import CallObserver, Calls
from prisma_postgres_exporter.api.clock import Clock
from prisma_postgres_exporter.api.limits import Limits
from prisma_postgres_exporter.api.operations import Operation
from prisma_postgres_exporter.api.pages import Listing
from prisma_postgres_exporter.api.schemas import (
    Backups,
    Connection,
    CreatedDatabase,
    CreatedProject,
    Database,
    Me,
    Project,
    Region,
    ServiceToken,
    Subscription,
    Usage,
    Workspace,
)
from prisma_postgres_exporter.api.transport import Transport
from prisma_postgres_exporter.api.waiting import until_ready
from prisma_postgres_exporter.api.wire import Page
from prisma_postgres_exporter.errors import ConfigurationError

T = TypeVar("T")

MOST_PROJECT_NAME = 256
MOST_CONNECTION_NAME = 65
MOST_BACKUPS = 100
MOST_SERVICE_TOKENS = 100


class ManagementApi:
    """The Management API as one credential sees it; a credential belongs to one workspace.

    Use it with `async with`, or call `aclose()`, in one event loop. Ids are taken with or without their
    prefix and come back with it. A list is a `Listing`, an async iterator that fetches page after page; `limit` is
    the size of a page (the vendor's default is 100). `None` in a request means "not given".

    Every method raises an `ApiError`; see `errors` for the tree. A docstring names the good status, what the
    vendor documents as errors, and what they mean. Further ones are possible with every call: 401
    (`CredentialRefused`), 429 (`Throttled`), 5xx and what happens on the way (`Unavailable`), `PlanLimitReached` while
    the workspace is blocked, an answer outside the contract (`MalformedAnswer`), and `RequestRefused` with the
    reason `invalid_id` or `invalid_argument` before anything is sent.

    Reading, updating and deleting are tried again as `limits` says: doing them twice leaves what doing them once
    leaves. Creating, rotating, transferring and restoring are tried again only when nothing was sent; an
    error whose `is_outcome_unknown` is true may mean that they were done.

    With `trust_env` what the environment says counts: `HTTPS_PROXY` or `ALL_PROXY` and `NO_PROXY` (`proxy_in_use` tells
    the outcome), and `SSL_CERT_FILE` or `SSL_CERT_DIR`, whose certificates are trusted instead of the usual ones.
    `tls` comes before them. A plain http `base_url`, which is for loopback only, is never asked through a proxy.

    Raises:
        ConfigurationError: a token that no header can carry, a `base_url` that is not https, or a proxy or certificates
            in the environment that cannot be used.
    """

    def __init__(
        self,
        token: str | SecretStr,
        *,
        base_url: str = "https://api.prisma.io",
        limits: Limits | None = None,
        observer: CallObserver | None = None,
        trust_env: bool = True,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
    ) -> None:
        # The plain token must not stay in a local variable: some tracebacks show them.
        token = token if isinstance(token, SecretStr) else SecretStr(token)
        problems = (*token_problems(token), *base_url_problems(base_url))
        if problems:
            raise ConfigurationError(problems)
        limits = limits or Limits()
        self._most_pages = limits.pages
        self._clock = clock or Clock()
        self._transport = Transport(token, base_url=base_url, limits=limits, trust_env=trust_env, tls=tls)
        self._calls = Calls(self._transport, token=token, limits=limits, clock=self._clock, observer=observer)

    async def __aenter__(self) -> ManagementApi:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def skew_seconds(self) -> float | None:
        """Our clock less the vendor's: the middle one of the newest three answers that had a date, whatever the call.

        One odd date proves nothing. Positive where ours is ahead. The vendor's date has no fraction of a second: up to
        one second is no skew. `None` before the first such answer.
        """
        return self._calls.skew_seconds

    async def aclose(self) -> None:
        """Close the connections, and with them the calls under way.

        The client cannot be used afterwards: a call raises `Unavailable` with the reason `client_closed`.
        """
        self._calls.end()
        await self._transport.aclose()

    async def retire(self) -> None:
        """Take no new calls, wait for the attempts under way and close, even when the wait is cancelled.

        An attempt under way ends within the total timeout, one that waits for its turn after it came. None is
        repeated any more: a call that fails meanwhile, or that waits to try again, ends with its last error.
        """
        self._calls.end()
        try:
            await self._calls.ended()
        finally:
            await self.aclose()

    async def me(self) -> Me:
        """Whose token this is, and its workspace. 200."""
        return await self._call(operations.ME)

    def workspaces(self, *, limit: int | None = None) -> Listing[Workspace]:
        """Every workspace the token can see. 200."""
        return self._list(operations.WORKSPACES, page_size(limit))

    async def workspace(self, workspace_id: str) -> Workspace:
        """One workspace. 200; 404."""
        return await self._call(operations.WORKSPACE, path_id("wksp_", workspace_id))

    async def subscription(self, workspace_id: str) -> Subscription:
        """A workspace's plan, and whether its usage is blocked. 200; 404."""
        return await self._call(operations.SUBSCRIPTION, path_id("wksp_", workspace_id))

    def service_tokens(self, workspace_id: str, *, limit: int | None = None) -> Listing[ServiceToken]:
        """A workspace's service tokens, without their values. 200. `limit` is at most 100."""
        chosen = path_id("wksp_", workspace_id)
        return self._list(operations.SERVICE_TOKENS, page_size(limit, most=MOST_SERVICE_TOKENS), path_id=chosen)

    def projects(self, *, logical_id: str | None = None, limit: int | None = None) -> Listing[Project]:
        """Every project the token can see, or those with a `logical_id`. 200."""
        return self._list(operations.PROJECTS, page_size(limit), {"logicalId": logical_id})

    async def project(self, project_id: str) -> Project:
        """One project. 200; 404."""
        return await self._call(operations.PROJECT, path_id("proj_", project_id))

    async def create_project(
        self,
        *,
        name: str | None = None,
        region: str | None = None,
        create_database: bool = True,
        logical_id: str | None = None,
        workspace_id: str | None = None,
    ) -> CreatedProject:
        """Create a project, with a database in `region` unless that is not wanted.

        201; 409 (the logical id is taken), 413 (the body is too large). The database comes with its connection
        strings: they are shown this once. `name` has 1 to 256 characters; without it the vendor makes one up.
        """
        body = {
            "name": None if name is None else sized_name(name, least=1, most=MOST_PROJECT_NAME),
            "region": region,
            "createDatabase": create_database,
            "logicalId": logical_id,
            "workspaceId": None if workspace_id is None else path_id("wksp_", workspace_id),
        }
        return await self._call(operations.CREATE_PROJECT, body=body)

    async def update_project(
        self, project_id: str, *, name: str | None = None, settings: Mapping[str, object] | None = None
    ) -> Project:
        """Give a project another name (1 to 256 characters) or settings (JSON, as the vendor defines them).

        200; 403 (the token has no access to it), 404, 413, 422 (what was given is not valid).
        """
        body = {
            "name": None if name is None else sized_name(name, least=1, most=MOST_PROJECT_NAME),
            "settings": None if settings is None else dict(settings),
        }
        return await self._call(operations.UPDATE_PROJECT, path_id("proj_", project_id), body=body)

    async def delete_project(self, project_id: str) -> None:
        """Delete a project. 204; 400 (something depends on it), 404."""
        await self._call(operations.DELETE_PROJECT, path_id("proj_", project_id))

    async def transfer_project(self, project_id: str, recipient_access_token: str | SecretStr) -> None:
        """Give a project to the workspace of another access token; its databases go with it and keep their ids.

        204; 404, 409 (it cannot go there), 413. The recipient's token is a secret: no error shows it.
        """
        # The plain token must not stay in a local variable: some tracebacks show them.
        recipient_access_token = access_token(recipient_access_token)
        request = operations.TRANSFER_PROJECT.request(
            path_id=path_id("proj_", project_id),
            body={"recipientAccessToken": recipient_access_token.get_secret_value()},
            secrets=(recipient_access_token,),
        )
        await self._calls.call(operations.TRANSFER_PROJECT, request)

    def databases(
        self,
        project_id: str | None = None,
        *,
        logical_id: str | None = None,
        branch_id: str | None = None,
        branch_git_name: str | None = None,
        limit: int | None = None,
    ) -> Listing[Database]:
        """Every database the token can see, or those of a project, a logical id or a branch. 200; 403."""
        chosen = None if project_id is None else path_id("proj_", project_id)
        query = {"projectId": chosen, "logicalId": logical_id, **branch(branch_id, branch_git_name)}
        return self._list(operations.DATABASES, page_size(limit), query)

    def project_databases(self, project_id: str, *, limit: int | None = None) -> Listing[Database]:
        """Every database of one project. 200; 404."""
        return self._list(operations.PROJECT_DATABASES, page_size(limit), path_id=path_id("proj_", project_id))

    async def database(self, database_id: str) -> Database:
        """One database. 200; 403, 404."""
        return await self._call(operations.DATABASE, path_id("db_", database_id))

    async def create_database(
        self,
        project_id: str,
        *,
        name: str | None = None,
        region: str | None = None,
        is_default: bool | None = None,
        source: DatabaseSource | BackupSource | None = None,
        branch_id: str | None = None,
        branch_git_name: str | None = None,
        logical_id: str | None = None,
    ) -> CreatedDatabase:
        """Create a database, empty or from `source`.

        201; 400 (what was given is not valid), 403 (the project is another workspace's), 404, 409 (the logical id
        is taken), 413. It comes with its connection strings: they are shown this once. `status` may be
        `provisioning`; `wait_until_ready` waits.
        """
        body = {
            "projectId": path_id("proj_", project_id),
            **_new_database(name, region, is_default, source, logical_id, branch(branch_id, branch_git_name)),
        }
        return await self._call(operations.CREATE_DATABASE, body=body)

    async def create_project_database(
        self,
        project_id: str,
        *,
        name: str | None = None,
        region: str | None = None,
        is_default: bool | None = None,
        source: DatabaseSource | BackupSource | None = None,
        branch_id: str | None = None,
        branch_git_name: str | None = None,
        logical_id: str | None = None,
    ) -> CreatedDatabase:
        """Create a database by the project's own path: as `create_database`. 201; 400, 403, 404, 413."""
        body = _new_database(name, region, is_default, source, logical_id, branch(branch_id, branch_git_name))
        return await self._call(operations.CREATE_PROJECT_DATABASE, path_id("proj_", project_id), body=body)

    async def update_database(
        self,
        database_id: str,
        *,
        name: str | None = None,
        branch_id: str | None = None,
        branch_git_name: str | None = None,
        logical_id: str | None = None,
    ) -> Database:
        """Give a database another name, branch or logical id. 200; 403, 404, 409 (the logical id is taken), 413."""
        body = {"name": name, "logicalId": logical_id, **branch(branch_id, branch_git_name)}
        return await self._call(operations.UPDATE_DATABASE, path_id("db_", database_id), body=body)

    async def delete_database(self, database_id: str) -> None:
        """Delete a database and everything in it. 204; 403 (it is its project's default one), 404."""
        await self._call(operations.DELETE_DATABASE, path_id("db_", database_id))

    async def backups(self, database_id: str, *, limit: int | None = None) -> Backups:
        """A database's backups: up to `limit` (1 to 100, the vendor's default is 25); there are no pages.

        200; 404, 422 (it is a remote database).
        """
        query = {"limit": page_size(limit, most=MOST_BACKUPS)}
        return await self._call(operations.BACKUPS, path_id("db_", database_id), query)

    async def restore_database(self, database_id: str, source: BackupSource) -> Database:
        """Overwrite everything in a database with a backup, of this or another database; connections stay.

        200, the status being `recovering` until it is done: `wait_until_ready` waits; 404, 409 (it cannot be
        restored now), 422 (it, or the source, is a remote database).
        """
        return await self._call(
            operations.RESTORE_DATABASE, path_id("db_", database_id), body={"source": source_document(source)}
        )

    async def wait_until_ready(
        self,
        database_id: str,
        *,
        every_seconds: float = 2.0,
        timeout_seconds: float = 3_600.0,
        on_look: Callable[[Database], None] | None = None,
    ) -> Database:
        """The database, once its status is `ready`; `on_look` gets what is found each time.

        Raises:
            DatabaseFailed: its status is `failure`.
            Unavailable: it was not ready in time (reason `not_ready`).
        """
        return await until_ready(
            lambda: self.database(database_id),
            every_seconds=every_seconds,
            timeout_seconds=timeout_seconds,
            on_look=on_look,
            clock=self._clock,
        )

    async def usage(
        self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
    ) -> Usage:
        """One database's usage between two aware instants, both included; sent in whole milliseconds.

        Without them the vendor takes the start of the month, and now. `period` in the result is what
        the vendor really used. 200; 400, 404 (deleted, or moved to another workspace), 500, 503: a normal state that
        is tried again after its `Retry-After`; at the end `Unavailable.retry_after_seconds` says when to come back.
        """
        if start_at is not None and end_at is not None and is_aware(start_at, end_at) and start_at > end_at:
            raise wrong_argument("start_at must not be after end_at")
        query = {"startDate": timestamp(start_at), "endDate": timestamp(end_at)}
        request = operations.USAGE.request(path_id=path_id("db_", database_id), query=query)
        answer = await self._calls.dated_call(operations.USAGE, request)
        return replace(answer.result, answered_at=answer.answered_at)

    def connections(self, database_id: str | None = None, *, limit: int | None = None) -> Listing[Connection]:
        """Every connection the token can see, or those of one database; without connection strings. 200."""
        chosen = None if database_id is None else path_id("db_", database_id)
        return self._list(operations.CONNECTIONS, page_size(limit), {"databaseId": chosen})

    def database_connections(self, database_id: str, *, limit: int | None = None) -> Listing[Connection]:
        """Every connection of one database, by the database's own path. 200."""
        return self._list(operations.DATABASE_CONNECTIONS, page_size(limit), path_id=path_id("db_", database_id))

    async def connection(self, connection_id: str) -> Connection:
        """One connection, without its connection strings. 200; 404."""
        return await self._call(operations.CONNECTION, path_id("con_", connection_id))

    async def create_connection(self, database_id: str, name: str) -> Connection:
        """Create a connection; `name` has 3 to 65 characters. 201; 404. Its strings are shown this once."""
        body = {"databaseId": path_id("db_", database_id), "name": _connection_name(name)}
        return await self._call(operations.CREATE_CONNECTION, body=body)

    async def create_database_connection(self, database_id: str, name: str) -> Connection:
        """Create a connection by the database's own path: as `create_connection`. 200; 404."""
        body = {"name": _connection_name(name)}
        return await self._call(operations.CREATE_DATABASE_CONNECTION, path_id("db_", database_id), body=body)

    async def rotate_connection(self, connection_id: str) -> Connection:
        """Make new credentials for a connection; its strings are shown this once. 200; 404.

        The old credentials are revoked as far as the vendor can.
        """
        return await self._call(operations.ROTATE_CONNECTION, path_id("con_", connection_id))

    async def delete_connection(self, connection_id: str) -> None:
        """Delete a connection: whoever uses it is cut off. 204; 404."""
        await self._call(operations.DELETE_CONNECTION, path_id("con_", connection_id))

    async def regions(self, *, product: str | None = None) -> tuple[Region, ...]:
        """Every region, or those of one product (`postgres`, `accelerate`). 200."""
        return await self._call(operations.REGIONS, query={"product": product})

    async def postgres_regions(self) -> tuple[Region, ...]:
        """Every region of Prisma Postgres, and whether it is available. 200."""
        return await self._call(operations.POSTGRES_REGIONS)

    async def _call(
        self,
        operation: Operation[T],
        path_id: str = "",
        query: Mapping[str, str | None] | None = None,
        *,
        body: Mapping[str, object] | None = None,
    ) -> T:
        try:
            request = operation.request(path_id=path_id, query=query, body=body)
        except (ValueError, TypeError) as exc:
            raise wrong_argument(f"not JSON: {exc}") from exc
        return await self._calls.call(operation, request)

    def _list(
        self,
        operation: Operation[Page[T]],
        limit: str | None,
        query: Mapping[str, str | None] | None = None,
        *,
        path_id: str = "",
    ) -> Listing[T]:
        fixed = {**(query or {}), "limit": limit}

        async def fetch(cursor: str | None) -> Page[T]:
            request = operation.request(path_id=path_id, query={**fixed, "cursor": cursor})
            return await self._calls.call(operation, request)

        return Listing(fetch, endpoint=operation.endpoint, most_pages=self._most_pages)


def _new_database(
    name: str | None,
    region: str | None,
    is_default: bool | None,
    source: DatabaseSource | BackupSource | None,
    logical_id: str | None,
    chosen_branch: Mapping[str, str | None],
) -> Mapping[str, object]:
    return {
        "name": name,
        "region": region,
        "isDefault": is_default,
        "source": source_document(source),
        "logicalId": logical_id,
        **chosen_branch,
    }


def _connection_name(name: str) -> str:
    return sized_name(name, least=3, most=MOST_CONNECTION_NAME)
