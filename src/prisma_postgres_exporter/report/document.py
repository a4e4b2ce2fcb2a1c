"""A month's report as sections: what Markdown and HTML write down alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from prisma_postgres_exporter.cost import ABOUT, AT_LEAST, CostRow, added, total_of
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.report.amounts import about, changed_money, cost_so_far, signed_money
from prisma_postgres_exporter.report.changing import PARTS
from prisma_postgres_exporter.report.days import Day, days_of_rows
from prisma_postgres_exporter.report.sentences import (
    LEFT_OUT,
    NO_PROJECT,
    ahead_sentences,
    beside_sentences,
    bill_sentence,
    budget_cells,
    change_sentence,
    cost_sentences,
    database_name,
    database_path,
    event_sentence,
    events_sentence,
    last_month,
    month_before,
    quality_sentences,
    share_head,
    total_rows,
    unknown_sentences,
    until_sentence,
    use,
    workspace_name,
)
from prisma_postgres_exporter.report.usage import storage_qualifier
from prisma_postgres_exporter.report.whole import MonthReport, WorkspaceReport

USE_HEADS = ("Operations", "Mean GiB", "Fee", "For operations", "For storage", "USD")
TOP = 10
"""How many databases of all workspaces are named as those that cost most."""
EVENTS = 5
"""How many events a workspace has at most above its projects: more are listed at the end."""

ONE_DAY = timedelta(days=1)
Cells = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of texts: the first column is text, the others are numbers."""

    label: str
    heads: Cells
    rows: Sequence[Cells]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a report, as its parts follow each other; `level` 1 is the document's own title."""

    title: str
    level: int = 2
    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    table: Table | None = None
    days: Sequence[Day] = ()
    after: Sequence[str] = ()


def report_sections(report: MonthReport, *, most_databases: int) -> Iterator[Section]:
    """Yield the report; of each workspace the `most_databases` most expensive databases are listed."""
    yield Section(
        title=f"Prisma Postgres in {report.month:%B %Y}",
        level=1,
        paragraphs=(" ".join(_summary(report)), f"{until_sentence(report)} {LEFT_OUT}"),
        points=tuple(ahead_sentences(report)),
    )
    share = share_head("% of all", is_whole=report.total[1].total is not None)
    ahead = () if report.is_over else ("Expected",)
    heads = (*USE_HEADS, *ahead, share, month_before(report.until), "Change")
    workspaces = Table(label="Workspaces", heads=("Workspace", *heads), rows=tuple(total_rows(report)))
    yield Section(title="Workspaces", table=workspaces)
    if changes := tuple(_changes(report)):
        parts = ("Workspace", "Change", *(part.capitalize() for part in PARTS))
        yield Section(title="What changed, and why", table=Table(label="Changes", heads=parts, rows=changes))
    if len(report.workspaces) > 1 and (top := _top(report)):
        yield Section(title="Databases that cost most", table=_rows(top, "Workspace / project / database", _full_path))
        yield Section(title="Days", days=_all_days(report))
    if report.budgets:
        budgets = [(budget.name, *budget_cells(budget)) for budget in report.budgets]
        yield Section(
            title="Budgets", table=Table(label="Budgets", heads=("Budget", "Limit", "Spent", "Expected"), rows=budgets)
        )
    unknown = tuple(unknown_sentences(report)) or ("Everything of this month is known.",)
    yield Section(title="What is not known", paragraphs=(*unknown, *beside_sentences(report)))
    for workspace in report.workspaces:
        yield from _workspace(report, workspace, most_databases)
    for workspace in report.workspaces:
        if len(workspace.events) > EVENTS:
            yield Section(title=f"Events of {workspace_name(workspace.total)}", points=_events(report, workspace))


def _summary(report: MonthReport) -> Iterator[str]:
    """The whole month in three sentences."""
    count, bill = len(report.workspaces), report.total[1]
    who = f"{count:,} workspaces" if count != 1 else workspace_name(report.workspaces[0].total)
    when = "In" if report.is_over else "So far in"
    expected = added(row.total.expected_usd for row in report.workspaces)
    is_sure = all(row.total.is_expected_complete for row in report.workspaces)
    ahead = f"; {about(expected, is_complete=is_sure)} USD are expected of the whole month"
    told = "" if report.is_over or expected is None else ahead
    yield f"{when} {report.month:%B %Y}, {who} cost {bill_sentence(bill)}{told}."
    change = change_sentence(report.beside, report.until, is_over=report.is_over)
    yield change or _last_month(report)
    top = _top(report)
    if not top or top[0].bill is None:
        yield "No cost of a database is known." if report.workspaces else "No workspace is known of it."
        return
    first = top[0]
    cost = cost_so_far(first.bill)
    known_of = "" if first.total is not None else " of what is known"
    known = "not everything is known: see below" if any(unknown_sentences(report)) else "everything is known"
    yield f"{_full_path(first)} costs most{known_of}, {cost} USD; {known}."


