"""A database that is well, to change one thing of; every instant is UTC."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

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
from prisma_postgres_exporter.model import (
    Database,
    DayUsage,
    MonthUsage,
    Position,
    Revision,
    RollingUsage,
    Workspace,
    day_start,
)

NOW = datetime(2026, 11, 23, 14, 0, tzinfo=UTC)
TODAY = NOW.date()
MONTH = date(2026, 11, 1)
ONE_DAY = timedelta(days=1)
LAST_AT = NOW - timedelta(minutes=3)
SETTINGS = Settings(poll=PollConfig(), discovery_interval=timedelta(minutes=10))
DATABASE = Database(
    id="db_a",
    name="orders",
    project_id="proj_a",
    project_name="shop",
    workspace_id="wksp_a",
    region="eu-west-3",
    status="ready",
    is_default=True,
    created_at=NOW - 100 * ONE_DAY,
)


def day(number: int, **changes: Any) -> DayUsage:
    """The row of a day of November: settled, and 100 operations."""
    its_day = date(2026, 11, number)
    closed_at = day_start(its_day) + ONE_DAY
    row = DayUsage(
        database_key=1,
        day=its_day,
        workspace_key=1,
        operations=100,
        operations_high=100,
        storage_bytes=0,
        storage_byte_seconds=0,
        storage_seconds=86_400,
        read_at=closed_at + timedelta(hours=8),
        unchanged_since_at=closed_at,
        settled_at=closed_at + timedelta(hours=8),
        is_counted=True,
    )
    return replace(row, **changes)


OPEN_DAY = day(23, operations=50, read_at=LAST_AT, unchanged_since_at=None, settled_at=None)
DAYS = (*(day(number) for number in range(1, 23)), OPEN_DAY)


def november(**changes: Any) -> MonthUsage:
    """The vendor's November: the sum of `DAYS`."""
    row = MonthUsage(
        database_key=1,
        month=MONTH,
        workspace_key=1,
        days=23,
        days_operations=2_250,
        operations=2_250,
        difference_operations=0,
        period_end_at=LAST_AT,
        read_at=LAST_AT,
    )
    return replace(row, **changes)


OCTOBER = MonthUsage(
    database_key=1,
    month=date(2026, 10, 1),
    workspace_key=1,
    operations=9_000,
    period_end_at=day_start(MONTH),
    read_at=day_start(MONTH) + timedelta(hours=9),
)


def position(**changes: Any) -> Position:
    well = Position(
        key=1,
        workspace_key=1,
        database=DATABASE,
        first_seen_at=NOW - 20 * ONE_DAY,
        counted_from=TODAY - 20 * ONE_DAY,
        known_until=TODAY,
        checked_until=date(2026, 10, 31),
        operations_total=2_000,
        storage_bytes=1 << 30,
        storage_at=LAST_AT,
        usage_at=LAST_AT,
        last_success_at=LAST_AT,
        recent_days=DAYS[-2:],
        months=(OCTOBER, november()),
        rolling=tuple(
            RollingUsage(
                window_name=window.name,
                operations=7,
                period_start_at=NOW - window.width,
                period_end_at=NOW,
                read_at=LAST_AT,
            )
            for window in SETTINGS.poll.windows
        ),
    )
    return replace(well, **changes)


USAGE = UsageFacts(
    period_start_at=day_start(MONTH), period_end_at=NOW, operations=2_251, storage_bytes=1 << 30, generated_at=NOW
)


def database_facts(**changes: Any) -> DatabaseFacts:
    """A database that was asked for by name and is well."""
    well = DatabaseFacts(
        database=DATABASE, is_listed=True, position=position(), usage=USAGE, days=DAYS, revisions=(), events=()
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
