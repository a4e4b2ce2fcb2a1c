"""Cost, showback and forecast of every database with 62 days each, beside the readings of as many."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest

from builders import NOW, ONE_DAY, database_state, day_window, month_usage, reading, workspace_state
from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.cost import charge
from prisma_postgres_exporter.forecast import forecast_operations
from prisma_postgres_exporter.model import LedgerState, WorkspaceDay

pytestmark = pytest.mark.benchmark

DATABASES = int(os.environ.get("DATABASES", "10000"))
DAYS = 62
READS_A_DATABASE = int(os.environ.get("READS", "6"))
CLIENT_SECONDS_A_READ = 0.00038
"""CPU of one request with the bare client, as measured for the choice of it."""


def test_costs_take_little_of_what_the_readings_take() -> None:
    ledger_state = _ledger_state()
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
        for key in (row.key for row in ledger_state.workspaces.values())
    )
    charging = min(_seconds(lambda: charge(ledger_state, config, days, NOW)) for _ in range(5))
    numbers = [1_000 + 7 * (back % 7) for back in range(DAYS)]
    forecasting = min(_seconds(lambda: forecast_operations(numbers, today_operations=500, now=NOW)) for _ in range(50))
    post = min(_seconds(lambda: _post(ledger_state)) for _ in range(3))
    readings = DATABASES * READS_A_DATABASE * CLIENT_SECONDS_A_READ + post * READS_A_DATABASE
    print(f"\n{DATABASES:,} databases, {DAYS} days: cost and showback {charging * 1_000:.0f} ms CPU, once a minute")
    print(f"  one forecast {forecasting * 1_000_000:.0f} us, {DATABASES:,} would be {forecasting * DATABASES:.2f} s")
    print(f"  {READS_A_DATABASE} readings of each take about {readings:.1f} s: {charging / readings:.1%} of it")


def _seconds(do: object) -> float:
    assert callable(do)
    begun = time.process_time()
    do()
    return time.process_time() - begun


def _post(ledger_state: LedgerState) -> None:
    """Post a reading of every database's open day, workspace by workspace."""
    window = day_window(NOW.date())
    for workspace in ledger_state.workspaces.values():
        readings = [reading(window, 123_456_789, database_id=id_) for id_ in workspace.databases]
        ledger.post(workspace, readings, settle_after=timedelta(hours=6), now=NOW)


def _ledger_state() -> LedgerState:
    states = (
        database_state(
            f"db_{number}",
            key=number + 1,
            workspace_key=number // 1_000 + 1,
            known_until=NOW.date() - ONE_DAY,
            months=(
                month_usage(
                    NOW.date().replace(day=1),
                    number + 1,
                    database_key=number + 1,
                    workspace_key=number // 1_000 + 1,
                    days=30,
                    storage_seconds=86_400,
                ),
            ),
        )
        for number in range(DATABASES)
    )
    workspaces = (
        workspace_state(key=number + 1, id_=f"wksp_{number}", name=f"workspace {number}", plan="Pro")
        for number in range(DATABASES // 1_000 + 1)
    )
    return LedgerState.of(workspaces, states)
