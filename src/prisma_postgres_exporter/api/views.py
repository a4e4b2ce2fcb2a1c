"""The client's methods for those who do not `await`, and for those who want the answer as it came: one line for each.

Nothing is said twice: each line takes a method of `ManagementApi` with its arguments, types and docstring.
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar

from prisma_postgres_exporter.api.calls import Listing
from prisma_postgres_exporter.api.client import ManagementApi
from prisma_postgres_exporter.api.decode import CLIENT_CLOSED, RawResponse, error_of
from prisma_postgres_exporter.api.models import Database, Page, Refused
from prisma_postgres_exporter.api.operations import OPERATIONS
from prisma_postgres_exporter.api.send import made_at
from prisma_postgres_exporter.errors import ApiError, ConfigurationError

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
F = TypeVar("F", bound=Callable[..., Any])


class _Wrapped(Protocol[A_co]):
    @property
    def _api(self) -> A_co: ...


class _Blocking(_Wrapped[A_co], Protocol[A_co]):
    @property
    def _loop(self) -> _Loop: ...


def _raw(
    method: Callable[Concatenate[ManagementApi, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Wrapped[ManagementApi], P], Coroutine[Any, Any, RawResponse[T]]]:
    @wraps(method)
    async def call(self: _Wrapped[ManagementApi], /, *args: P.args, **kwargs: P.kwargs) -> RawResponse[T]:
        answered: Any = await method(self._api, *args, **kwargs)
        return answered  # type: ignore[no-any-return]  # what a client with `is_raw` returns

    return _returning(_of(RawResponse, method.__annotations__["return"]), call)


def _raw_page(
    method: Callable[Concatenate[ManagementApi, P], Listing[T]],
) -> Callable[Concatenate[_Wrapped[ManagementApi], P], Coroutine[Any, Any, RawResponse[Page[T]]]]:
    @wraps(method)
    async def call(self: _Wrapped[ManagementApi], /, *args: P.args, **kwargs: P.kwargs) -> RawResponse[Page[T]]:
        answered: Any = await method(self._api, *args, **kwargs).page()
        return answered  # type: ignore[no-any-return]  # what a client with `is_raw` returns

    return _returning(_of(RawResponse, _of(Page, _entry(method))), call)


def _blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Blocking[A], P], T]:
    @wraps(method)
    def call(self: _Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._loop.run(method(self._api, *args, **kwargs))

    return call


def _blocking_list(
    method: Callable[Concatenate[A, P], Listing[T]],
) -> Callable[Concatenate[_Blocking[A], P], ListingSync[T]]:
    @wraps(method)
    def call(self: _Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> ListingSync[T]:
        return ListingSync(method(self._api, *args, **kwargs), self._loop)

    return _returning(_of(ListingSync, _entry(method)), call)


def _entry(method: Callable[..., object]) -> str:
    """The type of a list's entries, as it is written."""
    written: str = method.__annotations__["return"]
    return written.removeprefix("Listing[").removesuffix("]")


def _of(kind: Any, argument: object) -> object:
    return kind[argument]


def _returning(kind: object, call: F) -> F:
    """`call` that says what it returns: `wraps` has copied what the client's own method does."""
    call.__annotations__ = {**call.__annotations__, "return": kind}
    return call


