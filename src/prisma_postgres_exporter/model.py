"""The vocabulary: the values that travel down the pipeline.

Glossary, one word an idea, the same in code, schema, logs, labels and docs:

workspace   what a token belongs to and what is billed: it holds projects.
project     holds databases; can be moved to another workspace with them.
database    one Prisma Postgres database.
window      a span of time that usage is asked for: a UTC day, a calendar month (UTC), or rolling.
reading     the vendor's answer for one database and one window.
day         a UTC calendar day; open until it ends, then closed.
settle      a closed day settles when readings far enough apart agree; then it is no longer read.
recheck     a settled day is read once more when its month is over or the vendor's month disagrees.
revision    a day's number that changed after it should have been final, or that fell.
database state   what we hold of one database: its identity, its counter, its newest readings.
workspace state  what we hold of one workspace: its databases' states, its plans, its generation in the store.
ledger state     all workspaces' states: the store's content that plan and snapshot need.
ledger update    what readings changed, as rows to write in one transaction.
round       one workspace's turn: discover, plan, poll, ledger, store; then its state is replaced.
snapshot    one view of all workspaces' states at an instant: what is shown.

All instants are aware UTC datetimes; operations are whole operations; storage is bytes
(the vendor's GiB is 2**30 bytes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property, lru_cache

MONTH_WATCHED_FOR = timedelta(days=5)
"""How long after its end a month is still read: what is first read later is taken as final."""

SHORT_GAP = timedelta(hours=1)
"""A gap so long in what is known of a database's storage is bridged with its mean."""
LONGEST_UNWATCHED = timedelta(hours=2)
"""For so long in a span may nobody have looked which databases there are: a service looks every ten minutes, and a
restart or an upgrade takes less."""


