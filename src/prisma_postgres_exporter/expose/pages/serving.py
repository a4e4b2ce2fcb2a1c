"""Answers requests for pages: reads what they show, and draws them beside the event loop, one at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.errors import StoreError, TooBusy
from prisma_postgres_exporter.expose.beside import OneAtATime
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.expose.pages.drawing import content_security_policy
from prisma_postgres_exporter.expose.pages.listing import Asked
from prisma_postgres_exporter.expose.pages.overview import status_page
from prisma_postgres_exporter.expose.pages.places import (
    HAPPENED,
    Told,
    database_page,
    missing_page,
    project_page,
    workspace_page,
)
from prisma_postgres_exporter.expose.status import ServiceStatus
from prisma_postgres_exporter.expose.v1.problems import nothing_here
from prisma_postgres_exporter.report import DAYS_SHOWN, Chosen, MonthCosts
from prisma_postgres_exporter.snapshot import Snapshot

NOT_OPEN = "it is not open"
NOT_FOUND = "Not Found"
"""What Starlette says of a path that it has no route for."""


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages about what `status` and `ledger` know, and about nothing else."""

    status: ServiceStatus
    ledger: Ledger | None
    drawing: OneAtATime

    async def overview(self, request: Request) -> Response:
        """The first page."""
        asked, snapshot = Asked.of(request.query_params), self.status.snapshot
        return _page(await self.drawing(partial(status_page, self.status, snapshot, await self._costs(), asked)))

    async def place(self, request: Request) -> Response:
        """The page of the workspace, project or database that the path names."""
        snapshot, chosen = self.status.snapshot, Chosen(**request.path_params)
        if snapshot is None or not await asyncio.to_thread(_is_there, snapshot, chosen):
            return await not_found(request)
        told, asked = await self._told(chosen), Asked.of(request.query_params)
        costs = await self._costs() if chosen.database_id is None else None
        return _page(await self.drawing(partial(_draw_place, self.status, snapshot, chosen, told, costs, asked)))

    async def _costs(self) -> MonthCosts | str | None:
        return NOT_OPEN if self.ledger is None else await self.ledger.costs()

    async def _told(self, chosen: Chosen) -> Told:
        """A place's newest days, which of a workspace are held, and what happened to it."""
        if self.ledger is None:
            return Told(problem=NOT_OPEN)
        today = self.ledger.now().date()
        from_day, by = today - DAYS_SHOWN, By.DATABASE if chosen.database_id is not None else By.PROJECT
        try:
            happened = await self.ledger.newest(chosen, from_day, most=HAPPENED)
            if chosen.workspace_id is not None:
                return Told(happened=happened)
            days, _ = await self.ledger.days(from_day, today, by, chosen, most_rows=1_000)
            ahead = await self.ledger.outlook(chosen)
        except (StoreError, TooBusy) as error:
            return Told(problem=str(error))
        return Told(days=days, happened=happened, ahead=ahead)


async def not_found(request: Request, error: Exception | None = None) -> Response:
    """A page with a way back for a person, a line for a program, and for whoever is told more than that.

    Beside `/api/v1` it is a problem as there.
    """
    said = getattr(error, "detail", NOT_FOUND)
    if said == NOT_FOUND and f"{request.url.path}/".startswith("/api/"):
        return nothing_here()
    if said != NOT_FOUND or "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse(said, status_code=404, headers=_headers())
    return _page(missing_page(request.url.path), status_code=404)


def _draw_place(
    status: ServiceStatus,
    snapshot: Snapshot,
    chosen: Chosen,
    told: Told,
    costs: MonthCosts | str | None,
    asked: Asked,
) -> str:
    if chosen.workspace_id is not None:
        view = next(view for view in snapshot.workspaces if view.workspace_id == chosen.workspace_id)
        return workspace_page(status, snapshot, view, costs, told, asked)
    if chosen.project_id is not None:
        return project_page(status, snapshot, chosen.project_id, costs, told, asked)
    return database_page(
        status, snapshot, next(view for view in snapshot.databases if view.database_id == chosen.database_id), told
    )


def _is_there(snapshot: Snapshot, chosen: Chosen) -> bool:
    if chosen.workspace_id is not None:
        return any(view.workspace_id == chosen.workspace_id for view in snapshot.workspaces)
    return any(chosen.has(view.workspace_id, view.project_id, view.database_id) for view in snapshot.databases)


def _page(html: str, *, status_code: int = 200) -> Response:
    return HTMLResponse(html, status_code=status_code, headers=_headers())


def _headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": content_security_policy(),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
