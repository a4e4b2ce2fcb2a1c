"""The pages of one workspace, one project and one database: what each costs, its days, and what happened to it."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from prisma_postgres_exporter.cost import Bill, Usage, WorkspaceCost, add_bills, add_up, share_out
from prisma_postgres_exporter.expose.pages.attention import (
    Alert,
    days_left,
    of_databases,
    of_workspace,
    reaches,
    saving_alert,
    spend_sentence,
)
from prisma_postgres_exporter.expose.pages.drawing import count, cut, draw, least, parts, short, size, usd
from prisma_postgres_exporter.expose.pages.listing import Asked, Listing, databases, is_failing, operations_of
from prisma_postgres_exporter.expose.pages.overview import line_of
from prisma_postgres_exporter.expose.pages.plots import Band, Bars, band, bars
from prisma_postgres_exporter.expose.pages.use import Meter, meters
from prisma_postgres_exporter.expose.status import ServiceStatus
from prisma_postgres_exporter.forecast import Forecast, forecast_operations
from prisma_postgres_exporter.model import Happened, WorkspaceDay, day_start
from prisma_postgres_exporter.report import CostLine, MonthCosts, UsageRow, event_sentence, knowledge
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

DAYS_DRAWN = timedelta(days=60)
HAPPENED = 12
"""How many revisions and events a page lists."""

PROJECTS = 25
NOTHING_HAPPENED, NOTHING_ASKED = Happened(), Asked()
NOT_KNOWN = "not known yet"
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the ledger says of a place: its days, oldest first, and what happened; or why it cannot say."""

    days: Sequence[UsageRow] = ()
    happened: Happened = NOTHING_HAPPENED
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day; what is not known is `None`, and where not `is_complete` operations are at least so many."""

    day: date
    operations: int | None
    storage_bytes: int | None
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One number that counts, and what is to be known of it."""

    label: str
    value: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project's databases together."""

    project_id: str
    name: str
    databases: int
    operations: int | None
    storage_bytes: int | None
    bill: Bill


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the page of a workspace, project or database shows, as `place.html` draws it.

    `above` are the places that hold it, as kind, path and name. `charges` and `month` are `None` where nothing can be
    drawn, and `no_charges` and `no_month` say why.
    """

    kind: str
    id_: str
    name: str
    above: Sequence[tuple[str, str, str]]
    cards: Sequence[Card]
    meters: Sequence[tuple[str, Meter]]
    alerts: Sequence[Alert]
    notes: Sequence[str]
    told: Told
    days: Sequence[Day]
    plots: Sequence[Bars]
    charges: Bars | None
    no_charges: str
    month: Band | None
    no_month: str
    revisions: tuple[int, int]
    events: Sequence[str]
    projects: Sequence[ProjectRow] = ()
    more_projects: int = 0
    failing: int = 0
    databases: Listing[DatabaseView] | None = None
    asked: Asked = NOTHING_ASKED
    view: DatabaseView | None = None
    workspace: WorkspaceView | None = None
    collected_by: str | None = None


def workspace_page(
    status: ServiceStatus,
    snapshot: Snapshot,
    view: WorkspaceView,
    costs: MonthCosts | str | None,
    told: Told,
    asked: Asked,
) -> str:
    """A whole HTML document about one workspace of `snapshot`."""
    now, views = status.now_at, [row for row in snapshot.databases if row.workspace_id == view.workspace_id]
    lines = costs.lines if isinstance(costs, MonthCosts) else ()
    line = next((line for line in lines if line.workspace_id == view.workspace_id), line_of(view))
    days = _of_workspace(status.workspace_days.get(view.workspace_id, ()))
    charges, no_charges = _charges(line.bill, days, now)
    month, no_month = _money_month(line, view.cost, days, now)
    reached = [reach for reach in reaches(snapshot, now) if reach.path == f"workspaces/{view.workspace_id}"]
    projects = _projects(views)
    alerts = [
        *of_workspace(view),
        *of_databases(views, status),
        *(Alert(tone="warn", subject=reach.title, text=f"{reach.text} {reach.todo}") for reach in reached),
        *((saving_alert(line, line.saving),) if line.saving is not None else ()),
    ]
    return _drawn(
        now,
        Place(
            kind="Workspace",
            id_=view.workspace_id,
            name=view.workspace_name or view.workspace_id,
            above=(),
            cards=(
                *_money_cards(line, now),
                Card(
                    label="Next limit",
                    value=days_left(reached[0], now) if reached else "none in sight",
                    text=reached[0].title if reached else spend_sentence(view.cost or WorkspaceCost()),
                ),
            ),
            meters=tuple(
                (name, meter)
                for name, meter in zip(("Operations", "Storage, as the month's average"), meters(view), strict=True)
                if meter is not None
            ),
            alerts=alerts,
            notes=tuple(_knowledge(view.usage)),
            told=told,
            days=days,
            plots=_plots(days),
            charges=charges,
            no_charges=no_charges,
            month=month,
            no_month=no_month,
            revisions=_revisions(views),
            events=_events(told.happened, snapshot),
            projects=projects[:PROJECTS],
            more_projects=max(0, len(projects) - PROJECTS),
            databases=databases(views, asked),
            failing=sum(map(is_failing, views)),
            asked=asked,
            workspace=view,
            collected_by=status.collected_by.get(view.workspace_id),
        ),
    )


def project_page(status: ServiceStatus, snapshot: Snapshot, project_id: str, told: Told, asked: Asked) -> str:
    """A whole HTML document about one project of `snapshot`."""
    now, views = status.now_at, [row for row in snapshot.databases if row.project_id == project_id]
    usage, bill, days = (
        add_up(view.usage for view in views),
        add_bills(view.cost for view in views),
        _of_rows(told.days),
    )
    charges, no_charges = _charges(bill, days, now)
    month, no_month = _operations_month(days, now)
    return _drawn(
        now,
        Place(
            kind="Project",
            id_=project_id,
            name=views[0].project_name or project_id,
            above=(_workspace_link(views[0]),),
            cards=(
                _share_card(bill, now),
                Card(label=f"Operations in {now:%B}", value=_least_count(usage), text=f"{len(views):,} databases"),
                Card(label="Storage now", value=size(_sum(view.storage_bytes for view in views))),
            ),
            meters=(),
            alerts=tuple(of_databases(views, status)),
            notes=(
                *_knowledge(usage),
                "Of the databases that are there now: deleted ones are in the workspace's cost.",
            ),
            told=told,
            days=days,
            plots=_plots(days),
            charges=charges,
            no_charges=no_charges,
            month=month,
            no_month=no_month,
            revisions=_revisions(views),
            events=_events(told.happened, snapshot),
            databases=databases(views, asked),
            failing=sum(map(is_failing, views)),
            asked=asked,
        ),
    )


def database_page(status: ServiceStatus, snapshot: Snapshot, view: DatabaseView, told: Told) -> str:
    """A whole HTML document about one database."""
    now, days = status.now_at, _of_rows(told.days)
    charges, no_charges = _charges(view.cost, days, now)
    month, no_month = _operations_month(days, now)
    here, all_of_it = operations_of(view), view.month_to_date_operations
    is_part = here is not None and all_of_it is not None and here < all_of_it
    return _drawn(
        now,
        Place(
            kind="Database",
            id_=view.database_id,
            name=view.database_name or view.database_id,
            above=(
                _workspace_link(view),
                ("Project", f"projects/{view.project_id}", view.project_name or view.project_id),
            ),
            cards=(
                _share_card(view.cost, now),
                Card(
                    label=f"Operations in {now:%B}",
                    value=count(all_of_it),
                    text=f"Of which {here:,} are known of this workspace" if is_part else "",
                ),
                Card(label="Storage now", value=size(view.storage_bytes)),
            ),
            meters=(),
            alerts=tuple(of_databases((view,), status)),
            notes=(*_waits(status.waits.get(view.database_id)), *_knowledge(view.usage)),
            told=told,
            days=days,
            plots=_plots(days),
            charges=charges,
            no_charges=no_charges,
            month=month,
            no_month=no_month,
            revisions=_revisions((view,)),
            events=_events(told.happened, snapshot),
            view=view,
        ),
    )


def missing_page(path: str) -> str:
    """A whole HTML document for what is not there, with a way back; `path` is the one that was asked for."""
    return draw("missing.html", path=path, root="../" * (path.count("/") - 1) or "./")


def _drawn(now: datetime, place: Place) -> str:
    return draw("place.html", place=place, now=now, root="../")


# Money --------------------------------------------------------------------------------------------
def _money_cards(line: CostLine, now: datetime) -> Iterator[Card]:
    bill = line.bill
    known = NOT_KNOWN if bill is None else least(bill.known, bill.total is not None)
    yield Card(label=f"{now:%B} so far", value=known, text=parts(bill))
    bounds = "" if None in (line.low_usd, line.high_usd) else f"{usd(line.low_usd)} – {usd(line.high_usd)}"
    last = line.beside.last_month_usd
    yield Card(
        label="Whole month, expected",
        value=least(line.expected_usd, line.is_expected_complete),
        text="; ".join(part for part in (bounds, f"last month {usd(last)}" if last is not None else "") if part),
    )


def _share_card(bill: Bill | None, now: datetime) -> Card:
    is_known = bill is not None and bill.known is not None
    value = least(bill.known, bill.total is not None) if bill is not None and is_known else NOT_KNOWN
    text = f"Its share of the workspace's cost: {parts(bill)}" if is_known else ""
    return Card(label=f"Cost in {now:%B} so far", value=value, text=text)


def _charges(bill: Bill | None, days: Sequence[Day], now: datetime) -> tuple[Bars | None, str]:
    """What each day of this month has of its charges, which are dealt out by operations and by storage."""
    if bill is None or bill.known_charges is None:
        return None, "What is charged for usage is not known yet."
    if not bill.charges:
        return None, "No usage is charged so far: what is used is included, or the plan stops there."
    by_day = _dealt(bill, days, now)
    label = "Charges a day, without the fee" + ("" if bill.are_charges_known else "; at least so much is charged")
    points = [(f"{day}", None if cents is None else cents) for day, cents in by_day]
    drawn = bars(points, label, lambda cents: usd(Decimal(cents) / 100))
    return drawn, "No day of this month is known yet."


def _dealt(bill: Bill, days: Sequence[Day], now: datetime) -> Sequence[tuple[date, int | None]]:
    """Each day's cents, which add up to the charges."""
    month = [day for day in days if (day.day.year, day.day.month) == (now.year, now.month)]
    operations = {f"{day.day}": day.operations or 0 for day in month}
    storage = {f"{day.day}": (day.storage_bytes or 0) * _elapsed_seconds(day.day, now) for day in month}
    dealt = [
        share_out(amount, weights) if amount and any(weights.values()) else {}
        for amount, weights in ((bill.operations, operations), (bill.storage, storage))
    ]
    return [
        (
            day.day,
            None
            if day.operations is None and day.storage_bytes is None
            else int(sum(part.get(f"{day.day}", Decimal(0)) for part in dealt) * 100),
        )
        for day in month
    ]


