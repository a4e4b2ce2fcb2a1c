"""A store with a page that is damaged, wherever that is: whoever meets it stops writing, and a start looks for it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from store_values import NOW, generations, known, post, reading

from prisma_postgres_exporter.errors import StoreBroken, StoreDamaged, StoreUnavailable
from prisma_postgres_exporter.model import LedgerUpdate
from prisma_postgres_exporter.store import Store, sqlite
from prisma_postgres_exporter.store.failures import translated

NONSENSE = b"\xa5"
ROOTS = "SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0"
UPDATE = LedgerUpdate(readings=tuple(reading(key, NOW + timedelta(days=1)) for key in range(1, 40)))
NEVER_READ_AT_A_START = ("readings", "revisions", "sqlite_autoindex_windows_1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with some pages of readings and some free ones, which was closed."""
    path = tmp_path / "store.db"
    with closing(opened(path)) as store:
        known(store, databases=40)
        for minute in range(20):
            at = NOW + timedelta(minutes=minute)
            post(store, LedgerUpdate(readings=tuple(reading(key, at) for key in range(1, 41))))
        post(store, UPDATE)
        store.prune(NOW + timedelta(minutes=5))
    return path


def opened(path: Path) -> Store:
    return Store.open(f"sqlite:///{path}")


def page_bytes(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        [(size,)] = connection.execute("PRAGMA page_size")
        return int(size)


def spoil(path: Path, page: int) -> None:
    """Overwrite a page, in place, as a disk does."""
    size = page_bytes(path)
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(NONSENSE * size)


def root_of(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        roots: dict[str, int] = dict(connection.execute(ROOTS).fetchall())
        return roots[name]


def last_leaf(path: Path) -> int:
    """The page of the newest readings, which the next ones go to: the last child of the root."""
    size, root = page_bytes(path), root_of(path, "readings")
    page = path.read_bytes()[(root - 1) * size : root * size]
    assert page[0] == 2, "readings are more than a page"
    return int.from_bytes(page[8:12])


def leave_open(path: Path) -> None:
    """As `kill -9` does: something is still in the `-wal`."""
    with closing(opened(path)) as store:
        store.ping()
        post(store, LedgerUpdate(readings=(reading(1, NOW + timedelta(days=2)),)))
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{path}.kept{suffix}")
    for suffix in ("", "-wal"):
        # In place: another file would be doubtful by that alone.
        with open(f"{path}.kept{suffix}", "rb") as source, open(f"{path}{suffix}", "wb") as target:
            shutil.copyfileobj(source, target)
        os.unlink(f"{path}.kept{suffix}")


@pytest.mark.parametrize("place", [last_leaf, lambda path: root_of(path, "readings")], ids=["leaf", "root"])
def test_a_page_that_a_write_meets_ends_all_writing(file: Path, place: Callable[[Path], int]) -> None:
    spoil(file, place(file))
    with closing(opened(file)) as store:
        held = store.load(NOW)
        with pytest.raises(StoreDamaged, match="malformed; the file is damaged: put a backup in its place"):
            post(store, UPDATE)
        written = file.read_bytes()
        for write in (store.ping, lambda: post(store, LedgerUpdate()), lambda: store.prune(NOW)):
            with pytest.raises(StoreDamaged, match="malformed; the file is damaged"):
                write()
        assert (file.read_bytes(), store.load(NOW)) == (written, held)
        assert isinstance(store.damage, StoreDamaged)


def test_a_page_that_a_read_meets_ends_all_writing(file: Path) -> None:
    spoil(file, root_of(file, "events"))
    with closing(opened(file)) as store:
        store.ping()
        with pytest.raises(StoreDamaged, match="malformed"):
            list(store.events())
        with pytest.raises(StoreDamaged, match="malformed"):
            post(store, UPDATE)


def test_damage_that_others_of_the_process_met_ends_writing_and_other_failures_do_not(file: Path) -> None:
    with closing(opened(file)) as store:
        store.note(StoreUnavailable("busy"))
        store.ping()
        store.note(StoreDamaged("malformed"))
        with pytest.raises(StoreDamaged, match="malformed"):
            store.ping()


@pytest.mark.parametrize("place", NEVER_READ_AT_A_START)
def test_a_start_finds_what_it_would_not_have_read(file: Path, place: str) -> None:
    spoil(file, root_of(file, place))
    with closing(opened(file)) as store:
        store.load(NOW)
        with pytest.raises(StoreDamaged, match=r"the file is damaged: put a backup in its place"):
            store.examine()
        with pytest.raises(StoreDamaged):
            store.ping()


def test_a_start_finds_a_damaged_list_of_free_pages(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE passing AS SELECT * FROM readings")
        connection.execute("DROP TABLE passing")
    trunk = int.from_bytes(file.read_bytes()[32:36])
    assert trunk
    spoil(file, trunk)
    with closing(opened(file)) as store, pytest.raises(StoreDamaged, match="damaged"):
        store.examine()


def test_a_sound_store_is_found_to_be_whole_and_used_afterwards(file: Path) -> None:
    with closing(opened(file)) as store:
        assert store.examine()
        assert generations(post(store, UPDATE))
        assert store.damage is None


def test_rows_that_break_a_rule_are_no_damage(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE readings SET operations = -1")
        connection.commit()
    with closing(opened(file)) as store:
        assert store.examine()
        # And the connection goes on refusing them.
        with pytest.raises(StoreUnavailable, match="reading_not_negative"):
            post(store, LedgerUpdate(readings=(reading(1, NOW + timedelta(days=3), operations=-1),)))


def test_a_store_is_doubtful_where_it_was_not_closed_or_is_another_file(file: Path) -> None:
    def is_doubtful() -> bool:
        with closing(opened(file)) as store:
            return store.is_doubtful

    assert not is_doubtful()
    leave_open(file)
    assert is_doubtful()
    assert not is_doubtful()
    shutil.copy(file, file.with_suffix(".copy"))
    file.with_suffix(".copy").replace(file)
    assert is_doubtful()
    assert not is_doubtful()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have the look at the pages take for ever; set once it has begun."""
    begun = threading.Event()

    def quick_check(_: int) -> int:
        begun.set()
        return 0

    remember = sqlite._prepare_connection

    def prepare(synchronous: str, connection: sqlite3.Connection, record: object) -> None:
        remember(synchronous, connection, record)  # type: ignore[arg-type]
        connection.create_function("begun", 1, quick_check)

    monkeypatch.setattr(sqlite, "_prepare_connection", prepare)
    count = "WITH RECURSIVE n(v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n) SELECT count(*) FROM n WHERE begun(v) > 0"
    monkeypatch.setattr(sqlite, "QUICK_CHECK", count)
    return begun


@pytest.mark.usefixtures("endless")
def test_what_takes_too_long_is_given_up_and_the_store_is_used(file: Path) -> None:
    with closing(opened(file)) as store:
        assert not store.examine(seconds=0.0)
        assert generations(post(store, UPDATE))


def test_a_process_that_is_to_end_does_not_wait_for_it(file: Path, endless: threading.Event) -> None:
    with closing(opened(file)) as store:

        def hurry() -> None:
            endless.wait()
            store.hurry()

        hurrying = threading.Thread(target=hurry)
        hurrying.start()
        assert not store.examine()
        hurrying.join()


@pytest.mark.parametrize("name", ["SQLITE_IOERR", "SQLITE_IOERR_READ", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_CORRUPTFS"])
def test_a_disk_that_fails_does_not_pass_by_itself_and_is_tried_again(name: str) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = getattr(sqlite3, name)
    with pytest.raises(StoreBroken, match="disk I/O error; look whether the disk") as failed, translated("read", "x"):
        raise error
    assert not isinstance(failed.value, StoreDamaged)
