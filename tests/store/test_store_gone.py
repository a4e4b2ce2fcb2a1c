"""A store that is gone under the process that has it open: nothing is written to another one, and none is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from store_values import NOW, execute, generations, known, post, query, reading

from prisma_postgres_exporter.errors import StoreGone, StoreUnavailable
from prisma_postgres_exporter.model import LedgerUpdate
from prisma_postgres_exporter.store import Store

UPDATE = LedgerUpdate(readings=(reading(),))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def opened(file: Path) -> Store:
    return Store.open(f"sqlite:///{file}")


def replace_it(file: Path) -> None:
    shutil.copy(file, file.with_suffix(".other"))
    file.with_suffix(".other").replace(file)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (Path.unlink, "was deleted or moved away while it was in use"),
        (replace_it, "was replaced by another file while it was in use"),
        (lambda file: os.truncate(file, 0), "was emptied while it was in use"),
    ],
)
def test_a_file_that_is_gone_is_neither_read_nor_written(file: Path, harm: Callable[[Path], None], said: str) -> None:
    with closing(opened(file)) as store:
        known(store)
        harm(file)
        found = file.read_bytes() if file.exists() else None
        for call in (store.ping, lambda: post(store, UPDATE), lambda: store.load(NOW)):
            with pytest.raises(StoreGone, match=said):
                call()
        assert (file.read_bytes() if file.exists() else None) == found


AN_END = """
import os, sys
from prisma_postgres_exporter.store import Store
store = Store.open(f"sqlite:///{sys.argv[1]}")
with store._writing() as connection:
    connection.exec_driver_sql("CREATE TABLE written AS SELECT randomblob(200000) AS text")
with store._writing() as connection:
    # As much as SQLite wants to see there before it writes it into a file that is too short.
    connection.exec_driver_sql("UPDATE written SET text = randomblob(200000)")
    # One that is closed before the last one, as those of several threads are.
    with store._engine.connect() as another:
        another.exec_driver_sql("SELECT 1")
before = open(sys.argv[1] + "-wal", "rb").read()
os.truncate(sys.argv[1], 0)
store.close()
del store
assert open(sys.argv[1] + "-wal", "rb").read() == before != b""
"""


def test_a_file_that_was_emptied_is_not_written_at_the_end_either_and_what_is_beside_it_stays(file: Path) -> None:
    done = subprocess.run([sys.executable, "-c", AN_END, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size == 0
    assert file.with_name("store.db-wal").stat().st_size > 0
    with pytest.raises(StoreGone, match="is empty now"):
        opened(file)
    assert file.with_name("store.db-wal").stat().st_size > 0


def test_an_older_copy_that_was_put_over_the_open_file_is_not_gone_on_with(file: Path) -> None:
    with closing(opened(file)) as store:
        known(store)
        post(store, UPDATE)
        execute(f"sqlite:///{file}", "UPDATE workspaces SET generation = 1")  # as an older copy has it
        with pytest.raises(StoreGone, match="is older than what this process wrote to it"):
            store.record(UPDATE, workspace_id="wksp_1", generation=2, at=NOW)
        # Nor after it was read again, with what is held as old as the copy.
        execute(f"sqlite:///{file}", "UPDATE workspaces SET generation = 0")
        with pytest.raises(StoreGone, match="is older than what this process wrote to it"):
            store.record(UPDATE, workspace_id="wksp_1", generation=0, at=NOW)


def test_a_file_that_goes_in_the_middle_of_a_write_has_not_got_it(file: Path) -> None:
    with closing(opened(file)) as store:
        known(store)
        with pytest.raises(StoreGone, match="deleted or moved away"), store._writing() as connection:  # noqa: PT012
            connection.execute(text("UPDATE workspaces SET generation = 77"))
            file.rename(file.with_suffix(".away"))
        file.with_suffix(".away").rename(file)
        assert generations(store.load(NOW)) == {"wksp_1": 1}
        assert generations(post(store, UPDATE)) == {"wksp_1": 2}


@pytest.mark.parametrize("harm", [Path.unlink, lambda file: os.truncate(file, 0)])
def test_a_store_that_was_lost_is_not_made_anew_until_its_lock_is_removed(
    file: Path, harm: Callable[[Path], None]
) -> None:
    opened(file).close()
    harm(file)
    for open_it in (Store.open, Store.open_to_read, Store.require_makeable):
        with pytest.raises(
            StoreGone, match=r"no new one is made in its place.*to begin anew.*remove .*store\.db\.lock"
        ):
            open_it(f"sqlite:///{file}")
    assert not file.exists() or not file.stat().st_size
    file.with_name("store.db.lock").unlink()
    opened(file).close()


def test_an_empty_file_that_was_never_a_store_becomes_one(file: Path) -> None:
    file.touch()
    opened(file).close()
    assert query(f"sqlite:///{file}", "SELECT count(*) FROM workspaces") == [(0,)]


def test_another_file_is_not_opened_with_what_is_beside_it_of_the_one_before(file: Path) -> None:
    opened(file).close()
    shutil.copy(file, file.with_name("backup.db"))
    with closing(opened(file)) as store:
        known(store)
        # As after `kill -9`: what was written last is beside the file.
        shutil.copy(file.with_name("store.db-wal"), file.with_name("kept"))
    shutil.copy(file.with_name("kept"), file.with_name("store.db-wal"))
    file.with_name("backup.db").replace(file)
    before = file.read_bytes()
    for open_it in (Store.open, Store.open_to_read):
        with pytest.raises(StoreGone, match=r"store\.db-wal is of the one before: stop .* remove store\.db-wal and"):
            open_it(f"sqlite:///{file}")
    assert file.read_bytes() == before
    file.with_name("store.db-wal").unlink()
    with closing(opened(file)) as store:
        assert store.load(NOW).workspaces == {}
    # And from then on that one is the store.
    with closing(opened(file)) as store:
        known(store)


def test_a_server_that_says_nothing_is_given_up_unless_it_may_take_its_time(postgres_url: str) -> None:
    with closing(Store.open(postgres_url)) as store:
        store._patience.seconds = 0.3
        with pytest.raises(StoreUnavailable, match="did not answer"), store._reading() as connection:
            connection.execute(text("SELECT pg_sleep(60)"))
        with store._reading() as connection:
            store._backend.wait_long(connection)
            connection.execute(text("SELECT pg_sleep(0.6)"))
        # The same connection, for somebody else.
        with pytest.raises(StoreUnavailable, match="did not answer"), store._reading() as connection:
            connection.execute(text("SELECT pg_sleep(60)"))


def test_a_database_that_was_made_read_only_is_not_written_on_a_connection_that_read(postgres_url: str) -> None:
    with closing(Store.open(postgres_url)) as store:
        known(store)
        name = postgres_url.rpartition("/")[2]
        execute(postgres_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        store.close()
        store.load(NOW)
        with pytest.raises(StoreUnavailable, match="read-only transaction; give the address of the primary server"):
            store.ping()
