"""Plain lives of databases, the ledger that polling makes of them, and the truth beside it.

The truth is worked out from the lives alone, in a few lines; the ledger is the product's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from builders import ONE_DAY, database, database_state, day_window, month_window, reading, workspace_state
from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    UsageReading,
    WorkspaceDay,
    WorkspaceState,
    day_start,
    month_start,
    next_month_start,
)

HOUR = timedelta(hours=1)
NEVER = datetime(2999, 1, 1, tzinfo=UTC)
Span = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class Life:
    """A database: `levels` are its bytes from these instants on, `moves` the workspaces it comes to.

    Nobody could read it during `fails`.
    """

    key: int
    created_at: datetime
    levels: Sequence[tuple[datetime, int]]
    operations_a_day: int = 1_000
    deleted_at: datetime = NEVER
    fails: Sequence[Span] = ()
    moves: Sequence[tuple[datetime, int]] = ()
    first_seen_at: datetime | None = None
    rhythm: Sequence[float] = (1.0,) * 7

    def operations(self, begins_at: datetime, ends_at: datetime) -> int:
        return self._made(ends_at) - self._made(begins_at)

    def _made(self, at: datetime) -> int:
        """Since it was created, by weekday."""
        at = min(max(at, self.created_at), self.deleted_at)
        days = (at - self.created_at) / ONE_DAY
        if len(set(self.rhythm)) == 1:
            return int(self.operations_a_day * days)
        total, day = 0.0, self.created_at
        while day < at:
            end = min(day_start(day.date()) + ONE_DAY, at)
            total += (end - day) / ONE_DAY * self.rhythm[day.weekday()]
            day = end
        return int(self.operations_a_day * total)

    def level(self, at: datetime) -> int:
        return (
            [size for since, size in self.levels if since <= at][-1] if self.created_at <= at < self.deleted_at else 0
        )

    def workspace(self, at: datetime) -> int:
        return [1, *(key for moved_at, key in self.moves if day_start(moved_at.date()) <= at)][-1]


def true_operations(lives: Iterable[Life], workspace: int, now: datetime) -> int:
    """What the month of `now` will have come to; a database's whole day belongs to where it was when the day ended."""
    return sum(
        life.operations(day, day + ONE_DAY)
        for life in lives
        for day in _days(month_start(now), next_month_start(now))
        if life.workspace(day) == workspace
    )


def true_storage(lives: Iterable[Life], workspace: int, now: datetime) -> float:
    """The mean level of the whole month, hour by hour: what happens in a life happens at a full hour."""
    begin, end = month_start(now), next_month_start(now)
    hours = [begin + back * HOUR for back in range(int((end - begin) / HOUR))]
    return sum(life.level(at) for life in lives for at in hours if life.workspace(at) == workspace) / len(hours)


