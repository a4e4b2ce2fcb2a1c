"""What of a workspace's days and months is its own for sure, where a database moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from prisma_postgres_exporter.model import DatabaseState, DayUsage, MonthUsage, WorkspaceDay


def placed_days(
    workspace_key: int, days: Sequence[WorkspaceDay], states: Iterable[DatabaseState]
) -> Sequence[WorkspaceDay]:
    """Return a workspace's days without those of databases that another may have held then: they are `absent`.

    `states` are the databases that are in the workspace or were. A day of which nothing is left is left out.
    """
    in_doubt: dict[date, dict[int, DayUsage | None]] = defaultdict(dict)
    for state in states:
        for row in state.recent_days if state.moves else ():
            moves = state.unplaced_moves(row.day, row.day)
            if any(workspace_key in (move.from_key, move.to_key) for move in moves):
                in_doubt[row.day][state.key] = row if row.workspace_key == workspace_key else None
    if not in_doubt:
        return days
    found = [_without(row, in_doubt[row.day]) if row.day in in_doubt else row for row in days]
    return [row for row in found if row.day not in in_doubt or row.operations or row.storage_seconds]


def placed_month(state: DatabaseState, row: MonthUsage) -> MonthUsage:
    """Return a database's month in one workspace without the days that another may have held."""
    for day in state.recent_days if state.moves else ():
        if (
            day.workspace_key == row.workspace_key
            and day.day.replace(day=1) == row.month
            and state.is_unplaced(day.day)
        ):
            row = without_day(row, day)
    return row


def without_day(row: MonthUsage, day: DayUsage) -> MonthUsage:
    """Return a month less one of its days."""
    return replace(
        row,
        days=row.days - 1,
        days_operations=row.days_operations - day.operations,
        storage_byte_seconds=row.storage_byte_seconds - day.storage_byte_seconds,
        storage_seconds=row.storage_seconds - day.storage_seconds,
    )


def _without(row: WorkspaceDay, in_doubt: Mapping[int, DayUsage | None]) -> WorkspaceDay:
    own = [day for key, day in in_doubt.items() if day is not None and key not in row.absent]
    level = sum(day.storage_byte_seconds // day.storage_seconds for day in own if day.storage_seconds)
    return replace(
        row,
        # The days of a workspace and the states of its databases may be from two moments.
        operations=max(0, row.operations - sum(day.operations for day in own)),
        # Those of a workspace are summed to the MiB.
        storage_byte_seconds=max(0, row.storage_byte_seconds - sum(day.storage_byte_seconds for day in own)),
        storage_seconds=max(0, row.storage_seconds - sum(day.storage_seconds for day in own)),
        storage_bytes=None if row.storage_bytes is None else max(0, row.storage_bytes - level),
        absent=(*row.absent, *(key for key in in_doubt if key not in row.absent)),
    )
