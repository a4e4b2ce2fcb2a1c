"""How fast one credential may ask, and when a failed attempt is made again.

httpx-retries sits below the body, where a cut one, `planLimitReached` and our limiter cannot be seen; stamina
brings its own sleep and global switches. aiolimiter's rate is fixed, its queue serves cheaper calls first and its clock
is the event loop's, so a rate that moves could neither be fair nor tested with it.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

from prisma_postgres_exporter.errors import ApiError, ConfigurationError, Unavailable

_MEMORY: Final = 1 / 16  # what one answer counts in the share that is refused
_CROWDED: Final = 0.2  # the share from which on a refusal concerns every call
_SLOWEST: Final = 1 / 16
_RECOVERY_SECONDS: Final = 4.0
_CATCH_UP_SECONDS: Final = 0.1  # what a late wake-up may make good by a burst
_WAKE_UP_SECONDS: Final = 1e-4  # timers wake a little early: not worth another sleep


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """`monotonic` in seconds, `now` as an aware UTC instant, `sleep` for seconds, `random` in [0, 1)."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one `ManagementApi`, that is of one credential.

    `total_timeout_seconds` bounds one attempt from connecting to the last byte. `attempts` is the
    number of tries in all for a call that may be tried again. A wait the server asks for with
    `Retry-After` is honoured up to `retry_after_cap_seconds`. `pages` bounds one list.

    With `longest_wait_seconds` a call that would have to wait longer between two attempts ends at once with the
    last one's error: a caller with other work does better to come back after `retry_after_seconds` than to wait a
    part of it. 429 then holds the other calls back no longer either. `None` waits up to the caps.

    Raises:
        ConfigurationError: a value that is not positive and finite.
    """

    requests_per_second: float = 10.0
    concurrency: int = 8
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 15.0
    total_timeout_seconds: float = 30.0
    attempts: int = 4
    backoff_seconds: float = 0.5
    backoff_cap_seconds: float = 30.0
    retry_after_cap_seconds: float = 60.0
    longest_wait_seconds: float | None = None
    pages: int = 1_000

    def __post_init__(self) -> None:
        values = ((bound.name, getattr(self, bound.name)) for bound in fields(self))
        problems = [
            f"{name} must be positive and finite"
            for name, value in values
            if value is not None and not 0 < value < math.inf
        ]
        if problems:
            raise ConfigurationError(problems)


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


def wait_before_retry(
    error: ApiError, *, attempt: int, may_repeat: bool, limits: Limits, chance: float
) -> float | None:
    """Seconds to wait before the next attempt; `None` when there must be none.

    `attempt` counts from 1. `may_repeat` is false when the request may have had an effect already.
    `chance` in [0, 1) picks the wait between zero and the exponential bound ("full jitter"); a
    wait that the server asked for is kept instead, up to the cap. One above the longest is never made.
    """
    if not may_repeat or not isinstance(error, Unavailable) or attempt >= limits.attempts:
        return None
    if error.reason == "tls":
        return None
    if error.retry_after_seconds:
        wanted_seconds, cap_seconds = error.retry_after_seconds, limits.retry_after_cap_seconds
    else:
        doublings = min(attempt - 1, 62)
        bound_seconds = min(limits.backoff_cap_seconds, limits.backoff_seconds * 2.0**doublings)
        wanted_seconds, cap_seconds = chance * bound_seconds, bound_seconds
    if limits.longest_wait_seconds is not None and wanted_seconds > limits.longest_wait_seconds:
        return None
    return min(wanted_seconds, cap_seconds)
