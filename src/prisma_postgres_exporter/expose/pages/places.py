"""The pages of one workspace, one project and one database: what each costs, its days, and what happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from prisma_postgres_exporter.cost import NOTHING, UNREAD, Bill, Outlook, Usage, WorkspaceCost
from prisma_postgres_exporter.expose.pages.attention import (
    Alert,
    blocked,
    days_left,
    of_databases,
    of_workspace,
    reaches,
    saving_alert,
)
from prisma_postgres_exporter.expose.pages.days import charges_by_day, month_of_money, month_of_operations
from prisma_postgres_exporter.expose.pages.drawing import about, cost, cut, draw, least, parts, size, usd
from prisma_postgres_exporter.expose.pages.freshness import Freshness, Search, freshness, search
from prisma_postgres_exporter.expose.pages.listing import (
    Asked,
    Gone,
    Listing,
    databases,
    gone,
    is_failing,
    operations_of,
)
from prisma_postgres_exporter.expose.pages.overview import line_of
from prisma_postgres_exporter.expose.pages.plots import Band, Bars, bars_of_days
from prisma_postgres_exporter.expose.pages.use import Meter, allowances, meters, stops
from prisma_postgres_exporter.expose.status import ServiceStatus
from prisma_postgres_exporter.model import Happened, previous_month_start
from prisma_postgres_exporter.report import (
    NO_PROJECT,
    NONE,
    CostLine,
    Day,
    MonthCosts,
    ProjectLine,
    UsageRow,
    count,
    days_of_rows,
    event_sentence,
    knowledge,
    spend_sentence,
)
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView
from prisma_postgres_exporter.words import counted

HAPPENED = 12
"""How many revisions and events a page lists."""

NOTHING_HAPPENED, NOTHING_ASKED, NO_OUTLOOK = Happened(), Asked(), Outlook()
NOT_KNOWN = "not known yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the ledger says of a place: its days, oldest first, what happened and what is ahead; or why it cannot say.

    Of a workspace it says only what happened.
    """

    days: Sequence[UsageRow] = ()
    happened: Happened = NOTHING_HAPPENED
    ahead: Outlook = NO_OUTLOOK
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One number that counts, and what is to be known of it."""

    label: str
    value: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectRow:
    """A project: its databases that are there now, and what it used and cost with those that were deleted."""

    project_id: str | None
    name: str
    databases: int
    usage: Usage
    storage_bytes: int | None
    bill: Bill | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the page of a workspace, project or database of `snapshot` shows, as `place.html` draws it.

    `above` are the places that hold it, as kind, path and name. `views` are its databases, `projects` a workspace's,
    and `workspace` is it where it is one. `days_here` are those of `days` in the workspace that holds it. Of what
    cannot be drawn, `charges` and `month` say why.
    """

    status: ServiceStatus
    snapshot: Snapshot
    kind: str
    id_: str
    name: str
    workspace_id: str
    views: Sequence[DatabaseView]
    cards: Sequence[Card]
    alerts: Sequence[Alert]
    notes: Sequence[str]
    told: Told
    asked: Asked
    gone: Gone | None = None
    days: Sequence[Day]
    days_here: Sequence[Day]
    bill: Bill | None
    used: int | None
    month: Band | str
    above: Sequence[tuple[str, str, str]] = ()
    meters: Sequence[tuple[str, Meter]] = ()
    projects: Sequence[ProjectRow] = ()
    workspace: WorkspaceView | None = None

    def drawn(self) -> str:
        """The whole HTML document."""
        return draw("place.html", place=self, now=self.status.now_at, root="../", most_events=HAPPENED)

    @property
    def charges(self) -> Bars | str:
        """What it is charged by day."""
        own = [view for view in self.snapshot.workspaces if view.workspace_id == self.workspace_id]
        return charges_by_day(self.bill, self.days_here, self.used, self.status.now_at, is_free=any(map(stops, own)))

    @property
    def events(self) -> Sequence[str]:
        """What happened to it."""
        happened = self.told.happened
        names = {view.workspace_id: view.workspace_name for view in self.snapshot.workspaces} | dict(happened.names)
        short = {id_: cut(name) for id_, name in names.items()}
        # Old and new names are looked up too, which cuts them.
        named = {name: cut(name) for event in happened.events for name in (event.before, event.after) if name}
        return [event_sentence(event, named | short) for event in happened.events]

    @property
    def is_blocked(self) -> bool:
        """Whether the vendor blocks its workspace."""
        return self.workspace_id in blocked(self.snapshot)

    @property
    def collected_by(self) -> str | None:
        """The other process that collects it."""
        return self.status.collected_by.get(self.workspace_id)

    @property
    def plots(self) -> Sequence[Bars]:
        """Its days; a level, unlike a sum, does not grow with its day."""
        today = f"{self.status.now_at:%Y-%m-%d}"
        drawn = (
            bars_of_days(
                "Operations a day",
                [(f"{day.day}", day.operations, day.operations_qualifier) for day in self.days],
                count,
                today,
            ),
            bars_of_days(
                "Storage, mean of a day",
                [(f"{day.day}", day.storage_bytes, day.storage_qualifier) for day in self.days],
                partial(size, included_bytes=self.included_bytes),
            ),
        )
        return [plot for plot in drawn if plot is not None]

    @property
    def databases(self) -> Listing[DatabaseView]:
        """Its databases that are asked for."""
        return databases(self.views, self.asked)

    @property
    def included(self) -> Mapping[str, int | None]:
        """The storage that the plan of its workspace includes, by that one's id."""
        return allowances(view for view in self.snapshot.workspaces if view.workspace_id == self.workspace_id)

    @property
    def included_bytes(self) -> int | None:
        """The same alone."""
        return self.included.get(self.workspace_id)

    @property
    def freshness(self) -> Freshness | None:
        """Until when its databases are read."""
        return freshness(self.views)

    @property
    def search(self) -> Search | None:
        """When databases are looked for in its workspace."""
        return search(row for row in self.status.rounds if row.workspace_id == self.workspace_id)

    @property
    def failing(self) -> int:
        """How many of them fail."""
        return sum(map(is_failing, self.views))


