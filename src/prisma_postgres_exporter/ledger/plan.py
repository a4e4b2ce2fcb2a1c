"""What to read now: which windows of which databases are due, within the request budget, and when the next is.

Pure. A window is read as often as its width deserves, and only where there may be news:

- the open day: every `poll.interval`, or when there should be news (`poll.adaptive`; see `attention`);
- the month to date: with the open day, where the day moved since, else every hour, as while days of it are missing:
  there is nothing yet that it could be compared with;
- a rolling window: each time 1/96 of its width has passed (24h: 15 minutes, 30d: 7.5 hours);
- a closed day: when it has closed, then after as long again as it has been closed, at least an
  hour and at most six, until it settles (the ledger decides); with its month where the two differ;
- the month before: first of all when it has ended, then like a closed day, at most once a day, for
  five days;
- days that nobody read yet, the oldest first, then settled days to be read once more: together a tenth
  of the budget, and what the others leave.

What is read every so often has slots: instants that lie an interval apart, at a place in the interval that
comes from the database's id. It is due at the first slot after it was read, so that a late reading does not
make the next one later, and databases do not all ask at once.

Where not all fit, the oldest due come first. Of an adaptive plan the windows that are not over share among them the
places that they have so, by what their news is worth; every other read keeps its place.

All windows of one plan end at the same instant, so that numbers read together can be compared.
Windows that ask the same (on the 1st, the day and the month) are one read.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from zlib import crc32

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.attention import Attention, Learned
from prisma_postgres_exporter.model import (
    MONTH_WATCHED_FOR,
    DatabaseState,
    DayUsage,
    MonthUsage,
    ReadingFailure,
    UsageReading,
    Window,
    WindowKind,
    WorkspaceState,
    checked_until,
    day_start,
    month_start,
    previous_month_start,
    recheck_bound_at,
)

MONTH_IDLE_INTERVAL = timedelta(hours=1)
ROLLING_READS_PER_WIDTH = 96
ROLLING_WITHOUT_NEWS = 4
"""So many times longer an adaptive plan leaves a rolling window alone while its open day did not move."""

RECHECK_SHORTEST = timedelta(hours=1)
RECHECK_LONGEST = timedelta(hours=6)
MONTH_RECHECK_LONGEST = timedelta(days=1)
RETRY_SHORTEST = timedelta(seconds=30)
RETRY_LONGEST = timedelta(minutes=15)
LATE_ANSWER = timedelta(minutes=2)
LONGEST_WAIT = timedelta(hours=1)
"""A wait that the vendor asks for is kept, up to this."""

ROUND_SPAN = timedelta(seconds=30)
"""A round makes no more requests than fit into this span: then it plans anew, with what it learned."""

LATE_AFTER = timedelta(minutes=45)
"""Open days that would be older than the bound go before whatever else is not due for so long."""

MISSING_DAYS_AT_ONCE = 4
SETTLED_DAYS_AT_ONCE = 8
PAST_DAYS_SHARE = 10
NEVER = datetime.min.replace(tzinfo=UTC)
ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)

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


Group = tuple[PlannedRead, ...]
"""Reads of one database, made one after the other and posted together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The newest try of one window, if it failed, or was just made. Nothing of it is stored: the plan has to be told.

    `failures` is how many failed in a row. `not_before_at` is the instant to which the vendor asked us to wait, if it
    did.
    """

    tried_at: datetime
    failures: int
    not_before_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The reads to make now, in order: each group is of one database, made one after the other and posted together.

    `deferred` more reads are due and did not fit the budget. `next_due_at` is when a read falls due next, if all of
    these are made: now, where some did not fit.
    """

    groups: tuple[Group, ...]
    deferred: int
    next_due_at: datetime

    @property
    def reads(self) -> tuple[PlannedRead, ...]:
        """All reads, in order."""
        return tuple(read for group in self.groups for read in group)

    @property
    def open_days(self) -> frozenset[str]:
        """The ids of the databases whose open day is among them."""
        return frozenset(group[0].database_id for group in self.groups if _has_open_day(group))


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A database in this very state has nothing to read from `since_at` until `until_at`."""

    state: DatabaseState
    since_at: datetime
    until_at: datetime


class Planner:
    """Makes one workspace's plans; remembers until when a database has nothing to read, so that a plan is cheap."""

    def __init__(self, poll: PollConfig) -> None:
        self._poll = poll
        self._attention = Attention(poll) if poll.read_within > poll.interval else None
        self._quiet: dict[str, _Quiet] = {}
        self._is_watched = False

    def note(self, outcomes: Iterable[UsageReading | ReadingFailure]) -> None:
        """Learn from what was read when the vendor's numbers move."""
        if self._attention is not None:
            self._attention.note(outcome for outcome in outcomes if isinstance(outcome, UsageReading))

    def learned(self, now: datetime) -> Learned | None:
        """What was learned of the workspace; `None`, where every open day is read in every interval."""
        if self._attention is None:
            return None
        learned = self._attention.learned(now)
        return replace(learned, bound=self._poll.interval) if self._is_watched else learned

    def plan(
        self,
        workspace: WorkspaceState,
        *,
        followed: Collection[str],
        attempts: Mapping[AttemptKey, Attempt],
        budget: int | None,
        now: datetime,
        is_watched: bool = False,
    ) -> Plan:
        """Choose what to read now (`now` in whole seconds, UTC).

        `followed` are the ids of the databases to poll; `budget` is the number of requests, `None` for all that is due
        except days of the past. The oldest due come first; what was never read goes before, narrow windows before wide
        ones. A workspace that `is_watched` is read in every interval, also by an adaptive plan.
        """
        windows = _Windows(now, self._poll)
        attention = None if is_watched else self._attention
        if attention is not None:
            attention.pool(workspace.databases, now)
            attention.pace(len(followed), math.inf if budget is None else budget / ROUND_SPAN.total_seconds())
        if is_watched != self._is_watched:
            self._is_watched, self._quiet = is_watched, {}
        due: list[Group] = []
        next_due_at = windows.next_day_at
        for id_ in followed:
            state = workspace.databases.get(id_)
            if state is None or state.deleted_at is not None:
                continue
            quiet = self._quiet.get(id_)
            # A clock that was set back makes things due that were not: what was found by it counts for nothing.
            if quiet is not None and quiet.state is state and quiet.since_at <= now < quiet.until_at:
                next_due_at = min(next_due_at, quiet.until_at)
                continue
            reads, database_due_at = _due_reads(state, attempts, self._poll, windows, attention)
            due.extend(_groups(reads, state))
            # With reads under way it is looked at again: what comes of them may change nothing of the state.
            self._quiet[id_] = _Quiet(state, since_at=now, until_at=now if reads else database_due_at)
            next_due_at = min(next_due_at, database_due_at)
        # Of databases that are not there any more nothing is kept.
        self._quiet = {id_: quiet for id_, quiet in self._quiet.items() if id_ in workspace.databases}
        ordered = sorted(due, key=_age_order)
        if attention is not None and budget is not None and sum(map(len, due)) > budget:
            ordered = _by_worth(ordered, workspace.databases, attention, budget, now)
        chosen = _within(ordered, budget)
        deferred = sum(map(len, due)) - sum(map(len, chosen))
        return Plan(groups=tuple(chosen), deferred=deferred, next_due_at=now if deferred and budget else next_due_at)


