"""What is particular to SQLite: the file, its mode and its size."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from store_values import DAY, NOW, TODAY, day_usage, generations, known, reading, settled_day

from prisma_postgres_exporter.model import DayUsage, LedgerUpdate
from prisma_postgres_exporter.store import Store

DATABASES = 1_000


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose_umask")
def test_only_the_owner_can_read_the_file_and_what_lies_beside_it(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}")
    known(store)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm", "store.db.lock"), "0o600")
    store.close()


def test_a_relative_path_stays_where_it_was_when_the_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store.open("sqlite:///store.db")
    monkeypatch.chdir("/")
    store.close()
    assert generations(known(store)) == {"wksp_1": 1}
    assert store.url == f"sqlite:///{tmp_path / 'store.db'}"
    store.close()


def test_the_file_writes_ahead_and_can_shrink(tmp_path: Path) -> None:
    Store.open(f"sqlite:///{tmp_path / 'store.db'}").close()
    connection = sqlite3.connect(tmp_path / "store.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()


def test_a_reading_takes_at_most_45_bytes(tmp_path: Path) -> None:
    updates = [
        LedgerUpdate(
            readings=tuple(
                reading(key, NOW + timedelta(seconds=300 * round_ + key % 60), window=window, operations=key * 5_000)
                for key in range(1, DATABASES + 1)
                for window in ("day", "month")
            )
        )
        for round_ in range(10)
    ]
    assert bytes_taken(tmp_path / "store.db", updates) / (10 * DATABASES * 2) <= 45


def test_a_day_kept_for_ever_takes_at_most_60_bytes(tmp_path: Path) -> None:
    updates = [
        LedgerUpdate(other_days=tuple(rows))
        for back in range(10, 0, -1)
        for rows in zip(*(life_of_a_day(key, back) for key in range(1, DATABASES + 1)), strict=True)
    ]
    assert bytes_taken(tmp_path / "store.db", updates) / (10 * DATABASES) <= 60


def life_of_a_day(key: int, back: int) -> Iterator[DayUsage]:
    """A day's row as it grows, closes and settles."""
    day = TODAY - back * DAY
    for hours in (1, 6, 12, 18, 23):
        yield day_usage(
            key,
            day,
            operations=key * hours * 40,
            operations_high=key * hours * 40,
            storage_byte_seconds=(5 << 30) * 3_600 * hours,
            storage_seconds=3_600 * hours,
            read_at=NOW - back * DAY + timedelta(hours=hours - 12, seconds=key % 60),
        )
    full = {"storage_byte_seconds": (5 << 30) * 86_400, "storage_seconds": 86_400, "operations": key * 1_000}
    yield settled_day(key, day, operations_high=key * 1_000, **full)


def bytes_taken(path: Path, updates: list[LedgerUpdate]) -> int:
    store = Store.open(f"sqlite:///{path}")
    known(store, databases=DATABASES)
    store.close()
    empty = path.stat().st_size
    for generation, update in enumerate(updates, start=1):
        store.record(update, workspace_id="wksp_1", generation=generation, at=NOW)
    store.close()
    return path.stat().st_size - empty


@pytest.mark.parametrize(("is_lasting", "level"), [(True, 2), (False, 0)], ids=["to be kept", "to be thrown away"])
def test_a_write_waits_for_the_disk_where_the_store_is_kept(tmp_path: Path, is_lasting: bool, level: int) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'store.db'}", is_lasting=is_lasting)
    try:
        with store._writing() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
    finally:
        store.close()
