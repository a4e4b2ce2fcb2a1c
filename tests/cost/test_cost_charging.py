"""A month's costs from a ledger state: workspaces, shares, budgets, limits, warnings, and what would be if."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from builders import GIB, database, database_state, day_usage, month_usage, settled_day, workspace_state
from prisma_postgres_exporter.config import BudgetConfig, Config, FeeShare, WorkspaceConfig, load_config
from prisma_postgres_exporter.cost import (
    By,
    Offer,
    Saving,
    WhatIf,
    charge,
    compare_plans,
    cost_rows,
    cost_warnings,
    parse_what_if,
    savings,
    suppose,
    total_of,
)
from prisma_postgres_exporter.documents import budget_document
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.model import DatabaseState, LedgerState, Move, PlanChange, WorkspaceDay, WorkspaceState

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECONDS = 20 * 86_400
SEEN_AT = datetime(2026, 9, 1, tzinfo=UTC)
DEFAULTS = load_config(environ={})


def configured(**cost: object) -> Config:
    return DEFAULTS.model_copy(update={"cost": DEFAULTS.cost.model_copy(update=cost)})


def state(
    number: int, operations: int, *, gib: int = 0, deleted_at: datetime | None = None, workspace: int = 1
) -> DatabaseState:
    month = month_usage(
        date(2026, 11, 1),
        operations,
        database_key=number,
        workspace_key=workspace,
        days=20,
        days_operations=operations,
        storage_byte_seconds=gib * GIB * SECONDS,
        storage_seconds=SECONDS,
    )
    return database_state(
        key=number,
        workspace_key=workspace,
        database=database(
            f"db_{number}",
            name=f"database {number}",
            project_id=f"proj_{number % 2}",
            project_name=f"project {number % 2}",
            workspace_id=f"wksp_{workspace}",
        ),
        deleted_at=deleted_at,
        months=(month,),
    )


def workspace(number: int, name: str, *, plan: str | None = "Starter", **changes: Any) -> WorkspaceState:
    return workspace_state(key=number, id_=f"wksp_{number}", name=name, plan=plan, **changes)


def ledger_state(
    *states: DatabaseState,
    plan: str | None = "Starter",
    plans: tuple[PlanChange, ...] = (),
    others: tuple[WorkspaceState, ...] = (),
) -> LedgerState:
    """The workspace Acme and others, each with those of the databases that are its own."""
    return LedgerState.of((workspace(1, "Acme", plan=plan, plans=plans), *others), states)


def days(operations: int, *, back: int = 60) -> tuple[WorkspaceDay, ...]:
    return tuple(
        WorkspaceDay(
            workspace_key=1,
            day=NOW.date() - timedelta(days=ago),
            operations=operations,
            storage_byte_seconds=GIB * 86_400,
            storage_seconds=86_400,
        )
        for ago in range(back, 0, -1)
    )


def test_two_projects_of_one_name_are_two_lines() -> None:
    first, second = state(1, 10), state(2, 20)
    second = replace(second, database=replace(second.database, project_name=first.database.project_name))
    held = ledger_state(first, second)

    rows = cost_rows(held, charge(held, DEFAULTS, (), NOW), By.PROJECT, NOW)

    assert {row.project_id: row.operations for row in rows} == {"proj_1": 10, "proj_0": 20}


def moved_halfway(of: DatabaseState, *, from_key: int, before: int, after: int) -> DatabaseState:
    """One that was seen in another workspace until midnight of the eleventh, and in its own from then on."""
    moved_at = datetime(2026, 11, 11, tzinfo=UTC)
    there = replace(of.months[0], days=10, storage_seconds=SECONDS // 2, operations=None)
    months = replace(there, days_operations=after), replace(there, workspace_key=from_key, days_operations=before)
    move = Move(at=moved_at, from_key=from_key, to_key=of.workspace_key, last_there_at=moved_at)
    return replace(of, months=months, moves=(move,))


def test_a_database_that_moved_is_a_line_of_each_workspace_and_they_add_up() -> None:
    moved = moved_halfway(state(1, 0, workspace=2), from_key=1, before=2_000_000, after=3_000_000)
    held = ledger_state(moved, state(2, 5_000_000), others=(workspace(2, "B"),))
    costs = charge(held, DEFAULTS, (), NOW)

    rows = cost_rows(held, costs, By.DATABASE, NOW)

    assert sorted((row.workspace_id, row.database_id, row.operations) for row in rows) == [
        ("wksp_1", "db_1", 2_000_000),
        ("wksp_1", "db_2", 5_000_000),
        ("wksp_2", "db_1", 3_000_000),
    ]
    assert len({row.place for row in rows}) == 3
    for whole in cost_rows(held, costs, By.WORKSPACE, NOW):
        own = [row.total for row in rows if row.workspace_id == whole.workspace_id]
        assert sum(total or 0 for total in own) == whole.total


def test_what_was_used_on_a_day_in_doubt_is_not_charged_for_since_an_upgrade_either() -> None:
    """It came in the night of the twelfth. The plan was Free until the eleventh: the days say what is charged for."""
    moved_at = datetime(2026, 11, 12, 1, tzinfo=UTC)
    move = Move(at=moved_at, from_key=2, to_key=1, last_there_at=moved_at - timedelta(hours=2))
    days = [settled_day(date(2026, 11, day), operations) for day, operations in ((12, 3_000_000), (13, 1_500_000))]
    month = month_usage(date(2026, 11, 1), days=2, days_operations=4_500_000)
    came = replace(state(1, 0), months=(month,), recent_days=(days[0],), moves=(move,))
    plans = (
        PlanChange(at=SEEN_AT, plan="Free"),
        PlanChange(at=datetime(2026, 11, 11, 9, tzinfo=UTC), plan="Starter"),
    )
    held = ledger_state(came, plans=plans, others=(workspace(2, "B"),))
    sums = [
        WorkspaceDay(workspace_key=1, day=row.day, operations=row.operations, storage_byte_seconds=0, storage_seconds=0)
        for row in days
    ]

    for is_over in (False, True):
        bill = charge(held, DEFAULTS, sums, NOW, is_over=is_over).workspaces["wksp_1"].bill
        assert bill is not None
        # Half a million over the allowance, at 8.00 a million.
        assert (bill.operations, bill.are_operations_known) == (Decimal("4.00"), False)


def test_all_databases_are_pooled_deleted_ones_too_and_their_shares_add_up() -> None:
    gone = state(3, 500_000, deleted_at=NOW - timedelta(days=5))
    costs = charge(ledger_state(state(1, 1_000_000), state(2, 1_000_001), gone), DEFAULTS, (), NOW)

    bill = costs.workspaces["wksp_1"].bill
    assert bill is not None
    # 2,500,001 - 1,000,000 = 1.500001 million at 8.00 = 12.00
    assert (bill.fee, bill.operations, bill.storage) == (Decimal("10.00"), Decimal("12.00"), Decimal("0.00"))
    for part, total in enumerate((bill.fee, bill.operations, bill.storage)):
        assert sum((share.parts[part] or Decimal(0) for share in costs.shares.values()), Decimal(0)) == total
    assert costs.shares["wksp_1", "db_3"].operations == Decimal("2.40")


@pytest.mark.parametrize(
    ("by", "shares"),
    [
        (FeeShare.OPERATIONS, ("7.50", "2.50")),
        (FeeShare.STORAGE, ("2.50", "7.50")),
        (FeeShare.EQUAL, ("5.00", "5.00")),
    ],
)
def test_the_fee_is_shared_as_configured(by: FeeShare, shares: tuple[str, str]) -> None:
    costs = charge(ledger_state(state(1, 300, gib=1), state(2, 100, gib=3)), configured(fee_share=by), (), NOW)

    assert [costs.shares["wksp_1", id_].fee for id_ in ("db_1", "db_2")] == [Decimal(share) for share in shares]


@pytest.mark.parametrize("plan", [None, "Platinum"])
def test_an_unknown_plan_has_no_cost_and_says_so(plan: str | None) -> None:
    of = ledger_state(state(1, 5), plan=plan)
    costs = charge(of, DEFAULTS, (), NOW)

    assert costs.workspaces["wksp_1"].bill is None
    assert costs.shares == {}
    (warning,) = cost_warnings(of, DEFAULTS, costs)
    assert warning.startswith("workspace Acme has no whole cost: ")


def test_the_configuration_chooses_plan_version_and_prices() -> None:
    for own, operations in (
        (WorkspaceConfig(workspace="Acme", plan="pro"), "0.00"),
        (WorkspaceConfig(workspace="wksp_1", price_version="2025"), "34.20"),  # 1.9 million at 18.00
    ):
        costs = charge(ledger_state(state(1, 2_000_000)), configured(workspaces=(own,)), (), NOW)
        bill = costs.workspaces["wksp_1"].bill
        assert bill is not None
        assert bill.operations == Decimal(operations)


def test_a_plan_that_changed_in_this_month_is_billed_in_parts() -> None:
    plans = (
        PlanChange(at=NOW - timedelta(days=90), plan="Starter"),
        PlanChange(at=datetime(2026, 11, 11, 9, tzinfo=UTC), plan="Pro"),
    )
    costs = charge(ledger_state(state(1, 20), plan="Pro", plans=plans), DEFAULTS, days(1), NOW)

    bill = costs.workspaces["wksp_1"].bill
    assert bill is not None
    assert bill.fee == Decimal("36.00")  # ten days of 10.00 and twenty of 49.00, of thirty
    assert costs.workspaces["wksp_1"].plan == "Pro"


def test_frees_hard_stop_has_its_day() -> None:
    # 8,000 a day: 160,000 in twenty days, 200,000 after five more.
    costs = charge(ledger_state(state(1, 160_000), plan="Free"), DEFAULTS, days(8_000), NOW)

    (name, reached_at), *_ = costs.workspaces["wksp_1"].limits
    assert name == "free_operations"
    assert abs(reached_at - datetime(2026, 11, 26, tzinfo=UTC)) < timedelta(hours=12)
    assert costs.workspaces["wksp_1"].bill is not None


def test_a_spend_limit_has_its_day_and_one_that_is_reached_is_now() -> None:
    # 100,000 a day: 2 million so far are 8.00 over the included; 8 more days of 0.80 each reach 14.40.
    own = WorkspaceConfig(workspace="Acme", spend_limit_usd=Decimal("14.40"))
    costs = charge(ledger_state(state(1, 2_000_000)), configured(workspaces=(own,)), days(100_000), NOW)
    ((name, reached_at),) = costs.workspaces["wksp_1"].limits
    assert name == "spend_limit"
    assert abs(reached_at - datetime(2026, 11, 29, tzinfo=UTC)) < timedelta(hours=12)

    reached = own.model_copy(update={"spend_limit_usd": Decimal("8.00")})
    costs = charge(ledger_state(state(1, 2_000_000)), configured(workspaces=(reached,)), days(100_000), NOW)
    assert costs.workspaces["wksp_1"].limits == (("spend_limit", NOW),)


def test_budgets_take_what_matches_and_one_that_matches_nothing_is_told() -> None:
    budgets = (
        BudgetConfig(name="all", monthly_usd=Decimal(50)),
        BudgetConfig(name="one", monthly_usd=Decimal(5), projects=(re.compile("project 1"),)),
        BudgetConfig(name="none", monthly_usd=Decimal(5), databases=(re.compile("nowhere"),)),
    )
    of = ledger_state(state(1, 2_000_000), state(2, 1_000_000))
    config = configured(budgets=budgets)
    costs = charge(of, config, days(150_000), NOW)

    everything, one, none = costs.budgets
    # 3 million - 1 million = 2 million at 8.00 = 16.00 and the fee of 10.00; two thirds of both are of project 1.
    assert (everything.spent_usd, one.spent_usd, none.spent_usd) == (Decimal("26.00"), Decimal("17.34"), None)
    assert everything.expected_usd is not None
    assert everything.expected_usd > Decimal("26.00")
    assert list(cost_warnings(of, config, costs)) == ["budget 'none' matches nothing; look at its expressions"]


def test_a_workspace_that_is_not_there_is_told_with_the_nearest() -> None:
    config = configured(workspaces=(WorkspaceConfig(workspace="Acmee", plan="pro"),))
    of = ledger_state(state(1, 5))

    (warning,) = cost_warnings(of, config, charge(of, config, (), NOW))

    assert warning == "cost.workspaces: there is no workspace 'Acmee'; did you mean Acme?"


@pytest.mark.parametrize("by", By)
def test_every_way_to_list_it_adds_up_to_the_same(by: By) -> None:
    of = ledger_state(*(state(number, number * 123_456, gib=number) for number in range(1, 8)))
    rows = cost_rows(of, charge(of, DEFAULTS, (), NOW), by, NOW)

    (whole,) = cost_rows(of, charge(of, DEFAULTS, (), NOW), By.WORKSPACE, NOW)
    assert sum((row.total or Decimal(0) for row in rows), Decimal(0)) == whole.total
    assert sum(row.operations or 0 for row in rows) == whole.operations
    assert len(rows) == {By.WORKSPACE: 1, By.PROJECT: 2, By.DATABASE: 7}[by]


def test_what_if_scales_usage_and_changes_plans() -> None:
    of = ledger_state(state(1, 6_000_000))
    doubled, config, _ = suppose(of, DEFAULTS, (), WhatIf(plan="pro", operations=Fraction(2)))
    bill = charge(doubled, config, (), NOW).workspaces["wksp_1"].bill

    assert bill is not None
    assert (bill.fee, bill.operations) == (Decimal("49.00"), Decimal("4.00"))
    plans = compare_plans(of, DEFAULTS, days(300_000), NOW)["wksp_1"]
    # 9 million in all: Starter 10 + 64, Pro 49, Business 129; Free would stop.
    assert list(plans) == ["pro", "starter", "business"]
    assert plans["pro"] == Offer(usd=Decimal("49.00"), is_complete=True)


def test_of_a_month_of_which_nothing_can_be_expected_yet_no_plan_is_the_cheapest() -> None:
    """A few minutes cost nothing on Free; that is not what the whole month would cost."""
    of = ledger_state(state(1, 70))

    assert charge(of, DEFAULTS, (), NOW).workspaces["wksp_1"].expected_operations is None
    assert compare_plans(of, DEFAULTS, (), NOW) == {"wksp_1": {}}
    assert "free" in compare_plans(of, DEFAULTS, (), NOW, is_over=True)["wksp_1"]


def saved(of: LedgerState, config: Config = DEFAULTS, plan: str = "Starter") -> Saving | None:
    """What another plan would have saved in the month of `NOW`, were it over."""
    costs = charge(of, config, (), NOW, is_over=True)
    return savings((of, config, costs, (), NOW), {"wksp_1": plan}).get("wksp_1")


def test_what_another_plan_would_have_saved_is_that_of_the_whole_known_use() -> None:
    """40 million: Starter 10 + 39 x 8, Pro 49 + 30 x 2, Business 129."""
    of = ledger_state(state(1, 40_000_000))

    assert saved(of) == Saving(own_plan="Starter", own_usd=Decimal("322.00"), plan="Pro", would_usd=Decimal("109.00"))
    assert saved(of, plan="Pro") is None
    assert saved(of, plan="Free") is None
    assert saved(ledger_state(state(1, 100))) is None


def test_no_saving_is_told_of_what_is_not_known_whole_or_not_at_the_list_price() -> None:
    never_read = replace(state(2, 0), months=())
    old_price = configured(workspaces=(WorkspaceConfig(workspace="wksp_1", price_version="2026-08"),))

    assert saved(ledger_state(state(1, 40_000_000), never_read)) is None
    assert saved(ledger_state(state(1, 40_000_000)), old_price) is None


@pytest.mark.parametrize("text", ["plan=porr", "operations=2", "operations=x-1", "speed=x2", "operations=xNaN", ""])
def test_a_what_if_that_is_none_is_told(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--what-if"):
        parse_what_if([text], DEFAULTS)


def test_a_database_that_moved_has_its_part_in_both_workspaces() -> None:
    moved = moved_halfway(state(1, 0), from_key=2, before=1_200_000, after=800_000)
    of = ledger_state(moved, others=(workspace(2, "Beta"),))

    costs = charge(of, DEFAULTS, (), NOW)

    assert costs.workspaces["wksp_1"].bill is not None
    assert costs.workspaces["wksp_1"].bill.operations == Decimal("0.00")
    assert costs.workspaces["wksp_2"].bill is not None
    assert costs.workspaces["wksp_2"].bill.operations == Decimal("1.60")
    assert {place: share.parts for place, share in costs.shares.items()} == {
        ("wksp_1", "db_1"): (Decimal("10.00"), Decimal("0.00"), Decimal("0.00")),
        ("wksp_2", "db_1"): (Decimal("10.00"), Decimal("1.60"), Decimal("0.00")),
    }


def test_constant_storage_costs_the_same_next_day_and_a_month_later() -> None:
    # Pro with 60 GiB: 49.00 and 10 GiB beyond what is included at 1.50, whether it was seen for hours or for weeks.
    for hours, storage_days in ((6, 1), (20 * 24, 20)):
        seconds = hours * 3_600
        held = state(1, 20_000)
        held = replace(
            held,
            known_until=NOW.date() - timedelta(days=1),
            storage_bytes=60 * GIB,
            storage_at=NOW,
            months=(replace(held.months[0], storage_byte_seconds=60 * GIB * seconds, storage_seconds=seconds),),
        )
        history = tuple(
            replace(row, storage_byte_seconds=60 * GIB * 21_600, storage_seconds=21_600, storage_bytes=60 * GIB)
            for row in days(1_000, back=max(storage_days, 7))
        )
        cost = charge(ledger_state(held, plan="Pro"), DEFAULTS, history, NOW).workspaces["wksp_1"]

        assert cost.expected_storage_bytes is not None
        assert cost.expected_storage_bytes.expected == 60 * GIB
        assert cost.expected_bill is not None
        assert cost.expected_bill.total == Decimal("64.00")
        assert cost.forecast_missing is None


def test_what_the_forecast_had_to_do_without_is_said() -> None:
    failing = replace(state(2, 10_000), known_until=NOW.date() - timedelta(days=6))
    failing = replace(failing, months=(replace(failing.months[0], operations=None, read_at=None, days=15),))
    costs = charge(ledger_state(state(1, 40_000), failing), DEFAULTS, days(2_000), NOW)

    missing = costs.workspaces["wksp_1"].forecast_missing
    assert missing is not None
    assert "database 2 (5 days)" in missing


def test_more_storage_is_more_of_the_levels_now_too() -> None:
    held = replace(state(1, 20_000, gib=4), storage_bytes=4 * GIB, storage_at=NOW)
    double = suppose(ledger_state(held), DEFAULTS, days(1_000), WhatIf(storage=Fraction(2)))

    once = charge(ledger_state(held), DEFAULTS, days(1_000), NOW).workspaces["wksp_1"].expected_storage_bytes
    twice = charge(*double, NOW).workspaces["wksp_1"].expected_storage_bytes

    assert once is not None
    assert twice is not None
    assert (once.expected, twice.expected) == (4 * GIB, 8 * GIB)


def test_a_lower_plan_takes_effect_when_the_month_is_over() -> None:
    plans = (
        PlanChange(at=NOW - timedelta(days=90), plan="Pro"),
        PlanChange(at=datetime(2026, 11, 20, 9, tzinfo=UTC), plan="Free"),
    )
    costs = charge(ledger_state(state(1, 19_800_000), plan="Free", plans=plans), DEFAULTS, days(900_000), NOW)

    cost = costs.workspaces["wksp_1"]
    assert cost.bill is not None
    # 19,800,000 - 10,000,000 = 9.8 million at 2.00 = 19.60
    assert (cost.bill.fee, cost.bill.operations) == (Decimal("49.00"), Decimal("19.60"))
    assert (cost.plan, cost.limits) == ("Pro", ())


def test_a_day_missing_before_an_upgrade_takes_nothing_from_the_forecast() -> None:
    plans = (
        PlanChange(at=NOW - timedelta(days=90), plan="Free"),
        PlanChange(at=datetime(2026, 11, 10, 9, tzinfo=UTC), plan="Starter"),
    )
    whole, lacking = state(1, 6_000_000), state(1, 6_000_000)
    lacking = replace(lacking, months=(replace(lacking.months[0], days=19, days_operations=5_700_000),))
    history = days(300_000)
    bills = [
        charge(ledger_state(held, plan="Starter", plans=plans), DEFAULTS, known, NOW).workspaces["wksp_1"]
        for held, known in ((whole, history), (lacking, [row for row in history if row.day != date(2026, 11, 1)]))
    ]

    expected = [cost.expected_bill.total for cost in bills if cost.expected_bill is not None]
    assert len(expected) == 2
    assert None not in expected
    most, least = (amount or Decimal(0) for amount in expected)
    assert abs(most - least) < Decimal("0.10"), "of one day's 2.40"
    assert bills[1].bill is not None
    assert bills[1].bill.total is None


def test_after_an_upgrade_days_that_were_read_a_moment_ago_are_not_taken_for_charged_ones() -> None:
    """While a start reads the days before the upgrade, what was used on them was told as "at least" so much of cost."""
    plans = (
        PlanChange(at=NOW - timedelta(days=90), plan="Free"),
        PlanChange(at=datetime(2026, 11, 10, 9, tzinfo=UTC), plan="Starter"),
    )
    of, history = ledger_state(state(1, 6_000_000), plan="Starter", plans=plans), days(300_000)
    since = [row for row in history if row.day >= date(2026, 11, 10)]

    def known(days_read: Sequence[WorkspaceDay], *, is_behind: bool) -> Decimal | None:
        found = charge(of, DEFAULTS, days_read, NOW, are_days_behind=is_behind).workspaces["wksp_1"].bill
        assert found is not None
        return found.known

    assert known(since, is_behind=True) == known(history, is_behind=False) == Decimal("25.40")


def test_what_nobody_read_is_missing_beside_what_is_whole() -> None:
    born_today = replace(state(2, 0), months=())
    born_today = replace(born_today, database=replace(born_today.database, created_at=NOW - timedelta(hours=1)))
    later = NOW + timedelta(hours=1)

    (row,) = cost_rows(
        of := ledger_state(state(1, 5), born_today), charge(of, DEFAULTS, (), later), By.WORKSPACE, later
    )

    assert not row.usage.are_operations_known
    assert row.total is None


def test_a_month_before_a_workspace_was_followed_has_no_cost() -> None:
    of = ledger_state()
    of = of.with_workspaces(replace(of.workspaces["wksp_1"], first_seen_at=NOW))
    until = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)

    (row,) = cost_rows(of, charge(of, DEFAULTS, (), until), By.WORKSPACE, until)

    assert (row.total, row.known_usd) == (None, None)
    assert row.cost is not None
    assert row.cost.unpriced is not None
    assert row.cost.unpriced.startswith("nothing of this month was read")


def test_a_workspace_without_a_price_takes_no_number_from_the_total() -> None:
    of = ledger_state(state(1, 2_000_000), state(2, 5, workspace=2), others=(workspace(2, "Beta", plan=None),))
    _, total = total_of(cost_rows(of, charge(of, DEFAULTS, (), NOW), By.WORKSPACE, NOW))

    assert (total.total, total.known, total.parts) == (None, Decimal("18.00"), (None, None, None))


GONE_AT = datetime(2026, 11, 10, 12, tzinfo=UTC)
MONTHS_END = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


def read_until_it_was_gone() -> DatabaseState:
    """One that was read until noon of the tenth, when the last credential of its workspace was taken away."""
    row = replace(
        state(1, 900, gib=1).months[0],
        days=10,
        storage_seconds=int((GONE_AT - datetime(2026, 11, 1, tzinfo=UTC)).total_seconds()),
        period_end_at=GONE_AT,
        read_at=GONE_AT,
    )
    return replace(state(1, 900), months=(row,))


@pytest.mark.parametrize(("until", "days"), [(NOW, 20), (MONTHS_END, 30)])
def test_the_days_of_a_workspace_after_it_was_gone_are_not_known(until: datetime, days: int) -> None:
    budgets = (BudgetConfig(name="all", monthly_usd=Decimal(100)),)
    lived, gone = (
        LedgerState.of((workspace(1, "Acme", gone_at=gone_at),), [read_until_it_was_gone()])
        for gone_at in (None, GONE_AT)
    )
    costs = charge(gone, configured(budgets=budgets), (), until)
    (row,) = cost_rows(gone, costs, By.WORKSPACE, until)
    (same,) = cost_rows(lived, charge(lived, DEFAULTS, (), until), By.WORKSPACE, until)

    assert (row.usage.days_known, row.usage.days, row.usage.is_complete, row.is_deleted) == (10, days, False, True)
    assert row.usage == same.usage
    # The vendor bills on: the fee of ten is the least.
    assert (row.total, row.known_usd) == (None, Decimal("10.00"))
    assert [budget.is_complete for budget in costs.budgets] == [False]


@pytest.mark.parametrize(("gone_at", "is_told"), [(GONE_AT, False), (datetime(2026, 10, 10, tzinfo=UTC), True)])
def test_what_is_configured_for_a_workspace_that_is_gone_counts_in_its_last_bill(
    gone_at: datetime, is_told: bool
) -> None:
    gone = LedgerState.of((workspace(1, "Acme", gone_at=gone_at), workspace(2, "Globex")), [read_until_it_was_gone()])
    config = configured(workspaces=(WorkspaceConfig(workspace="Acme", plan="pro"),))
    costs = charge(gone, config, (), NOW)

    warnings = [line for line in cost_warnings(gone, config, costs) if "there is no workspace 'Acme'" in line]
    assert bool(warnings) == is_told
    plans = {id_: cost.plan for id_, cost in costs.workspaces.items()}
    assert plans == ({"wksp_2": "Starter"} if is_told else {"wksp_1": "Pro", "wksp_2": "Starter"})


def test_a_workspace_that_is_gone_is_expected_to_go_on_as_it_was() -> None:
    gone = LedgerState.of((workspace(1, "Acme", gone_at=GONE_AT),), [read_until_it_was_gone()])

    (row,) = cost_rows(gone, charge(gone, DEFAULTS, days(90), NOW), By.WORKSPACE, NOW)

    # 90 operations a day and one GiB are within what the fee of 10.00 includes.
    assert row.expected_usd == Decimal("10.00")


@pytest.mark.parametrize("databases", [(), (read_until_it_was_gone(),)])
def test_the_fee_of_a_workspace_that_is_gone_is_known_and_what_it_used_since_is_not(
    databases: Sequence[DatabaseState],
) -> None:
    gone = LedgerState.of((workspace(1, "Acme", gone_at=GONE_AT), workspace(2, "Globex")), databases)
    costs = charge(gone, DEFAULTS, (), MONTHS_END)

    rows = {row.workspace_id: row for row in cost_rows(gone, costs, By.WORKSPACE, MONTHS_END)}
    acme = rows["wksp_1"]
    assert acme.bill is not None
    assert (acme.bill.parts, acme.total, acme.known_usd) == ((Decimal("10.00"), None, None), None, Decimal("10.00"))
    # And the fee of all of them.
    assert total_of(rows.values())[1].parts == (Decimal("20.00"), None, None)


def test_a_workspace_that_was_gone_before_the_month_has_no_row_and_no_part_in_a_budget() -> None:
    never_read = database_state(key=1, database=database("db_1", workspace_id="wksp_1"))
    budgets = (BudgetConfig(name="all", monthly_usd=Decimal(100)),)

    def rows(gone_at: datetime) -> tuple[list[tuple[int | None, int, Decimal | None]], int]:
        world = LedgerState.of((workspace(1, "Acme", gone_at=gone_at, first_seen_at=SEEN_AT),), [never_read])
        costs = charge(world, configured(budgets=budgets), (), NOW)
        found = cost_rows(world, costs, By.WORKSPACE, NOW)
        return [(row.operations, row.usage.days, row.total) for row in found], costs.budgets[0].databases

    assert rows(datetime(2026, 10, 31, tzinfo=UTC)) == ([], 0)
    assert rows(datetime(2026, 11, 5, tzinfo=UTC)) == ([(None, 20, None)], 1)


@pytest.mark.parametrize(("days_known", "covered"), [(20, 1.0), (15, 0.75), (0, 0.0)])
def test_a_budget_says_how_much_of_what_it_is_for_is_known(days_known: int, covered: float) -> None:
    part = state(1, 100, gib=1)
    part = replace(part, months=(replace(part.months[0], days=days_known, operations=None, read_at=None),))
    other = state(2, 100, gib=1, workspace=2)
    budgets = (
        BudgetConfig(name="part", monthly_usd=Decimal(1), workspaces=(re.compile("Acme"),)),
        BudgetConfig(name="none", monthly_usd=Decimal(1), workspaces=(re.compile("Nobody"),)),
        BudgetConfig(name="unpriced", monthly_usd=Decimal(1), workspaces=(re.compile("Odd"),)),
    )
    world = ledger_state(part, other, others=(workspace(2, "Odd", plan="Unheard of"),))
    found = {budget.name: budget for budget in charge(world, configured(budgets=budgets), (), NOW).budgets}

    assert found["part"].spent_covered_ratio == covered
    assert found["part"].is_complete == (covered == 1)
    assert found["none"].spent_covered_ratio is None
    assert found["unpriced"].spent_covered_ratio == 0


@pytest.mark.parametrize("beta", [{"plan": None}, {"plan": "Starter", "first_seen_at": NOW + timedelta(days=40)}])
def test_a_workspace_without_databases_and_without_a_price_is_missing_in_every_view(beta: dict[str, Any]) -> None:
    budgets = (
        BudgetConfig(name="all", monthly_usd=Decimal(50)),
        BudgetConfig(name="beta", monthly_usd=Decimal(50), workspaces=(re.compile("Beta"),)),
        BudgetConfig(name="project", monthly_usd=Decimal(50), projects=(re.compile("project 1"),)),
    )
    config = configured(budgets=budgets)
    of = ledger_state(state(1, 5), others=(workspace(2, "Beta", **beta),))
    costs = charge(of, config, (), NOW)

    for by in By:
        rows = cost_rows(of, costs, by, NOW)
        assert {row.workspace_id: row.total for row in rows} == {"wksp_1": 10, "wksp_2": None}
        assert (total_of(rows)[1].total, total_of(rows)[1].known) == (None, Decimal(10))
    found = {budget.name: (budget.spent_usd, budget.is_complete) for budget in costs.budgets}
    assert found == {"all": (10, False), "beta": (None, False), "project": (10, True)}
    assert not any("matches nothing" in line for line in cost_warnings(of, config, costs))


def test_a_budget_expects_nothing_where_a_workspace_has_no_forecast() -> None:
    # Acme goes on to 4.5 million: 10 + 3.5 x 8. Beta began three days ago, and nobody knows what it will come to.
    new = state(2, 5_000_000, workspace=2)
    new = replace(new, database=replace(new.database, created_at=NOW - timedelta(days=3)))
    new = replace(new, months=(replace(new.months[0], days=3, storage_seconds=3 * 86_400),))
    budgets = (
        BudgetConfig(name="all", monthly_usd=Decimal(50)),
        BudgetConfig(name="acme", monthly_usd=Decimal(50), workspaces=(re.compile("Acme"),)),
        BudgetConfig(name="beta", monthly_usd=Decimal(50), workspaces=(re.compile("Beta"),)),
    )
    of = ledger_state(state(1, 3_000_000), new, others=(workspace(2, "Beta"),))

    costs = charge(of, configured(budgets=budgets), days(150_000), NOW)

    found = {budget.name: (budget.expected_usd, budget.is_expected_complete) for budget in costs.budgets}
    assert found == {"all": (None, False), "acme": (38, True), "beta": (None, False)}


@pytest.mark.parametrize(("by", "is_known"), [(FeeShare.EQUAL, True), (FeeShare.OPERATIONS, False)])
def test_a_fee_that_goes_by_what_was_not_read_is_shared_as_nobody_knows(by: FeeShare, is_known: bool) -> None:
    """A database that was never read has neither 0 of the fee nor an expected cost of 0."""
    of = ledger_state(state(1, 3_000_000), replace(state(2, 0), months=()))

    costs = charge(of, configured(fee_share=by), days(150_000), NOW)
    whole, rows = costs.workspaces["wksp_1"].bill, cost_rows(of, costs, By.DATABASE, NOW)

    assert whole is not None
    assert whole.parts[0] == 10
    shares = {row.database_id: row.bill.parts[0] for row in rows if row.bill is not None}
    assert shares == ({"db_1": 5, "db_2": 5} if is_known else {"db_1": None, "db_2": None})
    assert sum(row.known_usd or 0 for row in rows) == whole.known
    expected = {row.database_id: row.expected_usd is not None for row in rows}
    assert expected == {"db_1": True, "db_2": False}


def test_a_fee_of_databases_of_which_nothing_was_read_is_nobodys_part() -> None:
    of = ledger_state(*(replace(state(key, 0), months=()) for key in (1, 2)))
    budgets = (
        BudgetConfig(name="all", monthly_usd=Decimal(50)),
        BudgetConfig(name="one", monthly_usd=Decimal(50), databases=(re.compile("db_1"),)),
    )

    costs = charge(of, configured(budgets=budgets, fee_share=FeeShare.OPERATIONS), (), NOW)
    rows = cost_rows(of, costs, By.DATABASE, NOW)

    amounts = {row.database_id: row.known_usd if row.bill and row.bill.is_anything_known else None for row in rows}
    assert amounts == {None: 10, "db_1": None, "db_2": None}
    (by_project,) = (row for row in cost_rows(of, costs, By.PROJECT, NOW) if row.project_id is None)
    assert by_project.total == 10
    assert [budget.spent_usd for budget in costs.budgets] == [10, None]


def test_a_budget_of_what_nobody_read_has_spent_no_0() -> None:
    budgets = tuple(
        BudgetConfig(name=name, monthly_usd=Decimal(8), databases=(re.compile(f"^{name}$"),))
        for name in ("db_1", "db_2")
    )
    of = ledger_state(state(1, 3_000_000), replace(state(2, 0), months=()))

    read, unread = charge(of, configured(budgets=budgets, fee_share=FeeShare.OPERATIONS), days(150_000), NOW).budgets

    assert read.spent_usd == Decimal("26.00")
    assert (unread.spent_usd, unread.expected_usd, unread.is_complete) == (None, None, False)


def test_a_budget_that_matches_nothing_is_not_complete_and_its_limit_has_cents() -> None:
    budgets = (BudgetConfig(name="none", monthly_usd=Decimal(8), databases=(re.compile("^$"),)),)

    (budget,) = charge(ledger_state(state(1, 5)), configured(budgets=budgets), (), NOW).budgets

    assert (budget.spent_usd, budget.is_complete, budget.is_expected_complete) == (None, False, False)
    assert json.loads(budget_document(budget).model_dump_json())["limit_usd"] == "8.00"


@pytest.mark.parametrize("unread", [0, 1])
def test_twice_as_many_databases_of_a_workspace_take_twice_the_steps(unread: int) -> None:
    def steps(count: int) -> int:
        held = [state(number, 1_000_000) for number in range(1, count + 1 - unread)]
        of = ledger_state(*held, *(replace(state(count, 0), months=()) for _ in range(unread)))
        calls = 0

        def counted(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(counted)
        try:
            charge(of, configured(), days(150_000), NOW)
        finally:
            sys.setprofile(None)
        return calls

    assert steps(200) < 2.2 * steps(100)


@pytest.mark.parametrize("minutes", [1, 371])
def test_what_is_expected_of_a_month_that_began_is_no_databases_that_was_read_first(minutes: int) -> None:
    """On the 1st one fails: what it is expected to cost is its own part, as last month had it, and not the others'."""
    first = datetime(2026, 12, 1, tzinfo=UTC)
    now, seconds = first + timedelta(minutes=minutes), minutes * 60
    last = date(2026, 11, 1)

    def held(number: int, a_day: int, *, is_read: bool) -> DatabaseState:
        plain, level = state(number, 0), number * GIB
        whole = month_usage(
            last,
            None,
            database_key=number,
            days=30,
            days_operations=30 * a_day,
            storage_byte_seconds=level * 30 * 86_400,
            storage_seconds=30 * 86_400,
        )
        running = replace(
            whole,
            month=first.date(),
            days=1,
            days_operations=a_day * minutes // 1_440,
            storage_byte_seconds=level * seconds,
            storage_seconds=seconds,
        )
        today = day_usage(first.date(), running.days_operations, database_key=number, read_at=now)
        return replace(
            plain,
            months=(whole, running) if is_read else (whole,),
            recent_days=(today,) if is_read else (),
            known_until=last.replace(day=30),
            storage_bytes=level,
            usage_at=now if is_read else first,
        )

    of = ledger_state(held(1, 1_440_000, is_read=True), held(2, 12 * 1_440_000, is_read=False))
    days_of_last = tuple(
        WorkspaceDay(
            workspace_key=1,
            day=last.replace(day=number),
            operations=13 * 1_440_000,
            storage_byte_seconds=3 * GIB * 86_400,
            storage_seconds=2 * 86_400,
            storage_bytes=3 * GIB,
        )
        for number in range(1, 31)
    )

    costs = charge(of, configured(), days_of_last, now)

    expected = costs.expected
    whole = costs.workspaces["wksp_1"].expected_bill
    assert whole is not None
    assert sum(expected.values()) == whole.total
    assert float(expected["wksp_1", "db_1"] / (whole.total or 1)) == pytest.approx(1 / 13, rel=0.05)