def attempt_key(database_id: str, window: Window) -> AttemptKey:
    """Return the key of `window` in the plan's `attempts`."""
    starts_on = date.min if window.kind is WindowKind.ROLLING else window.start_at.date()
    return database_id, window.kind, window.name, starts_on


def retry_wait(interval: timedelta, failures: int) -> timedelta:
    """How long a window that failed `failures` times in a row is left alone: doubled each time, to 15 minutes.

    One that did not fail is not asked again at once either, should its answer have changed nothing.
    """
    doubled: timedelta = min(interval, RETRY_SHORTEST) * 2 ** min(max(failures - 1, 0), 16)
    return min(doubled, max(interval, RETRY_LONGEST))


def _age_order(group: Group) -> tuple[datetime, Rank, str]:
    return min((read.due_at, read.rank, read.database_id) for read in group)


def _by_worth(
    ordered: Sequence[Group],
    databases: Mapping[str, DatabaseState],
    attention: Attention,
    budget: int,
    now: datetime,
) -> list[Group]:
    """Give the places of what is not over and was read before to what is worth most; every other read keeps its place.

    The open days that would else be older than the bound, as many of the oldest as cannot wait, come before all but
    what waits for long.
    """
    late = [group for group in ordered if _is_late(group, now)]
    weighed = [group for group in ordered if _is_weighed(group)]
    days = [group for group in ordered if _has_open_day(group) and not _is_late(group, now)]
    read_at = {id(group): _read_at(group[0], databases[group[0].database_id]) for group in (*weighed, *days)}
    days.sort(key=lambda group: (read_at[id(group)], _age_order(group)))
    urgent = days[
        : attention.cannot_wait(
            ((read_at[id(group)], len(group)) for group in days),
            sum(map(len, late)),
            budget / ROUND_SPAN.total_seconds(),
            now,
        )
    ]
    # A sort that is stable leaves ties oldest first.
    is_first = {id(group) for group in (*late, *urgent)}
    rest = iter(
        sorted(
            (group for group in weighed if id(group) not in is_first),
            key=lambda group: (
                -attention.index(
                    databases[group[0].database_id], read_at[id(group)], now, is_shown=not _has_open_day(group)
                )
            ),
        )
    )
    others = (group for group in ordered if id(group) not in is_first)
    return [*late, *urgent, *(next(rest) if _is_weighed(group) else group for group in others)]


