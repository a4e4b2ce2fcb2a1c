"""FOCUS rows: the specification's rules, and the same cents as the bill."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from focus_rules import MANDATORY, broken_rules
from hypothesis import given
from hypothesis import strategies as st
from report_values import NOW, OCTOBER, ledger_state, month_of, state

import builders
from builders import GIB, month_usage, settled_day, workspace_state
from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.documents import (
    Comparison,
    Ranking,
    cost_rows_answer,
    of_month,
    report_answer,
    supposed_answer,
)
from prisma_postgres_exporter.model import LedgerState, Move, PlanChange, month_start
from prisma_postgres_exporter.report import (
    FOCUS_COLUMNS,
    LedgerMonth,
    absence_sentences,
    beside,
    focus_rows,
    left_out,
    month_costs,
    report_month,
    unknown_sentences,
)

CHANGED_PLAN = (
    PlanChange(at=datetime(2026, 9, 1, tzinfo=UTC), plan="Pro"),
    PlanChange(at=datetime(2026, 11, 10, tzinfo=UTC), plan="Free"),
)
WITHOUT = "2026-11: workspace Acme (wksp_1) is left out:"
LEFT_OUT = f"{WITHOUT} its usage is incomplete"
GONE = "gone since 2026-11-21: no command reads it any more"


def rows_of(month: LedgerMonth) -> list[dict[str, object]]:
    return [dict(zip(FOCUS_COLUMNS, row, strict=True)) for row in focus_rows(month)]


def test_every_mandatory_column_is_there() -> None:
    assert set(FOCUS_COLUMNS) >= MANDATORY


@given(
    operations=st.lists(st.integers(0, 50_000_000), min_size=1, max_size=4),
    plan=st.sampled_from(["Free", "Starter", "Pro", "Business"]),
    is_changed=st.booleans(),
)
def test_every_row_keeps_the_rules_and_together_they_are_the_bill(
    operations: list[int], plan: str, is_changed: bool
) -> None:
    held = [state(number, count, gib=number * 7) for number, count in enumerate(operations, 1)]
    month = month_of(ledger_state(*held, plan=plan, plans=CHANGED_PLAN if is_changed else ()))
    rows = rows_of(month)
    by_meter: dict[object, Decimal] = defaultdict(Decimal)
    for row in rows:
        by_meter[row["SkuMeter"]] += Decimal(str(row["BilledCost"]))

    assert [problem for row in rows for problem in broken_rules(row)] == []
    assert len(rows) == 3 * len(held)
    bill = month.costs.workspaces["wksp_1"].bill
    assert bill is not None
    assert by_meter == {"Plan": bill.fee, "Operations": bill.operations, "Storage": bill.storage}


def test_usage_goes_until_now_and_the_fee_to_the_end_of_the_month() -> None:
    running = {row["SkuMeter"]: row["ChargePeriodEnd"] for row in rows_of(month_of(ledger_state(state(1, 1))))}
    held: LedgerState = ledger_state(state(1, 1, at=OCTOBER))
    over = {row["ChargePeriodEnd"] for row in rows_of(month_of(held, until=OCTOBER))}

    assert running == {"Plan": datetime(2026, 12, 1, tzinfo=UTC), "Operations": NOW, "Storage": NOW}
    assert over == {datetime(2026, 11, 1, tzinfo=UTC)}


def test_a_workspace_without_a_price_has_no_rows() -> None:
    assert rows_of(month_of(ledger_state(state(1, 1), plan="Unheard"))) == []


@pytest.mark.parametrize("region", ["eu-west-3", None])
def test_a_row_says_whose_it_is(region: str | None) -> None:
    held = state(1, 5_000_000)
    held = replace(held, database=replace(held.database, region=region))

    row = rows_of(month_of(ledger_state(held)))[1]

    assert {name: row[name] for name in ("BillingAccountName", "SubAccountId", "ResourceId", "RegionId")} == {
        "BillingAccountName": "Acme",
        "SubAccountId": "proj_1",
        "ResourceId": "db_1",
        "RegionId": region,
    }
    assert (row["ConsumedQuantity"], row["PricingQuantity"], row["ListUnitPrice"]) == (5_000_000, 4, 8)


def test_a_workspace_that_is_gone_is_left_out_by_name_and_no_backfill_is_promised() -> None:
    partly = replace(state(1, 1, gib=1), months=(replace(state(1, 1, gib=1).months[0], storage_seconds=86_400),))
    held = ledger_state(partly)
    gone = held.with_workspaces(replace(held.workspaces["wksp_1"], gone_at=NOW))

    assert list(left_out(month_of(held))) == [f"{LEFT_OUT} (5 % of the storage's time)"]
    assert list(left_out(month_of(gone))) == [f"{LEFT_OUT} (5 % of the storage's time); {GONE}"]
    assert month_of(gone).missing is None


def test_a_workspace_that_is_gone_is_not_whole_even_where_it_had_no_database() -> None:
    gone = builders.ledger_state(workspace_state(id_="wksp_1", name="Acme", plan="Starter", gone_at=NOW))

    assert rows_of(month_of(gone, until=NOW + timedelta(days=3), now=NOW + timedelta(days=3))) == []
    assert list(left_out(month_of(gone))) == [f"{WITHOUT} what it has since is not known; {GONE}"]


@pytest.mark.parametrize(
    ("storage_seconds", "days", "meters"),
    [
        (0, 20, {"Plan", "Operations"}),
        (86_400, 20, {"Plan", "Operations"}),
        (20 * 86_400, 3, {"Plan", "Storage"}),
        (20 * 86_400, 20, {"Plan", "Operations", "Storage"}),
    ],
)
def test_usage_that_is_not_known_has_no_row_where_it_costs_nothing(
    storage_seconds: int, days: int, meters: set[str]
) -> None:
    """A consumed quantity must be there in a row of usage (FOCUS 1.2), and 0 is not what was consumed."""
    held = state(1, 5_000, gib=1)
    month = replace(held.months[0], days=days, storage_seconds=storage_seconds, storage_byte_seconds=GIB)
    if days < 20:
        month = replace(month, operations=None)
    read = month_of(ledger_state(replace(held, months=(month,)), plan="Free"))

    rows = rows_of(read)

    assert {row["SkuMeter"] for row in rows} == meters
    assert sum(Decimal(str(row["BilledCost"])) for row in rows) == 0
    assert [problem for row in rows for problem in broken_rules(row)] == []


def test_a_month_names_the_workspaces_that_were_gone_before_it() -> None:
    followed = ledger_state(state(1, 1_000, gib=1))
    held = followed.with_workspaces(replace(followed.workspaces["wksp_1"], first_seen_at=OCTOBER))
    month = month_of(held.with_workspaces(replace(held.workspaces["wksp_1"], gone_at=OCTOBER)))

    assert (rows_of(month), list(left_out(month))) == ([], [])
    [sentence] = absence_sentences(month)
    assert sentence.startswith("Not in it: Acme, gone since 2026-10-31. No credential lists")
    assert sentence in month_costs(month).notes
    report = report_month(month, (), (), (), NOW)
    assert sentence in list(unknown_sentences(report))
    gone = [{"workspace_id": "wksp_1", "workspace_name": "Acme", "gone_at": "2026-10-31T23:59:59Z"}]
    besides = beside(month, By.WORKSPACE)
    for answer in (
        cost_rows_answer(month, month.rows(By.WORKSPACE), besides),
        supposed_answer(month, month.rows(By.WORKSPACE), besides, {}),
        report_answer(report),
        Ranking(**of_month(month), data=[], has_more=False),
        Comparison(**of_month(month), data=[], has_more=False),
    ):
        assert answer.model_dump(mode="json")["not_followed"] == gone
    assert cost_rows_answer(month_of(held), (), {}).not_followed == []


def test_a_month_names_the_workspaces_that_were_first_followed_after_it_began() -> None:
    held = ledger_state(state(1, 1_000, gib=1))
    row = held.workspaces["wksp_1"]
    seen_at = NOW.replace(day=9)
    month = month_of(held.with_workspaces(replace(row, first_seen_at=seen_at)))

    [sentence] = absence_sentences(month)
    assert sentence == (
        "Not in it: what was used by databases that were deleted before 2026-11-09, when Acme was first followed. "
        "No command gets it."
    )
    assert sentence in month_costs(month).notes
    assert sentence in list(unknown_sentences(report_month(month, (), (), (), NOW)))
    [late] = cost_rows_answer(month, (), {}).followed_late
    assert (late.workspace_id, late.first_seen_at) == ("wksp_1", seen_at)
    assert list(absence_sentences(month_of(held.with_workspaces(replace(row, first_seen_at=OCTOBER))))) == []


def test_a_workspace_with_days_of_a_move_in_doubt_is_left_out_by_name_unless_they_cost_nothing() -> None:
    """Nine days were here and ten there for sure; that of the move, with 50,000 operations, is of one of both."""
    first, at = month_start(NOW).date(), datetime(2026, 11, 10, 9, tzinfo=UTC)
    months = tuple(
        month_usage(
            first,
            days * 300_000 + in_doubt,
            database_key=1,
            workspace_key=key,
            days=days + (in_doubt > 0),
            days_operations=days * 300_000 + in_doubt,
            storage_seconds=(days + (in_doubt > 0)) * 86_400,
        )
        for key, days, in_doubt in ((1, 9, 0), (2, 10, 50_000))
    )
    mover = replace(
        state(1, 0),
        workspace_key=2,
        months=months,
        moves=(Move(at=at, from_key=1, to_key=2, last_there_at=at - timedelta(hours=1)),),
        recent_days=(settled_day(at.date(), 50_000, database_key=1, workspace_key=2),),
    )
    mover = replace(mover, database=replace(mover.database, workspace_id="wksp_2"))

    def month(here: str, there: str) -> LedgerMonth:
        left = workspace_state(key=1, id_="wksp_1", name="Acme", plan=here)
        return month_of(
            builders.ledger_state(left, workspace_state(mover, key=2, id_="wksp_2", name="Beta", plan=there))
        )

    assert rows_of(month("Starter", "Pro")) == []
    assert sorted(line.partition(": its usage")[0] for line in left_out(month("Starter", "Pro"))) == [
        WITHOUT.removesuffix(":"),
        "2026-11: workspace Beta (wksp_2) is left out",
    ]
    # The days in doubt cost nothing on Free; what was used is not known, and no row says that it was 0.
    [row] = rows_of(month("Starter", "Free"))
    assert (row["SkuMeter"], row["BilledCost"], row["ConsumedQuantity"]) == ("Plan", Decimal(0), None)
    assert list(broken_rules(row)) == []
    [line] = left_out(month("Starter", "Free"))
    assert line.startswith(f"{WITHOUT} its usage is incomplete (9 of 10 days of databases")
