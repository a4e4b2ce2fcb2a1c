"""The rounds of all workspaces, each for itself: discover, plan, poll, ledger, store; then its state is replaced.

No round waits for another one, whatever the vendor answers to it: what two workspaces share is the store, for the
moment of a transaction, and a database that moves between them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import structlog

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import Config, Tokens
from prisma_postgres_exporter.errors import ApiError, CredentialRefused, NotAllowed, StoreChanged, StoreUnavailable
from prisma_postgres_exporter.ledger.plan import Plan, Planner
from prisma_postgres_exporter.model import (
    DatabaseState,
    Discovered,
    LedgerRows,
    LedgerState,
    LedgerUpdate,
    ReadingFailure,
    Workspace,
    WorkspaceState,
)
from prisma_postgres_exporter.rounds.attempts import Attempts
from prisma_postgres_exporter.rounds.changes import find_changes, workspace_gone
from prisma_postgres_exporter.rounds.filters import is_followed
from prisma_postgres_exporter.rounds.health import Health
from prisma_postgres_exporter.rounds.interpret import CLOCK_SKEW, LARGEST_SKEW
from prisma_postgres_exporter.rounds.inventory import Inventory, read_inventory
from prisma_postgres_exporter.rounds.polling import Outcome, Polling, poll
from prisma_postgres_exporter.rounds.readers import Reader, Readers
from prisma_postgres_exporter.rounds.turn import RoundReport, Turn
from prisma_postgres_exporter.rounds.vendor import MakeApi
from prisma_postgres_exporter.store import Store

log = structlog.get_logger(__name__)

ROUND_SPAN = timedelta(seconds=30)
"""A round makes no more requests than fit into this span: then it plans anew, with what it learned."""

RETRY_AFTER = timedelta(minutes=1)
"""How soon a discovery that failed, a store that cannot be written or a round that broke is tried again, at most."""

ASK_AGAIN = timedelta(seconds=5)
CLOSE_SECONDS = 5.0
STORE_RETRY = timedelta(seconds=5)
STORE_TRIES = 3

T = TypeVar("T")


class Collector:
    """Holds the ledger's state and runs the rounds that change it.

    `clock` gives aware UTC instants, `make_api` makes the client of a credential. The store is used in `store_threads`
    only. `on_change` is called when the state changed. Call `open` first; rounds of different workspaces may run at the
    same time, those of one run one after the other.
    """

    def __init__(
        self,
        *,
        config: Config,
        store: Store,
        health: Health,
        clock: Callable[[], datetime],
        store_threads: Executor,
        make_api: MakeApi,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self.ledger_state = LedgerState()
        self.readers = Readers(make_api, health, self.now)
        self.turns: dict[str, Turn] = {}
        self.store_error: str | None = None
        self.on_change = on_change
        self._store = store
        self._health = health
        self._clock = clock
        self._store_threads = store_threads
        self._planning = asyncio.Lock()
        self._is_stopping = False

    async def open(self) -> None:
        """Read the store back: what was known before the start is there before the first round."""
        now = self.now()
        self.ledger_state = await self.in_store(lambda store: store.load(now))
        for id_, workspace in self.ledger_state.workspaces.items():
            turn = self._turn(id_)
            turn.carried_on, turn.is_gone = now.date(), workspace.is_gone
            self._follow(id_)

    async def use_tokens(self, tokens: Tokens) -> tuple[str, ...]:
        """Read with these tokens from now on; returns the names of the new and changed credentials.

        A round that reads with a token that is gone ends, and stores what it has.
        """
        changed = await self.readers.use(self.config, tokens)
        await self._let_unclaimed_go()
        return changed

    def reconfigure(self, config: Config) -> None:
        """Use another configuration; rounds under way store what they have read, and begin anew."""
        self.config = config
        for id_, turn in self.turns.items():
            turn.planner = Planner(config.poll)
            turn.interrupted.set()
            self._follow(id_)
        self.on_change()

    async def identify(self, name: str) -> str | None:
        """Find out whose a credential is; returns the workspace's id, `None` where that is not known now."""
        workspace = await self.readers.identify(name)
        if workspace is None:
            return None
        turn = self._turn(workspace.id)
        if turn.failure is not None or turn.is_gone:
            turn.discovery_tried_at, turn.is_gone = None, False
        await self._let_unclaimed_go()
        return workspace.id

    async def close(self) -> None:
        """Store what could not be stored before, if that goes now, and end what is still waited for."""
        self.stop()
        await asyncio.gather(*(turn.polling.give_up() for turn in self.turns.values()))
        waiting = [turn for turn in self.turns.values() if turn.pending or turn.polling.outcomes]
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*(self._post(turn, turn.polling.take()) for turn in waiting))
        except TimeoutError:
            log.warning("the store does not answer")
        for turn in waiting:
            if turn.pending:
                log.warning("readings lost: they could not be stored", workspace_id=turn.workspace_id)
        await self.readers.close()

    def stop(self) -> None:
        """Let the rounds under way end, with what they have read by now."""
        self._is_stopping = True
        for turn in self.turns.values():
            turn.interrupted.set()

    async def round(self, workspace_id: str, *, is_only_one: bool = False) -> RoundReport:
        """Run one round: discover what exists when that is due, read what is due, store it every few seconds.

        One that `is_only_one` discovers, and reads all that is due except days of the past. Never raises for what the
        vendor, the store or a fault of our own does.
        """
        turn = self._turn(workspace_id)
        async with turn.running:
            started_at, started = self.now(), self._time()
            lag = None if turn.next_at is None else max(0.0, (started_at - turn.next_at).total_seconds())
            turn.next_at = None
            self._let_run(turn)
            try:
                report = await self._run(turn, is_only_one=is_only_one)
                turn.failures_in_a_row = 0
            except Exception:
                # Nobody foresaw it: it ends this round and nothing else.
                log.exception("round failed", workspace_id=workspace_id)
                self._health.round_failed(workspace_id)
                turn.failures_in_a_row += 1
                report = RoundReport(
                    workspace_id=workspace_id, started_at=started_at, seconds=0.0, next_at=self._soon(RETRY_AFTER)
                )
            if turn.interrupted.is_set():
                # By a reload: what is due may be something else now.
                report = replace(report, next_at=self.now())
            turn.report, turn.next_at = report, report.next_at
            turn.beat = self._time()
            if not turn.is_gone:
                self._health.round_finished(workspace_id, self._time() - started, lag, self.now())
        log.debug(
            "round finished",
            workspace_id=workspace_id,
            reads=report.reads,
            failed=report.failures,
            deferred=report.deferred,
            seconds=round(report.seconds, 3),
        )
        return report

    async def discover(self, workspace_id: str) -> None:
        """Find out what exists in a workspace, and store what changed, without reading anything."""
        turn = self._turn(workspace_id)
        async with turn.running:
            self._let_run(turn)
            await self._begin_day(turn)
            await self._discover(turn)

    async def read(self, workspace_id: str, plan: Plan) -> RoundReport:
        """Make all reads of a plan that somebody else made, however long it takes, and store what they give."""
        turn = self._turn(workspace_id)
        async with turn.running:
            self._let_run(turn)
            return await self._read(turn, plan, seconds=None)

    async def in_store(self, call: Callable[[Store], T]) -> T:
        """Return what `call` gets from the store, in one of the store's threads.

        Raises:
            StoreUnavailable: the store cannot be read or written now.
        """
        return await asyncio.get_running_loop().run_in_executor(self._store_threads, call, self._store)

    async def prune(self) -> None:
        """Remove raw readings that are older than the configuration keeps them; no total changes."""
        if not self._is_clock_right():
            return  # it would remove what is not old
        before = self.now() - self.config.store.keep_readings
        try:
            removed = await self.in_store(lambda store: store.prune(before))
        except StoreUnavailable as error:
            self._note_store_failure(error)
            return
        log.info("old readings removed", readings=removed, before=before.isoformat())

    def now(self) -> datetime:
        """The clock's instant, in whole seconds."""
        return self._clock().replace(microsecond=0)

    @property
    def followed(self) -> frozenset[str]:
        """The ids of the databases that are polled and shown."""
        return frozenset().union(*(turn.followed for turn in self.turns.values()))

    @property
    def workspace_failures(self) -> Mapping[str, str | None]:
        """Why a workspace could not be discovered the last time, `None` where it could, by id, of those tried."""
        return {id_: turn.failure for id_, turn in self.turns.items() if turn.was_tried and not turn.is_gone}

    def _let_run(self, turn: Turn) -> None:
        """What interrupted the last round is over, unless everything is to end."""
        if not self._is_stopping:
            turn.interrupted.clear()

    # A round ------------------------------------------------------------------------------------
    async def _run(self, turn: Turn, *, is_only_one: bool) -> RoundReport:
        started_at, started = self.now(), self._time()
        turn.beat = started
        await self._begin_day(turn)

        def report(next_at: datetime, *, is_stored: bool = True) -> RoundReport:
            return RoundReport(
                workspace_id=turn.workspace_id,
                started_at=started_at,
                seconds=self._time() - started,
                next_at=next_at,
                is_stored=is_stored,
            )

        if turn.pending and not await self._post(turn, ()):
            return report(self.now() + STORE_RETRY, is_stored=False)
        if self.readers.reader(turn.workspace_id) is None and self.readers.are_asking:
            return report(self.now() + ASK_AGAIN)
        if is_only_one or self._is_due(turn.discovery_tried_at, self._discovery_wait(turn)):
            await self._discover(turn)
        if turn.workspace_id in self.ledger_state.workspaces and self._is_due(
            turn.subscribed_at, self._subscription_wait(turn)
        ):
            await self._read_subscription(turn)
        plan = await self._plan(turn, budget=None if is_only_one else self._budget())
        is_idle = not plan.groups and not turn.polling.lagging
        if is_idle or self.readers.reader(turn.workspace_id) is None:
            return report(self._next_at(turn, plan))
        return await self._read(turn, plan, seconds=None if is_only_one else ROUND_SPAN.total_seconds())

    async def _read(self, turn: Turn, plan: Plan, *, seconds: float | None) -> RoundReport:
        started_at, started = self.now(), self._time()
        reads = 0
        reasons: Counter[str] = Counter()
        is_stored = True
        async with contextlib.aclosing(
            poll(
                turn.polling,
                plan.groups,
                hung=turn.attempts.hung,
                concurrency=self.config.poll.concurrency,
                seconds=seconds,
                stop=turn.interrupted,
            )
        ) as batches:
            async for outcomes in batches:
                turn.beat = self._time()
                reads += len(outcomes)
                reasons.update(row.reason for row in outcomes if isinstance(row, ReadingFailure))
                turn.attempts.note(outcomes)
                is_stored = await self._post(turn, outcomes)
                if not is_stored:
                    break
        self._note_polling(turn, is_read=reads > reasons.total())
        # With reads left over there is no need to look: the next round is due at once.
        again = plan if plan.deferred else await self._plan(turn, budget=self._budget())
        next_at = self.now() if plan.deferred else self._next_at(turn, again)
        if not is_stored:
            next_at = max(next_at, self.now() + STORE_RETRY)
        elif turn.polling.error is not None:
            next_at = self._soon(RETRY_AFTER)
        return RoundReport(
            workspace_id=turn.workspace_id,
            started_at=started_at,
            seconds=self._time() - started,
            next_at=next_at,
            reads=reads,
            failure_reasons=reasons,
            deferred=again.deferred,
            is_stored=is_stored,
        )

    async def _plan(self, turn: Turn, *, budget: int | None) -> Plan:
        now = self.now()
        workspace = self.ledger_state.workspaces.get(turn.workspace_id)
        if workspace is None or workspace.is_gone:
            return Plan(groups=(), deferred=0, next_due_at=now + self.config.discovery.interval)
        # What is still waited for is not asked again.
        followed = turn.followed - turn.missing.keys() - turn.polling.busy_since.keys()
        # In a thread: of a thousand databases that were never read it takes a tenth of a second. One after the other:
        # many threads that compute at once leave the event loop a small part of the time.
        async with self._planning:
            return await asyncio.to_thread(
                turn.planner.plan, workspace, followed=followed, attempts=turn.attempts.tried, budget=budget, now=now
            )

    def _budget(self) -> int:
        return max(1, int(self.config.poll.requests_per_second * ROUND_SPAN.total_seconds()))

    def _next_at(self, turn: Turn, plan: Plan) -> datetime:
        """When something is due again: a read, if there is a reader, a discovery, or a subscription."""
        tried_at = turn.discovery_tried_at
        due = [self.now() if tried_at is None else tried_at + self._discovery_wait(turn)]
        if turn.subscribed_at is not None:
            due.append(turn.subscribed_at + self._subscription_wait(turn))
        if turn.polling.lagging:
            due.append(self.now() + ASK_AGAIN)
        if self.readers.reader(turn.workspace_id) is not None:
            due.append(self.now() if plan.groups else plan.next_due_at)
        return max(self.now(), min(due))

    def _note_polling(self, turn: Turn, *, is_read: bool) -> None:
        reader, error = self.readers.reader(turn.workspace_id), turn.polling.error
        if reader is None:
            return
        self._compare_clock(reader)
        if error is not None:
            log.warning("rest of the reads put off", workspace_id=turn.workspace_id, reason=error.reason)
        # A vendor that is down or a workspace that is blocked says nothing of the credential.
        if isinstance(error, CredentialRefused):
            self.readers.note_error(reader, error)
        elif is_read:
            self.readers.note_success(reader)

    async def _begin_day(self, turn: Turn) -> None:
        """Let go of what is not held any more on this day; after a clock that was set back, read it anew."""
        now = self.now()
        if turn.carried_on == now.date():
            return
        async with turn.lock:
            workspace = self.ledger_state.workspaces.get(turn.workspace_id)
            if workspace is not None and turn.carried_on is not None and turn.carried_on < now.date():
                # And of those that nobody collects any more: no round of theirs would.
                gone = [row for row in self.ledger_state.workspaces.values() if row.is_gone and row is not workspace]
                self._replace(*(ledger.carry_workspace(row, now) for row in (workspace, *gone)))
            elif workspace is not None:
                await self._reload([turn.workspace_id])
            turn.carried_on = now.date()

    # Discovery ----------------------------------------------------------------------------------
    def _discovery_wait(self, turn: Turn) -> timedelta:
        interval = self.config.discovery.interval
        return interval if turn.failure is None else min(interval, RETRY_AFTER)

    def _subscription_wait(self, turn: Turn) -> timedelta:
        interval = self.config.discovery.subscription_interval
        return interval if turn.is_subscription_read else min(interval, RETRY_AFTER)

    async def _discover(self, turn: Turn) -> None:
        turn.discovery_tried_at = self.now()
        turn.was_tried = True
        tried: set[Reader] = set()
        while (reader := self.readers.reader(turn.workspace_id)) is not None and reader not in tried:
            tried.add(reader)
            # Another credential of the workspace may be allowed what this one is not.
            if await self._discover_with(turn, reader):
                return
        if reader is None:
            self._fail_discovery(turn, self.readers.why_unread(turn.workspace_id))

    async def _discover_with(self, turn: Turn, reader: Reader) -> bool:
        """Look what one credential sees; whether there is nothing that another one could do better."""
        now = self.now()
        try:
            me = await reader.api.me()
            self._beat(turn)
            inventory = None
            if me.workspace is not None and me.workspace.id == turn.workspace_id:
                workspace = Workspace(id=me.workspace.id, name=me.workspace.name)
                inventory = await read_inventory(reader.api, workspace, on_page=partial(self._beat, turn))
        except ApiError as error:
            if not self._is_in_force(turn, reader):
                return True
            self.readers.note_error(reader, error)
            self._fail_discovery(turn, error.reason, str(error))
            return not isinstance(error, CredentialRefused | NotAllowed)
        if not self._is_in_force(turn, reader):
            return True
        if inventory is None:
            self._fail_discovery(turn, "other_workspace", "the token is of another workspace now")
            return True
        if not self._compare_clock(reader):
            self._fail_discovery(turn, CLOCK_SKEW, "this machine's clock is wrong: nothing is written")
            return True
        self.readers.note_success(reader)
        await self._store_discovery(turn, reader, inventory, now)
        return True

    def _is_in_force(self, turn: Turn, reader: Reader) -> bool:
        """Whether what was asked with `reader` counts: else it is asked again at once."""
        if self.readers.is_current(reader) and not turn.interrupted.is_set():
            return True
        turn.discovery_tried_at = None
        return False

    async def _store_discovery(self, turn: Turn, reader: Reader, inventory: Inventory, now: datetime) -> None:
        """Write what an inventory of `now` changes; a database that moves changes both workspaces, under both locks."""
        for reason, count in inventory.refused.items():
            self._health.record_refused(reason, count)
            if turn.refused.get(reason) != count:
                log.warning("records left out", workspace_id=turn.workspace_id, reason=reason, records=count)
        turn.refused = inventory.refused
        missing = self._missing(turn, inventory, now)
        is_stored, discovered = await self._stored(
            lambda: self._record_inventory(turn, reader, inventory, missing, now)
        )
        if not is_stored:
            self._fail_discovery(turn, "store_unavailable")
            return
        if not self._is_in_force(turn, reader):
            return
        turn.listed, turn.missing, turn.discovered_at = inventory.listed_ids, missing, now
        if turn.failure is not None:
            log.info("workspace recovered", workspace_id=turn.workspace_id)
            # What failed meanwhile is overdue: it waits for no second try.
            turn.attempts.forget_all()
        turn.failure = None
        if discovered is not None:
            self._log_events(discovered)
        self._follow(turn.workspace_id)
        self.on_change()

    async def _record_inventory(
        self, turn: Turn, reader: Reader, inventory: Inventory, missing: Mapping[str, datetime], now: datetime
    ) -> Discovered | None:
        holders = {state.database.workspace_id for state in self._held_elsewhere(turn, inventory).values()}
        async with self._locked({turn.workspace_id, *holders}):
            if not self._is_in_force(turn, reader):
                return None
            known = self.ledger_state.workspaces.get(turn.workspace_id)
            elsewhere = self._held_elsewhere(turn, inventory)
            moving = {id_: state for id_, state in elsewhere.items() if self._is_moving(turn, state)}
            # One that moves now was held by a workspace whose lock is not ours: the next discovery takes it.
            moving = {id_: state for id_, state in moving.items() if state.database.workspace_id in holders}
            staying = elsewhere.keys() - moving.keys()
            discovered = find_changes(
                known,
                inventory,
                moving=moving,
                staying=staying,
                kept=missing,
                before_at=turn.discovered_at or _newest_success(known),
                now=now,
            )
            if discovered.is_empty:
                self._health.record_refused("listed_twice", len(staying))
                return None
            concerned = [turn.workspace_id, *{state.database.workspace_id for state in moving.values()}]
            await self._write_discovered(discovered, concerned)
            self._health.record_refused("listed_twice", len(staying))
        for id_ in concerned:
            self._follow(id_)
        return discovered

    async def _write_discovered(self, discovered: Discovered, concerned: Collection[str]) -> None:
        """Write what changes in these workspaces, whose locks are held, and read them back, also if another wrote."""
        states = self.ledger_state.workspaces
        generations = {id_: states[id_].generation for id_ in concerned if id_ in states}
        try:
            await self.in_store(lambda store: store.record_discovery(discovered, generations=generations))
        except StoreChanged:
            await self._reload(concerned)
            raise
        await self._reload(concerned)
        self._note_store_success()

    def _held_elsewhere(self, turn: Turn, inventory: Inventory) -> dict[str, DatabaseState]:
        """The listed databases that another workspace holds."""
        ids = {database.id for database in inventory.databases}
        return {
            id_: row.databases[id_]
            for row in self.ledger_state.workspaces.values()
            if row.workspace.id != turn.workspace_id
            for id_ in ids & row.databases.keys()
        }

    def _is_moving(self, turn: Turn, state: DatabaseState) -> bool:
        """Whether a database that another workspace holds comes to this one.

        It does if it is new here, if its holder does not list it any more, or if nobody reads its holder. One that
        both go on listing stays where it is: it would move with every discovery.
        """
        id_ = state.database.id
        holder = self.turns.get(state.database.workspace_id)
        if state.deleted_at is not None or holder is None or self.readers.reader(holder.workspace_id) is None:
            return True
        if holder.listed is not None and id_ not in holder.listed:
            return True
        return turn.listed is not None and id_ not in turn.listed

    def _missing(self, turn: Turn, inventory: Inventory, now: datetime) -> dict[str, datetime]:
        """Give a database that is not listed any more until the next discovery, if it may have moved elsewhere.

        It is not shown meanwhile. Its new workspace's next discovery takes it with its history.
        """
        known = self.ledger_state.workspaces.get(turn.workspace_id)
        others = [id_ for id_ in self.turns if id_ != turn.workspace_id and self.readers.reader(id_) is not None]
        if known is None or not others or not inventory.is_complete:
            return {}
        listed = inventory.listed_ids
        return {
            id_: now
            for id_, state in known.databases.items()
            if state.deleted_at is None and id_ not in listed and id_ not in turn.missing
        }

    async def _read_subscription(self, turn: Turn) -> None:
        reader = self.readers.reader(turn.workspace_id)
        if reader is None:
            return
        turn.subscribed_at, turn.is_subscription_read = self.now(), False
        try:
            said = await reader.api.subscription(turn.workspace_id)
        except ApiError as error:
            log.warning("subscription not read", workspace_id=turn.workspace_id, reason=error.reason)
            return
        self._beat(turn)
        if not self.readers.is_current(reader) or not self._compare_clock(reader):
            return

        async def write() -> bool:
            async with turn.lock:
                held = self.ledger_state.workspaces[turn.workspace_id].workspace
                workspace = replace(held, plan=said.plan_name, usage_blocked=said.usage_blocked)
                if workspace == held or turn.is_gone:
                    return False
                await self._write_discovered(Discovered(at=self.now(), workspaces=(workspace,)), [turn.workspace_id])
                return True

        turn.is_subscription_read, is_changed = await self._stored(write)
        if is_changed:
            log.info(
                "subscription read",
                workspace_id=turn.workspace_id,
                plan=said.plan_name,
                usage_blocked=said.usage_blocked,
            )
            self.on_change()

    async def _let_unclaimed_go(self) -> None:
        """Workspaces of which there is no credential any more leave what is shown; their ledger stays."""
        if not self.readers.are_all_known or not self._is_clock_right():
            return  # a credential that cannot say whose it is may be any workspace's
        for id_ in {*self.turns, *self.ledger_state.workspaces} - self.readers.workspace_ids:
            held = self.ledger_state.workspaces.get(id_)
            if not self._turn(id_).is_gone or (held is not None and not held.is_gone):
                await self._let_go(id_)

    async def _let_go(self, workspace_id: str) -> None:
        turn = self._turn(workspace_id)
        turn.is_gone = True
        turn.interrupted.set()

        async def write() -> Discovered | None:
            async with turn.lock:
                held = self.ledger_state.workspaces.get(workspace_id)
                if held is None or held.is_gone:
                    return None
                discovered = workspace_gone(held.workspace, self.now())
                await self._write_discovered(discovered, [workspace_id])
                return discovered

        _, discovered = await self._stored(write)
        if discovered is not None:
            self._log_events(discovered)
        self._follow(workspace_id)
        self._health.workspace_gone(workspace_id)
        self.on_change()

    def _fail_discovery(self, turn: Turn, reason: str, message: str = "") -> None:
        if turn.failure != reason:
            log.warning("workspace failing", workspace_id=turn.workspace_id, reason=reason, error=message or None)
            turn.failure = reason
            self.on_change()

    def _follow(self, workspace_id: str) -> None:
        """Choose anew which databases are polled and shown."""
        turn, workspace = self.turns.get(workspace_id), self.ledger_state.workspaces.get(workspace_id)
        if turn is None or workspace is None or turn.is_gone:
            if turn is not None:
                turn.followed = frozenset()
            return
        turn.followed = frozenset(
            id_
            for id_, state in workspace.databases.items()
            if state.deleted_at is None
            and not workspace.is_gone
            and id_ not in turn.missing
            and is_followed(state.database, workspace_name=workspace.workspace.name, discovery=self.config.discovery)
        )
        turn.attempts.forget_all_but(workspace.databases)

    def _turn(self, workspace_id: str) -> Turn:
        turn = self.turns.get(workspace_id)
        if turn is None:
            turn = self.turns[workspace_id] = Turn(
                workspace_id=workspace_id,
                planner=Planner(self.config.poll),
                attempts=Attempts(self._health),
                polling=Polling(lambda: self.readers.reader(workspace_id), self._clock),
                beat=self._time(),
            )
        return turn

    def _beat(self, turn: Turn) -> None:
        """Note a sign of life."""
        turn.beat = self._time()

    # Store --------------------------------------------------------------------------------------
    async def _post(self, turn: Turn, outcomes: Sequence[Outcome]) -> bool:
        """Store what was read, and what could not be stored before; whether it is stored now."""
        reader = self.readers.reader(turn.workspace_id)
        if reader is not None and not self._compare_clock(reader):
            # What failed is dated by a clock that is wrong.
            outcomes = [row for row in outcomes if not isinstance(row, ReadingFailure)]
        kept = [row for row in outcomes if not isinstance(row, ReadingFailure) or row.reason != CLOCK_SKEW]
        turn.pending.extend(kept)
        if not turn.pending:
            return True
        posted = tuple(turn.pending)

        async def write() -> LedgerUpdate:
            async with turn.lock:
                workspace = self.ledger_state.workspaces[turn.workspace_id]
                try:
                    update, after = await self.in_store(
                        partial(_record, workspace, posted, self.config.poll.settle_after, self.now())
                    )
                except StoreChanged:
                    await self._reload([turn.workspace_id])
                    raise
                self._replace(after)
                if not update.is_empty:
                    self._note_store_success()
                return update

        is_stored, update = await self._stored(write)
        if is_stored:
            turn.pending = []
        if update is not None:
            self._log_failures(update)
            self.on_change()
        return is_stored

    @contextlib.asynccontextmanager
    async def _locked(self, workspace_ids: Collection[str]) -> AsyncIterator[None]:
        """Hold the locks of these workspaces, taken in the order of their ids."""
        async with contextlib.AsyncExitStack() as stack:
            for id_ in sorted(workspace_ids):
                await stack.enter_async_context(self._turn(id_).lock)
            yield

    async def _reload(self, workspace_ids: Iterable[str]) -> None:
        ids, now = tuple(workspace_ids), self.now()
        loaded = await self.in_store(lambda store: store.load_workspaces(ids, now))
        self._replace(*loaded.values())

    def _replace(self, *workspaces: WorkspaceState) -> None:
        self.ledger_state = self.ledger_state.with_workspaces(*workspaces)

    async def _stored(self, write: Callable[[], Awaitable[T]]) -> tuple[bool, T | None]:
        """Run `write` on the newest state; whether it came through, and what it returned."""
        try:
            for _ in range(STORE_TRIES):
                try:
                    written = await write()
                except StoreChanged:
                    continue
                return True, written
        except StoreUnavailable as error:
            self._note_store_failure(error)
        return False, None

    def _note_store_failure(self, error: StoreUnavailable) -> None:
        self._health.store_failed()
        if self.store_error is None:
            log.error("store not writable", error=str(error))
        self.store_error = str(error)

    def _note_store_success(self) -> None:
        if self.store_error is not None:
            log.info("store writable again")
        self.store_error = None

    # Clock --------------------------------------------------------------------------------------
    def _compare_clock(self, reader: Reader) -> bool:
        """Whether our clock agrees with the vendor's, as far as the newest answer tells."""
        skew = reader.api.skew_seconds
        overall = self.readers.skew_seconds
        if overall is not None:
            self._health.clock_compared(overall)
        return skew is None or abs(skew) <= LARGEST_SKEW.total_seconds()

    def _is_clock_right(self) -> bool:
        skew = self.readers.skew_seconds
        return skew is None or abs(skew) <= LARGEST_SKEW.total_seconds()

    def _is_due(self, last_at: datetime | None, interval: timedelta) -> bool:
        """Also when the clock was set back: what was done in the future was not done."""
        return last_at is None or not timedelta(0) <= self.now() - last_at < interval

    def _soon(self, at_most: timedelta) -> datetime:
        return self.now() + min(at_most, self.config.poll.interval)

    def _time(self) -> float:
        return asyncio.get_running_loop().time()

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

    def _log_failures(self, update: LedgerUpdate) -> None:
        for before, after in zip(update.before, update.after, strict=True):
            if before.failing_since_at is None and after.failing_since_at is not None:
                log.warning("database failing", database_id=after.database.id, reason=after.failure_reason)
            if before.failing_since_at is not None and after.failing_since_at is None:
                log.info("database recovered", database_id=after.database.id)


