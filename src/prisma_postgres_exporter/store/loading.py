"""Read the ledger state: what the plan and the snapshot need, and no history.

Each table is read once, in the order of its keys, and joined here: most of the time goes into
making the values.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from sys import intern
from typing import Any

from sqlalchemy import Column, Connection, Select, and_, or_, select, union

from prisma_postgres_exporter.ledger import carry
from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    DayUsage,
    DiscoveryGap,
    EventKind,
    MonthUsage,
    Move,
    PlanChange,
    RollingUsage,
    Workspace,
    WorkspaceState,
    previous_month_start,
)
from prisma_postgres_exporter.store.history import look_up_days
from prisma_postgres_exporter.store.rows import (
    Instants,
    day_number,
    day_of,
    fetched,
    month_number,
    read_days,
    read_months,
    unix_seconds,
)
from prisma_postgres_exporter.store.tables import (
    databases,
    days,
    events,
    months,
    moves,
    plans,
    positions,
    rolling,
    windows,
    workspaces,
)

AnyQuery = Select[*tuple[Any, ...]]
Wanted = Select[*tuple[Any, ...]] | None
"""The keys of the databases to read; `None` is all of them."""

ONE_DAY = timedelta(days=1)
_found_workspace = and_(events.c.subject == "workspace", events.c.kind == EventKind.FOUND.value)


def load_states(
    connection: Connection, now: datetime, workspace_ids: Collection[str] | None = None
) -> dict[str, WorkspaceState]:
    """Build the states as of `now`, of all workspaces or of those that are named, from one transaction's view."""
    # While others work, as they do when one workspace is read again, the collector would make up for it at once.
    with _collector_paused() if workspace_ids is None else nullcontext():
        return _load_states(connection, now, workspace_ids)


@dataclass(frozen=True, slots=True)
class Newer:
    """What somebody else wrote of a workspace since it was loaded: all of it, or the databases that were read."""

    state: WorkspaceState
    is_whole: bool

    def put_into(self, held: WorkspaceState | None) -> WorkspaceState:
        """Return the newer state of what was held."""
        if self.is_whole or held is None:
            return self.state
        return replace(self.state, databases={**held.databases, **self.state.databases})


def load_newer(connection: Connection, now: datetime, held: Mapping[str, int]) -> dict[str, Newer]:
    """Build what is newer than the generations that are `held`, by workspace id; one that is not held is all new."""
    columns = workspaces.c
    query = select(columns.key, columns.id, columns.generation, columns.whole_generation)
    behind = [row for row in connection.execute(query) if row.generation != held.get(row.id)]
    if not behind:
        return {}
    whole = {row.id: row.key for row in behind if not row.whole_generation <= held.get(row.id, -1) < row.generation}
    parts = [
        and_(databases.c.workspace_key == row.key, positions.c.generation > held[row.id])
        for row in behind
        if row.id not in whole
    ]
    wanted = (
        select(databases.c.key)
        .join(positions, positions.c.database_key == databases.c.key)
        .where(or_(databases.c.workspace_key.in_(list(whole.values())), *parts))
    )
    states = _load_states(connection, now, [row.id for row in behind], wanted)
    return {id_: Newer(state, is_whole=id_ in whole) for id_, state in states.items()}


def _load_states(
    connection: Connection, now: datetime, workspace_ids: Collection[str] | None, wanted: Wanted = None
) -> dict[str, WorkspaceState]:
    known = {row.key: row for row in _load_workspaces(connection, now, workspace_ids)}
    if workspace_ids is not None and wanted is None:
        wanted = select(databases.c.key).where(databases.c.workspace_key.in_(list(known)))
    by_workspace: dict[int, dict[str, DatabaseState]] = {key: {} for key in known}
    for state in _load_databases(
        connection, now, wanted, workspace_ids={key: row.workspace.id for key, row in known.items()}
    ):
        by_workspace[state.workspace_key][state.database.id] = state
    return {row.workspace.id: replace(row, databases=by_workspace[key]) for key, row in known.items()}


def load_gaps(connection: Connection, since: datetime) -> Mapping[str, Sequence[DiscoveryGap]]:
    """The gaps in the looks at each workspace that ended after `since`, oldest first, by workspace id."""
    at, found = Instants(), defaultdict(list)
    query = select(events.c.subject_id, events.c.last_there_at, events.c.at).where(
        _found_workspace, events.c.at > unix_seconds(since), events.c.last_there_at < events.c.at
    )
    for id_, from_at, to_at in connection.execute(query.order_by(events.c.at)):
        found[id_].append(DiscoveryGap(from_at=at[from_at], to_at=at[to_at]))
    return found


