"""What was used in a calendar month (UTC), and how much of it is known: one value, so that nobody takes one alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from fractions import Fraction
from operator import itemgetter

from prisma_postgres_exporter.cost.placing import without_day
from prisma_postgres_exporter.model import (
    LONGEST_UNWATCHED,
    SHORT_GAP,
    DatabaseState,
    DayUsage,
    LedgerState,
    MonthUsage,
    WorkspaceState,
    day_start,
    month_start,
    next_month_start,
)

GIB = 2**30
ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)
AT_LEAST, ABOUT = "at least ", "about "
"""What is said before an amount that is not known whole: a lower bound, or neither bound."""
SHORT_GAP_PARTS = 100
"""Of a month a gap of one part in so many is bridged too."""
TODAY_READ_WITHIN = LONGEST_UNWATCHED
"""Today is known of a database that was read so lately, or within the same part of its time: they are read more
often."""
LAST_READ_WITHIN = timedelta(minutes=15)
"""A database that was read so soon before its deletion was noticed is known whole; of a longer time nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A sum over the days of databases, and how much of it is known. Sums add up.

    `known_operations` and `known_byte_seconds` (storage levels times the seconds they held) are of what is known, so
    at least so much was used. `days_known` of `days` days of databases are in the former: of each, the days (UTC) that
    are over, and today where it was read; of one that was not for long, today is a day that is not known.
    `storage_seconds_known` of the `storage_seconds` that the databases lived
    are in the latter. `level_byte_seconds` is each database at its own mean for as long as it lived.
    `days_held` is how many days the ledger has whole: the vendor's month may be known where its days are not.
    `unplaced_operations` and `unplaced_storage` are of how many databases that moved in the month operations, or
    levels, of days may belong here or to another of their holders: what is known is without them. `unlevelled` is of
    how many databases no level at all is known: a mean level is without them. `unread` is how many workspaces nobody
    followed then: what they used, and whether they had databases, is not known. `followed_late` is how many
    workspaces were followed only since after the month began, `unwatched` of how many nobody looked for long which
    databases they have: what was used by databases that were deleted before, or that came and went meanwhile, is not
    known, and never will be.
    """

    known_operations: int = 0
    known_byte_seconds: int = 0
    level_byte_seconds: int = 0
    days: int = 0
    days_known: int = 0
    days_held: int = 0
    storage_seconds: int = 0
    storage_seconds_known: int = 0
    unplaced_operations: int = 0
    unplaced_storage: int = 0
    unlevelled: int = 0
    unread: int = 0
    followed_late: int = 0
    unwatched: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in _FIELDS})

    @property
    def unlisted(self) -> bool:
        """Whether there may have been databases that are in no list."""
        return bool(self.followed_late or self.unwatched)

    @property
    def operations(self) -> int | None:
        """What is known of the operations; `None` where there was something to know and nothing is."""
        is_anything_known = self.days_known or self.known_operations
        is_anything_there = self.days or self.storage_seconds or self.unread or self.unlisted
        return self.known_operations if is_anything_known or not is_anything_there else None

    @property
    def are_operations_known(self) -> bool:
        """Whether the operations of every day are known."""
        is_all_read = self.days_known >= self.days and not (self.unread or self.unlisted)
        return self.operations is not None and is_all_read and not self.unplaced_operations

    @property
    def operations_qualifier(self) -> str:
        """What is said before operations that are known: nothing of all of them, else at least so many."""
        return "" if self.operations is None or self.are_operations_known else AT_LEAST

    @property
    def is_storage_known(self) -> bool:
        """Whether a level is known of all the time that the databases lived."""
        return self.storage_seconds_known >= self.storage_seconds and self.is_mean_storage_known

    @property
    def is_mean_storage_known(self) -> bool:
        """Whether a mean level is of every database, each at its own mean."""
        return not (self.unlevelled or self.unplaced_storage or self.unread or self.unlisted)

    @property
    def mean_storage_qualifier(self) -> str:
        """What is said before a mean level: nothing of a whole one.

        Where a database's own mean stands for time that is not known, about so much, else at least so much.
        """
        if self.is_storage_known:
            return ""
        return ABOUT if self._mean_byte_seconds > self.known_byte_seconds else AT_LEAST

    @property
    def _mean_byte_seconds(self) -> int:
        # Beside a database of which no level is known, what is estimated of others would be neither bound.
        is_any_lacking = self.unlevelled or self.unplaced_storage or self.unread
        return self.known_byte_seconds if is_any_lacking else self.level_byte_seconds

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return self.are_operations_known and self.is_storage_known

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps it from being complete, in words of the JSON form."""
        parts = (
            ("days", self.days_known < self.days or (self.operations is None and not (self.unread or self.unlisted))),
            ("storage", self.storage_seconds_known < self.storage_seconds or bool(self.unlevelled)),
            ("moved", bool(self.unplaced_databases)),
            ("unread", bool(self.unread)),
            ("followed_late", bool(self.followed_late)),
            ("discovery_gap", bool(self.unwatched)),
        )
        return tuple(name for name, is_missing in parts if is_missing)

    @property
    def listed(self) -> Usage:
        """The same as a sum over the databases that are known, and no others."""
        return replace(self, followed_late=0, unwatched=0) if self.unlisted else self

    @property
    def unplaced_databases(self) -> int:
        """Of how many databases that moved something may belong here or to another of their holders."""
        return max(self.unplaced_operations, self.unplaced_storage)

    @property
    def operations_covered_ratio(self) -> float | None:
        """The part (0 to 1) of the databases' days of which the operations are known; `None` where there was none."""
        return round(self.days_known / self.days, 6) if self.days else None

    @property
    def storage_covered_ratio(self) -> float | None:
        """The part (0 to 1) of the databases' time of which a level is known; `None` where there was no database."""
        if not self.storage_seconds:
            return None
        return round(self.storage_seconds_known / self.storage_seconds, 6)

    def mean_storage_bytes(self, elapsed_seconds: int) -> int | None:
        """The mean level over a span of so many seconds; `None` if no level is known.

        Each database is at its own mean of the time that is known. Where of one no level is known at all, it is the
        known levels over the span: at least so much.
        """
        if not elapsed_seconds or not self.is_any_storage_known:
            return None
        return self._mean_byte_seconds // elapsed_seconds

    def gib_months(self, month_seconds: int) -> Fraction | None:
        """What is billed: the known levels over the seconds of the whole month, in GiB; `None` where none is known."""
        return Fraction(self.known_byte_seconds, month_seconds * GIB) if self.is_any_storage_known else None

    @property
    def is_any_storage_known(self) -> bool:
        """Whether a level is known of any time, or there is none to be known."""
        is_any_missing = self.storage_seconds or self.unlevelled or self.unread or self.unlisted
        return bool(self.storage_seconds_known) or not is_any_missing


