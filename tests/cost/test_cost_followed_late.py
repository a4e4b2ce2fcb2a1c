"""A month of which databases may be in no list: sums are at least so much, databases cost about so much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from gap_worlds import World, ledger_of, workspace_days, worlds
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builders import GIB, SEEN_AT, database, database_state, ledger_state, month_usage, workspace_state
from prisma_postgres_exporter.cli.compare import columns
from prisma_postgres_exporter.config import BudgetConfig, load_config
from prisma_postgres_exporter.cost import By, CostRow, charge, compare_plans, savings, total_of
from prisma_postgres_exporter.documents import cost_rows_answer, month_document
from prisma_postgres_exporter.expose.money import shown_components
from prisma_postgres_exporter.model import (
    DatabaseState,
    DiscoveryGap,
    LedgerState,
    day_start,
    month_start,
    next_month_start,
)
from prisma_postgres_exporter.report import (
    FOCUS_COLUMNS,
    TOTAL,
    Key,
    LedgerMonth,
    absence_sentences,
    beside,
    budget_cells,
    compare_months,
    cost_so_far,
    focus_rows,
    growth_days,
    how_whole,
    knowledge,
    last_month,
    ledger_month,
    left_out,
    missing_sentence,
    month_costs,
    previous_sentences,
    rank,
    report_markdown,
    report_month,
    total_change,
    total_line,
    use,
)

DEFAULTS = load_config(environ={})
BUDGETS = (BudgetConfig.model_validate({"name": "all", "monthly_usd": 100}),)
CONFIG = DEFAULTS.model_copy(update={"cost": DEFAULTS.cost.model_copy(update={"budgets": BUDGETS})})
OCTOBER = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
SINCE = datetime(2026, 10, 22, 8, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
NOW = datetime(2026, 12, 2, tzinfo=UTC)


def late(held: LedgerState, since: datetime) -> LedgerState:
    return held.with_workspaces(*(replace(row, first_seen_at=since) for row in held.workspaces.values()))


def unwatched(held: LedgerState, *gaps: tuple[datetime, datetime]) -> LedgerState:
    found = tuple(DiscoveryGap(from_at=from_at, to_at=to_at) for from_at, to_at in gaps)
    return held.with_workspaces(*(replace(row, discovery_gaps=found) for row in held.workspaces.values()))


def month(world: World, lacking: Callable[[LedgerState], LedgerState] = lambda held: held) -> LedgerMonth:
    now = world.until + timedelta(seconds=1) if world.is_over else world.until
    return ledger_month(lacking(ledger_of(world)), CONFIG, workspace_days(world), world.until, now)


@settings(max_examples=40)
@given(worlds(plan_changes=True) | worlds(), st.booleans())
def test_sums_are_a_lower_bound_and_usage_and_forecasts_are_what_they_were(world: World, is_late: bool) -> None:
    # At the instant of an upgrade nobody has lived on the new plan yet.
    assume(world.until not in {day_start(first) for workspace in world.workspaces for first, _ in workspace.plans})

    def lacking(held: LedgerState) -> LedgerState:
        if is_late or world.until - month_start(world.until) < timedelta(hours=3):
            return late(held, world.until)
        return unwatched(held, (world.until - timedelta(hours=3), world.until))

    from_the_start, since = month(world), month(world, lacking)

    before, after = ({row.place: row for row in of.rows(By.DATABASE)} for of in (from_the_start, since))
    assert after.keys() == before.keys()
    for place, row in after.items():
        if row.database_id is not None:
            earlier = before[place]
            assert (row.usage, row.expected_usd) == (earlier.usage, earlier.expected_usd)
            assert row.bill is not None
            assert earlier.bill is not None
            assert row.bill.known_parts == earlier.bill.known_parts
            # What a share is of is not known whole: neither a cost nor a bound of one.
            whole_bill = since.costs.workspaces[row.workspace_id].bill
            assert whole_bill is not None
            if row.total is not None and was_gone_before_it_cost(world, row):
                assert row.total == 0
            elif whole_bill.total is None:
                assert (row.total, row.bill.qualifier) == (None, "about ")
                assert not month_document(row, is_over=since.is_over).is_complete
            else:
                assert row.total == earlier.total
    for cost in (cost for of in (from_the_start, since) for cost in of.costs.workspaces.values()):
        if cost.low_bill is not None:
            assert cost.bill is not None
            assert (cost.low_bill.total or 0) >= (cost.bill.known or 0)
    plans_of = {workspace.id: workspace.plans for workspace in world.workspaces}
    for by in (By.WORKSPACE, By.PROJECT):
        known = {row.place: row for row in from_the_start.rows(by)}
        for row in since.rows(by):
            earlier, cost = known[row.place], since.costs.workspaces[row.workspace_id]
            assert (row.known_usd, row.expected_usd, row.usage.listed) == (
                earlier.known_usd,
                earlier.expected_usd,
                earlier.usage,
            )
            is_free = cost.bill is not None and cost.bill.is_listed
            plans = plans_of[row.workspace_id]
            assert len(plans) > 1 or is_free == (plans[0][1] == "free")
            assert row.listed_total == earlier.total
            assert by is By.PROJECT or row.bill is None or row.bill.qualifier in ("", "at least ")
            assert row.total == (earlier.total if is_free else None)
            assert not row.usage.is_complete
            assert not month_document(row, is_over=since.is_over).is_usage_complete
    totals = [total_of(of.rows(By.WORKSPACE)) for of in (from_the_start, since)]
    assert totals[0][1].known == totals[1][1].known
    assert not totals[1][0].is_complete
    (budget,) = since.costs.budgets
    (known_budget,) = from_the_start.costs.budgets
    assert (budget.spent_usd, budget.expected_usd) == (known_budget.spent_usd, known_budget.expected_usd)
    is_all_free = all(cost.bill is not None and cost.bill.is_listed for cost in since.costs.workspaces.values())
    assert budget.is_complete == (known_budget.is_complete and is_all_free)


def was_gone_before_it_cost(world: World, row: CostRow) -> bool:
    """Whether a database was deleted, or had moved away, when its workspace left Free."""
    (workspace,) = [one for one in world.workspaces if one.id == row.workspace_id]
    (given_database,) = [one for one in world.databases if one.id == row.database_id]
    first = workspace.plans[-1][0]
    days = [world.month + timedelta(days=number) for number in range((world.until.date() - world.month).days + 1)]
    return workspace.plans[0][1] == "free" and not any(
        given_database.lived_on(day, world.ends_at) and given_database.holder(day) == workspace.number
        for day in days
        if day >= first
    )


def whole(until: datetime, *, databases: int = 1, operations: int = 3_000_000) -> tuple[DatabaseState, ...]:
    """Databases of which every day and level of a month is known."""
    ends_at = next_month_start(until)
    days = (ends_at - month_start(until)).days
    seconds = days * 86_400
    return tuple(
        database_state(
            f"db_{number}",
            key=number,
            database=database(f"db_{number}", name=f"database {number}", workspace_id="wksp_1"),
            first_seen_at=month_start(until),
            months=(
                month_usage(
                    month_start(until).date(),
                    operations,
                    database_key=number,
                    days=days,
                    days_operations=operations,
                    read_at=ends_at,
                    period_end_at=ends_at,
                    storage_byte_seconds=2 * GIB * seconds,
                    storage_seconds=seconds,
                ),
            ),
        )
        for number in range(1, databases + 1)
    )


def held(*states: DatabaseState, since: datetime = SINCE, plan: str = "Starter") -> LedgerState:
    return ledger_state(workspace_state(*states, id_="wksp_1", name="Acme", plan=plan, first_seen_at=since))


def october(*, since: datetime = SINCE, plan: str = "Starter") -> LedgerMonth:
    return ledger_month(held(*whole(OCTOBER), since=since, plan=plan), CONFIG, (), OCTOBER, NOW)


def test_what_is_known_of_it_is_named_and_no_command_that_cannot_help() -> None:
    over = october()
    usage, bill = total_of(over.rows(By.WORKSPACE))

    # Starter: 10.00, two million over the first at 8.00.
    assert (bill.known, bill.total, bill.parts) == (Decimal("26.00"), None, (Decimal("10.00"), None, None))
    assert how_whole(over, usage) == "every day of the databases that were there on 2026-10-22"
    assert knowledge(usage) == "without databases deleted before their workspace was followed"
    assert missing_sentence(usage, over.missing, ()) is None
    (budget,) = over.costs.budgets
    assert (budget.spent_usd, budget.is_complete) == (Decimal("26.00"), False)
    assert october(since=SEEN_AT).costs.budgets[0].is_complete
    (sentence,) = absence_sentences(over)
    assert sentence.endswith("before 2026-10-22, when Acme was first followed. No command gets it.")
    assert (
        how_whole(october(since=SEEN_AT), total_of(october(since=SEEN_AT).rows(By.WORKSPACE))[0]) == "the whole month"
    )


THERE = datetime(2026, 9, 1, tzinfo=UTC)


def test_a_fee_without_databases_is_known_in_every_view() -> None:
    of = ledger_month(held(), CONFIG, (), OCTOBER, NOW)
    documents = [month_document(row, is_over=of.is_over) for by in (By.PROJECT, By.DATABASE) for row in of.rows(by)]

    assert [row.fee_usd for row in documents] == [Decimal("10.00")] * 2
    assert [cost_so_far(row.bill) for row in of.rows(By.PROJECT)] == [
        cost_so_far(row.bill) for row in of.rows(By.DATABASE)
    ]
    assert not any("about" in cost_so_far(row.bill) for row in of.rows(By.PROJECT))


def test_when_nobody_looked_is_named_in_one_sentence_and_the_month_is_at_least_so_much() -> None:
    on_the_3rd, on_the_6th = (datetime(2026, 10, day, hour, 10, tzinfo=UTC) for day, hour in ((3, 14), (6, 9)))
    all_of_it = held(*whole(OCTOBER), since=THERE)
    over = ledger_month(unwatched(all_of_it, (on_the_3rd, on_the_6th)), CONFIG, (), OCTOBER, NOW)
    usage, bill = total_of(over.rows(By.WORKSPACE))

    assert (bill.known, bill.total, bill.parts) == (Decimal("26.00"), None, (Decimal("10.00"), None, None))
    assert usage.missing == ("discovery_gap",)
    assert how_whole(over, usage) == "every day of the databases that are known"
    assert knowledge(usage) == "without databases that came and went while nobody looked"
    assert missing_sentence(usage, over.missing, ()) is None
    assert list(absence_sentences(over)) == [
        (
            "Acme: nobody looked for databases from 2026-10-03 14:10 to 2026-10-06 09:10 UTC. What was used by those "
            "that came and went meanwhile is not in it, and no command gets it."
        )
    ]
    [line] = left_out(over)
    assert "left out are databases that came and went while nobody looked for databases, from 2026-10-03 14:10" in line
    [gap] = cost_rows_answer(over, (), {}).discovery_gaps
    assert (gap.workspace_id, gap.from_at, gap.to_at) == ("wksp_1", on_the_3rd, on_the_6th)
    # November is whole; what October lacks is said of October.
    november = ledger_month(held(*whole(NOVEMBER), since=THERE), CONFIG, (), NOVEMBER, NOW, over)
    assert list(absence_sentences(november)) == []
    assert [note.partition(": ")[2][:31] for note in previous_sentences(over)] == ["Acme: nobody looked for databas"]

    nightly = [(OCTOBER - timedelta(days=number + 1), OCTOBER - timedelta(days=number)) for number in range(30)]
    over = ledger_month(unwatched(all_of_it, *sorted(nightly)), CONFIG, (), OCTOBER, NOW)
    [sentence] = absence_sentences(over)
    assert "nobody looked for databases 30 times from 2026-10-01 23:59 to 2026-10-31 23:59 UTC." in sentence


@pytest.mark.parametrize(
    ("from_at", "to_at", "is_whole"),
    [
        (OCTOBER - timedelta(hours=2), OCTOBER, True),
        (OCTOBER - timedelta(hours=2, seconds=1), OCTOBER, False),
        # Two hours of October, the rest of it in November.
        (OCTOBER - timedelta(hours=2), OCTOBER + timedelta(days=5), True),
        (OCTOBER - timedelta(hours=3), OCTOBER + timedelta(days=5), False),
        (THERE, month_start(OCTOBER) + timedelta(hours=2), True),
        (THERE, month_start(OCTOBER) + timedelta(hours=3), False),
    ],
)
def test_two_hours_of_a_month_may_nobody_have_looked(from_at: datetime, to_at: datetime, is_whole: bool) -> None:
    over = unwatched(held(*whole(OCTOBER), since=THERE), (from_at, to_at))

    (row,) = ledger_month(over, CONFIG, (), OCTOBER, NOW).rows(By.WORKSPACE)
    assert (row.total is not None, row.usage.is_complete) == (is_whole, is_whole)


@pytest.mark.parametrize(("hours", "is_whole"), [(2, True), (3, False)])
def test_a_month_that_nobody_looks_at_any_more_is_no_whole_one(hours: int, is_whole: bool) -> None:
    (row,) = held(*whole(OCTOBER), since=THERE).workspaces.values()
    state = replace(row, looked_at=OCTOBER - timedelta(hours=hours))
    over = ledger_month(ledger_state(state), CONFIG, (), OCTOBER, NOW)

    assert (over.rows(By.WORKSPACE)[0].total is not None) == is_whole
    assert [sentence for sentence in absence_sentences(over) if "since 2026-10-31 20:59 UTC." in sentence] == [
        *absence_sentences(over)
    ]
    # Of a workspace that is gone another sentence says it.
    gone = ledger_state(replace(state, gone_at=OCTOBER))
    assert ledger_month(gone, CONFIG, (), OCTOBER, NOW).discovery_gaps == ()


def test_where_only_some_workspaces_were_followed_late_the_title_names_no_day() -> None:
    first = held(*whole(OCTOBER)).workspaces["wksp_1"]
    other = workspace_state(key=2, id_="wksp_2", name="Beta", plan="Starter", first_seen_at=SEEN_AT)
    over = ledger_month(ledger_state(first, other), CONFIG, (), OCTOBER, NOW)

    assert how_whole(over, total_of(over.rows(By.WORKSPACE))[0]) == "every day of the databases that are known"


def test_focus_has_the_rows_of_the_databases_that_are_known_and_names_the_workspace() -> None:
    over = october()
    rows = [dict(zip(FOCUS_COLUMNS, row, strict=True)) for row in focus_rows(over)]

    assert sum(row["BilledCost"] for row in rows if isinstance(row["BilledCost"], Decimal)) == Decimal("26.00")
    assert list(left_out(over)) == [
        (
            "2026-10: workspace Acme (wksp_1) costs at least what its rows say: left out are databases deleted before "
            "2026-10-22, when it was first followed; what each row says is a share of what is known, perhaps too high "
            "or too low"
        )
    ]
    assert list(left_out(october(since=SEEN_AT))) == []
    # The fee of one without databases too.
    assert len(list(focus_rows(ledger_month(held(), CONFIG, (), OCTOBER.replace(day=25), NOW)))) == 1


def test_of_a_plan_that_charges_for_nothing_the_cost_is_known() -> None:
    free = october(plan="Free")
    (row,) = free.rows(By.WORKSPACE)

    assert (row.total, row.usage.is_complete, list(left_out(free))) == (Decimal("0.00"), False, [])


def test_a_change_is_over_the_databases_that_are_known_and_last_month_is_at_least_so_much() -> None:
    after = held(*whole(NOVEMBER, operations=5_000_000))
    november = ledger_month(after, CONFIG, (), NOVEMBER, NOW, october())

    besides = beside(november, By.WORKSPACE)
    for place in (("wksp_1", "", ""), TOTAL):
        entry = besides[place]
        assert (entry.last_month_usd, entry.last_month_known_usd) == (None, Decimal("26.00"))
        assert (entry.change_usd, entry.change_percent) == (Decimal("16.00"), 61.5)
    (of_database,) = (entry for place, entry in beside(november, By.DATABASE).items() if place != TOTAL)
    assert (of_database.last_month_usd, of_database.change_usd) == (None, Decimal("16.00"))
    assert last_month(of_database) == "about 26.00"
    # What a change is from is not all known, so the change is not exact either: so says every table.
    assert not of_database.is_change_complete
    assert not besides[TOTAL].is_change_complete
    (change,) = compare_months(october(), november, By.WORKSPACE, ())
    cells = {
        column.heading: column.value(change) for column in columns(By.WORKSPACE, october(), november, is_partial=False)
    }
    assert cells["USD change"] == "about +16.00"
    (known,) = compare_months(november, november, By.WORKSPACE, ())
    assert known.is_cost_change_complete
    notes = month_costs(november).notes
    assert notes[0].startswith("Against October (at least 26.00 USD): about +16.00 USD (+61.5 %): operations +16.00")
    # November is whole; what October lacks is said of October.
    assert list(absence_sentences(november)) == []
    assert any(note.startswith("October 2026: Not in it: what was used by") for note in notes)
    assert list(previous_sentences(october(since=SEEN_AT))) == []


def test_totals_by_database_are_a_lower_bound_too_and_operations_change_over_what_is_known() -> None:
    over = october()
    november = ledger_month(held(*whole(NOVEMBER, operations=5_000_000)), CONFIG, (), NOVEMBER, NOW)
    lines = rank(over, By.DATABASE, Key.COST, (), growth_days(over, 7))
    changes = compare_months(over, november, By.WORKSPACE, ())

    assert (lines[0].row.total, cost_so_far(lines[0].row.bill)) == (None, "about 26.00")
    assert total_line(lines, By.DATABASE, over).row.total is None
    assert [(change.operations_change, change.cost_change) for change in changes] == [(2_000_000, Decimal("16.00"))]
    by_database = compare_months(over, november, By.DATABASE, ())
    total = total_change(by_database, By.DATABASE, over, november)
    assert total.before is not None
    assert (total.before.total, total.cost_change) == (None, Decimal("16.00"))


def test_a_part_of_which_something_is_known_is_shown_where_json_has_it() -> None:
    bill = charge(held(*whole(OCTOBER)), CONFIG, (), OCTOBER).workspaces["wksp_1"].bill
    assert bill is not None

    # Storage is within what is included, as far as is known.
    assert bill.known_parts == (Decimal("10.00"), Decimal("16.00"), Decimal("0.00"))
    partly = replace(bill, are_operations_known=False, is_storage_known=False)
    assert partly.known_parts == bill.known_parts
    unread = replace(partly, is_some_storage_known=False)
    assert unread.known_parts == (Decimal("10.00"), Decimal("16.00"), None)
    assert dict(shown_components(unread)) == {("fee",): Decimal("10.00"), ("operations",): Decimal("16.00")}


def test_no_saving_is_advised_on_what_may_be_less_than_was_used() -> None:
    def advised(since: datetime) -> bool:
        states = whole(OCTOBER, operations=300_000_000)
        of = ledger_month(held(*states, since=since), DEFAULTS, (), OCTOBER, NOW)
        month = (of.ledger_state, of.config, of.costs, of.days, of.until)
        return bool(savings(month, {"wksp_1": "Starter"}))

    assert (advised(SEEN_AT), advised(SINCE)) == (True, False)
    plans = compare_plans(held(*whole(OCTOBER)), DEFAULTS, (), OCTOBER, is_over=True)
    assert plans == {"wksp_1": {}}


def test_a_workspace_without_databases_has_no_zero() -> None:
    empty = charge(held(), CONFIG, (), OCTOBER.replace(day=25))
    (row,) = ledger_month(held(), CONFIG, (), OCTOBER, NOW).rows(By.WORKSPACE)

    assert (row.operations, row.mean_storage_bytes, row.known_usd, row.total) == (None, None, Decimal("10.00"), None)
    assert empty.workspaces["wksp_1"].expected_bill is not None
    assert empty.workspaces["wksp_1"].expected_bill.total == Decimal("10.00")


@pytest.mark.parametrize("by", list(By))
def test_the_total_of_an_answer_is_that_of_all_workspaces(by: By) -> None:
    over = october()
    answer = cost_rows_answer(over, over.rows(by), beside(over, by))

    assert answer.total is not None
    assert (answer.total.known_usd, answer.total.total_usd, answer.total.is_complete) == (Decimal("26.00"), None, False)
    assert (answer.total.operations, answer.total.mean_storage_bytes) == (3_000_000, 2 * GIB)
    assert cost_rows_answer(over, over.rows(by), beside(over, by), is_part=True).total is None


def test_a_share_of_what_is_known_is_neither_exact_nor_a_bound() -> None:
    """With a database that nobody saw, which made ten million operations, each known one had cost less."""
    two = ledger_month(held(*whole(OCTOBER, databases=2)), CONFIG, (), OCTOBER, NOW)
    three = whole(OCTOBER, databases=3)
    hidden = replace(three[2], months=(replace(three[2].months[0], operations=10_000_000, days_operations=10_000_000),))
    truth = ledger_month(held(*three[:2], hidden, since=SEEN_AT), CONFIG, (), OCTOBER, NOW)

    for row in two.rows(By.DATABASE):
        (true_row,) = (other for other in truth.rows(By.DATABASE) if other.place == row.place)
        assert true_row.total is not None
        assert row.bill is not None
        assert row.usage.is_complete
        # The fee was shared by fewer.
        assert row.bill.fee is not None
        assert true_row.bill is not None
        assert true_row.bill.fee is not None
        assert row.bill.fee > true_row.bill.fee
        assert (row.bill.parts, cost_so_far(row.bill)) == ((None, None, None), f"about {row.known_usd:,.2f}")
    (project,) = two.rows(By.PROJECT)
    assert project.bill is not None
    assert project.bill.qualifier == "about "
    page = "".join(report_markdown(report_month(two, (), (), (), NOW), most_databases=10))
    assert "costs most of what is known, about 25.00 USD" in page


def test_a_sibling_with_a_missing_day_makes_every_share_about_so_much_and_their_sum_at_least() -> None:
    first, second = whole(OCTOBER, databases=2)
    partly = replace(second, months=(replace(second.months[0], operations=None, days=30),))
    month = ledger_month(held(first, partly, since=SEEN_AT), CONFIG, (), OCTOBER, NOW)

    by_id = {row.database_id: row for row in month.rows(By.DATABASE)}
    assert {id_: row.usage.is_complete for id_, row in by_id.items()} == {"db_1": True, "db_2": False}
    assert {cost_so_far(row.bill) for row in by_id.values()} == {"about 25.00"}
    assert {row.total for row in by_id.values()} == {None}
    for by in (By.WORKSPACE, By.PROJECT):
        (row,) = month.rows(by)
        assert cost_so_far(row.bill) == "at least 50.00"
    assert [budget.is_share for budget in month.costs.budgets] == [False]


def test_of_a_workspace_with_one_database_the_share_is_the_bill() -> None:
    (state,) = whole(OCTOBER)
    partly = replace(state, months=(replace(state.months[0], operations=None, days=30),))
    (row,) = ledger_month(held(partly, since=SEEN_AT), CONFIG, (), OCTOBER, NOW).rows(By.DATABASE)

    assert cost_so_far(row.bill) == "at least 26.00"


@pytest.mark.parametrize(
    ("chosen", "since", "is_share"),
    [
        ({"databases": ["database 1"]}, SINCE, True),
        ({"databases": ["database 1"]}, SEEN_AT, False),
        ({"projects": ["."]}, SINCE, True),
        ({"workspaces": ["Acme"]}, SINCE, False),
    ],
)
def test_a_budget_for_a_part_of_what_is_not_known_whole_is_about_so_much(
    chosen: dict[str, list[str]], since: datetime, is_share: bool
) -> None:
    budget = BudgetConfig.model_validate({"name": "some", "monthly_usd": 100, **chosen})
    config = CONFIG.model_copy(update={"cost": CONFIG.cost.model_copy(update={"budgets": (budget,)})})
    month = ledger_month(held(*whole(OCTOBER, databases=2), since=since), config, (), OCTOBER, NOW)

    (state,) = month.costs.budgets
    assert (state.is_share, state.is_complete) == (is_share, since == SEEN_AT)
    assert budget_cells(state)[1].split()[0] == ("about" if is_share else "25.00" if since == SEEN_AT else "at")


def test_a_late_workspace_without_databases_has_its_fee_where_the_month_was_read_of_others() -> None:
    empty = workspace_state(key=2, id_="wksp_2", name="Beta", plan="Starter", first_seen_at=SINCE)
    september = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)

    def costs(*states: DatabaseState) -> dict[str, str]:
        first = held(*states).workspaces["wksp_1"]
        month = ledger_month(ledger_state(first, empty), CONFIG, (), september, NOW)
        return {row.workspace_name: cost_so_far(row.bill) for row in month.rows(By.WORKSPACE)}

    assert costs(*whole(september)) == {"Acme": "at least 26.00", "Beta": "at least 10.00"}
    unread = replace(whole(september)[0], months=())
    assert costs(unread) == {"Acme": "–", "Beta": "–"}


def test_the_json_of_a_free_month_is_complete_though_its_usage_is_not() -> None:
    free = october(plan="Free")
    (row,) = free.rows(By.WORKSPACE)
    document = month_document(row, is_over=True)
    assumed = month_document(
        replace(row, cost=replace(row.cost, plan_assumed_at=NOW) if row.cost else None), is_over=True
    )

    assert (document.total_usd, document.is_complete) == (Decimal("0.00"), True)
    assert (document.is_usage_complete, document.usage_missing) == (False, ["followed_late"])
    # A plan that was paid for then would have cost something.
    assert not assumed.is_complete


@settings(max_examples=40)
@given(worlds(), st.booleans())
def test_what_is_missing_is_named_where_something_is(world: World, is_late: bool) -> None:
    of = month(world, (lambda held: late(held, world.until)) if is_late else (lambda held: held))
    for by in By:
        for row in of.rows(by):
            assert bool(row.usage.missing) == (not row.usage.is_complete)
            assert ("followed_late" in row.usage.missing) == (is_late and row.database_id is None)


def test_json_has_what_counts_against_the_spend_limit_and_when_it_is_reached() -> None:
    own = {"workspace": "Acme", "spend_limit_usd": 20, "other_usage_usd": 2, "tax_percent": 25}
    workspaces = load_config(environ={}).cost.model_validate({"workspaces": [own]}).workspaces
    config = DEFAULTS.model_copy(update={"cost": DEFAULTS.cost.model_copy(update={"workspaces": workspaces})})
    for since, is_complete in ((SEEN_AT, True), (SINCE, False)):
        of = ledger_month(held(*whole(OCTOBER), since=since), config, (), OCTOBER, NOW)
        (row,) = of.rows(By.WORKSPACE)
        document = month_document(row, is_over=True)

        # Two million operations over the first at 8.00, and 2.00 of others, taxed: the fee never counts.
        assert document.spend_limit_counted_usd == Decimal("22.50")
        assert (document.spend_limit_usd, document.is_spend_limit_counted_complete) == (Decimal(20), is_complete)
        assert list(document.limits_reached_at) == ["spend_limit"]
        (of_database,) = of.rows(By.DATABASE)
        assert month_document(of_database, is_over=True).spend_limit_counted_usd is None


def test_operations_in_tables_say_where_there_were_at_least_so_many() -> None:
    for since, shown in ((SINCE, "≥ 3,000,000"), (SEEN_AT, "3,000,000")):
        over = october(since=since)
        (row,) = over.rows(By.WORKSPACE)
        (of_database,) = over.rows(By.DATABASE)

        assert use(row)[0] == shown
        assert use(of_database)[0] == "3,000,000"


def test_a_report_says_by_itself_what_last_month_cost_and_what_has_changed() -> None:
    known, free = (held(*whole(OCTOBER), since=THERE, plan=plan) for plan in ("Starter", "Free"))
    nothing_yet = held(*whole(OCTOBER), since=THERE)
    early = NOVEMBER.replace(day=3)

    def summary(now: LedgerState, before: LedgerState | None, until: datetime) -> str:
        previous = None if before is None else ledger_month(before, CONFIG, (), OCTOBER, NOW)
        at = max(until, NOW) if until == NOVEMBER else until
        of = report_month(ledger_month(now, CONFIG, (), until, at, previous), (), (), (), at)
        return "".join(report_markdown(of, most_databases=10)).split("\n\n")[1]

    unpriced = nothing_yet.with_workspaces(
        *(replace(row, workspace=replace(row.workspace, plan="Odd")) for row in nothing_yet.workspaces.values())
    )
    assert "October: 26.00 USD; the change is not known." in summary(unpriced, known, early)
    assert "What it cost in October is not known, nor is the change." in summary(unpriced, None, early)
    of_free = held(*whole(NOVEMBER), since=THERE, plan="Free")
    assert "October: 0.00 USD; the change is none." in summary(of_free, free, NOVEMBER)
