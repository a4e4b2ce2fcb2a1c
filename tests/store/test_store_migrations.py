from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from store_values import NOW, execute, known, post, reading, rows_of

import prisma_postgres_exporter.store
from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.errors import StoreTooNew
from prisma_postgres_exporter.model import Posting
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.store.migrate import HEAD, VERSION_TABLE
from prisma_postgres_exporter.store.tables import metadata

OPEN_TOGETHER = """
import sys
from datetime import UTC, datetime
from prisma_postgres_exporter.store import Store
print("ready", flush=True)
sys.stdin.readline()
store = Store.open(sys.argv[1])
print(store.load(datetime.now(UTC)).generation)
store.close()
"""


def test_the_migrated_tables_are_those_of_the_metadata(store: Store, store_url: str) -> None:
    known(store)
    post(store, Posting(readings=(reading(),)))
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
    config = Config()
    config.set_main_option("script_location", str(Path(prisma_postgres_exporter.store.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_eight_processes_open_a_new_store_at_once(store_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_TOGETHER, store_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate() for process in processes] == [("0\n", "")] * 8
    assert rows_of(store_url, VERSION_TABLE) == [(HEAD,)]
    assert rows_of(store_url, "store_state") == [(1, 0, __version__, None)]


def test_a_store_of_a_newer_version_is_refused_by_name(store: Store, store_url: str) -> None:
    execute(store_url, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    execute(store_url, "UPDATE store_state SET made_by = '7.1.0'")
    with pytest.raises(StoreTooNew, match=r"made by version 7\.1\.0, and this is .* run that version or a newer one"):
        Store.open(store_url)
    assert store.load(NOW).generation == 0


def test_a_store_of_this_version_opens_without_migrating(store_url: str) -> None:
    Store.open(store_url).close()
    script = "import sys; from prisma_postgres_exporter.store import Store; Store.open(sys.argv[1]);"
    check = f"{script} sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check, store_url], check=False).returncode == 0


def test_a_database_of_another_program_is_left_alone(store_url: str) -> None:
    execute(store_url, "CREATE TABLE events (id INTEGER)")
    with pytest.raises(prisma_postgres_exporter.errors.StoreUnavailable, match="belongs to another program"):
        Store.open(store_url)
    execute(store_url, "DROP TABLE events")
    Store.open(store_url).close()
