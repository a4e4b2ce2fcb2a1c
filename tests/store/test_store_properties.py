"""Whatever is recorded is what is loaded: random postings against a plain book in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_values import DAY, NOW, day_usage, discovered, month_usage, reading

from postgres import PostgresServer
from prisma_postgres_exporter.model import DayUsage, Discovered, MonthUsage, Position, Posting, RollingUsage
from prisma_postgres_exporter.store import Store


class BookInMemory:
    """Everything that was ever posted, and what a store should make of it."""

    def __init__(self, positions: dict[str, Position]) -> None:
        self.positions = positions
        self.days: dict[tuple[int, date], DayUsage] = {}
        self.months: dict[tuple[int, date, int], MonthUsage] = {}
        self.rolling: dict[tuple[int, str], RollingUsage] = {}

    def post(self, posting: Posting) -> None:
        for position in posting.positions:
            self.positions[position.database.id] = position
            self.rolling |= {(position.key, usage.window_name): usage for usage in position.rolling}
        days = [day for position in posting.positions for day in position.recent_days] + list(posting.other_days)
        months = [month for position in posting.positions for month in position.months] + list(posting.other_months)
        self.days |= {(usage.database_key, usage.day): usage for usage in days}
        self.months |= {(usage.database_key, usage.month, usage.workspace_key): usage for usage in months}

    def load(self, now: datetime) -> dict[str, Position]:
        previous_month = (now.date().replace(day=1) - DAY).replace(day=1)
        loaded = {}
        for id_, position in self.positions.items():
            days = sorted(
                (
                    usage
                    for (key, day), usage in self.days.items()
                    if key == position.key and (usage.settled_at is None or day >= now.date() - DAY)
                ),
                key=lambda usage: usage.day,
            )
            unread = [position.known_until + DAY, *(usage.day for usage in days)]
            floor = min(previous_month, *(day.replace(day=1) for day in unread))
            months = sorted(
                (usage for (key, month, _), usage in self.months.items() if key == position.key and month >= floor),
                key=lambda usage: (usage.month, usage.workspace_key),
            )
            rolling = sorted(
                (usage for (key, _), usage in self.rolling.items() if key == position.key),
                key=lambda usage: usage.window_name,
            )
            if position.deleted_at is None or any(usage.month >= previous_month for usage in months):
                loaded[id_] = replace(position, recent_days=tuple(days), months=tuple(months), rolling=tuple(rolling))
        return loaded


def random_posting(chance: Random, book: dict[str, Position], now: datetime) -> Posting:
    """Any rows at all: the store must not rely on their making sense together."""
    before = chance.sample(list(book.values()), chance.randint(0, len(book)))
    positions, other_days, other_months = [], [], []
    for position in before:
        days = {usage.day: usage for usage in position.recent_days}
        for _ in range(chance.randint(0, 4)):
            usage = random_day(chance, position.key, now)
            if usage.settled_at is None or usage.day >= now.date() - DAY:
                days[usage.day] = usage
            else:
                days.pop(usage.day, None)
                other_days.append(usage)
        months = {(usage.month, usage.workspace_key): usage for usage in position.months}
        for _ in range(chance.randint(0, 2)):
            month = random_month(chance, position.key, now)
            if months and month.month >= position.months[0].month:
                months[month.month, month.workspace_key] = month
            else:
                other_months.append(month)
        rolling = {usage.window_name: usage for usage in position.rolling}
        name = chance.choice(["24h", "7d", "30d", "1h"])
        rolling[name] = random_rolling(chance, name, now)
        positions.append(
            replace(
                position,
                known_until=position.known_until + chance.randint(0, 20) * DAY,
                operations_total=position.operations_total + chance.randrange(2**53),
                revisions_up=position.revisions_up + chance.randint(0, 1),
                storage_bytes=chance.choice([None, 0, chance.randrange(2**46)]),
                storage_at=chance.choice([None, now]),
                usage_at=chance.choice([None, now]),
                last_success_at=chance.choice([None, now]),
                failing_since_at=chance.choice([None, now]),
                failure_reason=chance.choice([None, "timeout", "na\nme\t\\N 'x' 😀"]),
                recent_days=tuple(days[day] for day in sorted(days)),
                months=tuple(months[key] for key in sorted(months)),
                rolling=tuple(rolling[key] for key in sorted(rolling)),
            )
        )
    return Posting(
        before=tuple(before),
        positions=tuple(positions),
        other_days=tuple(other_days),
        other_months=tuple(other_months),
        readings=tuple(reading(position.key, now, operations=chance.randint(0, 9)) for position in before),
    )


def random_day(chance: Random, key: int, now: datetime) -> DayUsage:
    operations = chance.choice([0, chance.randrange(1_000), 2**53])
    unchanged_since_at = chance.choice([None, now - chance.randrange(100) * timedelta(hours=1)])
    return day_usage(
        key,
        now.date() - chance.randrange(100) * DAY,
        operations=operations,
        operations_high=operations + chance.choice([0, 5]),
        storage_byte_seconds=chance.choice([0, 2**46 * 86_400]),
        read_at=now,
        unchanged_since_at=unchanged_since_at,
        settled_at=unchanged_since_at and chance.choice([None, now - timedelta(hours=1), now]),
        is_counted=chance.choice([True, False]),
    )


def random_month(chance: Random, key: int, now: datetime) -> MonthUsage:
    return month_usage(
        key,
        (now.date() - chance.randrange(150) * DAY).replace(day=1),
        workspace_key=chance.choice([1, 2]),
        days_operations=chance.randrange(2**58),
        storage_byte_seconds=chance.choice([0, 2**46 * 86_400 * 31]),
        operations=chance.choice([None, 0, 2**53]),
        difference_operations=chance.choice([None, -(2**53), 3]),
        period_end_at=chance.choice([None, now]),
        read_at=chance.choice([None, now]),
    )


def random_rolling(chance: Random, name: str, now: datetime) -> RollingUsage:
    return RollingUsage(
        window_name=name,
        operations=chance.randrange(2**53),
        period_start_at=now - DAY,
        period_end_at=now,
        read_at=now,
    )


@contextmanager
def fresh_url(engine: str, server: PostgresServer) -> Iterator[str]:
    if engine == "sqlite":
        with TemporaryDirectory() as directory:
            yield f"sqlite:///{Path(directory) / 'store.db'}"
    else:
        with server.fresh_database() as url:
            yield url


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
@settings(max_examples=15, deadline=None)
@given(chance=st.randoms(use_true_random=False))
def test_what_is_loaded_is_what_was_posted(engine: str, shared_postgres: PostgresServer, chance: Random) -> None:
    with fresh_url(engine, shared_postgres) as url:
        store = Store.open(url)
        now, generation = NOW, store.record_discovery(discovered(4, workspaces=2), generation=0)
        memory = BookInMemory(dict(store.load(now).positions))
        for _ in range(chance.randint(1, 8)):
            now += chance.choice([timedelta(minutes=5), DAY, 17 * DAY])
            posting = random_posting(chance, memory.load(now), now)
            memory.post(posting)
            generation = store.record(posting, at=now, generation=generation)
            assert store.load(now).positions == memory.load(now)
            if chance.random() < 0.2:
                gone = chance.choice(list(memory.positions))
                was_deleted_at = memory.positions[gone].deleted_at
                memory.positions[gone] = replace(memory.positions[gone], deleted_at=was_deleted_at or now)
                generation = store.record_discovery(
                    Discovered(at=now, deleted_database_ids=(gone,)), generation=generation
                )
        assert store.load(now).positions == memory.load(now)
        assert store.load(now).generation == generation
        assert list(store.days()) == [memory.days[key, day] for day, key in sorted((d, k) for k, d in memory.days)]
        store.close()
