"""SQLite: one file, one writer at a time, readers beside it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import sqlalchemy
from sqlalchemy import Connection, Engine, Table, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry

from prisma_postgres_exporter.errors import StoreDamaged, StoreGone, StoreInUse, StoreUnavailable
from prisma_postgres_exporter.store import sqlite_reader, sqlite_wal
from prisma_postgres_exporter.store.failures import DAMAGED_ADVICE
from prisma_postgres_exporter.store.patience import Patience
from prisma_postgres_exporter.store.rows import Values
from prisma_postgres_exporter.store.tables import readings

READING: Mapping[str, Any] = {}
WRITING: Mapping[str, Any] = {"sqlite_begin": "BEGIN IMMEDIATE"}

BUSY_TIMEOUT_SECONDS = 10
BUSY_RETRY_SECONDS = 0.02
FILE_MODE = 0o600
PRUNE_ROWS = 5_000
VACUUM_PAGES = 500
COPIED_PAGES = 2_000
QUICK_CHECK = "PRAGMA quick_check(1)"
GIVEN_UP_SECONDS = 0.1


def create_engine(url: URL, *, is_read_only: bool, is_lasting: bool, patience: Patience) -> Engine:
    """Make the engine, and the file: readable by its owner only, as its `-wal` and `-shm` then are too."""
    path = url.database or ""
    if is_read_only:
        return _create_reading_engine(url, path)
    _create_file(path)
    file = _File(path)
    engine = sqlalchemy.create_engine(
        url,
        # The driver's own transactions begin too late, and deferred: two writers would fail instead of waiting.
        connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_SECONDS, "factory": _connection_of(file)},
        hide_parameters=True,
    )
    event.listen(engine, "connect", partial(_prepare_connection, "FULL" if is_lasting else "OFF"))
    event.listen(engine, "begin", _begin)
    event.listen(engine, "connect", file.remember)
    event.listen(engine, "begin", file.require_same)
    event.listen(engine, "begin", file.count)
    event.listen(engine, "commit", file.require_same)
    return engine


def require_makeable(url: URL) -> None:
    """Make sure that a file could be made there, and make none."""
    sqlite_reader.require_kept(url.database or "")
    directory = Path(url.database or "").parent
    if not directory.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory))
    if not os.access(directory, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


def wait_long(connection: Connection) -> None:
    """Nothing to do: nobody has to answer."""


def limit_stalling(connection: Connection) -> None:
    """Nothing to do: nobody else could write in the place of a process that was stopped."""


def confirm(connection: Connection) -> None:
    """Notice that somebody changed a file that was read without locks; the next transaction looks for them anew."""
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite_reader.Reader) and sqlite_reader.has_changed(driver):
        path = driver.path
        connection.invalidate()
        raise StoreUnavailable(f"the store at {path} was written while it was read: run the command again")


@contextmanager
def keep_others_out(url: URL) -> Iterator[None]:
    """Hold a lock on a file beside the store: it ends with this process, however that ends."""
    descriptor = _open_lock(url)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _read_lock(descriptor)[0] or "another process"
            raise StoreInUse(
                f"the store at {url.database} is in use by {holder}: stop it, or give this service a store of its own;"
                " services that share one need Postgres"
            ) from None
        _write_lock(descriptor, [_name(os.getpid()), _inode_line(url)])
        yield
    finally:
        os.close(descriptor)


def is_kept_by(url: URL, process: int) -> bool | None:
    """Read it in the file of that lock, which stays; to try the lock could keep out a service that starts just now."""
    try:
        with sqlite_reader.lock_of(url.database or "").open() as lock:
            return _read_lock(lock.fileno())[0] == _name(process)
    except OSError:
        return False


def remember(url: URL) -> None:
    """Note in the file of that lock which file the store is: `sqlite_reader.require_kept` goes by it."""
    descriptor = _open_lock(url)
    try:
        holder, inode = _read_lock(descriptor)
        if inode != _inode_line(url):
            _write_lock(descriptor, [holder, _inode_line(url)])
    finally:
        os.close(descriptor)


def adopt(url: URL) -> None:
    """Give a file of an older version, which knew of no versions, its first one: `sqlite_wal` goes by them.

    In the file itself and not through the `-wal`, so that SQLite has to leave that mode, which it does where nobody
    else has the file open; otherwise the next opening does it. Killed anywhere in between it is done then too.
    """
    path = url.database or ""
    # One that was killed as it made the file longer left a file that says nothing by itself, but with its `-wal`.
    if sqlite_wal.version_of(path) not in (0, None):
        return
    with (
        suppress(sqlite3.DatabaseError),
        closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute("SELECT journal_mode, user_version FROM pragma_journal_mode, pragma_user_version")
        if cursor.fetchone() == ("wal", 0) and cursor.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",):
            _prepare_file(cursor)


def lock_schema(connection: Connection) -> None:
    """Nothing to do: `BEGIN IMMEDIATE` has waited for other writers already."""


def lock_keys(connection: Connection) -> None:
    """Nothing to do: `BEGIN IMMEDIATE` has waited for other writers already."""


def lock_workspaces(connection: Connection, ids: Collection[str]) -> None:
    """Nothing to do: `BEGIN IMMEDIATE` has waited for other writers already."""


def make_room(connection: Connection, instants: Collection[datetime]) -> None:
    """Nothing to do: there are no partitions."""


def defer_references(connection: Connection) -> None:
    """Ask at the end; the pragma ends with the transaction."""
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")


def damage(connection: Connection) -> Iterator[str]:
    """Read the whole file, its indexes too; SQLite names the first hundred things that are wrong.

    Without rows that the schema would refuse: those are named by their keys, and can be repaired.
    """
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    findings = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")
    yield from (finding for finding in findings if finding != "ok")


def is_doubtful(url: URL) -> bool:
    """Whether whoever had it open last did not close it, or the file was put there since."""
    return sqlite_reader.was_left_open(url.database or "")


def examine(engine: Engine, patience: Patience, seconds: float) -> bool:
    """Read every page but not what an index says of rows, which takes longer: a gigabyte a few seconds."""
    done = threading.Event()
    with closing(engine.raw_connection()) as pooled:
        connection = cast("sqlite3.Connection", pooled.driver_connection)

        def give_up() -> None:
            give_up_at = time.monotonic() + seconds
            while not done.wait(GIVEN_UP_SECONDS):
                if patience.is_hurried or time.monotonic() >= give_up_at:
                    connection.interrupt()

        giving_up = threading.Thread(target=give_up, name="store-examined", daemon=True)
        giving_up.start()
        try:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            [(found,)] = connection.execute(QUICK_CHECK).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            return False
        finally:
            done.set()
            giving_up.join()
            connection.execute("PRAGMA ignore_check_constraints = OFF")
    if found != "ok":
        reason = " ".join(found.split())
        raise StoreDamaged(f"cannot read the store at {engine.url.database}: malformed ({reason}); {DAMAGED_ADVICE}")
    return True


def size_bytes(connection: Connection) -> int:
    """The file's pages; what was written last may still be beside them."""
    [pages] = connection.exec_driver_sql("PRAGMA page_count").scalars()
    [page_bytes] = connection.exec_driver_sql("PRAGMA page_size").scalars()
    return int(pages) * int(page_bytes)


