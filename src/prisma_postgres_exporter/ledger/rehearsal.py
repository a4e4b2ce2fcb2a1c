"""What a workspace's plan will ask of the vendor, found by living it: the real planner and ledger on simulated time.

Pure. Nothing is estimated from formulas that could drift from the plan: a few databases live by the shipped rules, at
a pace that leaves each of them its share of the requests, before a vendor that publishes so many times a day.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.carry import carry_workspace
from prisma_postgres_exporter.ledger.plan import NEVER, ROUND_SPAN, Group, Plan, PlannedRead, Planner
from prisma_postgres_exporter.ledger.post import apply, older_days, post
from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    DayUsage,
    LedgerRows,
    MonthUsage,
    Moves,
    UsageReading,
    Window,
    WindowKind,
    Workspace,
    WorkspaceState,
    month_start,
)

MOST_FOR_A_DAY = 3
MOST_FOR_AN_ADAPTIVE_DAY = 6
MOST_FOR_A_FAST_DAY = 2
MOST_FOR_A_START = 40
"""So many databases live for all of a workspace; of a large one they get the share of the requests that they are of it.
"""

MOST_REQUESTS = 6_000
"""Where databases wait for each other more of them live, as many as a day of this many requests leaves their share."""

OPERATIONS_A_DAY = 86_400
ONE_DAY = timedelta(days=1)
FAST_INTERVAL = timedelta(minutes=1)
FAST_WARM_UP = timedelta(minutes=10)
FAST_SPAN = timedelta(hours=1)
SLOW_INTERVAL = timedelta(minutes=5)
LONGEST_FILL = timedelta(days=2)
LEAST_READ = timedelta(hours=6)
NEARLY_ALL = 0.8

FIRST_BATCH = timedelta(seconds=0.5)
BATCH = timedelta(seconds=4)
STUCK = timedelta(seconds=5)
ASK_AGAIN = timedelta(seconds=5)
"""As the rounds have it: when readings are posted, and how long nobody waits for what hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """An ordinary day of a workspace, in the middle of a month.

    `reads_per_hour` are requests for usage. The ages are of the newest reading of a database's open day: the mean over
    all databases and instants, and the longest. `readings_per_day` are the answers that are kept, for each database.
    """

    reads_per_hour: float
    mean_age_seconds: float
    longest_age_seconds: float
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
    """How the vendor is taken to be: it publishes `changes_per_day` times a day, and takes `latency` to answer.

    How often it publishes `is_assumed` where nobody said it and no store tells.
    """

    changes_per_day: float = 8.0
    is_assumed: bool = False
    latency: timedelta = timedelta(milliseconds=200)

    @property
    def published_every_seconds(self) -> float:
        """The time between two publications."""
        return 86_400 / self.changes_per_day if self.changes_per_day else 10.0**9


def changes_per_day(moves: Moves, poll: PollConfig, now: datetime) -> float | None:
    """How often a day open days moved, the mean of all databases; `None` where too little was read to tell.

    Numbers that moved in nearly every reading may move as often as one likes.
    """
    if moves.since is None or now - moves.since < LEAST_READ:
        return None
    days = (now - moves.since) / ONE_DAY
    found = [instants for of in moves.by_workspace.values() for instants in of.values()]
    # What is published at midnight is found to be another day's.
    mean = sum(len(instants) / days + 1 for instants in found if instants) / len(found)
    return at_every_reading(poll) if mean >= NEARLY_ALL * (ONE_DAY / poll.interval) else mean


def at_every_reading(poll: PollConfig) -> float:
    """So many changes a day that every reading shows one."""
    return 2 * (ONE_DAY / poll.interval)


def rehearse_day(poll: PollConfig, vendor: Vendor, *, databases: int, now: datetime) -> Steady:
    """Live an ordinary day of a workspace that has been followed for long; `now` only chooses the month."""
    if poll.interval >= FAST_INTERVAL:
        # The second half of a day is warm-up enough for a plan that learns nothing.
        warm_up = ONE_DAY if poll.adaptive else ONE_DAY / 2
        few = MOST_FOR_AN_ADAPTIVE_DAY if poll.adaptive else MOST_FOR_A_DAY
        return _rehearse(poll, vendor, databases, now, few=few, warm_up=warm_up, span=ONE_DAY)
    hour = _rehearse_hour(poll, vendor, databases, now)
    # What is kept hangs on the publications, not on the interval, where two readings or more come between them.
    half = timedelta(seconds=vendor.published_every_seconds / 2)
    is_each_seen = half >= FAST_INTERVAL
    slower = poll.model_copy(update={"interval": min(SLOW_INTERVAL, half) if is_each_seen else SLOW_INTERVAL})
    day = rehearse_day(slower, vendor, databases=databases, now=now)
    kept = day.readings_per_day if is_each_seen else hour.readings_per_day
    return replace(hour, readings_per_day=kept, workspace=day.workspace)