def _has_open_day(group: Group) -> bool:
    return group[0].rank is Rank.DAY


def _is_weighed(group: Group) -> bool:
    return all(map(_is_of_now, group))


def _is_late(group: Group, now: datetime) -> bool:
    """Whether it has what waits for so long that it does not wait for open days any more."""
    return any(
        read.rank is not Rank.DAY
        and read.rank < Rank.MISSING_DAY
        and read.due_at <= now - LATE_AFTER
        and not _is_of_now(read)
        for read in group
    )


def _is_of_now(read: PlannedRead) -> bool:
    """Whether it is of what is not over, and was read before."""
    return read.rank in {Rank.DAY, Rank.MONTH, Rank.ROLLING} and read.due_at > NEVER


def _read_at(read: PlannedRead, state: DatabaseState) -> datetime:
    """When a window that is not over was read last."""
    window = read.windows[0]
    match window.kind:
        case WindowKind.DAY:
            # Of a day that has just begun: what was read before midnight.
            found = (row.read_at for row in reversed(state.recent_days))
        case WindowKind.MONTH:
            found = (row.read_at for row in (_month_row(state, window),) if row is not None and row.read_at is not None)
        case WindowKind.ROLLING:
            found = (row.read_at for row in state.rolling if row.window_name == window.name)
    return next(found, state.first_seen_at)


