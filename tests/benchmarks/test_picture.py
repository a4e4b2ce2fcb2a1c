"""What it takes to take the next picture: in proportion to what changed since the last."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from prisma_postgres_exporter.model import (
    Book,
    Database,
    DayUsage,
    MonthUsage,
    Position,
    RollingUsage,
    Workspace,
    WorkspacePosition,
)
from prisma_postgres_exporter.snapshot import Snapshot, take_snapshot

pytestmark = pytest.mark.benchmark

DATABASES = int(os.environ.get("DATABASES", "10000"))
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TAKES = 7


def test_the_next_picture_costs_what_changed() -> None:
    book = _book()
    followed = frozenset(book.positions)
    whole = min(_seconds(book, followed, None)[0] for _ in range(TAKES))
    last = _seconds(book, followed, None)[1]
    print(f"\n{DATABASES:,} databases: a new picture takes {whole * 1_000:.1f} ms CPU")
    for share in (0.0, 0.01, 0.1, 1.0):
        changed = {
            id_: replace(position, operations_total=position.operations_total + 1)
            for id_, position in list(book.positions.items())[: int(DATABASES * share)]
        }
        next_book = replace(book, positions={**book.positions, **changed})
        took = min(_seconds(next_book, followed, last)[0] for _ in range(TAKES))
        print(f"  {share:>4.0%} changed: {took * 1_000:6.1f} ms, {took / whole:.2f} of a new one")


def _seconds(book: Book, followed: frozenset[str], last: Snapshot | None) -> tuple[float, Snapshot]:
    begun = time.process_time()
    snapshot = take_snapshot(
        book,
        followed=followed,
        workspace_failures={},
        keep_last_value=timedelta(days=1),
        window_names=["24h", "7d", "30d"],
        now=NOW,
        last=last,
    )
    return time.process_time() - begun, snapshot


def _book() -> Book:
    workspaces = {
        f"wksp_{key}": WorkspacePosition(
            key=key, workspace=Workspace(id=f"wksp_{key}", name=f"workspace {key}"), first_seen_at=NOW
        )
        for key in range(1, DATABASES // 1_000 + 2)
    }
    positions = (_position(key, workspaces[f"wksp_{key // 1_000 + 1}"]) for key in range(1, DATABASES + 1))
    return Book(
        generation=1, workspaces=workspaces, positions={position.database.id: position for position in positions}
    )


def _position(key: int, workspace: WorkspacePosition) -> Position:
    return Position(
        key=key,
        workspace_key=workspace.key,
        database=Database(
            id=f"db_{key}",
            name=f"database {key}",
            project_id=f"proj_{key // 10}",
            project_name=f"project {key // 10}",
            workspace_id=workspace.workspace.id,
            region="eu-west-3",
            status="ready",
            is_default=False,
            created_at=NOW - timedelta(days=100),
        ),
        first_seen_at=NOW,
        counted_from=NOW.date(),
        known_until=NOW.date(),
        checked_until=NOW.date(),
        operations_total=key,
        storage_bytes=2**30,
        storage_at=NOW,
        usage_at=NOW,
        last_success_at=NOW,
        recent_days=tuple(_day(key, NOW.date() - timedelta(days=back)) for back in (1, 0)),
        months=tuple(_month(key, workspace.key, month) for month in (date(2026, 10, 1), date(2026, 11, 1))),
        rolling=tuple(
            RollingUsage(window_name=name, operations=key, period_start_at=NOW, period_end_at=NOW, read_at=NOW)
            for name in ("24h", "30d", "7d")
        ),
    )


def _day(key: int, day: date) -> DayUsage:
    return DayUsage(
        database_key=key,
        day=day,
        workspace_key=1,
        operations=key,
        operations_high=key,
        storage_bytes=2**30,
        storage_byte_seconds=2**30 * 600,
        storage_seconds=600,
        read_at=NOW,
        unchanged_since_at=None,
        settled_at=None,
        is_counted=True,
    )


def _month(key: int, workspace_key: int, month: date) -> MonthUsage:
    return MonthUsage(
        database_key=key,
        month=month,
        workspace_key=workspace_key,
        days=20,
        days_operations=key * 20,
        storage_byte_seconds=2**30 * 6_000,
        storage_seconds=6_000,
        operations=key * 20,
        difference_operations=0,
        period_end_at=NOW,
        read_at=NOW,
    )
