"""Which days of the past to read into the ledger, and what that takes: pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
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
    states: Iterable[DatabaseState], *, from_day: date, to_day: date, known: Collection[tuple[int, date]]
) -> Backfill:
    """Find what is missing from `from_day` to `to_day`, both included and over; never before a database was made.

    `known` are the (database key, day) that were read after the day ended.
    """
    reads, in_ledger = [], 0
    states = tuple(states)
    for state in states:
        day = max(from_day, state.database.created_at.date())
        while day <= to_day:
            if (state.key, day) in known:
                in_ledger += 1
            else:
                reads.append(_read(state, day))
            day += ONE_DAY
    reads.sort(key=lambda read: (read.due_at, read.database_id))
    return Backfill(reads=tuple(reads), databases=len(states), in_ledger=in_ledger)


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
