"""The ledger's state in memory, and the store behind it: the one place of rounds that writes."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.errors import (
    LeaseLost,
    StoreBroken,
    StoreChanged,
    StoreDamaged,
    StoreError,
    StoreGone,
    StoreUnavailable,
)
from prisma_postgres_exporter.model import Discovered, Lease, LedgerRows, LedgerState, LedgerUpdate, WorkspaceState
from prisma_postgres_exporter.rounds.health import Health
from prisma_postgres_exporter.rounds.leases import Leases
from prisma_postgres_exporter.rounds.polling import UNFORESEEN, Outcome
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.tracing import span

log = structlog.get_logger(__name__)

TRIES = 20
"""So often is a write made anew because another process wrote in between."""

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.02, 1.0
"""Before it is made anew it waits, longer each time and never in step with the other: some ten seconds in all."""

READABLE, WRITABLE = "readable", "writable"

T = TypeVar("T")


class StoredLedger:
    """What is held of every workspace, as the store has it, and the writes that change both.

    A workspace's state changes under its own lock. The store is used in `threads` only. `now` gives UTC instants in
    whole seconds.
    """

    def __init__(
        self, store: Store, threads: Executor, health: Health, now: Callable[[], datetime], leases: Leases
    ) -> None:
        self.state = LedgerState()
        self._store = store
        self._threads = threads
        self._health = health
        self._now = now
        self._leases = leases
        self._failures: dict[str, StoreUnavailable] = {}
        self._found_anew: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def in_store(self, call: Callable[[Store], T]) -> T:
        """Return what `call` gets from the store, in one of the store's threads.

        Raises:
            StoreUnavailable: the store cannot be read or written now.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call, self._store)
        except StoreUnavailable:
            self._health.store_failed()
            raise

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why it could not be written or read the last time, first what does not pass by itself; `None`: it could."""
        if self._store.damage is not None:
            return self._store.damage
        lasting = (error for error in self._failures.values() if isinstance(error, StoreBroken))
        return next(lasting, None) or next(iter(self._failures.values()), None)

    def note(self, error: StoreError) -> None:
        """Take note of what somebody else met in the store: nothing is written to one that is damaged."""
        self._health.store_failed()
        self._store.note(error)

    def hurry(self) -> None:
        """Give up soon what a server does not answer, as this process is to end."""
        self._store.hurry()

    async def load(self) -> None:
        """Read everything back.

        Raises:
            StoreUnavailable: the store cannot be read now.
        """
        now = self._now()
        self.state = await self.in_store(lambda store: store.load(now))

    async def catch_up(self) -> frozenset[str]:
        """Take over what other processes wrote; returns the ids of the workspaces of which it was more than readings.

        Raises:
            StoreUnavailable: the store cannot be read now.
        """
        found: set[str] = set()
        # Read without locks, as most of the time there is nothing: what a round of ours writes meanwhile is newer.
        now, held = self._now(), {id_: row.generation for id_, row in self.state.workspaces.items()}
        with self._noted(READABLE):
            changed = await self.in_store(lambda store: store.load_newer(held, now))
        for id_, newer in changed.items():
            async with self._locked([id_]):
                own = self.state.workspaces.get(id_)
                if own is not None and own.generation != held.get(id_):
                    continue
                self._replace(newer.put_into(own))
            if newer.is_whole:
                found.add(id_)
        # And what writes of our own met there.
        found, self._found_anew = found | self._found_anew, set()
        return frozenset(found)

    async def begin_day_elsewhere(self, workspace_ids: Collection[str]) -> None:
        """Let go of what is not held any more today, of workspaces that others collect."""
        now = self._now()
        for id_ in workspace_ids:
            async with self._locked([id_]):
                if (workspace := self.state.workspaces.get(id_)) is not None:
                    self._replace(ledger.carry_workspace(workspace, now))

    async def begin_day(self, workspace_id: str, *, after: date | None) -> None:
        """Let go of what is not held any more today; where the day before is not known, or later, read it anew.

        Raises:
            StoreUnavailable: the store cannot be read now.
        """
        now = self._now()
        async with self._locked([workspace_id]):
            workspace = self.state.workspaces.get(workspace_id)
            if workspace is not None and after is not None and after < now.date():
                # And of those that nobody collects any more: no round of theirs would.
                gone = [row for row in self.state.workspaces.values() if row.is_gone and row is not workspace]
                self._replace(*(ledger.carry_workspace(row, now) for row in (workspace, *gone)))
            elif workspace is not None:
                with self._noted(READABLE):
                    await self._reload([workspace_id])

    async def record(
        self, workspace_id: str, outcomes: Sequence[Outcome], *, settle_after: timedelta
    ) -> LedgerUpdate | None:
        """Write what was read of a workspace; returns what it changed, `None` where it could not be written."""

        async def write() -> LedgerUpdate:
            async with self._locked([workspace_id]):
                workspace = self.state.workspaces[workspace_id]
                lease = self._leases.lease(workspace_id)
                try:
                    update, after = await self.in_store(
                        partial(_record, workspace, outcomes, settle_after, self._now(), lease, self._health)
                    )
                except StoreChanged:
                    await self._find_anew([workspace_id])
                    raise
                self._replace(after)
                if not update.is_empty:
                    self._note_success(WRITABLE)
                return update

        return await self._written(write)

    async def change(
        self, workspace_id: str, find: Callable[[], Discovered], *, others: Collection[str] = ()
    ) -> Discovered | None:
        """Write what `find` finds to be different in a workspace; returns it, `None` where it could not be written.

        A database that it takes from another workspace changes both: it must be one of `others`, which are locked too.
        """

        async def write() -> Discovered:
            async with self._locked({workspace_id, *others}):
                discovered = find()
                if discovered.is_empty:
                    return discovered
                states, ids = self.state.workspaces, [row.id for row in discovered.databases]
                losing = [id_ for id_ in others if any(row in states[id_].databases for row in ids)]
                concerned = {workspace_id, *losing}
                generations = {id_: states[id_].generation for id_ in concerned if id_ in states}
                lease = self._leases.lease(workspace_id)
                try:
                    await self.in_store(
                        lambda store: store.record_discovery(discovered, generations=generations, lease=lease)
                    )
                except StoreChanged:
                    await self._find_anew(concerned)
                    raise
                await self._reload(concerned)
                self._note_success(WRITABLE)
                return discovered

        return await self._written(write)

    async def prune(self, before: datetime) -> None:
        """Remove raw readings of earlier than `before`; no total changes."""
        try:
            with self._noted(WRITABLE):
                removed = await self.in_store(lambda store: store.prune(before))
        except StoreUnavailable:
            return
        log.info("old readings removed", readings=removed, before=before.isoformat())

    @contextlib.asynccontextmanager
    async def _locked(self, workspace_ids: Collection[str]) -> AsyncIterator[None]:
        """Hold the locks of these workspaces, taken in the order of their ids."""
        async with contextlib.AsyncExitStack() as stack:
            for id_ in sorted(workspace_ids):
                await stack.enter_async_context(self._locks[id_])
            yield

    async def _written(self, write: Callable[[], Awaitable[T]]) -> T | None:
        """Run `write` on the newest state; returns what it returned, `None` where it did not come through."""
        with span("store write") as traced:
            written = await self._tried(write)
            if written is None:
                traced.fail("store_unavailable" if WRITABLE in self._failures else "not_written")
            return written

    async def _tried(self, write: Callable[[], Awaitable[T]]) -> T | None:
        try:
            for number in range(TRIES):
                with contextlib.suppress(StoreChanged):
                    return await write()
                longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2**number)
                await asyncio.sleep(random.uniform(longest / 2, longest))
            self._health.store_failed()
            log.warning("not written: another process wrote in between each time", tries=TRIES)
        except StoreUnavailable as error:
            self._note_failure(WRITABLE, error)
        except LeaseLost as error:
            log.info("not written", reason=str(error))
        return None

    async def _find_anew(self, workspace_ids: Collection[str]) -> None:
        """Read what somebody else wrote; what follows from that is the next `catch_up`'s."""
        await self._reload(workspace_ids)
        self._found_anew.update(workspace_ids)

    async def _reload(self, workspace_ids: Collection[str]) -> None:
        ids, now = tuple(workspace_ids), self._now()
        loaded = await self.in_store(lambda store: store.load_workspaces(ids, now))
        self._replace(*loaded.values())

    def _replace(self, *workspaces: WorkspaceState) -> None:
        self.state = self.state.with_workspaces(*workspaces)

    @contextlib.contextmanager
    def _noted(self, able: str) -> Iterator[None]:
        try:
            yield
        except StoreUnavailable as error:
            self._note_failure(able, error)
            raise
        self._note_success(able)

    def _note_failure(self, able: str, error: StoreUnavailable) -> None:
        before = self._failures.get(able)
        # A file that is copied over is empty first: what is wrong with it for good is another reason than the first.
        if before is None or (isinstance(error, StoreGone | StoreDamaged) and str(error) != str(before)):
            log.error(f"store not {able}", error=str(error))
        self._failures[able] = error

    def _note_success(self, able: str) -> None:
        # A write that was under way when another met damage may have come through.
        if self._store.damage is None and self._failures.pop(able, None) is not None:
            log.info(f"store {able} again")


