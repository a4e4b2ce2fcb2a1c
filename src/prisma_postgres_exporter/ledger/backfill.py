"""Which days of the past to read into the ledger, and what that takes: pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.ledger.plan import ROLLING_READS_PER_WIDTH, PlannedRead, Rank
from prisma_postgres_exporter.model import DatabaseState, Window, WindowKind, day_start

ONE_DAY = timedelta(days=1)
SPARE_AT_LEAST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """What a backfill would do: one read for each database and day (UTC) that is not in the ledger, oldest day first.

    `in_ledger` days were read before, in the days asked for; `databases` is how many are asked for.
    """

    reads: tuple[PlannedRead, ...]
    databases: int
    in_ledger: int

    def seconds(self, requests_per_second: float) -> float:
        """Return how long it takes at a pace for each workspace, if the vendor answers fast enough."""
        by_workspace = Counter(read.workspace_id for read in self.reads)
        return max(by_workspace.values(), default=0) / requests_per_second


def plan_backfill(
    states: Iterable[DatabaseState], *, from_day: date, to_day: date, earlier: Collection[tuple[int, date]]
) -> Backfill:
    """Find what is missing from `from_day` to `to_day`, both included and over; never before a database was made.

    `earlier` are the (database key, day) that were read of days before their ledgers begin.
    """
    reads, days = [], 0
    states = tuple(states)
    for state in states:
        reads += [_read(state, day) for day in unread_days(state, from_day, to_day, earlier)]
        days += max(0, (to_day - max(from_day, state.database.created_at.date())).days + 1)
    reads.sort(key=lambda read: (read.due_at, read.database_id))
    return Backfill(reads=tuple(reads), databases=len(states), in_ledger=days - len(reads))


def unread_days(
    state: DatabaseState, from_day: date, to_day: date, earlier: Collection[tuple[int, date]]
) -> Iterator[date]:
    """Yield the days, both ends included, that were not read after their end: those that a backfill reads, in order.

    Of those before its ledger begins the state says nothing: `earlier` has the (database key, day) that were read. From
    then on each day has a row until `known_until`, and the rows that are not settled are in the state.
    """
    first, begins_on = max(from_day, state.database.created_at.date()), state.begins_on
    yield from (day for day in _days(first, min(to_day, begins_on - ONE_DAY)) if (state.key, day) not in earlier)
    first = max(first, begins_on)
    yield from (
        row.day
        for row in state.recent_days
        if row.unchanged_since_at is None and first <= row.day <= min(to_day, state.known_until)
    )
    read = {row.day for row in state.recent_days if row.unchanged_since_at is not None}
    yield from (day for day in _days(max(first, state.known_until + ONE_DAY), to_day) if day not in read)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + ahead * ONE_DAY for ahead in range((last - first).days + 1))


def spare_requests_per_second(poll: PollConfig, databases: int) -> float:
    """Return what polling a workspace of so many databases leaves of its budget: a tenth of it at least."""
    per_database = 2 / poll.interval.total_seconds() + sum(
        1 / max(poll.interval, window.width / ROLLING_READS_PER_WIDTH).total_seconds() for window in poll.windows
    )
    spare = poll.requests_per_second - databases * per_database
    return max(spare, poll.requests_per_second * SPARE_AT_LEAST)


def choose(states: Mapping[str, DatabaseState], wanted: Iterable[str]) -> tuple[DatabaseState, ...]:
    """Return the databases with these ids or names; all that exist if none is named.

    Raises:
        ConfigurationError: a name fits none, or several; each is told, with what was perhaps meant.
    """
    existing = [state for state in states.values() if state.deleted_at is None]
    chosen: dict[str, DatabaseState] = {}
    problems = []
    for name in wanted:
        found = [state for state in existing if name in {state.database.id, state.database.name}]
        if len(found) == 1:
            chosen[found[0].database.id] = found[0]
        elif found:
            candidates = ", ".join(f"{row.database.id} in {row.database.project_name}" for row in found)
            problems.append(f"--database {name}: several are called so; give an id: {candidates}")
        else:
            known = [text for row in existing for text in (row.database.name, row.database.id)]
            nearest = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {nearest[0]}?" if nearest else f"; {len(existing)} databases are known"
            problems.append(f"--database {name}: there is none of this name or id{meant}")
    if problems:
        raise ConfigurationError(problems)
    return tuple(chosen.values()) if chosen else tuple(existing)


def _read(state: DatabaseState, day: date) -> PlannedRead:
    starts_at: datetime = day_start(day)
    window = Window(kind=WindowKind.DAY, name="day", start_at=starts_at, end_at=starts_at + ONE_DAY)
    return PlannedRead(
        database_id=state.database.id,
        workspace_id=state.database.workspace_id,
        created_at=state.database.created_at,
        windows=(window,),
        due_at=starts_at,
        rank=Rank.MISSING_DAY,
    )
