"""Days of a workspace that a database may have spent elsewhere: their sums are without it, and say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

from builders import GIB, database_state, ledger_state, month_usage, settled_day, workspace_state
from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.cost import WhatIf, placed_days, suppose
from prisma_postgres_exporter.model import DatabaseState, Move, WorkspaceDay

DAY_SECONDS = 86_400
FIRST = date(2026, 11, 10)
MOVED_AT = datetime(2026, 11, 11, 9, tzinfo=UTC)
MOVE = Move(at=MOVED_AT, from_key=1, to_key=2, last_there_at=MOVED_AT - timedelta(minutes=5))


def day_sum(workspace_key: int, back: int, operations: int, gib: int) -> WorkspaceDay:
    return WorkspaceDay(
        workspace_key=workspace_key,
        day=FIRST + timedelta(days=back),
        operations=operations,
        storage_byte_seconds=gib * GIB * DAY_SECONDS,
        storage_seconds=DAY_SECONDS,
        storage_bytes=gib * GIB,
    )


def moved(operations: int = 300) -> DatabaseState:
    """A database of 2 GiB, whose day of the move is a row of the new workspace."""
    level = {"storage_byte_seconds": 2 * GIB * DAY_SECONDS, "storage_seconds": DAY_SECONDS}
    day = settled_day(MOVED_AT.date(), operations, database_key=7, workspace_key=2, **level)
    return database_state(key=7, workspace_key=2, moves=(MOVE,), recent_days=(day,))


def test_a_day_of_a_move_is_in_the_sum_of_neither_workspace_and_absent_in_both() -> None:
    old, new = ([day_sum(key, back, 1_000, 5) for back in (0, 1, 2)] for key in (1, 2))

    first, second = placed_days(1, old, [moved()]), placed_days(2, new, [moved()])

    assert first == [old[0], replace(old[1], absent=(7,)), old[2]]
    less = day_sum(2, 1, 700, 3)
    assert second == [new[0], replace(less, storage_seconds=0, absent=(7,)), new[2]]
    # Whoever asks twice takes nothing out twice.
    assert placed_days(2, second, [moved()]) == second
    assert placed_days(3, new, [moved()]) == new


def test_a_day_of_which_nothing_is_left_is_no_day_without_operations() -> None:
    assert placed_days(2, [day_sum(2, 1, 300, 2)], [moved()]) == []


def test_another_amount_is_that_of_the_days_that_are_left_out_too() -> None:
    state = moved()
    month = month_usage(date(2026, 11, 1), days=1, days_operations=300, workspace_key=2, database_key=7)
    held = ledger_state(workspace_state(replace(state, months=(month,)), key=2))

    supposed, _, _ = suppose(held, load_config(environ={}), (), WhatIf(operations=Fraction(2), storage=Fraction(3)))

    [row] = supposed.databases.values()
    assert [(day.operations, day.storage_byte_seconds) for day in row.recent_days] == [(600, 6 * GIB * DAY_SECONDS)]
