"""From Free to a paid plan: whose share of the cost is how large, and what the change from last month is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from gap_worlds import DAY, World, days_of, ledger_of, midnight, workspace_days, worlds
from hypothesis import given, settings

from builders import GIB, SEEN_AT, database, database_state, ledger_state, month_usage, workspace_state
from prisma_postgres_exporter.config import FeeShare, load_config
from prisma_postgres_exporter.cost import By, Costs, charge, cost_rows
from prisma_postgres_exporter.model import DatabaseState, LedgerState, Move, PlanChange, WorkspaceDay
from prisma_postgres_exporter.report import beside, focus_rows, ledger_month, left_out

CONFIG = load_config(environ={})
MONTH, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
LATER = datetime(2026, 12, 9, tzinfo=UTC)
UPGRADED = datetime(2026, 11, 28, 9, tzinfo=UTC)
PLANS = (PlanChange(at=SEEN_AT, plan="Free"), PlanChange(at=UPGRADED, plan="Starter"))
A_DAY = 1_000_000


def lived(number: int, first: int, days: int, *, operations_a_day: int = A_DAY) -> DatabaseState:
    """A database that was there from the November day `first` on for so many days, all of them read."""
    created_at = MONTH + timedelta(days=first - 1)
    ends_at = created_at + timedelta(days=days)
    return database_state(
        f"db_{number}",
        key=number,
        database=database(f"db_{number}", workspace_id="wksp_1", created_at=created_at),
        deleted_at=ends_at if ends_at <= UNTIL else None,
        months=(
            month_usage(
                MONTH.date(),
                database_key=number,
                days=days,
                days_operations=days * operations_a_day,
                storage_byte_seconds=days * 86_400 * GIB,
                storage_seconds=days * 86_400,
            ),
        ),
    )


def held(*states: DatabaseState) -> tuple[LedgerState, list[WorkspaceDay]]:
    row = workspace_state(*states, id_="wksp_1", name="Acme", plan="Starter", plans=PLANS)
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=day.date(),
            operations=sum(of.days_operations // of.days for _, of in there),
            storage_byte_seconds=sum(of.storage_byte_seconds // of.days for _, of in there),
            storage_seconds=86_400 * len(there),
        )
        for day in (MONTH + timedelta(days=number) for number in range(30))
        if (
            there := [
                (state, of)
                for state in states
                for of in state.months
                if state.database.created_at <= day < state.database.created_at + timedelta(days=of.days)
            ]
        )
    ]
    return ledger_state(row), days


def costs_of(*states: DatabaseState, fee_share: FeeShare = FeeShare.OPERATIONS) -> Costs:
    of, days = held(*states)
    config = CONFIG.model_copy(update={"cost": CONFIG.cost.model_copy(update={"fee_share": fee_share})})
    return charge(of, config, days, UNTIL, is_over=True)


@pytest.mark.parametrize("fee_share", FeeShare)
def test_a_database_that_was_gone_before_the_upgrade_has_nothing_of_what_is_charged(fee_share: FeeShare) -> None:
    # From the 28th on three days of a million: two million over the included one at 8.00, and a tenth of the fee.
    costs = costs_of(lived(1, 28, 3), lived(2, 1, 8), fee_share=fee_share)

    assert {key: share.total for (_, key), share in costs.shares.items()} == {
        "db_1": Decimal("17.00"),
        "db_2": Decimal("0.00"),
    }


def test_what_one_used_before_the_upgrade_is_not_charged_and_the_split_of_several_is_about_so_much() -> None:
    # Both have a million a day; one was there all month, one for the last two days: three to two.
    costs = costs_of(lived(1, 1, 30), lived(2, 29, 2))

    bill = costs.workspaces["wksp_1"].bill
    assert bill is not None
    assert bill.total == Decimal("33.00")
    shares = [costs.shares["wksp_1", key] for key in ("db_1", "db_2")]
    assert [(share.qualifier, share.known) for share in shares] == [
        ("about ", Decimal("19.80")),
        ("about ", Decimal("13.20")),
    ]


@settings(max_examples=60)
@given(worlds(plan_changes=True))
def test_each_share_of_what_is_known_is_of_what_was_used_while_it_cost(world: World) -> None:
    of = ledger_of(world)
    costs = charge(of, CONFIG, workspace_days(world), world.until, is_over=world.is_over)
    for workspace in world.workspaces:
        bill = costs.workspaces[workspace.id].bill
        used = costs.used[workspace.id]
        if bill is None or not bill.operations or not all(usage.is_complete for usage in used.values()):
            continue
        before, (changed_on, _) = workspace.plans[0][1], workspace.plans[-1]
        counts_from = max(world.month, changed_on) if before == "free" else world.month
        truth = {
            row.id: sum(
                row.operations(max(midnight(day), midnight(counts_from)), min(midnight(day) + DAY, world.ends_at))
                for day in days_of(midnight(world.month), world.ends_at)
                if row.holder(day) == workspace.number and day >= counts_from
            )
            for row in world.databases
            if row.id in used
        }
        for id_, operations in truth.items():
            share = costs.shares[workspace.id, id_]
            assert share.operations is not None
            assert abs(share.operations - bill.operations * operations / sum(truth.values())) < Decimal("0.01")
            assert share.total is not None


def test_one_that_left_before_the_upgrade_has_nothing_of_it() -> None:
    gone = lived(2, 1, 8)
    left = replace(
        gone,
        workspace_key=2,
        deleted_at=None,
        moves=(
            Move(at=MONTH + timedelta(days=8), from_key=1, to_key=2, last_there_at=MONTH + timedelta(days=7, hours=23)),
        ),
    )
    of, _ = held(lived(1, 28, 3))
    _, days = held(lived(1, 28, 3), gone)
    other = workspace_state(left, key=2, id_="wksp_2", name="Globex", plan="Pro")

    costs = charge(of.with_workspaces(other), CONFIG, days, UNTIL, is_over=True)

    assert costs.shares["wksp_1", "db_1"].known == Decimal("17.00")
    assert costs.shares["wksp_1", "db_2"].known == Decimal("0.00")


def test_every_sum_of_shares_is_the_bill_and_a_project_that_has_them_all_is_as_well_known() -> None:
    of, days = held(lived(1, 1, 30), lived(2, 29, 2), lived(3, 1, 8))
    costs = charge(of, CONFIG, days, UNTIL, is_over=True)

    (whole,) = cost_rows(of, costs, By.WORKSPACE, UNTIL)
    (project,) = cost_rows(of, costs, By.PROJECT, UNTIL)
    rows = cost_rows(of, costs, By.DATABASE, UNTIL)

    assert whole.total == project.total == sum(row.known_usd or 0 for row in rows) == Decimal("33.00")


def test_the_change_of_such_a_month_is_not_of_databases_that_cost_nothing() -> None:
    """Last month nothing was there; the one that came and went before the upgrade cost nothing."""
    of, days = held(lived(1, 28, 3), lived(2, 1, 8))
    empty, _ = held()
    october = ledger_month(empty, CONFIG, (), MONTH - timedelta(seconds=1), LATER)
    month = ledger_month(of, CONFIG, days, UNTIL, LATER, october)
    paid = with_plan(of, "Starter")
    before = with_plan(empty, "Starter")
    after_paid = ledger_month(
        paid, CONFIG, days, UNTIL, LATER, ledger_month(before, CONFIG, (), MONTH - timedelta(seconds=1), LATER)
    )

    split = beside(month, By.WORKSPACE)["wksp_1", "", ""].split
    assert split is not None
    # On Free a database costs nothing, whatever it does: all of it is the plan's.
    assert {name: amount for name, amount in split.items() if amount} == {"plan": Decimal("17.00")}

    whole = beside(after_paid, By.WORKSPACE)["wksp_1", "", ""].split
    assert whole is not None
    assert {name: amount for name, amount in whole.items() if amount} == {"new databases": Decimal("80.00")}


def test_a_database_that_went_before_the_upgrade_took_no_cost_with_it() -> None:
    """November: Free to Starter on the 28th; December, on Starter: only what was charged can be gone."""
    of, days = held(lived(1, 28, 3), lived(2, 1, 8), lived(3, 28, 3))
    november = ledger_month(of, CONFIG, days, UNTIL, LATER + timedelta(days=40))
    kept = of.databases["db_1"]
    december = replace(
        kept.months[0], month=UNTIL.date().replace(month=12, day=1), days=31, storage_seconds=31 * 86_400
    )
    stays = replace(kept, months=(replace(december, days_operations=3 * A_DAY),))
    ends_at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    row = workspace_state(stays, id_="wksp_1", name="Acme", plan="Starter", plans=PLANS)
    month = ledger_month(ledger_state(row), CONFIG, (), ends_at, LATER + timedelta(days=40), november)

    split = beside(month, By.WORKSPACE)["wksp_1", "", ""].split

    # Of six million since the upgrade five were over the included one; three of them are gone, at 8.00.
    assert split is not None
    assert (split["gone databases"], split["operations"]) == (Decimal("-24.00"), Decimal("0.00"))
    assert split["plan"] == Decimal("9.00")


def test_focus_has_the_rows_and_says_that_each_of_them_is_about_so_much() -> None:
    of, days = held(lived(1, 1, 30), lived(2, 29, 2))
    month = ledger_month(of, CONFIG, days, UNTIL, LATER)

    assert sum(row[0] for row in focus_rows(month)) == Decimal("33.00")  # type: ignore[misc]
    (said,) = left_out(month)
    assert "what each row says is about so much" in said

    of, days = held(lived(1, 28, 3), lived(2, 1, 8))
    assert list(left_out(ledger_month(of, CONFIG, days, UNTIL, LATER))) == []


def with_plan(of: LedgerState, plan: str) -> LedgerState:
    (row,) = of.workspaces.values()
    return ledger_state(replace(row, plans=(PlanChange(at=SEEN_AT, plan=plan),)))
