"""The cost of a month as rows to print: by workspace, project or database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from prisma_postgres_exporter.cost.bill import Bill
from prisma_postgres_exporter.cost.charging import Costs
from prisma_postgres_exporter.cost.estimate import WorkspaceCost
from prisma_postgres_exporter.cost.usage import ABOUT, NOTHING, UNREAD, Usage, add_up, unlisted
from prisma_postgres_exporter.model import LedgerState, WorkspaceState, month_start, next_month_start

UNPRICED = Bill(fee=None, operations=None, storage=None)


class By(StrEnum):
    """What a row is about."""

    WORKSPACE = "workspace"
    PROJECT = "project"
    DATABASE = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """One workspace, project or database in a month. A fee that no database bears has neither project nor database.

    `bill` is what it costs or its share, `None` where no price is known. `expected_usd` is of the whole month.
    `cost` is the workspace's. `until` is how far the month goes: now, or its last second.
    """

    workspace_id: str
    workspace_name: str
    project_id: str | None
    project_name: str | None
    database_id: str | None
    database_name: str | None
    is_deleted: bool
    until: datetime
    usage: Usage
    bill: Bill | None
    expected_usd: Decimal | None
    cost: WorkspaceCost | None

    @property
    def place(self) -> tuple[str, str, str]:
        """The ids of its workspace, project and database, empty where it is about more: no other row has the same."""
        return self.workspace_id, self.project_id or "", self.database_id or ""

    @property
    def operations(self) -> int | None:
        """What is known of them, `None` where nothing is."""
        return self.usage.operations

    @property
    def total(self) -> Decimal | None:
        """Fee, operations and storage in USD, where all of them are known whole."""
        return self.bill.total if self.bill is not None else None

    @property
    def listed_total(self) -> Decimal | None:
        """The same of the databases that are known."""
        return self.bill.listed.total if self.bill is not None else None

    @property
    def known_usd(self) -> Decimal | None:
        """What is known of it: it costs at least so much."""
        return self.bill.known if self.bill is not None else None

    @property
    def is_any_cost_known(self) -> bool:
        """Whether `known_usd` is of anything: that nobody read what it used is no amount of 0."""
        return bool(self.known_usd) or self.operations is not None or self.total is not None

    @property
    def is_expected_complete(self) -> bool:
        """Whether all of it has a forecast and nothing that nobody saw may cost more; else see `expected_qualifier`.

        A part is a share of what its workspace costs: it is no surer, unless nothing of that is its own.
        """
        if self.expected_usd is None or self.cost is None or self.cost.is_expected_complete:
            return self.expected_usd is not None
        is_all_there = self.bill is not None and self.bill.total is not None
        return self._is_part and is_all_there and not self.expected_usd

    @property
    def expected_qualifier(self) -> str:
        """What is said before what is expected: an estimate of what is known is no lower bound of the whole."""
        return "" if self.expected_usd is None or self.is_expected_complete else ABOUT

    @property
    def _is_part(self) -> bool:
        return self.project_id is not None

    @property
    def mean_storage_bytes(self) -> int | None:
        """The mean level of the month so far."""
        return self.usage.mean_storage_bytes(round((_end(self.until) - month_start(self.until)).total_seconds()))

    @property
    def gib_months(self) -> Fraction | None:
        """What is billed of storage so far: GiB over the whole month."""
        return self.usage.gib_months(int((next_month_start(self.until) - month_start(self.until)).total_seconds()))


def total_of(rows: Iterable[CostRow]) -> tuple[Usage, Bill]:
    """Return the sum of rows that have nothing in common."""
    listed = tuple(rows)
    bills = [row.bill for row in listed]
    return add_up(row.usage for row in listed), add_bills(bills)


def total_row(rows: Sequence[CostRow], by: By) -> CostRow:
    """Return the sum of rows as one of them, which has no place: its name at the level of `by` is "total"."""
    usage, bill = total_of(rows)
    names = {level: "total" if level is by else "" for level in By}
    return CostRow(
        workspace_id="",
        workspace_name=names[By.WORKSPACE],
        project_id=None,
        project_name=names[By.PROJECT],
        database_id=None,
        database_name=names[By.DATABASE],
        is_deleted=False,
        until=rows[0].until,
        usage=usage,
        bill=bill,
        expected_usd=added(row.expected_usd for row in rows),
        # Of one that is not complete the sum is not either.
        cost=next((row.cost for row in rows if not row.is_expected_complete), None),
    )


def cost_rows(ledger_state: LedgerState, costs: Costs, by: By, now: datetime) -> tuple[CostRow, ...]:
    """Return the rows of the month of `now`, the most expensive first; deleted databases are in them."""
    if by is By.WORKSPACE:
        rows: Iterable[CostRow] = _workspaces(ledger_state, costs, now)
    else:
        rows = _databases(ledger_state, costs, now)
        if by is By.PROJECT:
            rows = _projects(ledger_state, rows)
    return tuple(sorted(rows, key=_by_cost))


def _by_cost(row: CostRow) -> tuple[Decimal, int, str, tuple[str, str, str]]:
    return -(row.known_usd or Decimal(0)), -row.usage.known_operations, row.workspace_name, row.place


def _workspaces(ledger_state: LedgerState, costs: Costs, now: datetime) -> Iterable[CostRow]:
    for id_, row in ledger_state.workspaces.items():
        cost = costs.workspaces.get(id_)
        if cost is None and row.is_gone:
            continue  # it was gone before the month
        yield replace(
            _undivided(row, cost, now),
            usage=_whole(row, costs, now),
            bill=cost.bill if cost is not None else None,
            expected_usd=cost.expected_bill.total if cost is not None and cost.expected_bill is not None else None,
        )


def _undivided(row: WorkspaceState, cost: WorkspaceCost | None, now: datetime) -> CostRow:
    """A row of a workspace that is about no project and no database."""
    return CostRow(
        workspace_id=row.workspace.id,
        workspace_name=row.workspace.name,
        project_id=None,
        project_name=None,
        database_id=None,
        database_name=None,
        is_deleted=row.was_gone_at(now),
        until=now,
        usage=NOTHING,
        bill=None,
        expected_usd=None,
        cost=cost,
    )


def _databases(ledger_state: LedgerState, costs: Costs, now: datetime) -> Iterable[CostRow]:
    """A database that moved has a row for each workspace that held it in the month."""
    for id_, row in ledger_state.workspaces.items():
        cost = costs.workspaces.get(id_)
        if cost is None and row.is_gone:
            continue
        for database_id, usage in costs.used.get(id_, {}).items():
            state = ledger_state.databases[database_id]
            yield CostRow(
                workspace_id=id_,
                workspace_name=row.workspace.name,
                project_id=state.database.project_id,
                project_name=state.database.project_name,
                database_id=database_id,
                database_name=state.database.name,
                is_deleted=state.deleted_at is not None and state.deleted_at <= now,
                until=now,
                usage=usage,
                bill=costs.shares.get((id_, database_id)),
                expected_usd=costs.expected.get((id_, database_id)),
                cost=cost,
            )
        bill, expected, used = costs.shares.get((id_, None)), costs.expected.get((id_, None)), costs.used.get(id_)
        if bill is not None or not used:
            # Without a price too it is a row: all rows together would look whole.
            usage = unlisted(row, now) if used else _whole(row, costs, now)
            yield replace(_undivided(row, cost, now), usage=usage, bill=bill, expected_usd=expected)


def _whole(row: WorkspaceState, costs: Costs, now: datetime) -> Usage:
    """What a workspace used; nothing without databases, unless nobody knows whether it had some."""
    used, cost = costs.used.get(row.workspace.id), costs.workspaces.get(row.workspace.id)
    if not used and cost is not None and cost.is_unread:
        return UNREAD
    return add_up((*(used or {}).values(), unlisted(row, now)))


def _projects(ledger_state: LedgerState, rows: Iterable[CostRow]) -> Iterable[CostRow]:
    """A database that nobody saw may have been in any project."""
    by_project: dict[tuple[str, str | None], list[CostRow]] = defaultdict(list)
    databases: dict[str, int] = defaultdict(int)
    for row in rows:
        by_project[row.workspace_id, row.project_id].append(row)
        databases[row.workspace_id] += 1
    for of_project in by_project.values():
        first = of_project[0]
        if first.project_id is None:
            yield first  # a fee, which is as well known as by database
            continue
        usage, bill = total_of(of_project)
        whole = first.cost.bill if first.cost is not None else None
        is_listed = whole is None or whole.is_listed
        late = unlisted(ledger_state.workspaces[first.workspace_id], first.until)
        is_whole = len(of_project) == databases[first.workspace_id]
        # Of one that nobody ever read nothing is expected, and what is of its workspace's other databases is "about".
        expected = [row.expected_usd for row in of_project if row.expected_usd is not None]
        yield replace(
            first,
            database_id=None,
            database_name=None,
            is_deleted=all(row.is_deleted for row in of_project),
            usage=replace(usage, followed_late=late.followed_late, unwatched=late.unwatched),
            bill=None
            if all(row.bill is None for row in of_project)
            # What is of all databases of a workspace is no part of its bill.
            else whole
            if is_whole and is_listed
            else replace(bill, is_listed=is_listed, is_share=not is_whole or not is_listed),
            expected_usd=added(expected) if expected else None,
        )


def add_bills(bills: Iterable[Bill | None]) -> Bill:
    """The sum of what is known of bills; a part that one of them lacks is not known whole."""
    listed = [bill if bill is not None else UNPRICED for bill in bills]
    return Bill(
        fee=_known(bill.fee for bill in listed),
        operations=_known(bill.operations for bill in listed),
        storage=_known(bill.storage for bill in listed),
        is_fee_known=all(bill.is_fee_known and bill.fee is not None for bill in listed),
        are_operations_known=all(bill.are_operations_known and bill.operations is not None for bill in listed),
        is_storage_known=all(bill.is_storage_known and bill.storage is not None for bill in listed),
        are_some_operations_known=any(bill.known_parts[1] is not None for bill in listed),
        is_some_storage_known=any(bill.known_parts[2] is not None for bill in listed),
        is_listed=all(bill.is_listed for bill in listed),
        is_share=any(bill.is_share for bill in listed),
    )


def _known(parts: Iterable[Decimal | None]) -> Decimal | None:
    priced = [part for part in parts if part is not None]
    return sum(priced, Decimal(0)) if priced else None


def added(parts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of amounts, where all of them are known."""
    total = Decimal(0)
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _end(until: datetime) -> datetime:
    """The last second of a month stands for its end."""
    ends_at = next_month_start(until)
    return ends_at if until >= ends_at - timedelta(seconds=1) else until
