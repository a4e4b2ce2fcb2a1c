"""Whatever is recorded is what is loaded: random updates against plain values in memory."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_values import DAY, NOW, FreshUrl, concerned, database, day_usage, discover, discovered, month_usage, reading

from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    Discovered,
    LedgerState,
    LedgerUpdate,
    MonthUsage,
    RollingUsage,
    WorkspaceState,
    day_start,
)
from prisma_postgres_exporter.store import Store


class LedgerInMemory:
    """Everything that was ever posted, and what a store should make of it."""

    def __init__(self, ledger_state: LedgerState) -> None:
        self.workspaces = dict(ledger_state.workspaces)
        self.states = dict(ledger_state.databases)
        self.days: dict[tuple[int, date], DayUsage] = {}
        self.months: dict[tuple[int, date, int], MonthUsage] = {}
        self.rolling: dict[tuple[int, str], RollingUsage] = {}

    def post(self, workspace_id: str, update: LedgerUpdate) -> None:
        for state in update.after:
            self.states[state.database.id] = state
            self.rolling |= {(state.key, usage.window_name): usage for usage in state.rolling}
        days = [day for state in update.after for day in state.recent_days] + list(update.other_days)
        months = [month for state in update.after for month in state.months] + list(update.other_months)
        self.days |= {(usage.database_key, usage.day): usage for usage in days}
        self.months |= {(usage.database_key, usage.month, usage.workspace_key): usage for usage in months}
        self._count_write(workspace_id)

    def discover(self, found: Discovered, workspace_ids: Iterable[str]) -> None:
        for id_ in found.deleted_database_ids:
            self.states[id_] = replace(self.states[id_], deleted_at=self.states[id_].deleted_at or found.at)
        for seen in found.databases:
            key = self.workspaces[seen.workspace_id].key
            self.states[seen.id] = replace(self.states[seen.id], database=seen, workspace_key=key, deleted_at=None)
        for id_ in workspace_ids:
            self._count_write(id_)

    def load(self, now: datetime) -> LedgerState:
        return LedgerState.of(self.workspaces.values(), self._databases(now).values())

    def _count_write(self, workspace_id: str) -> None:
        workspace = self.workspaces[workspace_id]
        self.workspaces[workspace_id] = replace(workspace, generation=workspace.generation + 1, databases={})

    def _databases(self, now: datetime) -> dict[str, DatabaseState]:
        previous_month = (now.date().replace(day=1) - DAY).replace(day=1)
        loaded = {}
        for id_, state in self.states.items():
            days = sorted(
                (
                    usage
                    for (key, day), usage in self.days.items()
                    if key == state.key and (usage.settled_at is None or day >= now.date() - DAY)
                ),
                key=lambda usage: usage.day,
            )
            unread = [state.known_until + DAY, *(usage.day for usage in days)]
            floor = min(previous_month, *(day.replace(day=1) for day in unread))
            months = sorted(
                (usage for (key, month, _), usage in self.months.items() if key == state.key and month >= floor),
                key=lambda usage: (usage.month, usage.workspace_key),
            )
            rolling = sorted(
                (usage for (key, _), usage in self.rolling.items() if key == state.key),
                key=lambda usage: usage.window_name,
            )
            is_billed = any(usage.month >= previous_month for usage in months)
            if state.deleted_at is None or state.deleted_at.date() >= previous_month or is_billed:
                loaded[id_] = replace(state, recent_days=tuple(days), months=tuple(months), rolling=tuple(rolling))
        return loaded


def random_update(chance: Random, workspace: WorkspaceState, now: datetime) -> LedgerUpdate:
    """Any rows that the schema takes: the store must not rely on their making sense together."""
    before = chance.sample(list(workspace.databases.values()), chance.randint(0, len(workspace.databases)))
    after, other_days, other_months = [], [], []
    for state in before:
        days = {usage.day: usage for usage in state.recent_days}
        for _ in range(chance.randint(0, 4)):
            usage = random_day(chance, state.key, now)
            if usage.settled_at is None or usage.day >= now.date() - DAY:
                days[usage.day] = usage
            else:
                days.pop(usage.day, None)
                other_days.append(usage)
        months = {(usage.month, usage.workspace_key): usage for usage in state.months}
        for _ in range(chance.randint(0, 2)):
            month = random_month(chance, state.key, now)
            if months and month.month >= state.months[0].month:
                months[month.month, month.workspace_key] = month
            else:
                other_months.append(month)
        rolling = {usage.window_name: usage for usage in state.rolling}
        name = chance.choice(["24h", "7d", "30d", "1h"])
        rolling[name] = random_rolling(chance, name, now)
        storage_bytes = chance.choice([None, 0, chance.randrange(2**46)])
        reason = chance.choice([None, "timeout", "na\nme\t\\N 'x' 😀"])
        after.append(
            replace(
                state,
                known_until=state.known_until + chance.randint(0, 20) * DAY,
                operations_total=state.operations_total + chance.randrange(2**53),
                revisions_up=state.revisions_up + chance.randint(0, 1),
                storage_bytes=storage_bytes,
                storage_at=None if storage_bytes is None else now,
                usage_at=chance.choice([None, now]),
                last_success_at=chance.choice([None, now]),
                failing_since_at=None if reason is None else now,
                failure_reason=reason,
                recent_days=tuple(days[day] for day in sorted(days)),
                months=tuple(months[key] for key in sorted(months)),
                rolling=tuple(rolling[key] for key in sorted(rolling)),
            )
        )
    return LedgerUpdate(
        before=tuple(before),
        after=tuple(after),
        other_days=tuple(other_days),
        other_months=tuple(other_months),
        readings=tuple(reading(state.key, now, operations=chance.randint(0, 9)) for state in before),
    )


def random_day(chance: Random, key: int, now: datetime) -> DayUsage:
    operations = chance.choice([0, chance.randrange(1_000), 2**53])
    day = now.date() - chance.randrange(100) * DAY
    is_closed = now >= (closed_at := day_start(day) + DAY)
    unchanged_since_at = max(closed_at, now - chance.randrange(100) * timedelta(hours=1)) if is_closed else None
    return day_usage(
        key,
        day,
        operations=operations,
        operations_high=operations + chance.choice([0, 5]),
        storage_byte_seconds=chance.choice([0, 2**46 * 86_400]),
        read_at=now,
        unchanged_since_at=unchanged_since_at,
        settled_at=unchanged_since_at and chance.choice([None, unchanged_since_at, now]),
        is_counted=chance.choice([True, False]),
    )


def random_month(chance: Random, key: int, now: datetime) -> MonthUsage:
    operations = chance.choice([None, 0, 2**53])
    read_at = None if operations is None else now
    return month_usage(
        key,
        (now.date() - chance.randrange(150) * DAY).replace(day=1),
        workspace_key=chance.choice([1, 2]),
        days_operations=chance.randrange(2**58),
        storage_byte_seconds=chance.choice([0, 2**46 * 86_400 * 31]),
        operations=operations,
        difference_operations=None if operations is None else chance.choice([None, -(2**53), 3]),
        period_end_at=read_at,
        read_at=read_at,
    )


def random_rolling(chance: Random, name: str, now: datetime) -> RollingUsage:
    return RollingUsage(
        window_name=name,
        operations=chance.randrange(2**53),
        period_start_at=now - DAY,
        period_end_at=now,
        read_at=now,
    )


def random_discovery(chance: Random, ledger_state: LedgerState, now: datetime) -> Discovered:
    """A database is deleted, or found in a workspace: it moved there, or returned, or stayed."""
    state = chance.choice(list(ledger_state.databases.values()))
    if chance.random() < 0.5:
        return Discovered(at=now, deleted_database_ids=(state.database.id,))
    return Discovered(at=now, databases=(replace(state.database, workspace_id=chance.choice(["wksp_1", "wksp_2"])),))


@pytest.mark.parametrize("fresh_url", ["sqlite", pytest.param("postgres", marks=pytest.mark.slow)], indirect=True)
@settings(max_examples=15)
@given(chance=st.randoms(use_true_random=False))
def test_what_is_loaded_is_what_was_posted(fresh_url: FreshUrl, chance: Random) -> None:
    with fresh_url() as url, closing(Store.open(url)) as store:
        now, found = NOW, discovered(2, workspaces=2)
        found = replace(found, databases=(*found.databases, database(3, workspace=2), database(4, workspace=2)))
        memory = LedgerInMemory(discover(store, found))
        for _ in range(chance.randint(1, 8)):
            now += chance.choice([timedelta(minutes=5), DAY, 17 * DAY])
            held = memory.load(now)
            workspace = chance.choice(list(held.workspaces.values()))
            id_, generation = workspace.workspace.id, workspace.generation
            update = random_update(chance, workspace, now)
            memory.post(id_, update)
            assert store.record(update, workspace_id=id_, generation=generation, at=now) == generation + 1
            held = memory.load(now)
            assert store.load(now) == held
            if held.databases and chance.random() < 0.3:
                found = random_discovery(chance, held, now)
                known = concerned(held, found)
                memory.discover(found, known)
                store.record_discovery(found, generations=known)
        assert store.load(now) == memory.load(now)
        assert list(store.days()) == [memory.days[key, day] for day, key in sorted((d, k) for k, d in memory.days)]
