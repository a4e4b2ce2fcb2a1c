"""The HTTP side: metrics, health checks, reload, status page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from prisma_postgres_exporter.expose.access import Access, Gate
from prisma_postgres_exporter.expose.beside import OneAtATime
from prisma_postgres_exporter.expose.guard import KnownHosts, why_not_to_reload
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.expose.negotiate import choose_format, is_gzip_wanted
from prisma_postgres_exporter.expose.pages.serving import Pages, not_found
from prisma_postgres_exporter.expose.parts import Body
from prisma_postgres_exporter.expose.render import Exposition
from prisma_postgres_exporter.expose.scraping import chosen_workspaces, target_groups
from prisma_postgres_exporter.expose.selection import Format
from prisma_postgres_exporter.expose.status import Reload, ServiceStatus
from prisma_postgres_exporter.expose.v1 import json_api
from prisma_postgres_exporter.expose.visible import seen, visible_ledger, visible_status
from prisma_postgres_exporter.snapshot import Snapshot

_CHECK_HEADERS = {"Cache-Control": "no-store"}


def web_app(
    exposition: Exposition,
    status: Callable[[], ServiceStatus],
    reload: Callable[[], Awaitable[Reload]] | None,
    *,
    current: Callable[[], Awaitable[None]] | None = None,
    snapshot: Callable[[], Snapshot | None] | None = None,
    ledger: Ledger | None = None,
    hosts: Collection[str] = (),
    access: Access | None = None,
    send_limit_seconds: float = 60.0,
) -> Starlette:
    """The application; `status` is asked at each request of a page or a check.

    `current` waits, before anything is shown, until what is shown is of today: at midnight the numbers of the day and
    the month that are over are gone. `snapshot` gives what is shown, in whatever thread it is asked. `ledger` answers
    what is not in the snapshot, below `/api/v1` and on pages. `reload` reads the configuration again and
    gives what is wrong with it, `None` when it is in use now; without it `/-/reload` is refused. `hosts` are the names
    that are answered to, all if there are none, and `access` says who gets in, everyone if it is `None`. A scrape that
    takes longer than `send_limit_seconds` to read its answer is cut off, since it keeps an old exposition in memory.
    """

    drawing = OneAtATime()

    async def healthy(request: Request) -> Response:
        return _check(visible_status(status(), seen(request.scope)).unhealthy_reason, "healthy")

    async def ready(request: Request) -> Response:
        return _check(visible_status(status(), seen(request.scope)).not_ready_reason, "ready")

    def pages(request: Request) -> Pages:
        mine = seen(request.scope)
        return Pages(visible_status(status(), mine), ledger and visible_ledger(ledger, mine), drawing)

    async def overview(request: Request) -> Response:
        return await pages(request).overview(request)

    async def place(request: Request) -> Response:
        return await pages(request).place(request)

    async def discovery(request: Request) -> Response:
        chosen = chosen_workspaces(request.query_params, exposition.workspaces, seen(request.scope))
        address = request.headers.get("host") or request.url.netloc
        return JSONResponse(target_groups(exposition.workspaces, chosen, address), headers=_CHECK_HEADERS)

    routes: list[BaseRoute] = [
        Route("/metrics", _Metrics(exposition, send_limit_seconds), methods=["GET"]),
        Route("/sd", discovery),
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
        Route("/-/reload", _reload_endpoint(reload, access.refused if access else None), methods=["POST"]),
        Route("/", overview),
        Route("/workspaces/{workspace_id}", place),
        Route("/projects/{project_id}", place),
        Route("/databases/{database_id}", place),
    ]
    if ledger is not None:
        routes.append(Mount("/api/v1", json_api(snapshot or (lambda: status().snapshot), ledger)))
    middleware = [] if access is None else [Middleware(Gate, access)]
    middleware.append(Middleware(KnownHosts, hosts))
    if current is not None:
        middleware.append(Middleware(_Current, current))
    app = Starlette(routes=routes, middleware=middleware, exception_handlers={404: not_found})
    # It would redirect to whatever the Host header says.
    app.router.redirect_slashes = False
    return app


def _check(reason: str | None, state: str) -> Response:
    if reason is None:
        return PlainTextResponse(f"{state}\n", headers=_CHECK_HEADERS)
    return PlainTextResponse(f"not {state}: {reason}\n", status_code=503, headers=_CHECK_HEADERS)


def _reload_endpoint(
    reload: Callable[[], Awaitable[Reload]] | None, refused: Callable[[str], None] | None
) -> Callable[[Request], Awaitable[Response]]:
    async def reload_configuration(request: Request) -> Response:
        refusal = "web.enable_lifecycle is not set; SIGHUP reloads without it"
        if reload is None or (refusal := why_not_to_reload(request) or ""):
            if refused is not None:
                refused("reload")
            return _not_reloaded(refusal, 403)
        done = await reload()
        if done.problem is not None:
            return _not_reloaded(done.problem, 500)
        return PlainTextResponse(f"reloaded; {done.note}\n" if done.note else "reloaded\n")

    return reload_configuration


def _not_reloaded(reason: str, status_code: int) -> Response:
    return PlainTextResponse(f"not reloaded: {reason}\n", status_code=status_code)


class _Current:
    """Lets a request for anything but a check wait until what is shown is of today."""

    def __init__(self, app: ASGIApp, current: Callable[[], Awaitable[None]]) -> None:
        self._app = app
        self._current = current

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/-/"):
            await self._current()
        await self._app(scope, receive, send)


class _Metrics:
    """Sends the bytes that are there, the same objects to every scraper; parts are made in a thread, one at a time."""

    def __init__(self, exposition: Exposition, send_limit_seconds: float) -> None:
        self._exposition = exposition
        self._send_limit_seconds = send_limit_seconds
        self._making = OneAtATime()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exposition_format = choose_format(_header(scope, b"accept"))
        is_gzip = is_gzip_wanted(_header(scope, b"accept-encoding"))
        body = await self._body(scope, exposition_format, is_gzip=is_gzip)
        headers = [
            (b"content-type", exposition_format.value.encode()),
            (b"content-length", str(body.length).encode()),
            (b"vary", b"Accept, Accept-Encoding"),
        ]
        if is_gzip:
            headers.append((b"content-encoding", b"gzip"))
        # What a user sees who is bound to a workspace that is not shown is an exposition without anything.
        *first, last = (body.messages if scope["method"] != "HEAD" else ()) or (b"",)
        try:
            async with asyncio.timeout(self._send_limit_seconds):
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                for message in first:
                    await send({"type": "http.response.body", "body": message, "more_body": True})
                    # A fast reader never makes `send` wait: let others have their turn between two messages.
                    await asyncio.sleep(0)
                await send({"type": "http.response.body", "body": last, "more_body": False})
        except TimeoutError:
            return

    async def _body(self, scope: Scope, exposition_format: Format, *, is_gzip: bool) -> Body:
        query, mine = scope["query_string"], seen(scope)
        if not query and mine is None:
            return self._exposition.body(exposition_format, is_gzip=is_gzip)
        chosen = chosen_workspaces(QueryParams(query), self._exposition.workspaces, mine)
        if chosen is None:
            return self._exposition.body(exposition_format, is_gzip=is_gzip)
        return await self._making(partial(self._exposition.part, chosen, exposition_format, is_gzip=is_gzip))


def _header(scope: Scope, name: bytes) -> str:
    return ",".join([value.decode("latin-1") for key, value in scope["headers"] if key == name])
