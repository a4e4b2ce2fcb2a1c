"""What a workspace's month will have come to, from what is known of its databases.

Pure. What is not known is estimated, never taken for 0, and `missing` says what that was:

- A day that some databases lack is made whole by those that have it, each weighing as much as it usually does; the
  days to come are those of the databases that are there now. Where short lives are the rule, as many come as went.
- Storage is forecast by database: its known time as it is, a day that is not known between the days beside it, what is
  left at its own known mean, the time to come at its level; one that is gone has none to come. The workspace's steady
  growth comes on top.
- A database that moved did so in the middle of the time in which nobody looked: what it used on those days is unknown
  in both workspaces, and estimated for its part of them in each.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import accumulate

from prisma_postgres_exporter.cost.placing import placed_days, placed_month
from prisma_postgres_exporter.forecast import (
    FEWEST_DAYS,
    Forecast,
    forecast_operations,
    steady_growth,
)
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    MonthUsage,
    WorkspaceDay,
    day_start,
    month_start,
    next_month_start,
    previous_month_start,
)
from prisma_postgres_exporter.words import counted

ONE_DAY = timedelta(days=1)
DAY_SECONDS = 86_400
LEAST_KNOWN = 0.5
"""What part of a workspace's usual operations a day must hold to be made whole; with less it is a gap."""

A_SHORT_LIFE = timedelta(days=28)
PASSING_RULE = 3
"""So many short lives that ended within as long are no steps: so this workspace works."""

LEAST_NEW = 0.1
"""What part of a workspace's operations of now databases of the last day must do to be named."""

FEWEST_USUAL_DAYS = 0.5
"""Of how many days a usual one is the mean; of fewer, what the vendor says of the month so far."""

LEAST_SAID_DAYS = 0.5
"""How long a database must be unknown to be named."""

MOST_NAMED = 3
LEAST_CHANGE = 0.001
"""What part of a workspace's level is too little to be seen in its growth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the whole month is expected to come to: operations, and the mean of storage over all of it.

    `None` where too little is known. `missing` says, for people, what was estimated or left out; `None`: nothing was.
    Where `is_any_new`, databases of the last day will matter, and what they will use is not in the operations.
    """

    operations: Forecast | None = None
    storage_bytes: Forecast | None = None
    missing: str | None = None
    is_any_new: bool = False


def outlook(
    workspace_key: int, states: Iterable[DatabaseState], days: Sequence[WorkspaceDay], now: datetime
) -> Outlook:
    """Forecast one workspace's month of `now` (UTC).

    `states` are the databases that are in the workspace or were in this or the last month; `days` the
    workspace's days of the ledger, in any order, three months of them if there are, as `placed_days` has them.
    """
    month = month_start(now)
    stays = [_stay(state, workspace_key, month, now) for state in states]
    past = {row.day: row for row in days if row.day < now.date()}
    gaps = _gaps(stays, past, now)
    passing = _passing(stays, now)
    operations, unknown_days = _operations(stays, passing, past, gaps, now)
    storage, untold = _storage(stays, past, gaps, now)
    new = [] if passing else _new_that_matter(stays, now)
    missing = _missing(stays, unknown_days, untold, new, now)
    if operations is None and (missing is None or any(stay.is_there(now) for stay in stays)):
        # Nothing is estimated from other days then: there are too few.
        missing = _too_few(stays, len(past), unknown_days)
    elif missing is None and storage is None:
        missing = "a storage level: none is known"
    return Outlook(operations=operations, storage_bytes=storage, missing=missing, is_any_new=bool(new))


def stored_so_far(state: DatabaseState, workspace_key: int, now: datetime) -> int | None:
    """A database's byte-seconds of the month of `now` until then in one workspace, what is not known as in `outlook`.

    `None` where no level is known.
    """
    own = _stored(_stay(state, workspace_key, month_start(now), now), now)
    return None if own is None else own.known + round(own.estimated)


