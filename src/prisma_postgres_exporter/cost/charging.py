"""What everything costs in this month: each workspace, each database's share of it, each budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from prisma_postgres_exporter.config import BudgetConfig, Config, FeeShare
from prisma_postgres_exporter.cost.bill import Bill, Usage
from prisma_postgres_exporter.cost.budgets import BudgetState, matches, state_of
from prisma_postgres_exporter.cost.estimate import WorkspaceCost, WorkspaceUsage, estimate
from prisma_postgres_exporter.cost.outlook import outlook
from prisma_postgres_exporter.cost.showback import share_out
from prisma_postgres_exporter.cost.usage import billed_usage, has_moved_in, life_seconds
from prisma_postgres_exporter.model import DatabaseState, LedgerState, WorkspaceDay, month_start

HISTORY = timedelta(days=91)
"""How far back the days go that a forecast is made from."""

Share = tuple[Decimal | None, Decimal | None, Decimal | None]
"""A database's fee, operations and storage in USD; `None` where the price is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The cost of the month, by workspace id and by database id, in USD, and the budgets.

    `expected` is by database id what of the whole month's expected cost will be its share.

    The shares of a workspace's databases, deleted ones included, add up to its bill. A database that moved
    in the month has the sum of its shares; `held` are the single ones and `held_expected` what they are
    expected to be, by the ids of the workspace that held the database and of the database.
    """

    workspaces: Mapping[str, WorkspaceCost] = field(default_factory=dict)
    databases: Mapping[str, Share] = field(default_factory=dict)
    expected: Mapping[str, Decimal] = field(default_factory=dict)
    held: Mapping[tuple[str, str], Share] = field(default_factory=dict)
    held_expected: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    budgets: tuple[BudgetState, ...] = ()


def charge(ledger_state: LedgerState, config: Config, days: Sequence[WorkspaceDay], now: datetime) -> Costs:
    """Work out the month of `now`. `days` are the workspaces' days of the ledger, three months of them if there are."""
    used, history, states = used_in_month(ledger_state, now), _by_workspace(days), _by_holder(ledger_state)
    workspaces: dict[str, WorkspaceCost] = {}
    shares: dict[str, list[Share]] = defaultdict(list)
    expected: dict[str, Decimal] = defaultdict(Decimal)
    held: dict[tuple[str, str], Share] = {}
    held_expected: dict[tuple[str, str], Decimal] = {}
    for id_, row in ledger_state.workspaces.items():
        if row.is_gone:
            continue
        by_database = used.get(row.key, {})
        total = Usage(
            operations=sum(usage.operations for usage in by_database.values()),
            storage_byte_seconds=sum(usage.storage_byte_seconds for usage in by_database.values()),
        )
        usage = _with_forecast(total, row.key, states.get(row.key, ()), history.get(row.key, ()), now)
        cost = workspaces[id_] = estimate(config, row, usage, now)
        if cost.bill is None or not by_database:
            continue
        for database_id, share in _shares(cost.bill, by_database, config.cost.fee_share).items():
            shares[database_id].append(share)
            held[id_, database_id] = share
        if cost.expected_bill is not None:
            for database_id, share in _shares(cost.expected_bill, by_database, config.cost.fee_share).items():
                held_expected[id_, database_id] = _total(share)
                expected[database_id] += _total(share)
    databases = {id_: _sum(parts) for id_, parts in shares.items()}
    spent = {id_: _total(share) for id_, share in databases.items()}
    return Costs(
        workspaces=workspaces,
        databases=databases,
        expected=expected,
        held=held,
        held_expected=held_expected,
        budgets=tuple(
            state_of(budget, _matching(ledger_state, budget, used), spent, expected) for budget in config.cost.budgets
        ),
    )


def used_in_month(ledger_state: LedgerState, now: datetime) -> dict[int, dict[str, Usage]]:
    """What each database used in this month, by workspace key and database id."""
    month = month_start(now).date()
    used: dict[int, dict[str, Usage]] = defaultdict(dict)
    for id_, state in ledger_state.databases.items():
        for row in state.months:
            if row.month == month:
                life = life_seconds(row, state.database.created_at, state.deleted_at, now)
                used[row.workspace_key][id_] = billed_usage(row, has_moved=has_moved_in(state, row), life=life)
    return used


def _by_workspace(days: Sequence[WorkspaceDay]) -> dict[int, list[WorkspaceDay]]:
    found: dict[int, list[WorkspaceDay]] = defaultdict(list)
    for row in days:
        found[row.workspace_key].append(row)
    return found


def _with_forecast(
    used: Usage, workspace_key: int, states: Sequence[DatabaseState], days: Sequence[WorkspaceDay], now: datetime
) -> WorkspaceUsage:
    """Forecast a workspace's month from its databases and its days before today."""
    month = month_start(now).date()
    ahead = outlook(workspace_key, states, days, now)
    return WorkspaceUsage(
        used=used,
        expected_operations=ahead.operations,
        expected_storage_bytes=ahead.storage_bytes,
        forecast_missing=ahead.missing,
        days=[row for row in days if month <= row.day < now.date()],
    )


def _by_holder(ledger_state: LedgerState) -> dict[int, list[DatabaseState]]:
    """The databases by the key of each workspace that holds them or held them in a month of their states."""
    found: dict[int, list[DatabaseState]] = defaultdict(list)
    for state in ledger_state.databases.values():
        for key in {state.workspace_key, *(row.workspace_key for row in state.months)}:
            found[key].append(state)
    return found


def _shares(bill: Bill, used: Mapping[str, Usage], fee_share: FeeShare) -> dict[str, Share]:
    operations = {id_: usage.operations for id_, usage in used.items()}
    storage = {id_: usage.storage_byte_seconds for id_, usage in used.items()}
    by_fee = {
        FeeShare.OPERATIONS: operations,
        FeeShare.STORAGE: storage,
        FeeShare.EQUAL: dict.fromkeys(used, 1),
    }[fee_share]
    parts = [
        None if amount is None else share_out(amount, weights)
        for amount, weights in ((bill.fee, by_fee), (bill.operations, operations), (bill.storage, storage))
    ]
    fee, for_operations, for_storage = parts
    return {
        id_: (
            fee[id_] if fee is not None else None,
            for_operations[id_] if for_operations is not None else None,
            for_storage[id_] if for_storage is not None else None,
        )
        for id_ in used
    }


def _sum(shares: Sequence[Share]) -> Share:
    if len(shares) == 1:
        return shares[0]
    fee, operations, storage = (
        None if None in parts else sum((part for part in parts if part is not None), Decimal(0))
        for parts in zip(*shares, strict=True)
    )
    return fee, operations, storage


def _total(share: Share) -> Decimal:
    return sum((part for part in share if part is not None), Decimal(0))


def _matching(ledger_state: LedgerState, budget: BudgetConfig, used: Mapping[int, Mapping[str, Usage]]) -> list[str]:
    names = {id_: row.workspace.name for id_, row in ledger_state.workspaces.items()}
    in_month = {id_ for by_database in used.values() for id_ in by_database}
    return [
        id_
        for id_, state in ledger_state.databases.items()
        if (state.deleted_at is None or id_ in in_month)
        and matches(budget, state.database, names.get(state.database.workspace_id, ""))
    ]