_FIELDS = tuple(field.name for field in fields(Usage))
NOTHING = Usage()
UNREAD = Usage(unread=1)
"""What is known of a workspace that nobody followed then."""


def add_up(usages: Iterable[Usage]) -> Usage:
    """Return the sum."""
    sums = dict.fromkeys(_FIELDS, 0)
    for usage in usages:
        for name in _FIELDS:
            sums[name] += getattr(usage, name)
    return Usage(**sums)


def unlisted(row: WorkspaceState, until: datetime) -> Usage:
    """Return what a workspace has beside its databases in the month of `until`: ones that nobody saw, or nothing."""
    starts_at = month_start(until)
    return Usage(
        followed_late=int(row.was_followed_late(starts_at)), unwatched=int(bool(row.gaps_in(starts_at, until)))
    )


def used_in_month(ledger_state: LedgerState, until: datetime) -> Mapping[int, Mapping[str, Usage]]:
    """Return what each database used in the month of `until` up to then, by workspace key and database id.

    `until` is now, or the last second of a month that is over. A database that lived then and was never read is in it.
    One of a workspace that is gone lives on, unread: what comes after is not known, and later months are without it.
    """
    used: dict[int, dict[str, Usage]] = defaultdict(dict)
    for row in ledger_state.workspaces.values():
        if row.was_gone_at(month_start(until)):
            continue
        for id_, state in row.databases.items():
            for key, usage in database_usage(state, until).items():
                used[key][id_] = usage
    for id_, state in ledger_state.left.items():
        for key, usage in database_usage(state, until).items():
            used[key][id_] = usage
    return used