def test_what_a_failing_database_is_expected_to_cost_is_not_the_others() -> None:
    """Of two alike one was read for the first 10 days of 20: it will have used as much as the other."""

    def held(number: int, read: int) -> DatabaseState:
        plain = state(number, read * 1_000_000)
        [month] = plain.months
        month = replace(month, days=read, operations=None, read_at=None, period_end_at=None)
        until = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=read)
        known_until = until.date() - timedelta(days=1)
        return replace(plain, months=(month,), known_until=known_until, storage_bytes=0, usage_at=until)

    costs = charge(ledger_state(held(1, 20), held(2, 10)), configured(), days(1_000_000), NOW)

    whole = costs.workspaces["wksp_1"].expected_bill
    assert whole is not None
    assert float(costs.expected["wksp_1", "db_2"] / (whole.total or 1)) == pytest.approx(1 / 2, rel=0.02)


def test_what_is_gone_has_no_part_of_what_is_still_to_come() -> None:
    """Of two alike one was deleted after 10 days: at the end it has 10 of 40 days, and not a half of the month."""
    deleted_at = datetime(2026, 11, 11, tzinfo=UTC)

    def held(number: int, lived: int, *, deleted_at: datetime | None) -> DatabaseState:
        plain = state(number, lived * 1_000_000, deleted_at=deleted_at)
        [month] = plain.months
        month = replace(month, days=lived, operations=None, read_at=None, period_end_at=None)
        return replace(plain, months=(month,), storage_bytes=0, usage_at=deleted_at or NOW)

    of = ledger_state(held(1, 20, deleted_at=None), held(2, 10, deleted_at=deleted_at))

    costs = charge(of, configured(), days(1_000_000), NOW)

    whole = costs.workspaces["wksp_1"].expected_bill
    assert whole is not None
    assert sum(costs.expected.values()) == whole.total
    assert float(costs.expected["wksp_1", "db_2"] / (whole.total or 1)) == pytest.approx(10 / 40, rel=0.01)
