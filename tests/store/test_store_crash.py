"""A writer that is killed at any moment leaves a whole store."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from store_values import NOW, known, query

from prisma_postgres_exporter.store import Store

KILLS = 10
DATABASES = 200


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_whole_rounds(store: Store, store_url: str) -> None:
    known(store, databases=DATABASES)
    chance = random.Random(3)
    generation = 1
    for _ in range(KILLS):
        rounds = kill_after(store_url, chance.randint(1, 4), chance.random() / 50)
        workspace = store.load(NOW).workspaces["wksp_1"]
        assert workspace.generation >= generation + rounds
        generation = workspace.generation
        for state in workspace.databases.values():
            # Every database moves by one in each round: after the discovery, once a generation.
            assert state.operations_total == generation - 1
            assert sum(day.operations_high for day in state.recent_days if day.is_counted) == generation - 1
        # In one statement: a server may finish what the killed process had asked for.
        [(written, readings)] = query(store_url, "SELECT generation, (SELECT count(*) FROM readings) FROM workspaces")
        assert readings == (written - 1) * DATABASES
        Store.open(store_url).close()
    assert generation > KILLS


def kill_after(url: str, rounds: int, seconds: float) -> int:
    """Let a process write, and kill it a moment after it said that so many rounds are recorded."""
    writer = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("crash_writer.py")), url], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    recorded = [writer.stdout.readline() for _ in range(rounds)]
    assert recorded == ["recorded\n"] * rounds
    try:
        writer.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        writer.kill()
    writer.communicate()
    assert writer.returncode == -9
    return rounds
