from __future__ import annotations

import os
import pwd
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from sqlalchemy import Engine, event
from store_values import (
    NOW,
    day_usage,
    execute,
    generations,
    known,
    month_usage,
    other_program,
    post,
    query,
    reading,
    update_of,
)

from postgres import PASSWORD, PostgresServer, find_programs, postgres_server
from prisma_postgres_exporter.errors import StoreDisconnected, StoreUnavailable
from prisma_postgres_exporter.model import LedgerUpdate
from prisma_postgres_exporter.store import Store, postgres, sqlite
from prisma_postgres_exporter.store.failures import translated
from short_of_descriptors import no_descriptors


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    with postgres_server(find_programs()) as server:
        yield server


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for other writers a moment only."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", "50ms")


@contextmanager
def ordinary_user(*paths: Path) -> Iterator[None]:
    """Act as the owner of `paths`, and as nobody who may do more."""
    if os.geteuid() != 0:
        yield
        return
    account = pwd.getpwnam("nobody")
    for path in paths:
        os.chown(path, account.pw_uid, account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


def test_without_a_descriptor_it_is_not_the_directory(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    Store.open(url).close()
    said = r"too many open files; raise the limit of open files"
    with no_descriptors(), pytest.raises(StoreUnavailable, match=said):
        Store.open(url)
    with no_descriptors(), pytest.raises(StoreUnavailable, match=said):
        Store.open_to_read(url)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY])
def test_a_disk_that_is_mounted_read_only_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    usual = os.statvfs(tmp_path)
    read_only = os.statvfs_result((*usual[:8], usual.f_flag | os.ST_RDONLY, usual.f_namemax))
    monkeypatch.setattr(os, "statvfs", lambda path: read_only if path == tmp_path else usual)
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = code
    said = "read-only file system; its file system is mounted read-only"
    with pytest.raises(StoreUnavailable, match=said), translated("open", f"sqlite:///{tmp_path}/store.db"):
        raise error


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('too many connections for role "exp"', "ALTER ROLE"),
        ('too many connections for database "exp"', "ALTER DATABASE"),
        ('role "exp" does not exist', "create the role, or correct the user"),
        ('role "exp" is not permitted to log in', "LOGIN"),
        ("remaining connection slots are reserved for roles with the SUPERUSER attribute", "max_connections"),
    ],
)
def test_a_server_that_refuses_is_running(said: str, advice: str) -> None:
    failure = psycopg.OperationalError(
        f'connection failed: connection to server at "::1", port 5432 failed: FATAL:  {said}'
    )
    with pytest.raises(StoreUnavailable, match=advice) as caught, translated("open", "postgresql://exp@db/exp"):
        raise failure
    assert "start the server" not in str(caught.value)


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"cannot open the store at .*nowhere/store\.db: .*create its directory"):
        Store.open(f"sqlite:///{tmp_path}/nowhere/store.db")


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        Store.open(f"sqlite:///{tmp_path}")


def test_some_other_file_is_no_store_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a store\n" * 1_000)
    with pytest.raises(StoreUnavailable, match="not a database; it is some other file"):
        Store.open(f"sqlite:///{path}")
    assert path.read_text() == "not a store\n" * 1_000


def test_a_file_that_may_not_be_written_can_be_read_and_says_so_when_written() -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "store.db"
        store = Store.open(f"sqlite:///{path}")
        ledger_state = known(store)
        path.chmod(0o400)
        side_files = [path.with_name(f"store.db{suffix}") for suffix in ("-wal", "-shm", ".lock")]
        with ordinary_user(Path(directory), path, *side_files):
            reopened = Store.open(f"sqlite:///{path}")
            assert reopened.load(NOW) == ledger_state
            with pytest.raises(StoreUnavailable, match="readonly database; let this user write the file"):
                reopened.ping()
            with pytest.raises(StoreUnavailable, match="readonly database; let this user write the file"):
                post(reopened, LedgerUpdate(readings=(reading(),)))
            reopened.close()
        store.close()


def test_a_directory_that_may_not_be_written_is_named() -> None:
    with TemporaryDirectory() as directory, ordinary_user(Path(directory)):
        Path(directory).chmod(0o500)
        with pytest.raises(StoreUnavailable, match="permission denied; let this user write in its directory"):
            Store.open(f"sqlite:///{directory}/store.db")