def _record(
    workspace: WorkspaceState,
    outcomes: Sequence[Outcome],
    settle_after: timedelta,
    now: datetime,
    lease: Lease | None,
    health: Health,
    store: Store,
) -> tuple[LedgerUpdate, WorkspaceState]:
    """Turn outcomes into rows and write them: work of a store's thread."""
    pairs = ledger.older_days(workspace, outcomes)
    older = store.ledger_rows(pairs) if pairs else LedgerRows()
    post = partial(ledger.post, workspace, settle_after=settle_after, now=now, older=older)
    try:
        update = post(outcomes)
    except Exception:
        update = post(_without_broken(outcomes, post, health))
    if update.is_empty:
        return update, workspace
    generation = store.record(
        update, workspace_id=workspace.workspace.id, generation=workspace.generation, at=now, lease=lease
    )
    return update, ledger.apply(workspace, update, generation=generation)


def _without_broken(
    outcomes: Sequence[Outcome], post: Callable[[Sequence[Outcome]], LedgerUpdate], health: Health
) -> Sequence[Outcome]:
    """Leave out what was read of a database that the ledger cannot take, for a reason that nobody foresaw."""
    good: list[Outcome] = []
    for id_ in dict.fromkeys(outcome.database_id for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.database_id == id_]
        try:
            post(own)
        except Exception:
            log.exception("reading broke", database_id=id_)
            health.reading_failed(UNFORESEEN)
        else:
            good.extend(own)
    return good
