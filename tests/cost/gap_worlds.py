"""Worlds of which a ledger knows a part: the whole truth, worked out hour by hour, and the ledger that was left of it.

The truth shares no code with what it is held against: whole hours, integers and fractions. Instants are UTC.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

from hypothesis import strategies as st

from builders import database, database_state, day_usage, month_usage, workspace_state
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    LedgerState,
    MonthUsage,
    Move,
    PlanChange,
    WorkspaceDay,
)

GIB = 2**30
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MONTHS = (date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1), date(2027, 2, 1), date(2028, 2, 1))
PLANS = {
    # fee, operations and GiB that are included, USD for a further million and GiB-month
    "free": (Fraction(0), 200_000, Fraction(500_000_000, GIB), Fraction(0), Fraction(0)),
    "starter": (Fraction(10), 1_000_000, Fraction(10), Fraction(8), Fraction(2)),
    "pro": (Fraction(49), 10_000_000, Fraction(50), Fraction(2), Fraction(3, 2)),
    "business": (Fraction(129), 50_000_000, Fraction(100), Fraction(1), Fraction(1)),
}
WHOLE, OPEN, UNREAD = "whole", "open", "unread"


def midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def month_after(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def month_before(month: date) -> date:
    return (month - DAY).replace(day=1)


def hours_of(starts_at: datetime, ends_at: datetime) -> int:
    return max(0, (ends_at - starts_at) // HOUR)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenDatabase:
    """A database as it was, and what was read of it: `reads` by day, the rest `UNREAD`.

    It is in `home`, from `moves_on` on in `next_home`. `storage_halves` are the days whose storage is known of their
    first half. `month_read_at` is when the vendor was asked for the month, by its first day.
    """

    number: int
    created_at: datetime
    deleted_at: datetime | None
    per_hour: int
    level: int
    home: int
    next_home: int
    moves_on: date | None
    reads: Mapping[date, str]
    storage_halves: frozenset[date]
    month_read_at: Mapping[date, datetime]

    @property
    def id(self) -> str:
        return f"db_{self.number}"

    @property
    def project_id(self) -> str:
        return f"proj_{self.number % 2}"

    def holder(self, day: date) -> int:
        return self.next_home if self.moves_on is not None and day >= self.moves_on else self.home

    def lived(self, starts_at: datetime, ends_at: datetime) -> int:
        """Whole hours of a span in which it was there."""
        until = ends_at if self.deleted_at is None else min(ends_at, self.deleted_at)
        return hours_of(max(starts_at, self.created_at), until)

    def lived_on(self, day: date, until: datetime) -> int:
        return self.lived(midnight(day), min(midnight(day) + DAY, until))

    def per_hour_on(self, day: date) -> int:
        return self.per_hour * (1 + day.day % 3)

    def level_on(self, day: date) -> int:
        return self.level * (2 + day.day % 5)

    def operations(self, starts_at: datetime, ends_at: datetime) -> int:
        """The true ones of a span."""
        return sum(
            self.per_hour_on(day) * self.lived(max(starts_at, midnight(day)), min(ends_at, midnight(day) + DAY))
            for day in days_of(starts_at, ends_at)
        )

    def byte_seconds(self, starts_at: datetime, ends_at: datetime) -> int:
        """The true ones of a span."""
        return sum(
            self.level_on(day) * 3600 * self.lived(max(starts_at, midnight(day)), min(ends_at, midnight(day) + DAY))
            for day in days_of(starts_at, ends_at)
        )

    def read_on(self, day: date, until: datetime) -> str:
        """How a day was read at `until`: one that is too short to be read in its middle was read whole."""
        hours = self.lived_on(day, until)
        kind = self.reads.get(day, UNREAD) if hours else UNREAD
        return WHOLE if kind == OPEN and hours < 4 else kind

    def hours_read(self, day: date, until: datetime) -> int:
        hours = self.lived_on(day, until)
        return {WHOLE: hours, OPEN: hours // 2, UNREAD: 0}[self.read_on(day, until)]

    def storage_hours_known(self, day: date, until: datetime) -> int:
        hours = self.hours_read(day, until)
        return hours // 2 if day in self.storage_halves else hours

    def read_until(self, world: World) -> datetime | None:
        """How far the newest reading reaches, of this month and the one before."""
        reads = []
        for month in (world.before(), world):
            reads += [
                max(midnight(day), self.created_at) + hours * HOUR
                for day in days_of(month.starts_at, month.ends_at)
                if (hours := self.hours_read(day, month.ends_at))
            ]
            if (read_at := self.month_read_at.get(month.month)) is not None:
                reads.append(read_at)
        return max(reads, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWorkspace:
    """A workspace and its plans: from midnight of a day (`date.min`: from the beginning) on."""

    number: int
    plans: tuple[tuple[date, str], ...]

    @property
    def id(self) -> str:
        return f"wksp_{self.number}"

    def plan_on(self, day: date) -> str:
        return [plan for begins_on, plan in self.plans if begins_on <= day][-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything. `month` is looked at until `until`, the month before to its end."""

    month: date
    until: datetime
    workspaces: tuple[GivenWorkspace, ...]
    databases: tuple[GivenDatabase, ...]

    @property
    def is_over(self) -> bool:
        return self.until + SECOND == midnight(month_after(self.month))

    @property
    def ends_at(self) -> datetime:
        """The exclusive end of what is looked at."""
        return midnight(month_after(self.month)) if self.is_over else self.until

    @property
    def starts_at(self) -> datetime:
        return midnight(self.month)

    @property
    def month_seconds(self) -> int:
        return (month_after(self.month) - self.month).days * 86_400

    def before(self) -> World:
        """The month before, whole."""
        month = month_before(self.month)
        return World(month=month, until=self.starts_at - SECOND, workspaces=self.workspaces, databases=self.databases)

    def there(self) -> list[GivenDatabase]:
        """The databases that lived in the month."""
        return [row for row in self.databases if row.lived(self.starts_at, self.ends_at)]


