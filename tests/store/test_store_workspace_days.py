"""A workspace's days: sums over its databases, and which of them were there and have no row."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
from store_values import DAY, NOW, TODAY, database, discover, discovered, post, settled_day

from prisma_postgres_exporter.model import DayUsage, LedgerUpdate, WorkspaceDay
from prisma_postgres_exporter.store import Store

TIB = 2**40
SEEN_AT = NOW - 40 * DAY
"""When the first databases are seen: their ledger begins with October."""


def put(store: Store, rows: Iterable[DayUsage]) -> None:
    post(store, LedgerUpdate(other_days=tuple(rows)))


def by_day(store: Store, from_day: date = TODAY - 91 * DAY) -> Mapping[tuple[date, int], WorkspaceDay]:
    return {(row.day, row.workspace_key): row for row in store.workspace_days(from_day)}


def test_levels_are_means_over_the_time_that_is_known_and_fit_any_number(store: Store) -> None:
    discover(store, replace(discovered(3), at=SEEN_AT))
    yesterday, before = TODAY - DAY, TODAY - 2 * DAY
    put(
        store,
        [
            settled_day(1, yesterday, storage_byte_seconds=60 * TIB * 21_600, storage_seconds=21_600),
            settled_day(2, yesterday, storage_byte_seconds=4 * TIB * 86_400, storage_seconds=86_400),
            settled_day(3, yesterday, storage_byte_seconds=2**63 - 1, storage_seconds=1),
            settled_day(1, before, storage_byte_seconds=TIB * 86_400, storage_seconds=86_400),
            settled_day(2, before, storage_byte_seconds=0, storage_seconds=0),
            settled_day(2, before - DAY, storage_byte_seconds=0, storage_seconds=0),
        ],
    )

    days = by_day(store)
    levels = [(row.storage_bytes, row.is_storage_known) for _, row in sorted(days.items())]

    # Of a day that one of them has no level of it is at least so much.
    assert levels == [(None, False), (TIB, False), (pytest.approx(64 * TIB + 2**63 - 1), True)]


def test_a_level_that_stands_for_more_than_an_hour_that_a_database_lived_is_known_in_part(store: Store) -> None:
    day, noon = TODAY - 3 * DAY, timedelta(hours=12)
    at_noon = NOW.replace(hour=0, minute=0, second=0) - 3 * DAY + noon
    there = replace(discovered(0), at=SEEN_AT, databases=(database(1), database(2), database(3)))
    discover(store, there)
    discover(store, replace(there, at=at_noon, databases=(database(4, created_at=at_noon),)))
    discover(store, replace(there, at=at_noon + timedelta(hours=6), deleted_database_ids=(database(3).id,)))
    seconds = {1: 86_400, 2: 86_400, 3: 18 * 3_600, 4: 12 * 3_600}

    for key, lived in seconds.items():
        for missing, is_in_part in ((0, False), (3_600, False), (3_601, True), (lived, False)):
            known = {**seconds, key: lived - missing}
            put(
                store,
                [settled_day(of, day, storage_byte_seconds=held, storage_seconds=held) for of, held in known.items()],
            )
            found = by_day(store)[day, 1]
            assert found.is_storage_in_part is is_in_part, (key, missing)
            # A byte each.
            assert found.stretched_byte_seconds == (missing if missing < lived else 0)


def test_no_database_is_absent_before_its_workspace_was_followed_or_after_a_backfill(store: Store) -> None:
    discover(store, replace(discovered(3), at=SEEN_AT))
    put(store, [settled_day(key, TODAY - back * DAY) for back in range(1, 54) for key in (1, 2, 3)])
    assert not any(row.absent for row in by_day(store).values())

    put(store, [settled_day(key, TODAY - back * DAY) for back in range(54, 80) for key in (1, 2, 3)])
    assert not any(row.absent for row in by_day(store).values())


def test_a_database_that_was_followed_later_is_absent_before(store: Store) -> None:
    discover(store, replace(discovered(2), at=SEEN_AT))
    late = database(3, created_at=NOW - 50 * DAY)
    young = database(4, created_at=NOW - 2 * DAY)
    discover(store, replace(discovered(2), at=NOW - DAY, databases=(late, young)))
    put(store, [settled_day(key, TODAY - back * DAY) for back in range(1, 53) for key in (1, 2)])
    put(store, [settled_day(3, TODAY - back * DAY) for back in range(1, 23)])
    put(store, [settled_day(4, TODAY - back * DAY) for back in range(1, 3)])

    lacking = {row.day for row in by_day(store).values() if row.absent}

    # The ledger of a database that is seen in November begins with that month.
    assert lacking == {date(2026, 10, 4) + ahead * DAY for ahead in range(28)}
    assert {row.absent for row in by_day(store).values() if row.day in lacking} == {(3,)}


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_absent_are_those_that_lived_and_have_no_row(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    first = discovered(0, workspaces=2)
    lives = [
        database(
            number,
            workspace=chance.choice((1, 2)),
            created_at=NOW - timedelta(hours=chance.randrange(1, 100 * 24)),
        )
        for number in range(1, 10)
    ]
    seen = {row.id: max(row.created_at, NOW - chance.choice((30, 40, 41, 60, 1)) * DAY) for row in lives}
    discover(store, replace(first, at=NOW - 70 * DAY))
    for row in sorted(lives, key=lambda row: seen[row.id]):
        discover(store, replace(first, at=seen[row.id], databases=(row,)))
    moved = chance.choice(lives)
    elsewhere = database(int(moved.id[3:]), workspace=1 + moved.workspace_id.endswith("1"), created_at=moved.created_at)
    discover(store, replace(first, at=NOW - DAY, databases=(elsewhere,)))
    gone = chance.choice([row for row in lives if row != moved])
    discover(store, replace(first, at=NOW - timedelta(hours=3), deleted_database_ids=(gone.id,)))
    held = {row.database.id: row for row in store.databases()}
    keys = {row.id: (held[row.id].key, int(row.workspace_id[5:])) for row in lives}
    rows = []
    for row in lives:
        key, workspace = keys[row.id]
        begins = _begins(row.created_at, seen[row.id], held[row.id].counted_from)
        chance_of_backfill = chance.choice((0.0, 0.5, 1.0))
        for back in range(85, 0, -1):
            day = TODAY - back * DAY
            is_late = row.created_at.date() <= day < begins
            if day >= begins or (is_late and chance.random() < chance_of_backfill):
                rows.append(settled_day(key, day, workspace_key=workspace))
    put(store, rows)

    found = by_day(store)

    there = {(row.day, row.database_key) for row in rows}
    expected = defaultdict(set)
    for day, workspace in found:
        for known in held.values():
            begins = _begins(known.database.created_at, known.first_seen_at, known.counted_from)
            is_late = known.database.created_at.date() <= day < begins
            if known.workspace_key == workspace and is_late and (day, known.key) not in there:
                expected[day, workspace].add(known.key)
    assert {place: set(row.absent) for place, row in found.items() if row.absent} == expected


def _begins(created_at: datetime, seen_at: datetime, counted_from: date) -> date:
    """With the month in which it was seen or with itself, but never after its counter."""
    return min(counted_from, max(seen_at.date().replace(day=1), created_at.date()))
