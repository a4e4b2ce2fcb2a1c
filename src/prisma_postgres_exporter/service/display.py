"""What is shown: the snapshot, the costs in it, and their bytes, made anew when something changed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import (
    Costs,
    Usage,
    charge,
    cost_warnings,
    is_limit_near,
    used_in_month,
)
from prisma_postgres_exporter.errors import StoreUnavailable
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, SeriesCap
from prisma_postgres_exporter.model import LedgerState, WorkspaceDay
from prisma_postgres_exporter.report import Day, LedgerMonth, days_of_workspaces, due_until
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service import memory
from prisma_postgres_exporter.service.ledger_reader import days_of_costs
from prisma_postgres_exporter.snapshot import INTERVALS_MISSED, Snapshot, take_snapshot
from prisma_postgres_exporter.tracing import span

log = structlog.get_logger(__name__)

T = TypeVar("T")
NO_COSTS = Costs()

COSTS_EVERY = timedelta(minutes=1)
DAYS_READ_EVERY = timedelta(minutes=5)
NEWS_EVERY = timedelta(seconds=10)
COSTS_SHARE_OF_TIME = 0.005
"""The part of a core that may go into costs, and as much again into reading the days that they are made from."""

COSTS_BURST_SECONDS = 2.0
"""The CPU seconds of costs with which every news has them made anew: in the first ones there is some all the time."""

REFRESH_EVERY_SECONDS = 15.0
"""How often it is made anew where nothing changed: values become too old, and means go on."""

SHARE_OF_TIME = 0.015
"""The part of a core that may go into it, with a store of some seconds for a burst, as a start is."""

BURST_SECONDS = 5.0
SHORTEST_GAP_SECONDS = 0.5


class Display:
    """Keeps what is shown: what is in `snapshot` is stored, and `exposed` is that within `web.max_series`.

    `workspace_days` are the workspaces' newest days of the ledger, by day, and `days_by_workspace` by id those that are
    shown. `month` is what the costs that are shown were made from, and they. `warnings` are what a
    person should know of the costs.
    """

    def __init__(
        self, collector: Collector, exposition: Exposition, health: ExporterHealth, clock: Callable[[], datetime]
    ) -> None:
        self.snapshot = self.exposed = Snapshot(taken_at=clock())
        self.month: LedgerMonth | None = None
        self.warnings: tuple[str, ...] = ()
        self.workspace_days: tuple[WorkspaceDay, ...] = ()
        self.days_by_workspace: Mapping[str, Sequence[Day]] = {}
        self._collector = collector
        self._exposition = exposition
        self._health = health
        self._clock = clock
        self._drawing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._days_read: _Done | None = None
        self._charged: _Done | None = None
        self._charging_seconds = 0.0
        self._charged_days: tuple[WorkspaceDay, ...] = ()
        self._drawn_seconds = 0.0
        self.failures_in_a_row = 0
        most_series = collector.config.web.max_series
        self._cap = None if most_series is None else SeriesCap(most_series)
        self._is_exceeded = False
        collector.on_change = self._changed.set

    @property
    def costs(self) -> Costs:
        """Those that are shown."""
        return self.month.costs if self.month is not None else NO_COSTS

    async def current(self) -> None:
        """Wait, if the day of what is shown is over, until what is shown is of today. Waits for no store."""
        if self._clock() >= self.snapshot.valid_until:
            async with self._drawing:
                if self._clock() >= self.snapshot.valid_until:
                    await self._draw()

    async def refresh(self) -> None:
        """Show the collector's state as it is now."""
        self._changed.clear()
        await self._read_days(self._collector.now())
        async with self._drawing:
            await self._draw()

    async def run(self) -> None:
        """Keep it fresh, until cancelled: soon after a change, at midnight (UTC), and every now and then.

        What is shown stays, with its age, where a fault of ours keeps it from being made anew.
        """
        pace = _Pace(time.monotonic())
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._longest_wait()):
                    await self._changed.wait()
            await asyncio.sleep(pace.wait_seconds(time.monotonic()))
            self._drawn_seconds = 0.0
            memory.collect_young()
            try:
                with span("show"):
                    await self.refresh()
                memory.set_aside()
                self.failures_in_a_row = 0
            except Exception:
                log.exception("display failed")
                self._health.display_failed()
                self.failures_in_a_row += 1
            pace.spend(self._drawn_seconds, time.monotonic())

    def _longest_wait(self) -> float:
        until_midnight = (self.snapshot.valid_until - self._clock()).total_seconds()
        return min(REFRESH_EVERY_SECONDS, max(0.0, until_midnight))

    async def _draw(self) -> None:
        collector, now = self._collector, self._clock().replace(microsecond=0)
        is_whole = collector.has_looked_everywhere
        ledger_state, config, failures = self._shown(), collector.config, collector.workspace_failures
        followed, widened = [turn.followed for turn in collector.turns.values()], collector.widened_windows
        unread = collector.unread
        # Everything in one thread: the event loop has its turn all the sooner.
        make = partial(self._make, ledger_state, config, followed, unread, failures, widened, now)
        month, self.snapshot, self.exposed = await asyncio.to_thread(self._timed, make)
        if month is not self.month:
            self.month, costs = month, month.costs
            for id_, turn in collector.turns.items():
                turn.is_watched = id_ in costs.workspaces and is_limit_near(costs.workspaces[id_].limits, now)
            # What is not read yet at the start is no news.
            if is_whole:
                self._warn(ledger_state, config)

    def _shown(self) -> LedgerState:
        """Everything, or what this process collects of what several do."""
        collector = self._collector
        if collector.config.web.shard == "all":
            return collector.ledger_state
        ledger_state = collector.ledger_state
        return ledger_state.part([id_ for id_ in ledger_state.workspaces if collector.leases.holds(id_)])

    def _timed(self, work: Callable[[], T]) -> T:
        """Count the CPU seconds that work takes in its thread."""
        began = time.thread_time()
        try:
            return work()
        finally:
            self._drawn_seconds += time.thread_time() - began

    def _make(
        self,
        ledger_state: LedgerState,
        config: Config,
        followed: Iterable[frozenset[str]],
        unread: frozenset[str],
        failures: Mapping[str, str | None],
        widened: Mapping[str, int],
        now: datetime,
    ) -> tuple[LedgerMonth, Snapshot, Snapshot]:
        """Make all that is shown, and show it: work of a thread. The second snapshot is within `web.max_series`."""
        used_by_key = used_in_month(ledger_state, now)
        month = self._charge(ledger_state, config, now, used_by_key)
        costs = month.costs
        snapshot = take_snapshot(
            ledger_state,
            followed=frozenset().union(*followed),
            workspace_failures=failures,
            silent_after=config.poll.silent_for(INTERVALS_MISSED),
            keep_last_value=config.poll.keep_last_value,
            window_names=[window.name for window in config.poll.windows],
            now=now,
            unread=unread,
            costs=costs,
            used_by_key=used_by_key,
        )
        self._health.databases("polled", len(snapshot.databases))
        self._health.databases("filtered", snapshot.filtered)
        self._health.windows_widened(widened)
        self._health.databases("failed", sum(view.is_up is False for view in snapshot.databases))
        if costs.worked_out_at is not None:
            self._health.costs_worked_out(costs.worked_out_at)
        exposed = self._capped(snapshot, windows=len(config.poll.windows))
        self._exposition.render(exposed)
        self._say_if_exceeded()
        return month, snapshot, exposed

    def _capped(self, snapshot: Snapshot, *, windows: int) -> Snapshot:
        """The snapshot within `web.max_series`; says where that begins and ceases to leave something out."""
        cap = self._cap
        if cap is None:
            return snapshot
        summed = cap.summed
        capped = cap.apply(snapshot, windows=windows)
        self._health.series_capped(cap.summed)
        if cap.summed and not summed:
            log.warning(
                "series capped: the smallest databases are summed up", max_series=cap.room.most, databases=cap.summed
            )
        elif summed and not cap.summed:
            log.info("series not capped any more", max_series=cap.room.most)
        return capped

    def _say_if_exceeded(self) -> None:
        """Say where there are more series than `web.max_series` with all databases summed up that can be."""
        if self._cap is None:
            return
        most, samples = self._cap.room.most, self._exposition.samples
        if samples > most and not self._is_exceeded:
            log.error("web.max_series is too small and is exceeded", max_series=most, needed=samples)
        self._is_exceeded = samples > most

    # Costs --------------------------------------------------------------------------------------
    def _charge(
        self,
        ledger_state: LedgerState,
        config: Config,
        now: datetime,
        used_by_key: Mapping[int, Mapping[str, Usage]],
    ) -> LedgerMonth:
        """Work out the costs now and then, at once on news: they concern every database."""
        charged, news, days = self._charged, _news(ledger_state, config, now), self.workspace_days
        month = self.month
        # Other days may be read while this works.
        are_days_charged = self._charged_days is days
        is_starting = charged is not None and charged.news != news and self._charging_seconds < COSTS_BURST_SECONDS
        is_due = charged is None or not are_days_charged or charged.is_due(news, now, at_latest=COSTS_EVERY)
        if month is not None and not (is_due or is_starting):
            return month
        began = time.thread_time()
        are_days_behind = self._days_read is None or self._days_read.news[1] != news[1]
        costs = charge(ledger_state, config, days, now, used_by_key, are_days_behind=are_days_behind)
        self._charged, self._charged_days = _Done(now, news, time.thread_time() - began), days
        self._charging_seconds += self._charged.seconds
        return LedgerMonth(
            until=now,
            is_over=False,
            ledger_state=ledger_state,
            days=days,
            config=config,
            costs=costs,
            due_until=due_until(now),
        )

    async def _read_days(self, now: datetime) -> None:
        """Read the workspaces' days now and then, at once on news, as closed days seldom change."""
        news = await asyncio.to_thread(_news, self._collector.ledger_state, self._collector.config, now)
        read = self._days_read
        if read is not None and not read.is_due(news, now, at_latest=DAYS_READ_EVERY):
            return
        try:
            drawn_seconds = self._drawn_seconds
            config, ledger_state = self._collector.config, self._collector.ledger_state

            self.workspace_days, self.days_by_workspace = await self._collector.in_store(
                lambda store: self._timed(
                    lambda: (
                        days := days_of_costs(store, config, ledger_state, now),
                        days_of_workspaces(days, ledger_state, now),
                    )
                )
            )
            self._days_read = _Done(now, news, self._drawn_seconds - drawn_seconds)
        except StoreUnavailable as error:
            log.warning("days of the past not read", error=str(error))

    def _warn(self, ledger_state: LedgerState, config: Config) -> None:
        warnings = tuple(cost_warnings(ledger_state, config, self.costs))
        for warning in warnings:
            if warning not in self.warnings:
                log.warning("cost incomplete", problem=warning)
        self.warnings = warnings


