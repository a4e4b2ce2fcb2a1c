"""The Management API, one method for each operation."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from datetime import datetime
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import SecretStr

from prisma_postgres_exporter.api import operations
from prisma_postgres_exporter.api.arguments import (
    BackupSource,
    Source,
    access_token,
    branch,
    extra_headers,
    is_aware,
    page_size,
    path_id,
    sized_name,
    source_document,
    timestamp,
    wrong_argument,
)
from prisma_postgres_exporter.api.calls import CallObserver, Calls, Listing, Options, log_as_the_environment_says
from prisma_postgres_exporter.api.decode import Json
from prisma_postgres_exporter.api.models import (
    Backups,
    Branch,
    Connection,
    CreatedBranch,
    CreatedConnection,
    CreatedDatabase,
    CreatedProject,
    CreatedServiceToken,
    CreatedWorkspace,
    Database,
    Integration,
    Me,
    Page,
    Project,
    Region,
    RestoredDatabase,
    ServiceToken,
    Subscription,
    Usage,
    Workspace,
)
from prisma_postgres_exporter.api.operations import Operation, generic
from prisma_postgres_exporter.api.retry import Clock, Limits
from prisma_postgres_exporter.api.send import Transport
from prisma_postgres_exporter.config import (
    Unusable,
    address_problem,
    token_of_file,
    token_of_variable,
    token_problem,
)
from prisma_postgres_exporter.errors import ConfigurationError, DatabaseFailed, RequestRefused, Unavailable

if TYPE_CHECKING:
    from prisma_postgres_exporter.api.views import RawManagementApi

T = TypeVar("T")
A = TypeVar("A")

API_URL = "https://api.prisma.io"
MOST_NAME = 256
MOST_CONNECTION_NAME = 65
MOST_BACKUPS = 100
MOST_SERVICE_TOKENS = 100
_READY, _FAILED = "ready", "failure"


def _named(client: type[A]) -> type[A]:
    """Give the errors of arguments, which are found before there is a call, the name of the method they were for."""
    for name, row in operations.OPERATIONS.items():
        setattr(client, name, _naming(getattr(client, name), row.name, row.endpoint))
    return client


def _naming(method: Any, name: str, endpoint: str) -> Any:
    @contextmanager
    def named() -> Iterator[None]:
        try:
            yield
        except RequestRefused as error:
            error.operation, error.endpoint = error.operation or name, error.endpoint or endpoint
            raise

    @wraps(method)
    def listing(*args: Any, **kwargs: Any) -> Any:
        with named():
            return method(*args, **kwargs)

    @wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        pending = method(*args, **kwargs)
        del args, kwargs  # one may be a plain token, which some tracebacks would show
        with named():
            return await pending

    return call if iscoroutinefunction(method) else listing


@_named
class ManagementApi:
    """The Management API as one credential sees it; a credential belongs to one workspace.

    Use it with `async with`, or call `aclose()`, in one event loop; `ManagementApiSync` is the same without `await`.
    Ids are taken with or without their prefix and come back with it, those of connections as they are. A list is a
    `Listing`, an async iterator that fetches page after page; `limit` is the size of a page (the vendor's default is
    100), and `cursor` goes on behind a page. `None` in a request means "not given".

    Every method raises an `ApiError`; see `errors` for the tree. A docstring names the good status, what the
    vendor documents as errors, and what they mean. Further ones are possible with every call: 401
    (`CredentialRefused`), 429 (`Throttled`), 5xx and what happens on the way (`Unavailable`), `PlanLimitReached` while
    the workspace is blocked, an answer outside the contract (`MalformedAnswer`), and `RequestRefused` with the
    reason `invalid_id` or `invalid_argument` before anything is sent.

    Reading, updating and deleting are tried again as `limits` says: doing them twice leaves what doing them once
    leaves. Creating, rotating, transferring and restoring are tried again only when nothing was sent. An
    error whose `is_outcome_unknown` is true may mean that a change of any kind was done; one that is cancelled under
    way has a note that says so.

    With `trust_env` what the environment says counts: `HTTPS_PROXY` or `ALL_PROXY` and `NO_PROXY` (`proxy_in_use` tells
    the outcome), and `SSL_CERT_FILE` or `SSL_CERT_DIR`, whose certificates are trusted instead of the usual ones.
    `tls` comes before them. A plain http `base_url`, which is for loopback only, is never asked through a proxy.
    `PRISMA_POSTGRES_LOG=debug` (or `info`) logs every call, without secrets. `name` is what errors call this
    credential.

    Raises:
        ConfigurationError: a token that no header can carry, a `base_url` that is not https, or a proxy or certificates
            in the environment that cannot be used.
    """

    def __init__(
        self,
        token: str | SecretStr,
        *,
        base_url: str = API_URL,
        limits: Limits | None = None,
        observer: CallObserver | None = None,
        trust_env: bool = True,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
        name: str | None = None,
    ) -> None:
        # The plain token must not stay in a local variable: some tracebacks show them.
        token = token if isinstance(token, SecretStr) else SecretStr(token)
        problems = [token_problem(token.get_secret_value()), address_problem(base_url)]
        if any(problems):
            raise ConfigurationError([problem for problem in problems if problem])
        log_as_the_environment_says()
        limits = limits or Limits()
        self._most_pages = limits.pages
        self._clock = clock or Clock()
        self._options = Options()
        self._transport = Transport(token, base_url=base_url, limits=limits, trust_env=trust_env, tls=tls)
        self._calls = Calls(
            self._transport, token=token, name=name, limits=limits, clock=self._clock, observer=observer
        )

    @classmethod
    def from_env(cls, **settings: Any) -> Self:
        """A client of `PRISMA_POSTGRES_TOKEN`, of the file `PRISMA_POSTGRES_TOKEN_FILE`, or of `PRISMA_SERVICE_TOKEN`.

        The address is `PRISMA_POSTGRES_API_URL`, or else `PRISMA_MANAGEMENT_API_URL`. The last of each is the name that
        the vendor's own command line knows. `settings` are those of the client.

        Raises:
            ConfigurationError: no token is there, or one that cannot be used.
        """
        url = os.environ.get("PRISMA_POSTGRES_API_URL") or os.environ.get("PRISMA_MANAGEMENT_API_URL")
        return cls(_environment_token(), **{"base_url": url or API_URL, **settings})

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """This client with other settings for what is called with it; connections and limiter stay shared.

        `timeout` bounds one attempt, in seconds; `retries` are the attempts after the first, 0 for none; `headers`
        go beside ours. What is not given stays as it is. Closing one closes all.

        Raises:
            RequestRefused: a value that makes no sense.
        """
        if timeout is not None and not 0 < timeout < float("inf"):
            raise wrong_argument("timeout must be positive and finite")
        if retries is not None and retries < 0:
            raise wrong_argument("retries must be at least 0")
        own = self._options
        return self._with(
            replace(
                own,
                timeout_seconds=own.timeout_seconds if timeout is None else timeout,
                attempts=own.attempts if retries is None else retries + 1,
                headers={**own.headers, **extra_headers(headers or {})},
            )
        )

    @property
    def with_raw_response(self) -> RawManagementApi:
        """The same methods, which return the answer as it came: status, headers, request id, body, `parse()`."""
        from prisma_postgres_exporter.api.views import RawManagementApi  # noqa: PLC0415 - it is made of this class

        return RawManagementApi(self._with(replace(self._options, is_raw=True)))

    async def __aenter__(self) -> Self:
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

        The client cannot be used afterwards: a call raises `ClientClosed`.
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

    async def request(
        self,
        method: str,
        path: str,
        *,
        values: Mapping[str, str] | None = None,
        query: Mapping[str, str | None] | None = None,
        body: object = None,
        is_repeatable: bool | None = None,
    ) -> Json:
        """Any operation of the API, those without a method of their own too: JSON in, JSON out.

        `path` is like `/v1/buckets/{bucketId}`, each name of it in `values`: as written it names the call in errors,
        logs and metrics. Any 2xx is good, and an answer without a body is `None`. GET, PUT and DELETE are tried again,
        others only when nothing was sent, unless `is_repeatable` says otherwise. A `SecretStr` in `body` is sent as
        what it holds, and shown nowhere.
        """
        if method not in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}:
            raise wrong_argument("the method must be GET, HEAD, POST, PUT, PATCH or DELETE")
        may_repeat = method in {"GET", "HEAD", "PUT", "DELETE"} if is_repeatable is None else is_repeatable
        return await self._call(generic(method, path, is_repeatable=may_repeat), values, query, body=body)

    # The workspace and its credentials ------------------------------------------------------------
    async def me(self) -> Me:
        """Whose token this is, and its workspace. 200."""
        return await self._call(operations.ME)

    def workspaces(self, *, limit: int | None = None, cursor: str | None = None) -> Listing[Workspace]:
        """Every workspace the token can see. 200."""
        return self._list(operations.WORKSPACES, page_size(limit), cursor)

    async def workspace(self, workspace_id: str) -> Workspace:
        """One workspace. 200; 404."""
        return await self._call(operations.WORKSPACE, _workspace(workspace_id))

    async def create_workspace(self, *, display_name: str | None = None) -> CreatedWorkspace:
        """Create a workspace: experimental, says the vendor.

        201; 403 (a service token cannot: it takes the token of a person), 413.
        """
        return await self._call(operations.CREATE_WORKSPACE, body=_given(displayName=display_name))

    async def subscription(self, workspace_id: str) -> Subscription:
        """A workspace's plan, and whether its usage is blocked. 200; 404."""
        return await self._call(operations.SUBSCRIPTION, _workspace(workspace_id))

    def service_tokens(
        self, workspace_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[ServiceToken]:
        """A workspace's service tokens, without their values. 200. `limit` is at most 100."""
        size = page_size(limit, most=MOST_SERVICE_TOKENS)
        return self._list(operations.SERVICE_TOKENS, size, cursor, path=_workspace(workspace_id))

    async def create_service_token(self, workspace_id: str, name: str) -> CreatedServiceToken:
        """Create a service token; its `value` is shown this once. `name` has 1 to 256 characters. 201; 404, 422."""
        body = {"name": sized_name(name, least=1, most=MOST_NAME)}
        return await self._call(operations.CREATE_SERVICE_TOKEN, _workspace(workspace_id), body=body)

    async def delete_service_token(self, workspace_id: str, token_id: str) -> None:
        """Delete a service token: whoever uses it is cut off. 204; 404."""
        path = {**_workspace(workspace_id), "serviceTokenId": path_id("", token_id)}
        return await self._call(operations.DELETE_SERVICE_TOKEN, path)

    def integrations(
        self, workspace_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[Integration]:
        """The programs that people allowed into a workspace. 200."""
        query = {"workspaceId": path_id("wksp_", workspace_id)}
        return self._list(operations.INTEGRATIONS, page_size(limit), cursor, query)

    def workspace_integrations(
        self, workspace_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[Integration]:
        """The same by the workspace's own path. 200; 404."""
        path = _workspace(workspace_id)
        return self._list(operations.WORKSPACE_INTEGRATIONS, page_size(limit), cursor, path=path)

    async def integration(self, integration_id: str) -> Integration:
        """One integration. 200; 404."""
        return await self._call(operations.INTEGRATION, {"id": path_id("itgr_", integration_id)})

    async def delete_integration(self, integration_id: str) -> None:
        """Revoke the tokens of an integration. 204; 404."""
        return await self._call(operations.DELETE_INTEGRATION, {"id": path_id("itgr_", integration_id)})

    async def delete_workspace_integration(self, workspace_id: str, client_id: str) -> None:
        """Revoke the tokens of every integration of a program (`Integration.client.id`) in a workspace. 204; 404."""
        path = {**_workspace(workspace_id), "clientId": path_id("", client_id)}
        return await self._call(operations.DELETE_WORKSPACE_INTEGRATION, path)

    # Projects and their branches ------------------------------------------------------------------
    def projects(
        self, *, logical_id: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Listing[Project]:
        """Every project the token can see, or those with a `logical_id`. 200."""
        return self._list(operations.PROJECTS, page_size(limit), cursor, {"logicalId": logical_id})

    async def project(self, project_id: str) -> Project:
        """One project. 200; 404."""
        return await self._call(operations.PROJECT, _project(project_id))

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
        body = _given(
            name=None if name is None else sized_name(name, least=1, most=MOST_NAME),
            region=region,
            createDatabase=create_database,
            logicalId=logical_id,
            workspaceId=None if workspace_id is None else path_id("wksp_", workspace_id),
        )
        return await self._call(operations.CREATE_PROJECT, body=body)

    async def update_project(
        self, project_id: str, *, name: str | None = None, settings: Mapping[str, Json] | None = None
    ) -> Project:
        """Give a project another name (1 to 256 characters) or settings (JSON, as the vendor defines them).

        200; 403 (the token has no access to it), 404, 413, 422 (what was given is not valid).
        """
        body = _given(
            name=None if name is None else sized_name(name, least=1, most=MOST_NAME),
            settings=None if settings is None else dict(settings),
        )
        return await self._call(operations.UPDATE_PROJECT, _project(project_id), body=body)

    async def delete_project(self, project_id: str) -> None:
        """Delete a project. 204; 400 (something depends on it), 404."""
        return await self._call(operations.DELETE_PROJECT, _project(project_id))

    async def transfer_project(self, project_id: str, recipient_access_token: str | SecretStr) -> None:
        """Give a project to the workspace of another access token; its databases go with it and keep their ids.

        204; 404, 409 (it cannot go there), 413. The recipient's token is a secret: no error shows it.
        """
        # The plain token must not stay in a local variable: some tracebacks show them.
        recipient_access_token = access_token(recipient_access_token)
        body = {"recipientAccessToken": recipient_access_token}
        return await self._call(operations.TRANSFER_PROJECT, _project(project_id), body=body)

    def branches(
        self,
        project_id: str,
        *,
        git_name: str | None = None,
        git_name_contains: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[Branch]:
        """A project's branches, or the one called `git_name`, or those whose name contains a text. 200; 404, 422.

        Branches are experimental, says the vendor.
        """
        if git_name is not None and git_name_contains is not None:
            raise wrong_argument("give git_name or git_name_contains, not both")
        query = {"gitName": git_name, "gitNameContains": git_name_contains}
        return self._list(operations.BRANCHES, page_size(limit), cursor, query, path=_project(project_id))

    async def branch(self, branch_id: str) -> Branch:
        """One branch. 200; 404."""
        return await self._call(operations.BRANCH, {"id": path_id("br_", branch_id)})

    async def create_branch(self, project_id: str, git_name: str, *, is_default: bool | None = None) -> CreatedBranch:
        """Create a branch; the first one of a project is its production branch and default whatever is said.

        201; 404, 409 (there is one of that name), 422 (not a name).
        """
        if not git_name:
            raise wrong_argument("the git name must not be empty")
        body = _given(gitName=git_name, isDefault=is_default)
        return await self._call(operations.CREATE_BRANCH, _project(project_id), body=body)

    async def update_branch(self, branch_id: str, *, is_default: bool | None = None) -> Branch:
        """Make a branch its project's default: nothing else of it can be changed. 200; 404, 422."""
        body = _given(isDefault=is_default)
        return await self._call(operations.UPDATE_BRANCH, {"id": path_id("br_", branch_id)}, body=body)

    async def delete_branch(self, branch_id: str) -> None:
        """Delete a branch. 204; 404, 409 (something is on it), 422 (the default or the production branch)."""
        return await self._call(operations.DELETE_BRANCH, {"id": path_id("br_", branch_id)})

    # Databases ------------------------------------------------------------------------------------
    def databases(
        self,
        project_id: str | None = None,
        *,
        logical_id: str | None = None,
        branch_id: str | None = None,
        branch_git_name: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Listing[Database]:
        """Every database the token can see, or those of a project, a logical id or a branch. 200; 403.

        `branch_id` may be `unassigned`: on no branch.
        """
        chosen = None if project_id is None else path_id("proj_", project_id)
        query = {"projectId": chosen, "logicalId": logical_id, **branch(branch_id, branch_git_name)}
        return self._list(operations.DATABASES, page_size(limit), cursor, query)

    def project_databases(
        self, project_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[Database]:
        """Every database of one project. 200; 404."""
        return self._list(operations.PROJECT_DATABASES, page_size(limit), cursor, path=_project(project_id))

    async def database(self, database_id: str) -> Database:
        """One database. 200; 403, 404."""
        return await self._call(operations.DATABASE, _database(database_id))

    async def create_database(
        self,
        project_id: str,
        *,
        name: str | None = None,
        region: str | None = None,
        is_default: bool | None = None,
        source: Source | None = None,
        branch_id: str | None = None,
        branch_git_name: str | None = None,
        logical_id: str | None = None,
    ) -> CreatedDatabase:
        """Create a database, empty or from `source`.

        201; 400 (what was given is not valid), 403 (the project is another workspace's), 404, 409 (the logical id
        is taken on that branch), 413. It comes with its connection strings: they are shown this once. `status` may be
        `provisioning`; `wait_until_ready` waits.

        Without `region` the vendor takes `us-east-1`, wherever the project is; `inherit` is the project's region. A
        branch that does not exist is made for its `branch_git_name`, which cannot be given together with `logical_id`.
        """
        if logical_id is not None and branch_git_name is not None:
            raise wrong_argument("logical_id cannot be given together with branch_git_name; give branch_id")
        body = {
            "projectId": path_id("proj_", project_id),
            **_new_database(name, region, is_default, source),
            **_given(logicalId=logical_id, **branch(branch_id, branch_git_name)),
        }
        return await self._call(operations.CREATE_DATABASE, body=body)

    async def create_project_database(
        self,
        project_id: str,
        *,
        name: str | None = None,
        region: str | None = None,
        is_default: bool | None = None,
        source: Source | None = None,
    ) -> CreatedDatabase:
        """Create a database by the project's own path: as `create_database`, without branch and logical id.

        201; 400, 403, 404, 413.
        """
        body = _new_database(name, region, is_default, source)
        return await self._call(operations.CREATE_PROJECT_DATABASE, _project(project_id), body=body)

    async def update_database(
        self,
        database_id: str,
        *,
        name: str | None = None,
        branch_id: str | None = None,
        branch_git_name: str | None = None,
        logical_id: str | None = None,
    ) -> Database:
        """Give a database another name, branch or logical id. 200; 403, 404, 409 (the logical id is taken), 413.

        A branch and a logical id take two calls: first move it, then set the logical id.
        """
        chosen = branch(branch_id, branch_git_name)
        if logical_id is not None and any(chosen.values()):
            raise wrong_argument("logical_id cannot be given together with a branch: move it first, then set it")
        body = _given(name=name, logicalId=logical_id, **chosen)
        return await self._call(operations.UPDATE_DATABASE, _database(database_id), body=body)

    async def delete_database(self, database_id: str) -> None:
        """Delete a database and everything in it. 204; 403 (it is its project's default one), 404."""
        return await self._call(operations.DELETE_DATABASE, _database(database_id))

    async def backups(self, database_id: str, *, limit: int | None = None) -> Backups:
        """A database's backups: up to `limit` (1 to 100, the vendor's default is 25); there are no pages.

        200; 404, 422 (it is a remote database).
        """
        query = {"limit": page_size(limit, most=MOST_BACKUPS)}
        return await self._call(operations.BACKUPS, _database(database_id), query)

    async def restore_database(self, database_id: str, source: BackupSource) -> RestoredDatabase:
        """Overwrite everything in a database with a backup, of this or another database; connections stay.

        200, the status being `recovering` until it is done: `wait_until_ready` waits; 404, 409 (it cannot be
        restored now), 422 (it, or the source, is a remote database).
        """
        body = {"source": source_document(source)}
        return await self._call(operations.RESTORE_DATABASE, _database(database_id), body=body)

    async def wait_until_ready(
        self,
        database_id: str,
        *,
        every_seconds: float = 2.0,
        timeout_seconds: float = 3_600.0,
        on_look: Callable[[Database], None] | None = None,
    ) -> Database:
        """The database, once its status is `ready`; `on_look` gets what is found each time.

        A look that is answered "unavailable" is one more reason to wait.

        Raises:
            DatabaseFailed: its status is `failure`.
            Unavailable: it was not ready in time (`not_ready`).
            ClientClosed: the client was closed meanwhile.
        """
        async for database in self._looks_until_ready(database_id, every_seconds, timeout_seconds):
            if on_look is not None:
                on_look(database)
        return database

    async def _looks_until_ready(
        self, database_id: str, every_seconds: float, timeout_seconds: float
    ) -> AsyncIterator[Database]:
        """What `wait_until_ready` finds: the last one is ready; raises as it does."""
        ends_at = self._clock.monotonic() + timeout_seconds
        status = "unknown"
        while True:
            try:
                database = await self.database(database_id)
            except Unavailable:
                pass
            else:
                status = database.status
                yield database
                if status == _READY:
                    return
                if status == _FAILED:
                    raise DatabaseFailed(
                        f"database {database.id} has the status failure",
                        reason="database_failed",
                        operation="wait_until_ready",
                    )
            if self._clock.monotonic() + every_seconds > ends_at:
                raise Unavailable(
                    f"the database is not ready after {timeout_seconds:g} s; its status was {status}",
                    reason="not_ready",
                    operation="wait_until_ready",
                )
            await self._clock.sleep(every_seconds)

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
        return await self._call(operations.USAGE, _database(database_id), query)

    # Connections ----------------------------------------------------------------------------------
    def connections(
        self, database_id: str | None = None, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[Connection]:
        """Every connection the token can see, or those of one database; without connection strings. 200."""
        chosen = None if database_id is None else path_id("db_", database_id)
        return self._list(operations.CONNECTIONS, page_size(limit), cursor, {"databaseId": chosen})

    def database_connections(
        self, database_id: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Listing[Connection]:
        """Every connection of one database, by the database's own path. 200."""
        return self._list(operations.DATABASE_CONNECTIONS, page_size(limit), cursor, path=_database(database_id))

    async def connection(self, connection_id: str) -> Connection:
        """One connection, without its connection strings. 200; 404."""
        return await self._call(operations.CONNECTION, {"id": path_id("", connection_id)})

    async def create_connection(self, database_id: str, name: str) -> CreatedConnection:
        """Create a connection; `name` has 3 to 65 characters. 201; 404. Its strings are shown this once."""
        body = {"databaseId": path_id("db_", database_id), "name": _connection_name(name)}
        return await self._call(operations.CREATE_CONNECTION, body=body)

    async def create_database_connection(self, database_id: str, name: str) -> CreatedConnection:
        """Create a connection by the database's own path: as `create_connection`. 200; 404."""
        body = {"name": _connection_name(name)}
        return await self._call(operations.CREATE_DATABASE_CONNECTION, _database(database_id), body=body)

    async def rotate_connection(self, connection_id: str) -> CreatedConnection:
        """Make new credentials for a connection; its strings are shown this once. 200; 404.

        The old credentials are revoked as far as the vendor can.
        """
        return await self._call(operations.ROTATE_CONNECTION, {"id": path_id("", connection_id)})

    async def delete_connection(self, connection_id: str) -> None:
        """Delete a connection: whoever uses it is cut off. 204; 404."""
        return await self._call(operations.DELETE_CONNECTION, {"id": path_id("", connection_id)})

    # Regions --------------------------------------------------------------------------------------
    async def regions(self, *, product: str | None = None) -> Page[Region]:
        """Every region, or those of one product (`postgres`, `accelerate`). 200."""
        return await self._call(operations.REGIONS, query={"product": product})

    async def postgres_regions(self) -> Page[Region]:
        """Every region of Prisma Postgres, and whether it is available. 200."""
        return await self._call(operations.POSTGRES_REGIONS)

    async def accelerate_regions(self) -> Page[Region]:
        """Every region of Accelerate. 200."""
        return await self._call(operations.ACCELERATE_REGIONS)

    async def _call(
        self,
        operation: Operation[T],
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str | None] | None = None,
        *,
        body: object = None,
    ) -> T:
        try:
            request = operation.request(path, query, body=body)
        except (ValueError, TypeError) as exc:
            raise wrong_argument(f"not JSON: {exc}") from exc
        return await self._calls.call(operation, request, self._options)

    def _list(
        self,
        operation: Operation[Page[T]],
        limit: str | None,
        cursor: str | None,
        query: Mapping[str, str | None] | None = None,
        *,
        path: Mapping[str, str] | None = None,
    ) -> Listing[T]:
        fixed = {**(query or {}), "limit": limit}

        async def fetch(cursor: str | None) -> Page[T]:
            return await self._call(operation, path, {**fixed, "cursor": cursor})

        return Listing(fetch, operation=operation, most_pages=self._most_pages, cursor=cursor)

    def _with(self, options: Options) -> Self:
        view = copy(self)
        view._options = options
        return view


def _environment_token() -> SecretStr:
    variables = ("PRISMA_POSTGRES_TOKEN", "PRISMA_POSTGRES_TOKEN_FILE", "PRISMA_SERVICE_TOKEN")
    variable = next((name for name in variables if os.environ.get(name, "").strip()), None)
    if variable is None:
        raise ConfigurationError([f"there is no token: set {', '.join(variables[:-1])} or {variables[-1]}"])
    # The commands take a list here; a client has one credential.
    count = 1 if variable.endswith("_FILE") else sum(1 for one in os.environ[variable].split(",") if one.strip())
    if count > 1:
        raise ConfigurationError([f"{variable}: there are {count} tokens; give one"])
    try:
        is_file = variable.endswith("_FILE")
        return token_of_file(Path(os.environ[variable])) if is_file else token_of_variable(variable)
    except Unusable as unusable:
        raise ConfigurationError([f"{variable}: {unusable.text}"]) from None


def _given(**members: Json) -> dict[str, Json]:
    return {name: value for name, value in members.items() if value is not None}


def _workspace(workspace_id: str) -> Mapping[str, str]:
    return {"id": path_id("wksp_", workspace_id)}


def _project(project_id: str) -> Mapping[str, str]:
    return {"id": path_id("proj_", project_id)}


def _database(database_id: str) -> Mapping[str, str]:
    return {"id": path_id("db_", database_id)}


def _new_database(
    name: str | None, region: str | None, is_default: bool | None, source: Source | None
) -> Mapping[str, object]:
    told = source_document(source)
    return _given(name=name, region=region, isDefault=is_default, source=None if told is None else dict(told))


def _connection_name(name: str) -> str:
    return sized_name(name, least=3, most=MOST_CONNECTION_NAME)
