"""What to read now: which windows of which databases are due, within the request budget.

Pure. A window is read as often as its width deserves, and only where there may be news:

- the open day: every `poll.interval`;
- the month to date: with the open day, where the day moved since, else every hour;
- a rolling window: each time 1/96 of its width has passed (24h: 15 minutes, 30d: 7.5 hours);
- a closed day: when it has closed, then after as long again as it has been closed, at least an
  hour and at most six, until it settles (the ledger decides); with its month where the two differ;
- the month before: first of all when it has ended, then like a closed day, at most once a day, for
  five days;
- days that nobody read yet, the oldest first, then settled days to be read once more: together a tenth
  of the budget, and what the others leave.

All windows of one plan end at the same instant, so that numbers read together can be compared.
Windows that ask the same (on the 1st, the day and the month) are one read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.model import (
    MONTH_WATCHED_FOR,
    Book,
    DayUsage,
    MonthUsage,
    Position,
    Window,
    WindowKind,
    day_start,
    month_start,
    previous_month_start,
    recheck_bound_at,
)

MONTH_IDLE_INTERVAL = timedelta(hours=1)
ROLLING_READS_PER_WIDTH = 96
RECHECK_SHORTEST = timedelta(hours=1)
RECHECK_LONGEST = timedelta(hours=6)
MONTH_RECHECK_LONGEST = timedelta(days=1)
RETRY_LONGEST = timedelta(minutes=15)
MISSING_DAYS_AT_ONCE = 4
SETTLED_DAYS_AT_ONCE = 8
PAST_DAYS_SHARE = 10
NEVER = datetime.min.replace(tzinfo=UTC)
ONE_DAY = timedelta(days=1)

AttemptKey = tuple[str, WindowKind, str, date]
"""A window of a database: its id, the window's kind and name, the day it starts (rolling: `date.min`)."""


class Rank(IntEnum):
    """Who comes first among reads that fell due at the same instant."""

    PREVIOUS_MONTH = 0
    DAY = 1
    MONTH = 2
    ROLLING = 3
    CLOSED_DAY = 4
    MISSING_DAY = 5
    SETTLED_DAY = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRead:
    """One request to make: every window in `windows` asks for the same span.

    `created_at` is the database's. `due_at` is when the read fell due: `NEVER`, the earliest
    instant, for what was never read.
    """

    database_id: str
    workspace_id: str
    created_at: datetime
    windows: tuple[Window, ...]
    due_at: datetime
    rank: Rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The newest failed try of one window. Nothing of it is stored, so the plan has to be told."""

    failed_at: datetime
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The reads to make now, in order; `deferred` more are due and did not fit the budget."""

    reads: tuple[PlannedRead, ...]
    deferred: int


def make_plan(
    book: Book,
    *,
    followed: Collection[str],
    readable_workspaces: Collection[str],
    attempts: Mapping[AttemptKey, Attempt],
    poll: PollConfig,
    budget: int,
    now: datetime,
) -> Plan:
    """Choose what to read now (`now` in whole seconds, UTC).

    `followed` are the ids of the databases to poll, `readable_workspaces` those with a working
    credential; `budget` is the number of requests for one workspace, as each has its own credential.
    The oldest due come first; what was never read goes before, narrow windows before wide ones.
    """
    windows = _Windows(now, poll)
    due: dict[str, list[PlannedRead]] = defaultdict(list)
    for position in book.positions.values():
        database = position.database
        if position.deleted_at is None and database.id in followed and database.workspace_id in readable_workspaces:
            due[database.workspace_id].extend(_due_reads(position, attempts, poll, windows))

    chosen = [_within(reads, budget) for reads in due.values()]
    return Plan(
        reads=tuple(read for reads in chosen for read in reads),
        deferred=sum(map(len, due.values())) - sum(map(len, chosen)),
    )


def attempt_key(database_id: str, window: Window) -> AttemptKey:
    """Return the key of `window` in the plan's `attempts`."""
    starts_on = date.min if window.kind is WindowKind.ROLLING else window.start_at.date()
    return database_id, window.kind, window.name, starts_on


def retry_wait(interval: timedelta, failures: int) -> timedelta:
    """How long a window that failed `failures` times in a row is left alone: doubled each time, to 15 minutes."""
    doubled: timedelta = interval * 2 ** min(failures - 1, 16)
    return min(doubled, max(interval, RETRY_LONGEST))


