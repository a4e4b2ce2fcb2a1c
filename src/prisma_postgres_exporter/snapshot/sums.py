"""What each database adds to its workspaces, as numbers that can be added and taken away again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from operator import add, sub
from typing import NamedTuple

from prisma_postgres_exporter.cost import WorkspaceCost
from prisma_postgres_exporter.cost.usage import billed_operations
from prisma_postgres_exporter.model import MonthUsage, Position, WorkspacePosition, month_start
from prisma_postgres_exporter.snapshot.views import DatabaseView, WorkspaceView

LEVEL_SCALE = 1_024
"""Mean levels are summed in parts of a byte, so that ten thousand roundings stay below one byte."""


class Sums(NamedTuple):
    """The sums of one workspace; what grows with time is a rate and an offset, so that time need not be added.

    `levels` (scaled bytes) of databases that exist and `levels_begin` (times the unix second at which
    each began in this month), `past_levels` (times seconds) of those that are gone. `lives`,
    `lives_begin` and `past_lives` are the same for the seconds that the databases existed.
    """

    databases: int = 0
    operations_known: int = 0
    operations: int = 0
    storage_known: int = 0
    storage_bytes: int = 0
    differences_known: int = 0
    differences: int = 0
    levels_known: int = 0
    levels: int = 0
    levels_begin: int = 0
    past_levels: int = 0
    lives: int = 0
    lives_begin: int = 0
    past_lives: int = 0
    covered_seconds: int = 0


def plus(one: Sums, other: Sums) -> Sums:
    """Add the sums of two databases or workspaces."""
    return Sums._make(map(add, one, other))


def minus(one: Sums, other: Sums) -> Sums:
    """Take away what was added."""
    return Sums._make(map(sub, one, other))


def sums_of(position: Position, view: DatabaseView | None, now: datetime) -> Iterator[tuple[int, Sums]]:
    """What a database adds to which workspace (by key) in the month of `now`; `view` is what it shows, if anything."""
    if view is not None:
        yield position.workspace_key, _shown(view)
    month = month_start(now)
    rows = [row for row in position.months if row.month == month.date()]
    for row in rows:
        yield row.workspace_key, _billed(position, row, month, has_moved=len(rows) > 1)


def view_workspace(
    row: WorkspacePosition,
    sums: Sums,
    failures: Mapping[str, str | None],
    cost: WorkspaceCost | None,
    now: datetime,
) -> WorkspaceView:
    """Return what one workspace shows at `now`."""
    workspace, starts_at = row.workspace, month_start(now)
    return WorkspaceView(
        workspace_id=workspace.id,
        workspace_name=workspace.name,
        plan=workspace.plan,
        is_up=failures[workspace.id] is None if workspace.id in failures else None,
        is_usage_blocked=workspace.usage_blocked,
        databases=sums.databases,
        month_to_date_operations=sums.operations if sums.operations_known else None,
        storage_bytes=sums.storage_bytes if sums.storage_known else None,
        month_average_storage_bytes=_average_storage(sums, now),
        storage_covered_ratio=_covered_ratio(sums, now),
        reconciliation_difference_operations=sums.differences if sums.differences_known else None,
        period_start_at=starts_at,
        failure_reason=failures.get(workspace.id),
        cost=cost,
    )


def _shown(view: DatabaseView) -> Sums:
    storage, difference = view.storage_bytes, view.reconciliation_difference_operations
    return Sums(
        databases=1,
        storage_known=storage is not None,
        storage_bytes=storage or 0,
        differences_known=difference is not None,
        differences=difference or 0,
    )


def _billed(position: Position, row: MonthUsage, month: datetime, *, has_moved: bool) -> Sums:
    operations = billed_operations(row, has_moved=has_moved)
    begin = int(max(month, position.database.created_at).timestamp())
    if row.storage_seconds == 0:
        return Sums(operations_known=operations is not None, operations=operations or 0)
    level = row.storage_byte_seconds * LEVEL_SCALE // row.storage_seconds
    ends_at = position.deleted_at
    # In a workspace that a database left or came to, its time there is what is known of it.
    life = row.storage_seconds if has_moved else None if ends_at is None else int(ends_at.timestamp()) - begin
    exists = life is None
    return Sums(
        operations_known=operations is not None,
        operations=operations or 0,
        levels_known=1,
        levels=level if exists else 0,
        levels_begin=level * begin if exists else 0,
        past_levels=level * (life or 0),
        lives=exists,
        lives_begin=begin if exists else 0,
        past_lives=life or 0,
        covered_seconds=row.storage_seconds,
    )


def _average_storage(sums: Sums, now: datetime) -> int | None:
    """Return the mean level since the month began: each database at its own mean for as long as it existed."""
    elapsed_seconds = int((now - month_start(now)).total_seconds())
    if not sums.levels_known or elapsed_seconds <= 0:
        return None
    level_seconds = sums.levels * int(now.timestamp()) - sums.levels_begin + sums.past_levels
    return max(0, level_seconds) // (LEVEL_SCALE * elapsed_seconds)


def _covered_ratio(sums: Sums, now: datetime) -> float | None:
    life_seconds = sums.lives * int(now.timestamp()) - sums.lives_begin + sums.past_lives
    if not sums.levels_known or life_seconds <= 0:
        return None
    return min(1.0, round(sums.covered_seconds / life_seconds, 6))
