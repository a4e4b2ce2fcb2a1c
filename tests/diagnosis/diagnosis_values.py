"""A database that is well, to change one thing of; every instant is UTC."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from builders import GIB, ONE_DAY, database, database_state, month_usage, rolling_usage, settled_day
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.diagnosis import (
    CredentialFacts,
    DatabaseFacts,
    Facts,
    Settings,
    StoreFacts,
    UsageFacts,
    WorkspaceFacts,
)
from prisma_postgres_exporter.model import DatabaseState, DayUsage, MonthUsage, Revision, Workspace, day_start

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
TODAY = NOW.date()
MONTH = date(2026, 11, 1)
LAST_AT = NOW - timedelta(minutes=3)
SETTINGS = Settings(poll=PollConfig(), discovery_interval=timedelta(minutes=10))
DATABASE = database(
    name="orders",
    project_name="shop",
    region="eu-west-3",
    is_default=True,
    created_at=NOW - 100 * ONE_DAY,
)


def day(number: int, **changes: Any) -> DayUsage:
    """The row of a day of November: settled, and 100 operations."""
    return replace(settled_day(date(2026, 11, number), 100, storage_seconds=86_400), **changes)


OPEN_DAY = day(23, operations=50, read_at=LAST_AT, unchanged_since_at=None, settled_at=None)
DAYS = (*(day(number) for number in range(1, 23)), OPEN_DAY)


def november(**changes: Any) -> MonthUsage:
    """The vendor's November: the sum of `DAYS`."""
    well = month_usage(
        MONTH,
        2_250,
        days=23,
        days_operations=2_250,
        difference_operations=0,
        period_end_at=LAST_AT,
        read_at=LAST_AT,
    )
    return replace(well, **changes)


OCTOBER = month_usage(
    date(2026, 10, 1), 9_000, period_end_at=day_start(MONTH), read_at=day_start(MONTH) + timedelta(hours=9)
)


def state(**changes: Any) -> DatabaseState:
    well = database_state(
        database=DATABASE,
        first_seen_at=NOW - 20 * ONE_DAY,
        counted_from=TODAY - 20 * ONE_DAY,
        checked_until=date(2026, 10, 31),
        operations_total=2_000,
        storage_bytes=GIB,
        storage_at=LAST_AT,
        usage_at=LAST_AT,
        last_success_at=LAST_AT,
        recent_days=DAYS[-2:],
        months=(OCTOBER, november()),
        rolling=tuple(rolling_usage(window.name, 7, read_at=LAST_AT) for window in SETTINGS.poll.windows),
    )
    return replace(well, **changes)


USAGE = UsageFacts(
    period_start_at=day_start(MONTH), period_end_at=NOW, operations=2_251, storage_bytes=GIB, generated_at=NOW
)


def database_facts(**changes: Any) -> DatabaseFacts:
    """A database that was asked for by name and is well."""
    well = DatabaseFacts(
        backfill="here backfill --store-url x",
        database=DATABASE,
        is_listed=True,
        state=state(),
        usage=USAGE,
        days=DAYS,
        revisions=(),
        events=(),
    )
    return replace(well, **changes)


def facts(*databases: DatabaseFacts, **changes: Any) -> Facts:
    well = Facts(
        now=NOW,
        settings=SETTINGS,
        store=StoreFacts(url="sqlite:///ledger.db", generation=9, written_at=LAST_AT),
        credentials=(CredentialFacts(name="main", workspace="workspace a", failure=None, expires_at=None),),
        workspaces=(
            WorkspaceFacts(
                workspace=Workspace(id="wksp_a", name="acme", plan="Starter", usage_blocked=False),
                failure=None,
                is_known=True,
            ),
        ),
        databases=databases or (database_facts(),),
    )
    return replace(well, **changes)


def revision(number: int, before: int, after: int, revised_at: datetime) -> Revision:
    return Revision(
        database_key=1,
        day=date(2026, 11, number),
        revised_at=revised_at,
        operations_before=before,
        operations_after=after,
    )
