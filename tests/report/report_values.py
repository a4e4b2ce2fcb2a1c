"""Months for tests of reports: a workspace on a plan, its databases, their days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.model import (
    Book,
    Database,
    DayUsage,
    MonthUsage,
    PlanChange,
    Position,
    Workspace,
    WorkspaceDay,
    WorkspacePosition,
    month_start,
)
from prisma_postgres_exporter.report import LedgerMonth, ledger_month

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
GIB = 2**30
CONFIG = load_config(environ={})


def position(number: int, operations: int, *, gib: int = 0, at: datetime = NOW) -> Position:
    """A database with one month: the one of `at`."""
    seconds = int((at - month_start(at)).total_seconds())
    month = MonthUsage(
        database_key=number,
        month=month_start(at).date(),
        workspace_key=1,
        days=20,
        days_operations=operations,
        operations=operations,
        difference_operations=0,
        storage_byte_seconds=gib * GIB * seconds,
        storage_seconds=seconds,
    )
    return Position(
        key=number,
        workspace_key=1,
        database=Database(
            id=f"db_{number}",
            name=f"database {number}",
            project_id=f"proj_{number % 2}",
            project_name=f"project {number % 2}",
            workspace_id="wksp_1",
            region="eu-west-3",
            status="ready",
            is_default=False,
            created_at=NOW - timedelta(days=100),
        ),
        first_seen_at=NOW,
        counted_from=NOW.date(),
        known_until=NOW.date(),
        checked_until=NOW.date(),
        months=(month,),
    )


def book(*positions: Position, plan: str | None = "Starter", plans: tuple[PlanChange, ...] = ()) -> Book:
    workspace = Workspace(id="wksp_1", name="Acme", plan=plan)
    return Book(
        generation=1,
        workspaces={"wksp_1": WorkspacePosition(key=1, workspace=workspace, first_seen_at=NOW, plans=plans)},
        positions={row.database.id: row for row in positions},
    )


def created(row: Position, at: datetime) -> Position:
    return replace(row, database=replace(row.database, created_at=at))


def month_of(held: Book, *, until: datetime = NOW, days: Sequence[WorkspaceDay] = ()) -> LedgerMonth:
    return ledger_month(held, CONFIG, days, until, NOW)


def ledger_day(number: int, day: date, operations: int) -> DayUsage:
    return DayUsage(
        database_key=number,
        day=day,
        workspace_key=1,
        operations=operations,
        operations_high=operations,
        storage_bytes=0,
        storage_byte_seconds=0,
        storage_seconds=0,
        read_at=datetime.combine(day, time(23), UTC),
        unchanged_since_at=None,
        settled_at=None,
        is_counted=True,
    )
