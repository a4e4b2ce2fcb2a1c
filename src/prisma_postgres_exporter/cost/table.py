"""The cost of a month as rows to print: by workspace, project or database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from prisma_postgres_exporter.cost.charging import Costs, Share, used_in_month
from prisma_postgres_exporter.cost.estimate import WorkspaceCost
from prisma_postgres_exporter.model import LedgerState, month_start, next_month_start


class By(StrEnum):
    """What a row is about."""

    WORKSPACE = "workspace"
    PROJECT = "project"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """One workspace, project or database in a month, in USD; `None` where a price is not known.

    `storage_byte_seconds` over the month's seconds is the mean that is billed. `expected_usd` is of the whole
    month. `cost` is the workspace's.
    """

    workspace_id: str
    workspace_name: str
    project_id: str | None
    project_name: str | None
    database_id: str | None
    database_name: str | None
    is_deleted: bool
    operations: int
    storage_byte_seconds: int
    share: Share
    expected_usd: Decimal | None
    cost: WorkspaceCost | None

    @property
    def place(self) -> tuple[str, str, str]:
        """The ids of its workspace, project and database, empty where it is about more: no other row has the same."""
        return self.workspace_id, self.project_id or "", self.database_id or ""

    @property
    def total(self) -> Decimal | None:
        """Fee, operations and storage, where all are known."""
        known = [part for part in self.share if part is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.share) else None

    def mean_storage_bytes(self, now: datetime) -> int:
        """The month's mean level, the whole month as denominator as in the bill."""
        seconds = (next_month_start(now) - month_start(now)).total_seconds()
        return int(self.storage_byte_seconds / seconds)


def cost_rows(ledger_state: LedgerState, costs: Costs, by: By, now: datetime) -> tuple[CostRow, ...]:
    """Return the rows of the month of `now`, the most expensive first; deleted databases are in them."""
    if by is By.WORKSPACE:
        rows: Iterable[CostRow] = _workspaces(ledger_state, costs, now)
    else:
        rows = _databases(ledger_state, costs, now)
        if by is By.PROJECT:
            rows = _projects(rows)
    return tuple(sorted(rows, key=_by_cost))


def _by_cost(row: CostRow) -> tuple[Decimal, int, str, tuple[str, str, str]]:
    return -(row.total or Decimal(0)), -row.operations, row.workspace_name, row.place


def _workspaces(ledger_state: LedgerState, costs: Costs, now: datetime) -> Iterable[CostRow]:
    used = used_in_month(ledger_state, now)
    for id_, row in ledger_state.workspaces.items():
        cost = costs.workspaces.get(id_)
        usages = used.get(row.key, {}).values()
        bill = cost.bill if cost is not None else None
        yield CostRow(
            workspace_id=id_,
            workspace_name=row.workspace.name,
            project_id=None,
            project_name=None,
            database_id=None,
            database_name=None,
            is_deleted=row.is_gone,
            operations=sum(usage.operations for usage in usages),
            storage_byte_seconds=sum(usage.storage_byte_seconds for usage in usages),
            share=(bill.fee, bill.operations, bill.storage) if bill is not None else (None, None, None),
            expected_usd=cost.expected_bill.total if cost is not None and cost.expected_bill is not None else None,
            cost=cost,
        )


def _databases(ledger_state: LedgerState, costs: Costs, now: datetime) -> Iterable[CostRow]:
    """A database that moved has a row for each workspace that held it in the month."""
    holders = {row.key: row.workspace for row in ledger_state.workspaces.values()}
    for key, by_database in used_in_month(ledger_state, now).items():
        workspace = holders[key]
        for id_, usage in by_database.items():
            state = ledger_state.databases[id_]
            yield CostRow(
                workspace_id=workspace.id,
                workspace_name=workspace.name,
                project_id=state.database.project_id,
                project_name=state.database.project_name,
                database_id=id_,
                database_name=state.database.name,
                is_deleted=state.deleted_at is not None and state.deleted_at <= now,
                operations=usage.operations,
                storage_byte_seconds=usage.storage_byte_seconds,
                share=costs.held.get((workspace.id, id_), (None, None, None)),
                expected_usd=costs.held_expected.get((workspace.id, id_)),
                cost=costs.workspaces.get(workspace.id),
            )


def _projects(rows: Iterable[CostRow]) -> Iterable[CostRow]:
    by_project: dict[tuple[str, str | None], list[CostRow]] = defaultdict(list)
    for row in rows:
        by_project[row.workspace_id, row.project_id].append(row)
    for (workspace_id, project_id), of_project in by_project.items():
        yield CostRow(
            workspace_id=workspace_id,
            workspace_name=of_project[0].workspace_name,
            project_id=project_id,
            project_name=of_project[0].project_name,
            database_id=None,
            database_name=None,
            is_deleted=all(row.is_deleted for row in of_project),
            operations=sum(row.operations for row in of_project),
            storage_byte_seconds=sum(row.storage_byte_seconds for row in of_project),
            share=(
                _added(row.share[0] for row in of_project),
                _added(row.share[1] for row in of_project),
                _added(row.share[2] for row in of_project),
            ),
            expected_usd=_added(row.expected_usd for row in of_project),
            cost=of_project[0].cost,
        )


def _added(parts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for part in parts:
        if part is None:
            return None
        total += part
    return total
