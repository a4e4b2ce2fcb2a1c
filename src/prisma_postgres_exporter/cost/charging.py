"""What everything costs in this month: each workspace, each database's share of it, each budget."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from prisma_postgres_exporter.config import BudgetConfig, Config
from prisma_postgres_exporter.cost.bill import Bill
from prisma_postgres_exporter.cost.budgets import BudgetState, Place, matches, matches_workspace, state_of
from prisma_postgres_exporter.cost.estimate import WorkspaceCost, WorkspaceUsage, estimate
from prisma_postgres_exporter.cost.limits import BLOCKING
from prisma_postgres_exporter.cost.outlook import is_new, outlook, stored_so_far, usual
from prisma_postgres_exporter.cost.placing import placed_days
from prisma_postgres_exporter.cost.shares import NO_USD, Charged, charged_of, shares_of
from prisma_postgres_exporter.cost.usage import Usage, add_up, unlisted, used_in_month
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.model import (
    DatabaseState,
    LedgerState,
    WorkspaceDay,
    WorkspaceState,
    month_start,
    next_month_start,
)
from prisma_postgres_exporter.reasons import BLOCKED

DAY_SECONDS = 86_400
HISTORY = timedelta(days=91)
"""How far back the days go that a forecast is made from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The cost of the month as of `worked_out_at`, by workspace id, and the shares of it in USD, and the budgets.

    `used` is what each database used, by the ids of the workspace that held it and of the database, `charged` what is
    charged for of it, where a price is known. `shares` of what a
    workspace costs are of all of them, deleted ones included, and add up to its bill: a database that moved in the
    month has one in each workspace. A fee that no database can bear, or of which nobody knows yet which one does, has a
    share of its own. A workspace that was gone
    before the month is not in it. `likely` is what each will have used of a month of which enough is known, and
    `expected` by the same ids what of the whole month's expected cost will be its share.
    """

    workspaces: Mapping[str, WorkspaceCost] = field(default_factory=dict)
    used: Mapping[str, Mapping[str, Usage]] = field(default_factory=dict)
    charged: Mapping[str, Charged] = field(default_factory=dict)
    shares: Mapping[Place, Bill] = field(default_factory=dict)
    likely: Mapping[str, Mapping[str, Usage]] = field(default_factory=dict)
    expected: Mapping[Place, Decimal] = field(default_factory=dict)
    budgets: tuple[BudgetState, ...] = ()
    worked_out_at: datetime | None = None


def charge(
    ledger_state: LedgerState,
    config: Config,
    days: Sequence[WorkspaceDay],
    now: datetime,
    used_by_key: Mapping[int, Mapping[str, Usage]] | None = None,
    *,
    is_over: bool = False,
    is_supposed: bool = False,
    are_days_behind: bool = False,
) -> Costs:
    """Work out the month of `now`. `days` are the workspaces' days of the ledger, three months of them if there are.

    Where `are_days_behind`, the state may hold days that are not in `days`. Of a month that `is_over`, `now` is its
    last second, and nothing is expected of it any more. Where another plan or usage `is_supposed`, what the vendor
    blocks is not. `used_by_key` is what `used_in_month` gives for this state and instant, where that is known already.
    """
    by_key = used_in_month(ledger_state, now) if used_by_key is None else used_by_key
    history, states = _by_workspace(days), _by_holder(ledger_state)
    workspaces: dict[str, WorkspaceCost] = {}
    used: dict[str, Mapping[str, Usage]] = {}
    charged: dict[str, Charged] = {}
    shares: dict[Place, Bill] = {}
    all_likely: dict[str, Mapping[str, Usage]] = {}
    expected: dict[Place, Decimal] = {}
    is_read_since = any(
        usage.days_known
        for row in ledger_state.workspaces.values()
        if now < month_start(row.first_seen_at)
        for usage in by_key.get(row.key, {}).values()
    )
    for id_, row in ledger_state.workspaces.items():
        if row.was_gone_at(month_start(now)):
            continue
        by_database = used[id_] = by_key.get(row.key, {})
        total = add_up((*by_database.values(), unlisted(row, now)))
        # Of one without databases nothing can be read: where the month was read later of others, it has a fee as they.
        is_anything_to_read = bool(by_database) or not is_read_since
        if now < month_start(row.first_seen_at) and not total.days_known and is_anything_to_read:
            workspaces[id_] = WorkspaceCost(
                is_unread=True,
                unpriced=f"nothing of this month was read: it is followed since {row.first_seen_at:%Y-%m-%d}",
            )
            continue
        days_here = placed_days(row.key, history.get(row.key, ()), states.get(row.key, ()))
        if is_over:
            usage = WorkspaceUsage(used=total, days=_of_month(days_here, now))
        else:
            usage = _with_forecast(total, row.key, states.get(row.key, ()), days_here, now)
        parts = [(of, ledger_state.databases[key].deleted_at) for key, of in by_database.items()]
        # Of a database of which nothing was ever read, nothing is expected: not 0. Of others last month says what.
        are_all_read = all(
            of.operations is not None or usual(ledger_state.databases[key], now) is not None
            for key, of in by_database.items()
        )
        usage = replace(
            usage, parts=parts, are_all_read=are_all_read and usage.are_all_read, are_days_behind=are_days_behind
        )
        cost = estimate(config, row, usage, now)
        cost = workspaces[id_] = cost if is_over or is_supposed or not is_blocked(row) else _blocked(cost, now)
        if cost.bill is not None and row.was_gone_at(now):
            # Its fee is that of the plan it had; what it used since, perhaps in databases that nobody saw, is unknown.
            bill = replace(cost.bill, are_operations_known=False, is_storage_known=False)
            cost = workspaces[id_] = replace(cost, bill=bill)
        if not are_all_read and cost.forecast_missing is None and not is_over:
            cost = workspaces[id_] = replace(cost, forecast_missing="databases of which nothing was read yet")
        if cost.bill is None:
            continue
        counted = charged_of(by_database, ledger_state.databases, row.key, days_here, cost.charged_since, now)
        charged[id_] = counted
        for database_id, share in shares_of(cost.bill, by_database, counted, config.cost.fee_share).items():
            shares[id_, database_id] = share
        if cost.expected_bill is not None and cost.expected_bill.total is not None:
            likely = all_likely[id_] = {
                key: _at_months_end(of, ledger_state.databases[key], row.key, now) for key, of in by_database.items()
            }
            counted = charged_of(likely, ledger_state.databases, row.key, days_here, cost.charged_since, now)
            parts_expected = shares_of(cost.expected_bill, likely, counted, config.cost.fee_share)
            # What is nobody's so far will be somebody's.
            expected |= {(id_, None): NO_USD} if (id_, None) in shares else {}
            expected |= {
                (id_, key): share.known
                for key, share in parts_expected.items()
                if share.known is not None
                and (key is None or likely[key].operations is not None or not cost.expected_bill.total)
            }
    return Costs(
        workspaces=workspaces,
        used=used,
        charged=charged,
        shares=shares,
        likely=all_likely,
        expected=expected,
        budgets=tuple(
            _budget(budget, ledger_state, used, shares, expected, is_over=is_over) for budget in config.cost.budgets
        ),
        worked_out_at=now,
    )


def is_blocked(row: WorkspaceState) -> bool | None:
    """Whether the vendor blocks a workspace: its subscription says so, or it refused the newest reading for that.

    `None`: neither is known yet. A database that was refused before others were read, as it is not followed any more,
    tells nothing of now.
    """
    there = [state for state in row.databases.values() if state.deleted_at is None]
    refused = [state.failing_since_at for state in there if state.failure_reason == BLOCKED and state.failing_since_at]
    read_at = max((state.last_success_at for state in there if state.last_success_at), default=None)
    is_refused = bool(refused) and (read_at is None or max(refused) >= read_at)
    return True if is_refused else row.workspace.usage_blocked


def _at_months_end(usage: Usage, state: DatabaseState, workspace_key: int, now: datetime) -> Usage:
    """A database's usage for its part of what is expected: as usual for the rest of the month, unless it is gone.

    What is not known of the month so far is as usual too; of one that nobody ever read nothing is known.
    """
    a_day, seconds, level = usual(state, now), usage.storage_seconds, state.storage_bytes or 0
    if usage.operations is None and a_day is None:
        return usage
    operations, byte_seconds = usage.known_operations, usage.level_byte_seconds
    if not usage.is_storage_known:
        byte_seconds = stored_so_far(state, workspace_key, now) or level * seconds
    if not usage.are_operations_known:
        operations = max(operations, round((a_day or 0) * seconds / DAY_SECONDS))
    is_here = state.deleted_at is None and state.workspace_key == workspace_key
    left = int((next_month_start(now) - now).total_seconds()) if is_here else 0
    a_second = operations / seconds if a_day is None and seconds else (a_day or 0) / DAY_SECONDS
    a_second = 0 if is_new(state, now) else a_second
    return replace(
        usage,
        known_operations=operations + round(a_second * left),
        known_byte_seconds=byte_seconds + level * left,
        days_known=max(1, usage.days_known),
    )


def _blocked(cost: WorkspaceCost, now: datetime) -> WorkspaceCost:
    """The same of a workspace that is blocked: whatever it was by, it is not blocked a second time later."""
    limits = tuple((name, at) for name, at in cost.limits if at <= now or name not in BLOCKING)
    return replace(cost, is_blocked=True, limits=limits)


def _by_workspace(days: Sequence[WorkspaceDay]) -> dict[int, list[WorkspaceDay]]:
    found: dict[int, list[WorkspaceDay]] = defaultdict(list)
    for row in days:
        found[row.workspace_key].append(row)
    return found


def _with_forecast(
    used: Usage, workspace_key: int, states: Sequence[DatabaseState], days: Sequence[WorkspaceDay], now: datetime
) -> WorkspaceUsage:
    """Forecast a workspace's month from its databases and its days before today."""
    if not states:
        nothing = Forecast(low=0, expected=0, high=0)
        return WorkspaceUsage(used=used, expected_operations=nothing, expected_storage_bytes=nothing)
    ahead = outlook(workspace_key, states, days, now)
    return WorkspaceUsage(
        used=used,
        expected_operations=ahead.operations,
        expected_storage_bytes=ahead.storage_bytes,
        forecast_missing=ahead.missing,
        are_all_read=not ahead.is_any_new,
        days=_of_month(days, now),
    )


