"""A ranking: who comes first, and what growth is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from report_values import NOW, ledger_day, ledger_state, month_of, state

from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.model import DayUsage
from prisma_postgres_exporter.report import Key, growth_days, rank

DAYS = 3
ONE_DAY = timedelta(days=1)
EARLIER_FROM, RECENT_FROM, LAST = date(2026, 11, 15), date(2026, 11, 18), date(2026, 11, 20)


def ledger_days(number: int, *operations: int) -> list[DayUsage]:
    """The newest days before today, the last one last."""
    first = NOW.date() - len(operations) * ONE_DAY
    return [ledger_day(number, first + place * ONE_DAY, count) for place, count in enumerate(operations)]


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

    lines = rank(month, By.DATABASE, key, days, (EARLIER_FROM, RECENT_FROM))

    assert [line.row.database_id for line in lines] == order
    assert [line.rank for line in lines] == [1, 2, 3]
    assert sum(line.operations_share or 0 for line in lines) == pytest.approx(1)


def test_growth_is_not_known_where_earlier_days_are_missing() -> None:
    month = month_of(ledger_state(state(1, 10), state(2, 10)))
    days = [*ledger_days(1, 5, 5, 50, 50, 50), *ledger_days(2, 5, 5, 5, 6, 6, 6)]

    first, last = rank(month, By.DATABASE, Key.GROWTH, days, (EARLIER_FROM, RECENT_FROM))
    [project_of_1] = [
        line
        for line in rank(month, By.PROJECT, Key.GROWTH, days, (EARLIER_FROM, RECENT_FROM))
        if line.row.project_id == "proj_1"
    ]

    assert (first.row.database_id, first.growth_operations, first.growth_ratio) == ("db_2", 3, 0.2)
    assert (last.row.database_id, last.recent_operations, last.growth_operations) == ("db_1", 150, None)
    assert project_of_1.growth_operations is None


def test_what_was_made_lately_grew_from_nothing() -> None:
    young = state(1, 10)
    young = replace(young, database=replace(young.database, created_at=NOW - 2 * ONE_DAY))
    month = month_of(ledger_state(young))

    [line] = rank(month, By.DATABASE, Key.GROWTH, ledger_days(1, 4, 6), (EARLIER_FROM, RECENT_FROM))

    assert (line.growth_operations, line.growth_ratio) == (10, None)


def test_projects_and_workspaces_are_the_sums_of_their_databases() -> None:
    month = month_of(ledger_state(state(1, 10), state(3, 20), state(2, 5)))
    days = [*ledger_days(1, 1, 1, 1, 2, 2, 2), *ledger_days(3, 1, 1, 1, 1, 1, 1), *ledger_days(2, 0, 0, 0, 7, 7, 7)]

    by_project = rank(month, By.PROJECT, Key.OPERATIONS, days, (EARLIER_FROM, RECENT_FROM))
    [workspace] = rank(month, By.WORKSPACE, Key.OPERATIONS, days, (EARLIER_FROM, RECENT_FROM))

    assert [(line.row.project_id, line.row.operations, line.growth_operations) for line in by_project] == [
        ("proj_1", 30, 3),
        ("proj_0", 5, 21),
    ]
    assert (workspace.row.operations, workspace.recent_operations, workspace.earlier_operations) == (35, 30, 6)
