"""The rounds that change the book and the picture."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cycle.attempts import Attempts
from prisma_postgres_exporter.cycle.charging import Charger
from prisma_postgres_exporter.cycle.readers import Readers
from prisma_postgres_exporter.discover import (
    Discovery,
    discover,
    find_changes,
    is_followed,
    read_subscriptions,
)
from prisma_postgres_exporter.errors import StoreChanged, StoreUnavailable
from prisma_postgres_exporter.expose import ExporterHealth, Exposition
from prisma_postgres_exporter.model import (
    Book,
    Discovered,
    LedgerRows,
    Posting,
    ReadingFailure,
    UsageReading,
    Workspace,
    WorkspaceDay,
)
from prisma_postgres_exporter.plan import Plan, Rank, make_plan
from prisma_postgres_exporter.poll import PollResult, poll
from prisma_postgres_exporter.snapshot import Snapshot, take_snapshot
from prisma_postgres_exporter.store import Store

log = structlog.get_logger(__name__)

CYCLE_SPAN = timedelta(seconds=60)
"""A cycle makes no more requests than fit into this span, so that what it learned is soon stored and shown."""

STORE_TRIES = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """What one cycle did. `is_stored` is false where the store could not be written; `deferred` reads are still due."""

    started_at: datetime
    seconds: float
    reads: int
    failure_reasons: Mapping[str, int]
    deferred: int
    is_stored: bool

    @property
    def failures(self) -> int:
        """How many of the reads failed."""
        return sum(self.failure_reasons.values())


class Collector:
    """Holds the book and the picture, and runs the rounds that change them.

    `clock` gives aware UTC instants. The store is used in `store_thread` only, one call at a time.
    Call `open` first; the rounds may be called in any order and at the same time.
    """

    def __init__(
        self,
        *,
        config: Config,
        store: Store,
        exposition: Exposition,
        health: ExporterHealth,
        clock: Callable[[], datetime],
        store_thread: Executor,
    ) -> None:
        self.config = config
        self.book = Book(generation=0)
        self.snapshot = Snapshot(taken_at=clock(), workspaces=(), databases=(), filtered=0)
        self.last_cycle: CycleReport | None = None
        self.store_error: str | None = None
        self.attempts = Attempts(health)
        self.readers = Readers(health, self._now)
        self._charger = Charger(self._read_days)
        self._store = store
        self._exposition = exposition
        self._health = health
        self._clock = clock
        self._store_thread = store_thread
        self._followed: frozenset[str] = frozenset()
        self._writing = asyncio.Lock()
        self._drawing = asyncio.Lock()

    @property
    def workspace_days(self) -> Sequence[WorkspaceDay]:
        """The workspaces' newest days of the ledger, by day; read again when days become known, else once an hour."""
        return self._charger.days

    async def open(self) -> None:
        """Read the store back and show it: what was known before the start is there before the first poll."""
        await self._reload_book()
        await self.redraw()

    def reconfigure(self, config: Config) -> None:
        """Use another configuration from the next round on."""
        self.config = config
        self._follow()

    async def run_discovery(self) -> Discovery:
        """Find out what exists and store what changed."""
        discovery = await discover(self.readers.clients)
        self.readers.note_discovery(discovery, self.book.workspaces.keys())
        async with self._writing:
            await self._write(lambda: self._discovered(discovery))
        self._follow()
        await self.redraw()
        return discovery

    async def run_subscriptions(self) -> None:
        """Read plan and block of every workspace."""
        workspaces = {id_: row.workspace for id_, row in self.book.workspaces.items()}
        readers = {id_: client for id_, client in self.readers.by_workspace.items() if id_ in workspaces}
        read, errors = await read_subscriptions(readers, workspaces)
        for id_, error in errors.items():
            log.warning("subscription not read", workspace_id=id_, reason=error.reason)
        changed = tuple(workspace for workspace in read if workspace != workspaces[workspace.id])
        if not changed:
            return
        for workspace in changed:
            log.info(
                "subscription changed",
                workspace_id=workspace.id,
                plan=workspace.plan,
                usage_blocked=workspace.usage_blocked,
            )
        async with self._writing:
            await self._write(lambda: Discovered(at=self._now(), workspaces=self._renamed(changed)))
        await self.redraw()

    async def run_cycles(
        self, stop: asyncio.Event, on_finished: Callable[[], None] = lambda: None, *, catches_up: bool = True
    ) -> None:
        """Run one cycle, and further ones while more is due: what did not fit the last, or days further back.

        Unless it `catches_up`, past days alone are no reason for another cycle.
        """
        plan = await asyncio.to_thread(self._plan, self._now())
        while True:
            report = await self.run_plan(plan, stop)
            on_finished()
            if not report.is_stored or report.reads == 0 or stop.is_set():
                return
            plan = await asyncio.to_thread(self._plan, self._now())
            if not any(catches_up or read.rank < Rank.MISSING_DAY for read in plan.reads):
                return

    async def run_plan(self, plan: Plan, stop: asyncio.Event) -> CycleReport:
        """Read what is planned, store it, show it. When `stop` is set, with what was read by then.

        Reads of workspaces that no credential reads now are left out.
        """
        started_at = self._now()
        started = asyncio.get_running_loop().time()
        clients = self.readers.by_workspace
        result = await poll(
            [read for read in plan.reads if read.workspace_id in clients],
            clients,
            concurrency=self.config.poll.concurrency,
            clock=self._clock,
            span_seconds=CYCLE_SPAN.total_seconds(),
            stop=stop,
        )
        self.attempts.note(result.outcomes)
        self.readers.note_read(self._workspaces_read(result), result.errors)
        async with self._writing:
            is_stored = await self._post(result)
        await self.redraw()
        report = CycleReport(
            started_at=started_at,
            seconds=asyncio.get_running_loop().time() - started,
            reads=len(result.outcomes),
            failure_reasons=Counter(row.reason for row in result.outcomes if isinstance(row, ReadingFailure)),
            deferred=plan.deferred,
            is_stored=is_stored,
        )
        self.last_cycle = report
        self._health.cycle_finished(report.seconds, self._now())
        log.info(
            "cycle finished",
            reads=report.reads,
            failed=report.failures,
            deferred=report.deferred,
            seconds=round(report.seconds, 3),
        )
        return report

    async def with_store(self, read: Callable[[Store], T]) -> T:
        """Return what `read` reads from the store, in the store's thread.

        Raises:
            StoreUnavailable: the store cannot be read now.
        """
        return await self._in_store(lambda: read(self._store))

    async def run_retention(self) -> None:
        """Remove raw readings that are older than the configuration keeps them; no total changes."""
        before = self._now() - self.config.store.keep_readings
        try:
            removed = await self._in_store(lambda: self._store.prune(before))
        except StoreUnavailable as error:
            self._note_store_failure(error)
            return
        log.info("old readings removed", readings=removed, before=before.isoformat())

    async def redraw(self) -> None:
        """Take the picture of the book as it is now and show it."""
        async with self._drawing:
            now = self._now()
            costs = await self._charger.charge(self.book, self.config, now)
            snapshot = await asyncio.to_thread(
                take_snapshot,
                self.book,
                followed=self._followed,
                workspace_failures=self.readers.workspace_failures,
                keep_last_value=self.config.poll.keep_last_value,
                window_names=[window.name for window in self.config.poll.windows],
                now=now,
                costs=costs,
                last=self.snapshot,
            )
            self.snapshot = snapshot
            self._health.databases("polled", len(snapshot.databases))
            self._health.databases("filtered", snapshot.filtered)
            self._health.databases("failed", sum(view.is_up is False for view in snapshot.databases))
            await asyncio.to_thread(self._exposition.render, snapshot)

    def _plan(self, now: datetime) -> Plan:
        poll_config = self.config.poll
        return make_plan(
            self.book,
            followed=self._followed,
            readable_workspaces=self.readers.by_workspace.keys(),
            attempts=self.attempts.failed,
            poll=poll_config,
            budget=max(1, int(poll_config.requests_per_second * CYCLE_SPAN.total_seconds())),
            now=now,
        )

    def _now(self) -> datetime:
        return self._clock().replace(microsecond=0)

    # Discovery ----------------------------------------------------------------------------------
    def _discovered(self, discovery: Discovery) -> Discovered:
        claimed = {report.workspace_id for report in discovery.credentials} | set(discovery.readers)
        # A credential that cannot say whose it is may be any workspace's: then none is given up.
        unclaimed = set() if None in claimed else self.book.workspaces.keys() - claimed
        return find_changes(self.book, discovery.inventories, gone_workspace_ids=unclaimed, now=self._now())

    def _renamed(self, changed: tuple[Workspace, ...]) -> tuple[Workspace, ...]:
        """A discovery may have renamed a workspace while its subscription was read: the book's name stands."""
        return tuple(
            Workspace(
                id=workspace.id,
                name=self.book.workspaces[workspace.id].workspace.name,
                plan=workspace.plan,
                usage_blocked=workspace.usage_blocked,
            )
            for workspace in changed
        )

    def _follow(self) -> None:
        workspaces = self.book.workspaces
        self._followed = frozenset(
            id_
            for id_, position in self.book.positions.items()
            if position.deleted_at is None
            and not workspaces[position.database.workspace_id].is_gone
            and is_followed(
                position.database,
                workspace_name=workspaces[position.database.workspace_id].workspace.name,
                discovery=self.config.discovery,
            )
        )

    # Store --------------------------------------------------------------------------------------
    async def _reload_book(self) -> None:
        now = self._now()
        self.book = await self._in_store(lambda: self._store.load(now))
        self._follow()

    async def _write(self, find: Callable[[], Discovered]) -> bool:
        """Store what `find` says is different from the book, and read the book back."""

        async def write() -> Discovered | None:
            discovered = await asyncio.to_thread(find)
            if not (discovered.workspaces or discovered.databases or discovered.events):
                return None
            await self._in_store(partial(self._store.record_discovery, discovered, generation=self.book.generation))
            self._note_store_success()
            await self._reload_book()
            return discovered

        is_stored, discovered = await self._stored(write)
        if discovered is not None:
            self._log_events(discovered)
        return is_stored

    async def _post(self, result: PollResult) -> bool:
        async def write() -> Posting:
            posting = await asyncio.to_thread(
                ledger.post,
                self.book,
                result.outcomes,
                settle_after=self.config.poll.settle_after,
                older=await self._older_rows(result.outcomes),
            )
            written = await self._in_store(
                partial(self._store.record, posting, at=self._now(), generation=self.book.generation)
            )
            self._note_store_success()
            self.book = ledger.apply(self.book, posting, generation=written)
            return posting

        is_stored, posting = await self._stored(write)
        if posting is not None:
            self._log_failures(posting)
        return is_stored

    async def _read_days(self, from_day: date) -> tuple[WorkspaceDay, ...] | None:
        try:
            return await self._in_store(lambda: self._store.workspace_days(from_day))
        except StoreUnavailable as error:
            self._note_store_failure(error)
            return None

    async def _older_rows(self, outcomes: Sequence[UsageReading | ReadingFailure]) -> LedgerRows:
        pairs = ledger.older_days(self.book, outcomes)
        return await self._in_store(partial(self._store.ledger_rows, pairs)) if pairs else LedgerRows()

    async def _stored(self, write: Callable[[], Awaitable[T]]) -> tuple[bool, T | None]:
        """Run `write` on the newest book; whether it came through, and what it returned."""
        try:
            for _ in range(STORE_TRIES):
                try:
                    written = await write()
                except StoreChanged:
                    await self._reload_book()
                    continue
                return True, written
        except StoreUnavailable as error:
            self._note_store_failure(error)
        return False, None

    async def _in_store(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._store_thread, call)

    def _note_store_failure(self, error: StoreUnavailable) -> None:
        self._health.store_failed()
        if self.store_error is None:
            log.error("store not writable", error=str(error))
        self.store_error = str(error)

    def _note_store_success(self) -> None:
        if self.store_error is not None:
            log.info("store writable again")
        self.store_error = None

    def _workspaces_read(self, result: PollResult) -> set[str]:
        read = {outcome.database_id for outcome in result.outcomes if isinstance(outcome, UsageReading)}
        return {position.database.workspace_id for id_, position in self.book.positions.items() if id_ in read}

    # Log ----------------------------------------------------------------------------------------
    def _log_events(self, discovered: Discovered) -> None:
        for event in discovered.events:
            self._health.event_noticed(event.subject, event.kind)
            log.info(
                f"{event.subject} {event.kind}",
                id=event.subject_id,
                workspace_id=event.workspace_id,
                before=event.before,
                after=event.after,
            )

    def _log_failures(self, posting: Posting) -> None:
        for before, after in zip(posting.before, posting.positions, strict=True):
            if before.failing_since_at is None and after.failing_since_at is not None:
                log.warning("database failing", database_id=after.database.id, reason=after.failure_reason)
            if before.failing_since_at is not None and after.failing_since_at is None:
                log.info("database recovered", database_id=after.database.id)