def _last_month(report: MonthReport) -> str:
    """What the month before cost where there is no change to be told, or none is known."""
    before, beside = month_before(report.until), report.beside
    if beside.last_month_known_usd is None:
        return f"What it cost in {before} is not known, nor is the change."
    change = "is not known" if beside.change_usd is None else "is none"
    return f"{before}: {last_month(beside)} USD; the change {change}."


def _changes(report: MonthReport) -> Iterator[Cells]:
    rows = [(workspace_name(row.total), row.beside) for row in report.workspaces]
    if len(rows) > 1:
        rows.append(("Total", report.beside))
    for name, beside in rows:
        if beside.change_usd is not None and beside.split is not None:
            change = changed_money(beside.change_usd, is_complete=beside.is_change_complete)
            yield name, change, *map(signed_money, map(beside.split.get, PARTS))


def _top(report: MonthReport) -> Sequence[CostRow]:
    """The most expensive databases of all workspaces."""
    rows = [row for workspace in report.workspaces for row in workspace.databases if row.database_id is not None]
    return sorted(rows, key=lambda row: (-(row.known_usd or 0), -row.usage.known_operations, row.place))[:TOP]


def _all_days(report: MonthReport) -> Sequence[Day]:
    """The days of all workspaces together: at least what is known of them. One without a database has nothing."""
    found: dict[date, list[Day]] = {}
    for workspace in report.workspaces:
        for day in days_of_rows(workspace.days):
            found.setdefault(day.day, []).append(day)
    # What was deleted before a workspace was followed is missing, also where nothing of that day is left of it.
    listed_from = max((row.first_seen_at for row in report.followed_late), default=datetime.min.replace(tzinfo=UTC))

    def is_listed(day: date) -> bool:
        starts_at, ends_at = day_start(day), min(day_start(day) + ONE_DAY, report.until)
        return listed_from <= starts_at and not any(gap.is_in(starts_at, ends_at) for _, gap in report.discovery_gaps)

    def of_all(day: date, rows: Sequence[Day]) -> Day:
        # Beside a level that is at least so much, one that is estimated would be neither bound.
        is_level_lacking = any(row.storage_bytes is None or row.storage_qualifier == AT_LEAST for row in rows)
        is_any_stretched = any(row.storage_qualifier == ABOUT for row in rows)
        storage_bytes = None if is_level_lacking and is_any_stretched else _sum(row.storage_bytes for row in rows)
        return Day(
            day=day,
            operations=_sum(row.operations for row in rows),
            storage_bytes=storage_bytes,
            are_operations_known=is_listed(day) and all(row.are_operations_known for row in rows),
            storage_qualifier=storage_qualifier(
                is_level_lacking=is_level_lacking,
                is_listed=is_listed(day),
                is_any_stretched=is_any_stretched,
            ),
        )

    return [of_all(day, rows) for day, rows in sorted(found.items())]


def _workspace(report: MonthReport, workspace: WorkspaceReport, most_databases: int) -> Iterator[Section]:
    name = workspace_name(workspace.total)
    many = len(workspace.events) > EVENTS
    events = (events_sentence(workspace.events),) if many else _events(report, workspace)
    yield Section(title=name, points=(*cost_sentences(workspace), *quality_sentences(workspace), *events))
    if workspace.projects:
        projects = _rows(workspace.projects, "Project", lambda row: row.project_name or NO_PROJECT)
        yield Section(title=f"Projects of {name}", level=3, table=projects)
    if workspace.databases:
        listed, rest = workspace.databases[:most_databases], workspace.databases[most_databases:]
        databases = _rows(listed, "Project / database", database_path)
        yield Section(title=f"Databases of {name}", level=3, table=databases, after=tuple(_rest(rest)))
    if workspace.days:
        yield Section(title=f"Days of {name} (UTC)", level=3, days=days_of_rows(workspace.days))


def _events(report: MonthReport, workspace: WorkspaceReport) -> Sequence[str]:
    return [event_sentence(event, report.names) for event in workspace.events]


def _rows(rows: Iterable[CostRow], head: str, named: Callable[[CostRow], str]) -> Table:
    cells = [(named(row), *use(row)) for row in rows]
    return Table(label=head, heads=(head, *USE_HEADS), rows=cells)


def _rest(rest: Sequence[CostRow]) -> Iterator[str]:
    if rest:
        usage, bill = total_of(rest)
        together = cost_so_far(bill)
        yield f"And {len(rest):,} more: {usage.known_operations:,} operations, {together} USD together."


def _full_path(row: CostRow) -> str:
    return f"{row.workspace_name} / {row.project_name} / {database_name(row)}"


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
