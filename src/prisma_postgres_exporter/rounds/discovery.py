"""Finding out what exists in each workspace, and writing what is different from what is held."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from prisma_postgres_exporter.cost import is_blocked
from prisma_postgres_exporter.errors import ApiError, CredentialRefused, MalformedAnswer, NotAllowed
from prisma_postgres_exporter.model import DatabaseState, Discovered, Workspace, WorkspaceState
from prisma_postgres_exporter.reasons import meaning_of
from prisma_postgres_exporter.rounds.changes import find_changes, workspace_gone
from prisma_postgres_exporter.rounds.health import Health
from prisma_postgres_exporter.rounds.interpret import CLOCK_SKEW
from prisma_postgres_exporter.rounds.inventory import Inventory, read_inventory
from prisma_postgres_exporter.rounds.leases import Leases
from prisma_postgres_exporter.rounds.readers import Reader, Readers
from prisma_postgres_exporter.rounds.stored import StoredLedger
from prisma_postgres_exporter.rounds.turn import Look, Turn, Turns

log = structlog.get_logger(__name__)

RETRY_AFTER = timedelta(minutes=1)
"""How soon a discovery or a subscription that failed is asked for again, at most."""

BLOCKED_AGAIN = timedelta(minutes=2)
"""How soon the subscription of a workspace that is blocked is read again: a block, and its end, is known soon."""

LOOK_SECONDS = 5.0
"""So long a round waits for what exists: a longer list is read beside the rounds, and noted by a later one."""

LOOK_AGAIN = timedelta(seconds=5)
LONGEST_LOOK = timedelta(minutes=15)
"""A list that takes longer is given up: a thousand pages, each of them late, would take hours."""


class Discovery:
    """Looks what the workspaces hold, and notes it in their turns and in the ledger.

    `now` gives UTC instants in whole seconds; `on_change` is called when what is to be shown changed.
    """

    def __init__(
        self,
        turns: Turns,
        ledger: StoredLedger,
        readers: Readers,
        health: Health,
        leases: Leases,
        *,
        now: Callable[[], datetime],
        on_change: Callable[[], None],
    ) -> None:
        self._turns = turns
        self._ledger = ledger
        self._readers = readers
        self._health = health
        self._leases = leases
        self._now = now
        self._on_change = on_change

    async def run_due(self, turn: Turn, *, is_asked_for: bool) -> None:
        """Discover what exists if that is due or `is_asked_for`, and read the subscription if that is due.

        What is not asked for is waited for a few seconds: the reads of its databases do not wait for a slow list.
        """
        if is_asked_for:
            await self.discover(turn)
        elif turn.look is not None:
            await self._discover(turn, seconds=0.0)
        elif self._is_due(turn.discovery_tried_at, self._wait(turn)):
            await self._discover(turn, seconds=LOOK_SECONDS)
        is_known = turn.workspace_id in self._ledger.state.workspaces
        if is_known and self._is_due(turn.subscribed_at, self._subscription_wait(turn)):
            await self._read_subscription(turn)

    def next_at(self, turn: Turn) -> datetime:
        """When a discovery or a subscription is due again."""
        next_at = self.looks_at(turn)
        if turn.discovery_tried_at is None or turn.look is not None:
            return next_at
        if turn.subscribed_at is None:
            return next_at
        return min(next_at, turn.subscribed_at + self._subscription_wait(turn))

    def looks_at(self, turn: Turn) -> datetime:
        """When a discovery is due again."""
        if turn.discovery_tried_at is None:
            return self._now()
        if turn.look is not None:
            return self._now() + LOOK_AGAIN
        return turn.discovery_tried_at + self._wait(turn)

    async def discover(self, turn: Turn) -> None:
        """Find out what exists in a workspace, with the first of its credentials that may, however long it takes."""
        await self._discover(turn, seconds=None)

    async def _discover(self, turn: Turn, *, seconds: float | None) -> None:
        turn.discovery_tried_at = self._now()
        turn.was_tried = True
        tried: set[Reader] = set()
        while (reader := self._readers.reader(turn.workspace_id)) is not None and reader not in tried:
            tried.add(reader)
            # Another credential of the workspace may be allowed what this one is not.
            if await self._discover_with(turn, reader, seconds=seconds):
                return
        if reader is None:
            await turn.look_no_more()
            self._fail(turn, self._readers.why_unread(turn.workspace_id))

    @property
    def receivers(self) -> tuple[str, ...]:
        """The workspaces that list what another one lists no more, but looked before it: the next look takes it."""
        return self._listing({id_ for turn in self._turns.values() for id_ in turn.missing})

    async def let_unclaimed_go(self) -> None:
        """Workspaces of which there is no credential any more leave what is shown; their ledger stays."""
        if not self._readers.are_all_known or not self._readers.is_clock_right:
            return  # a credential that cannot say whose it is may be any workspace's
        states = self._ledger.state.workspaces
        for id_ in {*self._turns, *states} - self._readers.workspace_ids:
            read_at = _newest_reading(states.get(id_))
            if not self._leases.is_unclaimed(id_, None if read_at is None else self._now() - read_at):
                continue  # another process reads it, or notes that nobody does
            if not self._turns.of(id_).is_gone or (id_ in states and not states[id_].is_gone):
                await self._let_go(self._turns.of(id_))

    def _wait(self, turn: Turn) -> timedelta:
        interval = self._turns.config.discovery.interval
        return interval if turn.failure is None else min(interval, RETRY_AFTER)

    def _subscription_wait(self, turn: Turn) -> timedelta:
        interval = self._turns.config.discovery.subscription_interval
        if not turn.is_subscription_read:
            return min(interval, RETRY_AFTER)
        held = self._ledger.state.workspaces.get(turn.workspace_id)
        return min(interval, BLOCKED_AGAIN) if held is not None and is_blocked(held) else interval

    def _is_due(self, last_at: datetime | None, interval: timedelta) -> bool:
        """Also when the clock was set back: what was done in the future was not done."""
        return last_at is None or not timedelta(0) <= self._now() - last_at < interval

    # What exists --------------------------------------------------------------------------------
    async def _discover_with(self, turn: Turn, reader: Reader, *, seconds: float | None) -> bool:
        """Look what one credential sees; whether there is nothing now that another one could do better."""
        if turn.look is not None and turn.look.reader != reader:
            await turn.look_no_more()
        look = turn.look = turn.look or self._begin_look(turn, reader)
        done, _ = await asyncio.wait({look.task}, timeout=seconds)
        if not done:
            return True
        turn.look = None
        if look.task.cancelled():
            # The workspace is let go, or everything ends.
            turn.discovery_tried_at = None
            return True
        try:
            inventory = look.task.result()
        except ApiError as error:
            if not self._is_in_force(turn, reader):
                return True
            self._readers.note_error(reader, error)
            self._fail(turn, error.reason, str(error))
            return not isinstance(error, CredentialRefused | NotAllowed)
        if not self._is_in_force(turn, reader):
            return True
        if inventory is None:
            self._fail(turn, "other_workspace", "the token is of another workspace now")
        elif not self._readers.compare_clock(reader):
            self._fail(turn, CLOCK_SKEW, "this machine's clock is wrong: nothing is written")
        else:
            self._readers.note_success(reader)
            await self._store(turn, reader, inventory, look.began_at)
        return True

    def _begin_look(self, turn: Turn, reader: Reader) -> Look:
        return Look(reader=reader, began_at=self._now(), task=asyncio.create_task(_look(turn, reader)))

    def _is_in_force(self, turn: Turn, reader: Reader) -> bool:
        """Whether what was asked with `reader` counts: else it is asked again at once."""
        if self._readers.is_current(reader) and not turn.interrupted.is_set():
            return True
        turn.discovery_tried_at = None
        return False

    def _fail(self, turn: Turn, reason: str, message: str = "") -> None:
        self._health.discovery_failed(reason)
        if turn.failure != reason:
            log.warning(
                "workspace failing",
                workspace_id=turn.workspace_id,
                reason=reason,
                error=message or None,
                advice=meaning_of(reason),
            )
            turn.failure = reason
            self._on_change()

    async def _store(self, turn: Turn, reader: Reader, inventory: Inventory, now: datetime) -> None:
        """Write what an inventory of `now` changes; a database that moves changes both workspaces, under both locks."""
        for reason, count in inventory.refused.items():
            self._health.record_refused(reason, count)
            if turn.refused.get(reason) != count:
                log.warning("records left out", workspace_id=turn.workspace_id, reason=reason, records=count)
        turn.refused = inventory.refused
        missing = self._missing(turn, inventory, now)
        holders = {state.database.workspace_id for state in self._held_elsewhere(turn, inventory).values()}
        staying: set[str] = set()

        def find() -> Discovered:
            if not self._is_in_force(turn, reader):
                return Discovered(at=now)
            known = self._ledger.state.workspaces.get(turn.workspace_id)
            elsewhere = self._held_elsewhere(turn, inventory)
            moving = {
                id_: state
                for id_, state in elsewhere.items()
                # One that moves now was held by a workspace whose lock is not ours: the next discovery takes it.
                if state.database.workspace_id in holders and self._is_moving(turn, state)
            }
            staying.clear()
            staying.update(elsewhere.keys() - moving.keys())
            return find_changes(
                known,
                inventory,
                moving=moving,
                staying=staying,
                kept=missing,
                before_at=turn.discovered_at or _newest_success(known),
                looked_at=_newest_look(turn, known),
                now=now,
                noted_at=self._now(),
            )

        discovered = await self._ledger.change(turn.workspace_id, find, others=holders)
        if discovered is None:
            self._fail(turn, "store_unavailable")
            return
        self._health.record_refused("listed_twice", len(staying))
        self._log(discovered)
        for holder in map(self._turns.of, holders):
            taken = {database.id for database in discovered.databases}
            holder.missing = {id_: since for id_, since in holder.missing.items() if id_ not in taken}
        for id_ in {turn.workspace_id, *holders}:
            self._turns.follow(id_)
        if not self._is_in_force(turn, reader):
            return
        # What was taken by another one meanwhile is not missing here.
        held = self._ledger.state.workspaces.get(turn.workspace_id)
        turn.missing = {} if held is None else {id_: at for id_, at in missing.items() if id_ in held.databases}
        turn.listed, turn.discovered_at = inventory.listed_ids, now
        for id_ in self._listing({id_ for id_, since in turn.missing.items() if since == now}):
            self._turns.of(id_).discovery_tried_at = None
        if turn.failure is not None:
            log.info("workspace recovered", workspace_id=turn.workspace_id)
            # What failed meanwhile is overdue: it waits for no second try.
            turn.attempts.forget_all()
        turn.failure = None
        self._turns.follow(turn.workspace_id)
        self._on_change()

    def _held_elsewhere(self, turn: Turn, inventory: Inventory) -> dict[str, DatabaseState]:
        """The listed databases that another workspace holds."""
        ids = {database.id for database in inventory.databases}
        return {
            id_: row.databases[id_]
            for row in self._ledger.state.workspaces.values()
            if row.workspace.id != turn.workspace_id
            for id_ in ids & row.databases.keys()
        }

    def _is_moving(self, turn: Turn, state: DatabaseState) -> bool:
        """Whether a database that another workspace holds comes to this one.

        It does if it is new here, if its holder does not list it any more, or if nobody reads its holder. One that
        both go on listing stays where it is: it would move with every discovery.
        """
        id_ = state.database.id
        holder = self._turns.get(state.database.workspace_id)
        if state.deleted_at is not None or holder is None or self._readers.reader(holder.workspace_id) is None:
            return True
        if holder.listed is not None and id_ not in holder.listed:
            return True
        return turn.listed is not None and id_ not in turn.listed

    def _listing(self, missing: Set[str]) -> tuple[str, ...]:
        return tuple(
            id_
            for id_, turn in self._turns.items()
            if turn.listed is not None and turn.listed & missing and self._readers.reader(id_) is not None
        )

    def _missing(self, turn: Turn, inventory: Inventory, now: datetime) -> dict[str, datetime]:
        """Give a database that is not listed any more until the next discovery, if it may have moved elsewhere.

        It is not shown meanwhile. Its new workspace's next discovery takes it with its history: one that lists it by
        now looked too early to know.
        """
        known = self._ledger.state.workspaces.get(turn.workspace_id)
        others = [id_ for id_ in self._turns if id_ != turn.workspace_id and self._readers.reader(id_) is not None]
        if known is None or not others or not inventory.is_complete:
            return {}
        listed = inventory.listed_ids
        listed_elsewhere = frozenset().union(*(self._turns.of(id_).listed or () for id_ in others))
        return {
            id_: turn.missing.get(id_, now)
            for id_, state in known.databases.items()
            if state.deleted_at is None and id_ not in listed and (id_ not in turn.missing or id_ in listed_elsewhere)
        }

    # Its subscription ---------------------------------------------------------------------------
    async def _read_subscription(self, turn: Turn) -> None:
        reader = self._readers.reader(turn.workspace_id)
        if reader is None:
            return
        turn.subscribed_at, turn.is_subscription_read = self._now(), False
        try:
            said = await reader.api.subscription(turn.workspace_id)
        except ApiError as error:
            self._health.discovery_failed(error.reason)
            log.warning("subscription not read", workspace_id=turn.workspace_id, reason=error.reason)
            return
        turn.live()
        if not self._readers.is_current(reader) or not self._readers.compare_clock(reader):
            return

        was_blocked = False

        def find() -> Discovered:
            nonlocal was_blocked
            held = self._ledger.state.workspaces[turn.workspace_id].workspace
            was_blocked = bool(held.usage_blocked)
            workspace = replace(held, plan=said.plan_name, usage_blocked=said.usage_blocked)
            is_changed = workspace != held and not turn.is_gone
            return Discovered(at=self._now(), workspaces=(workspace,) if is_changed else ())

        discovered = await self._ledger.change(turn.workspace_id, find)
        turn.is_subscription_read = discovered is not None
        if discovered is not None and not discovered.is_empty:
            if was_blocked and not said.usage_blocked:
                # What was refused meanwhile is overdue: it waits for no second try.
                turn.attempts.forget_all()
            log.info(
                "subscription read",
                workspace_id=turn.workspace_id,
                plan=said.plan_name,
                usage_blocked=said.usage_blocked,
            )
            self._on_change()

    # Its end ------------------------------------------------------------------------------------
    async def _let_go(self, turn: Turn) -> None:
        turn.is_gone = True
        turn.interrupted.set()
        await turn.look_no_more()

        def find() -> Discovered:
            held = self._ledger.state.workspaces.get(turn.workspace_id)
            if held is None or held.is_gone:
                return Discovered(at=self._now())
            return workspace_gone(held.workspace, self._now())

        discovered = await self._ledger.change(turn.workspace_id, find)
        if discovered is not None:
            self._log(discovered)
        self._turns.follow(turn.workspace_id)
        self._health.workspace_gone(turn.workspace_id)
        self._on_change()

    def _log(self, discovered: Discovered) -> None:
        for event in discovered.events:
            self._health.event_noticed(event.subject, event.kind)
            if event.is_discovery_gap:
                log.info(
                    "nobody looked for databases",
                    workspace_id=event.workspace_id,
                    since=f"{event.last_there_at}",
                    until=f"{event.at}",
                )
                continue
            log.info(
                f"{event.subject} {event.kind}",
                **({} if event.subject_id == event.workspace_id else {"id": event.subject_id}),
                workspace_id=event.workspace_id,
                before=event.before,
                after=event.after,
            )


async def _look(turn: Turn, reader: Reader) -> Inventory | None:
    """What a credential sees of a workspace, `None` where it is of another one; nothing is noted yet.

    Raises:
        ApiError: a list could not be read to its end.
    """
    try:
        async with asyncio.timeout(LONGEST_LOOK.total_seconds()):
            me = await reader.api.me()
            turn.live()
            if me.workspace is None or me.workspace.id != turn.workspace_id:
                return None
            workspace = Workspace(id=me.workspace.id, name=me.workspace.name)
            return await read_inventory(reader.api, workspace, on_page=turn.live)
    except TimeoutError:
        raise MalformedAnswer(f"a list had no end after {LONGEST_LOOK}", reason="endless_list") from None


def _newest_look(turn: Turn, workspace: WorkspaceState | None) -> datetime | None:
    """When somebody looked last what a workspace holds; a store of before that was noted knows when it was read."""
    noted_at = None if workspace is None else workspace.looked_at or _newest_reading(workspace)
    return max((at for at in (turn.discovered_at, noted_at) if at is not None), default=None)


def _newest_success(workspace: WorkspaceState | None) -> datetime | None:
    """When something of a workspace was read last: before it, it had been discovered."""
    if workspace is None:
        return None
    return _newest_reading(workspace) or workspace.first_seen_at


def _newest_reading(workspace: WorkspaceState | None) -> datetime | None:
    """When something of a workspace was read last, if ever."""
    states = () if workspace is None else workspace.databases.values()
    return max((state.last_success_at for state in states if state.last_success_at is not None), default=None)