News = tuple[tuple[object, ...], int]
"""What makes costs anew: another day, configuration, workspace or plan at once, and days that became known soon."""


def _news(ledger_state: LedgerState, config: Config, now: datetime) -> News:
    known_days = sum(
        [
            state.known_until.toordinal()
            + sum([row.days for row in state.months])
            # The first level of a day comes with its second reading.
            + sum([row.storage_seconds > 0 for row in state.recent_days])
            for state in ledger_state.databases.values()
        ]
    )
    plans = tuple((row.workspace, row.plans, row.is_gone) for row in ledger_state.workspaces.values())
    return (now.date(), config, plans), known_days


@dataclass(frozen=True, slots=True)
class _Done:
    """When something was done, what was known then, and the CPU seconds that it took."""

    at: datetime
    news: News
    seconds: float

    def is_due(self, news: News, now: datetime, *, at_latest: timedelta) -> bool:
        """Whether to do it anew: at once for what a person changed, for the rest as often as it is cheap."""
        age = now - self.at
        if news[0] != self.news[0] or age < timedelta(0):
            return True
        affordable = timedelta(seconds=self.seconds / COSTS_SHARE_OF_TIME)
        return age >= max(affordable, at_latest if news[1] == self.news[1] else NEWS_EVERY)


class _Pace:
    """How long to wait between two drawings: they take a bounded part of a core, and a burst is not held up."""

    def __init__(self, now: float) -> None:
        self._credit_seconds = BURST_SECONDS
        self._since = now

    def wait_seconds(self, now: float) -> float:
        """How long to wait before the next one."""
        self._earn(now)
        return max(SHORTEST_GAP_SECONDS, -self._credit_seconds / SHARE_OF_TIME)

    def spend(self, seconds: float, now: float) -> None:
        """Count one that took so much of a core."""
        self._earn(now)
        self._credit_seconds -= seconds

    def _earn(self, now: float) -> None:
        self._credit_seconds = min(BURST_SECONDS, self._credit_seconds + (now - self._since) * SHARE_OF_TIME)
        self._since = now
