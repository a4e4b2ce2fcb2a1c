"""Months for tests of reports: a workspace on a plan, its databases, their days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import builders
from builders import GIB, database, database_state, month_usage, workspace_state
from prisma_postgres_exporter.config import load_config
from prisma_postgres_exporter.model import DatabaseState, LedgerState, PlanChange, WorkspaceDay, month_start
from prisma_postgres_exporter.report import LedgerMonth, ledger_month

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)
CONFIG = load_config(environ={})


def state(number: int, operations: int, *, gib: int = 0, at: datetime = NOW) -> DatabaseState:
    """A database with one month: the one of `at`."""
    seconds = int((at - month_start(at)).total_seconds())
    month = month_usage(
        month_start(at).date(),
        operations,
        database_key=number,
        days=20,
        days_operations=operations,
        difference_operations=0,
        storage_byte_seconds=gib * GIB * seconds,
        storage_seconds=seconds,
    )
    return database_state(
        key=number,
        database=database(
            f"db_{number}",
            name=f"database {number}",
            project_id=f"proj_{number % 2}",
            project_name=f"project {number % 2}",
            workspace_id="wksp_1",
            region="eu-west-3",
        ),
        months=(month,),
    )


def ledger_state(
    *states: DatabaseState, plan: str | None = "Starter", plans: tuple[PlanChange, ...] = ()
) -> LedgerState:
    return builders.ledger_state(workspace_state(*states, id_="wksp_1", name="Acme", plan=plan, plans=plans))


def created(row: DatabaseState, at: datetime) -> DatabaseState:
    return replace(row, database=replace(row.database, created_at=at))


def month_of(
    held: LedgerState, *, until: datetime = NOW, days: Sequence[WorkspaceDay] = (), now: datetime = NOW
) -> LedgerMonth:
    return ledger_month(held, CONFIG, days, until, now)
