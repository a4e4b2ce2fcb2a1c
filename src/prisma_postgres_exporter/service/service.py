"""The running service: one scheduler with a job for each workspace, one web server, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import structlog
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from prisma_postgres_exporter.config import Config, Difference, Lack, fingerprints, read_tokens, require_usable
from prisma_postgres_exporter.descriptors import for_api
from prisma_postgres_exporter.ending import EXIT_INTERRUPTED, end_at_once
from prisma_postgres_exporter.errors import ConfigurationError, StoreUnavailable
from prisma_postgres_exporter.expose import Access, ExporterHealth, Reload, ServiceStatus, web_app
from prisma_postgres_exporter.reasons import MORE_DESCRIPTORS
from prisma_postgres_exporter.rounds import MakeApi, Turn
from prisma_postgres_exporter.service import memory, summary
from prisma_postgres_exporter.service.connections import Refusals
from prisma_postgres_exporter.service.costs import CostKeeper
from prisma_postgres_exporter.service.leasing import LeaseKeeper
from prisma_postgres_exporter.service.ledger_reader import LedgerReader
from prisma_postgres_exporter.service.listeners import require_listenable
from prisma_postgres_exporter.service.opening import opened, utc_now
from prisma_postgres_exporter.service.pushing import Pusher
from prisma_postgres_exporter.service.status import ReloadFailure, describe
from prisma_postgres_exporter.service.summary import Summary
from prisma_postgres_exporter.service.telling import TOLD_EVERY_SECONDS, Telling
from prisma_postgres_exporter.service.traces import exported_traces
from prisma_postgres_exporter.service.web import listening
from prisma_postgres_exporter.service.web_faults import CountedFaults
from prisma_postgres_exporter.service.web_lock import WebLockKeeper
from prisma_postgres_exporter.store import Claims
from prisma_postgres_exporter.threads import StartedThreads

log = structlog.get_logger(__name__)

GRACE_SECONDS = 10.0
"""How long rounds may take to store what they have read when the service is told to stop."""

END_SECONDS = 20.0
"""After so long it ends whatever is still under way: a server that says nothing would hold up its threads for ever."""

IDENTIFY_RETRY = timedelta(minutes=1)
TOKENS_READ_EVERY = timedelta(seconds=30)
"""How soon a replaced token file is noticed, or within the poll interval where that is shorter."""

COSTS_LOOKED_AT_EVERY = timedelta(minutes=1)
HEALTH_SHOWN_EVERY = timedelta(seconds=5)
RETENTION_EVERY = timedelta(hours=6)
FIRST_RETENTION = timedelta(minutes=5)
SWITCH_SECONDS = 0.00005
THREADS = 8
"""So many plans, files and names of hosts are worked on at once beside the event loop."""

RESTARTED = ("store", "web", "push")
"""The sections whose changes need a restart."""

MOST_INSTANCES = 100
"""The jobs see to it themselves that a workspace has one round at a time."""

OTHERS_LOOKED_AT_EVERY_SECONDS = 2.0
CLOCK_WATCHED_EVERY_SECONDS = 2.0
CLOCK_STEP_SECONDS = 30.0
"""A clock that moves this much more or less than time did was set: the schedule is made anew."""


class Service:
    """Collects and serves until it is told to stop.

    `load` reads the configuration again when a reload is asked for. `make_api` makes the clients of credentials.
    """

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config],
        clock: Callable[[], datetime] = utc_now,
        make_api: MakeApi | None = None,
    ) -> None:
        self.health = ExporterHealth()
        self.started_at = clock()
        self.is_ready = False
        self.reload_failure: ReloadFailure | None = None
        self.awaits_restart: str | None = None
        self._config = config
        self._load = load
        self._clock = clock
        self._make_api = make_api
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            # The defaults lose a run that starts a second late and pile up missed ones.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(self._on_job_error, EVENT_JOB_ERROR)
        logging.getLogger("apscheduler.scheduler").addFilter(_is_no_late_run)
        self._stop = asyncio.Event()
        self._leases_changed = asyncio.Event()
        self._own: set[str] = set()
        self._handing_over: dict[str, asyncio.Task[None]] = {}
        self._letting_go: asyncio.Task[None] | None = None
        self._reloading = asyncio.Lock()
        self._telling = Telling()
        self._pusher: Pusher | None = None
        self._printed: tuple[Config, Mapping[str, str]] | None = None
        self._differences: tuple[Difference, ...] = ()
        self._lacks: tuple[Lack, ...] = ()
        self._summary = Summary()

    async def run(self, on_listening: Callable[[str], None] = lambda url: None, *, takes_signals: bool = True) -> None:
        """Serve until `stop()`, or a SIGTERM or SIGINT if it `takes_signals`; `on_listening` is told the URL.

        Raises:
            ConfigurationError: no token can be used, or the listen address cannot.
            StoreError: the store cannot be opened.
        """
        # The event loop takes turns with the threads that compute, and gives its turn away at each call of the system:
        # with short ones it has it back at once.
        sys.setswitchinterval(SWITCH_SECONDS)
        memory.settle_allocator()
        memory.spare_the_old()
        with exported_traces(self.health):
            await self._run(on_listening, takes_signals)

    async def _run(self, on_listening: Callable[[str], None], takes_signals: bool) -> None:
        asyncio.get_running_loop().set_default_executor(StartedThreads(THREADS, "beside"))
        # Before the store: a start that is refused makes none.
        await asyncio.to_thread(require_listenable, self._config.web.listen)
        async with opened(
            self._config,
            clock=self._clock,
            make_api=self._make_api,
            health=self.health,
            on_leases=self._leases_changed.set,
        ) as self.running:
            collector, display = self.running.collector, self.running.display
            _note_descriptors(len(collector.readers.states))
            self._costs = CostKeeper(collector)
            await self._costs.keep()
            self.is_ready = bool(collector.ledger_state.workspaces)
            self.health.config_reloaded(True, self._clock())
            signals = self._signals() if takes_signals else contextlib.nullcontext()
            with signals, contextlib.closing(self._ledger_reader()) as ledger:
                web = collector.config.web
                self._lock = await asyncio.to_thread(WebLockKeeper, web, self.health, self._clock)
                refusals = Refusals(self.health)
                app = web_app(
                    self.running.exposition,
                    self._describe,
                    # A program that asks again and again must not fill the log.
                    partial(self.reload, is_asked=False) if web.enable_lifecycle else None,
                    hosts=web.hosts,
                    access=Access(
                        file=lambda: self._lock.lock.file,
                        users=web.users,
                        refused=refusals.count,
                        is_stale=lambda: self._lock.problem is not None,
                    ),
                    current=display.current,
                    snapshot=lambda: display.snapshot,
                    ledger=ledger,
                )
                counted = CountedFaults(app, self.health)
                serving = listening(counted, web.listen, refusals=refusals, lock=lambda: self._lock.lock)
                async with serving as urls, self._pushing(urls[0]):
                    for url in urls:
                        log.info("listening", url=url)
                    on_listening(urls[0])
                    await self._collect()

    def stop(self) -> None:
        """Ask the service to end."""
        self._stop.set()

    async def reload(self, *, is_asked: bool = True) -> Reload:
        """Read the configuration again; where something is wrong with it the old one stays in force.

        Credentials, discovery, polling and costs change at once; changes to store, web and push need a restart. Each
        is logged that `is_asked` for by a person, and of all no more than `Telling` has room for.
        """
        async with self._reloading:
            collector = self.running.collector
            try:
                config = await asyncio.to_thread(self._load)
                tokens = await asyncio.to_thread(read_tokens, config)
                require_usable(tokens)
            except ConfigurationError as error:
                self.health.config_reloaded(False, self._clock())
                text = "\n".join(error.problems)
                since_at = self.reload_failure.since_at if self.reload_failure else self._clock()
                self.reload_failure = ReloadFailure(text=text, since_at=since_at)
                self._tell_reload(is_asked=is_asked)
                return Reload(problem=text)
            await self._lock.look()
            old = collector.config
            awaited, self.awaits_restart = self.awaits_restart, _awaiting_restart(old, config)
            if self.awaits_restart is not None and self.awaits_restart != awaited:
                log.warning("changes to store, web and push need a restart", problem=self.awaits_restart)
            collector.reconfigure(config.model_copy(update={name: getattr(old, name) for name in RESTARTED}))
            await collector.use_tokens(tokens)
            self._claim()
            await self._costs.keep()
            self._schedule()
            self.health.config_reloaded(True, self._clock())
            self.reload_failure = None
            self._tell_reload(is_asked=is_asked)
            return Reload(note=self.awaits_restart)

    def _tell_reload(self, *, is_asked: bool = False) -> None:
        """Log what became of the newest reload, now or, where too much was said already, a minute after the last."""
        failure = self.reload_failure
        count = self._telling.times(failure and failure.text, is_asked=is_asked)
        if count is None:
            if self._telling.is_owed:
                at = datetime.now(UTC) + timedelta(seconds=TOLD_EVERY_SECONDS)
                self._scheduler.add_job(
                    self._tell_reload_again, DateTrigger(at, timezone=UTC), id="reload told", replace_existing=True
                )
        elif failure is None:
            log.info("configuration reloaded", times=count)
        else:
            log.error("configuration not reloaded", problems=failure.text.split("\n"), times=count)

    async def _tell_reload_again(self) -> None:
        self._tell_reload()

    def _describe(self) -> ServiceStatus:
        return describe(
            self.running.collector,
            self.running.display,
            started_at=self.started_at,
            is_ready=self.is_ready,
            now=self._clock(),
            time=asyncio.get_running_loop().time(),
            notes=[
                *self._lock.notes,
                *(note for note in (self.awaits_restart, self._costs.rivalry) if note is not None),
                *map(str, self._differences),
                *map(str, self._lacks),
            ],
            reload_failure=self.reload_failure,
            leases=self.running.leases,
            pushes=self._pusher.statuses if self._pusher is not None else (),
        )

    def _ledger_reader(self) -> LedgerReader:
        collector, display = self.running.collector, self.running.display
        return LedgerReader(
            lambda: collector.config, self._clock, shown=lambda: display.month, on_failure=collector.ledger.note
        )

    @contextlib.asynccontextmanager
    async def _pushing(self, url: str) -> AsyncIterator[None]:
        collector, display = self.running.collector, self.running.display
        if not collector.config.push.targets:
            yield
            return
        self._pusher = Pusher(
            collector.config.push,
            exposition=self.running.exposition,
            snapshot=lambda: display.exposed,
            holds=collector.leases.holds,
            health=self.health,
            clock=self._clock,
            port=urlsplit(url).port or 0,
        )
        async with self._pusher.running():
            yield

    # Schedule -----------------------------------------------------------------------------------
    async def _collect(self) -> None:
        """Run the schedule until it is to stop, and let the rounds under way store what they have."""
        self._scheduler.start()
        self._schedule()
        tasks = [
            asyncio.create_task(self.running.display.run()),
            asyncio.create_task(self._watch_clock()),
            asyncio.create_task(self._watch_store()),
            asyncio.create_task(self._lock.run()),
            *([] if self.running.leases is None else [asyncio.create_task(self._follow_leases(self.running.leases))]),
        ]
        try:
            await self._until_stopped(tasks)
        finally:
            self._scheduler.pause()
            self.running.collector.stop()
            await self._let_rounds_end()
            self._scheduler.shutdown(wait=False)
            tasks += self._handing_over.values()
            tasks += [] if self._letting_go is None else [self._letting_go]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            log.info("stopped")

    async def _until_stopped(self, tasks: list[asyncio.Task[None]]) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        for task in done - {stopping}:
            await task  # it never ends by itself: this raises what ended it

    def _schedule(self) -> None:
        """Plan everything from now on: each workspace at once, and what comes every so often."""
        collector, now = self.running.collector, self._clock()
        tokens_every = min(TOKENS_READ_EVERY, collector.config.poll.interval)
        for job, name, every in (
            (self._read_tokens, "tokens", tokens_every),
            (self._show_health, "health", HEALTH_SHOWN_EVERY),
            (self._costs.keep, "costs", COSTS_LOOKED_AT_EVERY),
            (self._sum_up, "summary", max(summary.SHORTEST, collector.config.poll.interval)),
        ):
            # A trigger does not take the scheduler's time zone.
            trigger = IntervalTrigger(seconds=every.total_seconds(), timezone=UTC)
            self._scheduler.add_job(job, trigger, id=name, replace_existing=True)
        if self._pusher is not None:
            push = IntervalTrigger(seconds=collector.config.push.interval.total_seconds(), timezone=UTC)
            self._scheduler.add_job(
                self._push, push, args=[self._pusher], id="push", next_run_time=utc_now(), replace_existing=True
            )
        # Soon, so that it happens however often one restarts or reloads.
        retention = IntervalTrigger(
            seconds=RETENTION_EVERY.total_seconds(), start_date=utc_now() + FIRST_RETENTION, timezone=UTC
        )
        self._scheduler.add_job(self._retain, retention, id="retention", replace_existing=True)
        for name in collector.readers.unidentified:
            self._run_at(f"credential {name}", now, self._identify, name)
        for workspace_id, turn in collector.turns.items():
            if not turn.is_gone and self._collects(workspace_id):
                self._run_at(f"round {workspace_id}", now, self._round, workspace_id)

    def _run_at(
        self, job_id: str, at: datetime, job: Callable[[str], Coroutine[Any, Any, None]], argument: str
    ) -> None:
        """Run a job once, in the place of the one that was planned; one that runs now goes on."""
        if not self._stop.is_set():
            # The scheduler has a clock of its own: what counts is how long it is until then.
            trigger = DateTrigger(utc_now() + max(timedelta(0), at - self._clock()), timezone=UTC)
            self._scheduler.add_job(
                job, trigger, args=[argument], id=job_id, replace_existing=True, max_instances=MOST_INSTANCES
            )

    async def _identify(self, name: str) -> None:
        collector = self.running.collector
        workspace_id = None
        try:
            workspace_id = await collector.identify(name)
        except Exception:
            log.exception("credential not tried", credential=name)
            self.health.fault("credential")
        finally:
            self.is_ready = True
            self._claim()
            if workspace_id is not None and self._collects(workspace_id):
                self._run_at(f"round {workspace_id}", self._clock(), self._round, workspace_id)
            if workspace_id is None and name in collector.readers.unidentified:
                self._identify_later(name)

    def _identify_later(self, name: str) -> None:
        again_at = self._clock() + min(IDENTIFY_RETRY, self.running.collector.config.discovery.interval)
        self._run_at(f"credential {name}", again_at, self._identify, name)

    async def _round(self, workspace_id: str) -> None:
        collector = self.running.collector
        turn = collector.turns.get(workspace_id)
        if turn is None or turn.is_gone or turn.running.locked() or not self._collects(workspace_id):
            return  # the round under way plans the next one, or another process does
        try:
            self._summary.note(await collector.round(workspace_id))
        finally:
            # Whatever ended it: another one follows.
            self.is_ready = True
            self._claim()
            self._plan_round(turn)
            for name in collector.readers.unidentified:
                # Refused in the round: it may be accepted again, and another of the workspace's may be.
                if self._scheduler.get_job(f"credential {name}") is None:
                    self._identify_later(name)

    def _plan_round(self, turn: Turn) -> None:
        if not turn.is_gone and self._collects(turn.workspace_id):
            at = turn.next_at or self._clock()
            self._run_at(f"round {turn.workspace_id}", at, self._round, turn.workspace_id)

    async def _read_tokens(self) -> None:
        collector = self.running.collector
        async with self._reloading:
            tokens = await asyncio.to_thread(read_tokens, collector.config)
            changed = await collector.use_tokens(tokens)
        self._claim()
        if changed:
            log.info("credentials changed", credentials=list(changed))
        for name in changed:
            self._run_at(f"credential {name}", self._clock(), self._identify, name)

    async def _show_health(self) -> None:
        await asyncio.to_thread(self.running.exposition.refresh_health)

    async def _sum_up(self) -> None:
        self._summary.say(self.running.collector)

    async def _push(self, pusher: Pusher) -> None:
        await self.running.display.current()
        await pusher.take()

    async def _retain(self) -> None:
        leases = self.running.leases
        # One of several is enough: two that drop the same rows wait for each other.
        if leases is None or leases.name in leases.shares.processes[:1]:
            await self.running.collector.prune()
        await asyncio.to_thread(memory.look_at_everything)

    async def _watch_clock(self) -> None:
        """Make the schedule anew when the clock was set: its instants are of the old time."""
        last = self._clock(), time.monotonic()
        while True:
            await asyncio.sleep(CLOCK_WATCHED_EVERY_SECONDS)
            now = self._clock(), time.monotonic()
            step = (now[0] - last[0]).total_seconds() - (now[1] - last[1])
            last = now
            if abs(step) > CLOCK_STEP_SECONDS:
                log.warning("the clock was set", seconds=round(step))
                self._schedule()

    # Other processes on the same store -----------------------------------------------------------
    def _collects(self, workspace_id: str) -> bool:
        """Whether rounds of a workspace are this process's."""
        return self.running.leases is None or workspace_id in self._own

    def _claim(self) -> None:
        readers = self.running.collector.readers
        if self.running.leases is not None:
            self.running.leases.claim(
                Claims(
                    workspaces=readers.workspace_ids,
                    refused=readers.refused_workspace_ids,
                    is_complete=readers.are_all_known,
                ),
                self._settings(),
            )

    def _settings(self) -> Mapping[str, str]:
        """The prints of the settings in force, made anew where these changed."""
        config = self.running.collector.config
        if self._printed is None or self._printed[0] is not config:
            self._printed = config, fingerprints(config)
        return self._printed[1]

    def _note_differences(self, found: tuple[Difference, ...]) -> None:
        for difference in found:
            if difference not in self._differences:
                log.warning("settings differ", settings=difference.settings, processes=difference.groups)
        if self._differences and not found:
            log.info("settings are the same in every process")
        self._differences = found

    def _note_lacks(self, found: tuple[Lack, ...]) -> None:
        for lack in found:
            if lack not in self._lacks:
                log.warning("tokens differ", workspaces_without_token=lack.workspaces, processes=lack.processes)
        if self._lacks and not found:
            log.info("tokens are of the same workspaces in every process")
        self._lacks = found

    async def _follow_leases(self, leases: LeaseKeeper) -> None:
        """Begin the rounds of workspaces that are this process's to collect, and hand over those that are not."""
        self._claim()
        while True:
            with contextlib.suppress(TimeoutError):
                # What is not renewed is over without a word.
                async with asyncio.timeout(max(0.0, leases.seconds_left) if self._own else None):
                    await self._leases_changed.wait()
            self._leases_changed.clear()
            shares = leases.shares
            self._note_differences(leases.differences)
            self._note_lacks(leases.lacks)
            for workspace_id in self._own - (shares.held.keys() - shares.surplus):
                self._own.discard(workspace_id)
                if workspace_id in shares.surplus:
                    log.info("workspace handed over", workspace_id=workspace_id)
                else:
                    log.warning("lease lost: it was not renewed in time", workspace_id=workspace_id)
                self._handing_over[workspace_id] = asyncio.create_task(self._hand_over(leases, workspace_id))
            for workspace_id in shares.surplus - self._handing_over.keys():
                leases.give_back(workspace_id)
            mine = shares.held.keys() - shares.surplus - shares.unclaimed
            for workspace_id in mine - self._own - self._handing_over.keys():
                self._own.add(workspace_id)
                self.running.collector.turns.of(workspace_id).live()
                log.info("workspace taken", workspace_id=workspace_id, epoch=shares.held[workspace_id].epoch)
                self._run_at(f"round {workspace_id}", self._clock(), self._round, workspace_id)
            states = self.running.collector.ledger_state.workspaces
            followed = {id_ for id_, row in states.items() if not row.is_gone} | (shares.holders.keys() - states.keys())
            self.health.leases_held({id_: id_ in self._own for id_ in followed})
            if shares.unclaimed and (self._letting_go is None or self._letting_go.done()):
                # Beside: a store that hangs must not keep from noticing that leases are over.
                self._letting_go = asyncio.create_task(self._let_unclaimed_go())

    async def _let_unclaimed_go(self) -> None:
        try:
            await self.running.collector.let_unclaimed_go()
        except Exception:
            log.exception("workspaces not let go")
            self.health.fault("leases")

    async def _hand_over(self, leases: LeaseKeeper, workspace_id: str) -> None:
        try:
            await self.running.collector.hand_over(workspace_id)
        except Exception:
            log.exception("workspace not handed over", workspace_id=workspace_id)
            self.health.fault("leases")
        finally:
            del self._handing_over[workspace_id]
            # It may be this one's again by now.
            self._leases_changed.set()

    async def _watch_store(self) -> None:
        """Show what other processes write: services that share the store, and commands beside this one."""
        while True:
            await asyncio.sleep(OTHERS_LOOKED_AT_EVERY_SECONDS)
            try:
                await self.running.collector.catch_up()
            except StoreUnavailable as error:
                log.debug("store not looked at", error=str(error))
            except Exception:
                # Nobody foresaw it: what others write is shown later, and the service goes on.
                log.exception("store not looked at")
                self.health.fault("store")

    # End ----------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        wanted = (signal.SIGTERM, signal.SIGINT)
        for number in wanted:
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        loop.set_exception_handler(_on_loop_fault)
        try:
            yield
        finally:
            loop.set_exception_handler(None)
            for number in (*wanted, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _on_hangup(self) -> None:
        self._scheduler.add_job(
            self.reload, DateTrigger(timezone=UTC), id="reload", replace_existing=True, max_instances=MOST_INSTANCES
        )

    def _on_job_error(self, event: JobExecutionEvent) -> None:
        # The scheduler logs it with its traceback.
        self.health.fault(event.job_id.partition(" ")[0])

    def _on_signal(self, number: int) -> None:
        if self._stop.is_set():
            end_at_once(EXIT_INTERRUPTED)
        log.info("stopping", signal=signal.Signals(number).name)
        last = threading.Timer(END_SECONDS, _end_at_once)
        last.daemon = True
        last.start()
        self._stop.set()

    async def _let_rounds_end(self) -> None:
        ending = [turn.running.acquire() for turn in self.running.collector.turns.values()]
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await asyncio.gather(*ending)
        except TimeoutError:
            log.warning("rounds under way were abandoned", grace_seconds=GRACE_SECONDS)


def _on_loop_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """End where a call of the loop's own was lost for want of memory: what waits for it would wait for ever."""
    if isinstance(context.get("exception"), MemoryError) and "handle" in context:
        try:
            log.error("ended for want of memory: start it again, with more")
        finally:
            end_at_once(1)
    loop.default_exception_handler(context)


def _end_at_once() -> None:
    log.error("not ended in time: what is still under way is abandoned", seconds=END_SECONDS)
    end_at_once(1)


def _awaiting_restart(old: Config, new: Config) -> str | None:
    """Which settings only a restart puts in force, for people."""
    changed = [
        f"{section}.{name}"
        for section in RESTARTED
        for name, value in getattr(new, section)
        if value != getattr(getattr(old, section), name)
    ]
    if not changed:
        return None
    return f"{' and '.join(changed)} changed: only a restart puts that in force, until then it is as before"


def _note_descriptors(credentials: int) -> None:
    affordable = for_api()
    if affordable is not None and affordable < credentials:
        log.warning(
            "too few open files are allowed for so many credentials",
            credentials=credentials,
            allowed_connections=affordable,
            advice=MORE_DESCRIPTORS,
        )


def _is_no_late_run(record: logging.LogRecord) -> bool:
    """Not the scheduler's line about a run that falls into the one before: the next run does its work."""
    is_skipped = str(record.msg).startswith('Execution of job "%s" skipped')
    # Of a job that may run several times at once the bound is far away, and a run is lost there.
    return not (is_skipped and isinstance(record.args, tuple) and record.args[-1] == 1)
