"""What another plan or other usage would cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from prisma_postgres_exporter.config import Config, WorkspaceConfig
from prisma_postgres_exporter.cost.charging import Costs, charge
from prisma_postgres_exporter.cost.estimate import WorkspaceUsage, estimate
from prisma_postgres_exporter.cost.prices import configured
from prisma_postgres_exporter.cost.usage import add_up, unlisted
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.model import DatabaseState, LedgerState, MonthUsage, WorkspaceDay, month_start

SCALED = ("operations", "storage")
WORTH_IT = Decimal("0.95")
"""The most of its own plan's cost at which another plan is worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Another plan for every workspace (`None`: their own), and factors of what is used."""

    plan: str | None = None
    operations: Fraction = Fraction(1)
    storage: Fraction = Fraction(1)


def parse_what_if(texts: Iterable[str], config: Config) -> WhatIf:
    """Read `plan=pro`, `operations=x2`, `storage=x0.5`.

    Raises:
        ConfigurationError: what is written otherwise, with what is accepted.
    """
    found = WhatIf()
    problems = []
    plans = sorted({row.plan.lower() for row in config.prices})
    for text in texts:
        name, _, value = text.partition("=")
        if name == "plan" and value.lower() in plans:
            found = replace(found, plan=value.lower())
        elif name == "plan":
            problems.append(f"--what-if {text}: no such plan; known are {', '.join(plans)}")
        elif name in SCALED and (factor := _factor(value)) is not None:
            found = replace(found, operations=factor) if name == "operations" else replace(found, storage=factor)
        else:
            problems.append(f"--what-if {text}: write plan=NAME, operations=x2 or storage=x0.5")
    if problems:
        raise ConfigurationError(problems)
    return found


def suppose(
    ledger_state: LedgerState, config: Config, days: Sequence[WorkspaceDay], what_if: WhatIf
) -> tuple[LedgerState, Config, tuple[WorkspaceDay, ...]]:
    """Return the ledger state, the configuration and the days as they would be."""
    if what_if.plan is not None:
        config = with_plan(config, ledger_state, what_if.plan)
    workspaces = [
        replace(row, databases={id_: _scaled(state, what_if) for id_, state in row.databases.items()})
        for row in ledger_state.workspaces.values()
    ]
    scaled_days = tuple(
        replace(
            row,
            operations=int(row.operations * what_if.operations),
            storage_byte_seconds=int(row.storage_byte_seconds * what_if.storage),
            storage_bytes=None if row.storage_bytes is None else int(row.storage_bytes * what_if.storage),
            parts={
                key: (int(operations * what_if.operations), int(byte_seconds * what_if.storage))
                for key, (operations, byte_seconds) in row.parts.items()
            },
        )
        for row in days
    )
    return ledger_state.with_workspaces(*workspaces), config, scaled_days


def with_plan(config: Config, ledger_state: LedgerState, plan: str) -> Config:
    """Return the configuration with every workspace on `plan`, at the prices in force; limits stay."""
    workspaces = []
    for row in ledger_state.workspaces.values():
        own = configured(config, row.workspace)
        kept = own if own is not None else WorkspaceConfig(workspace=row.workspace.id)
        changes = {"workspace": row.workspace.id, "plan": plan, "price_version": None, "prices": None}
        workspaces.append(kept.model_copy(update=changes))
    return config.model_copy(update={"cost": config.cost.model_copy(update={"workspaces": tuple(workspaces)})})


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the whole month would cost on a plan; where not `is_complete`, about so much, as of what is expected."""

    usd: Decimal
    is_complete: bool


def compare_plans(
    ledger_state: LedgerState, config: Config, days: Sequence[WorkspaceDay], now: datetime, *, is_over: bool = False
) -> dict[str, dict[str, Offer]]:
    """Return by workspace id what the whole month would cost on each plan, the cheapest first.

    Of one that `is_over` it is what the bill would have been. A plan that stops at what it includes is left out where
    more is expected to be used.
    """
    found: dict[str, dict[str, Offer]] = {id_: {} for id_ in ledger_state.workspaces}
    for plan in dict.fromkeys(row.plan.lower() for row in config.prices):
        costs = charge(
            ledger_state, with_plan(config, ledger_state, plan), days, now, is_over=is_over, is_supposed=True
        )
        for id_, cost in costs.workspaces.items():
            # Of a month of which nothing can be expected yet, what is known of it is no whole month.
            bill = cost.bill if is_over else cost.expected_bill
            is_stopped = any(name.startswith("free_") for name, _ in cost.limits)
            if bill is not None and bill.total is not None and not is_stopped:
                found[id_][plan] = Offer(usd=bill.total, is_complete=is_over or cost.is_expected_complete)
    return {id_: dict(sorted(plans.items(), key=lambda entry: entry[1].usd)) for id_, plans in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What the use of a month that is over costs on the plan of now, and on the cheapest one."""

    own_plan: str
    own_usd: Decimal
    plan: str
    would_usd: Decimal


