"""What is expected of a month, and whether nothing that is not known may make it more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from played_ledger import NEVER, Life, play

from builders import GIB, SEEN_AT, database, database_state, ledger_state, month_usage, workspace_state
from prisma_postgres_exporter.cli.cost import offers_sentence
from prisma_postgres_exporter.config import CostConfig, load_config
from prisma_postgres_exporter.cost import Bill, By, Offer, SpendLimit, WorkspaceCost, compare_plans, total_of
from prisma_postgres_exporter.documents import cost_rows_answer, supposed_answer
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.model import DatabaseState, LedgerState, Move, Workspace, WorkspaceDay, WorkspaceState
from prisma_postgres_exporter.report import (
    LedgerMonth,
    beside,
    budget_cells,
    cost_sentences,
    expected_cost,
    ledger_month,
    limit_sentences,
    month_costs,
    report_month,
)
from prisma_postgres_exporter.report.sentences import ahead_sentences

NOW = datetime(2026, 11, 21, tzinfo=UTC)
BUDGETS = [
    {"name": "all", "monthly_usd": "500"},
    {"name": "one", "monthly_usd": "500", "databases": ["^db_1$"]},
]
CONFIG = load_config(environ={}).model_copy(update={"cost": CostConfig.model_validate({"budgets": BUDGETS})})
A_DAY = 100_000


def read(number: int, key: int = 1) -> DatabaseState:
    """A database of which twenty days were read."""
    seconds = 20 * 86_400
    return database_state(
        f"db_{number}",
        key=number,
        workspace_key=key,
        database=database(f"db_{number}", workspace_id=f"wksp_{key}", name=f"db_{number}"),
        months=(
            month_usage(
                NOW.date().replace(day=1),
                20 * A_DAY,
                database_key=number,
                workspace_key=key,
                days=20,
                days_operations=20 * A_DAY,
                storage_byte_seconds=seconds * GIB,
                storage_seconds=seconds,
            ),
        ),
    )


def never_read(number: int, key: int = 1) -> DatabaseState:
    return database_state(
        f"db_{number}", key=number, workspace_key=key, database=database(f"db_{number}", workspace_id=f"wksp_{key}")
    )


def workspace(*states: DatabaseState, plan: str, key: int = 1, seen_at: datetime = SEEN_AT) -> WorkspaceState:
    return workspace_state(*states, key=key, id_=f"wksp_{key}", name=f"name {key}", plan=plan, first_seen_at=seen_at)


def month_of(*workspaces: WorkspaceState) -> LedgerMonth:
    days = [
        WorkspaceDay(
            workspace_key=row.key,
            day=NOW.date() - timedelta(days=number),
            operations=A_DAY,
            storage_bytes=GIB,
            storage_byte_seconds=GIB * 86_400,
            storage_seconds=86_400,
        )
        for row in workspaces
        for number in range(20, 0, -1)
    ]
    return ledger_month(ledger_state(*workspaces), CONFIG, days, NOW, NOW)


@pytest.mark.parametrize("seen_at", [SEEN_AT, NOW - timedelta(days=2)])
def test_on_free_what_nobody_read_is_expected_to_cost_nothing_too(seen_at: datetime) -> None:
    month = month_of(
        workspace(read(1), never_read(2), plan="Free", seen_at=seen_at), workspace(read(3, 2), plan="Starter", key=2)
    )

    rows = {row.database_id or row.workspace_id: row for by in (By.WORKSPACE, By.DATABASE) for row in month.rows(by)}
    assert [expected_cost(rows[id_]) for id_ in ("wksp_1", "db_1", "db_2")] == ["0.00", "0.00", "0.00"]
    total = cost_rows_answer(month, month.rows(By.WORKSPACE), beside(month, By.WORKSPACE)).total
    assert total is not None
    assert total.is_expected_complete


def test_where_usage_is_charged_it_is_about_what_those_are_expected_to_cost_that_were_read() -> None:
    month = month_of(workspace(read(1), never_read(2), plan="Starter"))

    (row,) = month.rows(By.WORKSPACE)
    assert expected_cost(row) == "about 26.00"
    assert {row.database_id: expected_cost(row) for row in month.rows(By.DATABASE)} == {
        # Its part of what is shared hangs on what the other one used.
        "db_1": "about 26.00",
        "db_2": "–",
    }


def test_what_other_plans_would_cost_is_about_so_much_too_where_usage_is_charged() -> None:
    """Every door said 26.00 bare; nothing that Free stops at is reached by those that were read."""
    unread, known = (month_of(workspace(read(1), *more, plan="Starter")) for more in ((never_read(2),), ()))

    for month, is_known in ((unread, False), (known, True)):
        plans = compare_plans(month.ledger_state, month.config, month.days, NOW)
        (row,) = month.rows(By.WORKSPACE)
        assert plans["wksp_1"]["starter"] == Offer(usd=Decimal("26.00"), is_complete=is_known)
        (document,) = supposed_answer(month, (row,), beside(month, By.WORKSPACE), plans).data
        assert document.by_plan_usd is not None
        assert (document.by_plan_usd["starter"], document.is_by_plan_complete) == (Decimal("26.00"), is_known)
        assert f" starter {'' if is_known else 'about '}26.00" in offers_sentence("Acme", plans["wksp_1"])
        by_database = supposed_answer(month, month.rows(By.DATABASE), beside(month, By.DATABASE), plans).data
        assert {row.is_by_plan_complete for row in by_database} == {None}


def test_of_a_month_that_began_before_its_workspace_was_followed_about_so_much_is_expected() -> None:
    """Three million on Starter: two over the included one at 8.00, and the fee; and what was deleted before."""
    late = month_of(workspace(read(1), read(2), plan="Starter", seen_at=NOW - timedelta(days=2)))
    known = month_of(workspace(read(1), read(2), plan="Starter"))

    for month, is_known in ((late, False), (known, True)):
        (row,) = month.rows(By.WORKSPACE)
        assert row.expected_usd is not None
        assert row.expected_usd > Decimal(10)
        said = "" if is_known else "about "
        assert expected_cost(row) == f"{said}{row.expected_usd:,.2f}"
        for by in (By.PROJECT, By.DATABASE):
            answer = cost_rows_answer(month, month.rows(by), beside(month, by))
            assert [document.is_expected_complete for document in answer.data] == [is_known] * len(answer.data)
            assert all(expected_cost(row).startswith(said or f"{row.expected_usd:,.2f}") for row in month.rows(by))
        whole, one = month.costs.budgets
        assert budget_cells(whole)[2].startswith(said)
        assert budget_cells(one)[2].startswith(said)
        assert (whole.is_expected_complete, one.is_expected_complete) == (is_known, is_known)
        # Beside what is at least so much no range stands: its low end would be below it.
        bounds = row.cost.expected_bounds if row.cost is not None else ()
        assert [bound is not None for bound in bounds] == [is_known, is_known]
        (document,) = cost_rows_answer(month, (row,), beside(month, By.WORKSPACE)).data
        (line,) = month_costs(month).lines
        assert bounds == (document.low_usd, document.high_usd) == (line.low_usd, line.high_usd)
        (workspace_report,) = report_month(month, (), (), (), NOW).workspaces
        (expected,) = [text for text in cost_sentences(workspace_report) if text.startswith("Expected of")]
        assert (" to " in expected) is is_known


@pytest.mark.parametrize("how", ["said", "refused"])
def test_a_block_by_the_vendor_is_said_of_the_limit_or_by_itself(how: str) -> None:
    """The page said it, and `cost` of the same minute that the limit is reached, by our estimate."""
    free = workspace(read(1), plan="Free")
    if how == "said":
        blocked = replace(free, workspace=replace(free.workspace, usage_blocked=True))
    else:
        state = replace(free.databases["db_1"], failing_since_at=NOW, failure_reason="plan_limit_reached")
        blocked = replace(free, databases={"db_1": state})
    unused = replace(blocked, databases={})
    by_estimate, likely = (
        "Free plan's operations limit: reached, by our estimate.",
        "likely the Free plan's allowance: ",
    )

    (cost,) = month_of(free).costs.workspaces.values()
    assert next(limit_sentences(cost, NOW)) == by_estimate
    (cost,) = month_of(blocked).costs.workspaces.values()
    first, *_, last = limit_sentences(cost, NOW)
    assert first == by_estimate
    assert last.startswith(f"Blocked by the vendor: {likely}ends with an upgrade")
    ahead = list(ahead_sentences(report_month(month_of(blocked), (), (), (), NOW)))
    assert ahead[-2].startswith("name 1: the vendor blocks its databases: likely the Free plan's allowance")
    assert not any("operations limit" in text for text in ahead)
    if how == "said":
        (cost,) = month_of(unused).costs.workspaces.values()
        (sentence,) = limit_sentences(cost, NOW)
        assert sentence.startswith(f"Blocked by the vendor: {likely}ends with an upgrade")


def test_what_is_blocked_is_not_blocked_once_more_later_but_may_be_with_another_plan() -> None:
    """Our count was below the limit: "will be reached on" stood above "Blocked by the vendor"."""
    state, a_day = read(1), 7_500
    usage = replace(state.months[0], operations=20 * a_day, days_operations=20 * a_day)
    free = workspace(replace(state, months=(usage,)), plan="Free")
    days = [replace(day, operations=a_day) for day in month_of(free).days]
    blocked = ledger_state(replace(free, workspace=replace(free.workspace, usage_blocked=True)))

    def limits(held: LedgerState, *, is_supposed: bool = False) -> tuple[set[str], list[str], str]:
        month = ledger_month(held, CONFIG, days, NOW, NOW, is_supposed=is_supposed)
        (cost,) = month.costs.workspaces.values()
        (document,) = cost_rows_answer(month, month.rows(By.WORKSPACE), beside(month, By.WORKSPACE)).data
        assert set(document.limits_reached_at) == {name for name, _ in cost.limits}
        ahead = " ".join(ahead_sentences(report_month(month, (), (), (), NOW)))
        return {name for name, _ in cost.limits} - {"free_storage"}, list(limit_sentences(cost, NOW)), ahead

    named, sentences, ahead = limits(ledger_state(free))
    assert named == {"free_operations"}
    assert "be reached on 2026-11-2" in sentences[0]
    assert "operations limit will" in ahead
    assert limits(blocked, is_supposed=True)[:2] == (named, sentences)

    named, told, ahead = limits(blocked)
    assert named == set()
    assert told == [*sentences[1:], told[-1]]
    assert told[-1].startswith("Blocked by the vendor: likely the Free plan's allowance")
    assert "operations limit" not in ahead
    assert "free" not in compare_plans(blocked, CONFIG, days, NOW)["wksp_1"]


def test_what_was_read_last_month_is_expected_to_go_on_in_the_first_minutes_of_a_month() -> None:
    """It was called a database of which nothing was read, and its workspace's cost "at least" what is expected."""
    now = datetime(2026, 12, 1, 0, 10, tzinfo=UTC)
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=now.date() - timedelta(days=number),
            operations=A_DAY,
            storage_bytes=GIB,
            storage_byte_seconds=GIB * 86_400,
            storage_seconds=86_400,
        )
        for number in range(10, 0, -1)
    ]
    known = replace(read(1), known_until=now.date() - timedelta(days=1), storage_bytes=GIB, storage_at=now)
    for databases, is_known in (((known,), True), ((known, never_read(2)), False)):
        held = workspace(*databases, plan="Starter", seen_at=SEEN_AT)
        watched = replace(held, looked_at=now)
        month = ledger_month(ledger_state(watched), CONFIG, days, now, now)
        (cost,) = month.costs.workspaces.values()
        assert cost.expected_bill is not None
        assert cost.is_expected_complete is is_known
        assert ("nothing was read" in (cost.forecast_missing or "")) is not is_known


