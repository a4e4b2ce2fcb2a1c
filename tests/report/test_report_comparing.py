"""Two months beside each other: what changed, and the reasons that are given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from report_values import NOW, OCTOBER, created, ledger_state, month_of, state

import builders
from builders import GIB, settled_day, workspace_state
from prisma_postgres_exporter.cli.compare import columns
from prisma_postgres_exporter.cost import By, compare_plans
from prisma_postgres_exporter.documents import change_document
from prisma_postgres_exporter.model import (
    DatabaseState,
    Event,
    EventKind,
    LedgerState,
    PlanChange,
    Workspace,
    WorkspaceDay,
)
from prisma_postgres_exporter.report import (
    TOTAL,
    Change,
    LedgerMonth,
    beside,
    compare_months,
    gone_sentence,
    last_month,
    total_change,
)

SEEN_AT = datetime(2026, 9, 1, tzinfo=UTC)


def test_a_change_of_plan_and_a_change_of_use_add_up_to_the_change_in_cost() -> None:
    plans = (
        PlanChange(at=datetime(2026, 9, 1, tzinfo=UTC), plan="Starter"),
        PlanChange(at=datetime(2026, 11, 1, tzinfo=UTC), plan="Pro"),
    )
    before = month_of(ledger_state(state(1, 3_000_000, at=OCTOBER), plan="Pro", plans=plans), until=OCTOBER)
    after = replace(month_of(ledger_state(state(1, 5_000_000), plan="Pro", plans=plans)), is_over=True)

    [change] = compare_months(before, after, By.WORKSPACE, ())
    by_price, by_usage = (
        Decimal(reason.rpartition(": ")[2].removesuffix(" USD")) for reason in change.reasons if "USD" in reason
    )

    assert "Starter (2026-08) became Pro (2026-08)" in change.reasons[0]
    assert by_price + by_usage == change.cost_change
    assert by_usage == 2 * 8


def test_what_was_created_and_deleted_says_so() -> None:
    gone = replace(state(1, 100, at=OCTOBER), deleted_at=datetime(2026, 11, 3, tzinfo=UTC))
    new = created(state(2, 100), datetime(2026, 11, 5, 9, tzinfo=UTC))
    before, after = month_of(ledger_state(gone), until=OCTOBER), month_of(ledger_state(gone, new))

    changes = {change.row.database_id: change for change in compare_months(before, after, By.DATABASE, ())}
    days = [settled_day(date(2026, 11, number), 100 * (number == 6), database_key=2) for number in range(5, 21)]
    [project_of_new] = [
        change for change in compare_months(before, after, By.PROJECT, (), days) if change.row.project_id == "proj_0"
    ]

    assert changes["db_1"].reasons == ("deleted on 2026-11-03",)
    assert changes["db_1"].operations_after is None, "two days of November that nobody read"
    assert changes["db_1"].cost_change is None
    assert changes["db_2"].reasons == ("created on 2026-11-05",)
    assert project_of_new.reasons == ("1 created, 0 deleted", "operations: database 2 +100")


def test_a_creation_is_told_in_the_month_that_it_is_new_in_and_not_again() -> None:
    """Created on 9 October: new against September, and there in both October and November."""
    created_at = datetime(2026, 10, 9, tzinfo=UTC)
    september = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)
    at_september, at_october, at_november = (
        replace(month_of(ledger_state(created(state(1, 100, at=at), created_at)), until=at), is_over=True)
        for at in (september, OCTOBER, NOW)
    )

    def told(before: LedgerMonth, after: LedgerMonth) -> list[str]:
        changes = [change for by in By for change in compare_months(before, after, by, ())]
        return [reason for change in changes for reason in change.reasons if "created" in reason]

    new = ["1 created, 0 deleted", "1 created, 0 deleted", "created on 2026-10-09"]
    assert told(at_september, at_october) == new
    assert told(at_october, at_november) == []
    # Of what lies between two months nobody has told yet.
    assert told(at_september, at_november) == new


def test_a_running_month_is_compared_by_its_pace() -> None:
    before = month_of(ledger_state(state(1, 31_000, at=OCTOBER)), until=OCTOBER)

    october = [settled_day(date(2026, 10, number), 1_000) for number in range(1, 32)]
    # Of November's days the 5th is not known: neither it nor the 5th of October counts.
    known = [number for number in range(1, 21) if number != 5]
    steady = [settled_day(date(2026, 11, number), 1_000) for number in known]
    double = [settled_day(date(2026, 11, number), 2_000) for number in known]

    [same] = compare_months(before, month_of(ledger_state(state(1, 20_000))), By.DATABASE, (), [*october, *steady])
    [faster] = compare_months(before, month_of(ledger_state(state(1, 40_000))), By.DATABASE, (), [*october, *double])

    assert same.reasons == ("the same pace, on the 19 days known in both: 1,000 operations a day",)
    assert faster.reasons == ("2,000 operations a day instead of 1,000 (2.00 times), on the 19 days known in both",)


def test_of_a_month_with_a_day_that_is_read_in_part_no_pace_is_told() -> None:
    """Half of a day is in what is known, and its day is no day that is known: their quotient is nobody's pace."""
    before, november = (
        month_of(ledger_state(state(1, 31_000, at=OCTOBER)), until=OCTOBER),
        state(1, 42_000),
    )
    [row] = november.months
    partly = replace(november, months=(replace(row, operations=None, read_at=None, days=19),))

    [whole], [known_in_part] = (
        compare_months(before, replace(month_of(ledger_state(later)), is_over=True), By.DATABASE, ())
        for later in (november, partly)
    )

    assert [reason.partition(" ")[2] for reason in whole.reasons] == ["operations a day instead of 1,000 (2.00 times)"]
    assert known_in_part.reasons == ()