def _elapsed_seconds(day: date, now: datetime) -> int:
    return int(min(ONE_DAY, now - day_start(day)).total_seconds())


def _money_month(
    line: CostLine, cost: WorkspaceCost | None, days: Sequence[Day], now: datetime
) -> tuple[Band | None, str]:
    """The month's cost day by day, and where it is meant to end."""
    bill = line.bill
    if bill is None or bill.known is None or bill.fee is None:
        return None, f"The cost is not known{f': {cost.unpriced}' if cost and cost.unpriced else ' yet'}."
    if line.low_usd is None or line.expected_usd is None or line.high_usd is None:
        return None, f"Nothing can be expected yet{_needs(cost)}."
    cents = [value or 0 for _, value in _dealt(bill, days, now)]
    sums = [float(bill.fee) + part / 100 for part in accumulate(cents, initial=0)]
    ends = (float(line.low_usd), float(line.expected_usd), float(line.high_usd))
    label = f"Cost of {now:%B}, the fee first, and where it will end"
    return band(sums, monthrange(now.year, now.month)[1], ends, label, lambda amount: f"${amount:,.2f}"), ""


def _needs(cost: WorkspaceCost | None) -> str:
    return f"; the forecast had to do without {cost.forecast_missing}" if cost and cost.forecast_missing else ""