def test_a_limit_that_the_low_end_of_the_forecast_does_not_reach_is_likely_and_not_certain() -> None:
    at, later = NOW, NOW + timedelta(days=8)
    free = WorkspaceCost(included_operations=200_000, included_storage_bytes=500, limits=(("free_operations", later),))
    limit = SpendLimit(usd=Decimal(20), tax_percent=Decimal(0), other_usage_usd=Decimal(0))

    def bill(charges: int) -> Bill:
        return Bill(fee=Decimal(10), operations=Decimal(charges), storage=Decimal(0))

    def forecast(low: int) -> Forecast:
        return Forecast(low=low, expected=2 * low, high=3 * low)

    for cost, name, is_only_likely in (
        (replace(free, expected_operations=forecast(199_999)), "free_operations", True),
        (replace(free, expected_operations=forecast(200_000)), "free_operations", False),
        (replace(free, expected_storage_bytes=forecast(499)), "free_storage", True),
        (replace(free, expected_storage_bytes=forecast(500)), "free_storage", False),
        (WorkspaceCost(spend_limit=limit, low_bill=bill(19)), "spend_limit", True),
        (WorkspaceCost(spend_limit=limit, low_bill=bill(20)), "spend_limit", False),
    ):
        assert cost.is_only_likely(name, later, at) is is_only_likely
        assert not cost.is_only_likely(name, at, at)
        (said,) = [text for text in limit_sentences(replace(cost, limits=((name, later),)), at) if "reached" in text]
        assert ("will likely be reached on 2026-11-29" in said) is is_only_likely


