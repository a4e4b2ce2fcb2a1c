"""Rounds of a ledger against a simulated vendor, without a network: what goes wrong is said step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum
from functools import partial

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.model import (
    Book,
    DayUsage,
    Posting,
    ReadingFailure,
    UsageReading,
    WindowKind,
    day_start,
    month_start,
)
from prisma_postgres_exporter.plan import Attempt, PlannedRead, attempt_key, make_plan
from prisma_postgres_exporter.service.past import answer, discovered
from prisma_postgres_exporter.simulator import Vendor
from prisma_postgres_exporter.snapshot import Snapshot, take_snapshot
from prisma_postgres_exporter.store import Store

Outcomes = Sequence[UsageReading | ReadingFailure]


class Fate(Enum):
    """What becomes of one read."""

    ANSWERED = "answered"
    FAILED = "failed"
    LOST = "lost"  # no outcome at all: the process stopped before
    LATE = "late"  # answered now, posted with a later round


class Ending(Enum):
    """How a round ends."""

    STORED = "stored"
    STORED_TWICE = "stored twice"
    KILLED_BEFORE_STORING = "killed before storing"
    KILLED_AFTER_STORING = "killed after storing"


@dataclass
class Rounds:
    """The program's round on a real store, and every promise that must hold after each."""

    vendor: Vendor
    store: Store
    poll: PollConfig
    now: datetime
    book: Book = field(init=False)
    snapshot: Snapshot | None = None
    late: list[UsageReading | ReadingFailure] = field(default_factory=list)
    months_said: dict[tuple[str, date], set[int | None]] = field(default_factory=dict)
    attempts: dict[object, Attempt] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not stored."""
        self.late.clear()
        self.attempts.clear()
        self.snapshot = None
        self.book = self.store.load(self.now)

    def discover(self) -> None:
        """Find what exists now."""
        found = discovered(self.vendor.world, self.book, self.now)
        if found.workspaces or found.databases or found.events:
            self.store.record_discovery(found, generation=self.book.generation)
            self.book = self.store.load(self.now)

    def settle(self, until: datetime, *, every: timedelta) -> None:
        """Let time pass with a vendor that answers everything, each time until nothing more is due."""
        while self.now < until:
            self.now += every
            self.discover()
            for _ in range(100):
                if self.round([Fate.ANSWERED], is_looked_at=False) == 0:
                    break
            self._look()

    def round(
        self,
        fates: Sequence[Fate],
        ending: Ending = Ending.STORED,
        *,
        budget: int = 1_000,
        is_looked_at: bool = True,
    ) -> int:
        """Read what is due, the n-th read with the n-th fate (again from the first), and store it; how many."""
        plan = make_plan(
            self.book,
            followed=self.book.positions.keys(),
            readable_workspaces=self.book.workspaces.keys(),
            attempts=self.attempts,  # type: ignore[arg-type]  # a dict of the same keys
            poll=self.poll,
            budget=budget,
            now=self.now,
        )
        outcomes: list[UsageReading | ReadingFailure] = list(self.late)
        self.late.clear()
        for number, read in enumerate(plan.reads):
            self.requests[read.rank.name] += 1
            self._read(read, fates[number % len(fates)], outcomes)
        self._post(outcomes, ending)
        if is_looked_at:
            self._look()
        return len(plan.reads)

    def _read(self, read: PlannedRead, fate: Fate, outcomes: list[UsageReading | ReadingFailure]) -> None:
        if fate is Fate.LOST:
            return
        if fate is Fate.FAILED or self.vendor.world.database(read.database_id, self.now) is None:
            for window in read.windows:
                failed = ReadingFailure(
                    database_id=read.database_id, window=window, reason="http_500", message="", failed_at=self.now
                )
                key = attempt_key(read.database_id, window)
                before = self.attempts.get(key)
                self.attempts[key] = Attempt(failed_at=self.now, failures=before.failures + 1 if before else 1)
                outcomes.append(failed)
            return
        read_outcomes = list(answer(self.vendor, read, self.now))
        for outcome in read_outcomes:
            self.attempts.pop(attempt_key(outcome.database_id, outcome.window), None)
            if isinstance(outcome, UsageReading) and outcome.window.kind is WindowKind.MONTH:
                key_of_month = outcome.database_id, outcome.window.start_at.date()
                self.months_said.setdefault(key_of_month, set()).add(outcome.operations)
        (self.late if fate is Fate.LATE else outcomes).extend(read_outcomes)

    def _post(self, outcomes: Outcomes, ending: Ending) -> None:
        posting = self._posting(outcomes)
        if ending is Ending.KILLED_BEFORE_STORING:
            self.restart()
            return
        generation = self.store.record(posting, at=self.now, generation=self.book.generation)
        self._check_growth(posting)
        if ending is Ending.KILLED_AFTER_STORING:
            self.restart()
            return
        self.book = ledger.apply(self.book, posting, generation=generation)
        if ending is Ending.STORED_TWICE:
            again = self._posting(outcomes)
            assert again.other_days == ()
            assert again.other_months == ()
            assert again.revisions == ()
            assert all(
                (before.operations_total, before.recent_days, before.months, before.rolling)
                == (after.operations_total, after.recent_days, after.months, after.rolling)
                for before, after in zip(again.before, again.positions, strict=True)
            )

    def _posting(self, outcomes: Outcomes) -> Posting:
        pairs = ledger.older_days(self.book, outcomes)
        older = self.store.ledger_rows(pairs) if pairs else None
        return ledger.post(self.book, outcomes, settle_after=self.poll.settle_after, older=older)

    def _check_growth(self, posting: Posting) -> None:
        for before, after in zip(posting.before, posting.positions, strict=True):
            assert after.operations_total >= before.operations_total, "the counter fell"
            assert after.known_until >= before.known_until

    def _look(self) -> None:
        """Take the picture from the last one: it is the same as a new one, and nothing in it is another month's."""
        take = partial(
            take_snapshot,
            self.book,
            followed=frozenset(self.book.positions),
            workspace_failures={},
            keep_last_value=timedelta(days=1),
            window_names=[window.name for window in self.poll.windows],
            now=self.now,
        )
        self.snapshot = take(last=self.snapshot)
        assert self.snapshot == take()
        this_month = month_start(self.now).date()
        last_month = (this_month - timedelta(days=1)).replace(day=1)
        for view in self.snapshot.databases:
            for month, shown in (
                (this_month, view.month_to_date_operations),
                (last_month, view.previous_month_operations),
            ):
                assert shown is None or shown in self.months_said[view.database_id, month]

    def check_book(self) -> None:
        """What is in memory is what is stored, and every total is the sum of its days."""
        # A clock that was set back leaves rows of the future, which is what they are.
        found = list(self.store.violations(self.now + timedelta(days=400)))
        assert not found, found
        stored = self.store.load(self.now)
        assert stored.workspaces == self.book.workspaces
        by_key: dict[int, list[DayUsage]] = {}
        for row in self.store.days():
            by_key.setdefault(row.database_key, []).append(row)
        for id_, position in stored.positions.items():
            if position.deleted_at is None and position.last_success_at is not None:
                assert position.recent_days == trimmed(self.book.positions[id_].recent_days, self.now)
            rows = by_key.get(position.key, [])
            assert position.operations_total == sum(row.operations_high for row in rows if row.is_counted)
            assert all(row.operations_high >= row.operations >= 0 for row in rows)
            assert all(row.storage_seconds <= 86_400 for row in rows)
            for month in position.months:
                of_month = [
                    row
                    for row in rows
                    if row.day.replace(day=1) == month.month and row.workspace_key == month.workspace_key
                ]
                assert month.days == len(of_month)
                assert month.days_operations == sum(row.operations for row in of_month)
                assert month.storage_byte_seconds == sum(row.storage_byte_seconds for row in of_month)
                assert month.storage_seconds == sum(row.storage_seconds for row in of_month)

    def check_truth(self, *, until: date, by_workspace: bool) -> None:
        """Every day before `until` is settled and true, every month's sum too, for databases and workspaces."""
        world = self.vendor.world
        sums: Counter[tuple[str, date]] = Counter()
        workspace_ids = {row.key: id_ for id_, row in self.book.workspaces.items()}
        for id_, position in self.book.positions.items():
            if position.deleted_at is not None:
                continue
            rows = {row.day: row for row in self.store.days(id_) if row.day < until}
            day = min(rows, default=until)
            while day < until:
                row = rows[day]
                starts_at = day_start(day)
                assert row.settled_at is not None, (id_, day)
                assert row.operations == world.operations(id_, starts_at, starts_at + timedelta(days=1)), (id_, day)
                sums[workspace_ids[row.workspace_key], day.replace(day=1)] += row.operations
                day += timedelta(days=1)
        if by_workspace:
            for (workspace_id, month), total in sums.items():
                # A clock that was set back adds a day before the ledger's first month.
                if month >= self._begins(workspace_id):
                    last = min(until, (month + timedelta(days=32)).replace(day=1))
                    assert total == world.workspace_operations(workspace_id, day_start(month), day_start(last))

    def _begins(self, workspace_id: str) -> date:
        return self.book.workspaces[workspace_id].first_seen_at.date().replace(day=1)


def trimmed(days: Sequence[DayUsage], now: datetime) -> tuple[DayUsage, ...]:
    """Those of `days` that a start at `now` would read: settled ones are carried only until the day after the next."""
    yesterday = now.date() - timedelta(days=1)
    return tuple(row for row in days if row.settled_at is None or row.day >= yesterday)