def _load_workspaces(connection: Connection, now: datetime, ids: Collection[str] | None) -> list[WorkspaceState]:
    at = Instants()
    gaps = load_gaps(connection, previous_month_start(now))
    changes = defaultdict(list)
    for key, changed_at, plan in connection.execute(select(plans).order_by(*plans.primary_key)):
        changes[key].append(PlanChange(at=at[changed_at], plan=plan))
    looked = and_(events.c.at == workspaces.c.first_seen_at, events.c.subject_id == workspaces.c.id, _found_workspace)
    query = select(workspaces, events.c.last_there_at).outerjoin(events, looked).order_by(workspaces.c.key)
    rows = connection.execute(query if ids is None else query.where(workspaces.c.id.in_(list(ids))))
    return [
        WorkspaceState(
            key=key,
            workspace=Workspace(id=id_, name=name, plan=plan, usage_blocked=usage_blocked),
            first_seen_at=at[first_seen_at],
            generation=generation,
            gone_at=at[gone_at] if gone_at is not None else None,
            plans=tuple(changes[key]),
            looked_at=at[looked_at] if looked_at is not None else None,
            discovery_gaps=tuple(gaps.get(id_, ())),
        )
        for key, id_, name, plan, usage_blocked, first_seen_at, gone_at, generation, _, _, looked_at in rows
    ]


def _load_recent_days(
    connection: Connection, today: date, wanted: Wanted, unplaced: Collection[tuple[int, date]]
) -> Mapping[int, Sequence[DayUsage]]:
    """Yesterday, today, what is not settled and what is `unplaced`; none is found by walking the history."""
    yesterday = day_number(today - ONE_DAY)
    older = select(days).where(days.c.settled_seconds.is_(None), days.c.day < yesterday)
    newer = select(days).where(days.c.day >= yesterday)
    by_key = defaultdict(list)
    for query in (older, newer):
        chosen = _of(query, days.c.database_key, wanted)
        for usage in read_days(fetched(connection, chosen.order_by(days.c.day, days.c.database_key))):
            by_key[usage.database_key].append(usage)
    for usage in look_up_days(connection, unplaced):
        if usage.settled_at is not None and day_number(usage.day) < yesterday:
            by_key[usage.database_key].append(usage)
    return by_key


def _unplaced(
    moves_by_key: Mapping[int, Sequence[Move]], months_by_key: Mapping[int, Sequence[MonthUsage]]
) -> Collection[tuple[int, date]]:
    """The days that moves leave in doubt, of the months that are held, with the key of their database."""
    since = {key: min(row.month for row in months_by_key[key]) for key in moves_by_key if key in months_by_key}
    spans = [(key, *move.unplaced_days) for key, found in moves_by_key.items() if key in since for move in found]
    return {
        (key, first + ahead * ONE_DAY)
        for key, first, end in spans
        for ahead in range(max(0, (since[key] - first).days), (end - first).days)
    }


def _load_months(connection: Connection, previous_month: date, wanted: Wanted) -> Mapping[int, Sequence[MonthUsage]]:
    """The previous month's rows and newer ones; all of a database with days still to be read before those."""
    late = union(
        select(positions.c.database_key).where(positions.c.known_until < day_number(previous_month) - 1),
        select(days.c.database_key).where(days.c.settled_seconds.is_(None), days.c.day < day_number(previous_month)),
    )
    previous = month_number(previous_month)
    older = select(months).where(months.c.month < previous, months.c.database_key.in_(late))
    newer = select(months).where(months.c.month >= previous)
    by_key = defaultdict(list)
    for query in (older, newer):
        chosen = _of(query, months.c.database_key, wanted)
        for usage in read_months(fetched(connection, chosen.order_by(*months.primary_key))):
            by_key[usage.database_key].append(usage)
    return by_key


def _load_rolling(connection: Connection, wanted: Wanted) -> Mapping[int, Sequence[RollingUsage]]:
    at = Instants()
    query = select(rolling.c.database_key, windows.c.name, *list(rolling.c)[2:]).join(
        windows, windows.c.key == rolling.c.window_key
    )
    by_key = defaultdict(list)
    chosen = _of(query, rolling.c.database_key, wanted)
    for database_key, name, operations, period_start_at, period_end_at, read_at in fetched(connection, chosen):
        by_key[database_key].append(
            RollingUsage(
                window_name=name,
                operations=operations,
                period_start_at=at[period_start_at],
                period_end_at=at[period_end_at],
                read_at=at[read_at],
            )
        )
    # Not by the database: a server's order of text depends on its locale.
    for usages in by_key.values():
        usages.sort(key=lambda usage: usage.window_name)
    return by_key


