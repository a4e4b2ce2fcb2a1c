"""A sound store breaks no rule, and whatever breaks one is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy
from lived_store import ENDS_AT, carry, due_windows, live_discovery, live_reads
from store_values import DAY, ENGINES, NOW, database, discovered, execute, other_program

from longer import spread
from postgres import PostgresServer
from prisma_postgres_exporter.model import Discovered, LedgerState
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.store.invariants import FILE_IS_WHOLE, INVARIANTS, SCHEMA_INVARIANTS, VALUES_OF_THEIR_KIND
from prisma_postgres_exporter.store.tables import metadata

AT_1, AT_5, AT_10, TODAY = "20758", "20762", "20767", "20780"  # days of November 2026, the 23rd is today
NOVEMBER = str(2026 * 12 + 10)
OF_2 = "WHERE database_key = 2"
A_POSITION = "known_until, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, checked_until, NULL, 0"
ONE_WINDOW = "window_key = (SELECT max(window_key) FROM rolling)"
ONE_REVISION = f"revised_at = (SELECT min(revised_at) FROM revisions {OF_2})"
ONLY_SQLITE = {FILE_IS_WHOLE.name, VALUES_OF_THEIR_KIND.name}


@dataclass(frozen=True, slots=True)
class Corruption:
    """What another program does to a store, and what the check must say of it."""

    rule: str
    statement: str
    database_id: str | None = None
    period: str | None = None
    found: str = ""


def day(change: str, number: str = AT_5, key: str = "2") -> str:
    return f"UPDATE days SET {change} WHERE day = {number} AND database_key = {key}"


def day_gone(number: str) -> str:
    return f"DELETE FROM days {OF_2} AND day = {number}"


def month(change: str) -> str:
    return f"UPDATE months SET {change} WHERE month = {NOVEMBER} AND database_key = 2"


def position(change: str, key: str = "2") -> str:
    return f"UPDATE positions SET {change} WHERE database_key = {key}"


def workspace(change: str) -> str:
    return f"UPDATE workspaces SET {change} WHERE key = 2"


CORRUPTIONS = [
    Corruption("generation-counts-writes", workspace("generation = -4"), found="generation = -4"),
    Corruption("nothing-written-in-the-future", workspace("written_at = 4102444800"), found="2100-01-01"),
    Corruption("costs-are-a-document", "INSERT INTO cost_configuration VALUES (1, 'many', 1, '0')"),
    Corruption("costs-are-a-document", "INSERT INTO cost_configuration VALUES (2, '{\"version\": 1}', 1, '0')"),
    Corruption(
        "costs-written-in-the-past",
        "INSERT INTO cost_configuration VALUES (1, '{\"version\": 1}', 4102444800, '0')",
        found="2100-01-01",
    ),
    Corruption("database-in-a-workspace", "UPDATE databases SET workspace_key = 9 WHERE key = 2", "db_2", found="= 9"),
    Corruption("database-has-a-state", f"DELETE FROM positions {OF_2}", "db_2"),
    Corruption(
        "counted-from-a-day-that-was",
        "UPDATE databases SET counted_from = 20600 WHERE key = 2",
        "db_2",
        found="2026-05-27",
    ),
    Corruption(
        "state-of-a-database",
        f"INSERT INTO positions SELECT 99, {A_POSITION} FROM positions {OF_2}",
    ),
    Corruption("counters-not-negative", position("operations_total = -1"), "db_2", found="operations_total = -1"),
    Corruption("storage-level-with-its-time", position("storage_at = NULL"), "db_2", found="storage_at = unknown"),
    Corruption("storage-level-with-its-time", position("storage_bytes = -7"), "db_2", found="storage_bytes = -7"),
    Corruption("failure-with-its-time", position("failure_reason = 'timeout'"), "db_2", found="timeout"),
    Corruption("known-until-today-at-most", position("known_until = known_until + 1"), "db_2", found="2026-11-24"),
    Corruption("checked-only-what-is-known", position("checked_until = known_until + 3"), "db_2", found="2026-11-26"),
    Corruption("event-of-a-kind", "UPDATE events SET kind = 'eaten' WHERE subject_id = 'db_1'", found="eaten"),
    Corruption("day-of-a-database", day("database_key = 99"), None, "2026-11-05"),
    Corruption("day-in-a-workspace", day("workspace_key = 9"), "db_2", "2026-11-05", "workspace_key = 9"),
    Corruption("no-day-in-the-future", day("day = 20790", TODAY), "db_2", "2026-12-03"),
    Corruption("no-day-in-the-future", day("day = 25000", TODAY), "db_2", "2038-06-13"),
    Corruption("no-day-in-the-future", day("read_at = 4102444800"), "db_2", "2026-11-05", "2100-01-01"),
    Corruption(
        "day-read-after-it-began",
        day("read_at = 86400, unchanged_seconds = NULL, settled_seconds = NULL"),
        "db_2",
        "2026-11-05",
        "1970-01-02",
    ),
    Corruption("day-read-after-it-began", day("day = -5"), "db_2", "1969-12-27"),
    Corruption("operations-not-negative", day("operations = -1"), "db_2", "2026-11-05", "operations = -1"),
    Corruption("highest-not-below-the-newest", day("operations_fallen = -1"), "db_2", "2026-11-05"),
    Corruption("storage-of-a-day-not-negative", day("storage_byte_seconds = -1"), "db_2", "2026-11-05"),
    Corruption("storage-of-a-day-not-negative", day("storage_seconds = 0"), "db_2", "2026-11-05"),
    Corruption("day-of-24-hours", day("storage_seconds = 86401"), "db_2", "2026-11-05", "86401"),
    Corruption("day-no-longer-than-itself", day("storage_seconds = 86401"), "db_2", "2026-11-05", "86401"),
    Corruption("day-no-longer-than-itself", day("storage_seconds = 60000", AT_5, "4"), "db_4", "2026-11-05", "60000"),
    Corruption("day-no-longer-than-itself", day("storage_seconds = -1"), "db_2", "2026-11-05"),
    Corruption("closed-when-unchanged", day("unchanged_seconds = 9000000"), "db_2", "2026-11-05", "9000000"),
    Corruption("settled-after-unchanged", day("unchanged_seconds = NULL"), "db_2", "2026-11-05"),
    Corruption("settled-after-unchanged", day("settled_seconds = unchanged_seconds + 1"), "db_2", "2026-11-05"),
    Corruption("settled-after-those-before", position("known_until = 20767"), "db_2", "2026-11-11", "2026-11-10"),
    Corruption("counted-from-its-first-day", day("is_counted = NOT is_counted"), "db_2", "2026-11-05"),
    Corruption("month-of-a-database", month("database_key = 99"), None, "2026-11"),
    Corruption("month-in-a-workspace", month("workspace_key = 9"), "db_2", "2026-11", "workspace_key = 9"),
    Corruption("no-month-in-the-future", month("month = month + 1"), "db_2", "2026-12"),
    Corruption("no-month-in-the-future", month("read_at = 4102444800"), "db_2", "2026-11", "2100-01-01"),
    Corruption("month-read-whole", month("read_at = NULL"), "db_2", "2026-11", "read_at = unknown"),
    Corruption("month-read-whole", month("operations = -5"), "db_2", "2026-11", "operations = -5"),
    Corruption(
        "window-of-a-database",
        f"UPDATE rolling SET database_key = 99 {OF_2} AND {ONE_WINDOW}",
    ),
    Corruption("window-with-a-name", f"UPDATE rolling SET window_key = 77 {OF_2} AND {ONE_WINDOW}", "db_2"),
    Corruption("plan-of-a-workspace", "INSERT INTO plans VALUES (9, 1795000000, 'pro')"),
    Corruption("window-over-some-time", f"UPDATE rolling SET operations = -1 {OF_2}", "db_2", found="-1"),
    Corruption("reading-of-a-database", "UPDATE readings SET database_key = 99 WHERE database_key = 4"),
    Corruption("reading-not-negative", f"UPDATE readings SET operations = -1 {OF_2}", "db_2", found="-1"),
    Corruption(
        "revision-of-a-day",
        f"UPDATE revisions SET day = 100 {OF_2} AND {ONE_REVISION}",
        "db_2",
        "1970-04-11",
    ),
    Corruption(
        "revision-is-a-change",
        f"UPDATE revisions SET operations_after = operations_before {OF_2}",
        "db_2",
    ),
    Corruption("known-from-its-beginning", position("known_until = 20000"), "db_2", found="2024-10-04"),
    Corruption("no-day-missing", day_gone(AT_10), "db_2", "2026-11-10"),
    Corruption("no-day-missing", day_gone(TODAY), "db_2", "2026-11-23"),
    Corruption("month-is-the-sum-of-its-days", month("days = 7"), "db_2", "2026-11", "days = 7, over its days 23"),
    Corruption("month-is-the-sum-of-its-days", month("storage_byte_seconds = '0'"), "db_2", "2026-11"),
    Corruption(
        "month-is-the-sum-of-its-days",
        f"DELETE FROM months WHERE month = {NOVEMBER} AND database_key = 2",
        "db_2",
        "2026-11",
        "no row",
    ),
    Corruption(
        "month-is-the-sum-of-its-days", day("operations = operations + 1"), "db_2", "2026-11", "days_operations"
    ),
    Corruption("counter-is-the-sum-of-its-days", day("operations_fallen = operations_fallen + 1"), "db_2"),
    Corruption(
        "counter-is-the-sum-of-its-days", position("operations_total = 5"), "db_2", found="operations_total = 5"
    ),
    Corruption("revisions-are-kept", position("revisions_up = 50"), "db_2", found="revisions_up = 50"),
    Corruption("revisions-are-kept", f"DELETE FROM revisions {OF_2}", "db_2", found="kept are 0"),
    Corruption("workspace-seen-in-the-past", "UPDATE workspaces SET first_seen_at = 4102444800", found="2100-01-01"),
    Corruption("workspace-seen-in-the-past", "UPDATE workspaces SET gone_at = 4102444800 WHERE key = 2"),
    Corruption("plan-seen-in-the-past", "INSERT INTO plans VALUES (1, 4102444800, 'pro')", found="plan = pro"),
    Corruption("database-seen-in-the-past", "UPDATE databases SET first_seen_at = 4102444800 WHERE key = 2", "db_2"),
    Corruption("database-seen-in-the-past", "UPDATE databases SET deleted_at = 4102444800 WHERE key = 2", "db_2"),
    Corruption("database-seen-in-the-past", "UPDATE databases SET counted_from = 20790 WHERE key = 2", "db_2"),
    Corruption("state-in-the-past", position("usage_at = 4102444800"), "db_2", found="usage_at = 2100-01-01"),
    Corruption("state-in-the-past", position("storage_at = 4102444800"), "db_2"),
    Corruption("state-in-the-past", position("last_success_at = 4102444800"), "db_2"),
    Corruption("state-in-the-past", position("failing_since_at = 4102444800, failure_reason = 'timeout'"), "db_2"),
    Corruption("state-in-the-past", position("recheck_at = 4102444800"), "db_2"),
    Corruption(
        "state-in-the-past", position("checked_until = known_until"), "db_2", found="checked_until = 2026-11-23"
    ),
    Corruption("storage-held-until-now", day("storage_seconds = 86400", TODAY), "db_2", "2026-11-23", "86400"),
    Corruption("window-read-in-the-past", f"UPDATE rolling SET read_at = 4102444800 {OF_2}", "db_2"),
    Corruption("reading-in-the-past", "INSERT INTO readings VALUES (1795521600, 2, 0, 1, 2, 3, 4)", "db_2"),
    Corruption(
        "revision-in-the-past", f"UPDATE revisions SET revised_at = 4102444800 {OF_2} AND {ONE_REVISION}", "db_2"
    ),
    Corruption("event-in-the-past", "UPDATE events SET at = 4102444800 WHERE subject_id = 'db_1'", found="2100-01-01"),
    Corruption("values-of-their-kind", day("operations = 'many'"), found="operations = 'many'"),
    Corruption("values-of-their-kind", month("storage_byte_seconds = '12x'"), found="'12x'"),
]

IN_SCHEMA = {invariant.name for invariant in SCHEMA_INVARIANTS}
REFUSED = [corruption for corruption in CORRUPTIONS if corruption.rule in IN_SCHEMA]
REFERENCES = {
    str(key.name).replace("_", "-") for table in metadata.tables.values() for key in table.foreign_key_constraints
}

ON_ENGINES = [
    pytest.param(engine, corruption, id=f"{engine}-{corruption.rule}", marks=marks)
    for corruption, engine, marks in spread(
        (corruption, ENGINES[:1] if corruption.rule in ONLY_SQLITE else ENGINES) for corruption in CORRUPTIONS
    )
]
each_corruption = pytest.mark.parametrize(("lived_url", "corruption"), ON_ENGINES, indirect=["lived_url"])
"""On one engine, and in the longer run on the other one too."""

each_corruption_once = pytest.mark.parametrize(
    ("lived_url", "corruption"), [one for one in ON_ENGINES if not one.marks], indirect=["lived_url"]
)
"""On one engine, each in its turn."""

WITHOUT_RULES = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN SELECT conrelid::regclass::text AS owner, conname FROM pg_constraint
        WHERE contype IN ('c', 'f') AND conparentid = 0 AND coninhcount = 0 AND connamespace = 'public'::regnamespace
    LOOP
        EXECUTE 'ALTER TABLE ' || found.owner || ' DROP CONSTRAINT ' || found.conname;
    END LOOP;
END $$
"""
"""A store on Postgres takes everything then, as one of an older version would."""

