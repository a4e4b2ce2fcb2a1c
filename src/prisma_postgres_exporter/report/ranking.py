"""Which databases, projects or workspaces use, cost and grow most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from prisma_postgres_exporter.cost import By, CostRow
from prisma_postgres_exporter.model import DatabaseState, DayUsage, LedgerState
from prisma_postgres_exporter.report.months import LedgerMonth

ONE_DAY = timedelta(days=1)
Place = tuple[str, str, str]


class Key(StrEnum):
    """What decides who comes first."""

    OPERATIONS = "operations"
    STORAGE = "storage"
    COST = "cost"
    GROWTH = "growth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One line of a ranking.

    `operations_share` is its part of all operations of the month (0 to 1), `None` where there are none.
    `recent_operations` are those of the last whole days, `earlier_operations` of as many before them; `None`
    where the ledger does not hold all of them since the database was made.
    """

    rank: int
    row: CostRow
    storage_bytes: int
    operations_share: float | None
    recent_operations: int | None
    earlier_operations: int | None

    @property
    def growth_operations(self) -> int | None:
        """How many operations more there were lately."""
        if self.recent_operations is None or self.earlier_operations is None:
            return None
        return self.recent_operations - self.earlier_operations

    @property
    def growth_ratio(self) -> float | None:
        """The growth as a part of what there was before; `None` where there was nothing."""
        if self.growth_operations is None or not self.earlier_operations:
            return None
        return self.growth_operations / self.earlier_operations


def growth_days(month: LedgerMonth, days: int) -> tuple[date, date, date]:
    """Return the first earlier, the first recent and the last recent day (UTC), whole days all."""
    last = month.until.date() if month.is_over else month.until.date() - ONE_DAY
    recent = last - (days - 1) * ONE_DAY
    return recent - days * ONE_DAY, recent, last


def rank(
    month: LedgerMonth, by: By, key: Key, days: Iterable[DayUsage], starts: tuple[date, date]
) -> tuple[Ranked, ...]:
    """Return all lines, the first one first.

    `starts` are the first earlier and the first recent day, `days` the ledger's days from then on.
    """
    sums = _add_up(month.ledger_state, by, days, starts)
    rows = month.rows(by)
    total = sum(row.operations for row in rows)
    lines = []
    for row in rows:
        recent, earlier = sums.get(row.place, (None, None))
        lines.append(
            Ranked(
                rank=0,
                row=row,
                storage_bytes=row.mean_storage_bytes(month.until),
                operations_share=row.operations / total if total else None,
                recent_operations=recent,
                earlier_operations=earlier,
            )
        )
    lines.sort(key=lambda line: (*_measure(line, key), -line.row.operations, line.row.workspace_name, line.row.place))
    return tuple(replace(line, rank=place) for place, line in enumerate(lines, 1))


def _measure(line: Ranked, key: Key) -> tuple[bool, Decimal | int]:
    """What is not known comes last."""
    measures: Mapping[Key, Decimal | int | None] = {
        Key.OPERATIONS: line.row.operations,
        Key.STORAGE: line.storage_bytes,
        Key.COST: line.row.total,
        Key.GROWTH: line.growth_operations,
    }
    measure = measures[key]
    return measure is None, -(measure or 0)


def _add_up(
    ledger_state: LedgerState, by: By, days: Iterable[DayUsage], starts: tuple[date, date]
) -> Mapping[Place, tuple[int, int | None]]:
    """Recent and earlier operations by the place of the row, earlier ones `None` where days are missing."""
    earlier_from, recent_from = starts
    workspace_ids = {row.key: id_ for id_, row in ledger_state.workspaces.items()}
    states = {state.key: state for state in ledger_state.databases.values()}
    sums: dict[Place, list[int]] = defaultdict(lambda: [0, 0])
    first_days: dict[int, date] = {}
    members: dict[Place, set[int]] = defaultdict(set)
    for usage in days:
        state = states.get(usage.database_key)
        if state is None:
            continue
        owner = _place(state, workspace_ids[usage.workspace_key], by)
        sums[owner][usage.day < recent_from] += usage.operations
        first_days[usage.database_key] = min(usage.day, first_days.get(usage.database_key, usage.day))
        members[owner].add(usage.database_key)
    return {
        owner: (
            recent,
            earlier
            if all(first_days[key] <= max(earlier_from, states[key].database.created_at.date()) for key in keys)
            else None,
        )
        for owner, keys in members.items()
        for recent, earlier in [sums[owner]]
    }


def _place(state: DatabaseState, workspace_id: str, by: By) -> Place:
    """The place of the row that a database's day belongs to."""
    project_id = "" if by is By.WORKSPACE else state.database.project_id
    return workspace_id, project_id, state.database.id if by is By.DATABASE else ""