def database_usage(state: DatabaseState, until: datetime) -> Mapping[int, Usage]:
    """Return what one database used in the month of `until` up to then, by the key of the workspace that held it."""
    life = _Life(state, until)
    rows = {row.workspace_key: row for row in state.months if row.month == life.month}
    if not rows and life.seconds == 0:
        return {}
    if not state.moves and all(key == state.workspace_key or not row.days for key, row in rows.items()):
        return {state.workspace_key: _of_one(rows.get(state.workspace_key), life, has_moved=len(rows) > 1)}
    return _of_some(state, life, rows)


class _Life:
    """A database's time in the month of `until`: from its creation to its deletion, or to `until`."""

    __slots__ = (
        "_open",
        "born_at",
        "days",
        "days_over",
        "ends_at",
        "first_day",
        "held_seconds",
        "is_end_read",
        "is_running",
        "is_today_unknown",
        "month",
        "seconds",
        "today",
    )

    def __init__(self, state: DatabaseState, until: datetime) -> None:
        starts_at, month_ends_at = month_start(until), next_month_start(until)
        self.month, self.today = starts_at.date(), until.date()
        self.born_at = max(starts_at, state.database.created_at)
        # The last second of a month stands for its end.
        end_at = month_ends_at if until >= month_ends_at - ONE_SECOND else until
        self.is_running = end_at < month_ends_at and (state.deleted_at is None or state.deleted_at > until)
        self.ends_at = end_at if state.deleted_at is None else min(end_at, state.deleted_at)
        is_end_near = state.usage_at is not None and state.usage_at >= self.ends_at - LAST_READ_WITHIN
        self.is_end_read = is_end_near or self.ends_at == end_at
        if is_end_near and state.usage_at is not None and self.ends_at == state.deleted_at:
            # What is so short that it counts as nothing is no day of its own where it is over midnight.
            self.ends_at = state.usage_at if state.usage_at.date() < self.ends_at.date() else self.ends_at
        self.seconds = max(0, int((self.ends_at - self.born_at).total_seconds()))
        self.first_day = self.born_at.date()
        last_over = self.today - ONE_DAY if self.is_running else (self.ends_at - ONE_SECOND).date()
        within = max(TODAY_READ_WITHIN, (self.ends_at - self.born_at) / SHORT_GAP_PARTS)
        # Of one that was never read nothing is known anyway.
        is_unread_for_long = state.usage_at is not None and until - state.usage_at > within
        self.is_today_unknown = self.is_running and is_unread_for_long and until > day_start(self.today)
        # A level holds until the next reading, which is about to come.
        is_level_new = self.is_running and state.storage_at is not None and until - state.storage_at <= within
        self.held_seconds = int((until - state.storage_at).total_seconds()) if is_level_new and state.storage_at else 0
        last_open = self.today if self.is_today_unknown else last_over
        self._open = [
            row for row in state.recent_days if row.unchanged_since_at is None and self.month <= row.day <= last_open
        ]
        self.days_over = max(0, (last_over - self.first_day).days + 1) if self.seconds else 0
        is_today_read = self.is_running and (
            any(row.day == self.today for row in reversed(state.recent_days))
            or any(row.month == self.month and self.covers(row, self.today) for row in state.months)
        )
        self.days = self.days_over + (is_today_read or self.is_today_unknown)

    def covers(self, row: MonthUsage, day: date) -> bool:
        """Whether the vendor's month reaches into `day`, or to its end where that is over."""
        if row.read_at is None or row.period_end_at is None or (self.is_today_unknown and day == self.today):
            return False
        if self.is_running and day == self.today:
            needed_at = day_start(day) + ONE_SECOND
        else:
            ends_at = self._end_of(day)
            # Of a database that was deleted the last reading is from before.
            needed_at = ends_at - (ONE_SECOND if ends_at == day_start(day) + ONE_DAY else LAST_READ_WITHIN)
        return row.period_end_at >= needed_at and row.read_at >= needed_at

    def days_covered(self, row: MonthUsage) -> int:
        """How many of the days the vendor's month covers."""
        if row.period_end_at is None or row.read_at is None:
            return 0
        last = (min(row.period_end_at, row.read_at) - ONE_SECOND).date()
        count = (last - self.first_day).days
        return min(self.days, max(0, count + self.covers(row, last)))

    def open_days(self, workspace_key: int, but: Collection[date] = ()) -> int:
        """How many days were not read after their end, or today for long: they may have gone on."""
        return sum(
            row.workspace_key == workspace_key and row.day not in but and not self.is_final(row) for row in self._open
        )

    def is_final(self, row: DayUsage) -> bool:
        """Whether a day was read after its end, if it is over."""
        return row not in self._open or row.read_at >= self._read_by(row.day)

    def lived(self) -> Iterator[tuple[date, bool, int]]:
        """The days of its life, whether they count in `days`, and how many seconds of each it lived."""
        day, counted = self.first_day, self.days
        while day_start(day) < self.ends_at:
            begins_at, ends_at = max(day_start(day), self.born_at), min(day_start(day) + ONE_DAY, self.ends_at)
            yield day, counted > 0, int((ends_at - begins_at).total_seconds())
            day, counted = day + ONE_DAY, counted - 1

    def _read_by(self, day: date) -> datetime:
        """When a day must have been read: at its end, or of a database that was deleted in it soon before."""
        ends_at = self._end_of(day)
        return ends_at if ends_at == day_start(day) + ONE_DAY else ends_at - LAST_READ_WITHIN

    def _end_of(self, day: date) -> datetime:
        return min(day_start(day) + ONE_DAY, self.ends_at)