@pytest.mark.parametrize("by", By)
def test_on_the_first_day_of_a_month_no_change_in_operations_is_told(by: By) -> None:
    """Ten minutes against a whole month say nothing."""
    before = month_of(ledger_state(state(1, 3_000_000, at=OCTOBER)), until=OCTOBER)
    at = datetime(2026, 11, 1, 0, 10, tzinfo=UTC)
    after = month_of(ledger_state(state(1, 900, at=at)), until=at)

    [change] = compare_months(before, after, by, ())

    assert change.operations_change is None
    assert not [reason for reason in change.reasons if "operations" in reason]


def test_a_move_and_a_new_name_are_told() -> None:
    held_before, held_after = ledger_state(state(1, 31, at=OCTOBER)), ledger_state(state(1, 20))
    other = replace(
        held_after.workspaces["wksp_1"], key=2, workspace=Workspace(id="wksp_2", name="Globex", plan="Starter")
    )
    held_after = replace(held_after, workspaces={**held_after.workspaces, "wksp_2": other})
    at = datetime(2026, 11, 9, tzinfo=UTC)
    events = [
        event(EventKind.RENAMED, "orders", "database 1", at),
        event(EventKind.MOVED, "wksp_2", "wksp_1", at),
        event(EventKind.MOVED, "wksp_1", "wksp_2", at),
    ]

    changes = compare_months(month_of(held_before, until=OCTOBER), month_of(held_after), By.DATABASE, events)
    [change] = [change for change in changes if change.row.workspace_id == "wksp_1" and change.row.database_id]

    assert change.reasons[-3:] == (
        "renamed from orders on 2026-11-09",
        "moved here from Globex on 2026-11-09",
        "moved to Globex on 2026-11-09",
    )


def event(kind: EventKind, before: str, after: str, at: datetime) -> Event:
    return Event(
        at=at, kind=kind, subject="database", subject_id="db_1", workspace_id="wksp_1", before=before, after=after
    )


def test_without_a_price_there_is_no_change_in_cost_and_the_reason_is_told() -> None:
    before = month_of(ledger_state(state(1, 1, at=OCTOBER), plan="Starter"), until=OCTOBER)
    after = month_of(ledger_state(state(1, 1), plan="Unheard"))

    [change] = compare_months(before, after, By.WORKSPACE, ())

    assert change.cost_change is None
    assert "no price is known for plan 'Unheard'" in change.reasons[0]


def test_the_largest_change_in_cost_comes_first() -> None:
    held = [state(number, 10_000_000, at=OCTOBER) for number in (1, 2, 3)]
    later = [state(1, 10_000_000), state(2, 90_000_000), state(3, 20_000_000)]

    changes = compare_months(
        month_of(ledger_state(*held), until=OCTOBER), month_of(ledger_state(*later)), By.DATABASE, ()
    )

    assert changes[0].row.database_id == "db_2"