def _operations_month(days: Sequence[Day], now: datetime) -> tuple[Band | None, str]:
    """The month's operations day by day, and where they are meant to end."""
    today = now.date()
    known = [day.operations for day in days if day.day < today]
    of_today = next((day.operations for day in days if day.day == today), None)
    ahead: Forecast | None = forecast_operations(known, today_operations=of_today, now=now)
    if ahead is None:
        return None, "Nothing can be expected yet: fewer than seven days are known."
    by_day = {day.day: day.operations or 0 for day in days}
    month = [by_day.get(today.replace(day=number), 0) for number in range(1, today.day + 1)]
    sums = [float(value) for value in accumulate(month, initial=0)]
    ends = (float(ahead.low), float(ahead.expected), float(ahead.high))
    label = f"Operations of {now:%B}, and where they will end"
    return band(sums, monthrange(now.year, now.month)[1], ends, label, lambda value: short(round(value))), ""


# Days ---------------------------------------------------------------------------------------------
def _of_workspace(days: Iterable[WorkspaceDay]) -> Sequence[Day]:
    """A workspace's newest days, with those between that nobody read."""
    known = {day.day: day for day in days}
    if not known:
        return ()
    last, first = max(known), max(min(known), max(known) - DAYS_DRAWN)
    return [
        Day(
            day=day,
            operations=row.operations if row else None,
            storage_bytes=row.storage_bytes if row else None,
            is_complete=row is not None and not row.absent,
        )
        for day in (first + number * ONE_DAY for number in range((last - first).days + 1))
        for row in (known.get(day),)
    ]


