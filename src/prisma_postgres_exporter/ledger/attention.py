"""Whose open day is worth a request now: what the plan learns from readings, and the order where not all fit.

Pure. The index of a database is `λ · age²`: λ operations a second, `age` since what was read was published. It is what
minimises the operations that nobody has seen yet (see deploy/guide/requests.md). λ is estimated from the days that the
ledger state holds, so that a restart forgets nothing of it; the vendor's rhythm is learned anew.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.rhythm import (
    CHANGES_KEPT,
    EXACT_SECONDS,
    LEAST_CHANGES,
    Change,
    Rhythm,
    common_rhythm,
    rhythm_of,
)
from prisma_postgres_exporter.model import DatabaseState, UsageReading, day_start

DAY_SECONDS = 86_400
YESTERDAY_WEIGHT = 0.5
"""The part of yesterday that counts beside today: what is older is forgotten."""

FEW_OPERATIONS = 0.25
"""A database of which no more is expected before the bound, had it made one more than it did, is quiet."""

PROBED_ONCE_IN = 4
"""In how many publications one is looked for before it is expected, to learn when it comes."""

LOOKED_FOR = 3
"""So many intervals after a publication was expected, in vain, it is given up."""

SHOWN_ALREADY = 1 / 16
"""What a month or a rolling window is worth beside the open day: as much once it is four times as old."""

POOLED = 100
CHANGES_POOLED = 3
"""A workspace's rhythm is that of the newest changes of so many of its databases."""

MISFITS_ONE_IN = 3
"""A workspace's rhythm is also that of a database of whose changes no larger part lies elsewhere."""