def test_of_a_workspace_that_is_not_followed_any_more_no_change_is_told() -> None:
    """Whole in September, gone since October: what it costs in November is not known, and not nothing."""
    september = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)
    held = ledger_state(state(1, 2_000_000, at=september))
    gone = held.with_workspaces(replace(held.workspaces["wksp_1"], gone_at=datetime(2026, 10, 10, tzinfo=UTC)))
    before, running = month_of(gone, until=september), month_of(gone)

    for after in (running, replace(running, is_over=True)):
        for by in By:
            [change] = compare_months(before, after, by, ())

            assert change.before is not None
            assert (change.before.total, change.cost_change, change.operations_change) == (Decimal(18), None, None)
            assert change.reasons == ("its workspace is gone since 2026-10-10: what it costs since is not known",)


def test_of_a_month_that_runs_the_price_and_the_usage_add_up_to_what_is_expected_to_change() -> None:
    # 31 million of October at Starter: 10 + 30 x 8 = 250. Of November 30 are expected: 242 there, 49 + 20 x 2 at Pro.
    plans = (
        PlanChange(at=datetime(2026, 9, 1, tzinfo=UTC), plan="Starter"),
        PlanChange(at=datetime(2026, 11, 1, tzinfo=UTC), plan="Pro"),
    )
    before = month_of(ledger_state(state(1, 31_000_000, at=OCTOBER), plan="Pro", plans=plans), until=OCTOBER)
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=date(2026, 11, number),
            operations=1_000_000,
            storage_byte_seconds=0,
            storage_seconds=86_400,
        )
        for number in range(1, 21)
    ]
    after = month_of(ledger_state(state(1, 20_000_000), plan="Pro", plans=plans), days=days)

    [change] = compare_months(before, after, By.WORKSPACE, ())

    assert change.cost_change == 89 - 250
    assert change.reasons[:2] == (
        "Starter (2026-08) became Pro (2026-08): -153.00 USD",
        "usage at the old price: -8.00 USD",
    )


def test_who_was_created_counts_whether_or_not_its_operations_are_known() -> None:
    unread = replace(created(state(2, 0), datetime(2026, 11, 5, tzinfo=UTC)), months=())
    before = month_of(ledger_state(state(1, 100, at=OCTOBER)), until=OCTOBER)
    for is_over in (False, True):
        after = replace(month_of(ledger_state(state(1, 100), unread)), is_over=is_over)

        [change] = compare_months(before, after, By.WORKSPACE, ())

        assert "1 created, 0 deleted" in change.reasons


def test_a_deletion_counts_once_in_the_month_that_it_happened_in() -> None:
    deleted_at = datetime(2026, 10, 9, tzinfo=UTC)
    september = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)
    at_september, at_october = (
        replace(month_of(ledger_state(replace(state(1, 100, at=at), deleted_at=deleted_at)), until=at), is_over=True)
        for at in (september, OCTOBER)
    )
    at_november = replace(month_of(at_october.ledger_state), is_over=True)

    def counted(before: LedgerMonth, after: LedgerMonth) -> list[str]:
        changes = [change for by in (By.WORKSPACE, By.PROJECT) for change in compare_months(before, after, by, ())]
        return [reason for change in changes for reason in change.reasons if "deleted" in reason]

    assert counted(at_september, at_october) == ["0 created, 1 deleted"] * 2
    assert counted(at_october, at_november) == []
    # Its own line says when: in November it costs nothing any more.
    [of_database] = [
        change for change in compare_months(at_october, at_november, By.DATABASE, ()) if change.row.database_id
    ]
    assert of_database.reasons == ("deleted on 2026-10-09",)


