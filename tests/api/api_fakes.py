"""What the tests of the client give it: time where a wait is a step, chance, an observer with a memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prisma_postgres_exporter.api import Clock, ManagementApi

TOKEN = "test-token-1"
ApiFor = Callable[..., ManagementApi]


@dataclass(slots=True)
class SteppingTime:
    """`sleep` moves the clock and lets other tasks run; `waits` are the seconds of each, in order."""

    seconds: float = 1_000.0
    chance: float = 0.5
    waits: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.seconds,
            now=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(seconds=self.seconds - 1_000.0),
            sleep=self.sleep,
            random=lambda: self.chance,
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds
        await asyncio.sleep(0)


@dataclass(slots=True)
class Witness:
    """A `CallObserver` with a memory."""

    attempts: list[tuple[str, str | None]] = field(default_factory=list)
    throttles: list[tuple[str, float]] = field(default_factory=list)

    def attempt_finished(self, endpoint: str, seconds: float, failure: str | None) -> None:
        assert seconds >= 0
        self.attempts.append((endpoint, failure))

    def throttled(self, endpoint: str, wait_seconds: float) -> None:
        self.throttles.append((endpoint, wait_seconds))
