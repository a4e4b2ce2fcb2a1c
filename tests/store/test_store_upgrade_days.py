"""The days that costs are made from: by database where a workspace left Free in the month, and only there."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from store_values import DAY, day_usage, discover, discovered, post, settled_day

from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.model import Discovered, LedgerUpdate, MonthUsage
from prisma_postgres_exporter.service import read_month
from prisma_postgres_exporter.store import Store

CONFIG = load_config(environ={})
MONTH = date(2026, 11, 1)
FOLLOWED_AT, UPGRADED_AT = datetime(2026, 10, 20, tzinfo=UTC), datetime(2026, 11, 21, 9, tzinfo=UTC)
ENDS_AT, NOW = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 9, tzinfo=UTC)


def on(plan: str, at: datetime) -> Discovered:
    found = discovered(2, at=at)
    return replace(found, workspaces=tuple(replace(row, plan=plan) for row in found.workspaces))


@pytest.mark.parametrize("is_upgraded", [True, False])
def test_each_share_is_of_what_was_used_since_the_upgrade(tmp_path: Path, *, is_upgraded: bool) -> None:
    """One database made a million a day before it and none since, the other none before and a million since."""
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        discover(store, on("Free" if is_upgraded else "Starter", FOLLOWED_AT))
        discover(store, on("Starter", UPGRADED_AT))
        days = [
            settled_day(
                key,
                day,
                operations=1_000_000 if (key == 1) == (day < UPGRADED_AT.date()) else 0,
                operations_high=1_000_000,
            )
            for key in (1, 2)
            for day in (MONTH + number * DAY for number in range(30))
        ]
        months = [
            MonthUsage(
                database_key=key,
                month=MONTH,
                workspace_key=1,
                days=30,
                days_operations=sum(row.operations for row in days if row.database_key == key),
                storage_seconds=30 * 86_400,
            )
            for key in (1, 2)
        ]
        days = [replace(row, storage_seconds=86_400, storage_byte_seconds=0) for row in days]
        post(store, LedgerUpdate(other_days=tuple(days), other_months=tuple(months)), NOW)

        month = read_month(store, CONFIG, ENDS_AT, NOW)

    shares = {key: share.operations for (_, key), share in month.costs.shares.items()}
    if is_upgraded:
        # Ten million since, nine of them over the included one, at 8.00.
        assert shares == {"db_1": Decimal("0.00"), "db_2": Decimal("72.00")}
        assert all(share.total is not None for share in month.costs.shares.values())
    else:
        assert shares == {"db_1": Decimal("154.67"), "db_2": Decimal("77.33")}
        assert not any(day.parts for day in month.days)


def test_a_day_that_was_read_before_its_end_only_says_nothing_sure(tmp_path: Path) -> None:
    with closing(Store.open(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        discover(store, on("Free", FOLLOWED_AT))
        discover(store, on("Starter", UPGRADED_AT))
        noon = datetime(2026, 11, 3, 12, tzinfo=UTC)
        open_day = day_usage(1, noon.date(), read_at=noon, unchanged_since_at=None)
        post(store, LedgerUpdate(other_days=(settled_day(1, noon.date() - timedelta(days=1)), open_day)), NOW)

        month = read_month(store, CONFIG, ENDS_AT, NOW)

    assert {day.day.day: set(day.parts) for day in month.days} == {2: {1}, 3: set()}
