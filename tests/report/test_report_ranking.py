"""A ranking: who comes first, and what growth is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from report_values import NOW, ledger_state, month_of, state

from builders import settled_day, workspace_state
from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.model import DayUsage, Move, day_start
from prisma_postgres_exporter.report import Key, growth_days, rank, total_line

DAYS = 3
ONE_DAY = timedelta(days=1)
SPANS = EARLIER_FROM, RECENT_FROM, LAST = date(2026, 11, 11), date(2026, 11, 18), date(2026, 11, 20)
"""The last three whole days, and the same weekdays a week before."""


def ledger_days(number: int, *operations: int | None) -> list[DayUsage]:
    """The days of the earlier span and of the recent one; `None` is a day that nobody read."""
    days = [first + place * ONE_DAY for first in (EARLIER_FROM, RECENT_FROM) for place in range(DAYS)]
    pairs = zip(days[-len(operations) :], operations, strict=True)
    return [settled_day(day, count, database_key=number) for day, count in pairs if count is not None]


def test_growth_is_of_whole_days_before_today_or_to_the_end_of_a_month_that_is_over() -> None:
    assert growth_days(month_of(ledger_state(state(1, 1))), DAYS) == (EARLIER_FROM, RECENT_FROM, LAST)
    over = replace(month_of(ledger_state(state(1, 1))), is_over=True)
    assert growth_days(over, DAYS)[2] == NOW.date()


@pytest.mark.parametrize(
    ("key", "order"),
    [
        (Key.OPERATIONS, ["db_2", "db_1", "db_3"]),
        (Key.STORAGE, ["db_3", "db_2", "db_1"]),
        (Key.COST, ["db_2", "db_3", "db_1"]),
        (Key.GROWTH, ["db_1", "db_2", "db_3"]),
    ],
)
def test_the_key_decides_who_comes_first(key: Key, order: list[str]) -> None:
    month = month_of(ledger_state(state(1, 2_000_000), state(2, 9_000_000, gib=2), state(3, 10, gib=30)))
    days = [
        *ledger_days(1, 10, 10, 10, 50, 50, 50),
        *ledger_days(2, 10, 10, 10, 20, 20, 20),
        *ledger_days(3, 0, 0, 0, 0, 0, 0),
    ]

    lines = rank(month, By.DATABASE, key, days, SPANS)

    assert [line.row.database_id for line in lines] == order
    assert [line.rank for line in lines] == [1, 2, 3]
    assert sum(line.operations_share or 0 for line in lines) == pytest.approx(1)


def test_growth_is_of_the_days_that_both_spans_know() -> None:
    month = month_of(ledger_state(state(1, 10), state(2, 10), state(3, 10)))
    days = [
        *ledger_days(1, 5, None, 5, 50, 50, 60),
        *ledger_days(2, 5, 5, 5, 6, 6, 6),
        *ledger_days(3, None, None, None, 9, 9, 9),
    ]

    lines = {line.row.database_id: line for line in rank(month, By.DATABASE, Key.GROWTH, days, SPANS)}
    [project] = [line for line in rank(month, By.PROJECT, Key.GROWTH, days, SPANS) if line.row.project_id == "proj_1"]

    assert (lines["db_1"].growth_operations, lines["db_1"].growth_days) == (100, 2)
    assert (lines["db_2"].growth_operations, lines["db_2"].growth_ratio, lines["db_2"].growth_days) == (3, 0.2, 3)
    assert (lines["db_3"].recent_operations, lines["db_3"].growth_operations, lines["db_3"].growth_days) == (
        None,
        None,
        0,
    )
    assert (project.growth_operations, project.growth_days, project.days_wanted) == (100, 2, 6)


def test_a_day_that_was_read_before_its_end_only_is_not_known() -> None:
    month = month_of(ledger_state(state(1, 10)))
    open_day = replace(ledger_days(1, 3)[0], unchanged_since_at=None, settled_at=None)

    [line] = rank(month, By.DATABASE, Key.GROWTH, [*ledger_days(1, 1, 1, 1, 1, 1, None), open_day], SPANS)

    assert (line.growth_operations, line.growth_days) == (0, 2)


def test_growth_is_without_days_on_which_a_database_may_have_moved() -> None:
    at = day_start(LAST)
    move = Move(at=at + timedelta(hours=9), from_key=2, to_key=1, last_there_at=at - timedelta(hours=9))
    held = ledger_state(replace(state(1, 10), moves=(move,)))
    before = workspace_state(key=2, id_="wksp_2", name="Beta", plan="Starter")

    line, other_line = rank(
        month_of(held.with_workspaces(before)), By.DATABASE, Key.GROWTH, ledger_days(1, 1, 1, 1, 3, 70, 900), SPANS
    )

    assert (other_line.growth_operations, other_line.growth_days) == (None, 0)
    assert (line.growth_operations, line.growth_days, line.days_wanted) == (2, 1, 3)


def test_what_was_made_lately_grew_from_nothing() -> None:
    young = state(1, 10)
    young = replace(young, database=replace(young.database, created_at=NOW - 2 * ONE_DAY))
    month = month_of(ledger_state(young))

    [line] = rank(month, By.DATABASE, Key.GROWTH, ledger_days(1, 4, 6), SPANS)

    assert (line.growth_operations, line.growth_ratio) == (10, None)


def test_projects_and_workspaces_are_the_sums_of_their_databases() -> None:
    month = month_of(ledger_state(state(1, 10), state(3, 20), state(2, 5)))
    days = [*ledger_days(1, 1, 1, 1, 2, 2, 2), *ledger_days(3, 1, 1, 1, 1, 1, 1), *ledger_days(2, 0, 0, 0, 7, 7, 7)]

    by_project = rank(month, By.PROJECT, Key.OPERATIONS, days, SPANS)
    [workspace] = rank(month, By.WORKSPACE, Key.OPERATIONS, days, SPANS)

    assert [(line.row.project_id, line.row.operations, line.growth_operations) for line in by_project] == [
        ("proj_1", 30, 3),
        ("proj_0", 5, 21),
    ]
    assert (workspace.row.operations, workspace.recent_operations, workspace.earlier_operations) == (35, 30, 6)


def test_the_total_of_a_ranking_is_the_sum_of_its_lines_and_grows_by_what_is_known() -> None:
    month = month_of(ledger_state(state(1, 100), state(2, 50), state(3, 10)))
    lines = rank(month, By.DATABASE, Key.OPERATIONS, ledger_days(1, 10, 10, 10, 50, 50, 50), SPANS)

    total = total_line(lines, By.DATABASE, month)

    assert (total.row.operations, total.row.database_name) == (160, "total")
    assert total.operations_share == 1
    assert (total.recent_operations, total.earlier_operations, total.growth_operations) == (150, 30, 120)
    assert total_line(lines[1:], By.DATABASE, month).growth_operations is None

    # Their shares added up are a hair less.
    thirds = month_of(ledger_state(state(1, 3), state(2, 2), state(3, 1)))
    lines = rank(thirds, By.DATABASE, Key.OPERATIONS, [], SPANS)
    assert total_line(lines, By.DATABASE, thirds).operations_share == 1