class WindowKind(StrEnum):
    """Which calendar a window follows."""

    DAY = "day"
    MONTH = "month"
    ROLLING = "rolling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span to ask usage for: `start_at` inclusive, `end_at` exclusive.

    `name` is `day`, `month`, or for a rolling window its width as configured (`24h`).
    """

    kind: WindowKind
    name: str
    start_at: datetime
    end_at: datetime

    def is_open_day(self, at: datetime) -> bool:
        """Whether it is the day (UTC) that `at` lies in."""
        return self.kind is WindowKind.DAY and self.start_at.date() == at.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace as last seen. `plan` and `usage_blocked` are `None` until a subscription was read."""

    id: str
    name: str
    plan: str | None = None
    usage_blocked: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as last seen."""

    id: str
    name: str
    workspace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database as last seen, joined to its workspace through its project."""

    id: str
    name: str
    project_id: str
    project_name: str
    workspace_id: str
    region: str | None
    status: str
    is_default: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReading:
    """What the vendor said for one database and one window.

    `period_start_at` and `period_end_at` (whole seconds, the end exclusive) are the span the vendor
    says it used, which may differ from the window asked for. `generated_at` is the vendor's time,
    `read_at` ours, in whole seconds. A number the vendor left out is `None`: we were not told.
    """

    database_id: str
    window: Window
    period_start_at: datetime
    period_end_at: datetime
    operations: int | None
    storage_bytes: int | None
    generated_at: datetime | None
    read_at: datetime

    @property
    def is_widened(self) -> bool:
        """Whether the vendor answered for more time before the window than was asked for."""
        return self.period_start_at < self.window.start_at - timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingFailure:
    """A reading that did not come; `reason` is the error's short constant, `message` for people.

    `retry_at` is the instant to which the vendor asked us to wait, if it did.
    """

    database_id: str
    window: Window
    reason: str
    message: str
    failed_at: datetime
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """The ledger's row for one database and one UTC day.

    `operations` is the vendor's latest word and may fall; `operations_high` only grows.
    `unchanged_since_at` is when the reading that first gave today's `operations` was taken, of
    readings made after the day ended (`None` while it is open): a day settles when that is long
    enough ago. `storage_byte_seconds` over `storage_seconds` is the day's mean level, the latter
    being how much of the day is covered. `is_counted` says whether the day moves the counter.
    """

    database_key: int
    day: date
    workspace_key: int
    operations: int
    operations_high: int
    storage_bytes: int
    storage_byte_seconds: int
    storage_seconds: int
    read_at: datetime
    unchanged_since_at: datetime | None
    settled_at: datetime | None
    is_counted: bool

    def is_final(self, settle_after: timedelta) -> bool:
        """Whether its number is old enough, or was read late enough, to be the day's last word."""
        if self.unchanged_since_at is None:
            return False
        if self.read_at - self.unchanged_since_at >= settle_after:
            return True
        return self.read_at >= _month_watched_until(self.day.year, self.day.month)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthUsage:
    """One database's calendar month in one workspace.

    `days`, `days_operations`, `storage_byte_seconds` and `storage_seconds` are the count and the
    sums of its days in the ledger. `operations` is the vendor's own number for the month, read at
    `read_at` over a period that ended at `period_end_at`; the three are `None` until the month was
    read as such. `difference_operations` is that number less the sum of the days, taken when both
    covered the same time; `None` until every day of the month so far is in the ledger.
    `rechecked_difference_operations` is the difference for which the days were last read again.
    """

    database_key: int
    month: date
    workspace_key: int
    days: int = 0
    days_operations: int = 0
    storage_byte_seconds: int = 0
    storage_seconds: int = 0
    operations: int | None = None
    difference_operations: int | None = None
    period_end_at: datetime | None = None
    read_at: datetime | None = None
    rechecked_difference_operations: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceDay:
    """One workspace's UTC day: the sums of the days its databases had there, storage to the MiB-second.

    `storage_bytes` is the sum of the databases' mean levels, each over the time that is known of it: at least so much
    where not `is_storage_known`, as one of these days has no level, and `None` where none has. Of a day that is over,
    `stretched_byte_seconds` are what levels come to over the time that their databases lived and nothing is known of;
    where that is more than `SHORT_GAP` of one of them, `is_storage_in_part`. `absent` are the keys of the databases
    that lived there on that day, but were first followed later, so that the sums lack them. (Days that a followed
    database lacks are in its state: those after its `known_until`.) `parts` are the operations and byte-seconds of each
    database, by its key, whose day was read after its end: only of days before a plan that charges nothing was left.
    """

    workspace_key: int
    day: date
    operations: int
    storage_byte_seconds: int
    storage_seconds: int
    storage_bytes: int | None = None
    is_storage_known: bool = True
    stretched_byte_seconds: int = 0
    is_storage_in_part: bool = False
    absent: tuple[int, ...] = ()
    parts: Mapping[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingUsage:
    """The newest reading of one rolling window of one database."""

    window_name: str
    operations: int
    period_start_at: datetime
    period_end_at: datetime
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A day's number before and after the vendor changed it."""

    database_key: int
    day: date
    revised_at: datetime
    operations_before: int
    operations_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReading:
    """A raw reading to keep: one row, only when it says something new."""

    database_key: int
    read_at: datetime
    window_name: str
    period_start_at: datetime
    period_end_at: datetime
    operations: int | None
    storage_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A database left one workspace (`from_key`) for another (`to_key`), as a discovery noticed it at `at`.

    It was still in the old one at `last_there_at`: in between nobody looked.
    """

    at: datetime
    from_key: int
    to_key: int
    last_there_at: datetime

    @property
    def unplaced_days(self) -> tuple[date, date]:
        """The first day that may be of either workspace, in whole or in part, and the first one after them.

        The days before are the old one's, those after the new one's: it left at some instant between the two looks.
        """
        noticed_on = self.at.date()
        return self.last_there_at.date(), noticed_on + timedelta(days=self.at > day_start(noticed_on))

    def leaves_in_doubt(self, day: date) -> bool:
        """Whether a day may be of either workspace."""
        first, end = self.unplaced_days
        return first <= day < end


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """What we hold of one database. Equal to what the store holds, value by value.

    `key` and `workspace_key` are the store's small integers. `recent_days` are the days that are
    not settled (none after `known_until` is) and, settled or not, yesterday and today, and those of the `months`
    that a move leaves in doubt, oldest first. Every
    day from when we began to `known_until` has a row. Settled days are read once more when their month
    is over, and when the vendor's month is not their sum: up to `checked_until` that is done, of those
    that were last read before `recheck_at` or before the month began. `months` are the previous and the
    current month and, while older days are missing or not settled, every month from theirs on (two rows
    for one month where the database moved between workspaces in it). `storage_bytes` is the newest level,
    `storage_at` when it was read. `operations_total` only grows. `usage_at` is how far the newest
    readings reach. `moves` are those between workspaces, oldest first.
    """

    key: int
    workspace_key: int
    database: Database
    first_seen_at: datetime
    counted_from: date
    known_until: date
    checked_until: date
    deleted_at: datetime | None = None
    operations_total: int = 0
    revisions_up: int = 0
    revisions_down: int = 0
    storage_bytes: int | None = None
    storage_at: datetime | None = None
    usage_at: datetime | None = None
    last_success_at: datetime | None = None
    failing_since_at: datetime | None = None
    failure_reason: str | None = None
    recent_days: tuple[DayUsage, ...] = ()
    months: tuple[MonthUsage, ...] = ()
    rolling: tuple[RollingUsage, ...] = ()
    recheck_at: datetime | None = None
    moves: tuple[Move, ...] = ()

    def holder_on(self, day: date) -> int:
        """The key of the workspace that held it on a day; of one in doubt, of one that did, until more is known."""
        return _holder_on(day, self.moves, self.workspace_key)

    def is_unplaced(self, day: date) -> bool:
        """Whether a day is in doubt: a part of it at least may be of another workspace than `holder_on` says."""
        return any(move.leaves_in_doubt(day) for move in self.moves)

    def unplaced_moves(self, first: date, last: date) -> tuple[Move, ...]:
        """The moves that leave days from `first` to `last` in doubt."""
        return _unplaced_moves(first, last, self.moves)

    def holders_on(self, day: date) -> frozenset[int]:
        """The keys of the workspaces that lack a day as long as it was not read: one, or those between which it is."""
        moves = self.unplaced_moves(day, day)
        return frozenset(key for move in moves for key in (move.from_key, move.to_key)) or frozenset(
            (self.holder_on(day),)
        )

    @property
    def begins_on(self) -> date:
        """The first day of its ledger: earlier ones are there if a backfill read them."""
        return ledger_begins_on(self.database.created_at, self.first_seen_at, self.counted_from)

    @property
    def has_counted(self) -> bool:
        """Whether a day that the counter counts is known: before, `operations_total` means nothing."""
        return self.known_until >= self.counted_from or any(row.is_counted for row in self.recent_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanChange:
    """When a workspace was first seen on a plan; `None` where the API had not said one."""

    at: datetime
    plan: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to collect one workspace, of one session of one process.

    `epoch` grows each time that somebody takes it: a write of an earlier epoch is refused.
    """

    workspace_id: str
    session: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryGap:
    """For so long nobody looked which databases a workspace has; `to_at` is `None` while nobody has since.

    One that came and went meanwhile is in no list of the vendor's, and so in no sum.
    """

    from_at: datetime
    to_at: datetime | None = None

    def is_in(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether it takes too much of a span to call that whole."""
        to_at = ends_at if self.to_at is None else min(self.to_at, ends_at)
        return to_at - max(self.from_at, starts_at) > LONGEST_UNWATCHED


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceState:
    """What we hold of one workspace. Equal to what the store holds at `generation`, value by value.

    `key` is the store's; `generation` grows with every write that concerns the workspace. `first_seen_at` is when
    this store began to follow it, `gone_at` when no credential was its any more, `plans` are its plans as they were
    seen, oldest first; the last one is today's. `looked_at` is when somebody looked what it holds, to half an hour;
    `discovery_gaps` are those of this and last month that had ended then, oldest first. `databases` by id: those that
    belong to it now, and the deleted ones that are in the bill of this or last month.
    """

    key: int
    workspace: Workspace
    first_seen_at: datetime
    generation: int = 0
    gone_at: datetime | None = None
    plans: tuple[PlanChange, ...] = ()
    looked_at: datetime | None = None
    discovery_gaps: tuple[DiscoveryGap, ...] = ()
    databases: Mapping[str, DatabaseState] = field(default_factory=dict)

    @property
    def is_gone(self) -> bool:
        """Whether no credential is its any more."""
        return self.gone_at is not None

    def was_gone_at(self, at: datetime) -> bool:
        """Whether no credential was its any more at an instant."""
        return self.gone_at is not None and self.gone_at <= at

    def was_followed_late(self, month_starts_at: datetime) -> bool:
        """Whether a month had begun when it was first followed: what was deleted before is in no list of the vendor's.

        When a workspace was created nobody tells a service token, so one that is younger than the month counts too.
        """
        return self.first_seen_at > month_starts_at

    def gaps_in(self, starts_at: datetime, ends_at: datetime) -> tuple[DiscoveryGap, ...]:
        """The gaps that keep a span from being whole; where nobody looks any more (it is not gone), that one too."""
        gaps = self.discovery_gaps
        if self.looked_at is not None and not self.is_gone:
            gaps = (*gaps, DiscoveryGap(from_at=self.looked_at))
        return tuple(gap for gap in gaps if gap.is_in(starts_at, ends_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDatabase:
    """A database that the store ever followed, there or deleted: who and where it is, without its numbers.

    Names, project and workspace are the last that were seen, `moves` those between workspaces, oldest first.
    """

    key: int
    workspace_key: int
    database: Database
    first_seen_at: datetime
    counted_from: date
    deleted_at: datetime | None = None
    moves: tuple[Move, ...] = ()

    def holder_on(self, day: date) -> int:
        """The key of the workspace that held it on a day; of one in doubt, of one that did, until more is known."""
        return _holder_on(day, self.moves, self.workspace_key)

    def unplaced_moves(self, day: date) -> tuple[Move, ...]:
        """The moves that leave a day in doubt."""
        return _unplaced_moves(day, day, self.moves)


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """What is held of every workspace, as the store has it.

    `databases` by database id: every followed database of every workspace, and the deleted ones that still
    belong to the current or the previous month. In a part of the whole `left` are those that are of a workspace outside
    of it now, and were in one of its own; `gone_outside` are the keys of the workspaces outside that are gone.
    """

    workspaces: Mapping[str, WorkspaceState] = field(default_factory=dict)
    left: Mapping[str, DatabaseState] = field(default_factory=dict)
    gone_outside: frozenset[int] = frozenset()

    @cached_property
    def databases(self) -> Mapping[str, DatabaseState]:
        """Every database of every workspace, by id, and those that left it."""
        held = {id_: state for workspace in self.workspaces.values() for id_, state in workspace.databases.items()}
        return {**self.left, **held}

    def is_gone(self, state: DatabaseState) -> bool:
        """Whether no credential is that workspace's any more that a database is in: nobody can ask for it."""
        return state.workspace_key in self._gone

    @cached_property
    def _gone(self) -> frozenset[int]:
        return self.gone_outside | {row.key for row in self.workspaces.values() if row.is_gone}

    def part(self, workspace_ids: Collection[str]) -> LedgerState:
        """Return what is held of these workspaces alone, as far as they are there."""
        own = {id_: row for id_, row in self.workspaces.items() if id_ in workspace_ids}
        keys = {row.key for row in own.values()}
        others = (row for id_, row in self.workspaces.items() if id_ not in own)
        left = {
            id_: state
            for row in others
            for id_, state in row.databases.items()
            if not keys.isdisjoint(month.workspace_key for month in state.months)
            or not keys.isdisjoint(move.from_key for move in state.moves)
        }
        return LedgerState(workspaces=own, left=left, gone_outside=self._gone - keys)

    def with_workspaces(self, *changed: WorkspaceState) -> LedgerState:
        """Return the state in which these workspaces replace what was held of them."""
        return LedgerState(workspaces={**self.workspaces, **{row.workspace.id: row for row in changed}})

    @classmethod
    def of(cls, workspaces: Iterable[WorkspaceState], databases: Iterable[DatabaseState] = ()) -> LedgerState:
        """Put databases into the workspaces that they belong to."""
        by_workspace: dict[int, dict[str, DatabaseState]] = defaultdict(dict)
        for state in databases:
            by_workspace[state.workspace_key][state.database.id] = state
        return cls(
            workspaces={
                row.workspace.id: replace(row, databases=by_workspace[row.key]) if row.key in by_workspace else row
                for row in workspaces
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUpdate:
    """What readings changed, as rows to write: one transaction.

    `after` are the new values of the databases that changed (their `recent_days`, `months` and `rolling`
    are written too, where they differ from `before`, the states they replace, same order).
    `other_days` and `other_months` are changed rows that no state carries: days that settled and
    are older than yesterday, months that are long over. Each row is an upsert, so that writing it
    twice leaves the same rows.
    """

    before: tuple[DatabaseState, ...] = ()
    after: tuple[DatabaseState, ...] = ()
    other_days: tuple[DayUsage, ...] = ()
    other_months: tuple[MonthUsage, ...] = ()
    readings: tuple[StoredReading, ...] = ()
    revisions: tuple[Revision, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.after or self.other_days or self.other_months or self.readings or self.revisions)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRows:
    """Rows that are not in the ledger state, for readings of older days.

    `looked_up` are the (database key, day) that were asked for: of them, and of the months they lie
    in, every row that exists is here.
    """

    looked_up: frozenset[tuple[int, date]] = frozenset()
    days: tuple[DayUsage, ...] = ()
    months: tuple[MonthUsage, ...] = ()


class EventKind(StrEnum):
    """What can happen to a workspace, project or database between two discoveries.

    What is seen for the first time was created if it was made since the discovery before, and else found.
    """

    CREATED = "created"
    FOUND = "found"
    RENAMED = "renamed"
    MOVED = "moved"
    DELETED = "deleted"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a workspace, project or database, noticed by a discovery.

    Of a database that moved to another workspace, `last_there_at` is when it was last seen in the one before. Of a
    workspace that was found it is when somebody looked last: before, where nobody had for long; else ever since.
    """

    at: datetime
    kind: EventKind
    subject: str  # "workspace", "project" or "database"
    subject_id: str
    workspace_id: str
    before: str | None = None
    after: str | None = None
    last_there_at: datetime | None = None

    @property
    def is_discovery_gap(self) -> bool:
        """Whether it says that nobody had looked for databases of a workspace before."""
        is_found = self.subject == "workspace" and self.kind is EventKind.FOUND
        return is_found and self.last_there_at is not None and self.last_there_at < self.at


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """The newest that happened to a workspace, project or database, newest first, and to what it holds.

    `revisions` come with their database's id; `names` are those of databases and projects in it, by id.
    """

    revisions: tuple[tuple[str, Revision], ...] = ()
    events: tuple[Event, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """When the open days of databases were found to have moved, in what was read `since` (`None`: nothing was).

    `by_workspace` has the Unix seconds of each database, oldest first, by its workspace's id and its own.
    """

    since: datetime | None = None
    by_workspace: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What a discovery found to be different from the ledger state, to be written in one transaction.

    `workspaces` and `databases` are new or changed ones; `deleted_database_ids` and
    `gone_workspace_ids` have left a complete list. `looked` is the event of the workspace's first discovery, which says
    when the newest one was: not with each, and it has not happened again.
    """

    at: datetime
    workspaces: tuple[Workspace, ...] = ()
    databases: tuple[Database, ...] = ()
    deleted_database_ids: tuple[str, ...] = ()
    gone_workspace_ids: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    looked: Event | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return self.is_unchanged and self.looked is None

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing is different."""
        return not (self.workspaces or self.databases or self.events)


def _holder_on(day: date, moves: Iterable[Move], workspace_key: int) -> int:
    for move in moves:
        if day < move.at.date():
            return move.from_key if day <= move.last_there_at.date() else move.to_key
    return workspace_key


def _unplaced_moves(first: date, last: date, moves: Iterable[Move]) -> tuple[Move, ...]:
    end = last + timedelta(days=1)
    return tuple(move for move in moves if max(move.unplaced_days[0], first) < min(move.unplaced_days[1], end))


def ledger_begins_on(created_at: datetime, seen_at: datetime, counted_from: date) -> date:
    """Return the first day of a database's ledger; earlier ones come from a backfill only."""
    seen_on = seen_at.date()
    return min(counted_from, max(seen_on.replace(day=1), min(created_at.date(), seen_on)))


@lru_cache(maxsize=64)
def _month_watched_until(year: int, month: int) -> datetime:
    """Asked for each unsettled day of each database, and always of the same few months."""
    return next_month_start(datetime(year, month, 1, tzinfo=UTC)) + MONTH_WATCHED_FOR


def day_start(day: date) -> datetime:
    """00:00 UTC of `day`."""
    return datetime.combine(day, time.min, UTC)


def month_start(instant: datetime) -> datetime:
    """00:00 UTC of the 1st of the month that `instant` (aware, UTC) lies in."""
    return instant.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month_start(instant: datetime) -> datetime:
    """00:00 UTC of the 1st of the month after the one that `instant` lies in."""
    return month_start(month_start(instant) + timedelta(days=32))


def previous_month_start(instant: datetime) -> datetime:
    """00:00 UTC of the 1st of the month before the one that `instant` lies in."""
    return month_start(month_start(instant) - timedelta(days=1))


def checked_until(until: date, recheck_at: datetime | None, database: Database, now: datetime) -> date:
    """Up to which day the settled days of `database` were read once more as is due now, of those that were `until`.

    A recheck in the middle of a month does not stand for the one that is due when the month is over.
    """
    if recheck_at is None or recheck_at >= month_start(now):
        return until
    return min(until, max(month_start(recheck_at), database.created_at).date() - timedelta(days=1))


def recheck_bound_at(recheck_at: datetime | None, now: datetime) -> datetime:
    """Settled days before this instant's day that were last read before this instant are to be read once more."""
    month_starts_at = month_start(now)
    return month_starts_at if recheck_at is None else max(recheck_at, month_starts_at)