def _record(
    workspace: WorkspaceState, outcomes: Sequence[Outcome], settle_after: timedelta, now: datetime, store: Store
) -> tuple[LedgerUpdate, WorkspaceState]:
    """Turn outcomes into rows and write them: work of a store's thread."""
    pairs = ledger.older_days(workspace, outcomes)
    older = store.ledger_rows(pairs) if pairs else LedgerRows()
    post = partial(ledger.post, workspace, settle_after=settle_after, now=now, older=older)
    try:
        update = post(outcomes)
    except Exception:
        update = post(_without_broken(outcomes, post))
    if update.is_empty:
        return update, workspace
    generation = store.record(update, workspace_id=workspace.workspace.id, generation=workspace.generation, at=now)
    return update, ledger.apply(workspace, update, generation=generation)


def _without_broken(
    outcomes: Sequence[Outcome], post: Callable[[Sequence[Outcome]], LedgerUpdate]
) -> Sequence[Outcome]:
    """Leave out what was read of a database that the ledger cannot take, for a reason that nobody foresaw."""
    good: list[Outcome] = []
    for id_ in dict.fromkeys(outcome.database_id for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.database_id == id_]
        try:
            post(own)
        except Exception:
            log.exception("reading broke", database_id=id_)
        else:
            good.extend(own)
    return good


def _newest_success(workspace: WorkspaceState | None) -> datetime | None:
    """When something of a workspace was read last: before it, it had been discovered."""
    if workspace is None:
        return None
    read = (state.last_success_at for state in workspace.databases.values() if state.last_success_at is not None)
    return max(read, default=workspace.first_seen_at)
