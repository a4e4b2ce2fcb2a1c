"""Databases that live by plan and ledger on simulated time, before a vendor that takes its time to answer."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from builders import reading
from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.plan import PlannedRead, Planner
from prisma_postgres_exporter.model import (
    DayUsage,
    LedgerRows,
    MonthUsage,
    UsageReading,
    Window,
    WindowKind,
    WorkspaceState,
    day_start,
)

ONE_DAY = timedelta(days=1)
Used = Callable[[str, date, datetime], int]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A read that was made: asked at `asked_at`, answered at `answered_at`."""

    read: PlannedRead
    asked_at: datetime
    answered_at: datetime


@dataclass(kw_only=True)
class PlannedLife:
    """Rounds of one workspace, each at the instant that the one before it gave.

    `used` gives a whole day's operations of a database as the vendor would say them at an instant; a part of the day
    has its share. Every read takes `latency`; so many `workers` make one group each at a time. A round has a `budget`.
    """

    workspace: WorkspaceState
    poll: PollConfig
    now: datetime
    used: Used
    latency: timedelta = timedelta(0)
    workers: int = 8
    budget: int = 100
    done: list[Done] = field(default_factory=list)
    days: dict[tuple[int, date], DayUsage] = field(default_factory=dict)
    months: dict[tuple[int, date, int], MonthUsage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._planner = Planner(self.poll)

    def run(self, until: datetime) -> None:
        """Make rounds until this instant."""
        while self.now < until:
            self.now = self._round()

    def _round(self) -> datetime:
        """Make one round; returns when the next one begins."""
        self.workspace = ledger.carry_workspace(self.workspace, self.now)
        plan = self._planner.plan(
            self.workspace, followed=self.workspace.databases.keys(), attempts={}, budget=self.budget, now=self.now
        )
        free_at = [self.now] * self.workers
        outcomes: list[UsageReading] = []
        for group in plan.groups:
            at = heapq.heappop(free_at)
            for read in group:
                asked_at, at = at, at + self.latency
                self.done.append(Done(read=read, asked_at=asked_at, answered_at=at))
                outcomes += [self._answer(read.database_id, window, at) for window in read.windows]
            heapq.heappush(free_at, at)
        ended_at = max(free_at) if plan.groups else self.now
        self._post(outcomes, ended_at)
        again = self._planner.plan(
            self.workspace, followed=self.workspace.databases.keys(), attempts={}, budget=self.budget, now=ended_at
        )
        return ended_at if again.groups else again.next_due_at

    def _post(self, outcomes: list[UsageReading], now: datetime) -> None:
        self._planner.note(outcomes)
        looked_up = ledger.older_days(self.workspace, outcomes)
        months = {(key, day.replace(day=1)) for key, day in looked_up}
        older = LedgerRows(
            looked_up=looked_up,
            days=tuple(row for key, row in self.days.items() if key in looked_up),
            months=tuple(row for key, row in self.months.items() if key[:2] in months),
        )
        update = ledger.post(self.workspace, outcomes, settle_after=self.poll.settle_after, now=now, older=older)
        for day in (*update.other_days, *(row for state in update.after for row in state.recent_days)):
            self.days[day.database_key, day.day] = day
        for month in (*update.other_months, *(row for state in update.after for row in state.months)):
            self.months[month.database_key, month.month, month.workspace_key] = month
        self.workspace = ledger.apply(self.workspace, update, generation=self.workspace.generation + 1)

    def _answer(self, database_id: str, window: Window, at: datetime) -> UsageReading:
        operations = self._operations(database_id, window, at) if window.kind is not WindowKind.ROLLING else 1
        return reading(window, operations, read_at=at, database_id=database_id)

    def _operations(self, database_id: str, window: Window, at: datetime) -> int:
        total, day = 0, window.start_at.date()
        while day_start(day) < window.end_at:
            seconds = (min(window.end_at, day_start(day) + ONE_DAY) - day_start(day)).total_seconds()
            total += int(self.used(database_id, day, at) * seconds) // 86_400
            day += ONE_DAY
        return total
