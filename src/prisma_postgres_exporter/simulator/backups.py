"""A database's backups: one for each day on which it was used, for as long as its plan keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prisma_postgres_exporter.simulator.chance import draw, identifier, is_hit
from prisma_postgres_exporter.simulator.instants import DAY_MS, HOUR_MS
from prisma_postgres_exporter.simulator.records import DatabaseRecord

RETENTION_DAYS: Final[Mapping[str, int]] = {"Starter": 7, "Pro": 7, "Business": 30}
"""What the vendor's documentation promises; the Free plan has no backups."""

_TAKES_MS: Final = HOUR_MS // 6
_BACKUPS: Final = 9  # the row of a database's random numbers for its backups
_FAILED_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRecord:
    """A backup as it is at an instant."""

    id: str
    backup_type: str
    created_ms: int
    size_bytes: int
    status: str


def retention_days(plan: str) -> int:
    """How long a plan keeps backups."""
    return RETENTION_DAYS.get(plan, 0)


def backups_of(database: DatabaseRecord, now_ms: int, *, plan: str) -> tuple[BackupRecord, ...]:
    """What is kept of a database at an instant, the newest first."""
    today = now_ms // DAY_MS
    into_day_ms = 2 * HOUR_MS + draw(database.key, _BACKUPS) % (2 * HOUR_MS)
    found = []
    for day in range(today, today - retention_days(plan), -1):
        created_ms = day * DAY_MS + into_day_ms
        if database.created_ms <= created_ms <= now_ms and database.operations(created_ms - DAY_MS, created_ms):
            found.append(_backup(database, day, created_ms, now_ms))
    return tuple(found)


def _backup(database: DatabaseRecord, day: int, created_ms: int, now_ms: int) -> BackupRecord:
    has_failed = is_hit(_FAILED_SHARE, draw(database.key, _BACKUPS, day))
    ended = "failed" if has_failed else "completed"
    return BackupRecord(
        id=identifier("", database.key, _BACKUPS, day),
        backup_type="incremental" if day % 7 else "full",
        created_ms=created_ms,
        size_bytes=database.storage_bytes(created_ms),
        status="running" if now_ms < created_ms + _TAKES_MS else ended,
    )