def _of_month(days: Sequence[WorkspaceDay], now: datetime) -> Sequence[WorkspaceDay]:
    return [row for row in days if month_start(now).date() <= row.day <= now.date()]


def _by_holder(ledger_state: LedgerState) -> dict[int, list[DatabaseState]]:
    """The databases by the key of each workspace that holds them or held them in a month of their states."""
    found: dict[int, list[DatabaseState]] = defaultdict(list)
    for state in ledger_state.databases.values():
        for key in {state.workspace_key, *(row.workspace_key for row in state.months)}:
            found[key].append(state)
    return found


def _budget(
    budget: BudgetConfig,
    ledger_state: LedgerState,
    used: Mapping[str, Mapping[str, Usage]],
    shares: Mapping[Place, Bill],
    expected: Mapping[Place, Decimal],
    *,
    is_over: bool,
) -> BudgetState:
    """Add up what a budget is for: databases, and of a workspace without one its fee."""
    places: list[Place] = []
    for id_, in_month in used.items():
        row = ledger_state.workspaces[id_]
        name = row.workspace.name
        # A database that is there and has no share yet is one of the budget's all the same; no month before has it.
        new = () if is_over else (key for key, state in row.databases.items() if state.deleted_at is None)
        there = {*in_month, *new}
        places += [
            (id_, database_id)
            for database_id in there
            if matches(budget, ledger_state.databases[database_id].database, workspace_id=id_, workspace_name=name)
        ]
        if (not in_month or (id_, None) in shares) and matches_workspace(budget, workspace_id=id_, workspace_name=name):
            places.append((id_, None))
    by_place: dict[Place, Usage] = {(id_, key): usage for id_, held in used.items() for key, usage in held.items()}
    return state_of(budget, places, shares, expected, by_place)
