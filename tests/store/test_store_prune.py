from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from store_values import DAY, NOW, day_usage, known, month_usage, post, reading, rows_of, update_of

from prisma_postgres_exporter.model import LedgerUpdate
from prisma_postgres_exporter.store import Store

WEEK = 7 * DAY


def test_pruning_removes_old_readings_and_no_newer_ones(store: Store, store_url: str) -> None:
    known(store)
    kept = tuple(reading(read_at=NOW - timedelta(hours=hours)) for hours in range(48))
    old = tuple(reading(read_at=NOW - 3 * WEEK - timedelta(hours=hours)) for hours in range(100))
    post(store, LedgerUpdate(readings=kept + old))
    assert store.prune(NOW - 2 * WEEK) == 100
    assert len(rows_of(store_url, "readings")) == 48
    assert store.prune(NOW - 2 * WEEK) == 0


def test_pruning_changes_no_total(store: Store) -> None:
    state = known(store).databases["db_1"]
    update = update_of(state, operations_total=9, recent_days=(day_usage(),), months=(month_usage(),))
    ledger_state = post(store, replace(update, readings=(reading(read_at=NOW - 9 * WEEK),)))
    assert store.prune(NOW - WEEK) == 1
    assert store.load(NOW) == ledger_state
    assert list(store.days()) == [day_usage()]


def test_a_pruned_week_can_be_written_again(store: Store, store_url: str) -> None:
    known(store)
    old = LedgerUpdate(readings=(reading(read_at=NOW - 9 * WEEK),))
    post(store, old)
    store.prune(NOW)
    post(store, old)
    assert len(rows_of(store_url, "readings")) == 1


def test_readings_are_written_while_others_are_pruned(store: Store, store_url: str) -> None:
    known(store)
    old = tuple(reading(key, NOW - 9 * WEEK + timedelta(seconds=i)) for i in range(2_000) for key in range(1, 11))
    post(store, LedgerUpdate(readings=old))
    pruned: list[int] = []
    pruning = threading.Thread(target=lambda: pruned.append(store.prune(NOW - WEEK)))
    pruning.start()
    for minute in range(20):
        post(store, LedgerUpdate(readings=(reading(read_at=NOW + timedelta(minutes=minute)),)))
    pruning.join()
    assert pruned == [20_000]
    assert len(rows_of(store_url, "readings")) == 20


def test_a_pruned_file_gives_its_space_back(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store.open(f"sqlite:///{path}")
    known(store)
    old = tuple(reading(key, NOW - 9 * WEEK + timedelta(seconds=i)) for i in range(15_000) for key in range(1, 11))
    post(store, LedgerUpdate(readings=old))
    store.close()
    full = path.stat().st_size
    store = Store.open(f"sqlite:///{path}")
    assert store.prune(NOW) == 150_000
    store.close()
    assert path.stat().st_size < full / 2
