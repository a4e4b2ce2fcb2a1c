"""What is said of a sum that is not known whole: the part that is missing, and no other."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from report_values import CONFIG, NOW, OCTOBER, ledger_state, month_of, state

from builders import GIB, SEEN_AT, workspace_state
from builders import ledger_state as several
from prisma_postgres_exporter.config import CostConfig
from prisma_postgres_exporter.cost import UNREAD, BudgetState, By, Saving, Usage, WorkspaceCost, total_row
from prisma_postgres_exporter.documents import month_document, report_answer
from prisma_postgres_exporter.expose.money import shown_components
from prisma_postgres_exporter.expose.pages.drawing import parts
from prisma_postgres_exporter.model import DatabaseState, Event, EventKind, PlanChange, WorkspaceDay
from prisma_postgres_exporter.report import (
    UsageRow,
    beside,
    budget_cells,
    budget_sentence,
    cost_cell,
    cost_sentences,
    event_sentence,
    knowledge,
    ledger_month,
    limit_sentences,
    mean_gib,
    month_costs,
    report_month,
    report_sections,
    use,
)


@pytest.mark.parametrize(
    ("days_known", "seconds_known", "unplaced", "said"),
    [
        (31, 999, 0, "99 % of the storage's time"),
        (31, 0, 0, "0 % of the storage's time"),
        (30, 1_000, 0, "30 of 31 days of databases"),
        (30, 999, 0, "30 of 31 days of databases, 99 % of the storage's time"),
        (31, 1_000, 1, "1 moved database, of which a part may belong here"),
        (30, 1_000, 1, "30 of 31 days of databases"),
    ],
)
def test_only_the_part_that_is_missing_is_named(days_known: int, seconds_known: int, unplaced: int, said: str) -> None:
    usage = Usage(
        known_operations=5,
        days=31,
        days_known=days_known,
        storage_seconds=1_000,
        storage_seconds_known=seconds_known,
        unplaced_operations=unplaced,
    )

    assert knowledge(usage) == said


@pytest.mark.parametrize("by", By)
def test_a_mean_level_without_some_databases_is_at_least_so_much(by: By) -> None:
    """One of two in a project was never read: 4 GiB is not what both store."""
    both = [state(1, 5, gib=4), replace(state(3, 5), months=())]
    told = {row.database_id: use(row)[1] for row in month_of(ledger_state(*both)).rows(by)}
    read = {row.database_id: use(row)[1] for row in month_of(ledger_state(both[0])).rows(by)}

    assert told == ({"db_1": "4.00", "db_3": "–"} if by is By.DATABASE else {None: "at least 4.00"})
    assert set(read.values()) == {"4.00"}


def test_what_is_included_is_used_at_least_so_far_where_not_all_is_known() -> None:
    held = ledger_state(state(1, 5, gib=4), replace(state(3, 5), months=()))
    report = report_month(month_of(held), (), (), (), NOW)
    said = list(cost_sentences(report.workspaces[0]))

    assert any(line.startswith("At least 5 of ") for line in said)
    assert "At least 4 GiB of 10 GiB included storage (40 %), as the month's average." in said


def test_a_time_that_is_not_all_known_is_not_told_as_all_of_it() -> None:
    assert (
        knowledge(Usage(days=1, days_known=1, storage_seconds=10**9, storage_seconds_known=10**9 - 1))
        == "99 % of the storage's time"
    )


def test_what_is_expected_without_a_database_is_about_so_much_for_every_door() -> None:
    never_read = replace(state(3, 5), months=())
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=NOW.date() - timedelta(days=number),
            operations=5,
            storage_bytes=GIB,
            storage_byte_seconds=GIB * 86_400,
            storage_seconds=86_400,
        )
        for number in range(1, 21)
    ]
    budget = {"name": "all", "monthly_usd": "5"}
    config = CONFIG.model_copy(update={"cost": CostConfig.model_validate({"budgets": [budget]})})

    def told(*states: DatabaseState) -> set[bool]:
        month = ledger_month(ledger_state(*states), config, days, NOW, NOW)
        report = report_month(month, (), (), (), NOW)
        (line,) = month_costs(month).lines
        answer = report_answer(report)
        (sentence,) = [text for text in cost_sentences(report.workspaces[0]) if text.startswith("Expected of the")]
        return {
            "about" in budget_cells(month.costs.budgets[0])[2],
            "about" in sentence,
            not line.is_expected_complete,
            not answer.data.total.is_expected_complete,
            not answer.data.workspaces[0].is_expected_complete,
        }

    assert told(state(1, 100, gib=1)) == {False}
    assert told(state(1, 100, gib=1), never_read) == {True}


def test_the_limits_of_a_month_are_named_in_its_report() -> None:
    """Starter, 8,000,000 of 1,000,000 included operations so far: 0.008 a thousand are 56.00."""
    limits = [{"workspace": "Acme", "spend_limit_usd": "20"}]
    config = CONFIG.model_copy(update={"cost": CostConfig.model_validate({"workspaces": limits})})
    held = ledger_state(state(1, 8_000_000, gib=1))
    report = report_month(ledger_month(held, config, (), NOW, NOW), (), (), (), NOW)
    said = list(cost_sentences(report.workspaces[0]))

    assert "Spend limit: 56.00 of 20.00 USD; fee, Compute, Accelerate and tax not counted." in said
    assert "Spend limit: reached, by our estimate." in said
    ahead = WorkspaceCost(limits=(("free_operations", NOW + timedelta(days=2)),))
    assert list(limit_sentences(ahead, NOW)) == [
        "Free plan's operations limit: will be reached on 2026-11-23 00:00 UTC, by our estimate."
    ]


def test_a_budget_that_is_spent_says_by_how_much() -> None:
    budget = BudgetState(
        name="all",
        limit_usd=Decimal(10),
        thresholds=(),
        databases=1,
        spent_usd=Decimal("12.50"),
        expected_usd=Decimal(20),
        is_complete=False,
    )

    assert budget_cells(budget) == ("10.00", "at least 12.50, over by at least 2.50", "20.00")
    assert budget_cells(replace(budget, spent_usd=Decimal(10), is_complete=True)) == ("10.00", "10.00", "20.00")
    said = "Budget all: at least 12.50 of 10.00 USD spent, over by at least 2.50"
    assert budget_sentence(budget, is_over=False) == f"{said}, 20.00 expected."
    assert budget_sentence(budget, is_over=True) == f"{said}."


def test_what_nobody_read_is_not_read() -> None:
    assert knowledge(Usage(days=31, storage_seconds=1_000)) == "not read"


def test_a_workspace_that_nobody_followed_is_not_read_and_takes_nothing_from_others() -> None:
    whole = Usage(known_operations=5, days=31, days_known=31, storage_seconds=1_000, storage_seconds_known=1_000)

    assert knowledge(UNREAD) == "not read"
    assert knowledge(whole + UNREAD) == "1 workspace not read"
    assert not (whole + UNREAD).is_complete
    assert (UNREAD.operations, UNREAD.mean_storage_bytes(1_000), UNREAD.gib_months(1_000)) == (None, None, None)


def test_a_workspace_without_a_credential_is_not_told_to_be_deleted() -> None:
    at = datetime(2026, 11, 27, tzinfo=UTC)
    gone = Event(
        at=at, kind=EventKind.DELETED, subject="workspace", subject_id="wksp_1", workspace_id="wksp_1", before="Initech"
    )
    names = {"wksp_1": "Initech"}

    assert event_sentence(gone, names) == (
        "2026-11-27: workspace Initech not followed any more, as no credential lists it."
    )
    assert event_sentence(replace(gone, kind=EventKind.RETURNED), names).endswith("Initech followed again.")
    assert event_sentence(replace(gone, subject="project"), names).endswith("project Initech deleted.")


def test_a_total_has_the_mean_of_all_where_all_of_them_are_known() -> None:
    rows = month_of(ledger_state(state(1, 5, gib=4), state(3, 5, gib=2))).rows(By.DATABASE)
    unread = month_of(ledger_state(state(1, 5, gib=4), replace(state(3, 5), months=()))).rows(By.DATABASE)

    assert use(total_row(rows, By.DATABASE))[1] == "6.00"
    assert use(total_row(unread, By.DATABASE))[1] == "at least 4.00"


@pytest.mark.parametrize(("gib", "said"), [(14, "at least 8.00"), (4, "at least 0.00"), (0, "–")])
def test_a_part_of_a_cost_is_at_least_what_is_known_of_it_and_a_dash_only_where_nothing_is(gib: int, said: str) -> None:
    """A level is known of half the time; in the last case of none."""
    (month,) = state(1, 5, gib=2 * gib).months
    seconds = month.storage_seconds // 2 if gib else 0
    half = replace(month, storage_seconds=seconds, storage_byte_seconds=gib * 2 * GIB * seconds)
    (row,) = month_of(ledger_state(replace(state(1, 5), months=(half,))), until=NOW).rows(By.WORKSPACE)
    document = month_document(row, is_over=False)
    assert row.bill is not None
    shown = dict(shown_components(row.bill))
    expected = None if said == "–" else Decimal(said.removeprefix("at least "))

    assert (document.storage_usd, document.known_storage_usd) == (None, shown.get(("storage",)))
    assert use(row)[4] == said.replace("8.00", f"{document.known_storage_usd}")
    assert (document.known_storage_usd is None) == (expected is None)
    assert f"storage {'at least $' if expected is not None else '–'}" in parts(row.bill)


def test_a_plan_that_charges_for_more_has_no_limit_at_what_it_includes() -> None:
    (line, stored, *_) = _costs_of("Starter", 10_873_788, gib=14)
    (free, *_) = _costs_of("Free", 85_000)

    assert line == "10,873,788 operations, 9,873,788 over the 1,000,000 that are included."
    assert stored == "14 GiB storage, 4 GiB over the 10 GiB that are included, as the month's average."
    assert free == "85,000 of 200,000 included operations (42 %)."


@pytest.mark.parametrize("days_read", [20, 12])
def test_after_an_upgrade_only_what_was_used_since_stands_beside_what_is_included(days_read: int) -> None:
    """Free until the 18th: 200,000 operations and 4 GiB a day; what the ledger lacks was perhaps before."""
    plans = (PlanChange(at=SEEN_AT, plan="Free"), PlanChange(at=datetime(2026, 11, 18, 9, tzinfo=UTC), plan="Starter"))
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=NOW.date() - timedelta(days=number),
            operations=600_000 if number <= 3 else 200_000,
            storage_bytes=4 * GIB,
            storage_byte_seconds=4 * GIB * 86_400,
            storage_seconds=86_400,
        )
        for number in range(1, days_read + 1)
    ]
    (read,) = state(1, 5_200_000, gib=4).months
    # Today has begun.
    row = replace(state(1, 0), months=(replace(read, days=days_read + 1),))
    month = month_of(ledger_state(row, plans=plans), days=days)
    (_, operations, storage, *_) = cost_sentences(report_month(month, (), (), (), NOW).workspaces[0])
    (told,) = month.rows(By.WORKSPACE)

    assert told.bill is not None
    # 1,800,000 since, 800,000 over, at 8.00 a million.
    assert told.bill.operations == Decimal("6.40")
    least = "" if days_read == 20 else "at least "
    assert operations == (
        f"5,200,000 operations; since the upgrade on 2026-11-18: {least}1,800,000 operations, "
        "800,000 over the 1,000,000 that are included."
    )
    assert storage == (
        "4 GiB storage; since the upgrade on 2026-11-18: 0.6 GiB of 10 GiB included storage (6 %), "
        "as the month's average."
    )


def _costs_of(plan: str, operations: int, *, gib: int = 0) -> list[str]:
    held = ledger_state(state(1, operations, gib=gib), plan=plan)
    return list(cost_sentences(report_month(month_of(held), (), (), (), NOW).workspaces[0]))[1:]


def test_a_report_begins_with_what_will_be_blocked_and_what_would_save_money() -> None:
    cost = WorkspaceCost(plan="Free", limits=(("free_operations", NOW + timedelta(days=3)),))
    report = report_month(month_of(ledger_state(state(1, 5))), (), (), (), NOW)
    (workspace,) = report.workspaces
    saving = Saving(own_plan="Starter", own_usd=Decimal("106.39"), plan="Pro", would_usd=Decimal("52.94"))
    row = replace(workspace, total=replace(workspace.total, cost=cost))
    report = replace(report, workspaces=(row,), savings={"wksp_1": saving})
    first, *_ = report_sections(report, most_databases=1)

    assert first.points == (
        (
            "Acme: the free plan's operations limit will be reached on 2026-11-24, by our estimate; "
            "then the vendor blocks its databases."
        ),
        "Acme: what it used in October costs 52.94 USD on Pro, instead of 106.39 USD on Starter.",
    )


def test_a_closed_month_advises_on_itself() -> None:
    held = ledger_state(state(1, 12_000_000, gib=14, at=OCTOBER))
    month = month_of(held, until=OCTOBER)

    assert {id_: saving.plan for id_, saving in month.savings.items()} == {"wksp_1": "Pro"}
    assert month.of_workspaces(()).savings == {}


@pytest.mark.parametrize(("is_known", "said"), [(False, "1 day has at least so much: "), (True, "Everything ")])
def test_days_that_are_at_least_so_much_are_among_what_is_not_known(is_known: bool, said: str) -> None:
    day = UsageRow(
        period="2026-11-05",
        workspace_id="wksp_1",
        workspace_name="Acme",
        project_id=None,
        project_name=None,
        database_id=None,
        database_name=None,
        operations=5,
        days_known=1,
        days=1,
        mean_storage_bytes=GIB,
        storage_covered_ratio=0.9,
        is_usage_complete=is_known,
        mean_storage_qualifier="" if is_known else "at least ",
    )
    report = report_month(month_of(ledger_state(state(1, 5))), (), (), (day,), NOW)
    (unknown,) = [row for row in report_sections(report, most_databases=1) if row.title == "What is not known"]

    assert [line[: len(said)] for line in unknown.paragraphs] == [said]


def test_a_move_to_another_workspace_is_told_of_both() -> None:
    here = workspace_state(state(1, 5), id_="wksp_1", name="Acme", plan="Starter")
    there = workspace_state(key=2, id_="wksp_2", name="Beta", plan="Starter")
    moved = Event(
        at=NOW,
        kind=EventKind.MOVED,
        subject="database",
        subject_id="db_1",
        workspace_id="wksp_2",
        before="wksp_1",
        after="wksp_2",
    )
    of_project = replace(moved, workspace_id="wksp_1", before="proj_1", after="proj_2")
    gap = Event(
        at=NOW,
        kind=EventKind.FOUND,
        subject="workspace",
        subject_id="wksp_1",
        workspace_id="wksp_1",
        last_there_at=NOW - timedelta(days=1),
    )

    report = report_month(month_of(several(here, there)), (), (moved, of_project, gap), (), NOW)

    events = {row.total.workspace_id: row.events for row in report.workspaces}
    assert events == {"wksp_1": (moved, of_project), "wksp_2": (moved,)}
    assert event_sentence(moved, report.names).endswith("database 1 moved from Acme to Beta.")


def test_a_level_of_a_part_of_the_time_is_about_so_much_and_of_a_database_that_nobody_read_nothing_is_told() -> None:
    known, unread = state(1, 5, gib=2), replace(state(2, 0), months=())
    hours = replace(known.months[0], storage_byte_seconds=2 * GIB * 7_200, storage_seconds=7_200)
    month = month_of(ledger_state(replace(known, months=(hours,)), unread))

    rows = {row.database_id: row for row in month.rows(By.DATABASE)}
    assert (mean_gib(rows["db_1"]), mean_gib(rows["db_2"])) == ("about 2.00", "–")
    # Two hours of a month's days: what is estimated of one is no bound of both.
    assert mean_gib(month.rows(By.WORKSPACE)[0]) == "at least 0.01"
    of_known_time = month_of(ledger_state(known, unread)).rows(By.WORKSPACE)[0]
    assert mean_gib(of_known_time) == "at least 2.00"
    assert mean_gib(month_of(ledger_state(known)).rows(By.DATABASE)[0]) == "2.00"
    found = beside(month, By.DATABASE)
    of_nothing = month_document(rows["db_2"], is_over=False)
    assert (of_nothing.known_usd, found[rows["db_2"].place].share_percent) == (None, None)
    assert found[rows["db_1"].place].share_percent == 100
    assert [cost_cell(rows[id_]) for id_ in ("db_1", "db_2")] == ["about 10.00", "–"]