def upsert(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Write rows by primary key: SQL made once by SQLAlchemy, values straight to the driver."""
    connection.exec_driver_sql(_upsert_sql(table), list(rows))


def copy(engine: Engine, path: Path, on_progress: Callable[[int, int], None]) -> None:
    """Copy page by page from one moment of the store: writers are not kept waiting, and do not make it begin anew."""
    with engine.connect() as connection, closing(sqlite3.connect(path, isolation_level=None)) as target:
        source = cast("sqlite3.Connection", connection.connection.driver_connection)
        # The read transaction holds the moment.
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()
        source.backup(
            target,
            pages=COPIED_PAGES,
            progress=lambda _, remaining, total: on_progress(total - remaining, total),
            sleep=0,
        )
        target.execute(f"PRAGMA user_version = {sqlite_wal.new_version()}")


def prune_readings(engine: Engine, before_unix: int) -> int:
    """Remove older readings, a few thousand in each transaction, and give free pages back to the file system."""
    oldest = (
        sqlalchemy.select(*readings.primary_key).where(readings.c.read_at < before_unix).order_by(*readings.primary_key)
    )
    chunk = readings.delete().where(sqlalchemy.tuple_(*readings.primary_key).in_(oldest.limit(PRUNE_ROWS)))
    pruned = 0
    while True:
        with engine.begin() as connection:
            removed = connection.execute(chunk).rowcount
        pruned += removed
        if removed < PRUNE_ROWS:
            break
    _give_pages_back(engine)
    return pruned


class _File:
    """The file of an open store. SQLite goes on with one that was deleted, and all that it writes is lost."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity: tuple[int, int] | None = None
        self._version: int | None = None
        self.is_kept_open = False

    @property
    def is_overwritten(self) -> bool:
        """Whether it is still the one that was opened first, and nothing is in it any more, or something else."""
        try:
            *identity, size = self._look()
            if tuple(identity) != self._identity:
                return False
            sqlite_wal.require_own_wal(self._path)
        except StoreGone:
            return True
        except OSError:
            return False
        return not size

    def remember(self, *_: object) -> None:
        """Note which one was opened first."""
        if self._identity is None:
            self._identity = self._look()[:2]
            self._version = sqlite_wal.version_of(self._path)

    def count(self, connection: Connection) -> None:
        """Raise the version in a transaction that writes: `sqlite_wal` goes by it.

        Raises:
            StoreGone: something else was written into the file.
        """
        if "sqlite_begin" not in connection.get_execution_options():
            return
        [version] = connection.exec_driver_sql("PRAGMA user_version").scalars()
        if not version:
            # It has none yet: `adopt` found somebody else who had it open.
            return
        found, before = sqlite_wal.version_of(self._path), self._version
        if found is not None and before is not None and found not in sqlite_wal.Versions(first=before, last=version):
            raise StoreGone(
                f"the store at {self._path} was overwritten with another while it was in use: nothing is written to it;"
                " stop, remove -wal and -shm beside it, which are of the old one, and start"
            )
        self._version = before if found is None else found
        connection.exec_driver_sql(f"PRAGMA user_version = {sqlite_wal.next_version(version)}")

    def require_same(self, *_: object) -> None:
        """Make sure that it is still what the path leads to.

        Raises:
            StoreGone: it was deleted, replaced or emptied.
        """
        *identity, size = self._look()
        if tuple(identity) != self._identity:
            raise StoreGone(
                f"the store at {self._path} was replaced by another file while it was in use: nothing is written to it;"
                " put the old one back, or stop, remove -wal and -shm beside it, which are of the old one, and start"
            )
        if not size:
            raise StoreGone(
                f"the store at {self._path} was emptied while it was in use: stop, put a backup in its place, remove"
                " -wal and -shm beside it, which are of the old one, and start"
            )

    def _look(self) -> tuple[int, int, int]:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            raise StoreGone(
                f"the store at {self._path} was deleted or moved away while it was in use: nothing is written; put it"
                " back, or stop, put a backup in its place, remove -wal and -shm beside it, and start"
            ) from None
        return found.st_dev, found.st_ino, found.st_size


def _connection_of(file: _File) -> type[sqlite3.Connection]:
    class Connection(sqlite3.Connection):
        """Writes nothing into a file that was emptied or overwritten, as SQLite does when the last connection is
        closed: what is in the `-wal` would be there, and that be removed. Since one is never closed none is the last;
        Python 3.12 could forbid it (`SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE`).
        """

        def close(self) -> None:
            if file.is_overwritten and not file.is_kept_open:
                file.is_kept_open = True
                # Otherwise it would be closed when nobody holds it, at the latest at the end of the process.
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
                return
            super().close()

    return Connection


def _open_lock(url: URL) -> int:
    return os.open(sqlite_reader.lock_of(url.database or ""), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, FILE_MODE)


def _read_lock(descriptor: int) -> list[str]:
    """Who holds it, or did last, and the line of the inode."""
    lines = os.pread(descriptor, 1000, 0).decode(errors="replace").splitlines()
    return [*lines, "", ""][:2]


def _write_lock(descriptor: int, lines: list[str]) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, "".join(f"{line}\n" for line in lines).encode(), 0)