def workspace_page(
    status: ServiceStatus,
    snapshot: Snapshot,
    view: WorkspaceView,
    costs: MonthCosts | str | None,
    told: Told,
    asked: Asked,
) -> str:
    """A whole HTML document about one workspace of `snapshot`."""
    now, path = status.now_at, f"workspaces/{view.workspace_id}"
    views = [row for row in snapshot.databases if row.workspace_id == view.workspace_id]
    lines = costs.lines if isinstance(costs, MonthCosts) else ()
    line = next((line for line in lines if line.workspace_id == view.workspace_id), line_of(view))
    known = view.cost or WorkspaceCost()
    ahead = Outlook(operations=known.expected_operations, missing=known.forecast_missing)
    days = status.workspace_days.get(view.workspace_id, ())
    reached = [reach for reach in reaches(snapshot, now) if reach.path == path]
    is_all_expected = line.expected_usd is not None and line.is_expected_complete
    limit = Card(
        label="Next limit",
        value=days_left(reached[0], now) if reached else "none in sight" if is_all_expected else "none known yet",
        text=reached[0].title if reached else spend_sentence(view.cost or WorkspaceCost(), usd, unit=""),
    )
    names = ("Operations", "Storage (month's average so far)")
    return Place(
        status=status,
        snapshot=snapshot,
        kind="Workspace",
        id_=view.workspace_id,
        name=view.workspace_name or view.workspace_id,
        workspace_id=view.workspace_id,
        views=views,
        cards=(*_money_cards(line, now, is_reading=costs is None), limit),
        meters=[(name, meter) for name, meter in zip(names, meters(view), strict=True) if meter is not None],
        alerts=[
            *of_workspace(view, status),
            *of_databases(views, status),
            *(reach.alert(now, is_here=True) for reach in reached),
            *((saving_alert(line, line.saving, status),) if line.saving is not None else ()),
        ],
        notes=tuple(_knowledge(view.usage)),
        told=told,
        asked=asked,
        gone=gone(_project_lines(costs, view.workspace_id).values(), snapshot.databases, asked),
        days=days,
        days_here=days,
        bill=line.bill,
        used=view.usage.operations,
        # Where nothing is charged, operations are what runs out.
        month=month_of_operations(
            days,
            view.usage,
            ahead,
            now,
            ended=_ended(view.workspace_id, snapshot) if views else "no database is there now",
        )
        if stops(view)
        else month_of_money(line, view.cost, days, view.usage.operations, now),
        projects=_projects(views, _project_lines(costs, view.workspace_id)),
        workspace=view,
    ).drawn()


def project_page(
    status: ServiceStatus,
    snapshot: Snapshot,
    project_id: str,
    costs: MonthCosts | str | None,
    told: Told,
    asked: Asked,
) -> str:
    """A whole HTML document about one project of `snapshot`."""
    views = [row for row in snapshot.databases if row.project_id == project_id]
    line = _project_lines(costs, views[0].workspace_id).get(project_id)
    usage, bill = (line.usage, line.bill) if line is not None else (NOTHING, None)
    deleted = line.departed.deleted if line is not None else 0
    used = f"{usage.operations_qualifier}{count(usage.operations)}" if line is not None else NOT_KNOWN
    databases = f"{counted(len(views), 'database')}{f', and {deleted:,} deleted this month' if deleted else ''}"
    part = _part("Project", status, snapshot, views, told, (used, databases), usage, bill)
    lines = () if line is None else (line,)
    return replace(part, asked=asked, gone=gone(lines, snapshot.databases, asked)).drawn()


def database_page(status: ServiceStatus, snapshot: Snapshot, view: DatabaseView, told: Told) -> str:
    """A whole HTML document about one database."""
    here, all_of_it = operations_of(view), view.month_to_date_operations
    is_part = here is not None and all_of_it is not None and here < all_of_it
    used = (count(all_of_it), f"Of which {here:,} are known of this workspace" if is_part else "")
    until = status.waits.get(view.database_id)
    waits = () if until is None else (f"Not asked before {until:%H:%M} UTC, as the vendor asked.",)
    part = _part("Database", status, snapshot, (view,), told, used, view.usage, view.cost)
    return replace(part, notes=(*waits, *part.notes)).drawn()