def _rehearse_hour(poll: PollConfig, vendor: Vendor, databases: int, now: datetime) -> Steady:
    """An hour for all that is asked of a day with very many rounds: what comes at night is little beside them.

    With less than a publication in an hour, so many hours of the day have one, and the others none.
    """

    def hour(changes_per_day: float) -> Steady:
        seen = replace(vendor, changes_per_day=changes_per_day)
        return _rehearse(poll, seen, databases, now, few=MOST_FOR_A_FAST_DAY, warm_up=FAST_WARM_UP, span=FAST_SPAN)

    with_news = vendor.changes_per_day / 24
    if with_news >= 1:
        return hour(vendor.changes_per_day)
    quiet = hour(0.0)
    if not with_news:
        return quiet
    reads = (1 - with_news) * quiet.reads_per_hour + with_news * hour(24.0).reads_per_hour
    return replace(quiet, reads_per_hour=reads)


def _rehearse(
    poll: PollConfig,
    vendor: Vendor,
    databases: int,
    now: datetime,
    *,
    few: int,
    warm_up: timedelta,
    span: timedelta,
) -> Steady:
    """Live so long, after a warm-up that is not counted; `few` databases live where none waits for another."""
    is_fast = poll.interval < FAST_INTERVAL
    begins_at = month_start(now).replace(day=15, hour=0 if warm_up == ONE_DAY else 12)
    known_until = begins_at.date() - (ONE_DAY if is_fast else 3 * ONE_DAY)
    most = max(few, _crowd(poll, databases))
    life = _Life(poll, vendor, databases, begins_at, lived=min(databases, most), known_until=known_until)
    life.run(until := begins_at + warm_up)
    life.forget()
    life.run(until + span)
    hours = span / timedelta(hours=1)
    reads = len(life.asked) / life.lived * databases
    ages = [gap for instants in life.open_days.values() for gap in _gaps(instants, until, until + span)]
    mean_age = sum(gap * gap for gap in ages) / sum(ages) / 2
    return Steady(
        reads_per_hour=reads / hours,
        mean_age_seconds=mean_age,
        longest_age_seconds=max(ages),
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


def _crowd(poll: PollConfig, databases: int) -> int:
    """How many of a workspace must live for their waiting to be that of all; 0 where none waits for long."""
    asked_a_day = poll.requests_per_second * 86_400
    if databases * timedelta(days=1) / poll.interval < asked_a_day / 3:
        return 0
    return int(databases * min(1.0, MOST_REQUESTS / asked_a_day))


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


@dataclass(frozen=True, slots=True, order=True)
class _Answer:
    """A request of a group that was or will be sent, in the order of their answers; `read` is what the group told."""

    answered_at: datetime
    number: int
    asked_at: datetime = field(compare=False)
    group: Group = field(compare=False)
    place: int = field(compare=False)
    read: tuple[UsageReading, ...] = field(compare=False)


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
    _under_way: list[_Answer] = field(default_factory=list)
    _free_at: datetime = NEVER
    _carried_on: date | None = None
    _outcomes: list[UsageReading] = field(default_factory=list)
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
        """Make one round as the shipped ones are; returns when the next one begins.

        Its workers take one group each, and all of them wait in one line for the pace. When its time is over those that
        wait go on, and the next round begins beside them.
        """
        if self.now.date() != self._carried_on:
            # Posting lets go of what is not held any more: only a new day leaves something.
            self._carried_on = self.now.date()
            self.workspace = carry_workspace(self.workspace, self.now)
        self._answer_until(self.now, deque())
        self._post(self.now)
        plan = self._plan()
        if not plan.groups and not self._under_way:
            return plan.next_due_at
        waiting = deque(plan.groups)
        at, ends_at = self.now, self.now + ROUND_SPAN
        # What hangs has given its place to another one.
        places = min(2 * self._workers - len(self._under_way), self._workers - len(self._under_way) + self._stuck(at))
        for _ in range(places):
            self._begin(waiting, at)
        wait = FIRST_BATCH
        while self._under_way:
            at = self._answer_until(at + wait, waiting)
            wait = BATCH
            if at >= ends_at:
                waiting.clear()
            under_way = len(self._under_way)
            wanted = min(self._workers - (under_way - self._stuck(at)), 2 * self._workers - under_way)
            for _ in range(wanted):
                self._begin(waiting, at)
            self._post(_whole_second(at))
            hang = self._stuck(at) == len(self._under_way)
            if not waiting and (hang or at >= ends_at + STUCK):
                break
        done_at = _whole_second(at)
        again = plan if plan.deferred else self._plan(done_at)
        if again.groups:
            return done_at
        return min(again.next_due_at, done_at + ASK_AGAIN) if self._under_way else again.next_due_at

    def _plan(self, now: datetime | None = None) -> Plan:
        busy = {answer.group[0].database_id for answer in self._under_way}
        followed = self.workspace.databases.keys() - busy
        budget = max(1, int(self._pace * ROUND_SPAN.total_seconds()))
        return self._planner.plan(self.workspace, followed=followed, attempts={}, budget=budget, now=now or self.now)

    @property
    def _pace(self) -> float:
        """Requests a second, of all that there are the share of those that live."""
        return self.poll.requests_per_second * self.lived / self.databases

    @property
    def _workers(self) -> int:
        return max(1, round(self.poll.concurrency * self.lived / self.databases))

    def _stuck(self, now: datetime) -> int:
        return sum(now - answer.asked_at > STUCK for answer in self._under_way)

    def _begin(self, waiting: deque[Group], at: datetime) -> None:
        if waiting:
            self._ask(waiting.popleft(), 0, at, ())

    def _ask(self, group: Group, place: int, at: datetime, read: tuple[UsageReading, ...]) -> None:
        """Stand in the line for the pace, and ask when it is one's turn."""
        sent_at = max(at, self._free_at)
        self._free_at = sent_at + timedelta(seconds=1 / self._pace)
        self.asked.append(sent_at)
        answered_at = sent_at + self.vendor.latency
        heapq.heappush(self._under_way, _Answer(answered_at, len(self.asked), at, group, place, read))

    def _answer_until(self, until: datetime, waiting: deque[Group]) -> datetime:
        """Let answers come until an instant, or until none is awaited; returns when that is."""
        at = until
        while self._under_way and self._under_way[0].answered_at <= until:
            answer = heapq.heappop(self._under_way)
            at = answer.answered_at
            read = (*answer.read, *self._read(answer.group[answer.place], at))
            if answer.place + 1 < len(answer.group):
                self._ask(answer.group, answer.place + 1, at, read)
            else:
                self._outcomes += read
                self._begin(waiting, at)
        return until if self._under_way else min(at, until)

    def _read(self, read: PlannedRead, answered_at: datetime) -> Iterator[UsageReading]:
        self.first_answers.setdefault(read.database_id, answered_at)
        if any(window.is_open_day(answered_at) for window in read.windows):
            self.open_days[read.database_id].append(answered_at)
        for window in read.windows:
            yield UsageReading(
                database_id=read.database_id,
                window=window,
                period_start_at=window.start_at,
                period_end_at=window.end_at,
                operations=self._operations(window, answered_at),
                storage_bytes=2**30,
                generated_at=answered_at,
                read_at=answered_at.replace(microsecond=0),
            )

    def _operations(self, window: Window, at: datetime) -> int:
        """What was published of a window: as much each second as any."""
        every = self.vendor.published_every_seconds
        published_at = datetime.fromtimestamp(at.timestamp() // every * every, UTC)
        known_until = min(window.end_at, published_at)
        if window.kind is WindowKind.ROLLING:
            # It moves with each publication.
            return int(published_at.timestamp()) // 60 % OPERATIONS_A_DAY
        return max(0, int((known_until - window.start_at).total_seconds())) * OPERATIONS_A_DAY // 86_400

    def _post(self, now: datetime) -> None:
        outcomes, self._outcomes = self._outcomes, []
        if not outcomes:
            return
        self._planner.note(outcomes)
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
