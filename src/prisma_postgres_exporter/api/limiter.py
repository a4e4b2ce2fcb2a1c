"""How fast one credential may ask: a rate and a concurrency that give way when the server asks for it.

aiolimiter's rate is fixed, its queue serves cheaper calls first and its clock is the event loop's, so a rate
that moves could neither be fair nor tested with it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

from prisma_postgres_exporter.api.clock import Clock
from prisma_postgres_exporter.api.limits import Limits

_MEMORY: Final = 1 / 16  # what one answer counts in the share that is refused
_CROWDED: Final = 0.2  # the share from which on a refusal concerns every call
_SLOWEST: Final = 1 / 16
_RECOVERY_SECONDS: Final = 4.0
_CATCH_UP_SECONDS: Final = 0.1  # what a late wake-up may make good by a burst
_WAKE_UP_SECONDS: Final = 1e-4  # timers wake a little early: not worth another sleep


class Limiter:
    """`async with limiter:` around one attempt; first come, first served.

    The rate falls when the server says "too many requests": by half the share of answers that said so lately, as
    DCTCP does (RFC 8257). One in a hundred costs next to nothing, and when it is each, the rate halves each time. A few
    seconds of successes bring the configured rate back. Nothing is known at first, so that the first counts in full.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._most = limits.requests_per_second
        self._rate = limits.requests_per_second
        self._clock = clock
        self._places = asyncio.Semaphore(limits.concurrency)
        self._turn = asyncio.Lock()
        self._next_at = clock.monotonic()
        self._slowed_at = float("-inf")
        self._refused_share = 1.0

    @property
    def requests_per_second(self) -> float:
        """The rate now."""
        return self._rate

    async def __aenter__(self) -> None:
        await self._places.acquire()
        try:
            await self._pace()
        except BaseException:
            self._places.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._places.release()

    def slow_down(self, *, sent_at: float, pause_seconds: float) -> float:
        """Lower the rate; hold every call back for `pause_seconds` unless refusals are rare; the seconds of that.

        `sent_at` (monotonic) is when the refused attempt began: those that were under way together
        are refused together, and the rate falls once for them.
        """
        now = self._clock.monotonic()
        self._refused_share += (1 - self._refused_share) * _MEMORY
        if sent_at >= self._slowed_at:
            self._rate = max(self._rate * (1 - self._refused_share / 2), self._most * _SLOWEST)
            self._slowed_at = now
        if self._refused_share < _CROWDED:
            return 0.0
        self._next_at = max(self._next_at, now + pause_seconds)
        return pause_seconds

    def recover(self) -> None:
        """Add to the rate what one success is worth: at most the rate itself, as one success proves no more."""
        self._refused_share -= self._refused_share * _MEMORY
        if self._rate < self._most:
            self._rate = min(self._most, self._rate + min(self._rate, self._most / (_RECOVERY_SECONDS * self._rate)))

    async def _pace(self) -> None:
        async with self._turn:
            # Looked at again after each sleep: a slowdown may have moved it meanwhile.
            while (wait_seconds := self._next_at - self._clock.monotonic()) > _WAKE_UP_SECONDS:
                await self._clock.sleep(wait_seconds)
            earliest = self._clock.monotonic() - _CATCH_UP_SECONDS
            self._next_at = max(self._next_at, earliest) + 1 / self._rate
