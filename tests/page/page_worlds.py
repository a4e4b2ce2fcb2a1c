"""Worlds for the pages beside the demo's: odd names, many databases, nothing, and everything failing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from expose_views import A_DATABASE, A_WORKSPACE, NOW, exposition_of, serving
from test_expose_web import A_STATUS

from prisma_postgres_exporter.cost import (
    Bill,
    BudgetState,
    By,
    Outlook,
    Saving,
    SpendLimit,
    Usage,
    WorkspaceCost,
    add_bills,
    add_up,
)
from prisma_postgres_exporter.expose import CredentialStatus, PushStatus, ServiceStatus, web_app
from prisma_postgres_exporter.expose.ledger import Ledger
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.model import Event, EventKind, Happened, Revision
from prisma_postgres_exporter.report import (
    Beside,
    Chosen,
    CostLine,
    Day,
    Departed,
    LedgerMonth,
    MonthCosts,
    ProjectLine,
    UsageRow,
)
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

LONG = "n" * 20_000
ODD_NAMES = (
    LONG,
    "the quick brown fox " * 400,
    "",
    "<script>alert(1)</script>",
    "\u202eright to left\u202c",
    "\ud83d lone \0 nul",
    "🐘" * 300,
    "مرحبا بالعالم",
    "#comment ?q=1&b=2 %2f / ../..",
)
GIB = 2**30


class ToldLedger(Ledger):
    """A ledger that remembers what it is to tell: sixty days of any place, its revisions and its events."""

    def __init__(self, costs: MonthCosts) -> None:
        self._costs = costs

    def now(self) -> datetime:
        return NOW

    async def month(self, until: datetime) -> LedgerMonth:
        raise NotImplementedError

    async def this_month(self) -> LedgerMonth:
        raise NotImplementedError

    async def costs(self) -> MonthCosts | str | None:
        return self._costs

    async def unknown(self, chosen: Chosen) -> tuple[str, ...]:
        return ()

    async def days(
        self, from_day: date, to_day: date, by: By, chosen: Chosen, *, most_rows: int
    ) -> tuple[list[UsageRow], date | None]:
        return [
            UsageRow(
                period=f"{from_day + timedelta(days=number)}",
                workspace_id="wksp_a",
                workspace_name="",
                project_id=None,
                project_name=None,
                database_id=None,
                database_name=None,
                operations=None if number % 9 == 3 else number * 10**6,
                days_known=1,
                days=2 if number % 5 == 0 else 1,
                mean_storage_bytes=number * GIB,
                storage_covered_ratio=1.0,
                is_usage_complete=True,
            )
            for number in range((to_day - from_day).days + 1)
        ], None

    async def outlook(self, chosen: Chosen) -> Outlook:
        return Outlook(operations=Forecast(low=10**9, expected=2 * 10**9, high=3 * 10**9))

    async def newest(self, chosen: Chosen, from_day: date, *, most: int) -> Happened:
        revision = Revision(
            database_key=1, day=NOW.date(), revised_at=NOW, operations_before=10**12, operations_after=10**12 - 1
        )
        event = Event(at=NOW, kind=EventKind.RENAMED, subject="database", subject_id="db_0", workspace_id="wksp_0")
        events = tuple(replace(event, before=name, after=LONG) for name in ODD_NAMES)
        return Happened(revisions=(("db_0", revision),) * most, events=events, names={"db_0": LONG})


def bill(amount: int, *, is_known: bool = True) -> Bill:
    return Bill(fee=Decimal(10), operations=Decimal(amount), storage=Decimal(0), are_operations_known=is_known)


def workspace(number: int, name: str, plan: str) -> WorkspaceView:
    used = Usage(known_operations=number * 10**6, days=23, days_known=22, storage_seconds=5, storage_seconds_known=4)
    cost = WorkspaceCost(
        plan=plan,
        included_operations=10**6,
        included_storage_bytes=10 * GIB,
        bill=bill(number, is_known=False),
        low_bill=bill(number),
        expected_bill=bill(2 * number),
        high_bill=bill(3 * number),
        expected_operations=Forecast(low=1, expected=2, high=3),
        spend_limit=SpendLimit(usd=Decimal(50)),
        limits=(("spend_limit" if plan != "Free" else "free_operations", NOW + timedelta(hours=number)),),
    )
    return replace(
        A_WORKSPACE,
        workspace_id=f"wksp_{number}",
        workspace_name=name,
        plan=plan,
        usage=used,
        month_to_date_operations=used.operations,
        cost=cost,
    )


def database(number: int, name: str, of: WorkspaceView) -> DatabaseView:
    return replace(
        A_DATABASE,
        workspace_id=of.workspace_id,
        workspace_name=of.workspace_name,
        database_id=f"db_{number}",
        database_name=name,
        project_id=f"proj_{number % 40}",
        project_name=name,
        month_to_date_operations=number * 10**9,
        usage=Usage(known_operations=number * 10**9, days=23, days_known=23),
        storage_bytes=number * 10**7,
        cost=bill(number, is_known=number % 2 == 0),
    )


def status_of(workspaces: Sequence[WorkspaceView], databases: Sequence[DatabaseView]) -> ServiceStatus:
    budget = BudgetState(
        name=LONG, limit_usd=Decimal(10), thresholds=(), databases=1, spent_usd=Decimal(9), expected_usd=Decimal(12)
    )
    snapshot = Snapshot(taken_at=NOW, workspaces=tuple(workspaces), databases=tuple(databases), budgets=(budget,))
    days = [
        Day(day=NOW.date() - timedelta(days=back), operations=back * 1000, storage_bytes=GIB)
        for back in range(60, -1, -1)
        if back % 7
    ]
    by_workspace = {view.workspace_id: days for view in workspaces}
    return replace(A_STATUS, snapshot=snapshot, workspace_days=by_workspace, notes=(LONG, "A note."))


def odd_names() -> ServiceStatus:
    workspaces = [workspace(number, name, "Pro") for number, name in enumerate(ODD_NAMES)]
    databases = [database(number, name, workspaces[number]) for number, name in enumerate(ODD_NAMES)]
    return status_of(workspaces, databases)


def ten_thousand() -> ServiceStatus:
    workspaces = [workspace(number, f"workspace {number}", ("Starter", "Free")[number % 2]) for number in range(1_000)]
    databases = [database(number, f"database {number}", workspaces[number % 1_000]) for number in range(10_000)]
    return status_of(workspaces, databases)


def nothing() -> ServiceStatus:
    return replace(A_STATUS, not_ready_reason="nothing is stored yet and no round has finished")


def everything_failing() -> ServiceStatus:
    workspaces = [
        replace(
            workspace(number, f"workspace {number}", "Free"),
            is_up=False,
            is_usage_blocked=True,
            failure_reason="http_401",
            month_to_date_operations=None,
            cost=WorkspaceCost(unpriced="the API did not say its plan yet"),
        )
        for number in range(30)
    ]
    databases = [
        replace(
            database(number, f"database {number}", workspaces[number % 30]),
            is_up=False,
            failing_since_at=NOW - timedelta(hours=number),
            failure_reason=("timeout", "http_500", "absurd_number")[number % 3],
            cost=None,
            month_to_date_operations=None,
            storage_bytes=None,
        )
        for number in range(300)
    ]
    push = PushStatus(
        target="otlp",
        url="https://otlp.example",
        last_success_at=None,
        failing_since_at=NOW - timedelta(days=3),
        problem="http_503",
        waiting_since_at=NOW - timedelta(days=3),
    )
    credentials = tuple(
        CredentialStatus(name=f"token-{number}", is_up=False, reason="http_401", failing_since_at=NOW)
        for number in range(30)
    )
    return replace(
        status_of(workspaces, databases),
        unhealthy_reason="the rounds of workspace wksp_1 have stopped",
        store_error="database or disk is full",
        reload_error="poll.interval: is not valid",
        reload_failing_since_at=NOW,
        credentials=credentials,
        pushes=(push,),
    )


WORLDS: Mapping[str, ServiceStatus] = {
    "odd names": odd_names(),
    "ten thousand": ten_thousand(),
    "nothing": nothing(),
    "everything failing": everything_failing(),
}


def costs_of(status: ServiceStatus) -> MonthCosts:
    views = status.snapshot.workspaces if status.snapshot else ()
    saving = Saving(own_plan="Starter", own_usd=Decimal("326.96"), plan="Pro", would_usd=Decimal("98.96"))
    lines = [
        CostLine(
            workspace_id=view.workspace_id,
            name=view.workspace_name,
            bill=view.cost.bill if view.cost else None,
            expected_usd=Decimal(number),
            is_expected_complete=number % 3 != 0,
            beside=Beside(
                last_month_usd=Decimal(123_456), last_month_known_usd=Decimal(123_456), change_usd=Decimal(-5)
            ),
            low_usd=Decimal(number),
            high_usd=Decimal(number + 9),
            saving=saving if number % 400 == 1 else None,
        )
        for number, view in enumerate(views)
    ]
    total = replace(lines[0], workspace_id=None, name="total", saving=None) if lines else None
    listed = (*lines, total) if total is not None else ()
    return MonthCosts(
        name="2026-11", until=NOW, lines=listed, notes=(LONG, "A note."), projects=tuple(_projects_of(status))
    )


def _projects_of(status: ServiceStatus) -> Iterator[ProjectLine]:
    held: dict[tuple[str, str], list[DatabaseView]] = {}
    for view in status.snapshot.databases if status.snapshot else ():
        held.setdefault((view.workspace_id, view.project_id), []).append(view)
    for (workspace_id, project_id), views in held.items():
        yield ProjectLine(
            workspace_id=workspace_id,
            project_id=project_id,
            name=views[0].project_name,
            usage=add_up(view.usage for view in views),
            bill=add_bills(view.cost for view in views),
            departed=Departed(deleted=len(views) % 3, moved=1, usage=views[0].usage, bill=views[0].cost),
        )


@contextmanager
def served(status: ServiceStatus) -> Iterator[str]:
    """The pages about a world behind a real server, in a loop and a thread of their own; gives their URL."""
    ready, done, urls = threading.Event(), threading.Event(), list[str]()
    app = web_app(
        exposition_of(status.snapshot or Snapshot(taken_at=NOW)),
        lambda: status,
        None,
        ledger=ToldLedger(costs_of(status)),
    )

    async def serve() -> None:
        async with serving(app) as url:
            urls.append(url)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield urls[0]
    finally:
        done.set()
        thread.join()
