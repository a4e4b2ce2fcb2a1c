"""Find the databases that lived on days of their workspace, but were first followed later."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from prisma_postgres_exporter.model import ledger_begins_on
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.tables import databases, days

DayOf = tuple[int, int]
"""A workspace's day: the day's number and the workspace's key."""


def absent_databases(connection: Connection, held: Mapping[DayOf, tuple[int, int]]) -> dict[DayOf, tuple[int, ...]]:
    """Return the keys of the databases that lack a day although they lived on it, by day and workspace.

    `held` are the days that any database of a workspace has, with how many have them and the sum of their keys: where
    these are all that lived, as after a backfill, no row is looked up. From when a database is followed on, the
    ledger has each of its days until `known_until`: only days before that are asked for.
    """
    first_days: dict[int, int] = {}
    for day, workspace_key in held:
        first_days[workspace_key] = min(day, first_days.get(workspace_key, day))
    late: list[Late] = []
    for workspace_key, lives in _lives(connection, first_days).items():
        late += _not_all_there(workspace_key, lives, held)
    found = defaultdict(list)
    for life, lacking in sorted(_lacking(connection, late), key=lambda entry: entry[0].key):
        for day in lacking:
            found[day, life.workspace_key].append(life.key)
    return {place: tuple(keys) for place, keys in found.items()}


@dataclass(frozen=True, slots=True)
class _Life:
    """When a database lived, from its workspace's first day on, and since when it is followed: numbers of days."""

    key: int
    workspace_key: int
    begins_on: int
    followed_from: int
    ends_on: int | None


Late = tuple[_Life, Sequence[int]]
"""A database that was followed late, and the days before on which it lived and others have rows."""


def _lives(connection: Connection, first_days: Mapping[int, int]) -> dict[int, list[_Life]]:
    columns = databases.c
    query = select(
        columns.key,
        columns.workspace_key,
        columns.created_at,
        columns.first_seen_at,
        columns.counted_from,
        columns.deleted_at,
    )
    at = rows.Instants()
    found = defaultdict(list)
    for key, workspace_key, created_at, first_seen_at, counted_from, deleted_at in rows.fetched(connection, query):
        if workspace_key not in first_days:
            continue
        followed_from = ledger_begins_on(at[created_at], at[first_seen_at], rows.day_of(counted_from))
        found[workspace_key].append(
            _Life(
                key,
                workspace_key,
                begins_on=max(first_days[workspace_key], rows.day_number(at[created_at].date())),
                followed_from=rows.day_number(followed_from),
                ends_on=None if deleted_at is None else rows.day_number(at[deleted_at].date()),
            )
        )
    return found


def _not_all_there(workspace_key: int, lives: Sequence[_Life], held: Mapping[DayOf, tuple[int, int]]) -> Iterator[Late]:
    """The late databases of a workspace, if not each of its days has the rows of all that lived."""
    late = [life for life in lives if life.begins_on < life.followed_from]
    if not late:
        return
    first, end = min(life.begins_on for life in late), max(life.followed_from for life in late)
    of_others = [day for day in range(first, end) if (day, workspace_key) in held]
    living = _living(lives, of_others)
    if all(held[day, workspace_key] == living[day] for day in of_others):
        return
    for life in late:
        lived_until = life.followed_from - 1 if life.ends_on is None else min(life.followed_from - 1, life.ends_on)
        yield life, of_others[bisect_left(of_others, life.begins_on) : bisect_right(of_others, lived_until)]


def _living(lives: Iterable[_Life], of_days: Iterable[int]) -> dict[int, tuple[int, int]]:
    """How many databases lived on each of these days, in their order, and the sum of their keys."""
    changes: list[tuple[int, int, int]] = []
    for life in lives:
        changes.append((life.begins_on, 1, life.key))
        if life.ends_on is not None:
            changes.append((life.ends_on + 1, -1, -life.key))
    changes.sort(reverse=True)
    found = {}
    count = keys = 0
    for day in of_days:
        while changes and changes[-1][0] <= day:
            _, more, key = changes.pop()
            count += more
            keys += key
        found[day] = count, keys
    return found


def _lacking(connection: Connection, late: Iterable[Late]) -> Iterator[Late]:
    """The days that have no row, by database. Rows are counted first: most databases have all of them or none."""
    by_end: dict[int, list[Late]] = defaultdict(list)
    for life, lived in late:
        by_end[life.followed_from].append((life, lived))
    for end, group in by_end.items():
        first = min(life.begins_on for life, _ in group)
        query = (
            select(days.c.database_key, func.count())
            .where(days.c.day >= first, days.c.day < end)
            .group_by(days.c.database_key)
        )
        counts = {row[0]: row[1] for row in connection.execute(query)}
        for life, lived in group:
            count = counts.get(life.key, 0)
            if count == 0:
                yield life, lived
            elif count != len(lived):
                there = _looked_up(connection, life.key, lived)
                yield life, [day for day in lived if day not in there]


def _looked_up(connection: Connection, key: int, of_days: Sequence[int]) -> set[int]:
    query = select(days.c.day).where(days.c.day.in_(of_days), days.c.database_key == key)
    return set(connection.execute(query).scalars())