DAMAGE = (
    "PRAGMA writable_schema = ON",
    "UPDATE sqlite_master SET sql = replace(sql, 'IS NULL', 'IS NOT NULL') WHERE name = 'days_unsettled'",
)


@pytest.fixture
def url(lived_url: str, tmp_path: Path, shared_postgres: PostgresServer) -> Iterator[str]:
    if lived_url.startswith("sqlite"):
        shutil.copy(lived_url.removeprefix("sqlite:///"), tmp_path / "copy.db")
        yield f"sqlite:///{tmp_path / 'copy.db'}"
        return
    with shared_postgres.fresh_database(like=lived_url) as copied:
        execute(copied, WITHOUT_RULES)
        yield copied


def corrupt(url: str, statement: str) -> None:
    """Write as another program would that does not ask for the schema's rules."""
    with other_program(url) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.execute(sqlalchemy.text(statement))


def check(url: str) -> list[str]:
    """The names of the broken rules."""
    store = Store.open_to_read(url)
    try:
        return [violation.rule for violation in store.violations(ENDS_AT)]
    finally:
        store.close()


def test_a_store_that_the_ledger_filled_breaks_no_rule(url: str) -> None:
    store = Store.open_to_read(url)
    assert list(store.violations(ENDS_AT)) == []
    revisions, events = len(list(store.revisions())), len(list(store.events()))
    assert revisions > 10
    assert events == 2
    store.close()


