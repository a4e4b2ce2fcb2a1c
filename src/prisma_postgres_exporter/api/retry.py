"""When a failed attempt is made again: pure.

httpx-retries sits below the body, where a cut one, `planLimitReached` and our limiter cannot be seen; stamina
brings its own sleep and global switches. What remains of them for us is the arithmetic below.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from prisma_postgres_exporter.api.dates import answered_at, http_date
from prisma_postgres_exporter.api.limits import Limits
from prisma_postgres_exporter.errors import ApiError, Unavailable

_DAY_SECONDS = 86_400.0


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


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """What `Retry-After` asks for, from 0 to a day; `None` without it or where it makes no sense.

    An HTTP-date is measured from the answer's own `Date` where it has one, so that a wrong clock
    on either side does not matter, else from `now`.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return _DAY_SECONDS if len(value) > 9 else min(float(value), _DAY_SECONDS)
    until = http_date(value)
    if until is None:
        return None
    seconds = (until - (answered_at(headers) or now)).total_seconds()
    return min(max(seconds, 0.0), _DAY_SECONDS)