class RawManagementApi:
    """The methods of `ManagementApi` (`with_raw_response`), each with a `RawResponse`; of a list the first page."""

    def __init__(self, api: ManagementApi) -> None:
        self._api = api

    request = _raw(ManagementApi.request)
    me = _raw(ManagementApi.me)
    workspaces = _raw_page(ManagementApi.workspaces)
    workspace = _raw(ManagementApi.workspace)
    create_workspace = _raw(ManagementApi.create_workspace)
    subscription = _raw(ManagementApi.subscription)
    service_tokens = _raw_page(ManagementApi.service_tokens)
    create_service_token = _raw(ManagementApi.create_service_token)
    delete_service_token = _raw(ManagementApi.delete_service_token)
    integrations = _raw_page(ManagementApi.integrations)
    workspace_integrations = _raw_page(ManagementApi.workspace_integrations)
    integration = _raw(ManagementApi.integration)
    delete_integration = _raw(ManagementApi.delete_integration)
    delete_workspace_integration = _raw(ManagementApi.delete_workspace_integration)
    projects = _raw_page(ManagementApi.projects)
    project = _raw(ManagementApi.project)
    create_project = _raw(ManagementApi.create_project)
    update_project = _raw(ManagementApi.update_project)
    delete_project = _raw(ManagementApi.delete_project)
    transfer_project = _raw(ManagementApi.transfer_project)
    branches = _raw_page(ManagementApi.branches)
    branch = _raw(ManagementApi.branch)
    create_branch = _raw(ManagementApi.create_branch)
    update_branch = _raw(ManagementApi.update_branch)
    delete_branch = _raw(ManagementApi.delete_branch)
    databases = _raw_page(ManagementApi.databases)
    project_databases = _raw_page(ManagementApi.project_databases)
    database = _raw(ManagementApi.database)
    create_database = _raw(ManagementApi.create_database)
    create_project_database = _raw(ManagementApi.create_project_database)
    update_database = _raw(ManagementApi.update_database)
    delete_database = _raw(ManagementApi.delete_database)
    backups = _raw(ManagementApi.backups)
    restore_database = _raw(ManagementApi.restore_database)
    usage = _raw(ManagementApi.usage)
    connections = _raw_page(ManagementApi.connections)
    database_connections = _raw_page(ManagementApi.database_connections)
    connection = _raw(ManagementApi.connection)
    create_connection = _raw(ManagementApi.create_connection)
    create_database_connection = _raw(ManagementApi.create_database_connection)
    rotate_connection = _raw(ManagementApi.rotate_connection)
    delete_connection = _raw(ManagementApi.delete_connection)
    regions = _raw(ManagementApi.regions)
    postgres_regions = _raw(ManagementApi.postgres_regions)
    accelerate_regions = _raw(ManagementApi.accelerate_regions)


class ListingSync(Generic[T]):
    """A `Listing` without `await`: an iterator of its entries, that fetches page after page as they are wanted."""

    def __init__(self, listing: Listing[T], loop: _Loop) -> None:
        self._listing = listing
        self._loop = loop

    @property
    def refused(self) -> tuple[Refused, ...]:
        """The records that were left out so far."""
        return self._listing.refused

    def __iter__(self) -> Iterator[T]:
        aiter(self._listing)
        return self

    def __next__(self) -> T:
        for entry in self._loop.run(_next(self._listing)):
            return entry
        raise StopIteration

    def page(self) -> Page[T]:
        """Its first page."""
        return self._loop.run(self._listing.page())

    def pages(self) -> Iterator[Page[T]]:
        """Its pages from the first one on, each with its entries and with what was refused."""
        pages = self._listing.pages()
        while found := self._loop.run(_next(pages)):
            yield from found


class _Connected(Protocol):
    async def aclose(self) -> None: ...


