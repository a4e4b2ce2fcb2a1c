"""The first page: what it costs, what will stop and when, what fails, who spends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from prisma_postgres_exporter.cost import Bill, WorkspaceCost, add_bills
from prisma_postgres_exporter.expose.pages.attention import Alert, Reach, alerts, blocked, days_left, reaches
from prisma_postgres_exporter.expose.pages.drawing import draw
from prisma_postgres_exporter.expose.pages.freshness import Freshness, Search, freshness, search
from prisma_postgres_exporter.expose.pages.listing import (
    Asked,
    Gone,
    Listing,
    costliest_projects,
    databases,
    gone,
    is_failing,
    one_page,
)
from prisma_postgres_exporter.expose.pages.plots import label_of_days, sparkline
from prisma_postgres_exporter.expose.pages.use import Meter, allowances, meters
from prisma_postgres_exporter.expose.status import ServiceStatus
from prisma_postgres_exporter.model import previous_month_start
from prisma_postgres_exporter.report import LEFT_OUT, Beside, CostLine, Day, MonthCosts, total_of_lines
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

SPARK_DAYS = 30
NAMED_AHEAD = 3
"""So many limits and budgets that will be reached stand behind the nearest; further limits are told below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRow:
    """One workspace beside what it costs; `view` is `None` where it is gone."""

    line: CostLine
    view: WorkspaceView | None = None
    is_blocked: bool = False
    operations: Meter | None = None
    storage: Meter | None = None
    spark: str = ""
    spark_label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the first page shows, as `overview.html` draws it.

    `total` is `None` where there is no workspace. While it `is_reading`, last month is not here yet. `then`
    are the nearest after `reach` that are not reached yet; `then_more` limits after them are among the alerts.
    """

    status: ServiceStatus
    asked: Asked
    total: CostLine | None
    month: str
    last_month: str
    is_reading: bool
    costs_until: datetime | None
    reach: Reach | None
    reach_when: str
    then: Sequence[Reach]
    then_more: int
    is_any_reached: bool
    is_every_cost_expected: bool
    alerts: Sequence[Alert]
    notes: Sequence[str]
    workspaces: Listing[WorkspaceRow]
    databases: Listing[DatabaseView]
    gone: Gone | None
    included: Mapping[str, int | None]
    failing: int
    freshness: Freshness | None
    search: Search | None
    costliest: Sequence[tuple[str | None, str, Bill]]


def status_page(
    status: ServiceStatus, snapshot: Snapshot | None, costs: MonthCosts | str | None, asked: Asked | None = None
) -> str:
    """A whole HTML document about what is in `snapshot`.

    `costs` are those of this month, or why they cannot be had, `None` while they are read.
    """
    page = overview(status, snapshot, costs, asked or Asked())
    return draw("overview.html", page=page, now=status.now_at, root="./")


def overview(
    status: ServiceStatus, snapshot: Snapshot | None, costs: MonthCosts | str | None, asked: Asked
) -> Overview:
    """Return what the first page shows."""
    now, views = status.now_at, snapshot.databases if snapshot else ()
    lines, total, until, notes = _money(snapshot, costs)
    reached = reaches(snapshot, now) if snapshot else []
    # What is over its limit already comes first, and not a second time below; a budget that is spent stops nothing.
    nearest = next((row for row in reached if row.at > now or row.is_at_console), None)
    ahead = [row for row in reached if row.at > now and row is not nearest]
    # Budgets have a table of their own.
    later = [row for row in ahead[NAMED_AHEAD:] if row.is_at_console]
    below = [row for row in reached if row.at <= now and row is not nearest]
    held = {view.workspace_id: view for view in snapshot.workspaces} if snapshot else {}
    shown = one_page(lines, asked.workspaces)
    stopped = blocked(snapshot) if snapshot else frozenset()
    rows = [
        replace(
            _row(line, held.get(line.workspace_id or ""), status.workspace_days, now),
            is_blocked=line.workspace_id in stopped,
        )
        for line in shown.rows
    ]
    return Overview(
        status=status,
        asked=asked,
        total=total,
        month=f"{now:%B}",
        last_month=f"{previous_month_start(now):%B}",
        is_reading=costs is None and snapshot is not None,
        costs_until=until,
        reach=nearest,
        reach_when="" if nearest is None else days_left(nearest, now),
        then=ahead[:NAMED_AHEAD],
        then_more=len(later),
        is_any_reached=any(reach.at <= now for reach in reached),
        is_every_cost_expected=all(line.expected_usd is not None and line.is_expected_complete for line in lines),
        alerts=alerts(status, snapshot, [*below, *later], lines),
        notes=notes,
        workspaces=Listing(rows=rows, found=shown.found, there=shown.there, page=shown.page, pages=shown.pages),
        databases=databases(views, asked),
        gone=gone(costs.projects if isinstance(costs, MonthCosts) else (), views, asked),
        included=allowances(held.values()),
        failing=sum(map(is_failing, views)),
        freshness=freshness(views),
        search=search(status.rounds),
        costliest=costliest_projects(costs, views),
    )


def line_of(view: WorkspaceView) -> CostLine:
    """What a workspace costs as the snapshot has it: without last month, which the ledger has."""
    cost = view.cost or WorkspaceCost()
    low, high = cost.expected_bounds
    return CostLine(
        workspace_id=view.workspace_id,
        name=view.workspace_name,
        bill=cost.bill,
        expected_usd=cost.expected_bill.total if cost.expected_bill is not None else None,
        is_expected_complete=cost.is_expected_complete,
        beside=Beside(),
        low_usd=low,
        high_usd=high,
    )


def _money(
    snapshot: Snapshot | None, costs: MonthCosts | str | None
) -> tuple[Sequence[CostLine], CostLine | None, datetime | None, Sequence[str]]:
    """The line of each workspace and of all of them, of when they are, and what is to be known of them."""
    views = snapshot.workspaces if snapshot else ()
    if isinstance(costs, MonthCosts):
        lines = [line for line in costs.lines if line.workspace_id is not None]
        # One that was found since costs nothing that is known yet, and is there all the same.
        told = {line.workspace_id for line in lines}
        new = [line_of(view) for view in views if view.workspace_id not in told]
        lines += new
        if new:
            total: CostLine | None = total_of_lines(lines, add_bills(line.bill for line in lines))
        else:
            total = costs.lines[-1] if costs.lines else None
        return lines, total, costs.until, costs.notes
    note = "The ledger is being read." if costs is None else f"The ledger cannot be read now: {costs}"
    lines = [line_of(view) for view in views]
    lines.sort(key=lambda line: -float(line.bill.known or 0) if line.bill else 0)
    until = snapshot.costs_at if snapshot else None
    return (
        lines,
        total_of_lines(lines, add_bills(line.bill for line in lines)) if lines else None,
        until,
        (note, LEFT_OUT),
    )


def _row(line: CostLine, view: WorkspaceView | None, days: Mapping[str, Sequence[Day]], now: datetime) -> WorkspaceRow:
    if view is None:
        return WorkspaceRow(line=line)
    operations, storage = meters(view)
    last = last_days(days.get(view.workspace_id, ()), now)
    return WorkspaceRow(
        line=line,
        view=view,
        operations=operations,
        storage=storage,
        spark=sparkline([day.operations if day else None for day in last]),
        spark_label=label_of_days(
            f"Operations of the last {SPARK_DAYS} days of {line.name}",
            [day.operations_qualifier for day in last if day is not None and day.operations is not None],
        ),
    )


def last_days(days: Iterable[Day], now: datetime) -> Sequence[Day | None]:
    """The last 30 days that are over, `None` for one that nobody read: today would end each line in a fall."""
    read = {(now.date() - day.day).days: day for day in days}
    return [read.get(back) for back in range(SPARK_DAYS, 0, -1)]
