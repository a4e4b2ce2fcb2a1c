"""A copy of a SQLite store is one moment of it, whole and sound, or is not there."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from lived_store import ENDS_AT, live_round
from store_values import execute, generations

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.store import Store, sqlite

LATER = ENDS_AT + timedelta(days=30)
TESTS = Path(__file__).parent


@pytest.fixture
def path(lived_file: Path, tmp_path: Path) -> Path:
    """Where a store is that has lived for a month."""
    path = tmp_path / "live" / "store.db"
    path.parent.mkdir()
    shutil.copy(lived_file, path)
    return path


@pytest.fixture
def lived(path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{path}")
    yield store
    store.close()


def opened(file: Path) -> Store:
    return Store.open_to_read(f"sqlite:///{file}")


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a script of this folder, and wait for its first line."""
    process = subprocess.Popen(
        [sys.executable, str(TESTS / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_backup_holds_what_the_store_held_for_its_owner_only(lived: Store, tmp_path: Path) -> None:
    file = tmp_path / "odd ?name% #1.db"
    assert lived.backup(file, ENDS_AT) == ()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == [file.name]
    copied = opened(file.rename(tmp_path / "copy.db"))
    assert copied.load(ENDS_AT) == lived.load(ENDS_AT)
    assert list(copied.days()) == list(lived.days())
    assert copied.summary().rows == lived.summary().rows
    copied.close()


def test_a_backup_is_the_moment_at_which_it_began_whatever_is_written_meanwhile(
    lived: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "COPIED_PAGES", 2)
    ledger_state, seen = lived.load(ENDS_AT), []

    def write(copied: int, total: int) -> None:
        seen.append((copied, total))
        now = ENDS_AT + timedelta(minutes=len(seen))
        live_round(lived, lived.load(now), now, PollConfig(interval=timedelta(minutes=1)))

    assert lived.backup(tmp_path / "copy.db", LATER, on_progress=write) == ()
    copied = opened(tmp_path / "copy.db")
    assert copied.load(ENDS_AT) == ledger_state
    copied.close()
    # It never began anew: each step goes on where the last one ended.
    assert len(seen) > 10
    assert [pages for pages, _ in seen[:-1]] == [2 * step for step in range(1, len(seen))]
    for id_, generation in generations(ledger_state).items():
        assert generations(lived.load(LATER))[id_] == generation + len(seen)


@pytest.mark.slow
def test_a_backup_beside_a_process_that_writes_is_sound(path: Path, tmp_path: Path) -> None:
    writer = start("backup_writer.py", f"sqlite:///{path}")
    store = opened(path)
    try:
        writes = []
        for number in range(10):
            file = tmp_path / f"copy-{number}.db"
            assert store.backup(file, LATER) == ()
            copied = opened(file)
            writes.append(copied.state().generation)
            copied.close()
        assert writer.poll() is None
    finally:
        kill(writer)
        store.close()
    assert writes == sorted(writes)
    assert writes[-1] > writes[0]


@pytest.mark.parametrize("before", [None, b"an older backup"])
def test_a_backup_that_is_killed_leaves_what_was_there(path: Path, tmp_path: Path, before: bytes | None) -> None:
    file = tmp_path / "copy.db"
    if before is not None:
        file.write_bytes(before)
    kill(start("backup_stopper.py", f"sqlite:///{path}", str(file)))
    assert (file.read_bytes() if file.exists() else None) == before


def test_a_backup_that_fails_leaves_nothing(lived: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "COPIED_PAGES", 5)

    def interrupt(copied: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lived.backup(tmp_path / "copy.db", ENDS_AT, on_progress=interrupt)
    assert [entry.name for entry in tmp_path.iterdir()] == ["live"]


def test_a_backup_of_a_store_that_breaks_a_rule_is_not_kept(lived: Store, path: Path, tmp_path: Path) -> None:
    execute(f"sqlite:///{path}", "UPDATE positions SET operations_total = 1 WHERE database_key = 2")
    [broken] = lived.backup(tmp_path / "copy.db", ENDS_AT)
    assert (broken.rule, broken.database_id) == ("counter-is-the-sum-of-its-days", "db_2")
    assert [entry.name for entry in tmp_path.iterdir()] == ["live"]


def test_a_file_is_overwritten_only_by_force(lived: Store, tmp_path: Path) -> None:
    file = tmp_path / "copy.db"
    file.write_text("mine")
    with pytest.raises(ConfigurationError, match="--force"):
        lived.backup(file, ENDS_AT)
    assert file.read_text() == "mine"
    assert lived.backup(file, ENDS_AT, is_forced=True) == ()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("name", ["absent/copy.db", "live"])
def test_a_place_that_no_file_can_be_put_in_is_named(lived: Store, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        lived.backup(tmp_path / name, ENDS_AT, is_forced=True)


def test_a_server_is_left_to_its_own_tools(postgres_url: str, tmp_path: Path) -> None:
    store = Store.open(postgres_url)
    with pytest.raises(ConfigurationError, match="pg_dump"):
        store.backup(tmp_path / "copy.db", ENDS_AT)
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_never_put_over_the_store_itself(lived: Store, path: Path) -> None:
    lived.ping()
    link, hard = path.with_name("link.db"), path.with_name("hard.db")
    link.symlink_to(path)
    hard.hardlink_to(path)
    own = [path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm", "-journal", ".lock")]
    before = {name: name.stat().st_ino for name in (path, *own) if name.exists()}
    assert len(before) > 3
    for target in (path, path.parent / ".." / "live" / "store.db", link, hard, *own):
        for is_forced in (True, False):
            with pytest.raises(ConfigurationError, match=r"store\.db.* of the store itself; name another file"):
                lived.backup(target, LATER, is_forced=is_forced)
    assert {name: name.stat().st_ino for name in (path, *own) if name.exists()} == before