def month_operations(row: MonthUsage, *, has_moved: bool = False) -> int:
    """Return the newest knowledge of a database's operations in a month, those of one workspace.

    The vendor's own number for the month, unless the days say more than it said when it was last read before the month
    was over, as of a database that failed or was deleted since: the difference is on record. Of a database that moved
    in the month, its days tell whose they are.
    """
    if has_moved or row.operations is None:
        return row.days_operations
    ends_at = next_month_start(day_start(row.month))
    is_over = row.read_at is not None and row.read_at >= ends_at
    is_whole = is_over and row.period_end_at is not None and row.period_end_at >= ends_at - ONE_SECOND
    return row.operations if is_whole else max(row.operations, row.days_operations)


def _days_known(row: MonthUsage, life: _Life, *, days_held: int) -> int:
    """How many days are in the newest knowledge."""
    held = min(life.days, max(0, days_held))
    if row.operations is None:
        return held
    covered = life.days_covered(row)
    if row.operations == row.days_operations:
        return max(covered, held)
    return covered if month_operations(row) == row.operations else held


def _with_storage(
    row: MonthUsage,
    lived_seconds: int,
    operations: int,
    *,
    days: int,
    days_known: int,
    days_held: int,
    is_end_read: bool,
    held_seconds: int,
) -> Usage:
    known = min(row.storage_seconds, lived_seconds) if lived_seconds else row.storage_seconds
    lived = max(lived_seconds, known)
    byte_seconds = row.storage_byte_seconds
    at_own_mean = byte_seconds * lived // row.storage_seconds if row.storage_seconds else 0
    gap = lived - known
    if known and is_end_read and gap - held_seconds <= max(SHORT_GAP.total_seconds(), lived // SHORT_GAP_PARTS):
        byte_seconds, known = at_own_mean, lived
    return Usage(
        known_operations=operations,
        known_byte_seconds=byte_seconds,
        level_byte_seconds=at_own_mean,
        days=days,
        days_known=days_known,
        days_held=min(days_held, days),
        storage_seconds=lived,
        storage_seconds_known=known,
        unlevelled=int(lived > 0 and not known),
    )


def _unlevelled(days: int, seconds: int) -> Usage:
    """Of which nothing was read."""
    return Usage(days=days, storage_seconds=seconds, unlevelled=1)


def _of_one(row: MonthUsage | None, life: _Life, *, has_moved: bool) -> Usage:
    """Of a database that one workspace held all the month."""
    if row is None:
        # One made today too has a day that is not known: beside others it must not look like nothing.
        return _unlevelled(max(1, life.days), life.seconds)
    held = max(0, row.days - life.open_days(row.workspace_key))
    # Of a month that was read elsewhere too only the days tell whose they are.
    days_known = min(life.days, held) if has_moved else _days_known(row, life, days_held=held)
    operations = month_operations(row, has_moved=has_moved)
    return _with_storage(
        row,
        life.seconds,
        operations,
        days=life.days,
        days_known=days_known,
        days_held=held,
        is_end_read=life.is_end_read,
        held_seconds=life.held_seconds,
    )


def _of_some(state: DatabaseState, life: _Life, rows: Mapping[int, MonthUsage]) -> Mapping[int, Usage]:
    """Of a database that moved: a day in doubt is one that is not known, in each workspace that may have had it."""
    days, seconds = Counter[int](), Counter[int]()
    in_doubt, days_in_doubt, seconds_in_doubt = set[date](), Counter[int](), Counter[int]()
    for day, is_counted, lived_seconds in life.lived():
        moves = state.unplaced_moves(day, day)
        if not moves:
            days[state.holder_on(day)] += is_counted
            seconds[state.holder_on(day)] += lived_seconds
            continue
        in_doubt.add(day)
        for key in {key for move in moves for key in (move.from_key, move.to_key)}:
            days_in_doubt[key] += is_counted
            seconds_in_doubt[key] += lived_seconds
    last = state.holder_on(max(life.first_day, (life.ends_at - ONE_SECOND).date()))
    strays = [row for key, row in rows.items() if row.days and key not in seconds.keys() | seconds_in_doubt.keys()]
    for row in strays:
        # No event tells of its move: the days that were read do, and whose the others are nobody knows.
        days.update({row.workspace_key: row.days, last: -row.days})
        seconds.update({row.workspace_key: row.storage_seconds, last: -row.storage_seconds})
        seconds_in_doubt.update({row.workspace_key: 0, last: 0})
    holders = seconds.keys() | seconds_in_doubt.keys() or {last}
    if len(holders) == 1:
        # It moved before this month or after it.
        [key] = holders
        return {key: _of_one(_with_newest_reading(rows.get(key), rows.values()), life, has_moved=False)}
    of_doubt = [row for row in state.recent_days if row.day in in_doubt]
    is_split_known = (
        not strays
        and len(of_doubt) == len(in_doubt)
        and all(life.is_final(row) and not row.operations for row in of_doubt)
    )
    found = {}
    for key in holders:
        row = rows.get(key) or MonthUsage(database_key=state.key, month=life.month, workspace_key=key)
        for other in of_doubt:
            row = without_day(row, other) if other.workspace_key == key else row
        held = row.days - life.open_days(key, but=in_doubt)
        usage = _with_storage(
            row,
            max(0, seconds[key]),
            row.days_operations,
            days=max(0, days[key]),
            days_known=min(days[key], held),
            days_held=held,
            is_end_read=life.is_end_read or key != last,
            held_seconds=life.held_seconds if key == last else 0,
        )
        if key in seconds_in_doubt:
            usage = replace(
                usage,
                days=usage.days + days_in_doubt[key],
                days_known=usage.days_known + is_split_known * days_in_doubt[key],
                storage_seconds=usage.storage_seconds + seconds_in_doubt[key],
                unplaced_operations=int(not is_split_known),
                unplaced_storage=1,
            )
        found[key] = usage
    return found


def _with_newest_reading(row: MonthUsage | None, rows: Iterable[MonthUsage]) -> MonthUsage | None:
    """A month's days with what the vendor said of it at last: it may have been asked where the database is now."""
    told = [(other.read_at, other) for other in rows if other.read_at is not None]
    if row is None or not told:
        return row
    _, newest = max(told, key=itemgetter(0))
    return replace(row, operations=newest.operations, read_at=newest.read_at, period_end_at=newest.period_end_at)
