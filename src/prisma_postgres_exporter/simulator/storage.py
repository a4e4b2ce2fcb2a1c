"""How much a database stores, as a function of its age: growth, and a sawtooth of bloat and clean-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prisma_postgres_exporter.simulator.chance import between, draw
from prisma_postgres_exporter.simulator.instants import DAY_MS

PAGE_BYTES: Final = 8192

_CLEAN_UP_EVERY_MS: Final = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class StorageCourse:
    """A level in whole pages: `first_bytes`, `growth_bytes_a_day`, and `bloat_bytes` that come and go weekly."""

    first_bytes: int
    growth_bytes_a_day: int
    bloat_bytes: int

    def level_bytes(self, age_ms: int) -> int:
        """The level at an age (not negative)."""
        grown_bytes = self.growth_bytes_a_day * age_ms // DAY_MS
        bloated_bytes = self.bloat_bytes * (age_ms % _CLEAN_UP_EVERY_MS) // _CLEAN_UP_EVERY_MS
        return (self.first_bytes + grown_bytes + bloated_bytes) // PAGE_BYTES * PAGE_BYTES


def storage_course(key: int, first_bytes: int) -> StorageCourse:
    """The course of the database with the random number `key`: it doubles in about a year or never grows."""
    bits = draw(key, 5)
    return StorageCourse(
        first_bytes=first_bytes,
        growth_bytes_a_day=first_bytes * between(0, 30, bits) // 10_000,
        bloat_bytes=first_bytes * between(0, 80, bits >> 16) // 1_000,
    )
