"""How much one simulated database is used: operations and storage as exact functions of time.

Operations are additive to the last one: what happened from a to b and from b to c is what happened
from a to c. A day's total follows the weekday, growth, noise and bursts; within the day it is spread
by a daily rhythm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from prisma_postgres_exporter.simulator.draws import share

DAY_SECONDS = 86_400
TWO_PI = 2 * math.pi
WEEKEND_FROM = 5
GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The traffic of one database.

    `per_day` operations on an ordinary day at `since_unix`, growing by `growth` a day;
    `weekend` is the share left on Saturday and Sunday; `rhythm` (0 to 1) how uneven the day is,
    `peak` (0 to 1) when in the day; `burst_share` of the days have several times as much.
    """

    seed: int
    since_unix: float
    per_day: int
    growth: float
    weekend: float
    rhythm: float
    peak: float
    burst_share: float
    storage_bytes: int
    storage_growth: float

    def operations(self, starts_at: datetime, ends_at: datetime) -> int:
        """Count the operations from `starts_at` up to `ends_at`."""
        starts, ends = starts_at.timestamp(), ends_at.timestamp()
        if self.per_day == 0 or ends <= starts:
            return 0
        first, last = int(starts // DAY_SECONDS), int(ends // DAY_SECONDS)
        whole = sum([self.on_day(day) for day in range(first, last)])
        return whole + self._so_far(last, ends) - self._so_far(first, starts)

    def on_day(self, day: int) -> int:
        """Count the operations of a whole UTC day, numbered from 1970-01-01."""
        age = max(0.0, day - self.since_unix / DAY_SECONDS)
        drawn = share(self.seed, day)
        level = self.per_day * (1 + self.growth) ** min(age, 1_000.0) * (0.8 + 0.4 * drawn)
        if (day + 3) % 7 >= WEEKEND_FROM:  # 1970-01-01 was a Thursday.
            level *= self.weekend
        if share(self.seed, day, 1) < self.burst_share:
            level *= 2 + 6 * drawn
        return int(level)

    def storage(self, at: datetime) -> int:
        """Return the storage level in bytes."""
        age = max(0.0, at.timestamp() - self.since_unix) / DAY_SECONDS
        wobble = 0.01 * math.sin(TWO_PI * age / 7)
        return int(self.storage_bytes * (1 + self.storage_growth * age + wobble))

    def _so_far(self, day: int, until: float) -> int:
        part = (until - day * DAY_SECONDS) / DAY_SECONDS
        if part <= 0:
            return 0
        phase = TWO_PI * self.peak
        spread = part + self.rhythm / TWO_PI * (math.sin(TWO_PI * part + phase) - math.sin(phase))
        return int(self.on_day(day) * min(1.0, max(0.0, spread)))


def make_traffic(seed: int, *, since: datetime, is_idle: bool, per_day: int | None = None) -> Traffic:
    """Draw the traffic of one database; `per_day` where it is not to be drawn."""
    drawn = int(10 ** (1 + 5 * share(seed, 2)))
    return Traffic(
        seed=seed,
        since_unix=since.astimezone(UTC).timestamp(),
        per_day=0 if is_idle else (per_day if per_day is not None else drawn),
        growth=0.004 * (share(seed, 3) - 0.3),
        weekend=0.2 + 0.8 * share(seed, 4),
        rhythm=0.9 * share(seed, 5),
        peak=share(seed, 6),
        burst_share=0.03 * share(seed, 7),
        storage_bytes=int(GIB * 10 ** (3 * share(seed, 8) - 2)),
        storage_growth=0.002 * share(seed, 9),
    )