def savings(
    month: tuple[LedgerState, Config, Costs, Sequence[WorkspaceDay], datetime], plans: Mapping[str, str]
) -> dict[str, Saving]:
    """Return by workspace id what another plan than its own of now, which is in `plans`, would have saved.

    `month` is one that is over: its ledger state, configuration, costs, days, and last second. Only where that is
    certain: its whole use is known, and the list prices are asked of it. A plan that stops at what it includes is no
    advice, as it would have stopped.
    """
    ledger_state, config, costs, days, until = month
    days_by_key: dict[int, list[WorkspaceDay]] = defaultdict(list)
    for day in days:
        if month_start(until).date() <= day.day <= until.date():
            days_by_key[day.workspace_key].append(day)
    certain: dict[str, WorkspaceUsage] = {}
    for id_ in plans.keys() & costs.workspaces.keys():
        row = ledger_state.workspaces[id_]
        used = add_up((*costs.used[id_].values(), unlisted(row, until)))
        own = configured(config, row.workspace)
        if used.is_complete and (own is None or (own.prices is None and own.price_version is None)):
            certain[id_] = WorkspaceUsage(used=used, days=days_by_key[row.key])
    bills: dict[str, dict[str, Decimal]] = {id_: {} for id_ in certain}
    for plan in dict.fromkeys(row.plan.lower() for row in config.prices if not row.hard_stop):
        supposed = with_plan(config, ledger_state, plan)
        for id_, usage in certain.items():
            bill = estimate(supposed, ledger_state.workspaces[id_], usage, until).bill
            if bill is not None and bill.total is not None:
                bills[id_][plan] = bill.total
    found: dict[str, Saving] = {}
    for id_, by_plan in bills.items():
        own_usd = by_plan.get(plans[id_].lower())
        cheapest = min(by_plan, key=lambda plan: by_plan[plan], default=None)
        if own_usd is not None and cheapest is not None and by_plan[cheapest] <= own_usd * WORTH_IT:
            found[id_] = Saving(
                own_plan=plans[id_], own_usd=own_usd, plan=cheapest.capitalize(), would_usd=by_plan[cheapest]
            )
    return found


def _factor(text: str) -> Fraction | None:
    try:
        factor = Fraction(Decimal(text.removeprefix("x")))
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return factor if text.startswith("x") and 0 <= factor <= 1_000_000 else None


def _scaled(state: DatabaseState, what_if: WhatIf) -> DatabaseState:
    return replace(
        state,
        storage_bytes=None if state.storage_bytes is None else int(state.storage_bytes * what_if.storage),
        months=tuple(_scaled_month(row, what_if) for row in state.months),
        recent_days=tuple(
            replace(
                row,
                operations=int(row.operations * what_if.operations),
                storage_byte_seconds=int(row.storage_byte_seconds * what_if.storage),
            )
            for row in state.recent_days
        ),
    )


def _scaled_month(row: MonthUsage, what_if: WhatIf) -> MonthUsage:
    return replace(
        row,
        operations=None if row.operations is None else int(row.operations * what_if.operations),
        days_operations=int(row.days_operations * what_if.operations),
        storage_byte_seconds=int(row.storage_byte_seconds * what_if.storage),
    )
