from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from lived_store import ENDS_AT
from store_values import NOW, FreshUrl, execute, generations, known, other_program, post, query, reading, rows_of

import prisma_postgres_exporter.store
from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.errors import StoreOutdated, StoreTooNew, StoreUnavailable
from prisma_postgres_exporter.model import LedgerUpdate
from prisma_postgres_exporter.store import Store, postgres
from prisma_postgres_exporter.store.constraints import CHECKED
from prisma_postgres_exporter.store.invariants import SCHEMA_INVARIANTS
from prisma_postgres_exporter.store.migrate import BEFORE_ROW_RULES, HEAD, VERSION_TABLE
from prisma_postgres_exporter.store.rows import instant
from prisma_postgres_exporter.store.summary import StoreState
from prisma_postgres_exporter.store.tables import metadata

OPEN_TOGETHER = """
import os
import sys
from datetime import UTC, datetime

import alembic.command
import psycopg
from prisma_postgres_exporter.store import Store

ready, is_ready = os.pipe()
go, given = os.pipe()
children = []
for _ in range(8):
    if (pid := os.fork()) == 0:
        os.close(given)
        os.write(is_ready, b".")
        os.read(go, 1)  # until all are there
        store = Store.open(sys.argv[1])
        os.write(1, f"{len(store.load(datetime.now(UTC)).workspaces)} workspaces\\n".encode())
        store.close()
        sys.exit()
    children.append(pid)
for _ in children:
    os.read(ready, 1)
os.close(given)
sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))
"""


KILLED = """
import os, signal, sys
import sqlalchemy
from prisma_postgres_exporter.store import Store

done = [0]

@sqlalchemy.event.listens_for(sqlalchemy.Engine, "after_cursor_execute")
def die(connection, cursor, statement, *rest):
    # Each statement that changes a table's rules, and those after them.
    done[0] += statement.startswith(("UPDATE sqlite_master", "ALTER TABLE", "PRAGMA writable_schema = RESET"))
    if done[0] >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

Store.open(sys.argv[1])
"""


def test_the_migrated_tables_are_those_of_the_metadata(store: Store, store_url: str) -> None:
    known(store)
    post(store, LedgerUpdate(readings=(reading(),)))
    engine = sqlalchemy.create_engine(store_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "version_table": VERSION_TABLE,
                "include_name": lambda name, kind, _: not (kind == "table" and name.startswith("readings_from_")),
            },
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_migration_is_the_one_that_is_written_down() -> None:
    assert ScriptDirectory.from_config(migrations()).get_heads() == [HEAD]


def migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(prisma_postgres_exporter.store.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def test_a_store_that_counted_its_writes_as_a_whole_counts_them_by_workspace(lived_file: Path, store_url: str) -> None:
    lived_url, written_at = f"sqlite:///{lived_file}", int(ENDS_AT.timestamp())
    make_older(store_url, "0003", filled_from=lived_url)
    execute(store_url, f"UPDATE store_state SET generation = 57, written_at = {written_at}")
    with closing(Store.open_to_read(lived_url)) as lived, closing(Store.open(store_url)) as migrated:
        before, after = lived.load(ENDS_AT), migrated.load(ENDS_AT)
        assert generations(after) == {"wksp_1": 57, "wksp_2": 57}
        assert after == before.with_workspaces(*(replace(row, generation=57) for row in before.workspaces.values()))
        assert query(store_url, "SELECT DISTINCT written_at FROM workspaces") == [(written_at,)]
        assert migrated.summary().rows == lived.summary().rows
        assert list(migrated.days()) == list(lived.days())
        assert list(migrated.revisions()) == list(lived.revisions())
        assert list(migrated.events()) == list(lived.events())
        assert list(migrated.violations(ENDS_AT)) == []
        for table in ("readings", "windows", "rolling"):
            assert rows_of(store_url, table) == rows_of(lived_url, table)
        assert generations(post(migrated, LedgerUpdate(readings=(reading(),)))) == {"wksp_1": 58, "wksp_2": 57}


def test_the_schema_refuses_what_the_tables_say(fresh_url: FreshUrl) -> None:
    with fresh_url() as migrated_url, fresh_url() as made_url:
        Store.open(migrated_url).close()
        with other_program(made_url) as connection:
            CHECKED.create_all(connection)
        assert rules_of(migrated_url) == rules_of(made_url)
        names = [name for rules in rules_of(migrated_url).values() for name, _ in rules]
        assert sorted(names) == sorted(rule.name.replace("-", "_") for rule in SCHEMA_INVARIANTS)


def rules_of(url: str) -> dict[str, list[tuple[str, str]]]:
    """What the schema refuses, by table, as the engine says it."""
    with other_program(url) as connection:
        found = sqlalchemy.inspect(connection)
        return {
            table: sorted(
                [(str(row["name"]), row["sqltext"]) for row in found.get_check_constraints(table)]
                + [
                    (str(row["name"]), f"{row['constrained_columns']} {row['referred_table']} {row['options']}")
                    for row in found.get_foreign_keys(table)
                ]
            )
            for table in metadata.tables
        }


@pytest.mark.parametrize("at", [pytest.param(1, marks=pytest.mark.slow), 5, pytest.param(9, marks=pytest.mark.slow)])
def test_a_migration_that_is_killed_changes_nothing_and_is_made_by_the_next_start(
    lived_file: Path, store_url: str, at: int
) -> None:
    make_older(store_url, BEFORE_ROW_RULES, filled_from=f"sqlite:///{lived_file}")
    before, days = rules_of(store_url), rows_of(store_url, "days")
    killed = subprocess.run([sys.executable, "-c", KILLED, store_url, str(at)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert rules_of(store_url) == before
    assert rows_of(store_url, VERSION_TABLE) == [(BEFORE_ROW_RULES,)]
    with closing(Store.open(store_url)) as migrated:
        assert list(migrated.violations(ENDS_AT)) == []
    assert len(rules_of(store_url)["days"]) == 9
    assert rows_of(store_url, "days") == days


def test_a_store_that_had_the_row_rules_first_gets_when_moved_databases_were_last_seen(
    lived_file: Path, store_url: str
) -> None:
    make_older(store_url, "0007", filled_from=f"sqlite:///{lived_file}")
    rules = rules_of(store_url)
    execute(store_url, "UPDATE events SET before = 'wksp_1', after = 'wksp_2' WHERE kind = 'moved'")
    execute(store_url, "DROP INDEX events_moved")
    execute(store_url, "ALTER TABLE events DROP COLUMN last_there_at")
    with closing(Store.open(store_url)) as migrated:
        assert list(migrated.violations(ENDS_AT)) == []
        [move] = migrated.load(ENDS_AT).databases["db_3"].moves
        # Nobody noted it: the day on which it was noticed decides.
        assert move.last_there_at == move.at
    assert rules_of(store_url) == rules


BROKEN = (
    "UPDATE days SET operations = -1 WHERE day = 20762 AND database_key = 2",
    "INSERT INTO plans VALUES (9, 1795000000, 'pro')",
)


@pytest.mark.parametrize("revision", ["0003", "0006"])
def test_rows_that_break_a_rule_are_named_and_repaired_before_the_schema_refuses_them(
    lived_file: Path, store_url: str, revision: str
) -> None:
    make_older(store_url, revision, filled_from=f"sqlite:///{lived_file}")
    for statement in BROKEN:
        execute(store_url, statement)
    before = rows_of(store_url, "days")
    for _ in range(2):
        with pytest.raises(StoreUnavailable) as refused:
            Store.open(store_url)
        for named in ("day 20762, database_key 2: operations-not-negative", "plans, workspace_key 9", "`store repair`"):
            assert named in str(refused.value)
    assert rows_of(store_url, "days") == before
    with pytest.raises(StoreOutdated, match="store repair"):
        Store.open_to_read(store_url)

    with closing(Store.open_to_repair(store_url)) as reading:
        shown = reading.repair(ENDS_AT)
    assert {(change.table, change.after) for change in shown.changes} >= {("days", None), ("plans", None)}
    assert shown.remaining == ()
    with closing(Store.open_to_repair(store_url, is_applied=True)) as writing:
        assert writing.repair(ENDS_AT, is_applied=True).remaining == ()
    assert rows_of(store_url, VERSION_TABLE) == [(HEAD,)]
    with closing(Store.open_to_read(store_url)) as repaired:
        assert list(repaired.violations(ENDS_AT)) == []


def test_a_store_whose_rows_cannot_be_repaired_stays_as_it_was(lived_file: Path, store_url: str) -> None:
    make_older(store_url, BEFORE_ROW_RULES, filled_from=f"sqlite:///{lived_file}")
    if store_url.startswith("postgres"):
        execute(store_url, "ALTER TABLE databases DROP CONSTRAINT databases_workspace_key_fkey")
    execute(store_url, "UPDATE databases SET workspace_key = 9 WHERE key = 2")
    execute(store_url, "DELETE FROM days WHERE database_key = 2")
    with closing(Store.open_to_repair(store_url, is_applied=True)) as writing:
        done = writing.repair(ENDS_AT, is_applied=True)
    assert [row.rule for row in done.remaining] == ["database-in-a-workspace"]
    assert rows_of(store_url, VERSION_TABLE) == [(BEFORE_ROW_RULES,)]


def test_an_older_store_without_workspaces_is_migrated(store_url: str) -> None:
    make_older(store_url, "0003")
    with closing(Store.open(store_url)) as migrated:
        assert generations(known(migrated)) == {"wksp_1": 1}
        assert migrated.state() == StoreState(generation=1, written_at=NOW)


def make_older(url: str, revision: str, filled_from: str | None = None) -> None:
    """Make a store as an older version did, with the rows of another one."""
    with other_program(url) as connection:
        config = migrations()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if filled_from is not None:
            with other_program(filled_from) as source:
                copy_rows(source, connection)


def copy_rows(source: sqlalchemy.Connection, target: sqlalchemy.Connection) -> None:
    """Copy what both have, table by table."""
    columns = sqlalchemy.inspect(target)
    for table in metadata.sorted_tables:
        if not columns.has_table(table.name):
            continue
        names = {column["name"] for column in columns.get_columns(table.name)}
        copied = [column for column in table.columns if column.name in names]
        found = [dict(row) for row in source.execute(sqlalchemy.select(*copied)).mappings()]
        if table.name == "readings" and target.dialect.name == "postgresql":
            postgres.make_room(target, {instant(row["read_at"]) for row in found})
        if found and table.name != "store_state":
            target.execute(table.insert(), found)


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
def test_eight_processes_open_a_new_store_at_once(store_url: str) -> None:
    # They fork from one, which has imported what a store needs: a second for each of eight is saved.
    done = subprocess.run([sys.executable, "-c", OPEN_TOGETHER, store_url], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("0 workspaces\n" * 8, "", 0)
    assert rows_of(store_url, VERSION_TABLE) == [(HEAD,)]
    assert rows_of(store_url, "store_state") == [(1, __version__)]


@pytest.mark.parametrize("made_by", ["7.1.0", __version__])
def test_a_store_of_a_newer_schema_is_refused_by_the_schemas_numbers(
    store: Store, store_url: str, made_by: str
) -> None:
    execute(store_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    execute(store_url, f"UPDATE store_state SET made_by = '{made_by}'")
    told = (
        f"has schema 9999, made by version {made_by}, and this version, {__version__}, knows none above {HEAD}: "
        "run the build that made it or a newer one, or give another store"
    )
    for open_it in (Store.open, Store.open_to_read):
        with pytest.raises(StoreTooNew, match=re.escape(told)):
            open_it(store_url)
    assert store.load(NOW).workspaces == {}


def test_a_store_of_an_older_schema_is_not_read_and_told_by_the_schemas_numbers(store_url: str) -> None:
    Store.open(store_url).close()
    execute(store_url, f"UPDATE {VERSION_TABLE} SET version_num = '0003'")
    told = f"has schema 0003, made by version {__version__}, and this version, {__version__}, reads schema {HEAD}: run "
    with pytest.raises(StoreOutdated, match=re.escape(told)):
        Store.open_to_read(store_url)


def test_a_store_of_this_version_opens_without_migrating(store_url: str) -> None:
    Store.open(store_url).close()
    script = "import sys; from prisma_postgres_exporter.store import Store; Store.open(sys.argv[1]);"
    check = f"{script} sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check, store_url], check=False).returncode == 0


def test_a_database_of_another_program_is_left_alone(store_url: str) -> None:
    execute(store_url, "CREATE TABLE events (id INTEGER)")
    with pytest.raises(StoreUnavailable, match="belongs to another program"):
        Store.open(store_url)
    execute(store_url, "DROP TABLE events")
    Store.open(store_url).close()
