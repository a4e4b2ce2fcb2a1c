"""How fast one credential may ask: a rate and a concurrency that give way when the server asks for it.

aiolimiter's rate is fixed, its queue serves cheaper calls first and its clock is the event loop's, so a rate
that moves could neither be fair nor tested with it.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

from prisma_postgres_exporter.api.clockwork import Clockwork
from prisma_postgres_exporter.api.limits import Limits

_SLOWDOWN: Final = 0.5
_SLOWEST: Final = 1 / 64
_RECOVERY_SECONDS: Final = 60.0
_CATCH_UP_SECONDS: Final = 0.1  # what a late wake-up may make good by a burst
_WAKE_UP_SECONDS: Final = 1e-4  # timers wake a little early: not worth another sleep


class Limiter:
    """`async with limiter:` around one attempt; first come, first served.

    The rate halves when the server says "too many requests", and comes back to the configured one
    in about a minute of successes, as TCP does.
    """

    def __init__(self, limits: Limits, clockwork: Clockwork) -> None:
        self._most = limits.requests_per_second
        self._rate = limits.requests_per_second
        self._clockwork = clockwork
        self._places = asyncio.Semaphore(limits.concurrency)
        self._turn = asyncio.Lock()
        self._next_at = clockwork.monotonic()
        self._slowed_at = float("-inf")

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

    def slow_down(self, *, sent_at: float, pause_seconds: float) -> None:
        """Halve the rate and hold every call back for `pause_seconds`.

        `sent_at` (monotonic) is when the refused attempt began: those that were under way together
        are refused together, and that counts once.
        """
        now = self._clockwork.monotonic()
        self._next_at = max(self._next_at, now + pause_seconds)
        if sent_at >= self._slowed_at:
            self._rate = max(self._rate * _SLOWDOWN, self._most * _SLOWEST)
            self._slowed_at = now

    def recover(self) -> None:
        """Add to the rate what one success is worth."""
        if self._rate < self._most:
            self._rate = min(self._most, self._rate + self._most / (_RECOVERY_SECONDS * self._rate))

    async def _pace(self) -> None:
        async with self._turn:
            # Looked at again after each sleep: a slowdown may have moved it meanwhile.
            while (wait_seconds := self._next_at - self._clockwork.monotonic()) > _WAKE_UP_SECONDS:
                await self._clockwork.sleep(wait_seconds)
            earliest = self._clockwork.monotonic() - _CATCH_UP_SECONDS
            self._next_at = max(self._next_at, earliest) + 1 / self._rate