def test_a_database_that_moved_explains_both_workspaces_and_their_projects() -> None:
    """It was Acme's in October and is Beta's in November; a name that two have is told with its project."""
    orders = replace(state(1, 1).database, name="orders")
    other = replace(state(2, 50), database=replace(state(2, 1).database, name="orders"))
    was = replace(state(1, 400, at=OCTOBER), database=orders)
    now = replace(state(1, 900), workspace_key=2, database=replace(orders, workspace_id="wksp_2"))
    now = replace(now, months=(replace(now.months[0], workspace_key=2),))

    def held(first: DatabaseState, second: DatabaseState) -> LedgerState:
        acme = workspace_state(second, *([first] if first is was else []), id_="wksp_1", name="Acme", plan="Starter")
        beta = workspace_state(
            *([first] if first is now else []), id_="wksp_2", key=2, name="Beta", plan="Starter", first_seen_at=SEEN_AT
        )
        return builders.ledger_state(replace(acme, first_seen_at=SEEN_AT), beta)

    october = month_of(held(was, replace(other, months=state(2, 10, at=OCTOBER).months)), until=OCTOBER)
    november = replace(month_of(held(now, other)), is_over=True)
    moved = replace(event(EventKind.MOVED, "wksp_1", "wksp_2", NOW), subject_id="db_1")

    for by in (By.WORKSPACE, By.PROJECT):
        reasons = {
            change.row.workspace_id: change.reasons[:2]
            for change in compare_months(october, november, by, (moved,))
            if by is By.WORKSPACE or change.row.project_id == "proj_1"
        }
        assert reasons["wksp_2"] == ("1 moved here", "operations: orders +900")
        told = "project 1 / orders" if by is By.WORKSPACE else "orders"
        assert reasons["wksp_1"][0] == "1 moved away"
        assert reasons["wksp_1"][1].startswith(f"operations: {told} -400")


@pytest.mark.parametrize(("moved_at", "is_told"), [(OCTOBER, False), (OCTOBER + timedelta(seconds=1), True)])
def test_a_move_counts_once_in_the_month_that_it_happened_in(moved_at: datetime, *, is_told: bool) -> None:
    """Of a month after it, a number was read in the old workspace too: nothing came there."""
    row = state(1, 900)
    both = replace(row, workspace_key=2, months=(row.months[0], replace(row.months[0], workspace_key=2)))
    earlier = replace(both, months=(replace(state(1, 400, at=OCTOBER).months[0], workspace_key=2),))
    left = replace(event(EventKind.MOVED, "wksp_1", "wksp_2", moved_at), subject_id="db_1")

    def held(row: DatabaseState) -> LedgerState:
        acme = workspace_state(id_="wksp_1", name="Acme", plan="Starter")
        return builders.ledger_state(acme, workspace_state(row, id_="wksp_2", key=2, name="Beta", plan="Starter"))

    months = month_of(held(earlier), until=OCTOBER), replace(month_of(held(both)), is_over=True)
    reasons = {change.row.workspace_id: change.reasons for change in compare_months(*months, By.WORKSPACE, (left,))}

    assert ("1 moved away" in reasons["wksp_1"]) == is_told
    assert ("1 moved here" in reasons["wksp_2"]) == is_told
    assert "1 moved here" not in reasons["wksp_1"]


def test_a_database_that_had_one_day_of_the_earlier_month_says_since_when_it_is_there() -> None:
    created_at = datetime(2026, 10, 31, tzinfo=UTC)
    october = month_of(ledger_state(created(state(1, 3, at=OCTOBER), created_at)), until=OCTOBER)
    november = replace(month_of(ledger_state(created(state(1, 90), created_at))), is_over=True)

    (of_database,) = compare_months(october, november, By.DATABASE, ())
    (of_workspace,) = compare_months(october, november, By.WORKSPACE, ())

    assert of_database.reasons[0] == "there only since 2026-10-31"
    # It is counted where it was new, in October.
    assert not any("created" in reason for reason in of_workspace.reasons)


def test_nothing_is_expected_of_a_month_that_is_over() -> None:
    """Eleven days were never read: a forecast would fill them, of a bill they are not known."""
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=date(2026, 10, number),
            operations=150_000,
            storage_byte_seconds=12 * GIB * 86_400,
            storage_seconds=86_400,
            storage_bytes=12 * GIB,
        )
        for number in range(1, 21)
    ]
    row = state(1, 3_000_000, gib=12, at=OCTOBER)
    row = replace(row, known_until=date(2026, 10, 20), months=(replace(row.months[0], operations=None),))
    over = month_of(ledger_state(row), until=OCTOBER, days=days)
    (told,) = over.rows(By.WORKSPACE)

    assert told.cost is not None
    assert (told.known_usd, told.total) == (Decimal("30.00"), None)
    assert (told.expected_usd, told.cost.expected_bill, told.cost.low_bill, told.cost.forecast_missing) == (None,) * 4
    plans = compare_plans(over.ledger_state, over.config, over.days, over.until, is_over=over.is_over)
    assert plans == {"wksp_1": {}}


