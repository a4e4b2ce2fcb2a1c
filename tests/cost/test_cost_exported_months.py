"""`export months`: rows that add up, each reading of the vendor once, and what is not known is absent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from gap_worlds import World, ledger_of, workspace_days, worlds
from hypothesis import given, settings

from builders import database, database_state, ledger_state, month_usage, workspace_state
from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.cost import By, month_differences, used_in_month
from prisma_postgres_exporter.model import DatabaseState, KnownDatabase, LedgerState, MonthUsage, Move
from prisma_postgres_exporter.report import (
    MONTH_COLUMNS,
    Owners,
    ledger_month,
    month_rows,
    quality_sentences,
    report_month,
)

CONFIG = load_config(environ={})
SEPTEMBER = date(2026, 9, 1)
MOVED_AT = datetime(2026, 9, 25, 9, 50, tzinfo=UTC)
ENDS_AT = datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC)
AFTER = datetime(2026, 10, 1, 13, tzinfo=UTC)


def rows_of(of: LedgerState, until: datetime) -> list[dict[str, object]]:
    known = [
        KnownDatabase(
            key=state.key,
            workspace_key=state.workspace_key,
            database=state.database,
            first_seen_at=state.first_seen_at,
            counted_from=state.counted_from,
        )
        for state in of.databases.values()
    ]
    return [dict(zip(MONTH_COLUMNS, row, strict=True)) for row in month_rows(of, until, Owners.of(known, of))]


def moved(*rows: MonthUsage) -> LedgerState:
    """A database that moved from the first workspace to the second on the 25th, as it was noticed at once."""
    state = database_state(
        "db_1",
        key=1,
        workspace_key=2,
        database=database("db_1", workspace_id="wksp_2", created_at=datetime(2026, 8, 1, tzinfo=UTC)),
        known_until=date(2026, 9, 30),
        months=rows,
        moves=(Move(at=MOVED_AT, from_key=1, to_key=2, last_there_at=MOVED_AT - timedelta(minutes=20)),),
    )
    return ledger_state(workspace_state(key=1, id_="wksp_1"), workspace_state(state, key=2, id_="wksp_2"))


def month(key: int, operations: int, read_at: datetime, *, days: int, days_operations: int) -> MonthUsage:
    plain = month_usage(SEPTEMBER, operations, workspace_key=key, days=days, days_operations=days_operations)
    seconds = days * 86_400
    return replace(plain, read_at=read_at, period_end_at=read_at, storage_byte_seconds=seconds, storage_seconds=seconds)


BEFORE = month(1, 2_405, MOVED_AT, days=24, days_operations=2_400)
LAST = replace(month(2, 3_000, AFTER, days=6, days_operations=600), period_end_at=datetime(2026, 10, 1, tzinfo=UTC))


@pytest.mark.parametrize("compared", [None, 0])
def test_each_reading_of_the_vendor_is_there_once_and_the_difference_is_of_all_days(compared: int | None) -> None:
    """Whether the ledger compared it yet or not: the same is known."""
    first, second = rows_of(moved(BEFORE, replace(LAST, difference_operations=compared)), ENDS_AT)

    assert (first["workspace_id"], second["workspace_id"]) == ("wksp_1", "wksp_2")
    assert (first["operations"], second["operations"]) == (2_400, 600)
    assert (first["vendor_operations"], second["vendor_operations"]) == (None, 3_000)
    assert (first["reconciliation_difference_operations"], second["reconciliation_difference_operations"]) == (None, 0)


def test_a_month_that_was_read_again_after_the_move_counts_where_the_database_was() -> None:
    again = replace(month(2, 3_000, AFTER, days=0, days_operations=0), month=date(2026, 8, 1))
    august = replace(month(1, 3_000, MOVED_AT - timedelta(days=9), days=31, days_operations=3_000), month=again.month)

    (row,) = rows_of(moved(august, again), datetime(2026, 8, 31, 23, 59, 59, tzinfo=UTC))

    assert (row["workspace_id"], row["operations"], row["vendor_operations"]) == ("wksp_1", 3_000, 3_000)
    assert row["read_at"] == AFTER


def test_what_was_never_read_is_absent_and_not_0() -> None:
    lived = database_state("db_1", database=database("db_1", created_at=datetime(2026, 9, 29, tzinfo=UTC)))

    (row,) = rows_of(ledger_state(workspace_state(lived)), ENDS_AT)

    assert (row["operations"], row["vendor_operations"], row["days_held"]) == (None, None, 0)
    assert (row["days_known"], row["days"], row["is_usage_complete"]) == (0, 2, False)


def test_a_difference_is_said_of_those_that_can_be_compared() -> None:
    def state(key: int, **changes: object) -> DatabaseState:
        plain = replace(LAST, database_key=key, workspace_key=1, days=30, days_operations=3_000)
        row = replace(plain, **changes)  # type: ignore[arg-type]  # fields of the test's choice
        made = database(f"db_{key}", created_at=datetime(2026, 8, 1, tzinfo=UTC))
        return database_state(f"db_{key}", key=key, database=made, months=(row,))

    of = ledger_state(
        workspace_state(state(1, difference_operations=7), state(2), state(3, operations=3_005), state(4, days=29))
    )

    (found,) = month_differences(of, used_in_month(of, ENDS_AT), ENDS_AT).values()

    assert (found.operations, found.compared, found.others) == (7, 2, 2)
    report = report_month(ledger_month(of, CONFIG, (), ENDS_AT, AFTER), (), (), (), AFTER)
    said = list(quality_sentences(report.workspaces[0]))
    assert "Of 2 of 4 databases the vendor's month is +7 operations from the sum of our days." in said


@settings(max_examples=40)
@given(worlds())
def test_the_rows_of_a_month_add_up_to_what_the_workspaces_used(world: World) -> None:
    of = ledger_of(world)
    rows = rows_of(of, world.until)
    whole = ledger_month(of, CONFIG, workspace_days(world), world.until, world.until)

    for line in whole.rows(By.WORKSPACE):
        own = [row for row in rows if row["workspace_id"] == line.workspace_id]
        assert sum(int(str(row["operations"] or 0)) for row in own) == line.usage.known_operations
        assert all(row["is_usage_complete"] for row in own) == line.usage.is_complete
    places = [(row["workspace_id"], row["database_id"]) for row in rows]
    assert len(places) == len(set(places))
    readings = [row["database_id"] for row in rows if row["vendor_operations"] is not None]
    assert len(readings) == len(set(readings))
    newest = {
        id_: max(told)[1]
        for id_, state in of.databases.items()
        if (
            told := [
                (row.read_at, row.operations or 0)
                for row in state.months
                if row.month == world.month and row.read_at is not None
            ]
        )
    }
    assert {row["database_id"]: row["vendor_operations"] for row in rows if row["vendor_operations"] is not None} == {
        id_: operations for id_, operations in newest.items() if id_ in {place[1] for place in places}
    }
