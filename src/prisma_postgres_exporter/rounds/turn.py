"""What is remembered of one workspace between its rounds, besides what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.ledger.attention import Learned
from prisma_postgres_exporter.ledger.plan import Planner
from prisma_postgres_exporter.rounds.attempts import Attempts
from prisma_postgres_exporter.rounds.filters import is_followed
from prisma_postgres_exporter.rounds.health import Health
from prisma_postgres_exporter.rounds.inventory import Inventory
from prisma_postgres_exporter.rounds.polling import Outcome, Polling
from prisma_postgres_exporter.rounds.readers import Reader, Readers
from prisma_postgres_exporter.rounds.stored import StoredLedger


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """What one round of a workspace did. `next_at` is when something is due again, `deferred` reads already are."""

    workspace_id: str
    started_at: datetime
    seconds: float
    next_at: datetime
    reads: int = 0
    failure_reasons: Mapping[str, int] = field(default_factory=dict)
    deferred: int = 0
    is_stored: bool = True

    @property
    def failures(self) -> int:
        """How many of the reads failed."""
        return sum(self.failure_reasons.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look under way at what a credential sees of a workspace; it has no effect until its result is noted."""

    reader: Reader
    began_at: datetime
    task: asyncio.Task[Inventory | None]


@dataclass(slots=True, kw_only=True)
class Turn:
    """One workspace's turn. `running` is held by the round under way, and `interrupted` ends it.

    `followed` are the ids of the databases that are polled and shown, `unread` those whose open day is due while no
    credential may read it, `listed` those of its newest inventory, `missing`
    since when held ones are in none, `refused` what it left out, by reason. `pending` was read and could not be stored
    yet. `look` finds out what exists, for as long as that takes. `put_off` is why the rest of its reads were, until
    some succeed again. `failure` is why it could not be discovered, `None` where it could; `was_tried` says whether
    that is known. `is_gone`: no credential is its any more. `is_watched`: a limit is near, at which the vendor blocks
    it. `first_round_ended_at` is the end of the first round in which it was looked at what exists and what the plan is.
    `beat` is the event loop's time of the newest sign of life. `learned` is what its adaptive plan knew after the
    last round.
    """

    workspace_id: str
    planner: Planner
    attempts: Attempts
    polling: Polling
    running: asyncio.Lock = field(default_factory=asyncio.Lock)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    followed: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    listed: frozenset[str] | None = None
    missing: dict[str, datetime] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    pending: list[Outcome] = field(default_factory=list)
    look: Look | None = None
    put_off: str | None = None
    discovered_at: datetime | None = None
    discovery_tried_at: datetime | None = None
    subscribed_at: datetime | None = None
    is_subscription_read: bool = False
    carried_on: date | None = None
    failure: str | None = None
    was_tried: bool = False
    is_gone: bool = False
    is_watched: bool = False
    failures_in_a_row: int = 0
    next_at: datetime | None = None
    beat: float = 0.0
    report: RoundReport | None = None
    first_round_ended_at: datetime | None = None
    learned: Learned | None = None

    @property
    def has_looked(self) -> bool:
        """Whether it was asked what exists and what the plan is, or is known why that was not possible."""
        return self.subscribed_at is not None or self.failure is not None

    def live(self) -> None:
        """Note a sign of life."""
        self.beat = asyncio.get_running_loop().time()

    async def look_no_more(self) -> None:
        """End a look under way."""
        look, self.look = self.look, None
        if look is not None:
            look.task.cancel()
            await asyncio.gather(look.task, return_exceptions=True)


class Turns(Mapping[str, Turn]):
    """The turn of every workspace, by its id; `config` is the configuration that they go by."""

    def __init__(
        self, config: Config, ledger: StoredLedger, readers: Readers, health: Health, clock: Callable[[], datetime]
    ) -> None:
        self.config = config
        self._ledger = ledger
        self._readers = readers
        self._health = health
        self._clock = clock
        self._turns: dict[str, Turn] = {}

    def __getitem__(self, workspace_id: str) -> Turn:
        return self._turns[workspace_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._turns)

    def __len__(self) -> int:
        return len(self._turns)

    def of(self, workspace_id: str) -> Turn:
        """A workspace's turn, made where there is none yet."""
        if workspace_id not in self._turns:
            turn = self._turns[workspace_id] = Turn(
                workspace_id=workspace_id,
                planner=Planner(self.config.poll),
                attempts=Attempts(self._health),
                polling=Polling(lambda: self._readers.reader(workspace_id), self._clock),
            )
            turn.live()
        return self._turns[workspace_id]

    def drop(self, workspace_id: str) -> None:
        """Forget a workspace's turn; a new one begins when it is asked for."""
        self._turns.pop(workspace_id, None)

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration; rounds under way end, with what they have read."""
        has_other_poll = config.poll != self.config.poll
        self.config = config
        for id_, turn in self._turns.items():
            if has_other_poll:
                turn.planner, turn.learned = Planner(config.poll), None
            turn.interrupted.set()
            self.follow(id_)

    def follow(self, workspace_id: str) -> None:
        """Choose anew which databases of a workspace are polled and shown."""
        turn, workspace = self.of(workspace_id), self._ledger.state.workspaces.get(workspace_id)
        if workspace is None or workspace.is_gone or turn.is_gone:
            turn.followed = frozenset()
            return
        name, discovery = workspace.workspace.name, self.config.discovery
        turn.followed = frozenset(
            id_
            for id_, state in workspace.databases.items()
            if state.deleted_at is None
            and id_ not in turn.missing
            and is_followed(state.database, workspace_name=name, discovery=discovery)
        )
        turn.attempts.forget_all_but(workspace.databases)
