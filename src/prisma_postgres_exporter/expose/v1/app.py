"""The read-only JSON API: `/api/v1/…`."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.documents import (
    Budgets,
    CostRows,
    Databases,
    OneDatabase,
    UsageDocument,
    UsageRows,
    Workspaces,
    budget_document,
    cost_rows_answer,
    database_document,
    usage_document,
    workspace_document,
)
from prisma_postgres_exporter.errors import StoreError, TooBusy
from prisma_postgres_exporter.expose.v1.ledger import Ledger
from prisma_postgres_exporter.expose.v1.openapi import Operation, openapi_document
from prisma_postgres_exporter.expose.v1.parameters import (
    CostParameters,
    DatabasesParameters,
    NoParameters,
    Step,
    UsageParameters,
    parsed,
)
from prisma_postgres_exporter.expose.v1.problems import NO_STORE, Refused, on_http_problem, problem_answer
from prisma_postgres_exporter.expose.visible import seen, visible_ledger, visible_snapshot
from prisma_postgres_exporter.model import day_start, next_month_start
from prisma_postgres_exporter.report import Chosen, beside, last_instant, usage_of_month
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot

PREFIX = "/api/v1"
ROWS_AT_ONCE = 10_000
MONTHS_AT_ONCE = 12
DAYS_AT_ONCE = timedelta(days=365)
"""However few rows come out, so many days may have to be read for them."""
DAYS_BY_DEFAULT = timedelta(days=30)
EARLIEST = date(2020, 1, 1)
"""The vendor has no usage from before."""
RETRY_SECONDS = "5"

OPERATIONS = (
    Operation(
        path=f"{PREFIX}/workspaces",
        name="listWorkspaces",
        summary="Every workspace with its month so far, its cost and what is expected.",
        parameters=NoParameters,
        answer=Workspaces,
    ),
    Operation(
        path=f"{PREFIX}/databases",
        name="listDatabases",
        summary="Databases with what their metrics show.",
        parameters=DatabasesParameters,
        answer=Databases,
    ),
    Operation(
        path=f"{PREFIX}/databases/{{database_id}}",
        name="getDatabase",
        summary="One database with what its metrics show.",
        parameters=NoParameters,
        answer=OneDatabase,
        problems=(400, 404, 503),
    ),
    Operation(
        path=f"{PREFIX}/usage",
        name="listUsage",
        summary="Operations and storage by day or month, deleted databases included, from the ledger.",
        parameters=UsageParameters,
        answer=UsageRows,
        problems=(400, 422, 503),
    ),
    Operation(
        path=f"{PREFIX}/cost",
        name="listCost",
        summary="What a month costs so far, cost or will cost, from the ledger.",
        parameters=CostParameters,
        answer=CostRows,
        problems=(400, 422, 503),
    ),
    Operation(
        path=f"{PREFIX}/budgets",
        name="listBudgets",
        summary="Every budget with what was spent and what is expected.",
        parameters=NoParameters,
        answer=Budgets,
    ),
)


def json_api(snapshot: Callable[[], Snapshot | None], ledger: Ledger) -> Starlette:
    """Return the application to be mounted at `/api/v1`; `snapshot` gives the newest snapshot, if there is one."""
    document = openapi_document(OPERATIONS)
    shown, questions = _Shown(snapshot), _Questions(ledger)

    async def openapi(request: Request) -> Response:
        parsed(NoParameters, request.query_params)
        return JSONResponse(document, headers=NO_STORE)

    answers: dict[str, Callable[[Request], Awaitable[BaseModel]]] = {
        "/workspaces": shown.workspaces,
        "/databases": shown.databases,
        "/databases/{database_id}": shown.database,
        "/budgets": shown.budgets,
        "/usage": questions.usage,
        "/cost": questions.cost,
    }
    routes = [Route(path, partial(_answered, answer), methods=["GET"]) for path, answer in answers.items()]
    api = Starlette(
        routes=[*routes, Route("/openapi.json", openapi, methods=["GET"])],
        exception_handlers={HTTPException: on_http_problem, StoreError: _on_unreadable, TooBusy: _on_unreadable},
    )
    # It would redirect to whatever the Host header says.
    api.router.redirect_slashes = False
    return api


async def _answered(answer: Callable[[Request], Awaitable[BaseModel]], request: Request) -> Response:
    found = await answer(request)
    # Ten thousand rows take a while to write: scrapes go on meanwhile.
    body = await asyncio.to_thread(found.model_dump_json)
    return Response(body, media_type="application/json", headers=NO_STORE)


class _Shown:
    """Answers from the newest snapshot: what `/metrics` shows."""

    def __init__(self, snapshot: Callable[[], Snapshot | None]) -> None:
        self._snapshot = snapshot

    def _taken(self, request: Request) -> Snapshot:
        taken = visible_snapshot(self._snapshot(), seen(request.scope))
        if taken is None:
            raise Refused(503, "nothing is known yet: the store was not read back", {"Retry-After": RETRY_SECONDS})
        return taken

    async def workspaces(self, request: Request) -> BaseModel:
        parsed(NoParameters, request.query_params)
        taken = self._taken(request)
        return Workspaces(
            taken_at=taken.taken_at,
            costs_at=taken.costs_at,
            data=[workspace_document(view, taken.taken_at) for view in taken.workspaces],
        )

    async def databases(self, request: Request) -> BaseModel:
        return await asyncio.to_thread(self._page, request, parsed(DatabasesParameters, request.query_params))

    def _page(self, request: Request, asked: DatabasesParameters) -> Databases:
        taken = self._taken(request)
        views: Sequence[DatabaseView] = taken.databases
        if asked.after is not None:
            views = views[bisect_right(views, tuple(asked.after.split("/")), key=_place) :]
        chosen = Chosen(workspace_id=asked.workspace, project_id=asked.project)
        found = [view for view in views if chosen.has(view.workspace_id, view.project_id, None)]
        page = found[: asked.limit]
        return Databases(
            taken_at=taken.taken_at,
            costs_at=taken.costs_at,
            data=[database_document(view, taken.taken_at) for view in page],
            next_after="/".join(_place(page[-1])) if len(found) > len(page) else None,
        )

    async def database(self, request: Request) -> BaseModel:
        parsed(NoParameters, request.query_params)
        taken, id_ = self._taken(request), request.path_params["database_id"]
        view = next((view for view in taken.databases if view.database_id == id_), None)
        if view is None:
            raise Refused(404, f"there is no database {id_!r} now; {PREFIX}/databases lists those there are")
        return OneDatabase(
            taken_at=taken.taken_at, costs_at=taken.costs_at, data=database_document(view, taken.taken_at)
        )

    async def budgets(self, request: Request) -> BaseModel:
        parsed(NoParameters, request.query_params)
        taken = self._taken(request)
        return Budgets(
            taken_at=taken.taken_at, costs_at=taken.costs_at, data=[budget_document(budget) for budget in taken.budgets]
        )


class _Questions:
    """Answers from the ledger, which are read when they are asked for."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def usage(self, request: Request) -> BaseModel:
        asked = parsed(UsageParameters, request.query_params)
        ledger = visible_ledger(self._ledger, seen(request.scope))
        today = ledger.now().date()
        to = asked.to or today
        from_ = asked.from_ or (
            to.replace(day=1) if asked.by is Step.MONTH else to - min(DAYS_BY_DEFAULT, to - date.min)
        )
        if from_ > to:
            raise Refused(422, f"from={from_} is after to={to}; without `to` it is today, {today} (UTC)")
        from_, to = max(from_, EARLIEST), min(to, today)
        chosen = Chosen(workspace_id=asked.workspace, project_id=asked.project, database_id=asked.database)
        if asked.by is Step.MONTH:
            return await self._months(ledger, from_, to, asked.group, chosen)
        last = min(to, from_ + DAYS_AT_ONCE)
        rows, next_from = await ledger.days(from_, last, asked.group, chosen, most_rows=ROWS_AT_ONCE)
        if next_from is None and last < to:
            next_from = last + timedelta(days=1)
        data = await asyncio.to_thread(lambda: [usage_document(row) for row in rows])
        return UsageRows(data=data, next_from=next_from)

    async def _months(self, ledger: Ledger, from_: date, to: date, group: By, chosen: Chosen) -> UsageRows:
        data: list[UsageDocument] = []
        month, last, now = day_start(from_.replace(day=1)), day_start(to), ledger.now()
        for _ in range(MONTHS_AT_ONCE):
            if month > last:
                return UsageRows(data=data, next_from=None)
            read = await ledger.month(last_instant(month, now))
            data += [usage_document(row) for row in usage_of_month(read, group, chosen)]
            month = next_month_start(month)
        return UsageRows(data=data, next_from=month.date() if month <= last else None)

    async def cost(self, request: Request) -> BaseModel:
        asked = parsed(CostParameters, request.query_params)
        ledger = visible_ledger(self._ledger, seen(request.scope))
        now = ledger.now()
        starts_at = datetime(asked.month.year, asked.month.month, 1, tzinfo=UTC) if asked.month else now
        if starts_at > now:
            raise Refused(422, f"month={starts_at:%Y-%m} has not begun; this month is {now:%Y-%m}")
        if asked.project is not None and asked.by is By.WORKSPACE:
            raise Refused(422, "project is of no use by=workspace; ask by=project or by=database")
        read = await ledger.month(last_instant(starts_at, now) if asked.month else now)
        chosen = Chosen(workspace_id=asked.workspace, project_id=asked.project)
        rows = [row for row in read.rows(asked.by) if chosen.has(row.workspace_id, row.project_id, row.database_id)]
        is_part = asked.workspace is not None or asked.project is not None
        return cost_rows_answer(read, rows, beside(read, asked.by), is_part=is_part)


def _place(view: DatabaseView) -> tuple[str, ...]:
    return view.workspace_id, view.project_id, view.database_id


async def _on_unreadable(_: Request, error: Exception) -> Response:
    return problem_answer(503, str(error), {"Retry-After": RETRY_SECONDS})