def _of_rows(rows: Iterable[UsageRow]) -> Sequence[Day]:
    return [
        Day(
            day=date.fromisoformat(row.period),
            operations=row.operations,
            storage_bytes=row.mean_storage_bytes,
            is_complete=row.days_known >= row.days,
        )
        for row in rows
    ]


def _plots(days: Sequence[Day]) -> Sequence[Bars]:
    drawn = (
        bars([(f"{day.day}", day.operations) for day in days], "Operations a day", count),
        bars([(f"{day.day}", day.storage_bytes) for day in days], "Storage, mean of a day", size),
    )
    return [plot for plot in drawn if plot is not None]


# The rest -----------------------------------------------------------------------------------------
def _projects(views: Iterable[DatabaseView]) -> Sequence[ProjectRow]:
    """A workspace's projects, the most expensive first."""
    held: dict[str, list[DatabaseView]] = {}
    for view in views:
        held.setdefault(view.project_id, []).append(view)
    rows = [
        ProjectRow(
            project_id=id_,
            name=of_it[0].project_name or id_,
            databases=len(of_it),
            operations=_sum(map(operations_of, of_it)),
            storage_bytes=_sum(view.storage_bytes for view in of_it),
            bill=add_bills(view.cost for view in of_it),
        )
        for id_, of_it in held.items()
    ]
    return sorted(rows, key=lambda row: (-(row.bill.known or 0), -(row.operations or 0), row.name, row.project_id))


def _workspace_link(view: DatabaseView) -> tuple[str, str, str]:
    return "Workspace", f"workspaces/{view.workspace_id}", view.workspace_name or view.workspace_id


def _knowledge(usage: Usage) -> Iterator[str]:
    if not usage.is_complete:
        yield f"Not all of this month is known: {knowledge(usage)}."


def _waits(until: datetime | None) -> Iterator[str]:
    if until is not None:
        yield f"Not asked before {until:%H:%M} UTC, as the vendor asked."


def _least_count(usage: Usage) -> str:
    return f"{'' if usage.are_operations_known or usage.operations is None else 'at least '}{count(usage.operations)}"


def _revisions(views: Iterable[DatabaseView]) -> tuple[int, int]:
    listed = list(views)
    return sum(view.revisions_up for view in listed), sum(view.revisions_down for view in listed)


def _events(happened: Happened, snapshot: Snapshot) -> Sequence[str]:
    names = {view.workspace_id: view.workspace_name for view in snapshot.workspaces} | dict(happened.names)
    short = {id_: cut(name) for id_, name in names.items()}
    return [
        event_sentence(replace(event, before=_cut(event.before), after=_cut(event.after)), short)
        for event in happened.events
    ]


def _cut(name: str | None) -> str | None:
    return None if name is None else cut(name)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