def _name(process: int) -> str:
    return f"process {process} on {socket.gethostname()}"


def _inode_line(url: URL) -> str:
    return f"{sqlite_reader.INODE} {os.stat(url.database or '').st_ino}"


def _create_file(path: str) -> None:
    sqlite_reader.require_kept(path)
    try:
        # Only ever a new one: to close a database's file would drop the locks that SQLite holds on it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
    except FileExistsError:
        return


def _create_reading_engine(url: URL, path: str) -> Engine:
    sqlite_reader.require_readable(path)
    engine = sqlalchemy.create_engine(
        url,
        creator=lambda: sqlite_reader.connect(path, timeout_seconds=BUSY_TIMEOUT_SECONDS),
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_connection(synchronous: str, connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute("PRAGMA journal_mode")
        if cursor.fetchone() != ("wal",):
            _prepare_file(cursor)
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.execute("PRAGMA foreign_keys = ON")


def _prepare_file(cursor: DBAPICursor | sqlite3.Cursor) -> None:
    """Settle how a new file works. SQLite does not wait for others who do the same: they are done in a moment."""
    give_up_at = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            # Before anything is written: later it would be ignored.
            cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _begin_versions(cursor)
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
            time.sleep(BUSY_RETRY_SECONDS)


def _begin_versions(cursor: DBAPICursor | sqlite3.Cursor) -> None:
    """Give a new file its first version, before there is a `-wal`."""
    cursor.execute("BEGIN IMMEDIATE")
    try:
        cursor.execute("SELECT journal_mode, user_version FROM pragma_journal_mode, pragma_user_version")
        if cursor.fetchone() == ("delete", 0):
            cursor.execute(f"PRAGMA user_version = {sqlite_wal.new_version()}")
        cursor.execute("COMMIT")
    except BaseException:
        cursor.execute("ROLLBACK")
        raise


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


@cache
def _upsert_sql(table: Table) -> str:
    insert = sqlite.insert(table)
    replaced = {column.name: insert.excluded[column.name] for column in table.columns if not column.primary_key}
    statement = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=replaced)
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))


def _give_pages_back(engine: Engine) -> None:
    """Shrink the file in steps, each a short transaction; only `executescript` runs the pragma to its end."""
    with closing(engine.raw_connection()) as connection:
        database = cast("sqlite3.Connection", connection.driver_connection)
        while database.execute("PRAGMA freelist_count").fetchone()[0] >= VACUUM_PAGES:
            database.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