def _within(reads: Iterable[PlannedRead], budget: int) -> list[PlannedRead]:
    ordered = sorted(reads, key=lambda read: (read.due_at, read.rank, read.database_id))
    past = [read for read in ordered if read.rank >= Rank.MISSING_DAY]
    past.sort(key=lambda read: read.rank)
    regular = [read for read in ordered if read.rank < Rank.MISSING_DAY]
    # Without a share of its own a busy workspace would never fill its gaps.
    kept_for_past = min(len(past), max(1, budget // PAST_DAYS_SHARE))
    chosen = regular[: max(0, budget - kept_for_past)]
    return chosen + past[: budget - len(chosen)]


def _due_reads(
    position: Position, attempts: Mapping[AttemptKey, Attempt], poll: PollConfig, windows: _Windows
) -> Iterable[PlannedRead]:
    reads: dict[tuple[datetime, datetime], PlannedRead] = {}
    for rank, wanted_at, window in _wanted(position, poll, windows):
        due_at = wanted_at
        if attempts and (tried := attempts.get(attempt_key(position.database.id, window))):
            due_at = max(wanted_at, tried.failed_at + retry_wait(poll.interval, tried.failures))
        if due_at > windows.now:
            if rank is Rank.SETTLED_DAY:
                break  # those after it count only once it is read
            continue
        span = window.start_at, window.end_at
        same = reads.get(span)
        reads[span] = PlannedRead(
            database_id=position.database.id,
            workspace_id=position.database.workspace_id,
            created_at=position.database.created_at,
            windows=(*same.windows, window) if same else (window,),
            due_at=min(same.due_at, due_at) if same else due_at,
            rank=min(same.rank, rank) if same else rank,
        )
    return reads.values()


def _wanted(position: Position, poll: PollConfig, windows: _Windows) -> Iterator[tuple[Rank, datetime, Window]]:
    """Every window worth reading, with the instant at which it falls due, due or not."""
    now, today = windows.now, windows.today
    days = {row.day: row for row in position.recent_days}
    month_due_at = _month_due_at(position, poll, windows)
    previous_month_due_at = _previous_month_due_at(position, poll, windows)
    if windows.has_open_day:
        open_day = days.get(today)
        yield Rank.DAY, _after(open_day.read_at if open_day else None, poll.interval), windows.day(today)
        yield Rank.MONTH, month_due_at, windows.month
    read_at_by_name = {row.window_name: row.read_at for row in position.rolling}
    for interval, window in windows.rolling:
        yield Rank.ROLLING, _after(read_at_by_name.get(window.name), interval), window
    for row in position.recent_days:
        if row.day < today and row.settled_at is None and not _waits_for_a_gap(row, position, poll):
            is_of_this_month = row.day >= windows.month.start_at.date()
            month = windows.month if is_of_this_month else windows.previous_month
            due_at = _closed_due_at(row)
            if _is_disputed(position, month):
                with_month_at = month_due_at if is_of_this_month else previous_month_due_at
                due_at = min(due_at, max(with_month_at, row.read_at + poll.interval))
            yield Rank.CLOSED_DAY, due_at, windows.day(row.day)
    if position.database.created_at < windows.month.start_at and previous_month_due_at <= now:
        yield Rank.PREVIOUS_MONTH, previous_month_due_at, windows.previous_month
    for day in _missing_days(position, days, today):
        yield Rank.MISSING_DAY, day_start(day) + ONE_DAY, windows.day(day)
    for day in _unchecked_days(position, days, windows):
        yield Rank.SETTLED_DAY, day_start(day) + ONE_DAY, windows.day(day)


def _after(read_at: datetime | None, interval: timedelta) -> datetime:
    return NEVER if read_at is None else read_at + interval


def _month_due_at(position: Position, poll: PollConfig, windows: _Windows) -> datetime:
    row = _month_row(position, windows.month)
    if row is None or row.read_at is None:
        return NEVER
    has_news = row.difference_operations is None or _has_moved_on(position, row)
    return row.read_at + (poll.interval if has_news else max(poll.interval, MONTH_IDLE_INTERVAL))


def _is_disputed(position: Position, month: Window) -> bool:
    """Whether the days and the vendor's month have to be read together to be compared.

    Days read at another time than the month may differ from it because the vendor learned more in between.
    """
    row = _month_row(position, month)
    if row is None or row.operations is None or position.known_until < month.end_at.date() - ONE_DAY:
        return False
    return row.difference_operations is None or _has_moved_on(position, row)


def _has_moved_on(position: Position, row: MonthUsage) -> bool:
    """Whether the days or the vendor's month changed since the difference between them was found."""
    days_operations = sum(other.days_operations for other in position.months if other.month == row.month)
    return days_operations + (row.difference_operations or 0) != row.operations


def _closed_due_at(row: DayUsage) -> datetime:
    closed_at = day_start(row.day) + ONE_DAY
    if row.read_at < closed_at:
        return closed_at
    return row.read_at + _recheck_wait(row.read_at - closed_at, RECHECK_LONGEST)


def _previous_month_due_at(position: Position, poll: PollConfig, windows: _Windows) -> datetime:
    ended_at = windows.month.start_at
    row = _month_row(position, windows.previous_month)
    if row is None or row.read_at is None:
        return ended_at
    if row.read_at < ended_at:
        return NEVER
    if row.read_at - ended_at >= MONTH_WATCHED_FOR:
        return windows.now + ONE_DAY
    if _is_disputed(position, windows.previous_month):
        return row.read_at + max(poll.interval, RECHECK_SHORTEST)
    return row.read_at + _recheck_wait(row.read_at - ended_at, MONTH_RECHECK_LONGEST)


def _recheck_wait(age: timedelta, longest: timedelta) -> timedelta:
    return min(max(age, RECHECK_SHORTEST), longest)


def _missing_days(position: Position, known: Collection[date], today: date) -> Iterator[date]:
    day = position.known_until + ONE_DAY
    found = 0
    while day < today and found < MISSING_DAYS_AT_ONCE:
        if day not in known:
            found += 1
            yield day
        day += ONE_DAY


def _waits_for_a_gap(row: DayUsage, position: Position, poll: PollConfig) -> bool:
    """Whether a day would be settled, were not a day before it still missing."""
    return row.day > position.known_until and row.is_final(poll.settle_after)


def _unchecked_days(position: Position, days: Mapping[date, DayUsage], windows: _Windows) -> Iterator[date]:
    """The oldest settled days to read once more; a few at a time, as they move `checked_until` on in their order."""
    bound_at = recheck_bound_at(position.recheck_at, windows.now)
    day = position.checked_until + ONE_DAY
    found = 0
    while day < bound_at.date() and day <= position.known_until and found < SETTLED_DAYS_AT_ONCE:
        row = days.get(day)
        # A day that is not settled is read again anyway.
        if row is None or (row.settled_at is not None and row.read_at < bound_at):
            found += 1
            yield day
        day += ONE_DAY


def _month_row(position: Position, window: Window) -> MonthUsage | None:
    month = window.start_at.date()
    rows = (row for row in position.months if row.month == month and row.workspace_key == position.workspace_key)
    return next(rows, None)


class _Windows:
    """The windows of one plan, each made once and shared by all databases."""

    def __init__(self, now: datetime, poll: PollConfig) -> None:
        self.now = now
        self.today = now.date()
        self.has_open_day = now > day_start(self.today)
        starts_at = month_start(now)
        self.month = Window(kind=WindowKind.MONTH, name="month", start_at=starts_at, end_at=now)
        self.previous_month = Window(
            kind=WindowKind.MONTH, name="month", start_at=previous_month_start(now), end_at=starts_at
        )
        self.rolling = tuple(
            (
                max(poll.interval, rolling.width / ROLLING_READS_PER_WIDTH),
                Window(kind=WindowKind.ROLLING, name=rolling.name, start_at=now - rolling.width, end_at=now),
            )
            for rolling in poll.windows
        )
        self._days: dict[date, Window] = {}

    def day(self, day: date) -> Window:
        """Return the window of `day`, which ends now where the day is not over."""
        window = self._days.get(day)
        if window is None:
            starts_at = day_start(day)
            ends_at = min(starts_at + ONE_DAY, self.now)
            window = Window(kind=WindowKind.DAY, name="day", start_at=starts_at, end_at=ends_at)
            self._days[day] = window
        return window
