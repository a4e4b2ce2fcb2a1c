"""Which databases, projects or workspaces use, cost and grow most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from prisma_postgres_exporter.cost import By, CostRow, total_row
from prisma_postgres_exporter.model import DatabaseState, DayUsage, LedgerState, day_start
from prisma_postgres_exporter.report.months import LedgerMonth

ONE_DAY = timedelta(days=1)
WEEK = 7
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

    `operations_share` is its part of all operations of the month that are known (0 to 1), `None` where there are none.
    `recent_operations` are those of the last whole days and `earlier_operations` of the same weekdays before, of each
    database on the days that are known in both: `growth_days` of `days_wanted`, those on which it lived in at least
    one of both. `None` where there is none.
    """

    rank: int
    row: CostRow
    operations_share: float | None
    recent_operations: int | None
    earlier_operations: int | None
    growth_days: int
    days_wanted: int

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
    """Return the first earlier, the first recent and the last recent day (UTC), whole days all.

    The earlier ones are as many on the same weekdays: they lie whole weeks before.
    """
    last = month.until.date() if month.is_over else month.until.date() - ONE_DAY
    recent = last - (days - 1) * ONE_DAY
    return recent - -(-days // WEEK) * WEEK * ONE_DAY, recent, last


def rank(
    month: LedgerMonth, by: By, key: Key, days: Iterable[DayUsage], spans: tuple[date, date, date]
) -> tuple[Ranked, ...]:
    """Return all lines, the first one first.

    `spans` are the first earlier, the first recent and the last recent day, `days` the ledger's days among them.
    """
    sums = known_in_both(month.ledger_state, by, days, spans)
    rows = month.rows(by)
    total = sum(row.usage.known_operations for row in rows)
    lines = []
    for row in rows:
        pair = sums.get(row.place, Pair())
        lines.append(
            Ranked(
                rank=0,
                row=row,
                operations_share=row.operations / total if total and row.operations is not None else None,
                recent_operations=pair.recent if pair.days else None,
                earlier_operations=pair.earlier if pair.days else None,
                growth_days=pair.days,
                days_wanted=pair.wanted,
            )
        )
    lines.sort(
        key=lambda line: (
            *_measure(line, key),
            -line.row.usage.known_operations,
            line.row.workspace_name,
            line.row.place,
        )
    )
    return tuple(replace(line, rank=place) for place, line in enumerate(lines, 1))


def total_line(lines: Sequence[Ranked], by: By, month: LedgerMonth) -> Ranked:
    """Return the sum of all lines; its growth is that of those whose growth is known.

    What is used and costs is that of workspaces: databases do not say which nobody saw.
    """
    known = [line for line in lines if line.growth_operations is not None]
    return Ranked(
        rank=0,
        row=total_row(month.rows(By.WORKSPACE), by),
        operations_share=1.0 if any(line.operations_share is not None for line in lines) else None,
        recent_operations=sum(line.recent_operations or 0 for line in known) if known else None,
        earlier_operations=sum(line.earlier_operations or 0 for line in known) if known else None,
        growth_days=sum(line.growth_days for line in lines),
        days_wanted=sum(line.days_wanted for line in lines),
    )


def _measure(line: Ranked, key: Key) -> tuple[bool, Decimal | int]:
    """What is not known comes last."""
    measures: Mapping[Key, Decimal | int | None] = {
        Key.OPERATIONS: line.row.operations,
        Key.STORAGE: line.row.mean_storage_bytes,
        Key.COST: line.row.known_usd,
        Key.GROWTH: line.growth_operations,
    }
    measure = measures[key]
    return measure is None, -(measure or 0)


@dataclass(slots=True)
class Pair:
    """Operations of the days that both spans know, each database's beside its own.

    What databases had that were new or gone tells nothing of the others: it counts only beside days on which one lived
    in both spans, unless there is no such day at all.

    `days` of the `wanted` pairs of days are in it, those on which a database lived in at least one of both;
    `recent_days` and `earlier_days` are the days of databases that lived, which is what a pace is over.
    """

    recent: int = 0
    earlier: int = 0
    recent_days: int = 0
    earlier_days: int = 0
    days: int = 0
    wanted: int = 0


def known_in_both(
    ledger_state: LedgerState, by: By, days: Iterable[DayUsage], spans: tuple[date, date, date]
) -> Mapping[Place, Pair]:
    """Return recent and earlier operations by the place of the row: day by day, where both are known whole.

    `spans` are the first earlier, the first recent and the last recent day, `days` the ledger's days among them.
    A day on which a database did not exist yet, or not any more, had none and is no day of it; where it lived on
    neither day of a pair, there is nothing to know.
    """
    earlier_from, recent_from, last = spans
    shift, width = recent_from - earlier_from, (last - recent_from).days + 1
    workspace_ids = {row.key: id_ for id_, row in ledger_state.workspaces.items()}
    known: dict[tuple[int, date], tuple[int, int]] = {}
    for usage in days:
        if usage.unchanged_since_at is not None:
            known[usage.database_key, usage.day] = usage.operations, usage.workspace_key
    sums: dict[Place, Pair] = defaultdict(Pair)
    shared: dict[Place, set[bool]] = defaultdict(set)
    for state in ledger_state.databases.values():
        for number in range(width):
            day = recent_from + number * ONE_DAY
            recent, earlier = _known_on(state, day, known), _known_on(state, day - shift, known)
            if recent == earlier == NOT_THERE:
                continue
            keys = {part[1] for part in (recent, earlier) if part is not None and part[1] is not None}
            for key in keys or {state.workspace_key}:
                place = _place(state, workspace_ids[key], by)
                pair = sums[place]
                pair.wanted += 1
                is_known = recent is not None and earlier is not None
                if NOT_THERE not in (recent, earlier):
                    shared[place].add(is_known)
                if recent is not None and earlier is not None:
                    # What a workspace had of it: of a database that came from another one nothing before.
                    pair.recent += recent[0] if recent[1] == key else 0
                    pair.earlier += earlier[0] if earlier[1] == key else 0
                    pair.recent_days += recent[1] == key
                    pair.earlier_days += earlier[1] == key
                    pair.days += 1
    return {place: Pair(wanted=pair.wanted) if shared[place] == {False} else pair for place, pair in sums.items()}


NOT_THERE = (0, None)
"""What is known of a day on which a database did not live: no operations, of no workspace."""


def _known_on(
    state: DatabaseState, day: date, known: Mapping[tuple[int, date], tuple[int, int]]
) -> tuple[int, int | None] | None:
    """A day's operations and the key of the workspace that held them; `None` where one of both is not known."""
    found = None if state.is_unplaced(day) else known.get((state.key, day))
    if found is not None:
        return found
    starts_at = day_start(day)
    is_there = state.database.created_at < starts_at + ONE_DAY and (
        state.deleted_at is None or starts_at < state.deleted_at
    )
    return None if is_there else NOT_THERE


def _place(state: DatabaseState, workspace_id: str, by: By) -> Place:
    """The place of the row that a database's day belongs to."""
    project_id = "" if by is By.WORKSPACE else state.database.project_id
    return workspace_id, project_id, state.database.id if by is By.DATABASE else ""