SHARE_FOR_BOUND = 0.95
"""The part of the budget that is counted on to keep everybody within the bound."""

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Prior:
    """A Gamma distribution of λ over a workspace's databases: so many `operations` in so many `seconds`."""

    operations: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, counts: Sequence[tuple[float, float]]) -> Prior:
        """Fit it by moments to (operations, seconds) of each database: the more alike they are, the more it counts."""
        rates = [operations / seconds for operations, seconds in counts if seconds > 0]
        mean = sum(rates) / len(rates) if rates else 0.0
        if len(rates) < 2 or mean == 0.0:
            return cls()
        by_chance = sum(mean / seconds for _, seconds in counts if seconds > 0) / len(rates)
        variance = sum((rate - mean) ** 2 for rate in rates) / (len(rates) - 1) - by_chance
        seconds = min(mean / variance, DAY_SECONDS) if variance > 0 else float(DAY_SECONDS)
        return cls(operations=mean * seconds, seconds=seconds)

    def rate(self, operations: float, seconds: float) -> float:
        """The expected λ, operations a second, of one that was seen to make `operations` in `seconds`."""
        whole = seconds + self.seconds
        return (operations + self.operations) / whole if whole > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The newest reading of a database's open day, when a reading of it first had news, and its changes."""

    day: date
    operations: int
    read_at: int
    news_at: int
    changes: tuple[Change, ...] = ()
    rhythm: Rhythm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What an adaptive plan knows of one workspace, and what it makes of it.

    `period` is the rhythm by which its numbers move, or most of its databases' where they have none in common; `None`
    while none is known. `next_at` is when they should move next. So many open days were read (`made`) and not read
    (`saved`) that would have been with a reading in every interval. None becomes older than `bound`, where the budget
    allows.
    """

    bound: timedelta
    period: timedelta | None = None
    next_at: datetime | None = None
    made: int = 0
    saved: int = 0

    @property
    def saved_share(self) -> float | None:
        """The part of the readings of open days that were not made, 0 to 1; `None` before the first."""
        whole = self.made + self.saved
        return self.saved / whole if whole else None


class Attention:
    """What was learned of one workspace's databases; none of it is stored."""

    def __init__(self, poll: PollConfig) -> None:
        self._interval = max(1, round(poll.interval.total_seconds()))
        self._bound = max(self._interval, round(poll.read_within.total_seconds()))
        self._seen: dict[str, _Seen] = {}
        self._prior = Prior()
        self._common: Rhythm | None = None
        self._pooled_at: int | None = None
        self._young_enough = self._bound - self._interval
        self._due_at: dict[str, int] = {}
        self._made = self._saved = 0

    def note(self, readings: Iterable[UsageReading]) -> None:
        """Learn from readings, those of an open day."""
        for reading in readings:
            if reading.operations is None or not reading.window.is_open_day(reading.read_at):
                continue
            before = self._seen.get(reading.database_id)
            if before is None or _unix(reading.read_at) > before.read_at:
                self._seen[reading.database_id] = self._after(before, reading, reading.operations)
                self._count(before, reading)

    def pace(self, databases: int, reads_per_second: float) -> None:
        """Take note of how many databases are to be read, with how many requests a second."""
        longest = self._bound - self._interval
        all_read_in = databases / (reads_per_second * SHARE_FOR_BOUND) if reads_per_second else longest
        self._young_enough = max(longest // 2, longest - math.ceil(all_read_in))

    def pool(self, states: Mapping[str, DatabaseState], now: datetime) -> None:
        """Learn from all databases together, once in an interval."""
        at = _unix(now)
        if self._pooled_at is not None and 0 <= at - self._pooled_at < self._interval:
            return
        self._pooled_at = at
        self._seen = {id_: seen for id_, seen in self._seen.items() if id_ in states}
        self._due_at = {id_: due_at for id_, due_at in self._due_at.items() if id_ in states}
        self._prior = Prior.of([_counted(state, now) for state in states.values() if state.deleted_at is None])
        tell = islice((seen.changes for seen in self._seen.values() if len(seen.changes) >= LEAST_CHANGES), POOLED)
        self._common = common_rhythm(
            [change for changes in tell for change in changes[-CHANGES_POOLED:]], self._interval
        )

    def news_at(self, database_id: str) -> datetime | None:
        """When the newest reading of its open day that said something new was made; `None` where none is known."""
        seen = self._seen.get(database_id)
        return None if seen is None else datetime.fromtimestamp(seen.news_at, UTC)

    def learned(self, now: datetime) -> Learned:
        """What is known by now."""
        rhythm, at = self._rhythm_of_most(), _unix(now)
        return Learned(
            bound=timedelta(seconds=self._bound),
            period=None if rhythm is None else timedelta(seconds=rhythm.period),
            next_at=None if rhythm is None else datetime.fromtimestamp(rhythm.after(at), UTC),
            made=self._made,
            saved=self._saved,
        )

    def due_at(self, state: DatabaseState, read_at: datetime, now: datetime) -> datetime | None:
        """When its open day is worth reading again, within the bound; `None`: in every interval."""
        due_at = self._worth_reading_at(state, read_at, now)
        if due_at is None:
            self._due_at.pop(state.database.id, None)
        else:
            self._due_at[state.database.id] = _unix(due_at)
        return due_at

    def _worth_reading_at(self, state: DatabaseState, read_at: datetime, now: datetime) -> datetime | None:
        at, seen = _unix(read_at), self._seen.get(state.database.id)
        operations, seconds = _counted(state, now)
        is_quiet = self._prior.rate(operations + 1, seconds) * self._bound < FEW_OPERATIONS
        rhythm = self._rhythm(state.database.id, is_quiet=is_quiet)
        # An interval is left for those of which many fall due at once.
        bound = at + self._bound - self._interval
        if is_quiet and (rhythm is None or 2 * rhythm.period < self._bound):
            return datetime.fromtimestamp(bound, UTC)
        expected = None if rhythm is None else self._expected(seen, rhythm, at)
        if expected is None:
            return None
        # Reads that the bound asks for before are spread evenly: one that came just before the news would be wasted.
        # When the news is there the bound must not ask for the first reads: they are for those of whom most is unseen.
        gaps = max(1, math.ceil((expected - at) / self._young_enough))
        return datetime.fromtimestamp(at + (expected - at) // gaps, UTC)

    def index(self, state: DatabaseState, read_at: datetime, now: datetime, *, is_shown: bool = False) -> float:
        """What a reading is worth: the operations that wait to be seen, and for how long they did.

        Less where another window has shown them already (`is_shown`).
        """
        at, rhythm = _unix(read_at), self._rhythm(state.database.id, is_quiet=True)
        if rhythm is not None:
            at = rhythm.by(at)
        return self.rate(state, now) * (_unix(now) - at) ** 2 * (SHOWN_ALREADY if is_shown else 1.0)

    def cannot_wait(
        self, oldest_first: Iterable[tuple[datetime, int]], before: int, reads_per_second: float, now: datetime
    ) -> int:
        """How many of the oldest must be read at once, for all of them to be within the bound.

        Each is the instant at which it was read and how many reads it takes now; so many other reads come `before`. Of
        so many requests a second a part is left to others.
        """
        rate, at = reads_per_second * SHARE_FOR_BOUND, _unix(now)
        sums: list[int] = []
        needed = 0.0
        for read_at, reads in oldest_first:
            sums.append(reads + (sums[-1] if sums else before))
            needed = max(needed, sums[-1] - rate * max(0, _unix(read_at) + self._bound - self._interval - at))
        return bisect_left(sums, needed) + 1 if needed > before else 0

    def rate(self, state: DatabaseState, now: datetime) -> float:
        """λ̂, in operations a second."""
        return self._prior.rate(*_counted(state, now))

    def _count(self, before: _Seen | None, reading: UsageReading) -> None:
        """Count a reading, and those left out before it as no news was expected, not for want of room."""
        self._made += 1
        due_at = self._due_at.pop(reading.database_id, None)
        if before is not None and due_at is not None:
            waited = min(due_at, _unix(reading.read_at)) - before.read_at
            self._saved += max(0, waited // self._interval - 1)

    def _rhythm_of_most(self) -> Rhythm | None:
        """The workspace's rhythm, or one of the period that most databases have."""
        own = [seen.rhythm for seen in self._seen.values() if seen.rhythm is not None]
        if self._common is not None or not own:
            return self._common
        ((period, _),) = Counter(rhythm.period for rhythm in own).most_common(1)
        return next(rhythm for rhythm in own if rhythm.period == period)

    def _after(self, before: _Seen | None, reading: UsageReading, operations: int) -> _Seen:
        """What is known after a reading: a number of another day cannot be compared."""
        at, day = _unix(reading.read_at), reading.window.start_at.date()
        if before is None:
            return _Seen(day=day, operations=operations, read_at=at, news_at=at)
        if before.day != day:
            return replace(before, day=day, operations=operations, read_at=at, news_at=at)
        if operations == before.operations:
            return replace(before, read_at=at)
        change = _published(before.read_at, at, reading.generated_at)
        changes = (*before.changes, change)[-CHANGES_KEPT:]
        rhythm = rhythm_of(changes, self._interval)
        kept = None if before.rhythm is None else before.rhythm.kept(change, self._interval)
        if kept is not None and (rhythm is None or rhythm.period <= kept.period):
            rhythm = kept
        return replace(before, operations=operations, read_at=at, news_at=at, changes=changes, rhythm=rhythm)

    def _rhythm(self, database_id: str, *, is_quiet: bool) -> Rhythm | None:
        """A database's own rhythm; the workspace's, which is known better, where that explains it.

        The workspace's too where a database has none and nearly all its changes fit, or it `is_quiet` and shows none.
        """
        seen, common = self._seen.get(database_id), self._common
        changes, own = ((), None) if seen is None else (seen.changes, seen.rhythm)
        if common is None:
            return own
        misfits = sum(not common.holds(change) for change in changes)
        fits = (is_quiet or len(changes) >= LEAST_CHANGES) and MISFITS_ONE_IN * misfits <= len(changes)
        if own is None or own.explains(common):
            return common if fits or own == common else own
        if not common.explains(own):
            # Few readings may tell a wrong one: only where a change is not the workspace's is it known to be another.
            return own if misfits else common
        narrower = min(own, common, key=lambda rhythm: rhythm.latest - rhythm.earliest)
        return Rhythm(period=common.period, earliest=narrower.earliest, latest=narrower.latest)

    def _expected(self, seen: _Seen | None, rhythm: Rhythm, at: int) -> int | None:
        """When there should be news that a reading at `at` did not show; `None`: there should have been already."""
        last, following, halfway = rhythm.by(at), rhythm.after(at), rhythm.halfway
        if seen is not None:
            looked_from = last - max(halfway or 0, self._interval)
            had_news_before = looked_from - rhythm.period <= seen.news_at < looked_from
            if had_news_before and at - last < LOOKED_FOR * self._interval:
                return None
        if halfway is not None and following // rhythm.period % PROBED_ONCE_IN == 0 and at < following - halfway:
            return following - halfway
        return following


def period_of(moves: Iterable[Sequence[int]], interval: timedelta) -> timedelta | None:
    """The rhythm by which a workspace moved, told from the Unix seconds at which each database was found to have.

    What was found to move is taken to have moved within the interval before.
    """
    seconds = max(1, round(interval.total_seconds()))
    changes = [[(at - seconds, at) for at in found[-CHANGES_KEPT:]] for found in moves if len(found) >= LEAST_CHANGES]
    pooled = [change for found in changes[:POOLED] for change in found[-CHANGES_POOLED:]]
    own = [rhythm.period for found in changes if (rhythm := rhythm_of(found, seconds)) is not None]
    common = common_rhythm(pooled, seconds)
    period = common.period if common is not None else Counter(own).most_common(1)[0][0] if own else None
    return None if period is None else timedelta(seconds=period)


def _published(lo: int, hi: int, generated_at: datetime | None) -> Change:
    """The readings around a change, or the minute around its publication where the vendor tells it.

    An answer that was generated just now tells nothing: the vendor worked it out for us.
    """
    generated = hi if generated_at is None else _unix(generated_at)
    is_told = lo < generated < hi - EXACT_SECONDS
    return (max(lo, generated - EXACT_SECONDS), generated) if is_told else (lo, hi)


def _counted(state: DatabaseState, now: datetime) -> tuple[float, float]:
    """The operations of today, and of yesterday for their part, and in how many seconds they were made."""
    today = now.date()
    operations = seconds = 0.0
    for row in state.recent_days:
        weight = 1.0 if row.day == today else YESTERDAY_WEIGHT if row.day == today - ONE_DAY else 0.0
        begins_at = max(day_start(row.day), state.database.created_at)
        ends_at = min(row.read_at, day_start(row.day) + ONE_DAY)
        operations += weight * row.operations
        seconds += weight * max(0.0, (ends_at - begins_at).total_seconds())
    return operations, seconds


def _unix(at: datetime) -> int:
    return int(at.timestamp())