def test_an_empty_store_breaks_no_rule(store: Store) -> None:
    assert list(store.violations(ENDS_AT)) == []


@each_corruption
def test_a_row_that_breaks_a_rule_is_named(url: str, corruption: Corruption) -> None:
    corrupt(url, corruption.statement)
    store = Store.open_to_read(url)
    named = [violation for violation in store.violations(ENDS_AT) if violation.rule == corruption.rule]
    store.close()
    assert named, "it was not found"
    assert any(
        (corruption.database_id is None or violation.database_id == corruption.database_id)
        and (corruption.period is None or violation.period == corruption.period)
        and corruption.found in violation.found
        for violation in named
    ), named
    assert all(violation.must_hold and violation.reason and violation.advice for violation in named)


@pytest.mark.parametrize("corruption", REFUSED, ids=lambda corruption: corruption.rule)
def test_the_schema_refuses_such_a_row(lived_url: str, corruption: Corruption) -> None:
    with other_program(lived_url) as connection:
        if is_file := connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        with pytest.raises(sqlalchemy.exc.IntegrityError) as refused, connection.begin_nested():
            connection.execute(sqlalchemy.text(corruption.statement))
    is_reference = is_file and corruption.rule in REFERENCES
    wanted = "FOREIGN KEY constraint failed" if is_reference else corruption.rule.replace("-", "_")
    assert wanted in str(refused.value)


