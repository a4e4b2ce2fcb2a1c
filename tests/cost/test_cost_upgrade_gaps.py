"""From Free to a paid plan: only what was there since can cost, so nothing else has to be known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from builders import GIB, SEEN_AT, database, database_state, ledger_state, month_usage, workspace_state
from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.cost import Bill, charge
from prisma_postgres_exporter.model import DatabaseState, PlanChange, WorkspaceDay, day_start

CONFIG = load_config(environ={})
UNTIL = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
MONTH = datetime(2026, 11, 1, tzinfo=UTC)
UPGRADED = datetime(2026, 11, 28, 9, tzinfo=UTC)
A_DAY = 100_000


def lived(number: int, days: int, *, known_days: int | None = None, storage_days: float | None = None) -> DatabaseState:
    """A database that was there for so many days, of 100,000 operations and 1 GiB each, and what is known of it."""
    held = days if known_days is None else known_days
    seconds = round((days if storage_days is None else storage_days) * 86_400)
    return database_state(
        f"db_{number}",
        key=number,
        database=database(f"db_{number}", workspace_id="wksp_1"),
        deleted_at=MONTH + timedelta(days=days) if days < 30 else None,
        months=(
            month_usage(
                MONTH.date(),
                database_key=number,
                days=held,
                days_operations=held * A_DAY,
                storage_byte_seconds=seconds * GIB,
                storage_seconds=seconds,
            ),
        ),
    )


def bill_of(*states: DatabaseState, first_seen_at: datetime = SEEN_AT) -> Bill:
    plans = (PlanChange(at=SEEN_AT, plan="Free"), PlanChange(at=UPGRADED, plan="Starter"))
    states = states or (busy(lived(1, 30)),)
    row = workspace_state(*states, id_="wksp_1", name="Acme", plan="Starter", plans=plans, first_seen_at=first_seen_at)
    days = [
        WorkspaceDay(
            workspace_key=1,
            day=(MONTH + timedelta(days=number)).date(),
            operations=sum(
                of.days_operations // of.days for state in states for of in state.months if number < of.days
            ),
            storage_byte_seconds=GIB * 86_400,
            storage_seconds=86_400,
        )
        for number in range(30)
    ]
    bill = charge(ledger_state(row), CONFIG, days, UNTIL, is_over=True).workspaces["wksp_1"].bill
    assert bill is not None
    return bill


def busy(state: DatabaseState) -> DatabaseState:
    return replace(state, months=(replace(state.months[0], days_operations=30 * 5 * A_DAY),))


# Three days of half a million: 500,000 over the million at 8.00, and a tenth of the fee.
TRUTH = Decimal("1.00") + Decimal("4.00")


@pytest.mark.parametrize("gap", [{"storage_days": 1.0}, {"known_days": 2}, {"known_days": 0, "storage_days": 0}])
def test_a_gap_of_a_database_that_was_gone_before_costs_nothing(gap: dict[str, float]) -> None:
    bill = bill_of(busy(lived(1, 30)), lived(2, 8, **gap))  # type: ignore[arg-type]

    assert (bill.total, bill.known) == (TRUTH, TRUTH)


def test_a_gap_of_one_that_was_there_when_it_was_charged_leaves_the_cost_unknown() -> None:
    for days in (28, 30):
        bill = bill_of(busy(lived(1, 30)), lived(2, days, storage_days=4.0))

        assert (bill.total, bill.parts[2]) == (None, None)
        assert bill.known is not None
        assert bill.known > TRUTH


@pytest.mark.parametrize(("day", "is_known"), [(20, True), (28, False), (29, False)])
def test_what_was_deleted_before_its_workspace_was_followed_cost_nothing_before_the_upgrade(
    day: int, is_known: bool
) -> None:
    bill = bill_of(busy(lived(1, 30)), first_seen_at=day_start(MONTH.date().replace(day=day)) + timedelta(hours=8))

    assert (bill.total is not None) == is_known
