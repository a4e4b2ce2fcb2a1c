"""A month's report: what every workspace, project and database used and cost, and what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from prisma_postgres_exporter.cost import (
    Bill,
    BudgetState,
    By,
    CostRow,
    Difference,
    Saving,
    Usage,
    month_differences,
    total_of,
)
from prisma_postgres_exporter.model import DiscoveryGap, Event, EventKind, Revision, WorkspaceState
from prisma_postgres_exporter.report.changing import TOTAL, Beside, Place, beside
from prisma_postgres_exporter.report.gaps import failing_sentences, gap_sentences
from prisma_postgres_exporter.report.months import LedgerMonth, Missing
from prisma_postgres_exporter.report.usage import UsageRow

NOTHING_COMPARED = Difference(operations=None, compared=0, others=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceReport:
    """One workspace's month. Projects and databases come the most expensive first.

    `beside` is last month and what changed. `days` are the days of the month on which a
    database of it lived, oldest first. `revised_days` is how many
    days of databases the vendor changed afterwards and `revised_operations` by how much together.
    `difference` is the vendor's month less our days.
    """

    total: CostRow
    beside: Beside
    projects: tuple[CostRow, ...]
    databases: tuple[CostRow, ...]
    days: tuple[UsageRow, ...]
    revised_days: int
    revised_operations: int
    difference: Difference
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthReport:
    """A month (UTC) until `until`, its last second where `is_over`; made at `made_at`. Money is USD.

    `last_read_at` is until when the database was read that was read last.

    `total` is the sum of all workspaces and `beside` what it is compared with, `besides` what each row is compared
    with, by its place. `missing` are the days that nobody read and that may be read still, `gaps` why what no command
    gets is missing, `failing` which databases are not read now, `not_followed` the workspaces that were gone before,
    `followed_late` those first followed after it began, `discovery_gaps` when nobody looked for databases of which,
    `previous` the month before. `savings` are what other plans would have saved, by workspace id, in it where it is
    over, else in the month before. `names` are those of workspaces, projects and databases by id.
    """

    name: str
    month: date
    until: datetime
    is_over: bool
    made_at: datetime
    last_read_at: datetime | None
    workspaces: tuple[WorkspaceReport, ...]
    total: tuple[Usage, Bill]
    beside: Beside
    besides: Mapping[Place, Beside]
    missing: Missing | None
    gaps: tuple[str, ...]
    failing: tuple[str, ...]
    not_followed: tuple[WorkspaceState, ...]
    followed_late: tuple[WorkspaceState, ...]
    discovery_gaps: tuple[tuple[WorkspaceState, DiscoveryGap], ...]
    previous: LedgerMonth | None
    budgets: tuple[BudgetState, ...]
    savings: Mapping[str, Saving]
    names: Mapping[str, str]

    @property
    def workspace_count(self) -> int:
        """How many workspaces it has."""
        return len(self.workspaces)


def report_month(
    month: LedgerMonth,
    revisions: Iterable[Revision],
    events: Iterable[Event],
    days: Iterable[UsageRow],
    made_at: datetime,
) -> MonthReport:
    """Put a month together. `revisions` are those of its days, `events` those that were noticed in it.

    `days` are the workspaces' days of it, by day.
    """
    projects, databases = _by_workspace(month.rows(By.PROJECT)), _by_workspace(month.rows(By.DATABASE))
    revised = _revised(month, revisions)
    days_by_workspace: dict[str, list[UsageRow]] = defaultdict(list)
    for day in days:
        days_by_workspace[day.workspace_id].append(day)
    keys = {id_: row.key for id_, row in month.ledger_state.workspaces.items()}
    used_by_key = {keys[id_]: used for id_, used in month.costs.used.items()}
    differences = month_differences(month.ledger_state, used_by_key, month.until)
    events_by_workspace: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.is_discovery_gap:
            continue  # one sentence says it of all of them
        events_by_workspace[event.workspace_id].append(event)
        if event.kind is EventKind.MOVED and event.before in keys:
            # A database left it for another; what moved between projects names no workspace.
            events_by_workspace[event.before].append(event)
    besides = {
        place: entry for by in (By.DATABASE, By.PROJECT, By.WORKSPACE) for place, entry in beside(month, by).items()
    }
    workspaces = []
    for row in month.rows(By.WORKSPACE):
        id_ = row.workspace_id
        numbers = revised[id_]
        workspaces.append(
            WorkspaceReport(
                total=row,
                beside=besides[row.place],
                projects=tuple(projects[id_]),
                databases=tuple(databases[id_]),
                days=tuple(days_by_workspace[id_]),
                revised_days=len({(key, day) for key, day, _ in numbers}),
                revised_operations=sum(change for _, _, change in numbers),
                difference=differences.get(keys[id_], NOTHING_COMPARED),
                events=tuple(events_by_workspace[id_]),
            )
        )
    return MonthReport(
        name=month.name,
        month=month.month,
        until=month.until,
        is_over=month.is_over,
        made_at=made_at,
        last_read_at=month.last_read_at,
        workspaces=tuple(workspaces),
        total=total_of(row.total for row in workspaces),
        beside=besides[TOTAL],
        besides=besides,
        missing=month.missing,
        gaps=tuple(gap_sentences(month)),
        failing=tuple(failing_sentences(month)),
        not_followed=month.not_followed,
        followed_late=month.followed_late,
        discovery_gaps=month.discovery_gaps,
        previous=month.previous,
        budgets=month.costs.budgets,
        savings=month.savings,
        names=_names(month),
    )


def _by_workspace(rows: Iterable[CostRow]) -> dict[str, list[CostRow]]:
    found: dict[str, list[CostRow]] = defaultdict(list)
    for row in rows:
        found[row.workspace_id].append(row)
    return found


def _revised(month: LedgerMonth, revisions: Iterable[Revision]) -> dict[str, list[tuple[int, date, int]]]:
    """The database's key, the day and by how much each changed number changed, by workspace id."""
    ids = {state.key: state.database.workspace_id for state in month.ledger_state.databases.values()}
    found: dict[str, list[tuple[int, date, int]]] = defaultdict(list)
    for revision in revisions:
        if revision.database_key in ids:
            change = revision.operations_after - revision.operations_before
            found[ids[revision.database_key]].append((revision.database_key, revision.day, change))
    return found


def _names(month: LedgerMonth) -> dict[str, str]:
    names = {id_: row.workspace.name for id_, row in month.ledger_state.workspaces.items()}
    for id_, state in month.ledger_state.databases.items():
        names[id_] = state.database.name
        names[state.database.project_id] = state.database.project_name
    return names
