"""What the schema's row rules cost a writer: `pytest -m benchmark -s tests/benchmarks/test_row_rules.py`.

Rounds of the same store with and without them, in turns; `DATABASES=10000` and `ROUNDS=8` choose the size.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from postgres import PostgresServer
from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.model import (
    Database,
    Discovered,
    UsageReading,
    Window,
    WindowKind,
    Workspace,
    WorkspaceState,
    day_start,
)
from prisma_postgres_exporter.store import Store

pytestmark = pytest.mark.benchmark

DATABASES = int(os.environ.get("DATABASES", "10000"))
ROUNDS = int(os.environ.get("ROUNDS", "8"))
DATABASE = Database(
    id="db",
    name="a database",
    project_id="proj_1",
    project_name="a project",
    workspace_id="wksp_1",
    region="eu-west-3",
    status="ready",
    is_default=False,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
BEGINS_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SQLITE_OFF = "PRAGMA ignore_check_constraints = ON", "PRAGMA foreign_keys = OFF"
WITHOUT = {
    # what is left out, as statements on each connection of a file, and the kinds of constraints dropped on a server
    "all rules": ((), ""),
    "no references": (SQLITE_OFF[1:], "'f'"),
    "no rules": (SQLITE_OFF, "'c', 'f'"),
}
DROP = """
DO $$
DECLARE found record;
BEGIN
    FOR found IN SELECT conrelid::regclass::text AS owner, conname FROM pg_constraint
        WHERE contype IN (KINDS) AND conparentid = 0 AND coninhcount = 0 AND connamespace = 'public'::regnamespace
    LOOP
        EXECUTE 'ALTER TABLE ' || found.owner || ' DROP CONSTRAINT ' || found.conname;
    END LOOP;
END $$
"""


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_what_the_row_rules_cost(engine: str, shared_postgres: PostgresServer) -> None:
    with ExitStack() as kept:
        stores = {}
        for name, (pragmas, kinds) in WITHOUT.items():
            if engine == "sqlite":
                url = f"sqlite:///{kept.enter_context(TemporaryDirectory())}/store.db"
            else:
                url = kept.enter_context(shared_postgres.fresh_database())
            stores[name] = kept.enter_context(closing(prepared(url, pragmas if engine == "sqlite" else (), kinds)))
        states = {name: founded(store) for name, store in stores.items()}
        seconds: dict[str, list[float]] = {name: [] for name in stores}
        for number in range(1, ROUNDS + 1):
            # Every other one begins a day.
            now = BEGINS_AT + number * timedelta(hours=12)
            for name, store in stores.items():
                outcomes = [reading for id_ in states[name].databases for reading in readings_of(id_, now)]
                update = ledger.post(states[name], outcomes, settle_after=timedelta(hours=6), now=now)
                begun = time.perf_counter()
                generation = store.record(update, workspace_id="wksp_1", generation=states[name].generation, at=now)
                seconds[name].append(time.perf_counter() - begun)
                states[name] = ledger.apply(states[name], update, generation=generation)
        for name, took in seconds.items():
            ratio = statistics.median(own / bare for own, bare in zip(took, seconds["no rules"], strict=True))
            print(
                f"  {engine:<9} {name:<14} {statistics.median(took) * 1_000:>7,.0f} ms a round, {ratio:.2f} x",
                flush=True,
            )


def prepared(url: str, pragmas: Iterable[str], kinds: str) -> Store:
    store = Store.open(url)
    if pragmas:
        store.close()

        @event.listens_for(store._engine, "connect")
        def leave_out(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
            for pragma in pragmas:
                connection.cursor().execute(pragma)

    elif kinds and not url.startswith("sqlite"):
        with store._engine.begin() as connection:
            connection.execute(text(DROP.replace("KINDS", kinds)))
    return store


def founded(store: Store) -> WorkspaceState:
    found = Discovered(
        at=BEGINS_AT,
        workspaces=(Workspace(id="wksp_1", name="one"),),
        databases=tuple(replace(DATABASE, id=f"db_{number}") for number in range(DATABASES)),
    )
    store.record_discovery(found, generations={})
    return store.load(BEGINS_AT).workspaces["wksp_1"]


def readings_of(database_id: str, now: datetime) -> Iterator[UsageReading]:
    """What a round asks of a database: its open day and three windows."""
    for name, kind, start_at in (
        ("day", WindowKind.DAY, day_start(now.date())),
        ("24h", WindowKind.ROLLING, now - timedelta(days=1)),
        ("7d", WindowKind.ROLLING, now - timedelta(days=7)),
        ("30d", WindowKind.ROLLING, now - timedelta(days=30)),
    ):
        end_at = now + timedelta(hours=1)
        yield UsageReading(
            database_id=database_id,
            window=Window(kind=kind, name=name, start_at=start_at, end_at=end_at),
            period_start_at=start_at,
            period_end_at=end_at,
            operations=123_456 + int(now.timestamp()) // 100,
            storage_bytes=2**30,
            generated_at=now,
            read_at=now,
        )