class ManagementApiSync:
    """`ManagementApi` without `await`: the same methods, arguments, results and errors.

    Use it with `with`, or call `close()`, in as many threads as you like; also where an event loop runs already, as
    in a notebook. Its calls run on an event loop in a thread of its own, which ends with the program, or with the
    client: one that is forgotten without being closed is closed then, with a `ResourceWarning`, as a file is. A process
    that was forked needs a client of its own. An `observer` is called on that thread, and cannot call the client.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `ManagementApi` takes."""
        self._api = ManagementApi(*args, **kwargs)
        self._loop = _Loop(self._api)

    @classmethod
    def from_env(cls, **settings: Any) -> Self:
        """As `ManagementApi.from_env`."""
        api = ManagementApi.from_env(**settings)
        return cls._of(api, _Loop(api))

    def with_options(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Self:
        """As `ManagementApi.with_options`."""
        return self._of(self._api.with_options(timeout=timeout, retries=retries, headers=headers), self._loop)

    @property
    def with_raw_response(self) -> RawManagementApiSync:
        """As `ManagementApi.with_raw_response`."""
        return RawManagementApiSync(self._api.with_raw_response, self._loop)

    @property
    def skew_seconds(self) -> float | None:
        """As `ManagementApi.skew_seconds`."""
        return self._api.skew_seconds

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and with them the calls under way; twice does no more than once."""
        self._loop.end()

    def wait_until_ready(
        self,
        database_id: str,
        *,
        every_seconds: float = 2.0,
        timeout_seconds: float = 3_600.0,
        on_look: Callable[[Database], None] | None = None,
    ) -> Database:
        """As `ManagementApi.wait_until_ready`; `on_look` is called in this thread, and may call the client."""
        looks = self._api._looks_until_ready(database_id, every_seconds, timeout_seconds)
        while found := self._loop.run(_next(looks)):
            (database,) = found
            if on_look is not None:
                on_look(database)
        return database

    @classmethod
    def _of(cls, api: ManagementApi, loop: _Loop) -> Self:
        client = cls.__new__(cls)
        client._api, client._loop = api, loop
        return client

    request = _blocking(ManagementApi.request)
    me = _blocking(ManagementApi.me)
    workspaces = _blocking_list(ManagementApi.workspaces)
    workspace = _blocking(ManagementApi.workspace)
    create_workspace = _blocking(ManagementApi.create_workspace)
    subscription = _blocking(ManagementApi.subscription)
    service_tokens = _blocking_list(ManagementApi.service_tokens)
    create_service_token = _blocking(ManagementApi.create_service_token)
    delete_service_token = _blocking(ManagementApi.delete_service_token)
    integrations = _blocking_list(ManagementApi.integrations)
    workspace_integrations = _blocking_list(ManagementApi.workspace_integrations)
    integration = _blocking(ManagementApi.integration)
    delete_integration = _blocking(ManagementApi.delete_integration)
    delete_workspace_integration = _blocking(ManagementApi.delete_workspace_integration)
    projects = _blocking_list(ManagementApi.projects)
    project = _blocking(ManagementApi.project)
    create_project = _blocking(ManagementApi.create_project)
    update_project = _blocking(ManagementApi.update_project)
    delete_project = _blocking(ManagementApi.delete_project)
    transfer_project = _blocking(ManagementApi.transfer_project)
    branches = _blocking_list(ManagementApi.branches)
    branch = _blocking(ManagementApi.branch)
    create_branch = _blocking(ManagementApi.create_branch)
    update_branch = _blocking(ManagementApi.update_branch)
    delete_branch = _blocking(ManagementApi.delete_branch)
    databases = _blocking_list(ManagementApi.databases)
    project_databases = _blocking_list(ManagementApi.project_databases)
    database = _blocking(ManagementApi.database)
    create_database = _blocking(ManagementApi.create_database)
    create_project_database = _blocking(ManagementApi.create_project_database)
    update_database = _blocking(ManagementApi.update_database)
    delete_database = _blocking(ManagementApi.delete_database)
    backups = _blocking(ManagementApi.backups)
    restore_database = _blocking(ManagementApi.restore_database)
    usage = _blocking(ManagementApi.usage)
    connections = _blocking_list(ManagementApi.connections)
    database_connections = _blocking_list(ManagementApi.database_connections)
    connection = _blocking(ManagementApi.connection)
    create_connection = _blocking(ManagementApi.create_connection)
    create_database_connection = _blocking(ManagementApi.create_database_connection)
    rotate_connection = _blocking(ManagementApi.rotate_connection)
    delete_connection = _blocking(ManagementApi.delete_connection)
    regions = _blocking(ManagementApi.regions)
    postgres_regions = _blocking(ManagementApi.postgres_regions)
    accelerate_regions = _blocking(ManagementApi.accelerate_regions)


class RawManagementApiSync:
    """The methods of `ManagementApiSync` (`with_raw_response`), each with a `RawResponse`; of a list the first page."""

    def __init__(self, api: RawManagementApi, loop: _Loop) -> None:
        self._api = api
        self._loop = loop

    request = _blocking(RawManagementApi.request)
    me = _blocking(RawManagementApi.me)
    workspaces = _blocking(RawManagementApi.workspaces)
    workspace = _blocking(RawManagementApi.workspace)
    create_workspace = _blocking(RawManagementApi.create_workspace)
    subscription = _blocking(RawManagementApi.subscription)
    service_tokens = _blocking(RawManagementApi.service_tokens)
    create_service_token = _blocking(RawManagementApi.create_service_token)
    delete_service_token = _blocking(RawManagementApi.delete_service_token)
    integrations = _blocking(RawManagementApi.integrations)
    workspace_integrations = _blocking(RawManagementApi.workspace_integrations)
    integration = _blocking(RawManagementApi.integration)
    delete_integration = _blocking(RawManagementApi.delete_integration)
    delete_workspace_integration = _blocking(RawManagementApi.delete_workspace_integration)
    projects = _blocking(RawManagementApi.projects)
    project = _blocking(RawManagementApi.project)
    create_project = _blocking(RawManagementApi.create_project)
    update_project = _blocking(RawManagementApi.update_project)
    delete_project = _blocking(RawManagementApi.delete_project)
    transfer_project = _blocking(RawManagementApi.transfer_project)
    branches = _blocking(RawManagementApi.branches)
    branch = _blocking(RawManagementApi.branch)
    create_branch = _blocking(RawManagementApi.create_branch)
    update_branch = _blocking(RawManagementApi.update_branch)
    delete_branch = _blocking(RawManagementApi.delete_branch)
    databases = _blocking(RawManagementApi.databases)
    project_databases = _blocking(RawManagementApi.project_databases)
    database = _blocking(RawManagementApi.database)
    create_database = _blocking(RawManagementApi.create_database)
    create_project_database = _blocking(RawManagementApi.create_project_database)
    update_database = _blocking(RawManagementApi.update_database)
    delete_database = _blocking(RawManagementApi.delete_database)
    backups = _blocking(RawManagementApi.backups)
    restore_database = _blocking(RawManagementApi.restore_database)
    usage = _blocking(RawManagementApi.usage)
    connections = _blocking(RawManagementApi.connections)
    database_connections = _blocking(RawManagementApi.database_connections)
    connection = _blocking(RawManagementApi.connection)
    create_connection = _blocking(RawManagementApi.create_connection)
    create_database_connection = _blocking(RawManagementApi.create_database_connection)
    rotate_connection = _blocking(RawManagementApi.rotate_connection)
    delete_connection = _blocking(RawManagementApi.delete_connection)
    regions = _blocking(RawManagementApi.regions)
    postgres_regions = _blocking(RawManagementApi.postgres_regions)
    accelerate_regions = _blocking(RawManagementApi.accelerate_regions)


class _Loop:
    """An event loop in a thread of its own, begun with the first call; whoever forgets it has forgotten its client."""

    def __init__(self, client: _Connected) -> None:
        self._client = client
        self._made_at = made_at()
        self._lock = threading.Lock()
        self._running: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_ended = False
        self._forgotten: weakref.finalize[Any, Any] | None = None
        self._process = os.getpid()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """The result of `call`; whoever stops waiting for it, by Ctrl-C for one, ends it.

        Raises:
            ClientClosed: it was ended, before or meanwhile.
            ConfigurationError: this is another process than the one that made it, or its own thread (an observer).
        """
        if os.getpid() != self._process:
            call.close()
            raise ConfigurationError(["this client was made before the process was forked: make one in this process"])
        if threading.current_thread() is self._thread:
            call.close()
            raise ConfigurationError(["the client was called by what it calls itself: it would wait for ever"])
        with self._lock:
            if self._is_ended:
                call.close()
                raise _closed(call)
            future = asyncio.run_coroutine_threadsafe(call, self._started())
        try:
            return future.result()
        except CancelledError:
            raise _closed(call) from None
        except BaseException:
            future.cancel()
            raise

    def end(self) -> None:
        """Close the client, and end the thread and the calls under way."""
        with self._lock:
            is_ended, self._is_ended = self._is_ended, True
            loop = self._started()
        if not is_ended:
            if self._forgotten is not None:
                self._forgotten.detach()
            asyncio.run_coroutine_threadsafe(self._client.aclose(), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._running is None:
            self._running = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_serve, args=(self._running,), name="ManagementApiSync", daemon=True)
            self._thread.start()
            # What it calls must not know this object, which would then never be forgotten.
            self._forgotten = weakref.finalize(self, _forget, self._running, self._client, self._process, self._made_at)
        return self._running


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        under_way = asyncio.all_tasks(loop)
        for task in under_way:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*under_way, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _forget(loop: asyncio.AbstractEventLoop, client: _Connected, process: int, made_at: tuple[str, int]) -> None:
    """End what nobody can close any more, in whatever thread it is found: so it waits for nothing."""
    if os.getpid() != process or loop.is_closed():
        return

    async def close() -> None:
        await client.aclose()
        loop.stop()

    loop.call_soon_threadsafe(lambda: asyncio.ensure_future(close()))
    # At the end: it may be made an error.
    message = "unclosed ManagementApiSync: use it with `with`, or call close()"
    warnings.warn_explicit(message, ResourceWarning, *made_at)


async def _next(entries: AsyncIterator[T]) -> list[T]:
    """The next one alone, or nothing at the end."""
    try:
        return [await anext(entries)]
    except StopAsyncIteration:
        return []


def _closed(call: Coroutine[Any, Any, object]) -> ApiError:
    row = OPERATIONS.get(getattr(call, "__name__", ""))
    name, endpoint = (row.name, row.endpoint) if row else ("", "the call")
    return error_of(CLIENT_CLOSED, operation=name, endpoint=endpoint, shown=endpoint)
