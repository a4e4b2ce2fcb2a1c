"""What breaks a rule is set right: shown first, then written, and nothing else changes."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from lived_store import ENDS_AT, live_round
from store_values import DAY, query, query_each
from test_store_check import (
    TODAY,
    Corruption,
    check,
    corrupt,
    day,
    each_corruption_once,
    month,
    position,
    url,
)

from prisma_postgres_exporter.errors import StoreUnavailable
from prisma_postgres_exporter.store import Repair, Store
from prisma_postgres_exporter.store.invariants import FILE_IS_WHOLE, INVARIANTS, VALUES_OF_THEIR_KIND
from prisma_postgres_exporter.store.mending import ADDED_UP, REPAIRS

__all__ = ["url"]  # a fixture

USAGE = ("positions", "days", "months", "rolling", "readings", "revisions")
MINUTE = timedelta(minutes=1)


def repair(url: str, *, is_applied: bool = True, now: datetime = ENDS_AT) -> Repair:
    store = Store.open(url) if is_applied else Store.open_to_read(url)
    try:
        return store.repair(now, is_applied=is_applied)
    finally:
        store.close()


def usage_of_others(url: str, key: int = 2) -> list[tuple[object, ...]]:
    """Every row that is not of this database (or of the 99th, which is none)."""
    of_others = [
        *(f"SELECT * FROM {table} WHERE database_key NOT IN ({key}, 99)" for table in USAGE),
        f"SELECT * FROM databases WHERE key <> {key}",
    ]
    return [row for rows in query_each(url, of_others) for row in sorted(rows, key=repr)]


def usage(url: str) -> list[list[tuple[object, ...]]]:
    tables = (*USAGE, "databases", "workspaces", "events", "plans")
    return [sorted(rows, key=repr) for rows in query_each(url, (f"SELECT * FROM {table}" for table in tables))]


def counter(url: str, key: int = 2) -> int:
    [(total,)] = query(url, f"SELECT operations_total FROM positions WHERE database_key = {key}")
    return int(total)


def test_every_rule_has_a_repair_or_a_damaged_file() -> None:
    others = {FILE_IS_WHOLE.name, VALUES_OF_THEIR_KIND.name}
    assert {invariant.name for invariant in INVARIANTS} == REPAIRS.keys() | ADDED_UP | others
    assert not REPAIRS.keys() & ADDED_UP


@pytest.mark.slow
@each_corruption_once
def test_a_row_that_breaks_a_rule_is_set_right_and_no_other(url: str, corruption: Corruption) -> None:
    key = int((corruption.database_id or "db_2").removeprefix("db_"))
    others = usage_of_others(url, key)
    total = counter(url, key)
    corrupt(url, corruption.statement)
    corrupted = usage(url)

    # Two stores for the whole test: each prepares the statements of every rule once.
    with closing(Store.open_to_read(url)) as reading, closing(Store.open(url)) as writing:
        shown = reading.repair(ENDS_AT)
        assert usage(url) == corrupted
        assert shown.changes
        assert shown.remaining == ()
        done = writing.repair(ENDS_AT, is_applied=True)

        assert done.remaining == ()
        assert list(reading.violations(ENDS_AT)) == []
        assert set(shown.changes) <= set(done.changes)
        if not corruption.statement.startswith("UPDATE readings SET database_key = 99"):
            assert usage_of_others(url, key) == others
        if "operations_total" not in corruption.statement and "DELETE FROM positions" not in corruption.statement:
            assert counter(url, key) >= total
        assert writing.repair(ENDS_AT, is_applied=True) == Repair(changes=(), remaining=())


def test_a_sound_store_stays_as_it_is(url: str) -> None:
    before = usage(url)
    assert repair(url) == repair(url, is_applied=False) == Repair(changes=(), remaining=())
    assert usage(url) == before


def test_what_was_repaired_counts_as_a_write_of_every_workspace(url: str) -> None:
    before = dict(query(url, "SELECT key, generation FROM workspaces"))
    corrupt(url, day("operations_fallen = -1"))
    repair(url)
    assert dict(query(url, "SELECT key, generation FROM workspaces")) == {key: n + 1 for key, n in before.items()}


def test_a_store_that_is_open_to_read_only_is_not_repaired(url: str) -> None:
    corrupt(url, day("operations_fallen = -1"))
    store = Store.open_to_read(url)
    with pytest.raises(StoreUnavailable):
        store.repair(ENDS_AT, is_applied=True)
    store.close()


def test_a_change_names_the_row_and_both_values(url: str) -> None:
    corrupt(url, day("read_at = 4102444800"))
    [change] = repair(url, is_applied=False).changes
    assert (change.table, change.database_id, change.period) == ("days", "db_2", "2026-11-05")
    assert change.row == "day 2026-11-05, database db_2"
    assert change.before is not None
    assert change.after is not None
    assert "read_at = 2100-01-01 00:00:00 UTC" in change.before
    assert "read_at = 2026-11-05 23:59:59 UTC" in change.after


@pytest.mark.slow
@pytest.mark.parametrize("days_ahead", [2, 10])
def test_seconds_of_a_clock_that_is_days_ahead_are_set_right(url: str, days_ahead: int) -> None:
    """The counter goes on from the next poll, and ends where it would have been without that clock."""
    store = Store.open(url)
    before = {id_: row.operations_total for id_, row in store.load(ENDS_AT).databases.items()}
    for seconds in (0, 6, 12):
        ahead = ENDS_AT + days_ahead * DAY + timedelta(seconds=seconds)
        live_round(store, store.load(ahead), ahead)
    wrong = {id_: row.operations_total for id_, row in store.load(ENDS_AT).databases.items()}
    frozen_at = ENDS_AT + 5 * MINUTE
    live_round(store, store.load(frozen_at), frozen_at)
    assert {id_: row.operations_total for id_, row in store.load(frozen_at).databases.items()} == wrong

    repaired = store.repair(frozen_at, is_applied=True)
    assert repaired.changes
    assert repaired.remaining == ()
    assert list(store.violations(frozen_at)) == []
    after = {id_: row.operations_total for id_, row in store.load(frozen_at).databases.items()}
    assert all(after[id_] >= total for id_, total in wrong.items())
    for row in store.load(frozen_at).databases.values():
        assert all(usage.day <= frozen_at.date() and usage.read_at <= frozen_at for usage in row.recent_days)

    next_at = frozen_at + 5 * MINUTE
    live_round(store, store.load(next_at), next_at)
    read = store.load(next_at).databases
    assert all(row.last_success_at == next_at for row in read.values() if row.deleted_at is None)
    assert any(usage.read_at == next_at for usage in read["db_2"].recent_days)

    at = next_at
    while at < ENDS_AT + (days_ahead + 2) * DAY:
        at += timedelta(hours=4)
        live_round(store, store.load(at), at)
        assert list(store.violations(at)) == []
    days = {(row.database_key, row.day): row for row in store.days()}
    total = store.load(at).databases["db_2"].operations_total
    assert total >= before["db_2"]
    assert total == sum(row.operations_high for row in days.values() if row.database_key == 2 and row.is_counted)
    for (key, number), found in days.items():
        if key == 2 and found.settled_at is not None:
            assert found.operations == 2 * 24 * 60, number
    store.close()


def test_the_counter_does_not_fall_when_a_day_goes_that_has_not_begun(url: str) -> None:
    total = counter(url)
    corrupt(url, day("day = 20790", TODAY))
    repair(url)
    assert counter(url) == total
    assert query(url, "SELECT max(day) FROM days WHERE database_key = 2") == [(20779,)]


def test_a_missing_day_is_read_again(url: str) -> None:
    corrupt(url, "DELETE FROM days WHERE database_key = 2 AND day = 20767")
    repair(url)
    store = Store.open(url)
    now = ENDS_AT + 5 * MINUTE
    live_round(store, store.load(now), now)
    row = store.load(now).databases["db_2"]
    assert row.known_until == now.date()
    assert datetime(2026, 11, 10, tzinfo=UTC).date() in {usage.day for usage in store.days("db_2")}
    assert list(store.violations(now)) == []
    store.close()


def test_several_rows_are_repaired_together(url: str) -> None:
    for statement in (
        day("day = 20790", TODAY),
        day("operations = -1"),
        month("read_at = 4102444800"),
        position("operations_total = 5"),
        "UPDATE databases SET first_seen_at = 4102444800 WHERE key = 3",
        "DELETE FROM positions WHERE database_key = 4",
        "UPDATE events SET at = 4102444800",
    ):
        corrupt(url, statement)
    assert repair(url).remaining == ()
    assert check(url) == []
    assert len(query(url, "SELECT * FROM events")) == 2


@pytest.mark.slow
def test_a_database_that_no_day_says_the_workspace_of_is_named(url: str) -> None:
    corrupt(url, "UPDATE databases SET workspace_key = 9 WHERE key = 2")
    corrupt(url, "DELETE FROM days WHERE database_key = 2")
    shown, done = repair(url, is_applied=False), repair(url)
    for found in (shown, done):
        assert [row.rule for row in found.remaining] == ["database-in-a-workspace"]
    assert set(check(url)) == {"database-in-a-workspace"}


@pytest.mark.parametrize("days_later", [1, 8, 200])
def test_a_creation_that_the_vendor_corrects_to_a_later_one_breaks_no_rule(url: str, days_later: int) -> None:
    created_at = datetime(2026, 11, 5, 7, 51, tzinfo=UTC) + days_later * DAY
    corrupt(url, f"UPDATE databases SET created_at = {int(created_at.timestamp())}")
    assert check(url) == []


def test_an_earlier_creation_has_the_days_before_read(url: str) -> None:
    corrupt(url, "UPDATE databases SET created_at = created_at - 172800 WHERE key = 4")
    store = Store.open(url)
    found = {row.rule for row in store.violations(ENDS_AT)}
    repaired = store.repair(ENDS_AT, is_applied=True)
    assert found <= {"no-day-missing", "day-no-longer-than-itself"}
    assert repaired.remaining == ()
    now = ENDS_AT
    for _ in range(3):
        now += 5 * MINUTE
        live_round(store, store.load(now), now)
        assert list(store.violations(now)) == []
    store.close()