def test_a_full_disk_writes_nothing_and_later_all_of_it(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    ledger_state = known(store)
    store.close()
    disk_pages = [60]

    def shrink_disk(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {disk_pages[0]}")

    large = replace(
        update_of(ledger_state.databases["db_1"], operations_total=7, months=(month_usage(),)),
        readings=tuple(reading(key) for key in range(50_000)),
    )
    event.listen(Engine, "connect", shrink_disk)
    try:
        with pytest.raises(StoreUnavailable, match="disk is full; make room on the disk"):
            post(store, large)
        assert store.load(NOW) == ledger_state
        store.close()
        disk_pages[0] = 1_000_000
        assert post(store, large).databases["db_1"].operations_total == 7
    finally:
        event.remove(Engine, "connect", shrink_disk)
        store.close()


@pytest.mark.usefixtures("short_waits")
def test_another_writer_that_never_ends_is_waited_for_a_bounded_time(store_url: str) -> None:
    store = Store.open(store_url)
    ledger_state = known(store)
    with other_program(store_url) as connection:
        connection.exec_driver_sql("UPDATE store_state SET made_by = made_by")
        connection.exec_driver_sql("UPDATE workspaces SET generation = generation")
        for write in (store.ping, lambda: post(store, LedgerUpdate(readings=(reading(),)))):
            with pytest.raises(StoreUnavailable, match="another process is writing for too long"):
                write()
        assert store.load(NOW) == ledger_state
    store.ping()
    assert generations(post(store, LedgerUpdate(readings=(reading(),)))) == {"wksp_1": 2}
    store.close()


def test_a_server_that_stops_and_starts_is_used_again(own_server: PostgresServer) -> None:
    with own_server.fresh_database() as url:
        store = Store.open(url)
        ledger_state = known(store)
        own_server.stop()
        for call in (store.ping, lambda: store.load(NOW), lambda: list(store.days()), lambda: store.prune(NOW)):
            with pytest.raises(StoreUnavailable, match=r"Connection refused.*; start the server") as failed:
                call()
            assert PASSWORD not in str(failed.value)
        own_server.start()
        assert store.load(NOW) == ledger_state
        store.close()


def test_a_server_that_stops_in_the_middle_of_a_write_has_written_nothing(own_server: PostgresServer) -> None:
    with own_server.fresh_database() as url:
        store = Store.open(url)
        ledger_state = known(store)
        update = replace(
            update_of(ledger_state.databases["db_1"], operations_total=7, months=(month_usage(),)),
            readings=(reading(),),
        )
        failures: list[BaseException] = []

        def write() -> None:
            try:
                post(store, update)
            except StoreUnavailable as exc:
                failures.append(exc)

        with pytest.raises(Exception, match="connection"), other_program(url) as connection:  # noqa: PT012
            connection.exec_driver_sql("LOCK TABLE revisions, readings")
            writing = threading.Thread(target=write)
            writing.start()
            while not query(own_server.url(), "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
                pass
            own_server.stop()
            writing.join()
        assert "cannot write the store" in str(failures[0])
        own_server.start()
        assert store.load(NOW) == ledger_state
        assert post(store, update).databases["db_1"].operations_total == 7
        store.close()


@pytest.mark.parametrize("times", [1, 2])
def test_a_write_whose_connection_was_dropped_is_made_once_more(postgres_url: str, times: int) -> None:
    store = Store.open(postgres_url)
    ledger_state = known(store)
    update = replace(
        update_of(ledger_state.databases["db_1"], operations_total=7, months=(month_usage(),)), readings=(reading(),)
    )
    with ThreadPoolExecutor(max_workers=1) as thread, other_program(postgres_url) as connection:
        connection.exec_driver_sql("LOCK TABLE readings")
        writing = thread.submit(post, store, update)
        for _ in range(times):
            dropped = False
            while not (dropped or writing.done()):
                dropped = bool(
                    query(
                        postgres_url,
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                        " WHERE wait_event_type = 'Lock' AND datname = current_database()",
                    )
                )
        connection.rollback()
        if times == 1:
            assert writing.result().databases["db_1"].operations_total == 7
        else:
            with pytest.raises(StoreDisconnected, match="cannot write the store"):
                writing.result()
    assert (store.load(NOW) == ledger_state) is (times == 2)
    store.close()


def test_a_wrong_password_is_told_and_not_shown(shared_postgres: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable, match="correct the user or the password") as failed:
        Store.open(shared_postgres.url(password="not-the-synthetic-one"))
    assert "not-the-synthetic-one" not in str(failed.value)
    assert "postgresql://exporter@127.0.0.1" in str(failed.value)


def test_a_missing_postgres_database_is_named(shared_postgres: PostgresServer) -> None:
    with pytest.raises(StoreUnavailable, match='database "absent" does not exist; create it'):
        Store.open(shared_postgres.url("absent"))


def test_a_user_without_rights_is_told(postgres_url: str) -> None:
    Store.open(postgres_url).close()
    execute(postgres_url, "CREATE ROLE reader LOGIN PASSWORD 'synthetic-password'")
    try:
        with pytest.raises(StoreUnavailable, match=r"permission denied for table .*; let this user create tables"):
            Store.open(postgres_url.replace("exporter:", "reader:")).load(NOW)
    finally:
        execute(postgres_url, "DROP ROLE reader")


def test_a_row_that_breaks_a_rule_is_refused_by_name_and_nothing_is_written(store: Store) -> None:
    held = known(store)
    changed = update_of(held.databases["db_1"], operations_total=5, recent_days=(day_usage(operations=-1),))
    with pytest.raises(StoreUnavailable, match=r"operations_not_negative.*; nothing was written.*report it"):
        post(store, changed)
    assert store.load(NOW) == held
