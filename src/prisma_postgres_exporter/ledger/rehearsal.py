"""What a workspace's plan will ask of the vendor, found by living it: the real planner and ledger on simulated time.

Pure. Nothing is estimated from formulas that could drift from the plan: a few databases live by the shipped rules, at
a pace that leaves each of them its share of the requests, before a vendor that publishes so many times a day.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.carry import carry_workspace
from prisma_postgres_exporter.ledger.plan import ROUND_SPAN, PlannedRead, Planner, Rank
from prisma_postgres_exporter.ledger.post import apply, older_days, post
from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    DayUsage,
    LedgerRows,
    MonthUsage,
    UsageReading,
    Window,
    WindowKind,
    Workspace,
    WorkspaceState,
    month_start,
)

MOST_FOR_A_DAY = 6
MOST_FOR_A_FAST_DAY = 2
MOST_FOR_A_START = 40
"""So many databases live for all of a workspace; of a large one they get the share of the requests that they are of it.
"""

OPERATIONS_A_DAY = 86_400
ONE_DAY = timedelta(days=1)
FAST_INTERVAL = timedelta(minutes=1)
FAST_WARM_UP = timedelta(minutes=10)
FAST_SPAN = timedelta(hours=1)
LONGEST_FILL = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """An ordinary day of a workspace, in the middle of a month.

    `reads_per_hour` are requests for usage. The ages are of the newest reading of a database's open day: the mean over
    all databases and instants, and the longest. `mean_delay_seconds` is from what the vendor publishes to the reading
    that shows it. `readings_per_day` are the answers that are kept, for each database.
    """

    reads_per_hour: float
    mean_age_seconds: float
    longest_age_seconds: float
    mean_delay_seconds: float
    readings_per_day: float
    workspace: WorkspaceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """The start of a workspace with an empty ledger: when each database shows something, and when nothing is missing.

    `None`: not within two days, as the pace is too low for so many databases.
    """

    first_numbers_seconds: float | None
    filled_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """How the vendor is taken to be: it publishes `changes_per_day` times a day, and takes `latency` to answer."""

    changes_per_day: float = 8.0
    latency: timedelta = timedelta(milliseconds=200)

    @property
    def published_every_seconds(self) -> float:
        """The time between two publications."""
        return 86_400 / self.changes_per_day if self.changes_per_day else 10.0**9

    def publications(self, begins_at: datetime, ends_at: datetime) -> list[datetime]:
        """When it publishes from one instant until another."""
        every = self.published_every_seconds
        first, end = math.ceil(begins_at.timestamp() / every), math.ceil(ends_at.timestamp() / every)
        return [datetime.fromtimestamp(number * every, UTC) for number in range(first, end)]


def rehearse_day(poll: PollConfig, vendor: Vendor, *, databases: int, now: datetime) -> Steady:
    """Live an ordinary day of a workspace that has been followed for long; `now` only chooses the month."""
    # Of a day with very many rounds an hour stands for all of it: what comes at night is little beside them.
    is_fast = poll.interval < FAST_INTERVAL
    begins_at = month_start(now).replace(day=15, hour=12 if is_fast else 0)
    warm_up, span = (FAST_WARM_UP, FAST_SPAN) if is_fast else (ONE_DAY, ONE_DAY)
    known_until = begins_at.date() - (ONE_DAY if is_fast else 3 * ONE_DAY)
    most = MOST_FOR_A_FAST_DAY if is_fast else MOST_FOR_A_DAY
    life = _Life(poll, vendor, databases, begins_at, lived=min(databases, most), known_until=known_until)
    life.run(until := begins_at + warm_up)
    life.forget()
    life.run(until + span)
    hours = span / timedelta(hours=1)
    reads = len(life.asked) / life.lived * databases
    ages = [gap for instants in life.open_days.values() for gap in _gaps(instants, until, until + span)]
    mean_age = sum(gap * gap for gap in ages) / sum(ages) / 2
    published = vendor.publications(until, until + span)
    delays = [delay for instants in life.open_days.values() for delay in _delays(published, instants)]
    return Steady(
        reads_per_hour=reads / hours,
        mean_age_seconds=mean_age,
        longest_age_seconds=max(ages),
        # Without a publication in this time: at any instant there could have been one.
        mean_delay_seconds=sum(delays) / len(delays) if delays else mean_age,
        readings_per_day=life.kept / life.lived * 24 / hours,
        workspace=life.workspace,
    )


def rehearse_start(poll: PollConfig, vendor: Vendor, *, databases: int, known_until: date, now: datetime) -> Filling:
    """Live the start at `now` of a workspace whose ledger begins after `known_until`, younger than its databases."""
    begins_at = now.replace(microsecond=0)
    life = _Life(poll, vendor, databases, begins_at, lived=min(databases, MOST_FOR_A_START), known_until=known_until)
    filled_at: datetime | None = None
    while filled_at is None and life.now < begins_at + LONGEST_FILL:
        life.run(life.now + timedelta(seconds=1))
        if all(_is_filled(state, poll, life.now) for state in life.workspace.databases.values()):
            filled_at = life.now
    is_everybody_read = len(life.first_answers) == life.lived
    return Filling(
        first_numbers_seconds=(max(life.first_answers.values()) - begins_at).total_seconds()
        if is_everybody_read
        else None,
        filled_seconds=(filled_at - begins_at).total_seconds() if filled_at is not None else None,
    )


def _is_filled(state: DatabaseState, poll: PollConfig, now: datetime) -> bool:
    """Whether every window was read once, and every day of the past."""
    months = {row.month for row in state.months if row.read_at is not None}
    return (
        state.known_until >= now.date() - ONE_DAY
        and month_start(now).date() in months
        and len(state.rolling) == len(poll.windows)
    )


def _gaps(instants: list[datetime], begins_at: datetime, ends_at: datetime) -> list[float]:
    """The seconds between answers, the first and the last ones with the ends of the time."""
    edges = [begins_at, *instants, ends_at]
    return [(later - earlier).total_seconds() for earlier, later in pairwise(edges)]


def _delays(published: list[datetime], instants: list[datetime]) -> Iterator[float]:
    """The seconds from each publication to the first answer after it, if there is one."""
    for at in published:
        index = bisect_left(instants, at)
        if index < len(instants):
            yield (instants[index] - at).total_seconds()


@dataclass(slots=True)
class _Life:
    """Rounds of one workspace, each at the instant that the one before it gave."""

    poll: PollConfig
    vendor: Vendor
    databases: int
    now: datetime
    lived: int = field(kw_only=True)
    known_until: date = field(kw_only=True)
    asked: list[datetime] = field(default_factory=list)
    open_days: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    kept: int = 0
    first_answers: dict[str, datetime] = field(default_factory=dict)
    workspace: WorkspaceState = field(init=False)
    _planner: Planner = field(init=False)
    _days: dict[tuple[int, date], DayUsage] = field(default_factory=dict)
    _months: dict[tuple[int, date, int], MonthUsage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._planner = Planner(self.poll)
        held = Workspace(id="wksp_plan", name="plan", plan="Pro", usage_blocked=False)
        states = {f"db_{number}": self._state(f"db_{number}", number + 1) for number in range(self.lived)}
        self.workspace = WorkspaceState(key=1, workspace=held, first_seen_at=self.now, databases=states)

    def forget(self) -> None:
        """Count anew from now on."""
        self.asked, self.open_days, self.kept = [], defaultdict(list), 0

    def run(self, until: datetime) -> None:
        """Make rounds until this instant."""
        while self.now < until:
            self.now = self._round()

    def _state(self, id_: str, key: int) -> DatabaseState:
        created_at = month_start(self.now) - timedelta(days=100)
        database = Database(
            id=id_,
            name=id_,
            project_id="proj_plan",
            project_name="plan",
            workspace_id="wksp_plan",
            region="eu-central-1",
            status="ready",
            is_default=True,
            created_at=created_at,
        )
        starts_on = month_start(self.now).date()
        days = (self.known_until - starts_on).days + 1
        month = MonthUsage(
            database_key=key, month=starts_on, workspace_key=1, days=days, days_operations=days * OPERATIONS_A_DAY
        )
        return DatabaseState(
            key=key,
            workspace_key=1,
            database=database,
            first_seen_at=self.now,
            counted_from=min(self.known_until + ONE_DAY, starts_on),
            known_until=self.known_until,
            checked_until=starts_on - ONE_DAY,
            months=(month,) if days else (),
        )

    def _round(self) -> datetime:
        """Make one round; returns when the next one begins."""
        share = self.lived / self.databases
        pace = (
            max(1 / self.poll.requests_per_second, self.vendor.latency.total_seconds() / self.poll.concurrency) / share
        )
        budget = max(1, round(self.poll.requests_per_second * ROUND_SPAN.total_seconds() * share))
        followed = self.workspace.databases.keys()
        self.workspace = carry_workspace(self.workspace, self.now)
        plan = self._planner.plan(self.workspace, followed=followed, attempts={}, budget=budget, now=self.now)
        if not plan.groups:
            return plan.next_due_at
        ends_at, at = self.now + ROUND_SPAN, self.now
        outcomes: list[UsageReading] = []
        for group in plan.groups:
            if at >= ends_at:
                break
            for read in group:
                outcomes += self._ask(read, at)
                at += timedelta(seconds=pace)
        done_at = _whole_second(at + self.vendor.latency)
        self._planner.note(outcomes)
        self._post(outcomes, done_at)
        return done_at

    def _ask(self, read: PlannedRead, at: datetime) -> list[UsageReading]:
        answered_at = at + self.vendor.latency
        self.asked.append(at)
        self.first_answers.setdefault(read.database_id, answered_at)
        if read.rank is Rank.DAY or any(
            window.kind is WindowKind.DAY and window.start_at.date() == at.date() for window in read.windows
        ):
            self.open_days[read.database_id].append(answered_at)
        return [
            UsageReading(
                database_id=read.database_id,
                window=window,
                period_start_at=window.start_at,
                period_end_at=window.end_at,
                operations=self._operations(window, answered_at),
                storage_bytes=2**30,
                generated_at=answered_at,
                read_at=answered_at,
            )
            for window in read.windows
        ]

    def _operations(self, window: Window, at: datetime) -> int:
        """What was published of a window: as much each second as any."""
        every = self.vendor.published_every_seconds
        published_at = datetime.fromtimestamp(at.timestamp() // every * every, UTC)
        known_until = min(window.end_at, published_at)
        if window.kind is WindowKind.ROLLING:
            # It moves with each publication.
            return int(published_at.timestamp()) // 60 % OPERATIONS_A_DAY
        return max(0, int((known_until - window.start_at).total_seconds())) * OPERATIONS_A_DAY // 86_400

    def _post(self, outcomes: list[UsageReading], now: datetime) -> None:
        looked_up = older_days(self.workspace, outcomes)
        months = {(key, day.replace(day=1)) for key, day in looked_up}
        older = LedgerRows(
            looked_up=looked_up,
            days=tuple(row for key, row in self._days.items() if key in looked_up),
            months=tuple(row for key, row in self._months.items() if key[:2] in months),
        )
        update = post(self.workspace, outcomes, settle_after=self.poll.settle_after, now=now, older=older)
        for day in (*update.other_days, *(row for state in update.after for row in state.recent_days)):
            self._days[day.database_key, day.day] = day
        for month in (*update.other_months, *(row for state in update.after for row in state.months)):
            self._months[month.database_key, month.month, month.workspace_key] = month
        self.kept += len(update.readings)
        self.workspace = apply(self.workspace, update, generation=self.workspace.generation + 1)


def _whole_second(at: datetime) -> datetime:
    """The first whole second that is not before."""
    floor = at.replace(microsecond=0)
    return floor if floor == at else floor + timedelta(seconds=1)