def test_the_total_tells_no_change_where_a_workspace_of_last_month_is_not_followed_any_more() -> None:
    """Gone with the first instant of November: October is whole, and November is not less for it."""
    gone = workspace_state(
        state(1, 2_000_000, at=OCTOBER),
        id_="wksp_1",
        name="Acme",
        plan="Starter",
        gone_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    seen_at = datetime(2026, 9, 1, tzinfo=UTC)
    held = builders.ledger_state(
        gone, workspace_state(key=2, id_="wksp_2", name="Beta", plan="Starter", first_seen_at=seen_at)
    )
    october, november = month_of(held, until=OCTOBER), month_of(held)

    for by in By:
        besides = beside(replace(november, previous=october), by)
        assert (besides[TOTAL].last_month_usd, besides[TOTAL].change_usd) == (Decimal(28), None)
        assert besides["wksp_2", "", ""].change_usd == 0


@pytest.mark.parametrize(("by", "name"), [(By.DATABASE, "database 1"), (By.PROJECT, "project 1")])
def test_what_cost_last_month_and_has_no_line_any_more_is_named(by: By, name: str) -> None:
    gone = replace(state(1, 3_000_000, at=OCTOBER), deleted_at=datetime(2026, 10, 31, 12, tzinfo=UTC))
    gone = replace(gone, database=replace(gone.database, project_id="proj_1", project_name="project 1"))
    there = state(2, 1_000_000, at=OCTOBER)
    there = replace(there, months=(*there.months, *state(2, 1_000_000).months))
    held = ledger_state(gone, there)
    month = replace(month_of(held), previous=month_of(held, until=OCTOBER))

    lines = sum(entry.last_month_known_usd or 0 for place, entry in beside(month, by).items() if place != TOTAL)
    missing = (beside(month, by)[TOTAL].last_month_known_usd or 0) - lines
    said = gone_sentence(month, by)

    assert missing > 0
    assert said is not None
    assert said.startswith(f"In last month's total and in no line: {name} (")
    assert f"{missing} USD" in said
    assert gone_sentence(month, By.WORKSPACE) is None
    assert gone_sentence(month_of(held), by) is None


def test_a_change_in_operations_beside_what_nobody_saw_is_about_so_much() -> None:
    def shown(first_seen_at: datetime) -> str:
        lives = (state(1, 3_000_000, at=OCTOBER), state(1, 5_000_000))
        both = replace(lives[1], months=(*lives[0].months, *lives[1].months))
        held = builders.ledger_state(workspace_state(both, plan="Starter", first_seen_at=first_seen_at))
        before, after = month_of(held, until=OCTOBER), replace(month_of(held), is_over=True)
        [change] = compare_months(before, after, By.WORKSPACE, ())
        all_columns = columns(By.WORKSPACE, before, after, is_partial=False)
        [column] = [column for column in all_columns if column.key == "operations_change"]
        return str(column.value(change))

    assert shown(SEEN_AT) == "+2,000,000"
    assert shown(datetime(2026, 10, 3, tzinfo=UTC)) == "about +2,000,000"


@pytest.mark.parametrize("databases", [6, 7, 9, 11])
def test_shares_add_up_to_a_hundred(databases: int) -> None:
    """Each rounded for itself they make 99.9 or 100.2."""
    month = month_of(ledger_state(*(state(number, 3_700_000 + 1_000 * number) for number in range(1, databases + 1))))
    shares = [beside(month, By.DATABASE)[row.place].share_percent for row in month.rows(By.DATABASE)]

    assert sum(round(share * 10) for share in shares if share is not None) == 1_000


@pytest.mark.parametrize("by", list(By))
def test_the_total_of_a_comparison_is_the_sum_of_its_lines(by: By) -> None:
    before = month_of(
        ledger_state(state(1, 3_000_000, at=OCTOBER, gib=2), state(2, 1_000_000, at=OCTOBER)), until=OCTOBER
    )
    after = replace(month_of(ledger_state(state(1, 5_000_000, gib=4))), is_over=True)
    changes = compare_months(before, after, by, ())

    total = total_change(changes, by, before, after)

    assert (total.operations_before, total.operations_after) == (4_000_000, 5_000_000)
    assert total.cost_change == sum((change.cost_change or Decimal(0) for change in changes), Decimal(0))
    assert "total" in (total.row.workspace_name, total.row.project_name, total.row.database_name)


def test_the_total_of_a_comparison_is_not_known_where_a_line_is_not() -> None:
    before = month_of(ledger_state(state(1, 3_000_000, at=OCTOBER)), until=OCTOBER)
    unread = replace(state(2, 0), months=())
    after = replace(month_of(ledger_state(state(1, 5_000_000), unread)), is_over=True)
    changes = compare_months(before, after, By.DATABASE, ())

    total = total_change(changes, By.DATABASE, before, after)

    assert any(change.cost_change is None for change in changes)
    assert (total.cost_change, total.operations_change) == (None, None)


def test_what_was_not_there_cost_nothing_as_cost_says_and_of_what_is_not_followed_nobody_knows() -> None:
    before = month_of(ledger_state(state(1, 9, at=OCTOBER)), until=OCTOBER)
    after = month_of(ledger_state(state(2, 9)), now=NOW)

    def cells(change: Change) -> list[object]:
        shown = columns(By.DATABASE, before, after, is_partial=False)
        return [column.value(change) for column in shown if column.key in ("cost_before", "cost_after")]

    changes = {change.row.database_id: change for change in compare_months(before, after, By.DATABASE, ())}
    assert cells(changes["db_1"])[1] == "0.00"
    assert cells(changes["db_2"])[0] == "0.00"
    assert beside(replace(after, previous=before), By.DATABASE)[changes["db_2"].row.place].last_month_usd == 0
    assert cells(replace(changes["db_1"], is_followed=False))[1] == "–"


def test_what_was_there_and_was_never_read_cost_nobody_knows_what() -> None:
    """It was called "about 0.00", which `cost` and `top` say of nobody."""
    before = month_of(ledger_state(state(1, 9, at=OCTOBER), replace(state(2, 0), months=())), until=OCTOBER)
    after = replace(month_of(ledger_state(state(1, 9), state(2, 9)), now=NOW), previous=before)
    (unread,) = (
        change for change in compare_months(before, after, By.DATABASE, ()) if change.row.database_id == "db_2"
    )
    (said,) = (
        column.value(unread)
        for column in columns(By.DATABASE, before, after, is_partial=False)
        if column.key == "cost_before"
    )

    assert unread.before is not None
    assert said == last_month(beside(after, By.DATABASE)[unread.row.place]) == "–"


@pytest.mark.parametrize("by", [By.PROJECT, By.DATABASE])
@pytest.mark.parametrize(("is_read", "said"), [(False, "–"), (True, "0.00")])
def test_a_fee_of_no_database_was_nothing_only_where_the_earlier_month_is_known(
    by: By, *, is_read: bool, said: str
) -> None:
    """Nobody followed the workspace in October: its fee was called 0.00, and the databases may have had it."""
    row = workspace_state(
        *(of if is_read else replace(of, months=()) for of in (state(1, 9, at=OCTOBER), state(2, 9, at=OCTOBER))),
        plan="Starter",
        first_seen_at=SEEN_AT if is_read else datetime(2026, 11, 3, tzinfo=UTC),
    )
    held = builders.ledger_state(row)
    before = month_of(held, until=OCTOBER)
    after = replace(month_of(held), previous=before)
    (fee,) = (change for change in compare_months(before, after, by, ()) if change.row.project_id is None)
    shown = {column.key: column.value(fee) for column in columns(by, before, after, is_partial=False)}
    entry = beside(after, by)[fee.row.place]

    assert fee.row.known_usd == Decimal("10.00")
    assert shown["cost_before"] == last_month(entry) == said
    assert (entry.last_month_usd is None, fee.cost_change is None) == (not is_read, True)
    document = change_document(fee, is_over=False).month_before
    assert (document is None) == is_read
    if document is not None:
        assert (document.operations, document.known_usd, document.is_usage_complete) == (None, None, False)
