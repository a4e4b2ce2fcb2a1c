"""What is remembered of one workspace between its rounds, besides what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from prisma_postgres_exporter.ledger.plan import Planner
from prisma_postgres_exporter.rounds.attempts import Attempts
from prisma_postgres_exporter.rounds.polling import Outcome, Polling


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


@dataclass(slots=True, kw_only=True)
class Turn:
    """One workspace's turn. `lock` is held while its state is changed.

    `listed` are the ids of its newest inventory, `missing` since when held ones are in none, `refused` what it left
    out, by reason. `pending` was read and could not be stored yet. `failure` is why it could not be discovered, `None`
    where it could; `was_tried` says whether that is known. `is_gone`: no credential is its any more. `interrupted` ends
    the round under way. `beat` is the event loop's time of the newest sign of life.
    """

    workspace_id: str
    planner: Planner
    attempts: Attempts
    polling: Polling
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    running: asyncio.Lock = field(default_factory=asyncio.Lock)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    followed: frozenset[str] = frozenset()
    listed: frozenset[str] | None = None
    missing: dict[str, datetime] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    pending: list[Outcome] = field(default_factory=list)
    discovered_at: datetime | None = None
    discovery_tried_at: datetime | None = None
    subscribed_at: datetime | None = None
    is_subscription_read: bool = False
    carried_on: date | None = None
    failure: str | None = None
    was_tried: bool = False
    is_gone: bool = False
    failures_in_a_row: int = 0
    next_at: datetime | None = None
    beat: float = 0.0
    report: RoundReport | None = None
