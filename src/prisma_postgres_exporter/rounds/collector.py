"""The rounds of all workspaces, each for itself: discover, plan, poll, ledger, store; then its state is replaced.

No round waits for another one, whatever the vendor answers to it: what two workspaces share is the store, for the
moment of a transaction, and a database that moves between them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TypeVar

import structlog

from prisma_postgres_exporter.config import Config, Tokens
from prisma_postgres_exporter.errors import CredentialRefused, StoreUnavailable
from prisma_postgres_exporter.ledger.plan import ROUND_SPAN, Plan
from prisma_postgres_exporter.model import LedgerState, LedgerUpdate, ReadingFailure
from prisma_postgres_exporter.reasons import meaning_of
from prisma_postgres_exporter.rounds.discovery import RETRY_AFTER, Discovery
from prisma_postgres_exporter.rounds.health import Health
from prisma_postgres_exporter.rounds.interpret import CLOCK_SKEW
from prisma_postgres_exporter.rounds.leases import Leases, Unshared
from prisma_postgres_exporter.rounds.polling import Outcome, poll
from prisma_postgres_exporter.rounds.readers import Readers
from prisma_postgres_exporter.rounds.stored import StoredLedger
from prisma_postgres_exporter.rounds.turn import RoundReport, Turn, Turns
from prisma_postgres_exporter.rounds.vendor import MakeApi
from prisma_postgres_exporter.store import Store
from prisma_postgres_exporter.tracing import span

log = structlog.get_logger(__name__)

ASK_AGAIN = timedelta(seconds=5)
UNKNOWN = "http_404"
CLOSE_SECONDS = 5.0
STORE_RETRY = timedelta(seconds=5)

T = TypeVar("T")


class Collector:
    """Runs the rounds of every workspace.

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
        leases: Leases | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.on_change = on_change
        self.leases = leases or Unshared()
        self.ledger = StoredLedger(store, store_threads, health, self.now, self.leases)
        self.readers = Readers(make_api, health, self.now)
        self.turns = Turns(config, self.ledger, self.readers, health, clock)
        self._discovery = Discovery(
            self.turns, self.ledger, self.readers, health, self.leases, now=self.now, on_change=self._changed
        )
        self._health = health
        self._clock = clock
        self._planning = asyncio.Lock()
        self._is_stopping = False
        self._caught_up_on: date | None = None

    async def open(self) -> None:
        """Read the store back: what was known before the start is there before the first round."""
        await self.ledger.load()
        for id_ in self.ledger_state.workspaces:
            self._begin_turn(id_, carried_on=self.now().date())

    async def catch_up(self) -> None:
        """Show what other processes wrote since: their rounds, backfills and repairs.

        Raises:
            StoreUnavailable: the store cannot be read now.
        """
        before = self.ledger_state
        today = self.now().date()
        if self._caught_up_on != today:
            # Rounds of our own begin the day of theirs.
            await self.ledger.begin_day_elsewhere([id_ for id_ in before.workspaces if not self.leases.holds(id_)])
            self._caught_up_on = today
        for id_ in await self.ledger.catch_up():
            if id_ not in self.turns:
                self._begin_turn(id_, carried_on=today)
            elif not self.leases.holds(id_):
                self.turns.of(id_).is_gone = self.ledger_state.workspaces[id_].is_gone
            self.turns.follow(id_)
        if self.ledger_state is not before:
            self.on_change()

    async def let_unclaimed_go(self) -> None:
        """Workspaces of which no process has a credential any more leave what is shown; their ledger stays."""
        await self._discovery.let_unclaimed_go()

    async def hand_over(self, workspace_id: str) -> None:
        """End the round of a workspace that another process is to collect, and forget what was between its rounds.

        What was read is stored where the lease is still held; else the other reads it again.
        """
        turn = self.turns.of(workspace_id)
        turn.interrupted.set()
        async with turn.running:
            await turn.polling.give_up()
            await turn.look_no_more()
            if self.leases.holds(workspace_id):
                await self._post(turn, turn.polling.take())
            self._health.workspace_gone(workspace_id)
            self.turns.drop(workspace_id)
            self._begin_turn(workspace_id, carried_on=None)
        # Its round would have begun the day.
        await self.ledger.begin_day_elsewhere([workspace_id])
        self.on_change()

    def _begin_turn(self, workspace_id: str, *, carried_on: date | None) -> None:
        """Make a workspace's turn; where it is not known of which day its state is, its first round reads it anew."""
        turn, workspace = self.turns.of(workspace_id), self.ledger_state.workspaces.get(workspace_id)
        turn.carried_on, turn.is_gone = carried_on, workspace is not None and workspace.is_gone
        self.turns.follow(workspace_id)

    async def use_tokens(self, tokens: Tokens) -> tuple[str, ...]:
        """Read with these tokens from now on; returns the names of the new and changed credentials.

        A round that reads with a token that is gone ends, and stores what it has.
        """
        changed = await self.readers.use(self.config, tokens)
        await self._discovery.let_unclaimed_go()
        return changed

    def reconfigure(self, config: Config) -> None:
        """Use another configuration; rounds under way store what they have read, and begin anew."""
        self.turns.reconfigure(config)
        self.on_change()

    async def identify(self, name: str) -> str | None:
        """Find out whose a credential is; returns the workspace's id, `None` where that is not known now."""
        workspace = await self.readers.identify(name)
        if workspace is None:
            return None
        turn = self.turns.of(workspace.id)
        if turn.failure is not None or turn.is_gone:
            turn.discovery_tried_at, turn.is_gone = None, False
        await self._discovery.let_unclaimed_go()
        return workspace.id

    async def close(self) -> None:
        """Store what could not be stored before, if that goes now, and end what is still waited for."""
        self.stop()
        await asyncio.gather(*(turn.polling.give_up() for turn in self.turns.values()))
        await asyncio.gather(*(turn.look_no_more() for turn in self.turns.values()))
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
        self.ledger.hurry()
        for turn in self.turns.values():
            turn.interrupted.set()

    async def round(self, workspace_id: str, *, is_only_one: bool = False) -> RoundReport:
        """Run one round: discover what exists when that is due, read what is due, store it every few seconds.

        One that `is_only_one` discovers, and reads all that is due except days of the past. Never raises for what the
        vendor, the store or a fault of our own does.
        """
        turn = self.turns.of(workspace_id)
        async with turn.running:
            started_at, started = self.now(), self._time()
            lag = None if turn.next_at is None else max(0.0, (started_at - turn.next_at).total_seconds())
            turn.next_at = None
            self._let_run(turn)
            try:
                report = await self._traced(turn, is_only_one=is_only_one)
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
            if turn.has_looked and turn.first_round_ended_at is None:
                turn.first_round_ended_at = self.now()
            turn.live()
            if not turn.is_gone:
                self._health.round_finished(workspace_id, self._time() - started, lag, self.now())
                self._note_learned(turn)
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
        turn = self.turns.of(workspace_id)
        async with turn.running:
            self._let_run(turn)
            await self._begin_day(turn)
            await self._discovery.discover(turn)

    async def read(self, workspace_id: str, plan: Plan) -> RoundReport:
        """Make all reads of a plan that somebody else made, however long it takes, and store what they give."""
        turn = self.turns.of(workspace_id)
        async with turn.running:
            self._let_run(turn)
            return await self._read(turn, plan, seconds=None)

    async def store_pending(self, workspace_id: str) -> bool:
        """Store what was read of a workspace and could not be stored before; whether nothing of it is left."""
        turn = self.turns.of(workspace_id)
        async with turn.running:
            return await self._post(turn, turn.polling.take())

    async def in_store(self, call: Callable[[Store], T]) -> T:
        """Return what `call` gets from the store, in one of the store's threads.

        Raises:
            StoreUnavailable: the store cannot be read or written now.
        """
        return await self.ledger.in_store(call)

    async def prune(self) -> None:
        """Remove raw readings that are older than the configuration keeps them; no total changes."""
        # A clock that is wrong would remove what is not old.
        if self.readers.is_clock_right:
            await self.ledger.prune(self.now() - self.config.store.keep_readings)

    def now(self) -> datetime:
        """The clock's instant, in whole seconds."""
        return self._clock().replace(microsecond=0)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.turns.config

    @property
    def ledger_state(self) -> LedgerState:
        """What is held of every workspace, as the store has it."""
        return self.ledger.state

    @property
    def followed(self) -> frozenset[str]:
        """The ids of the databases that are polled and shown."""
        return frozenset().union(*(turn.followed for turn in self.turns.values()))

    @property
    def unread(self) -> frozenset[str]:
        """The ids of the databases whose reading is due, while no credential in use may read them."""
        return frozenset().union(*(turn.unread for turn in self.turns.values()))

    @property
    def receivers(self) -> tuple[str, ...]:
        """The workspaces to which something moved that looked too early to know: the next discovery takes it."""
        return self._discovery.receivers

    @property
    def has_looked_everywhere(self) -> bool:
        """Whether since the start each token was tried, and each workspace that is collected here was looked at."""
        turns = [turn for id_, turn in self.turns.items() if not turn.is_gone and self.leases.holds(id_)]
        states = self.readers.states.values()
        return all(state.is_identified or state.problem for state in states) and all(
            turn.first_round_ended_at for turn in turns
        )

    @property
    def workspace_failures(self) -> Mapping[str, str | None]:
        """Why a workspace could not be discovered the last time, `None` where it could, by id, of those tried."""
        return {id_: turn.failure for id_, turn in self.turns.items() if turn.was_tried and not turn.is_gone}

    @property
    def widened_windows(self) -> Mapping[str, int]:
        """For how many databases the newest answer covers more time than was asked, by window in use that was read."""
        in_use = {"day", "month", *(window.name for window in self.config.poll.windows)}
        widened: Counter[str] = Counter()
        for turn in self.turns.values():
            if not turn.is_gone:
                widened.update({name: len(ids) for name, ids in turn.attempts.widened.items() if name in in_use})
        return widened

    def waits(self) -> Mapping[str, datetime]:
        """Until when the vendor asked to be left alone, by the id of each database it said so of."""
        now = self.now()
        return {id_: until for turn in self.turns.values() for id_, until in turn.attempts.waits(now).items()}

    def _changed(self) -> None:
        self.on_change()

    # A round ------------------------------------------------------------------------------------
    def _let_run(self, turn: Turn) -> None:
        """What interrupted the last round is over, unless everything is to end."""
        if not self._is_stopping:
            turn.interrupted.clear()

    async def _traced(self, turn: Turn, *, is_only_one: bool) -> RoundReport:
        with span("round", {"workspace.id": turn.workspace_id}) as traced:
            report = await self._run(turn, is_only_one=is_only_one)
            traced.set("readings", report.reads - report.failures)
            traced.set("readings.failed", report.failures)
            traced.set("readings.deferred", report.deferred)
            if not report.is_stored:
                traced.fail("store_unavailable")
            return report

    async def _run(self, turn: Turn, *, is_only_one: bool) -> RoundReport:
        started_at, started = self.now(), self._time()
        turn.live()

        def report(next_at: datetime, *, is_stored: bool = True) -> RoundReport:
            return RoundReport(
                reads=len(late),
                failure_reasons=_reasons(late),
                workspace_id=turn.workspace_id,
                started_at=started_at,
                seconds=self._time() - started,
                next_at=next_at,
                is_stored=is_stored,
            )

        late: Sequence[Outcome] = ()
        try:
            await self._begin_day(turn)
            # What came after the last round: planned without it, it would be asked for again.
            late = self._noted(turn, turn.polling.take())
            is_stored = not (turn.pending or late) or await self._post(turn, late)
        except StoreUnavailable:
            is_stored = False
        if not is_stored:
            return report(self.now() + STORE_RETRY, is_stored=False)
        if self.readers.reader(turn.workspace_id) is None and self.readers.are_asking:
            return report(self.now() + ASK_AGAIN)
        await self._discovery.run_due(turn, is_asked_for=is_only_one)
        has_reader = self.readers.reader(turn.workspace_id) is not None
        plan = await self._plan(turn, budget=None if is_only_one or not has_reader else self._budget())
        self._note_unread(turn, frozenset() if has_reader else plan.open_days)
        if not has_reader or not (plan.groups or turn.polling.lagging):
            return report(self._next_at(turn, plan))
        done = await self._read(turn, plan, seconds=None if is_only_one else ROUND_SPAN.total_seconds())
        reasons = Counter(done.failure_reasons) + _reasons(late)
        return replace(done, reads=done.reads + len(late), failure_reasons=reasons)

    def _note_unread(self, turn: Turn, unread: frozenset[str]) -> None:
        if turn.unread != unread:
            turn.unread = unread
            self.on_change()

    def _note_learned(self, turn: Turn) -> None:
        before, learned = turn.learned, turn.planner.learned(self.now())
        turn.learned = learned
        made, saved = (0, 0) if learned is None else (learned.made, learned.saved)
        if before is not None:
            made, saved = made - before.made, saved - before.saved
        self._health.learned(turn.workspace_id, learned, made=made, saved=saved)

    async def _begin_day(self, turn: Turn) -> None:
        today = self.now().date()
        if turn.carried_on != today:
            await self.ledger.begin_day(turn.workspace_id, after=turn.carried_on)
            turn.carried_on = today

    async def _plan(self, turn: Turn, *, budget: int | None) -> Plan:
        now = self.now()
        workspace = self.ledger_state.workspaces.get(turn.workspace_id)
        if workspace is None or workspace.is_gone:
            return Plan(groups=(), deferred=0, next_due_at=now + self.config.discovery.interval)
        # What is still waited for is not asked again.
        followed = turn.followed - turn.missing.keys() - turn.polling.busy
        # In a thread: of a thousand databases that were never read it takes a tenth of a second. One after the other:
        # many threads that compute at once leave the event loop a small part of the time.
        async with self._planning:
            return await asyncio.to_thread(
                turn.planner.plan,
                workspace,
                followed=followed,
                attempts=turn.attempts.tried,
                budget=budget,
                now=now,
                is_watched=turn.is_watched,
            )

    def _budget(self) -> int:
        return max(1, int(self.config.poll.requests_per_second * ROUND_SPAN.total_seconds()))

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
                turn.live()
                reads += len(outcomes)
                reasons += _reasons(outcomes)
                is_stored = await self._post(turn, self._noted(turn, outcomes))
                if not is_stored or not self.leases.holds(turn.workspace_id):
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

    def _noted(self, turn: Turn, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Let the next plans know what was read."""
        turn.attempts.note(outcomes)
        turn.planner.note(outcomes)
        return outcomes

    async def _post(self, turn: Turn, outcomes: Sequence[Outcome]) -> bool:
        """Store what was read, and what could not be stored before; whether it is stored now."""
        reader = self.readers.reader(turn.workspace_id)
        if reader is not None and not self.readers.compare_clock(reader):
            # What failed is dated by a clock that is wrong.
            outcomes = [row for row in outcomes if not isinstance(row, ReadingFailure)]
        turn.pending += [row for row in outcomes if not isinstance(row, ReadingFailure) or row.reason != CLOCK_SKEW]
        if not turn.pending:
            return True
        settle_after = self.config.poll.settle_after
        update = await self.ledger.record(turn.workspace_id, tuple(turn.pending), settle_after=settle_after)
        if update is None:
            return False
        turn.pending = []
        _log_failures(update, turn.attempts.waits(self.now()))
        if _is_newly_unknown(update):
            # Deleted, most likely: the next round looks, and does not wait for its discovery's time.
            turn.discovery_tried_at = None
        self.on_change()
        return True

    def _note_polling(self, turn: Turn, *, is_read: bool) -> None:
        reader, error = self.readers.reader(turn.workspace_id), turn.polling.error
        if reader is None:
            return
        self.readers.compare_clock(reader)
        if error is not None and turn.put_off != error.reason:
            log.warning(
                "rest of the reads put off",
                workspace_id=turn.workspace_id,
                reason=error.reason,
                advice=meaning_of(error.reason),
            )
            turn.put_off = error.reason
        elif error is None and is_read and turn.put_off is not None:
            log.info("reads go on", workspace_id=turn.workspace_id)
            turn.put_off = None
        # A vendor that is down or a workspace that is blocked says nothing of the credential.
        if isinstance(error, CredentialRefused):
            self.readers.note_error(reader, error)
            if turn.failure is None:
                # The workspace may be out of reach: the next round looks, and does not wait for its discovery's time.
                turn.discovery_tried_at = None
        elif is_read:
            self.readers.note_success(reader)

    def looks_at(self, turn: Turn) -> datetime:
        """When databases are looked for in a workspace next."""
        return self._discovery.looks_at(turn)

    def _next_at(self, turn: Turn, plan: Plan) -> datetime:
        """When something is due again: a discovery, a subscription, or a read, if there is a reader."""
        due = [self._discovery.next_at(turn)]
        if turn.polling.lagging:
            due.append(self.now() + ASK_AGAIN)
        if self.readers.reader(turn.workspace_id) is not None:
            due.append(self.now() if plan.groups else plan.next_due_at)
        return max(self.now(), min(due))

    def _soon(self, at_most: timedelta) -> datetime:
        return self.now() + min(at_most, self.config.poll.interval)

    def _time(self) -> float:
        return asyncio.get_running_loop().time()


def _reasons(outcomes: Iterable[Outcome]) -> Counter[str]:
    return Counter(row.reason for row in outcomes if isinstance(row, ReadingFailure))


def _is_newly_unknown(update: LedgerUpdate) -> bool:
    """Whether the API says of a database that it does not know it, which it did not say the time before."""
    pairs = zip(update.before, update.after, strict=True)
    return any(before.failure_reason != UNKNOWN == after.failure_reason for before, after in pairs)


def _log_failures(update: LedgerUpdate, waits: Mapping[str, datetime]) -> None:
    for before, after in zip(update.before, update.after, strict=True):
        if before.failing_since_at is None and after.failing_since_at is not None:
            until = waits.get(after.database.id)
            asked = {} if until is None else {"not_asked_before": until.isoformat()}
            log.warning("database failing", database_id=after.database.id, reason=after.failure_reason, **asked)
        if before.failing_since_at is not None and after.failing_since_at is None:
            log.info("database recovered", database_id=after.database.id)
