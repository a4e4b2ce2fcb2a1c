"""Cost, showback and forecast of every database with 62 days each, beside the cycle that they are a part of."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from test_two_years import DATABASES, NOW, database_of, month_of, reading_of

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.cost import charge
from prisma_postgres_exporter.forecast import forecast_operations
from prisma_postgres_exporter.model import Book, Position, Workspace, WorkspaceDay, WorkspacePosition

pytestmark = pytest.mark.benchmark

DAYS = 62
READS_A_DATABASE = int(os.environ.get("READS", "6"))
CLIENT_SECONDS_A_READ = 0.00038
"""CPU of one request with the bare client, as measured for the choice of it."""


def test_costs_take_little_of_a_cycle() -> None:
    book = _book()
    config = load_config(environ={})
    days = tuple(
        WorkspaceDay(
            workspace_key=key,
            day=NOW.date() - timedelta(days=back),
            operations=1_000_000 + back * key,
            storage_byte_seconds=2**40,
            storage_seconds=86_400,
        )
        for back in range(DAYS, 0, -1)
        for key in {position.workspace_key for position in book.positions.values()}
    )
    charging = min(_seconds(lambda: charge(book, config, days, NOW)) for _ in range(5))
    numbers = [1_000 + 7 * (back % 7) for back in range(DAYS)]
    forecasting = min(_seconds(lambda: forecast_operations(numbers, today_operations=500, now=NOW)) for _ in range(50))
    readings = [reading_of(id_, NOW) for id_ in book.positions]
    posting = min(_seconds(lambda: ledger.post(book, readings, settle_after=timedelta(hours=6))) for _ in range(3))
    cycle = DATABASES * READS_A_DATABASE * CLIENT_SECONDS_A_READ + posting * READS_A_DATABASE
    print(f"\n{DATABASES:,} databases, {DAYS} days: cost and showback {charging * 1_000:.0f} ms CPU, once a minute")
    print(f"  one forecast {forecasting * 1_000_000:.0f} us, {DATABASES:,} would be {forecasting * DATABASES:.2f} s")
    print(f"  a cycle of {READS_A_DATABASE} windows of each takes about {cycle:.1f} s: {charging / cycle:.1%} of it")


def _seconds(do: object) -> float:
    assert callable(do)
    begun = time.process_time()
    do()
    return time.process_time() - begun


def _book() -> Book:
    positions = {}
    for number in range(DATABASES):
        database = database_of(number)
        key = number // 1_000 + 1
        positions[database.id] = Position(
            key=number + 1,
            workspace_key=key,
            database=database,
            first_seen_at=NOW,
            counted_from=NOW.date(),
            known_until=NOW.date() - timedelta(days=1),
            checked_until=NOW.date(),
            months=(replace(month_of(number + 1, NOW.date()), workspace_key=key, storage_seconds=86_400),),
        )
    workspaces = {
        f"wksp_{number}": WorkspacePosition(
            key=number + 1,
            workspace=Workspace(id=f"wksp_{number}", name=f"workspace {number}", plan="Pro"),
            first_seen_at=NOW,
        )
        for number in range(DATABASES // 1_000 + 1)
    }
    return Book(generation=1, workspaces=workspaces, positions=positions)