@dataclass(kw_only=True)
class Played:
    """What the exporter holds at an instant."""

    workspaces: dict[int, WorkspaceState]
    rows: dict[tuple[int, object], DayUsage]
    lives: Sequence[Life]

    def states(self, workspace: int) -> list[DatabaseState]:
        return [
            state
            for row in self.workspaces.values()
            for state in row.databases.values()
            if workspace in {state.workspace_key, *(month.workspace_key for month in state.months)}
        ]

    def days(self, workspace: int) -> list[WorkspaceDay]:
        by_day = defaultdict(list)
        for row in self.rows.values():
            if row.workspace_key == workspace:
                by_day[row.day].append(row)
        return [
            WorkspaceDay(
                workspace_key=workspace,
                day=day,
                operations=sum(row.operations for row in rows),
                storage_byte_seconds=sum(row.storage_byte_seconds for row in rows),
                storage_seconds=sum(row.storage_seconds for row in rows),
                storage_bytes=sum(row.storage_byte_seconds // row.storage_seconds for row in rows)
                if all(row.storage_seconds for row in rows)
                else None,
                absent=tuple(
                    life.key
                    for life in self.lives
                    if life.first_seen_at is not None
                    and life.created_at.date() <= day < life.first_seen_at.date().replace(day=1)
                    and (life.key, day) not in self.rows
                ),
            )
            for day, rows in sorted(by_day.items())
        ]


def play(
    lives: Sequence[Life], *, installed_at: datetime, now: datetime, down: Sequence[Span] = (), every: timedelta = HOUR
) -> Played:
    """Poll every database at every full hour from the installation to `now`, but not while it or the exporter fails."""
    held = Played(workspaces={key: workspace_state(key=key, id_=f"w{key}") for key in (1, 2)}, rows={}, lives=lives)
    at = installed_at
    while True:
        if not _within(at, down):
            for key in (1, 2):
                _discover(held, lives, at)
                _poll(held, key, {life.key: life for life in lives if not _within(at, life.fails)}, at)
        if at >= now:
            return held
        at = min(at + every, now)


def _discover(held: Played, lives: Iterable[Life], at: datetime) -> None:
    for life in lives:
        id_ = f"db_{life.key}"
        key = [1, *(key for moved_at, key in life.moves if moved_at <= at)][-1]
        there = next((row for row in held.workspaces.values() if id_ in row.databases), None)
        if there is None:
            if max(life.created_at, life.first_seen_at or life.created_at) > at or life.deleted_at <= at:
                continue
            begins_on = max(at.date().replace(day=1), life.created_at.date())
            state = database_state(
                id_,
                key=life.key,
                workspace_key=key,
                database=database(id_, name=id_, workspace_id=f"w{key}", created_at=life.created_at),
                first_seen_at=at,
                counted_from=at.date(),
                known_until=begins_on - ONE_DAY,
                checked_until=begins_on - ONE_DAY,
            )
        else:
            state = there.databases[id_]
            if state.deleted_at is None and life.deleted_at <= at:
                state = replace(state, deleted_at=life.deleted_at)
            if state.workspace_key != key:
                rest = {other: row for other, row in there.databases.items() if other != id_}
                held.workspaces[there.key] = replace(there, databases=rest)
                state = replace(state, workspace_key=key)
        target = held.workspaces[key]
        held.workspaces[key] = replace(target, databases={**target.databases, id_: state})


def _poll(held: Played, key: int, alive: dict[int, Life], at: datetime) -> None:
    row = held.workspaces[key]
    outcomes = [
        outcome
        for id_, state in row.databases.items()
        if state.key in alive and state.deleted_at is None
        for outcome in _answers(id_, state, alive[state.key], held, at)
    ]
    update = ledger.post(row, outcomes, settle_after=timedelta(0), now=at)
    for state in update.after:
        held.rows.update({(day.database_key, day.day): day for day in state.recent_days})
    held.rows.update({(day.database_key, day.day): day for day in update.other_days})
    held.workspaces[key] = ledger.carry_workspace(ledger.apply(row, update, generation=1), at)


def _answers(id_: str, state: DatabaseState, life: Life, held: Played, at: datetime) -> Iterable[UsageReading]:
    first = min([state.known_until + ONE_DAY, *(row.day for row in state.recent_days if row.settled_at is None)])
    for start in _days(day_start(first), day_start(at.date()) + ONE_DAY):
        old = held.rows.get((state.key, start.date()))
        if start.date() < at.date() and old is not None and old.settled_at is not None:
            continue
        window = day_window(start.date(), until=at)
        if window.end_at > window.start_at:
            yield reading(
                window,
                life.operations(window.start_at, window.end_at),
                read_at=at,
                database_id=id_,
                storage_bytes=life.level(window.end_at if window.end_at == at else window.end_at - HOUR),
            )
    window = month_window(at.date(), until=at)
    if window.end_at > window.start_at:
        yield reading(window, life.operations(window.start_at, at), read_at=at, database_id=id_, storage_bytes=None)


def _days(begin: datetime, end: datetime) -> list[datetime]:
    return [begin + back * ONE_DAY for back in range(max(0, -(-(end - begin) // ONE_DAY)))]


def _within(at: datetime, spans: Iterable[Span]) -> bool:
    return any(begin <= at < end for begin, end in spans)