def load_moves(connection: Connection, wanted: Wanted = None) -> Mapping[int, Sequence[Move]]:
    """The moves between workspaces, oldest first; those between projects of one have other ids."""
    at = Instants()
    old, new = workspaces.alias("old"), workspaces.alias("new")
    query = (
        select(databases.c.key, events.c.at, events.c.last_there_at, old.c.key, new.c.key)
        .join(events, events.c.subject_id == databases.c.id)
        .join(old, old.c.id == events.c.before)
        .join(new, new.c.id == events.c.after)
        .where(moves, events.c.subject == "database")
    )
    by_key = defaultdict(list)
    chosen = _of(query, databases.c.key, wanted)
    for key, moved_at, last_there_at, from_key, to_key in fetched(connection, chosen.order_by(events.c.at)):
        last = moved_at if last_there_at is None else last_there_at
        by_key[key].append(Move(at=at[moved_at], from_key=from_key, to_key=to_key, last_there_at=at[last]))
    return by_key


def _load_databases(
    connection: Connection, now: datetime, wanted: Wanted, *, workspace_ids: Mapping[int, str]
) -> Iterator[DatabaseState]:
    """States by key: of every database that is there, and of the deleted ones of these two months' bills."""
    previous_month = previous_month_start(now).date()
    moves_by_key = load_moves(connection, wanted)
    months_by_key = _load_months(connection, previous_month, wanted)
    unplaced = _unplaced(moves_by_key, months_by_key)
    days_by_key = _load_recent_days(connection, now.date(), wanted, unplaced)
    rolling_by_key = _load_rolling(connection, wanted)
    billed = select(months.c.database_key).where(months.c.month >= month_number(previous_month))
    query = (
        select(databases, *list(positions.c)[1:-1])
        .join(positions, positions.c.database_key == databases.c.key)
        .where(
            or_(
                databases.c.deleted_at.is_(None),
                databases.c.deleted_at >= int(previous_month_start(now).timestamp()),
                databases.c.key.in_(billed),
            )
        )
        .order_by(databases.c.key)
    )
    at = Instants()
    today = now.date()
    for (
        key,
        id_,
        workspace_key,
        name,
        project_id,
        project_name,
        region,
        status,
        is_default,
        created_at,
        first_seen_at,
        counted_from,
        deleted_at,
        known_until,
        operations_total,
        revisions_up,
        revisions_down,
        storage_bytes,
        storage_at,
        usage_at,
        last_success_at,
        failing_since_at,
        failure_reason,
        checked_until,
        recheck_at,
    ) in fetched(connection, _of(query, databases.c.key, wanted)):
        known_until_day = day_of(known_until)
        moved = tuple(moves_by_key.get(key, ()))
        carried = carry(
            days_by_key.get(key, ()), months_by_key.get(key, ()), moves=moved, known_until=known_until_day, today=today
        )
        yield DatabaseState(
            key=key,
            workspace_key=workspace_key,
            database=Database(
                id=id_,
                name=name,
                # One text for all databases that share it.
                project_id=intern(project_id),
                project_name=intern(project_name),
                workspace_id=workspace_ids[workspace_key],
                region=None if region is None else intern(region),
                status=intern(status),
                is_default=is_default,
                created_at=at[created_at],
            ),
            first_seen_at=at[first_seen_at],
            counted_from=day_of(counted_from),
            known_until=known_until_day,
            checked_until=day_of(checked_until),
            deleted_at=None if deleted_at is None else at[deleted_at],
            operations_total=operations_total,
            revisions_up=revisions_up,
            revisions_down=revisions_down,
            storage_bytes=storage_bytes,
            storage_at=None if storage_at is None else at[storage_at],
            usage_at=None if usage_at is None else at[usage_at],
            last_success_at=None if last_success_at is None else at[last_success_at],
            failing_since_at=None if failing_since_at is None else at[failing_since_at],
            failure_reason=failure_reason,
            recent_days=carried.days,
            months=carried.months,
            rolling=tuple(rolling_by_key.get(key, ())),
            recheck_at=None if recheck_at is None else at[recheck_at],
            moves=moved,
        )


def _of(query: AnyQuery, key: Column[int], wanted: Wanted) -> AnyQuery:
    return query if wanted is None else query.where(key.in_(wanted))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A ledger state is many objects and no garbage: to search it while it grows would take a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
