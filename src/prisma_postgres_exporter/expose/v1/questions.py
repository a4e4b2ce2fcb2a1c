"""Answers from the ledger, which is read when they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from prisma_postgres_exporter.cost import By, CostRow
from prisma_postgres_exporter.documents import UsageRows, cost_rows_answer, usage_document
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.expose.v1.parameters import CostParameters, Step, UsageParameters
from prisma_postgres_exporter.expose.v1.problems import not_there
from prisma_postgres_exporter.expose.v1.writing import Writing
from prisma_postgres_exporter.expose.visible import seen, visible_ledger
from prisma_postgres_exporter.model import day_start, next_month_start
from prisma_postgres_exporter.report import Chosen, LedgerMonth, UsageRow, beside, last_instant, usage_of_month

ROWS_AT_ONCE = 10_000
MONTHS_AT_ONCE = 12
DAYS_AT_ONCE = timedelta(days=365)
"""However few rows come out, so many days may have to be read for them."""
DAYS_BY_DEFAULT = timedelta(days=30)
EARLIEST = date(2020, 1, 1)
"""The vendor has no usage from before."""


class Questions:
    """Answers from what `ledger` knows, as far as whoever asks may see it."""

    def __init__(self, ledger: Ledger, write: Writing) -> None:
        self._ledger = ledger
        self._write = write

    async def list_usage(self, request: Request, asked: Annotated[UsageParameters, Query()]) -> Response:
        """Operations and storage by day or month, deleted databases included, from the ledger."""
        ledger = visible_ledger(self._ledger, seen(request.scope))
        today = ledger.now().date()
        to = asked.to or today
        from_ = asked.from_ or (
            to.replace(day=1) if asked.by is Step.MONTH else to - min(DAYS_BY_DEFAULT, to - date.min)
        )
        if from_ > to:
            raise HTTPException(422, f"from={from_} is after to={to}; without `to` it is today, {today} (UTC)")
        from_, to = max(from_, EARLIEST), min(to, today)
        chosen = Chosen(workspace_id=asked.workspace, project_id=asked.project, database_id=asked.database)
        read = _months if asked.by is Step.MONTH else _days
        rows, next_from = await read(ledger, from_, to, asked.group, chosen)
        if not rows and (unknown := await ledger.unknown(chosen)):
            raise not_there(unknown)
        return await self._write(lambda: UsageRows(data=[usage_document(row) for row in rows], next_from=next_from))

    async def list_cost(self, request: Request, asked: Annotated[CostParameters, Query()]) -> Response:
        """What a month costs so far, cost or will cost, from the ledger."""
        ledger = visible_ledger(self._ledger, seen(request.scope))
        now = ledger.now()
        starts_at = datetime(asked.month.year, asked.month.month, 1, tzinfo=UTC) if asked.month else now
        if starts_at > now:
            raise HTTPException(422, f"month={starts_at:%Y-%m} has not begun; this month is {now:%Y-%m}")
        if asked.project is not None and asked.by is By.WORKSPACE:
            raise HTTPException(422, "project is of no use by=workspace; ask by=project or by=database")
        chosen = Chosen(workspace_id=asked.workspace, project_id=asked.project)
        is_part = asked.workspace is not None or asked.project is not None
        read = await ledger.month(last_instant(starts_at, now) if asked.month else now)

        rows = await asyncio.to_thread(_chosen_rows, read, asked.by, chosen)
        if not rows and (unknown := await ledger.unknown(chosen)):
            raise not_there(unknown)
        return await self._write(lambda: cost_rows_answer(read, rows, beside(read, asked.by), is_part=is_part))


def _chosen_rows(month: LedgerMonth, by: By, chosen: Chosen) -> Sequence[CostRow]:
    return [row for row in month.rows(by) if chosen.has(row.workspace_id, row.project_id, row.database_id)]


async def _days(ledger: Ledger, from_: date, to: date, group: By, chosen: Chosen) -> tuple[list[UsageRow], date | None]:
    last = min(to, from_ + DAYS_AT_ONCE)
    rows, next_from = await ledger.days(from_, last, group, chosen, most_rows=ROWS_AT_ONCE)
    return rows, last + timedelta(days=1) if next_from is None and last < to else next_from


async def _months(
    ledger: Ledger, from_: date, to: date, group: By, chosen: Chosen
) -> tuple[list[UsageRow], date | None]:
    rows: list[UsageRow] = []
    month, last, now = day_start(from_.replace(day=1)), day_start(to), ledger.now()
    for _ in range(MONTHS_AT_ONCE):
        if month > last or len(rows) >= ROWS_AT_ONCE:
            break
        read = await ledger.month(last_instant(month, now))
        rows += await asyncio.to_thread(usage_of_month, read, group, chosen)
        month = next_month_start(month)
    return rows, month.date() if month <= last else None
