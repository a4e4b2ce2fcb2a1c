"""A collector's life against simulated workspaces, without a network: the shipped rounds, and all that can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import Enum

from prisma_postgres_exporter import api
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.errors import CredentialRefused, MalformedAnswer, StoreChanged, Throttled, Unavailable
from prisma_postgres_exporter.ledger.backfill import plan_backfill
from prisma_postgres_exporter.ledger.plan import Plan, PlannedRead
from prisma_postgres_exporter.model import Lease, LedgerUpdate, day_start, month_start
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor
from prisma_postgres_exporter.store import Store
from rounds_bench import Bench, bench, configuration, tokens_of

ONE_DAY = timedelta(days=1)


class Fate(Enum):
    """What becomes of one call for a database that misbehaves."""

    ANSWERED = "answered"
    FAILED = "failed"
    THROTTLED = "throttled"
    LONG_WAIT = "asks for a long wait"
    HANGS = "hangs"
    MALFORMED = "malformed"
    REFUSED = "401"
    FAR_PERIOD = "a period of another time"
    NO_NUMBERS = "no numbers"
    OPERATIONS_ONLY = "no storage"
    STORAGE_ONLY = "no operations"
    HUGE = "a huge number"
    BREAKS = "an answer that nobody foresaw"


HARMLESS = (Fate.ANSWERED,)
"""Fates that leave the ledger true."""


class Ending(Enum):
    """How the first write of a round ends."""

    STORED = "stored"
    STORED_TWICE = "stored, and told to be changed by another"
    KILLED_BEFORE_STORING = "killed before storing"
    KILLED_AFTER_STORING = "killed after storing"


class Killed(BaseException):
    """The process ends here."""


class FickleApi(DirectApi):
    """A vendor that answers in any order, and badly for some databases, as `life` says."""

    def __init__(self, life: Life, vendor: Vendor, clock: ManualClock, token: str) -> None:
        super().__init__(vendor, clock, token)
        self._life = life

    @property
    def skew_seconds(self) -> float | None:
        return self._life.ahead.total_seconds()

    def databases(self) -> Pages:  # type: ignore[override]  # in pages
        entries = [*self._life.claimed(self._workspace_id), *self._listed()]
        half = len(entries) // 2
        # A list that grew meanwhile: its pages overlap.
        return Pages([entries[: half + 1], entries[half:]])

    def _listed(self) -> list[api.Database]:
        return list(super().databases().entries)

    async def usage(
        self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
    ) -> api.Usage:
        life = self._life
        life.calls[database_id] += 1
        if life.during is not None:
            during, life.during = life.during, None
            during()
        # Any order: this one lets others pass, more or fewer of them.
        for _ in range((life.calls.total() * 7) % 5):
            await asyncio.sleep(0)
        fate = life.fate_of(database_id)
        if fate is Fate.HANGS:
            for _ in range(50):
                await asyncio.sleep(0)
            raise Unavailable("no answer in time", reason="timeout")
        _fail(fate)
        said = await super().usage(database_id, start_at=start_at, end_at=end_at)
        return dataclasses.replace(said, **SPOILED.get(fate, {}))  # type: ignore[arg-type]  # as a vendor may say


@dataclass
class Pages:
    """A list of some pages."""

    entries: Sequence[Sequence[api.Database]]

    async def pages(self) -> AsyncIterator[api.Page[api.Database]]:
        for number, page in enumerate(self.entries, start=1):
            yield api.Page(entries=tuple(page), next_cursor=str(number) if number < len(self.entries) else None)


def _fail(fate: Fate) -> None:
    match fate:
        case Fate.FAILED:
            raise Unavailable("down", reason="http_500", status=500)
        case Fate.THROTTLED:
            raise Throttled("too many", reason="http_429", status=429, retry_after_seconds=2.0)
        case Fate.LONG_WAIT:
            raise Unavailable("later", reason="http_503", status=503, retry_after_seconds=86_400.0)
        case Fate.MALFORMED:
            raise MalformedAnswer("not JSON", reason="not_json", status=200)
        case Fate.REFUSED:
            raise CredentialRefused("not valid", reason="http_401", status=401)


SPOILED: Mapping[Fate, Mapping[str, object]] = {
    Fate.FAR_PERIOD: {"period_end_at": datetime(2199, 12, 31, tzinfo=UTC)},
    Fate.NO_NUMBERS: {"operations": None, "storage_bytes": None},
    Fate.OPERATIONS_ONLY: {"storage_bytes": None},
    Fate.STORAGE_ONLY: {"operations": None},
    Fate.HUGE: {"operations": 2**53, "storage_bytes": 65_536 * 2**30},
    Fate.BREAKS: {"period_start_at": "a text"},
}


@dataclass
class Life:
    """The program's life on one store. `clock` is the vendor's time, `ahead` how far our own clock is wrong."""

    vendor: Vendor
    store_url: str
    now: datetime
    ahead: timedelta = timedelta(0)
    fates: Sequence[Fate] = (Fate.ANSWERED,)
    misbehaving: frozenset[str] = frozenset()
    misbehaved: set[str] = field(default_factory=set)
    ending: Ending = Ending.STORED
    also_claimed_by: str | None = None
    adaptive: bool = False
    calls: Counter[str] = field(default_factory=Counter)
    during: Callable[[], None] | None = None
    totals: dict[str, int] = field(default_factory=dict)
    spoiled: set[str] = field(default_factory=set)
    months_said: dict[tuple[str, date], set[int | None]] = field(default_factory=dict)
    running: Bench = field(init=False)

    def __post_init__(self) -> None:
        self.clock = ManualClock(self.now)
        self.config: Config = configuration(self.store_url, adaptive=self.adaptive)
        self._stack = contextlib.AsyncExitStack()

    def fate_of(self, database_id: str) -> Fate:
        """What becomes of this call; that of a database that behaves is answered."""
        if database_id not in self.misbehaving:
            return Fate.ANSWERED
        fate = self.fates[self.calls[database_id] % len(self.fates)]
        if fate is Fate.HUGE:
            self.spoiled.add(database_id)  # the vendor's word is taken, however large
        return fate

    def claimed(self, workspace_id: str | None) -> list[api.Database]:
        """What a workspace lists although it is another's."""
        if workspace_id is None or self.also_claimed_by != workspace_id:
            return []
        other = next(row for row in self.vendor.world.databases(self.clock.now) if row.workspace_id != workspace_id)
        return [
            api.Database(
                id=other.id,
                name=other.name,
                status=other.status,
                created_at=other.created_at,
                is_default=False,
                project=api.ProjectReference(id=other.project_id, name=other.project_name),
            )
        ]

    async def start(self) -> None:
        """Open the store and read it back."""
        own_clock = OffsetClock(self)
        self._stack = contextlib.AsyncExitStack()
        self.running = await self._stack.enter_async_context(
            bench(
                self.config,
                own_clock,
                tokens_of(self.vendor.world),
                make_api=lambda credential, *_: FickleApi(
                    self, self.vendor, self.clock, credential.token.get_secret_value()
                ),
            )
        )
        self._wrap_store()

    async def end(self) -> None:
        """End in good order."""
        await self._stack.aclose()

    async def restart(self) -> None:
        """Forget everything that is not stored; what was held is loaded again, value by value."""
        held = {id_: asdict(row) for id_, row in self.running.ledger_state.workspaces.items()}
        loaded = {id_: asdict(row) for id_, row in (await self.running.stored()).workspaces.items()}
        if self.running.collector.now().date() == self._carried_on():
            assert loaded == held
        await self.end()
        await self.start()

    async def round(self) -> None:
        """Rounds of every workspace until nothing is due; the first write ends as `ending` says."""
        try:
            await self.running.rounds()
        except Killed:
            self.ending = Ending.STORED
            await self.end()
            await self.start()
        self.ending = Ending.STORED
        await self._look()

    async def discover(self) -> None:
        """Find what exists now."""
        await self.running.discover()

    async def settle(self, until: datetime, *, every: timedelta) -> None:
        """Let time pass with a vendor that answers everything."""
        self.misbehaving, self.also_claimed_by, self.ahead = frozenset(), None, timedelta(0)
        while self.clock.now < until:
            self.clock.advance(every)
            await self.running.round()
        await self._look()

    def _carried_on(self) -> date | None:
        days = {turn.carried_on for turn in self.running.collector.turns.values()}
        return days.pop() if len(days) == 1 else None

    def _wrap_store(self) -> None:
        """Let the next write end as it is to."""
        store = self.running.collector.ledger._store
        record = store.record

        def end_as_told(
            update: LedgerUpdate, *, workspace_id: str, generation: int, at: datetime, lease: Lease | None = None
        ) -> int:
            ending, self.ending = self.ending, Ending.STORED
            if ending is Ending.KILLED_BEFORE_STORING:
                raise Killed
            written = record(update, workspace_id=workspace_id, generation=generation, at=at, lease=lease)
            if ending is Ending.KILLED_AFTER_STORING:
                raise Killed
            if ending is Ending.STORED_TWICE:
                raise StoreChanged("another process wrote")
            return written

        store.record = end_as_told  # type: ignore[method-assign]  # an end of the process, in the shipped store

    async def _look(self) -> None:
        """What is shown is of this month, and no counter ever fell."""
        snapshot = self.running.snapshot
        this_month = month_start(snapshot.taken_at)
        for view in snapshot.databases:
            if view.operations_total is not None:
                assert view.operations_total >= self.totals.get(view.database_id, 0), "the counter fell"
                self.totals[view.database_id] = view.operations_total
        assert snapshot.valid_until > snapshot.taken_at
        for state in self.running.databases.values():
            for month in state.months:
                if month.month == this_month.date() and month.read_at is not None:
                    assert month.read_at >= this_month

    async def check_neighbours(self) -> None:
        """Who behaves is exact and fresh, whatever others do. Only of a clock that is right can that be asked."""
        now = self.running.collector.now()
        for database in self.vendor.world.databases(self.clock.now):
            state = self.running.databases.get(database.id)
            if database.id in self.misbehaved or state is None or database.id not in self.running.collector.followed:
                continue
            if state.database.workspace_id != database.workspace_id:
                continue  # it moved, and no discovery has noticed yet
            today = [row for row in state.recent_days if row.day == now.date()]
            if not today:
                assert now == day_start(now.date()), (database.id, "today was not read")
                continue
            age = now - today[0].read_at
            assert age <= self.config.poll.read_within, (database.id, age)
            said = self.vendor.usage(
                database.id, now=today[0].read_at, start_at=day_start(now.date()), end_at=today[0].read_at
            )
            assert today[0].operations == said.operations, database.id

    async def check_ledger(self) -> None:
        """What is in memory is what is stored, and every total is the sum of its days."""
        # A clock that was set back leaves rows of the future, which is what they are.
        later = self.clock.now + timedelta(days=400)
        found = await self.running.collector.in_store(lambda store: list(store.violations(later)))
        assert not found, found
        stored = await self.running.stored()
        if self._carried_on() == self.running.collector.now().date():
            for id_, workspace in self.running.ledger_state.workspaces.items():
                assert asdict(stored.workspaces[id_]) == asdict(workspace)
        rows = await self.running.days()
        for state in stored.databases.values():
            own = [row for row in rows if row.database_key == state.key]
            assert state.operations_total == sum(row.operations_high for row in own if row.is_counted)
            assert all(row.operations_high >= row.operations >= 0 for row in own)
            assert all(row.storage_seconds <= 86_400 for row in own)
            for month in state.months:
                of_month = [
                    row
                    for row in own
                    if row.day.replace(day=1) == month.month and row.workspace_key == month.workspace_key
                ]
                assert month.days == len(of_month)
                assert month.days_operations == sum(row.operations for row in of_month)
                assert month.storage_byte_seconds == sum(row.storage_byte_seconds for row in of_month)
                assert month.storage_seconds == sum(row.storage_seconds for row in of_month)

    async def check_truth(self, *, until: date) -> None:
        """Every day before `until` is settled and true."""
        world = self.vendor.world
        for id_, state in self.running.databases.items():
            # Of a deleted one the last hours are unknown; a lie about a day that was final, nobody asks about again.
            if state.deleted_at is not None or id_ in self.spoiled:
                continue
            rows = {row.day: row for row in await self.running.days(id_) if row.day < until}
            # A clock that was set back adds a day before the ledger's first month, which no month is compared with.
            day = max(min(rows, default=until), state.first_seen_at.date().replace(day=1))
            while day < until:
                row, starts_at = rows[day], day_start(day)
                assert row.settled_at is not None, (id_, day)
                assert row.operations == world.operations(id_, starts_at, starts_at + ONE_DAY), (id_, day)
                day += ONE_DAY


class OffsetClock(ManualClock):
    """Our own clock: the vendor's time, and how far we are wrong."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.now)
        self._life = life

    def __call__(self) -> datetime:
        self.now = self._life.clock.now + self._life.ahead
        return self.now


__all__ = ["Ending", "Fate", "Life", "Store"]


async def backfill(running: Bench, first: date) -> None:
    """Read every day that is missing since `first`."""
    known = frozenset((row.database_key, row.day) for row in await running.days() if row.unchanged_since_at is not None)
    last = running.clock.now.date() - ONE_DAY
    todo = plan_backfill(running.databases.values(), from_day=first, to_day=last, earlier=known)
    by_workspace: dict[str, list[PlannedRead]] = defaultdict(list)
    for read in todo.reads:
        by_workspace[read.workspace_id].append(read)
    for id_, reads in by_workspace.items():
        plan = Plan(groups=tuple((read,) for read in reads), deferred=0, next_due_at=running.clock.now)
        report = await running.collector.read(id_, plan)
        assert (report.is_stored, report.failures) == (True, 0)