def _part(
    kind: str,
    status: ServiceStatus,
    snapshot: Snapshot,
    views: Sequence[DatabaseView],
    told: Told,
    used: tuple[str, str],
    usage: Usage,
    bill: Bill | None,
) -> Place:
    """What has a share of a workspace's cost; `used` are its operations, and what is to be known of them.

    `usage` and `bill` are what it used and costs, deleted databases included.
    """
    now, first = status.now_at, views[0]
    here = days_of_rows(row for row in told.days if row.workspace_id == first.workspace_id)
    has_moved = any(row.workspace_id != first.workspace_id for row in told.days)
    stored = _sum(view.storage_bytes for view in views)
    ids = {"Workspace": first.workspace_id, "Project": first.project_id, "Database": first.database_id}
    names = {"Workspace": first.workspace_name, "Project": first.project_name, "Database": first.database_name}
    holders = tuple(ids)[: tuple(ids).index(kind)]
    above = [(of, f"{of.lower()}s/{ids[of]}", names[of] or ids[of]) for of in holders]
    place = Place(
        status=status,
        snapshot=snapshot,
        kind=kind,
        id_=ids[kind],
        name=names[kind] or ids[kind],
        workspace_id=first.workspace_id,
        views=views,
        cards=(),
        alerts=tuple(of_databases(views, status, snapshot.workspaces)),
        notes=tuple(_knowledge(usage)),
        told=told,
        asked=NOTHING_ASKED,
        days=days_of_rows(told.days),
        days_here=here,
        bill=bill,
        used=usage.operations,
        month=month_of_operations(
            here,
            usage,
            told.ahead,
            now,
            ended=_ended(first.workspace_id, snapshot),
            where=" in this workspace" if has_moved else "",
        ),
        above=above,
    )
    share = f"Its share of the workspace's cost: {parts(bill)}" if parts(bill) else ""
    cards = (
        Card(label=f"Cost in {now:%B} so far", value=_known(bill), text=share),
        Card(label=f"Operations in {now:%B}", value=used[0], text=used[1]),
        Card(label="Storage now", value=size(stored, place.included_bytes)),
    )
    return replace(place, cards=cards)


def _ended(workspace_id: str, snapshot: Snapshot) -> str:
    return "no more while it is blocked" if workspace_id in blocked(snapshot) else ""


def _project_lines(costs: MonthCosts | str | None, workspace_id: str) -> Mapping[str | None, ProjectLine]:
    lines = costs.projects if isinstance(costs, MonthCosts) else ()
    return {line.project_id: line for line in lines if line.workspace_id == workspace_id}


def _projects(views: Sequence[DatabaseView], lines: Mapping[str | None, ProjectLine]) -> Sequence[ProjectRow]:
    """A workspace's projects, the most expensive first, and last those that were found since."""
    held: dict[str | None, list[DatabaseView]] = {id_: [] for id_ in lines}
    for view in views:
        held.setdefault(view.project_id, []).append(view)
    rows = []
    for id_, of_it in held.items():
        line = lines.get(id_)
        name = line.name if line is not None else of_it[0].project_name
        rows.append(
            ProjectRow(
                project_id=id_,
                name=name or id_ or NO_PROJECT,
                databases=len(of_it),
                usage=line.usage if line is not None else UNREAD,
                storage_bytes=_sum(view.storage_bytes for view in of_it),
                bill=line.bill if line is not None else None,
            )
        )
    return rows


def missing_page(path: str) -> str:
    """A whole HTML document for what is not there, with a way back; `path` is the one that was asked for."""
    return draw("missing.html", path=path, root="../" * (path.count("/") - 1) or "./")


# Money --------------------------------------------------------------------------------------------
def _money_cards(line: CostLine, now: datetime, *, is_reading: bool) -> Iterator[Card]:
    bill = line.bill
    yield Card(label=f"{now:%B} so far", value=_known(bill), text=parts(bill))
    bounds = f"{usd(line.low_usd)} – {usd(line.high_usd)}" if None not in (line.low_usd, line.high_usd) else ""
    last, is_whole = line.beside.last_month_known_usd, line.beside.last_month_usd is not None
    month = f"{previous_month_start(now):%B}"
    before = f"{month} is being read" if is_reading else "" if last is None else f"{month} {least(last, is_whole)}"
    yield Card(
        label="Whole month, expected",
        value=about(line.expected_usd, line.is_expected_complete),
        text="; ".join(part for part in (bounds, before) if part),
    )


def _known(bill: Bill | None) -> str:
    return NOT_KNOWN if (known := cost(bill)) == NONE else known


def _knowledge(usage: Usage) -> Iterator[str]:
    if not usage.is_complete:
        yield f"Not all of this month is known: {knowledge(usage)}."


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