def _within(ordered: Sequence[Group], budget: int | None) -> list[Group]:
    regular = [group for group in ordered if group[0].rank < Rank.MISSING_DAY]
    if budget is None:
        return regular
    past = sorted((group for group in ordered if group[0].rank >= Rank.MISSING_DAY), key=lambda group: group[0].rank)
    # Without a share of its own a busy workspace would never fill its gaps.
    kept_for_past = min(len(past), max(1, budget // PAST_DAYS_SHARE)) if budget > 1 else 0
    chosen = _first(regular, max(0, budget - kept_for_past))
    return chosen + _first(past, budget - sum(map(len, chosen)))


def _first(groups: Iterable[Group], reads: int) -> list[Group]:
    """The first groups of together about so many reads: a group is not cut."""
    chosen: list[Group] = []
    for group in groups:
        if reads <= 0:
            break
        chosen.append(group)
        reads -= len(group)
    return chosen


def _groups(reads: Sequence[PlannedRead], state: DatabaseState) -> Iterator[Group]:
    """The days of a month go with the month that they will be compared with; every other read is for itself.

    The open day comes before its month: it does not wait for it.
    """
    together: dict[date, list[PlannedRead]] = {}
    for read in reads:
        for window in read.windows:
            row = _month_row(state, window) if window.kind is WindowKind.MONTH else None
            if row is not None and row.read_at is not None:
                together[row.month] = [read]
    if not together:
        yield from ((read,) for read in reads)
        return
    # By what they are: comparing each with each takes longer than all the rest of a plan.
    heads = {id(group[0]) for group in together.values()}
    alone: list[PlannedRead] = []
    for read in reads:
        if id(read) in heads:
            continue
        day = next((window.start_at.date() for window in read.windows if window.kind is WindowKind.DAY), None)
        group = together.get(day.replace(day=1)) if day is not None and read.rank < Rank.MISSING_DAY else None
        (alone if group is None else group).append(read)
    yield from (tuple(sorted(group, key=lambda read: read.rank)) for group in together.values())
    yield from ((read,) for read in alone)


def _due_reads(
    state: DatabaseState,
    attempts: Mapping[AttemptKey, Attempt],
    poll: PollConfig,
    windows: _Windows,
    attention: Attention | None,
) -> tuple[tuple[PlannedRead, ...], datetime]:
    """The reads that are due, and when the next one will be if these are made."""
    reads: dict[tuple[datetime, datetime], PlannedRead] = {}
    next_due_at = windows.next_day_at
    for rank, wanted_at, window in _wanted(state, poll, windows, attention):
        due_at = wanted_at
        tried = attempts.get(attempt_key(state.database.id, window)) if attempts else None
        # One of the future is of a clock that was wrong.
        if tried is not None and tried.tried_at <= windows.now:
            retry_at = tried.tried_at + retry_wait(poll.interval, tried.failures)
            due_at = max(wanted_at, retry_at, tried.not_before_at or retry_at)
        if due_at > windows.now:
            next_due_at = min(next_due_at, due_at)
            if rank is Rank.SETTLED_DAY:
                break  # those after it count only once it is read
            continue
        next_due_at = min(next_due_at, windows.now + poll.interval)
        span = window.start_at, window.end_at
        same = reads.get(span)
        reads[span] = PlannedRead(
            database_id=state.database.id,
            workspace_id=state.database.workspace_id,
            created_at=state.database.created_at,
            windows=(*same.windows, window) if same else (window,),
            due_at=min(same.due_at, due_at) if same else due_at,
            rank=min(same.rank, rank) if same else rank,
        )
    return tuple(reads.values()), next_due_at


def _wanted(
    state: DatabaseState, poll: PollConfig, windows: _Windows, attention: Attention | None
) -> Iterator[tuple[Rank, datetime, Window]]:
    """Every window worth reading, with the instant at which it falls due, due or not."""
    today = windows.today
    days = {row.day: row for row in state.recent_days}
    missing = tuple(_missing_days(state, days, today))
    lacks_days = bool(missing) and missing[-1] >= windows.month_starts_on
    open_day, month_due_at = days.get(today), _month_due_at(state, poll, windows, lacks_days=lacks_days)
    if attention is not None and _awaits_comparison(state, open_day, windows) and _has_all_days(state, windows):
        attention = None  # with the next slot both are read, and compared
    day_due_at = _open_day_due_at(state, open_day, poll, windows, attention)
    if attention is not None and _awaits_comparison(state, open_day, windows):
        month_due_at = max(month_due_at, day_due_at)
    elif attention is not None:
        month_due_at = _month_without_news(state, month_due_at, poll, windows)
    previous_month_due_at = _previous_month_due_at(state, poll, windows)
    if windows.has_open_day:
        yield Rank.DAY, day_due_at, windows.day(today)
        yield Rank.MONTH, month_due_at, windows.month
    read_at_by_name = {row.window_name: row.read_at for row in state.rolling}
    news_at = None if attention is None else attention.news_at(state.database.id)
    for interval, window in windows.rolling:
        read_at = read_at_by_name.get(window.name)
        has_no_news = read_at is not None and news_at is not None and news_at <= read_at
        every = interval * ROLLING_WITHOUT_NEWS if has_no_news else interval
        yield Rank.ROLLING, next_slot(read_at, every, poll.interval, state.database.id), window
    closed = [
        row
        for row in state.recent_days
        if row.day < today and row.settled_at is None and not _waits_for_a_gap(row, state, poll)
    ]
    # When the days of this month, and of the one before, are read together with it; `None`: they need not be.
    together_at = month_due_at if closed and _is_disputed(state, windows.month) else None
    previous_together_at = previous_month_due_at if closed and _is_disputed(state, windows.previous_month) else None
    for row in closed:
        due_at = _closed_due_at(row)
        with_month_at = together_at if row.day >= windows.month_starts_on else previous_together_at
        if with_month_at is not None:
            due_at = min(due_at, max(with_month_at, row.read_at + poll.interval))
        yield Rank.CLOSED_DAY, due_at, windows.day(row.day)
    if state.database.created_at < windows.month.start_at:
        yield Rank.PREVIOUS_MONTH, previous_month_due_at, windows.previous_month
    for day in missing:
        yield Rank.MISSING_DAY, day_start(day) + ONE_DAY, windows.day(day)
    for day in _unchecked_days(state, days, windows):
        yield Rank.SETTLED_DAY, day_start(day) + ONE_DAY, windows.day(day)


def next_slot(read_at: datetime | None, every: timedelta, interval: timedelta, database_id: str) -> datetime:
    """Return the first slot after `read_at` of what is read `every` so often; `NEVER`, if it was never read.

    `interval` is the shortest time between two slots of a database: slots that are further apart lie on its slots.
    """
    if read_at is None:
        return NEVER
    interval_seconds = max(1, round(interval.total_seconds()))
    every_seconds = max(interval_seconds, round(every.total_seconds()))
    place = crc32(database_id.encode())
    offset = place % interval_seconds + interval_seconds * (place // 65_537 % max(1, every_seconds // interval_seconds))
    read_at_unix = int(read_at.timestamp())
    return datetime.fromtimestamp(read_at_unix - (read_at_unix - offset) % every_seconds + every_seconds, UTC)


def _open_day_due_at(
    state: DatabaseState, row: DayUsage | None, poll: PollConfig, windows: _Windows, attention: Attention | None
) -> datetime:
    if row is None:
        return NEVER
    due_at = None if attention is None else attention.due_at(state, row.read_at, windows.now)
    return due_at or next_slot(row.read_at, poll.interval, poll.interval, state.database.id)


def _awaits_comparison(state: DatabaseState, open_day: DayUsage | None, windows: _Windows) -> bool:
    """Whether a month that has news was read since its open day was: both together say whether they differ."""
    row = _month_row(state, windows.month)
    if row is None or row.read_at is None or open_day is None or row.read_at < open_day.read_at:
        return False
    return row.difference_operations is None or _has_moved_on(state, row)


def _has_all_days(state: DatabaseState, windows: _Windows) -> bool:
    """Whether every day of the month so far is in the ledger."""
    first_day = max(windows.month_starts_on, state.database.created_at.date())
    days = sum(row.days for row in state.months if row.month == windows.month_starts_on)
    return days > (windows.today - first_day).days


def _month_without_news(state: DatabaseState, due_at: datetime, poll: PollConfig, windows: _Windows) -> datetime:
    """An adaptive plan reads a month that has no news within the bound, and no sooner."""
    row = _month_row(state, windows.month)
    if row is None or row.read_at is None or row.difference_operations is None or _has_moved_on(state, row):
        return due_at
    return max(due_at, row.read_at + poll.read_within - poll.interval)


def _month_due_at(state: DatabaseState, poll: PollConfig, windows: _Windows, *, lacks_days: bool) -> datetime:
    row = _month_row(state, windows.month)
    if row is None or row.read_at is None:
        return NEVER
    has_news = not lacks_days and (row.difference_operations is None or _has_moved_on(state, row))
    every = poll.interval if has_news else max(poll.interval, MONTH_IDLE_INTERVAL)
    return next_slot(row.read_at, every, poll.interval, state.database.id)


def _is_disputed(state: DatabaseState, month: Window) -> bool:
    """Whether the days and the vendor's month have to be read together to be compared.

    Days read at another time than the month may differ from it because the vendor learned more in between.
    """
    row = _month_row(state, month)
    if row is None or row.operations is None or state.known_until < month.end_at.date() - ONE_DAY:
        return False
    if not _was_read_with_its_open_day(state, row, month):
        return False  # as far as is known the open day explains it: it is read with the month next time
    return row.difference_operations is None or _has_moved_on(state, row)


def _was_read_with_its_open_day(state: DatabaseState, row: MonthUsage, month: Window) -> bool:
    """Whether the open day was asked for together with its month; always of a month that is over."""
    today = month.end_at.date()
    if today.replace(day=1) != row.month or row.read_at is None or row.period_end_at is None:
        return True
    # A vendor that widens the month does not tell when it was asked.
    asked_at = row.period_end_at if row.period_end_at <= row.read_at else NEVER
    return any(day.day == today and asked_at <= day.read_at <= row.read_at for day in state.recent_days)


def _has_moved_on(state: DatabaseState, row: MonthUsage) -> bool:
    """Whether the days or the vendor's month changed since the difference between them was found."""
    days_operations = sum(other.days_operations for other in state.months if other.month == row.month)
    return days_operations + (row.difference_operations or 0) != row.operations


def _closed_due_at(row: DayUsage) -> datetime:
    closed_at = day_start(row.day) + ONE_DAY
    # One that was asked for before midnight may have been answered after it.
    was_asked_before = row.unchanged_since_at is None and row.read_at < closed_at + LATE_ANSWER
    if row.read_at < closed_at or was_asked_before:
        return closed_at
    return row.read_at + _recheck_wait(row.read_at - closed_at, RECHECK_LONGEST)


def _previous_month_due_at(state: DatabaseState, poll: PollConfig, windows: _Windows) -> datetime:
    ended_at = windows.month.start_at
    row = _month_row(state, windows.previous_month)
    if row is None or row.read_at is None:
        return ended_at
    was_asked_before = row.period_end_at is not None and row.period_end_at < ended_at - ONE_SECOND
    if row.read_at < ended_at or (was_asked_before and row.read_at < ended_at + LATE_ANSWER):
        return NEVER
    if row.read_at - ended_at >= MONTH_WATCHED_FOR:
        return windows.now + ONE_DAY
    if _is_disputed(state, windows.previous_month):
        return row.read_at + max(poll.interval, RECHECK_SHORTEST)
    return row.read_at + _recheck_wait(row.read_at - ended_at, MONTH_RECHECK_LONGEST)


def _recheck_wait(age: timedelta, longest: timedelta) -> timedelta:
    return min(max(age, RECHECK_SHORTEST), longest)


def _missing_days(state: DatabaseState, known: Collection[date], today: date) -> Iterator[date]:
    day = state.known_until + ONE_DAY
    found = 0
    while day < today and found < MISSING_DAYS_AT_ONCE:
        if day not in known:
            found += 1
            yield day
        day += ONE_DAY


def _waits_for_a_gap(row: DayUsage, state: DatabaseState, poll: PollConfig) -> bool:
    """Whether a day would be settled, were not a day before it still missing."""
    return row.day > state.known_until and row.is_final(poll.settle_after)


def _unchecked_days(state: DatabaseState, days: Mapping[date, DayUsage], windows: _Windows) -> Iterator[date]:
    """The oldest settled days to read once more; a few at a time, as they move `checked_until` on in their order."""
    bound_at = recheck_bound_at(state.recheck_at, windows.now)
    day = checked_until(state.checked_until, state.recheck_at, state.database, windows.now) + ONE_DAY
    found = 0
    while day < bound_at.date() and day <= state.known_until and found < SETTLED_DAYS_AT_ONCE:
        row = days.get(day)
        # A day that is not settled is read again anyway.
        if row is None or (row.settled_at is not None and row.read_at < bound_at):
            found += 1
            yield day
        day += ONE_DAY


def _month_row(state: DatabaseState, window: Window) -> MonthUsage | None:
    month = window.start_at.date()
    rows = (row for row in state.months if row.month == month and row.workspace_key == state.workspace_key)
    return next(rows, None)


class _Windows:
    """The windows of one plan, each made once and shared by all databases."""

    def __init__(self, now: datetime, poll: PollConfig) -> None:
        self.now = now
        self.today = now.date()
        self.has_open_day = now > day_start(self.today)
        # The second after midnight: in the one before there is no open day yet.
        self.next_day_at = day_start(self.today) + (ONE_DAY if self.has_open_day else timedelta(0)) + ONE_SECOND
        starts_at = month_start(now)
        self.month_starts_on = starts_at.date()
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