def outlook_of_part(states: Sequence[DatabaseState], rows: Iterable[DayUsage], now: datetime) -> Outlook:
    """Forecast what some databases of one workspace will have done, as `outlook` does all of them.

    `states` are theirs, deleted ones included, `rows` their days of the ledger.
    """
    if not states:
        return Outlook()
    key = next((state.workspace_key for state in states if state.deleted_at is None), states[0].workspace_key)
    # Of a project that moved, one may have been deleted in the workspace before.
    states = [
        state for state in states if key == state.workspace_key or any(move.from_key == key for move in state.moves)
    ]
    by_day: dict[date, list[DayUsage]] = defaultdict(list)
    for row in rows:
        if row.workspace_key == key:
            by_day[row.day].append(row)
    days = [_added(key, day, by_day[day], states) for day in sorted(by_day)]
    return outlook(key, states, placed_days(key, days, states), now)


def _added(key: int, day: date, rows: Sequence[DayUsage], states: Iterable[DatabaseState]) -> WorkspaceDay:
    """The sum of one day, and which databases lived on it and were first followed later."""
    read, levels = {row.database_key for row in rows}, [row for row in rows if row.storage_seconds]
    return WorkspaceDay(
        workspace_key=key,
        day=day,
        operations=sum(row.operations for row in rows),
        storage_byte_seconds=sum(row.storage_byte_seconds for row in rows),
        storage_seconds=sum(row.storage_seconds for row in rows),
        storage_bytes=sum(row.storage_byte_seconds // row.storage_seconds for row in levels) if levels else None,
        is_storage_known=len(levels) == len(rows),
        absent=tuple(
            state.key
            for state in states
            if state.key not in read
            and state.database.created_at.date() <= day < state.begins_on
            and (state.deleted_at is None or day <= state.deleted_at.date())
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stay:
    """A database's time in one workspace: all its life, unless it moved.

    `row` is its row of the running month there; `usual` its operations on a usual day, `None` where no day is known.
    """

    state: DatabaseState
    workspace_key: int
    begins_at: datetime
    ends_at: datetime | None
    row: MonthUsage | None
    has_moved: bool
    usual: float | None

    def is_there(self, now: datetime) -> bool:
        return self.begins_at <= now and (self.ends_at is None or self.ends_at > now)

    def seconds(self, from_at: datetime, to_at: datetime) -> float:
        """How much of a span lies in the stay."""
        end = to_at if self.ends_at is None or self.ends_at > to_at else self.ends_at
        return max(0.0, (end - max(self.begins_at, from_at)).total_seconds())

    def seconds_on(self, day: date) -> float:
        begin = day_start(day)
        return self.seconds(begin, begin + ONE_DAY)


def _stay(state: DatabaseState, workspace_key: int, month: datetime, now: datetime) -> _Stay:
    begins_at, ends_at = state.database.created_at, state.deleted_at
    has_moved = state.workspace_key != workspace_key or any(row.workspace_key != workspace_key for row in state.months)
    if has_moved:
        moved_at = _moved_at(state, workspace_key, now.date())
        if state.workspace_key == workspace_key:
            begins_at = max(begins_at, moved_at)
        else:
            ends_at = min(moved_at, ends_at or moved_at)
    first = month.date()
    own = [row for row in state.months if row.workspace_key == workspace_key and row.month == first]
    return _Stay(
        state=state,
        workspace_key=workspace_key,
        begins_at=begins_at,
        ends_at=ends_at,
        row=placed_month(state, own[0]) if own else None,
        has_moved=has_moved,
        usual=usual(state, now),
    )


def _moved_at(state: DatabaseState, workspace_key: int, today: date) -> datetime:
    """When it came to a workspace where it is now, or left one where it was: in the middle of the time it may have.

    Where no event tells: its days there are whole ones, without holes, to the newest.
    """
    is_here = state.workspace_key == workspace_key
    noticed = [move for move in state.moves if (move.to_key if is_here else move.from_key) == workspace_key]
    if noticed or state.moves:
        move = (noticed or state.moves)[-1]
        return move.last_there_at + (move.at - move.last_there_at) / 2
    elsewhere = max((row.month for row in state.months if row.workspace_key != state.workspace_key), default=None)
    if elsewhere is None:
        return day_start(today)
    last = max([state.known_until, *(row.day for row in state.recent_days)])
    month_ends = next_month_start(day_start(elsewhere)).date() - ONE_DAY
    own = sum(row.days for row in state.months if row.workspace_key == state.workspace_key and row.month == elsewhere)
    return day_start(min(min(last, month_ends) + ONE_DAY - own * ONE_DAY, today))


def usual(state: DatabaseState, now: datetime) -> float | None:
    """A database's operations on a usual day: the mean of the whole days of the months that are held.

    The day of its creation is as long as it lived on it.
    """
    days: float = sum(row.days for row in state.months)
    operations, born_at = sum(row.days_operations for row in state.months), state.database.created_at
    open_days = {row.day for row in state.recent_days if row.unchanged_since_at is None}
    for row in state.recent_days:
        if row.day in open_days:
            days -= 1
            operations -= row.operations
    is_birth_held = state.begins_on == born_at.date() and any(
        row.month == born_at.date().replace(day=1) for row in state.months
    )
    if days > 0 and is_birth_held and born_at.date() not in open_days:
        days -= (born_at - day_start(born_at.date())) / ONE_DAY
    if days >= FEWEST_USUAL_DAYS:
        return max(0, operations) / days
    for month in state.months:
        if month.operations is not None and month.period_end_at is not None:
            begins_at = max(day_start(month.month), state.database.created_at)
            seconds = (min(month.period_end_at, now) - begins_at).total_seconds()
            if seconds > 0:
                return month.operations * DAY_SECONDS / seconds
    return None


# Days of a database that are not known --------------------------------------------------------------

_Gaps = dict[date, dict[int, float]]
"""By past day, for how many seconds of it which stays (by their place) are not known."""


def _gaps(stays: Sequence[_Stay], past: Mapping[date, WorkspaceDay], now: datetime) -> _Gaps:
    found: _Gaps = defaultdict(dict)
    first = min([month_start(now).date(), *past])
    for place, stay in enumerate(stays):
        for day, seconds in (*_unread_days(stay, first, now), *_unplaced_days(stay, now)):
            found[day][place] = seconds
    if any(row.absent for row in past.values()):
        places = {stay.state.key: place for place, stay in enumerate(stays)}
        for row in past.values():
            for key in row.absent:
                if key in places and (seconds := stays[places[key]].seconds_on(row.day)) > 0:
                    found[row.day][places[key]] = seconds
    return found


def _unread_days(stay: _Stay, first: date, now: datetime) -> Iterator[tuple[date, float]]:
    """The past days since we followed it that have no row, or one that was read before the day was over."""
    state, today = stay.state, now.date()
    for row in state.recent_days:
        if row.day < today and row.unchanged_since_at is None and row.workspace_key == stay.workspace_key:
            seconds = stay.seconds(row.read_at, day_start(row.day) + ONE_DAY)
            if seconds > 0:
                yield row.day, seconds
    yesterday = today - ONE_DAY
    if state.known_until >= yesterday:
        return
    day = max(state.known_until + ONE_DAY, stay.begins_at.date(), first)
    last = yesterday if stay.ends_at is None else min(yesterday, stay.ends_at.date())
    rows = {row.day for row in state.recent_days}
    while day <= last:
        if day not in rows and (seconds := stay.seconds_on(day)) > 0:
            yield day, seconds
        day += ONE_DAY


def _unplaced_days(stay: _Stay, now: datetime) -> Iterator[tuple[date, float]]:
    """The past days that may be another workspace's in part: whoever has their row, they are not in this one's sums."""
    state = stay.state
    for row in state.recent_days if state.moves else ():
        if row.day < now.date() and state.is_unplaced(row.day) and (seconds := stay.seconds_on(row.day)) > 0:
            yield row.day, seconds


# Operations -----------------------------------------------------------------------------------------


def _operations(
    stays: Sequence[_Stay], passing: Sequence[_Stay], past: Mapping[date, WorkspaceDay], gaps: _Gaps, now: datetime
) -> tuple[Forecast | None, dict[int, float]]:
    """The forecast, and for how many days of this month the operations of which stays are not known."""
    today, month = now.date(), month_start(now).date()
    unknown: dict[date, float] = defaultdict(float)
    unknown_days: dict[int, float] = defaultdict(float)
    used, so_far = 0, _Today()
    for place, stay in enumerate(stays):
        own = [(day, seconds) for day, by_place in gaps.items() if (seconds := by_place.get(place)) and day >= month]
        used += _used(stay)
        for day, seconds in _not_used(stay, own, now):
            unknown[day] += (stay.usual or 0.0) * seconds / DAY_SECONDS
            unknown_days[place] += seconds / DAY_SECONDS
        unknown_days[place] += so_far.add(stay, now)
    there = [stay for stay in stays if stay.is_there(now)]
    is_begun_anew = not passing and len(there) < len(stays) and all(is_new(stay.state, now) for stay in there)
    if not there or is_begun_anew:
        # What went does not go on in what came within a day.
        is_any_unknown = any(days and stays[place].usual is None for place, days in unknown_days.items())
        return None if is_any_unknown else _at_rest(used, sum(unknown.values()) + so_far.unknown()), unknown_days
    first = min(past, default=today)
    usual = _usual_by_day(stays, min(first, month), today)
    passing_keys = {stay.state.key for stay in passing}
    lasting = _always((stay for stay in stays if stay.state.key not in passing_keys), now)
    begin = min(first, month)
    here, later = _usual_by_day((*lasting, *passing), begin, today), _not_yet(lasting, begin, now)
    if not any(here.values()) or any(amount and not here[day] for day, amount in unknown.items()):
        here = usual
    forecast = forecast_operations(
        [
            _as_if_here(
                _whole_day(past.get(day), gaps.get(day), stays, usual[day], now), usual[day], here[day], later[day]
            )
            for day in _dates(first, today)
        ],
        today_operations=so_far.pace(),
        now=now,
        used=used,
        unknown=[unknown[day] / (here[day] + later[day]) if unknown.get(day) else 0.0 for day in _dates(month, today)],
        unknown_today=so_far.unknown_share(),
    )
    return forecast, unknown_days


def _at_rest(used: int, estimated: float) -> Forecast:
    """The forecast of a workspace of which nothing is foreseen to come; so much was not read."""
    return Forecast(low=used, expected=used + round(estimated), high=used + math.ceil(2 * estimated))


def _as_if_here(operations: int | None, usual: float, here: float, later: float) -> int | None:
    """A day's operations as if those databases that are there now had been there, and no others.

    `later` is what those usually do that were not created yet.
    """
    if operations is None:
        return None
    return round(operations * (here / usual if usual > 0 else 1) + later)


def _whole_day(
    row: WorkspaceDay | None, gap: Mapping[int, float] | None, stays: Sequence[_Stay], usual: float, now: datetime
) -> int | None:
    """A day with what the databases that lack it usually do; `None` where too little of it is known."""
    if row is None or not gap:
        return None if row is None else row.operations
    lacking = sum((stays[place].usual or 0.0) * seconds / DAY_SECONDS for place, seconds in gap.items())
    if lacking <= 0:
        return row.operations
    if lacking > (1 - LEAST_KNOWN) * usual:
        return None
    if row.day < previous_month_start(now).date():
        # Databases that are long gone are not among the stays: what was usual with them is not known.
        return round(row.operations + lacking)
    return round(row.operations * usual / (usual - lacking))


def _usual_by_day(stays: Iterable[_Stay], first: date, today: date) -> dict[date, float]:
    """What the databases that lived on a past day usually do in a day, together."""
    count = (today - first).days
    changes = [0.0] * (count + 1)
    edges = [0.0] * (count + 1)
    for stay in stays:
        if not stay.usual:
            continue
        begin = max(0, (stay.begins_at.date() - first).days)
        last = count - 1 if stay.ends_at is None else min(count - 1, (stay.ends_at.date() - first).days)
        if begin > last:
            continue
        changes[begin] += stay.usual
        changes[last + 1] -= stay.usual
        for place in {begin, last}:
            edges[place] -= stay.usual * (1 - stay.seconds_on(first + place * ONE_DAY) / DAY_SECONDS)
    return {
        first + place * ONE_DAY: max(0.0, total + edges[place])
        for place, total in enumerate(list(accumulate(changes))[:count])
    }


def _always(stays: Iterable[_Stay], now: datetime) -> list[_Stay]:
    """The databases that are there now, as if they had been there all their lives."""
    return [replace(stay, begins_at=stay.state.database.created_at) for stay in stays if stay.is_there(now)]


def _passing(stays: Sequence[_Stay], now: datetime) -> list[_Stay]:
    """The databases that come and go, as previews do, where they do so again and again: as many will come as went."""
    ended = [stay for stay in stays if stay.ends_at is not None and now - A_SHORT_LIFE <= stay.ends_at <= now]
    if sum(_is_short(stay, now) for stay in ended) < PASSING_RULE:
        return []
    return [stay for stay in stays if _is_short(stay, now)]


def _is_short(stay: _Stay, now: datetime) -> bool:
    return not stay.has_moved and (stay.ends_at or now) - stay.begins_at < A_SHORT_LIFE


def is_new(state: DatabaseState, now: datetime) -> bool:
    """Whether a database was created within a day: what it did since, as an import, tells nothing of days to come."""
    return now - state.database.created_at < ONE_DAY


def _new_that_matter(stays: Iterable[_Stay], now: datetime) -> list[_Stay]:
    """The databases of the last day, where they do a good part of what is done now."""
    there = [stay for stay in stays if stay.is_there(now)]
    new = [stay for stay in there if stay.usual and is_new(stay.state, now)]
    whole = sum(stay.usual or 0.0 for stay in there)
    return new if sum(stay.usual or 0.0 for stay in new) > LEAST_NEW * whole else []


def _not_yet(lasting: Iterable[_Stay], first: date, now: datetime) -> Mapping[date, float]:
    """What the databases that are there now usually do, by past day, as far as they were not created yet."""
    found: dict[date, float] = defaultdict(float)
    for stay in lasting:
        born_at = stay.begins_at
        if stay.usual and not is_new(stay.state, now):
            for day in _dates(first, min(born_at.date() + ONE_DAY, now.date())):
                found[day] += stay.usual * min(1.0, (born_at - day_start(day)) / ONE_DAY)
    return found


def _used(stay: _Stay) -> int:
    """What is known of a database's month: the vendor's number or its days, whichever knows more."""
    row = stay.row
    if row is None:
        return 0
    return row.days_operations if row.operations is None or stay.has_moved else max(row.operations, row.days_operations)


def _told_until(stay: _Stay) -> tuple[datetime | None, bool]:
    """Until when the vendor's month tells what is used, if that is it, and whether the days tell the same."""
    row = stay.row
    if row is None or row.operations is None or row.read_at is None or row.period_end_at is None or stay.has_moved:
        return None, True
    if row.operations < row.days_operations:
        return None, True
    return min(row.read_at, row.period_end_at), row.operations == row.days_operations


def _not_used(stay: _Stay, own: Iterable[tuple[date, float]], now: datetime) -> Iterator[tuple[date, float]]:
    """For how long of which past days of this month a database's operations are not in `_used`."""
    told_until, is_same = _told_until(stay)
    if told_until is None:
        yield from own
    elif is_same:
        for day, seconds in own:
            yield day, min(seconds, stay.seconds(max(told_until, day_start(day)), day_start(day) + ONE_DAY))
    else:
        for day in _dates(max(told_until.date(), month_start(now).date()), now.date()):
            yield day, stay.seconds(max(told_until, day_start(day)), day_start(day) + ONE_DAY)


class _Today:
    """Today so far, database by database."""

    def __init__(self) -> None:
        self._operations = 0
        self._has_rows = False
        self._usual = self._known = self._unknown = 0.0

    def add(self, stay: _Stay, now: datetime) -> float:
        """Add a database; return for how many days of today it is not in what is used."""
        today = now.date()
        begin = day_start(today)
        lived = stay.seconds(begin, now)
        known = 0.0
        for row in reversed(stay.state.recent_days):
            if row.day < today:
                break  # they are by day
            if row.day == today and row.workspace_key == stay.workspace_key and not stay.state.is_unplaced(today):
                self._operations += row.operations
                self._has_rows = True
                known = stay.seconds(begin, min(row.read_at, now))
                lived = max(lived, known)
        told_until, is_same = _told_until(stay)
        unused = lived - known
        if told_until is not None:
            since = stay.seconds(max(told_until, begin), now)
            unused = min(unused, since) if is_same else since
        usual = stay.usual or 0.0
        self._usual += usual * lived
        self._known += usual * known
        self._unknown += usual * unused
        return unused / DAY_SECONDS

    def pace(self) -> int | None:
        """What all databases did today until now; `None` where too little is known of it."""
        if not self._has_rows or self._known < LEAST_KNOWN * self._usual:
            return None
        return round(self._operations * self._usual / self._known) if self._known else self._operations

    def unknown(self) -> float:
        """About how many operations of today until now are not in what is used."""
        return self._unknown / DAY_SECONDS

    def unknown_share(self) -> float:
        return min(1.0, self._unknown / self._usual) if self._usual else 0.0


# Storage --------------------------------------------------------------------------------------------


def _storage(
    stays: Sequence[_Stay], past: Mapping[date, WorkspaceDay], gaps: _Gaps, now: datetime
) -> tuple[Forecast | None, list[_Stay]]:
    """The forecast, and the databases of which no level is known."""
    month_ends_at = next_month_start(now)
    length = (month_ends_at - month_start(now)).total_seconds()
    left = (month_ends_at - now).total_seconds()
    known = 0
    estimated = level = 0.0
    told, untold = 0, []
    for stay in stays:
        own = _stored(stay, now)
        if own is None:
            untold.append(stay)
        else:
            told += 1
            known += own.known
            estimated += own.estimated
            level += own.level
    if not told:
        return None, untold
    growth = steady_growth(_levels(stays, past, gaps, level, now))
    days_left = left / DAY_SECONDS
    to_come = _to_come(level, growth.per_day, days_left) * DAY_SECONDS
    expected = known + estimated + to_come
    mean = expected / length
    spans = (days_left if level else 0.0, estimated / mean / DAY_SECONDS if mean else 0.0)
    stray = DAY_SECONDS * math.hypot(*(growth.stray(span) for span in spans))
    middle = round(expected / length)
    return (
        Forecast(
            low=min(middle, math.floor(max(known, expected - stray) / length)),
            expected=middle,
            high=max(middle, math.ceil((expected + stray) / length)),
        ),
        untold,
    )


def _to_come(level: float, growth_per_day: float, days_left: float) -> float:
    """The level added up over the days that are left; it does not fall below 0, and where nothing is, nothing grows."""
    if not level:
        return 0.0
    days = min(days_left, -level / growth_per_day) if growth_per_day < 0 else days_left
    return level * days + growth_per_day * days**2 / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    """A database's byte-seconds of this month so far, known and estimated, and its level now (0: it is not there)."""

    known: int
    estimated: float
    level: float
    is_there: bool


def _stored(stay: _Stay, now: datetime) -> _Stored | None:
    """`None` where it is there and no level of it is known."""
    state, row, month = stay.state, stay.row, month_start(now)
    known, known_seconds = (row.storage_byte_seconds, row.storage_seconds) if row is not None else (0, 0)
    unknown = max(0.0, stay.seconds(month, now) - known_seconds)
    is_there = stay.is_there(now)
    mean = known / known_seconds if known_seconds else None
    newest = state.storage_bytes if state.workspace_key == stay.workspace_key else None
    level = mean if newest is None else newest
    if level is None:
        return None if is_there or unknown else _Stored(known=0, estimated=0.0, level=0.0, is_there=False)
    since = 0.0
    if state.storage_at is not None and state.workspace_key == stay.workspace_key:
        since = min(unknown, stay.seconds(max(state.storage_at, month), now))
    estimated, left = since * level, unknown - since
    for unlevelled, between in _unlevelled(stay, now) if left else ():
        seconds = min(unlevelled, left)
        estimated, left = estimated + seconds * between, left - seconds
    return _Stored(
        known=known,
        estimated=estimated + left * (level if mean is None else mean),
        level=level if is_there else 0.0,
        is_there=is_there,
    )


def _unlevelled(stay: _Stay, now: datetime) -> Iterator[tuple[float, float]]:
    """The time of this month's newest days of which no level is known, in seconds, and about what it was then.

    Of a day that was read in part its own mean; of another the middle between the days before and after, of which the
    earlier may not be held any more.
    """
    state, month = stay.state, month_start(now).date()
    rows = {
        row.day: row
        for row in state.recent_days
        if row.workspace_key == stay.workspace_key and row.storage_seconds and not state.is_unplaced(row.day)
    }
    if not rows:
        return
    means = {day: row.storage_byte_seconds / row.storage_seconds for day, row in rows.items()}
    until_at = now if state.storage_at is None else min(now, state.storage_at)
    days = list(_dates(min(*rows, state.known_until + ONE_DAY), max(rows) + ONE_DAY))
    after = means[days[-1]]
    following = [after := means.get(day, after) for day in reversed(days)][::-1]
    before: float | None = None
    for day, next_mean in zip(days, following, strict=True):
        before = means.get(day, before)
        begins_at, held = day_start(day), rows[day].storage_seconds if day in rows else 0
        seconds = stay.seconds(begins_at, min(begins_at + ONE_DAY, until_at)) - held
        if day >= month and seconds > 0:
            yield seconds, next_mean if before is None else (before + next_mean) / 2


def _levels(
    stays: Sequence[_Stay], past: Mapping[date, WorkspaceDay], gaps: _Gaps, level: float, now: datetime
) -> list[tuple[float, float]]:
    """The levels of the databases that are there now, each day's at its noon and the newest now.

    Those that are gone are left out and those that came from elsewhere were always there, at the newest level known.
    What grew before it went would leave its growth behind: the days begin after it.
    """
    today = day_start(now.date())
    leavers = [stay for stay in stays if not stay.is_there(now)]
    comers = [stay for stay in stays if stay.has_moved and stay.is_there(now)]
    begins_at = max((stay.ends_at for stay in leavers if stay.ends_at and _has_varied(stay, level)), default=None)
    found = []
    for day in sorted(past):
        total = past[day].storage_bytes if past[day].is_storage_known else None
        if total is None or (begins_at is not None and day <= begins_at.date()):
            continue
        for place in gaps.get(day, ()):
            stay = stays[place]
            # A day that was read in part has its level.
            if stay.state.is_unplaced(day) or not any(row.day == day for row in stay.state.recent_days):
                total += stay.state.storage_bytes or 0
        total -= sum(stay.state.storage_bytes or 0 for stay in leavers if stay.seconds_on(day) > 0)
        total += sum(stay.state.storage_bytes or 0 for stay in comers if stay.begins_at.date() > day)
        found.append(((day_start(day) - today) / ONE_DAY + 0.5, max(0.0, float(total))))
    return [*found, ((now - today) / ONE_DAY, level)] if found else [(0.0, level)]


def _has_varied(stay: _Stay, level: float) -> bool:
    """Whether a database's level was not always its newest, as far as the workspace's level shows it."""
    newest = stay.state.storage_bytes or 0
    return any(
        abs(row.storage_byte_seconds / row.storage_seconds - newest) > LEAST_CHANGE * (level + newest)
        for row in stay.state.months
        if row.storage_seconds
    )


# What is missing ------------------------------------------------------------------------------------


def _missing(
    stays: Sequence[_Stay],
    unknown_days: Mapping[int, float],
    untold: Sequence[_Stay],
    new: Sequence[_Stay],
    now: datetime,
) -> str | None:
    """What the forecast had to do without, by the names of databases; the longest unknown first."""
    month, halfday = month_start(now), timedelta(days=LEAST_SAID_DAYS).total_seconds()
    in_doubt = {place: sum(seconds for _, seconds in _unplaced_days(stays[place], now)) for place in unknown_days}
    moved = {place: min(unknown_days[place], seconds / DAY_SECONDS) for place, seconds in in_doubt.items() if seconds}
    estimated = _longest((days - moved.get(place, 0.0), stays[place]) for place, days in unknown_days.items())
    never = [stay for stay in stays if stay.usual is None and stay.seconds(month, now) >= halfday]
    unstored = [stay for stay in untold if stay.seconds(month, now) >= halfday]
    parts = (
        (
            "operations not reported, estimated from other days: ",
            [f"{_name(stay)} ({_in_days(days)})" for days, stay in estimated if stay.usual is not None],
        ),
        (
            "operations of a move, which may be another workspace's, estimated from other days: ",
            [
                f"{_name(stay)} ({_in_days(days)})"
                for days, stay in _longest((days, stays[place]) for place, days in moved.items())
                if stay.usual is not None
            ],
        ),
        ("operations never reported, not in the forecast: ", sorted(map(_name, never))),
        ("created within a day, their operations to come not in the forecast: ", sorted(map(_name, new))),
        ("storage never reported, not in the forecast: ", sorted(map(_name, unstored))),
    )
    return "; ".join(words + _listed(names) for words, names in parts if names) or None


def _too_few(stays: Sequence[_Stay], days: int, unknown_days: Mapping[int, float]) -> str:
    """Why no days are enough to expect anything by: there are too few, or too few hold most of what is usual."""
    if days < FEWEST_DAYS:
        return "enough days of operations: fewer than seven are known"
    lacking = _longest((days, stays[place]) for place, days in unknown_days.items())
    names = _listed([f"{_name(stay)} ({_in_days(days)})" for days, stay in lacking])
    said = "enough days of operations: fewer than seven hold most of what its databases usually do"
    return f"{said}; not reported: {names}" if names else said


def _longest(unknown: Iterable[tuple[float, _Stay]]) -> list[tuple[float, _Stay]]:
    """Those that are unknown long enough to be named, the longest first."""
    named = [(days, stay) for days, stay in unknown if days >= LEAST_SAID_DAYS]
    return sorted(named, key=lambda entry: (-entry[0], _name(entry[1])))


def _name(stay: _Stay) -> str:
    return stay.state.database.name


def _in_days(days: float) -> str:
    whole = max(1, round(days))
    return counted(whole, "day")


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {rest:,} more" if rest > 0 else "")


def _dates(first: date, end: date) -> Iterator[date]:
    return (first + ahead * ONE_DAY for ahead in range((end - first).days))
