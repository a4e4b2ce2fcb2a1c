"""What is in a `-wal` goes into the file that it was written for, and into no other: SQLite itself asks nobody."""

from __future__ import annotations

import sqlite3
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from store_values import NOW, known, post, query, reading

from prisma_postgres_exporter.errors import StoreGone
from prisma_postgres_exporter.model import LedgerUpdate
from prisma_postgres_exporter.store import Store, sqlite_wal

SAID = r"is not the one that .*store\.db-wal was written for: it was overwritten .* move .*store\.db-wal and .* away"
DOORS: dict[str, Callable[[str], object]] = {
    "open": Store.open,
    "open to read": Store.open_to_read,
    "open to repair": lambda url: Store.open_to_repair(url, is_applied=True),
    "show a repair": Store.open_to_repair,
    "require writable": Store.require_writable,
    "require makeable": Store.require_makeable,
}
FRAME = 24 + 4_096
LATER = NOW + timedelta(days=1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with closing(opened(path)) as store:
        known(store, databases=40)
    return path


def opened(path: Path) -> Store:
    return Store.open(f"sqlite:///{path}")


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def write(store: Store, minute: int) -> None:
    post(store, LedgerUpdate(readings=tuple(reading(key, NOW + timedelta(minutes=minute)) for key in range(1, 41))))


def readings_in(path: Path) -> int:
    [(count,)] = query(f"sqlite:///{path}", "SELECT count(*) FROM readings")
    return int(count)


@dataclass(frozen=True, slots=True)
class Found:
    """A store's files as they were at one moment."""

    main: bytes
    wal: bytes

    @classmethod
    def of(cls, path: Path) -> Found:
        wal = beside(path, "-wal")
        return cls(path.read_bytes(), wal.read_bytes() if wal.exists() else b"")

    def put(self, path: Path) -> None:
        """In place, as `cp` does it: the inode stays."""
        for content, name in ((self.main, path), (self.wal, beside(path, "-wal"))):
            with name.open("wb") as written:
                written.write(content)
        beside(path, "-shm").unlink(missing_ok=True)


def killed(path: Path, *, minutes: range, checkpoint: str = "TRUNCATE") -> Found:
    """What a service leaves that is killed after writing: some of it in the file, and some beside it."""
    with closing(opened(path)) as store:
        for minute in minutes:
            if minute == minutes[len(minutes) // 2]:
                with closing(sqlite3.connect(path)) as other:
                    other.execute(f"PRAGMA wal_checkpoint({checkpoint})")
            write(store, minute)
        return Found.of(path)


def other_copies(path: Path) -> Iterator[tuple[str, bytes, Found]]:
    """What may be put in the file's place, and the `-wal` that would still be beside it."""
    early = path.read_bytes()
    with closing(opened(path)) as store:
        write(store, 1)
        assert not store.backup(beside(path, ".backup"), LATER)
    backup = beside(path, ".backup").read_bytes()
    before = killed(path, minutes=range(2, 6))
    yield "a copy of the file from before", early, before
    yield "a backup", backup, before
    after = killed(path, minutes=range(6, 10))
    yield "a later copy", after.main, before
    # All of it lies in the `-wal`: the number alone tells that somebody chose the backup.
    with closing(opened(path)) as store:
        write(store, 11)
        assert not store.backup(beside(path, ".backup"), LATER, is_forced=True)
        write(store, 12)
        yield "a backup of what is in the -wal", beside(path, ".backup").read_bytes(), Found.of(path)
    another = beside(path, ".another")
    with closing(opened(another)) as store:
        known(store, databases=40)
    yield "another store", another.read_bytes(), after


def test_no_door_opens_a_file_that_was_overwritten_and_nothing_is_changed(file: Path) -> None:
    for what, copy, left in list(other_copies(file)):
        Found(copy, left.wal).put(file)
        for door, open_it in DOORS.items():
            with pytest.raises(StoreGone, match=SAID):
                open_it(f"sqlite:///{file}")
            assert Found.of(file) == Found(copy, left.wal), (what, door)
        # What the message says to do.
        for suffix in ("-wal", "-shm"):
            beside(file, suffix).unlink(missing_ok=True)
        with closing(opened(file)) as store:
            assert list(store.violations(LATER)) == []
        assert file.stat().st_size >= len(copy)


def test_what_a_kill_leaves_at_any_moment_is_opened_and_whole(file: Path) -> None:
    moments: list[tuple[Found, int]] = []
    with closing(opened(file)) as store, closing(sqlite3.connect(file, isolation_level=None)) as other:
        for minute in range(1, 13):
            write(store, minute)
            moments.append((Found.of(file), minute * 40))
            if not minute % 2:
                other.execute(f"PRAGMA wal_checkpoint({('PASSIVE', 'RESTART', 'TRUNCATE')[minute % 3]})")
                moments.append((Found.of(file), minute * 40))
            if minute in {3, 8}:
                # Somebody else's program, which knows nothing of versions.
                other.execute(f"CREATE TABLE made_{minute} (x)")
                moments.append((Found.of(file), minute * 40))
            if minute == 6:
                store.prune(NOW + timedelta(seconds=1))
    for found, readings in moments:
        found.put(file)
        Store.open_to_read(f"sqlite:///{file}").close()
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            assert connection.execute("SELECT count(*) FROM readings").fetchall() == [(readings,)]


def test_what_was_half_written_when_the_machine_went_down_keeps_nobody_out(file: Path) -> None:
    left = killed(file, minutes=range(1, 5))
    frames = (len(left.wal) - 32) // FRAME
    assert frames > 3
    in_frames = [32 + FRAME * frame + at for frame in (0, 1, frames - 1) for at in (0, 24, 100, FRAME - 1)]
    for cut in (0, 31, *in_frames):
        Found(left.main, left.wal[:cut]).put(file)
        opened(file).close()
        # The frame is there, its page is not.
        Found(left.main, left.wal[:cut] + b"\xa5" * (len(left.wal) - cut)).put(file)
        opened(file).close()
        salts = left.wal[:cut] + left.wal[cut:].replace(struct.pack(">I", 1), struct.pack(">I", 77))
        Found(left.main, salts).put(file)
        opened(file).close()


def test_a_copy_of_what_the_wal_goes_over_is_opened_and_becomes_what_was_written_last(file: Path) -> None:
    """As SQLite's own recovery does: there is nothing in it that is of another store."""
    with closing(opened(file)) as store:
        base = file.read_bytes()
        for minute in range(1, 4):
            write(store, minute)
        left = Found.of(file)
    Found(base, left.wal).put(file)
    with closing(opened(file)) as store:
        assert list(store.violations(LATER)) == []
    assert readings_in(file) == 3 * 40


OVERWRITTEN = """
import os, shutil, sqlite3, sys
from datetime import UTC, datetime
from pathlib import Path
from prisma_postgres_exporter.errors import StoreGone
from prisma_postgres_exporter.store import Store
path, copy = map(Path, sys.argv[1:])
wal = path.with_name(path.name + "-wal")
store = Store.open(f"sqlite:///{path}")
for _ in range(3):
    with store._writing() as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS written AS SELECT randomblob(200000) AS text")
        connection.exec_driver_sql("UPDATE written SET text = randomblob(200000)")
shutil.copyfile(copy, path)
before = wal.read_bytes()
try:
    store.ping()
except StoreGone as error:
    assert "was overwritten with another while it was in use" in str(error), error
else:
    sys.exit("it was written")
with store._engine.connect() as one, store._engine.connect() as another:
    one.exec_driver_sql("SELECT 1"), another.exec_driver_sql("SELECT 1")
store.close()
del store
assert wal.read_bytes() == before != b""
assert path.read_bytes() == copy.read_bytes()
"""


@pytest.mark.slow
def test_a_service_whose_file_is_overwritten_writes_nothing_more_and_nothing_at_its_end(file: Path) -> None:
    copy = beside(file, ".copy")
    with closing(opened(file)) as store:
        assert not store.backup(copy, NOW)
    before = copy.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", OVERWRITTEN, str(file), str(copy)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert file.read_bytes() == copy.read_bytes() == before
    with pytest.raises(StoreGone, match=SAID):
        opened(file)


def test_the_locks_of_an_open_store_stay_when_the_version_of_its_file_is_read(file: Path) -> None:
    """To close a file drops every lock that the process has on it; SQLite keeps it open until they are gone."""
    with closing(opened(file)) as store:
        write(store, 1)
        held = f":{file.stat().st_ino} "
        before = Path("/proc/locks").read_text().count(held)
        sqlite_wal.version_of(str(file))
        sqlite_wal.require_own_wal(str(file))
        assert Path("/proc/locks").read_text().count(held) == before > 0


def test_a_file_that_a_checkpoint_makes_longer_is_not_called_damaged(file: Path) -> None:
    """The first page says how long the file will be before it is."""
    with closing(sqlite3.connect(file, isolation_level=None)) as growing:
        growing.execute("CREATE TABLE grown (content)")
        growing.execute("PRAGMA wal_autocheckpoint = 20")
        growing.execute("PRAGMA user_version = 1")
        growing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        is_over = threading.Event()

        def ask() -> list[int | None]:
            found = []
            while not is_over.is_set():
                found.append(sqlite_wal.version_of(str(file)))
            return found

        with ThreadPoolExecutor(1) as asking:
            asked = asking.submit(ask)
            for version in range(2, 400):
                growing.execute("BEGIN IMMEDIATE")
                growing.executemany("INSERT INTO grown VALUES (randomblob(4000))", [()] * 10)
                growing.execute(f"PRAGMA user_version = {version}")
                growing.execute("COMMIT")
            is_over.set()
            found = [version for version in asked.result() if version is not None]
    assert found == sorted(found)


def test_where_the_file_does_not_say_its_version_it_is_written_all_the_same(file: Path) -> None:
    with closing(opened(file)) as store:
        write(store, 1)
        with file.open("r+b") as damaged:
            damaged.seek(28)
            pages = damaged.read(4)
            damaged.seek(28)
            damaged.write(struct.pack(">I", 1_000_000))
            damaged.flush()
            assert sqlite_wal.version_of(str(file)) is None
            write(store, 2)
            damaged.seek(28)
            damaged.write(pages)
        write(store, 3)
    with closing(opened(file)) as store:
        assert list(store.violations(LATER)) == []


def test_after_the_greatest_version_comes_none_until_the_next_opening(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {sqlite_wal.VERSIONS - 3}")
        connection.commit()
    left = killed(file, minutes=range(1, 7), checkpoint="PASSIVE")
    assert sqlite_wal.version_of(str(file)) == 0
    left.put(file)
    opened(file).close()
    # It is a new one.
    assert (sqlite_wal.version_of(str(file)) or 0) > 0
    assert 2 in sqlite_wal.Versions(first=sqlite_wal.VERSIONS - 2, last=5)
    assert 6 not in sqlite_wal.Versions(first=sqlite_wal.VERSIONS - 2, last=5)


def test_a_copy_that_is_moved_into_the_place_of_a_link_is_told_too(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(file)
    early = file.read_bytes()
    left = killed(file, minutes=range(1, 5))
    Found(early, left.wal).put(file)
    with pytest.raises(StoreGone, match="was written for"):
        Store.open_to_read(f"sqlite:///{link}")


def test_a_first_page_that_a_checkpoint_wrote_before_the_rest_is_of_the_same_store(file: Path) -> None:
    """The file is shorter than that page says, as a full disk or a kill in the middle of it leave it."""
    with closing(opened(file)) as store:
        with closing(sqlite3.connect(file)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for minute in range(1, 40):
            write(store, minute)
        left = Found.of(file)
    frames = [left.wal[at : at + FRAME] for at in range(32, len(left.wal), FRAME)]
    newest = [frame[24:] for frame in frames if frame[:4] == struct.pack(">I", 1)][-1]
    assert struct.unpack_from(">I", newest, 28)[0] * 4_096 > len(left.main)
    half = Found(newest + left.main[4_096:], left.wal)
    for door, open_it in DOORS.items():
        half.put(file)
        if isinstance(found := open_it(f"sqlite:///{file}"), Store):
            found.close()
        with closing(opened(file)) as store:
            assert list(store.violations(LATER)) == [], door
        assert readings_in(file) == 39 * 40, door


# A store of a version that counted nothing ---------------------------------------------------------
def aged(path: Path) -> None:
    """Make it one, in WAL mode."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        connection.execute("PRAGMA user_version = 0")
        assert connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)


def left_by_older(path: Path) -> Found:
    """What an older version leaves that is killed: something in the file, and something beside it."""
    aged(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as older:
        older.execute("PRAGMA wal_autocheckpoint = 0")
        for number in range(30):
            older.execute(f"CREATE TABLE made_{number} AS SELECT randomblob(9000) AS content")
        found = Found.of(path)
    found.put(path)
    assert sqlite_wal.version_of(str(path)) == 0
    return found


def test_a_backup_of_an_older_version_is_not_mixed_with_what_this_one_wrote(file: Path) -> None:
    aged(file)
    backup = file.read_bytes()
    left = killed(file, minutes=range(1, 6))
    assert left.main[18:20] == b"\2\2"
    for door, open_it in DOORS.items():
        Found(backup, left.wal).put(file)
        with pytest.raises(StoreGone, match=SAID):
            open_it(f"sqlite:///{file}")
        assert Found.of(file) == Found(backup, left.wal), door


def test_only_who_writes_gives_a_store_of_an_older_version_its_first_one(file: Path) -> None:
    found = left_by_older(file)
    for door, open_it in DOORS.items():
        if door not in {"open", "open to repair"}:
            found.put(file)
            if isinstance(store := open_it(f"sqlite:///{file}"), Store):
                store.close()
            assert sqlite_wal.version_of(str(file)) == 0, door
    versions = set()
    for _ in range(2):
        found.put(file)
        with closing(opened(file)) as store:
            versions.add(sqlite_wal.version_of(str(file)))
            assert list(store.violations(LATER)) == []
    assert len(versions - {0, None}) == 2


def test_a_store_of_an_older_version_that_somebody_reads_gets_its_first_one_later(file: Path) -> None:
    aged(file)
    with closing(Store.open_to_read(f"sqlite:///{file}")) as reading_it:
        assert reading_it.load(NOW).workspaces
        with closing(opened(file)) as store:
            write(store, 1)
            assert query(f"sqlite:///{file}", "PRAGMA user_version") == [(0,)]
    assert sqlite_wal.version_of(str(file)) == 0
    opened(file).close()
    assert (sqlite_wal.version_of(str(file)) or 0) > 0
    assert readings_in(file) == 40


def test_a_store_of_an_older_version_that_was_killed_as_its_file_grew_gets_its_first_one(file: Path) -> None:
    found = left_by_older(file)
    with closing(sqlite3.connect(file)) as older:
        older.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    grown = file.read_bytes()
    Found(grown[: len(grown) // 2], found.wal).put(file)
    assert sqlite_wal.version_of(str(file)) is None
    opened(file).close()
    assert (sqlite_wal.version_of(str(file)) or 0) > 0


ADOPTED = """
import os, random, signal, sqlite3, sys, time
from pathlib import Path
from sqlalchemy.engine import URL
from prisma_postgres_exporter.store import Store, sqlite, sqlite_wal
from prisma_postgres_exporter.store.patience import Patience
main, wal = (Path(name).read_bytes() for name in sys.argv[2:])
path = Path(sys.argv[1])
url = URL.create("sqlite+pysqlite", database=str(path))
chance = random.Random(5)

def begin(count):
    for suffix, content in (("", main), ("-wal", wal), ("-shm", None), ("-journal", None)):
        name = path.with_name(path.name + suffix)
        name.unlink(missing_ok=True) if content is None else name.write_bytes(content)
    children = []
    for _ in range(count):
        if not (child := os.fork()):
            sqlite.adopt(url)
            os._exit(0)
        children.append(child)
    return children

def look():
    sqlite_wal.require_own_wal(str(path))
    sqlite.adopt(url)
    engine = sqlite.create_engine(url, is_read_only=False, is_lasting=True, patience=Patience())
    engine.connect().close()
    engine.dispose()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    [(made,)] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name GLOB 'made_*'")
    assert made == 30, made
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    assert sqlite_wal.version_of(str(path)) > 0

began = time.monotonic()
os.waitpid(begin(1)[0], 0)
whole = time.monotonic() - began
moments = set()
for count in [1] * 48 + [2] * 12:
    children = begin(count)
    if count == 1:
        time.sleep(whole * chance.random())
        os.kill(children[0], signal.SIGKILL)
    for child in children:
        status = os.waitpid(child, 0)[1]
        assert count == 1 or status == 0, status
    modes, journal = path.read_bytes()[18:20], path.with_name(path.name + "-journal").exists()
    moments.add((modes, journal, path.with_name(path.name + "-wal").exists(), sqlite_wal.version_of(str(path)) == 0))
    look()
Store.open(f"sqlite:///{path}").close()
print(len(moments), moments)
"""


@pytest.mark.slow
def test_killed_at_any_moment_of_getting_its_first_version_the_store_is_whole(file: Path) -> None:
    found = left_by_older(file)
    contents = beside(file, ".main"), beside(file, ".left")
    for name, content in zip(contents, (found.main, found.wal), strict=True):
        name.write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", ADOPTED, str(file), *map(str, contents)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 2, done.stdout


def test_a_wal_of_another_file_is_told_without_reading_all_of_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    early = file.read_bytes()
    killed(file, minutes=range(1, 3))
    with closing(opened(file)) as store:
        for minute in range(3, 30):
            write(store, minute)
        left = Found.of(file)
    Found(early, left.wal).put(file)
    summed: list[int] = []
    sum_of = sqlite_wal._sum

    def counted(order: str, content: bytes, sums: tuple[int, int]) -> tuple[int, int]:
        summed.append(len(content))
        return sum_of(order, content, sums)

    monkeypatch.setattr(sqlite_wal, "_sum", counted)
    with pytest.raises(StoreGone, match=SAID):
        opened(file)
    assert sum(summed) < len(left.wal) / 4