def days_of(starts_at: datetime, ends_at: datetime) -> Iterator[date]:
    """The days that a span touches."""
    day = starts_at.date()
    while midnight(day) < ends_at:
        yield day
        day += DAY


# The truth ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What ought to be known of one database in one workspace."""

    operations: int
    days: int
    days_known: int
    storage_seconds: int
    storage_seconds_known: int
    byte_seconds: int


def known_of(row: GivenDatabase, world: World) -> dict[int, Known]:
    """What the ledger ought to say, by the number of the workspace; nothing where it did not live in the month."""
    if not row.lived(world.starts_at, world.ends_at):
        return {}
    days = list(days_of(max(world.starts_at, row.created_at), world.ends_at))
    days = [day for day in days if row.lived_on(day, world.ends_at)]
    read = [day for day in days if row.read_on(day, world.ends_at) != UNREAD]
    holders = {row.holder(day) for day in days}
    found = {}
    for holder in holders:
        own = {day for day in days if row.holder(day) == holder}
        # Of a month in which it moved only the days tell.
        read_at = row.month_read_at.get(world.month) if len(holders) == 1 else None
        found[holder] = _known(row, world, read=own.intersection(read), days=own, month_read_at=read_at)
    return found


def _known(
    row: GivenDatabase,
    world: World,
    *,
    read: set[date],
    days: set[date],
    month_read_at: datetime | None,
) -> Known:
    """What is known in a workspace of the `days` that it lived there."""
    ends_at = world.ends_at
    by_days = sum(row.per_hour_on(day) * row.hours_read(day, ends_at) for day in read)
    today = None
    if not world.is_over and (row.deleted_at is None or row.deleted_at > world.until):
        today = world.until.date()
    held = {day for day in read if day == today or row.read_on(day, ends_at) == WHOLE}
    operations, known, covered = by_days, held, set[date]()
    if month_read_at is not None:
        by_month = row.operations(world.starts_at, month_read_at)
        covered = {day for day in days if _reaches(row, day, month_read_at, today, ends_at)}
        if by_month > by_days or (by_month == by_days and len(covered) > len(held)):
            operations, known = by_month, covered
    counted = {day for day in days if day != today or day in read or day in covered}
    until = row.read_until(world) or row.created_at
    life = ends_at - max(world.starts_at, row.created_at)
    if today in days and row.read_until(world) is not None and ends_at - until > max(2 * HOUR, life / 100):
        counted, known = counted | {today}, known - {today}
    storage = sum(3600 * row.storage_hours_known(day, ends_at) for day in read)
    weighted = sum(3600 * row.storage_hours_known(day, ends_at) * row.level_on(day) for day in read)
    lived = 3600 * sum(row.lived_on(day, ends_at) for day in days)
    is_elsewhere = row.holder(min(days)) != row.holder((min(ends_at, row.deleted_at or ends_at) - SECOND).date())
    # Of one that was deleted nobody knows for how long it held its last level, unless that was read just before.
    is_end_read = row.deleted_at is None or row.deleted_at >= ends_at or until >= row.deleted_at - 15 * MINUTE
    if storage and lived - storage <= max(3600, lived // 100) and (is_end_read or is_elsewhere):
        weighted, storage = weighted * lived // storage, lived
    # Of what nobody ever read one day at least is missing, also on the day that it was made.
    is_unread = not read and month_read_at is None and min(days) == max(world.starts_at, row.created_at).date()
    return Known(
        operations=operations,
        days=max(1, len(counted)) if is_unread else len(counted),
        days_known=len(known & counted),
        storage_seconds=lived,
        storage_seconds_known=storage,
        byte_seconds=weighted,
    )


def _reaches(row: GivenDatabase, day: date, read_at: datetime, today: date | None, ends_at: datetime) -> bool:
    if day == today:
        return read_at > midnight(day)
    over_at = min(midnight(day) + DAY, ends_at if row.deleted_at is None else min(ends_at, row.deleted_at))
    return read_at >= over_at


def true_bill(world: World, workspace: GivenWorkspace) -> tuple[Decimal, Decimal, Decimal]:
    """Fee, operations and storage to the cent: `API.md`, what is billed, and a plan that changes."""
    month_days = (month_after(world.month) - world.month).days
    plans: list[str] = []
    for number in range(month_days):
        # A lower plan takes effect when the month is over.
        candidates = [*plans[-1:], workspace.plan_on(world.month + number * DAY)]
        plans.append(max(candidates, key=lambda plan: PLANS[plan][0]))
    fee = sum((PLANS[plan][0] for plan in plans), Fraction(0)) / month_days
    last = plans[-1]
    free = [number for number, plan in enumerate(plans) if plan == "free"]
    if last == "free":
        return _cents(fee), Decimal(0), Decimal(0)
    since = midnight(world.month + (free[-1] + 1 if free else 0) * DAY)
    operations = byte_seconds = 0
    for row in world.databases:
        for day in days_of(since, world.ends_at):
            if row.holder(day) == workspace.number:
                span = max(since, midnight(day)), min(midnight(day) + DAY, world.ends_at)
                operations += row.operations(*span)
                byte_seconds += row.byte_seconds(*span)
    _, most, most_gib, per_million, per_gib = PLANS[last]
    gib = Fraction(byte_seconds, world.month_seconds * GIB)
    return (
        _cents(fee),
        _cents(max(Fraction(0), Fraction(operations - most, 10**6)) * per_million),
        _cents(max(Fraction(0), gib - most_gib) * per_gib),
    )


def _cents(amount: Fraction) -> Decimal:
    return (Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


# What is left of it -------------------------------------------------------------------------------------------------
def ledger_of(world: World) -> LedgerState:
    """What the ledger holds of the month at `until`."""
    workspaces = [
        workspace_state(
            key=row.number,
            id_=row.id,
            name=f"workspace {row.number}",
            plan=row.plans[-1][1],
            first_seen_at=datetime(2020, 1, 1, tzinfo=UTC),
            plans=tuple(
                PlanChange(at=midnight(max(day, date(2020, 1, 1))) + 9 * HOUR, plan=plan) for day, plan in row.plans
            ),
        )
        for row in world.workspaces
    ]
    return LedgerState.of(workspaces, [_state(row, world) for row in world.there()])


def workspace_days(world: World) -> list[WorkspaceDay]:
    """The sums of the days that were read."""
    found: dict[tuple[int, date], list[DayUsage]] = {}
    for row in world.there():
        for usage in _day_rows(row, world):
            found.setdefault((usage.workspace_key, usage.day), []).append(usage)
    return [
        WorkspaceDay(
            workspace_key=key,
            day=day,
            operations=sum(row.operations for row in rows),
            storage_byte_seconds=sum(row.storage_byte_seconds for row in rows),
            storage_seconds=sum(row.storage_seconds for row in rows),
            parts={
                row.database_key: (row.operations, row.storage_byte_seconds)
                for row in rows
                if row.unchanged_since_at is not None
            },
        )
        for (key, day), rows in sorted(found.items())
    ]


def _state(row: GivenDatabase, world: World) -> DatabaseState:
    days = _day_rows(row, world)
    yesterday = world.until.date() - DAY
    holder = row.holder(world.until.date())
    is_gone = row.deleted_at is not None and row.deleted_at <= world.ends_at
    return database_state(
        row.id,
        key=row.number,
        workspace_key=holder,
        database=database(
            row.id,
            name=f"database {row.number}",
            project_id=row.project_id,
            project_name=f"project {row.number % 2}",
            workspace_id=f"wksp_{holder}",
            created_at=row.created_at,
        ),
        deleted_at=row.deleted_at if is_gone else None,
        moves=() if row.moves_on is None or row.moves_on > world.until.date() else (_move(row, row.moves_on),),
        recent_days=tuple(day for day in days if day.unchanged_since_at is None or day.day >= yesterday),
        months=tuple(_month_rows(row, world, days)),
        usage_at=row.read_until(world),
    )


def _move(row: GivenDatabase, moves_on: date) -> Move:
    """It was seen in both at midnight: no day is in doubt."""
    moved_at = midnight(moves_on)
    return Move(at=moved_at, from_key=row.home, to_key=row.next_home, last_there_at=moved_at)


def _day_rows(row: GivenDatabase, world: World) -> list[DayUsage]:
    rows = []
    for day in days_of(world.starts_at, world.ends_at):
        kind, hours = row.read_on(day, world.ends_at), row.hours_read(day, world.ends_at)
        if kind == UNREAD:
            continue
        ended_at = midnight(day) + DAY
        is_closed = kind == WHOLE and world.ends_at >= ended_at
        began_at = max(midnight(day), row.created_at)
        storage_seconds = 3600 * row.storage_hours_known(day, world.ends_at)
        rows.append(
            day_usage(
                day,
                row.per_hour_on(day) * hours,
                database_key=row.number,
                workspace_key=row.holder(day),
                storage_seconds=storage_seconds,
                storage_byte_seconds=storage_seconds * row.level_on(day),
                read_at=ended_at if is_closed else began_at + hours * HOUR,
                unchanged_since_at=ended_at if is_closed else None,
            )
        )
    return rows


def _month_rows(row: GivenDatabase, world: World, days: list[DayUsage]) -> Iterator[MonthUsage]:
    holders = sorted({day.workspace_key for day in days})
    read_at = row.month_read_at.get(world.month)
    holder = row.holder(world.until.date())
    if not holders and read_at is not None:
        holders = [holder]
    for key in holders:
        own = [day for day in days if day.workspace_key == key]
        is_read = read_at is not None and key == (holder if holder in holders else holders[0])
        yield month_usage(
            world.month,
            database_key=row.number,
            workspace_key=key,
            days=len(own),
            days_operations=sum(day.operations for day in own),
            storage_byte_seconds=sum(day.storage_byte_seconds for day in own),
            storage_seconds=sum(day.storage_seconds for day in own),
            operations=row.operations(world.starts_at, read_at) if is_read and read_at is not None else None,
            period_end_at=read_at if is_read else None,
            read_at=read_at if is_read else None,
        )


# Worlds to try ------------------------------------------------------------------------------------------------------
@st.composite
def databases(draw: st.DrawFn, number: int, month: date, until: datetime, *, workspaces: int) -> GivenDatabase:
    """One that lives somewhere in the month or the one before, read in one of the ways that happen."""
    first, length = month_before(month), (month_after(month) - month_before(month)).days
    born = draw(st.sampled_from([-24 * 40, -24 * 40, 0]) | st.integers(0, length * 24 - 2))
    created_at = midnight(first) + born * HOUR
    gone = draw(st.none() | st.integers(length * 12, length * 24))
    deleted_at = None if gone is None else max(midnight(first) + gone * HOUR, created_at + HOUR)
    seen_from = first + draw(st.sampled_from([0, 0, 0, (month - first).days, (month - first).days + 21])) * DAY
    gap_from = first + draw(st.integers(0, length)) * DAY
    gap_to = gap_from + draw(st.sampled_from([0, 0, 1, 3, 40])) * DAY
    edges = [offset for offset in _edges(first, created_at, deleted_at, until) if offset >= 0]
    opens = draw(st.sets(st.sampled_from(edges) | st.integers(0, length), max_size=2))
    days = [first + offset * DAY for offset in range(length)]
    reads = {
        day: OPEN if offset in opens else WHOLE
        for offset, day in enumerate(days)
        if day >= seen_from and not gap_from <= day < gap_to
    }
    moves_on = first + draw(st.integers(1, length - 1)) * DAY if draw(st.booleans()) else None
    home = draw(st.integers(1, workspaces))
    read_at: dict[date, datetime] = {}
    ends = {first: midnight(month), month: min(until + SECOND, midnight(month_after(month)))}
    for begins_on, ends_at in ends.items():
        how = draw(st.sampled_from(["not", "not", "end", "early"]))
        hours = hours_of(midnight(begins_on), ends_at)
        if how == "end" and hours:
            read_at[begins_on] = midnight(begins_on) + hours * HOUR
        elif how == "early" and hours:
            read_at[begins_on] = midnight(begins_on) + draw(st.integers(1, hours)) * HOUR
        if begins_on in read_at and deleted_at == read_at[begins_on] + HOUR:
            del read_at[begins_on]  # so near to the end that it counts as the end
    row = GivenDatabase(
        number=number,
        created_at=created_at,
        deleted_at=deleted_at,
        per_hour=draw(st.sampled_from([0, 7, 5_000, 90_001])),
        level=draw(st.sampled_from([0, 1, 3 * GIB + 1, 20 * GIB])),
        home=home,
        next_home=home % workspaces + 1,
        moves_on=moves_on if workspaces > 1 else None,
        reads=reads,
        storage_halves=frozenset(first + offset * DAY for offset in draw(st.sets(st.integers(0, length), max_size=2))),
        month_read_at=read_at,
    )
    return _with_a_move_that_was_seen(row, month, until)


def _edges(first: date, *instants: datetime | None) -> list[int]:
    """How many days after the first one something happens, and the day before it."""
    days = [(at.date() - first).days for at in instants if at is not None]
    return [*days, *(day - 1 for day in days)]


def _with_a_move_that_was_seen(row: GivenDatabase, month: date, until: datetime) -> GivenDatabase:
    """A move before which no day of its month was read is one that the ledger cannot know."""
    if row.moves_on is None:
        return row
    begins_on = row.moves_on.replace(day=1)
    ends_at = min(until, midnight(month_after(begins_on)))
    read = [day for day in days_of(midnight(begins_on), ends_at) if row.read_on(day, ends_at) != UNREAD]
    is_seen = bool(read) and read[0] < row.moves_on <= read[-1]
    return row if is_seen else replace(row, moves_on=None)


@st.composite
def worlds(draw: st.DrawFn, *, plan_changes: bool = False) -> World:
    """A month, its workspaces (at least one has no database), their databases."""
    month = draw(st.sampled_from(MONTHS))
    days = (month_after(month) - month).days
    over = midnight(month_after(month)) - SECOND
    until = draw(st.just(over) | st.integers(1, days * 24 - 1).map(lambda hours: midnight(month) + hours * HOUR))
    count = draw(st.integers(1, 2))
    workspaces = []
    for number in range(1, count + 2):
        plan = draw(st.sampled_from(["starter", "pro", "business"]))
        plans: tuple[tuple[date, str], ...] = ((date.min, plan),)
        if plan_changes:
            before = draw(st.sampled_from(["free", "free", "starter", "pro", "business"]))
            last = until.date() - month
            changes_on = month + draw(st.integers(0, last.days)) * DAY
            plans = ((date.min, before), (changes_on, plan))
        workspaces.append(GivenWorkspace(number=number, plans=plans))
    held = [
        draw(databases(number, month, until, workspaces=count))
        for number in range(1, draw(st.sampled_from([3, 2, 1, 0])) + 1)
    ]
    return World(month=month, until=until, workspaces=tuple(workspaces), databases=tuple(held))
