"""Answers from the newest snapshot: what `/metrics` shows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from prisma_postgres_exporter.documents import (
    Budgets,
    Databases,
    OneDatabase,
    Workspaces,
    budget_document,
    database_document,
    of_snapshot,
    workspace_document,
)
from prisma_postgres_exporter.expose.v1.parameters import DatabasesParameters, NoParameters
from prisma_postgres_exporter.expose.v1.problems import RETRY, not_there
from prisma_postgres_exporter.expose.v1.writing import Writing
from prisma_postgres_exporter.expose.visible import seen, visible_snapshot
from prisma_postgres_exporter.report import Chosen
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot


class Shown:
    """Answers from what `snapshot` gives, as far as whoever asks may see it."""

    def __init__(self, snapshot: Callable[[], Snapshot | None], write: Writing) -> None:
        self._snapshot = snapshot
        self._write = write

    async def list_workspaces(self, request: Request, asked: Annotated[NoParameters, Query()]) -> Response:
        """Every workspace with its month so far, its cost and what is expected."""
        return await self._answer(
            request,
            lambda taken: Workspaces(
                **of_snapshot(taken), data=[workspace_document(view, taken.taken_at) for view in taken.workspaces]
            ),
        )

    async def list_databases(self, request: Request, asked: Annotated[DatabasesParameters, Query()]) -> Response:
        """Databases with what their metrics show."""
        return await self._answer(request, lambda taken: _page(taken, asked))

    async def get_database(
        self,
        request: Request,
        database_id: Annotated[str, Path(min_length=1)],
        asked: Annotated[NoParameters, Query()],
    ) -> Response:
        """One database with what its metrics show."""
        return await self._answer(request, lambda taken: _one(taken, database_id))

    async def list_budgets(self, request: Request, asked: Annotated[NoParameters, Query()]) -> Response:
        """Every budget with what was spent and what is expected."""
        return await self._answer(
            request, lambda taken: Budgets(**of_snapshot(taken), data=[budget_document(row) for row in taken.budgets])
        )

    async def _answer(self, request: Request, make: Callable[[Snapshot], BaseModel]) -> Response:
        def made() -> BaseModel:
            taken = visible_snapshot(self._snapshot(), seen(request.scope))
            if taken is None:
                raise HTTPException(503, "nothing is known yet: the store was not read back", RETRY)
            return make(taken)

        return await self._write(made)


def _page(taken: Snapshot, asked: DatabasesParameters) -> Databases:
    views: Sequence[DatabaseView] = taken.databases
    if asked.after is not None:
        views = views[bisect_right(views, tuple(asked.after.split("/")), key=_place) :]
    chosen = Chosen(workspace_id=asked.workspace, project_id=asked.project)
    found = [view for view in views if chosen.has(view.workspace_id, view.project_id, None)]
    if not found:
        ids = ((view.workspace_id, view.project_id, view.database_id) for view in taken.databases)
        if unknown := chosen.unknown((view.workspace_id for view in taken.workspaces), ids):
            raise not_there(unknown)
    page = found[: asked.limit]
    return Databases(
        **of_snapshot(taken),
        data=[database_document(view, taken.taken_at) for view in page],
        next_after="/".join(_place(page[-1])) if len(found) > len(page) else None,
    )


def _one(taken: Snapshot, database_id: str) -> OneDatabase:
    view = next((view for view in taken.databases if view.database_id == database_id), None)
    if view is None:
        raise HTTPException(404, f"there is no database {database_id!r} now; /api/v1/databases lists those there are")
    return OneDatabase(**of_snapshot(taken), data=database_document(view, taken.taken_at))


def _place(view: DatabaseView) -> tuple[str, ...]:
    return view.workspace_id, view.project_id, view.database_id