def test_what_left_the_list_is_told_as_its_rows_by_database_are() -> None:
    """On a page the databases' rows did not add up to their workspace's number."""
    at = NOW.replace(day=11)
    (month,) = read(3).months
    part = replace(month, days=10, days_operations=10 * A_DAY, operations=10 * A_DAY)
    deleted = replace(read(2), months=(part,), deleted_at=at, usage_at=at)
    moved = replace(
        read(3, 2),
        months=(part, replace(part, workspace_key=2)),
        moves=(Move(at=at, from_key=1, to_key=2, last_there_at=at),),
    )
    gone_at = NOW - timedelta(days=1)
    held = month_of(
        workspace(read(1), deleted, plan="Starter"),
        workspace(moved, plan="Starter", key=2),
        replace(workspace(read(4, 3), plan="Starter", key=3), gone_at=gone_at),
    )

    lines = month_costs(held).projects
    rows = {(row.workspace_id, row.database_id): row for row in held.rows(By.DATABASE)}
    left = {line.workspace_id: line.departed for line in lines}
    of_rows = [rows["wksp_1", "db_2"], rows["wksp_1", "db_3"]]
    assert {id_: (one.deleted, one.moved, one.unfollowed) for id_, one in left.items()} == {
        "wksp_1": (1, 1, 0),
        "wksp_2": (0, 0, 0),
        "wksp_3": (0, 0, 1),
    }
    assert (left["wksp_1"].usage, left["wksp_1"].bill) == total_of(of_rows)
    assert left["wksp_1"].usage.operations == 20 * A_DAY
    # With the rows of those that are there, all of it.
    (whole,) = [row for row in held.rows(By.WORKSPACE) if row.workspace_id == "wksp_1"]
    there = rows["wksp_1", "db_1"]
    assert whole.operations == there.usage.known_operations + left["wksp_1"].usage.known_operations
    assert left["wksp_1"].bill is not None
    assert left["wksp_1"].bill.known is not None
    assert there.known_usd is not None
    assert whole.known_usd == there.known_usd + left["wksp_1"].bill.known