def test_every_rule_of_the_schema_is_tried() -> None:
    assert {corruption.rule for corruption in REFUSED} == {invariant.name for invariant in SCHEMA_INVARIANTS}


def test_every_rule_is_broken_by_one_of_these_tests() -> None:
    broken = {corruption.rule for corruption in CORRUPTIONS} | {FILE_IS_WHOLE.name}
    assert broken == {invariant.name for invariant in INVARIANTS}
    assert len({invariant.name for invariant in INVARIANTS}) == len(INVARIANTS)


def test_a_damaged_index_is_found_and_ends_the_check(lived_file: Path, tmp_path: Path) -> None:
    file = shutil.copy(lived_file, tmp_path)
    connection = sqlite3.connect(file)
    for statement in DAMAGE:
        connection.execute(statement)
    connection.commit()
    connection.close()
    assert set(check(f"sqlite:///{file}")) == {FILE_IS_WHOLE.name}


def test_rows_of_a_backfill_before_the_beginning_are_no_violation(url: str) -> None:
    """Days before the ledger begins may be there in part: a backfill fills them one by one."""
    execute(
        url,
        "INSERT INTO days SELECT 20670, 2, workspace_key, 0, 0, 0, 0, 0, read_at, 0, 0, NOT is_counted FROM days"
        f" WHERE day = {AT_5} AND database_key = 2",
    )
    execute(
        url,
        "INSERT INTO months SELECT 24319, 2, workspace_key, 1, 0, '0', 0, NULL, NULL, NULL, NULL, NULL FROM months"
        f" WHERE month = {NOVEMBER} AND database_key = 2".replace("'0'", "0" if "postgres" in url else "'0'"),
    )
    assert check(url) == []


def test_clocks_that_disagree_a_little_are_no_violation(url: str) -> None:
    store = Store.open_to_read(url)
    assert list(store.violations(ENDS_AT - DAY / 300)) == []
    store.close()


@pytest.mark.parametrize("reads", [0, 1, 3])
@pytest.mark.parametrize("days_later", [1, 3, 30])
def test_a_creation_that_moves_later_is_no_violation_before_and_after_it_is_read(
    store: Store, reads: int, days_later: int
) -> None:
    held = live_discovery(store, LedgerState(), discovered(1, at=NOW - 10 * DAY))
    new, now = database(2, created_at=NOW - 4 * DAY), NOW - 2 * DAY
    held = live_discovery(store, held, Discovered(at=now, databases=(new,)))
    for number in range(reads + 8):
        if number == reads:
            moved = replace(new, created_at=new.created_at + days_later * DAY)
            held = live_discovery(store, held, Discovered(at=now, databases=(moved,)))
            assert list(store.violations(now)) == []
        now += timedelta(hours=6)
        held = carry(held, now)
        for workspace in held.workspaces.values():
            windows = due_windows(workspace, now, budget=300)
            held = held.with_workspaces(live_reads(store, workspace, windows, now, failed=set()))
    assert list(store.violations(now)) == []
