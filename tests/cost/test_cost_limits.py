"""What counts against a spend limit, which block is likely, and when Free stops."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import database_state, month_usage, workspace_state
from prisma_postgres_exporter.config import WorkspaceConfig, load_config
from prisma_postgres_exporter.cost import WhatIf, WorkspaceCost, charge, likely_block, suppose
from prisma_postgres_exporter.cost.limits import reached_at
from prisma_postgres_exporter.model import LedgerState, WorkspaceDay

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECONDS = 20 * 86_400
DEFAULTS = load_config(environ={})


def of(plan: str, operations: int) -> LedgerState:
    month = month_usage(
        NOW.date().replace(day=1), operations, days=20, days_operations=operations, storage_seconds=SECONDS
    )
    return LedgerState.of((workspace_state(id_="wksp_1", name="Acme", plan=plan),), (database_state(months=(month,)),))


def cost_of(plan: str, operations: int, **own: object) -> WorkspaceCost:
    workspaces = (WorkspaceConfig.model_validate({"workspace": "Acme", **own}),)
    config = DEFAULTS.model_copy(update={"cost": DEFAULTS.cost.model_copy(update={"workspaces": workspaces})})
    return charge(of(plan, operations), config, (), NOW).workspaces["wksp_1"]


@pytest.mark.parametrize(
    ("own", "counted", "not_counted"),
    [
        # 2,500,000 - 1,000,000 = 1.5 million at 8.00 = 12.00; the fee of 10.00 never counts.
        ({}, "12.00", ("Compute", "Accelerate", "tax")),
        ({"other_usage_usd": 30}, "42.00", ("tax",)),
        # (12 + 30) and 19 % on all of it
        ({"other_usage_usd": 30, "tax_percent": 19}, "49.98", ()),
        ({"other_usage_usd": 0, "tax_percent": 0}, "12.00", ()),
    ],
)
def test_what_counts_against_the_limit(own: dict[str, object], counted: str, not_counted: tuple[str, ...]) -> None:
    cost = cost_of("Starter", 2_500_000, spend_limit_usd=50, **own)

    assert cost.spend_limit is not None
    assert cost.bill is not None
    assert cost.bill.charges is not None
    assert cost.spend_limit.counted(cost.bill.charges) == Decimal(counted)
    assert cost.spend_limit.not_counted == not_counted


def test_a_limit_that_tax_and_other_usage_reach_is_reached() -> None:
    assert not cost_of("Starter", 2_500_000, spend_limit_usd=49).limits
    [(name, at)] = cost_of("Starter", 2_500_000, spend_limit_usd=49, other_usage_usd=30, tax_percent=19).limits

    assert (name, at) == ("spend_limit", NOW)


@pytest.mark.parametrize(
    ("plan", "own", "says"),
    [
        ("Free", {}, "likely the Free plan's allowance: ends with an upgrade"),
        ("Starter", {"spend_limit_usd": 12}, "likely the spend limit: ends when it is raised"),
        ("Starter", {}, "here none is configured"),
        (
            "Starter",
            {"spend_limit_usd": 90},
            "or the spend limit, as what is counted here lacks Compute, Accelerate and tax",
        ),
        ("Starter", {"spend_limit_usd": 90, "other_usage_usd": 0, "tax_percent": 0}, "likely an unpaid invoice"),
    ],
)
def test_the_likely_block_has_its_own_way_out(plan: str, own: dict[str, object], says: str) -> None:
    assert says in likely_block(plan, cost_of(plan, 2_500_000, **own))


def test_where_usage_is_not_known_the_spend_limit_stays_likely() -> None:
    cost = cost_of("Starter", 2_500_000, spend_limit_usd=90, other_usage_usd=0, tax_percent=0)
    assert cost.bill is not None
    incomplete = replace(cost, bill=replace(cost.bill, is_storage_known=False))

    assert "or the spend limit, as what is counted here lacks usage that was not read" in likely_block(
        "Starter", incomplete
    )


def test_without_a_plan_nothing_is_likely() -> None:
    assert likely_block(None, None).startswith("the vendor does not say why")


def test_the_day_on_which_free_would_have_stopped() -> None:
    # 30,000 a day: 200,000 were used two thirds into the seventh day.
    days = tuple(
        WorkspaceDay(
            workspace_key=1,
            day=(NOW - timedelta(days=ago)).date(),
            operations=30_000,
            storage_byte_seconds=0,
            storage_seconds=86_400,
        )
        for ago in range(20, 0, -1)
    )
    supposed, config, supposed_days = suppose(of("Starter", 600_000), DEFAULTS, days, WhatIf(plan="free"))

    limits = dict(charge(supposed, config, supposed_days, NOW).workspaces["wksp_1"].limits)

    assert limits["free_operations"] == datetime(2026, 11, 7, 16, tzinfo=UTC)


@given(
    month=st.integers(min_value=200_000, max_value=20_000_000),
    # Of the days that are over the ledger has some, or none.
    over=st.lists(st.none() | st.integers(min_value=0, max_value=30_000), min_size=20, max_size=20),
    today=st.integers(min_value=0, max_value=1_000_000),
    today_seconds=st.integers(min_value=60, max_value=86_399),
)
def test_an_allowance_that_is_exceeded_was_reached_no_later_than_now(
    month: int, over: list[int | None], today: int, today_seconds: int
) -> None:
    now = NOW + timedelta(seconds=today_seconds)
    days = tuple(
        WorkspaceDay(
            workspace_key=1,
            day=NOW.date().replace(day=number),
            operations=operations,
            storage_byte_seconds=0,
            storage_seconds=86_400,
        )
        for number, operations in enumerate((*over, today), start=1)
        if operations is not None
    )

    limits = dict(charge(of("Free", month), DEFAULTS, days, now).workspaces["wksp_1"].limits)

    assert limits["free_operations"] <= now


def test_what_today_passed_it_passed_in_the_part_of_today_that_is_over() -> None:
    # Nothing of the month is in the ledger but 12 hours of today: 400,000, twice what is included.
    now = NOW + timedelta(hours=12)
    today = WorkspaceDay(
        workspace_key=1, day=NOW.date(), operations=400_000, storage_byte_seconds=0, storage_seconds=43_200
    )

    limits = dict(charge(of("Free", 19_535_954), DEFAULTS, (today,), now).workspaces["wksp_1"].limits)

    assert limits["free_operations"] == NOW + timedelta(hours=6)


@given(
    values=st.lists(st.integers(0, 50), min_size=1, max_size=200),
    limit=st.integers(1, 3_000),
    begins=st.integers(0, 119),
)
def test_a_limit_that_is_told_is_reached_then_and_a_minute_earlier_it_is_not(
    values: list[int], limit: int, begins: int
) -> None:
    """In whole minutes, within the month: at its end the vendor counts from 0 again."""
    starts_at = datetime(2026, 12, 31, 20, tzinfo=UTC) + timedelta(seconds=begins)
    ends_at = datetime(2027, 1, 1, tzinfo=UTC)

    def value_at(instant: datetime) -> float:
        return sum(values[: int((instant - starts_at).total_seconds()) // 77])

    at = reached_at(value_at, limit, starts_at, ends_at)

    passed = [second for second in range(240 * 60 - begins) if value_at(starts_at + timedelta(seconds=second)) >= limit]
    exact = starts_at + timedelta(seconds=passed[0]) if passed else None
    if exact is None or exact == starts_at or at is None:
        assert at == exact or (at is None and exact is not None and exact > ends_at - timedelta(minutes=1))
    else:
        assert (at.second, value_at(at) >= limit, at - exact < timedelta(minutes=1)) == (0, True, True)
        assert starts_at < at < ends_at


def test_what_is_included_and_used_up_with_the_end_of_the_month_stops_nobody() -> None:
    """500 MB all month are the 500 MB that Free includes: reached when the next month begins, which has its own."""
    month = month_usage(
        NOW.date().replace(day=1),
        0,
        days=20,
        storage_byte_seconds=500_000_000 * SECONDS,
        storage_seconds=SECONDS,
    )
    held = LedgerState.of(
        (workspace_state(id_="wksp_1", name="Acme", plan="Free"),),
        (database_state(months=(month,), storage_bytes=500_000_000, storage_at=NOW),),
    )

    days = [
        WorkspaceDay(
            workspace_key=1,
            day=NOW.date().replace(day=number),
            operations=0,
            storage_byte_seconds=500_000_000 * 86_400,
            storage_seconds=86_400,
            storage_bytes=500_000_000,
        )
        for number in range(1, 21)
    ]

    cost = charge(held, DEFAULTS, days, NOW).workspaces["wksp_1"]

    assert cost.expected_bill is not None
    assert cost.expected_storage_bytes is not None
    assert cost.expected_storage_bytes.expected == cost.included_storage_bytes == 500_000_000
    assert cost.limits == ()
