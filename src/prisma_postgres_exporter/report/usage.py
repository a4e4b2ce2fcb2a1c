"""Usage by day or month, for whoever asks for a part of the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from prisma_postgres_exporter.cost import By, CostRow
from prisma_postgres_exporter.model import DayUsage
from prisma_postgres_exporter.report.exporting import Owner, Owners
from prisma_postgres_exporter.report.months import LedgerMonth

Place = tuple[str, str, str | None, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What a workspace, project or database used in a UTC day (`2026-11-05`) or month (`2026-11`).

    `mean_storage_bytes` is the mean level of the time that is known, of a month as it is billed: over all of it.
    """

    period: str
    workspace_id: str
    workspace_name: str
    project_id: str | None
    project_name: str | None
    database_id: str | None
    database_name: str | None
    operations: int
    mean_storage_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which databases count: `None` is every one."""

    workspace_id: str | None = None
    project_id: str | None = None
    database_id: str | None = None

    def has(self, workspace_id: str, project_id: str | None, database_id: str | None) -> bool:
        """Whether one of them is asked for."""
        return (
            self.workspace_id in (None, workspace_id)
            and self.project_id in (None, project_id)
            and self.database_id in (None, database_id)
        )


def usage_by_day(
    days: Iterable[DayUsage], owners: Owners, by: By, chosen: Chosen, *, most_rows: int
) -> tuple[list[UsageRow], date | None]:
    """Return rows of whole days, and the day to go on from, `None` at the end.

    `days` come by day. A day is begun while there are fewer than `most_rows` rows.
    """
    rows: list[UsageRow] = []
    for day, usages in groupby(days, key=_day):
        if len(rows) >= most_rows:
            return rows, day
        rows += _rows_of_day(day, usages, owners, by, chosen)
    return rows, None


def usage_of_month(month: LedgerMonth, by: By, chosen: Chosen) -> list[UsageRow]:
    """Return the rows of a month, as they are billed."""
    operations: dict[Place, int] = defaultdict(int)
    levels: dict[Place, int] = defaultdict(int)
    for row in month.rows(By.DATABASE):
        if chosen.has(row.workspace_id, row.project_id, row.database_id):
            place = _place(row, by)
            operations[place] += row.operations
            levels[place] += row.mean_storage_bytes(month.until)
    return _rows(month.name, operations, levels)


def _day(usage: DayUsage) -> date:
    return usage.day


def _rows_of_day(day: date, usages: Iterable[DayUsage], owners: Owners, by: By, chosen: Chosen) -> list[UsageRow]:
    """The day's rows by workspace, project and database; levels of several databases are added up."""
    operations: dict[Place, int] = defaultdict(int)
    levels: dict[Place, int] = {}
    for usage in usages:
        owner = owners.owner(usage.database_key, usage.workspace_key)
        if chosen.has(owner.workspace_id, owner.project_id, owner.database_id):
            place = _place(owner, by)
            operations[place] += usage.operations
            if usage.storage_seconds:
                levels[place] = levels.get(place, 0) + usage.storage_byte_seconds // usage.storage_seconds
    return _rows(f"{day}", operations, levels)


def _rows(period: str, operations: Mapping[Place, int], levels: Mapping[Place, int]) -> list[UsageRow]:
    return [
        UsageRow(
            period=period,
            workspace_id=workspace_id,
            workspace_name=workspace_name,
            project_id=project_id,
            project_name=project_name,
            database_id=database_id,
            database_name=database_name,
            operations=count,
            mean_storage_bytes=levels.get(place),
        )
        for place, count in sorted(operations.items(), key=_order)
        for workspace_id, workspace_name, project_id, project_name, database_id, database_name in [place]
    ]


def _place(owner: Owner | CostRow, by: By) -> Place:
    project = (owner.project_id, owner.project_name) if by is not By.WORKSPACE else (None, None)
    database = (owner.database_id, owner.database_name) if by is By.DATABASE else (None, None)
    return owner.workspace_id, owner.workspace_name, *project, *database


def _order(item: tuple[Place, int]) -> tuple[str, str, str]:
    workspace_id, _, project_id, _, database_id, _ = item[0]
    return workspace_id, project_id or "", database_id or ""