def test_a_change_that_is_expected_is_of_what_came_and_went() -> None:
    """One goes on, one is new and one was deleted: by each one's own forecast, not all by what was used so far."""
    november = datetime(2026, 11, 1, tzinfo=UTC)
    old, new, gone = (
        Life(
            key=key,
            created_at=created_at,
            deleted_at=deleted_at,
            levels=[(datetime(2026, 1, 1, tzinfo=UTC), 0)],
            operations_a_day=300_000,
        )
        for key, created_at, deleted_at in (
            (1, datetime(2026, 1, 1, tzinfo=UTC), NEVER),
            (2, november + timedelta(days=6), NEVER),
            (3, datetime(2026, 1, 1, tzinfo=UTC), november + timedelta(days=6)),
        )
    )
    now = november + timedelta(days=9, hours=12)
    played = play([old, new, gone], installed_at=datetime(2026, 9, 15, tzinfo=UTC), now=now)
    row = replace(played.workspaces[1], workspace=Workspace(id="w1", name="Acme", plan="Starter"))
    held = ledger_state(replace(row, first_seen_at=datetime(2026, 9, 15, tzinfo=UTC)))
    october = ledger_month(held, CONFIG, played.days(1), november - timedelta(seconds=1), now)
    month = ledger_month(held, CONFIG, played.days(1), now, now, october)

    split = beside(month, By.WORKSPACE)["w1", "", ""].split

    assert split is not None
    # 24 of 30 days of one came, 25 of 31 of the other went, and November is a day shorter: at 8.00 a million.
    assert float(split["new databases"]) == pytest.approx(24 * 0.3 * 8, rel=0.03)
    assert float(split["gone databases"]) == pytest.approx(-25 * 0.3 * 8, rel=0.03)
    assert float(split["operations"]) == pytest.approx(-1 * 0.3 * 8, abs=1.5)
