"""The running service: one scheduler, one collector, one web server, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from prisma_postgres_exporter.config import Config, read_tokens
from prisma_postgres_exporter.cycle import Collector
from prisma_postgres_exporter.discover import Discovery
from prisma_postgres_exporter.errors import ConfigurationError, Unavailable
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, ServiceStatus, web_app
from prisma_postgres_exporter.service import memory
from prisma_postgres_exporter.service.clients import Clients
from prisma_postgres_exporter.service.ledger_reader import LedgerReader
from prisma_postgres_exporter.service.opening import open_collector, utc_now
from prisma_postgres_exporter.service.status import describe
from prisma_postgres_exporter.service.web import listening

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10.0
"""How long a cycle may take to store what it has read when the service is told to stop."""

DISCOVERY_RETRY = timedelta(minutes=1)
TOKENS_READ_EVERY = timedelta(seconds=30)
"""How soon a replaced token file is noticed, or within the poll interval where that is shorter."""

HEALTH_SHOWN_EVERY = timedelta(seconds=5)
RETENTION_EVERY = timedelta(hours=6)


class Service:
    """Collects and serves until it is told to stop.

    `load` reads the configuration again when a reload is asked for.
    """

    def __init__(self, config: Config, *, load: Callable[[], Config], clock: Callable[[], datetime] = utc_now) -> None:
        self.config = config
        self.health = ExporterHealth()
        self.exposition = Exposition(self.health)
        self.started_at = clock()
        self.is_ready = False
        self._load = load
        self._clock = clock
        self._clients = Clients(self.health)
        self._scheduler = _scheduler()
        self._stop = asyncio.Event()
        self._cycling = asyncio.Lock()

    async def run(self, on_listening: Callable[[str], None] = lambda url: None) -> None:
        """Serve until SIGTERM, SIGINT or `stop()`; `on_listening` is told the URL.

        Raises:
            ConfigurationError: tokens, addresses or the listen address cannot be used.
            StoreError: the store cannot be opened.
        """
        async with self._collector() as collector:
            self.collector = collector
            with self._signals(), contextlib.closing(LedgerReader(lambda: self.config, self._clock)) as ledger:
                app = web_app(self.exposition, self._describe, self.reload, ledger=ledger)
                async with listening(app, host=self.config.web.host, port=self.config.web.port) as url:
                    log.info("listening", url=url)
                    on_listening(url)
                    self._schedule()
                    await self._stop.wait()
                    await self._finish()

    def stop(self) -> None:
        """Ask the service to end."""
        self._stop.set()

    async def reload(self) -> str | None:
        """Read the configuration again; returns what is wrong with it, and then the old one stays in force.

        Credentials, discovery and polling change at once; store and listen address need a restart.
        """
        try:
            config = await asyncio.to_thread(self._load)
            await self._use_credentials(config)
        except ConfigurationError as error:
            log.error("configuration not reloaded", problems=error.problems)
            self.health.config_reloaded(False, self._clock())
            return "\n".join(error.problems)
        if (config.store, config.web) != (self.config.store, self.config.web):
            log.warning("store and web settings change with a restart only")
        self.config = config
        self.collector.reconfigure(config)
        self._scheduler.remove_all_jobs()
        self._schedule()
        self.health.config_reloaded(True, self._clock())
        log.info("configuration reloaded")
        return None

    @contextlib.asynccontextmanager
    async def _collector(self) -> AsyncIterator[Collector]:
        await self._use_credentials(self.config)
        async with open_collector(self.config, self.exposition, self.health, self._clients, self._clock) as collector:
            self.is_ready = collector.book.generation > 0
            memory.set_aside()
            self.health.config_reloaded(True, self._clock())
            yield collector

    async def _use_credentials(self, config: Config) -> bool:
        credentials = await asyncio.to_thread(read_tokens, config)
        return await self._clients.use(config, credentials)

    def _describe(self) -> ServiceStatus:
        cycle = self._scheduler.get_job("cycle")
        return describe(
            self.config,
            self.collector,
            started_at=self.started_at,
            next_cycle_at=cycle.next_run_time if cycle is not None else None,
            is_ready=self.is_ready,
            now=self._clock(),
        )

    # Schedule -----------------------------------------------------------------------------------
    def _schedule(self) -> None:
        config, add = self.config, self._scheduler.add_job
        add(self._first_round, DateTrigger(), id="first round")
        add(self._cycle, IntervalTrigger(seconds=config.poll.interval.total_seconds()), id="cycle")
        # The days and months that end now are read, and last month's numbers leave the picture, at once.
        add(self._cycle, CronTrigger(hour=0, minute=0, second=1), id="midnight")
        add(self._discover, IntervalTrigger(seconds=config.discovery.interval.total_seconds()), id="discovery")
        add(
            self._read_subscriptions,
            IntervalTrigger(seconds=config.discovery.subscription_interval.total_seconds()),
            id="subscriptions",
        )
        add(self._prune, IntervalTrigger(seconds=RETENTION_EVERY.total_seconds()), id="retention")
        tokens_every = min(TOKENS_READ_EVERY, config.poll.interval)
        add(self._read_tokens, IntervalTrigger(seconds=tokens_every.total_seconds()), id="tokens")
        add(self._show_health, IntervalTrigger(seconds=HEALTH_SHOWN_EVERY.total_seconds()), id="health")
        if not self._scheduler.running:
            self._scheduler.add_listener(self._note_lag, EVENT_JOB_SUBMITTED)
            self._scheduler.start()

    async def _first_round(self) -> None:
        await self._discover()
        await self._read_subscriptions()
        await self._cycle()

    async def _discover(self) -> None:
        discovery = await self.collector.run_discovery()
        if _is_unavailable(discovery):
            again_at = utc_now() + min(DISCOVERY_RETRY, self.config.discovery.interval)
            self._scheduler.add_job(
                self._first_round, DateTrigger(again_at), id="discovery again", replace_existing=True
            )

    async def _read_subscriptions(self) -> None:
        await self.collector.run_subscriptions()

    async def _cycle(self) -> None:
        async with self._cycling:
            await self.collector.run_cycles(self._stop, self._note_ready)

    def _note_ready(self) -> None:
        self.is_ready = True
        memory.set_aside()

    async def _prune(self) -> None:
        await self.collector.run_retention()
        memory.look_at_everything()

    async def _read_tokens(self) -> None:
        try:
            has_changed = await self._use_credentials(self.config)
        except ConfigurationError as error:
            log.warning("tokens not read again, the old ones stay in use", problems=error.problems)
            return
        if has_changed:
            log.info("credentials changed", credentials=list(self._clients.by_name))
            self.collector.readers.use(self._clients.by_name, self._clients.expiries)
            await self._first_round()

    async def _show_health(self) -> None:
        await asyncio.to_thread(self.exposition.refresh_health)

    def _note_lag(self, event: JobSubmissionEvent) -> None:
        if event.job_id == "cycle" and event.scheduled_run_times:
            due_at: datetime = event.scheduled_run_times[-1]
            self.health.scheduler_lag(max(0.0, (datetime.now(due_at.tzinfo) - due_at).total_seconds()))

    # End ----------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        wanted = (signal.SIGTERM, signal.SIGINT)
        for number in wanted:
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._scheduler.add_job(self.reload, DateTrigger()))
        try:
            yield
        finally:
            for number in (*wanted, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _on_signal(self, number: int) -> None:
        if self._stop.is_set():
            os._exit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        self._stop.set()

    async def _finish(self) -> None:
        """Let the round under way store what it has, within the grace period, and end the schedule."""
        self._scheduler.pause()
        try:
            await asyncio.wait_for(self._cycling.acquire(), GRACE_SECONDS)
        except TimeoutError:
            log.warning("the round under way was abandoned", grace_seconds=GRACE_SECONDS)
        self._scheduler.shutdown(wait=False)
        log.info("stopped")


def _scheduler() -> AsyncIOScheduler:
    # The defaults lose a run that starts a second late and pile up missed ones.
    return AsyncIOScheduler(
        timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    )


def _is_unavailable(discovery: Discovery) -> bool:
    return any(isinstance(report.error, Unavailable) for report in discovery.credentials)
