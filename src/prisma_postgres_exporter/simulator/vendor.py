"""What the vendor says of a database at an instant: usage, late, revised and for a period of its own; and backups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from prisma_postgres_exporter.model import day_start, month_start
from prisma_postgres_exporter.simulator.chance import draw, identifier, is_hit
from prisma_postgres_exporter.simulator.clock import DAY_MS, HOUR_MS, from_ms, span_ms, to_ms
from prisma_postgres_exporter.simulator.registry import DatabaseRecord
from prisma_postgres_exporter.simulator.world import World

_REVISIONS: Final = 5  # the row of random numbers for revisions
_BACKUPS: Final = 9  # the row of a database's random numbers for its backups
_BACKUP_TAKES_MS: Final = HOUR_MS // 6
_FAILED_BACKUPS: Final = 0.02

RETENTION_DAYS: Final[Mapping[str, int]] = {"Starter": 7, "Pro": 7, "Business": 30}
"""What the vendor's documentation promises; the Free plan has no backups."""


class StorageMeaning(StrEnum):
    """What the one storage number of a period is; the vendor does not say."""

    PERIOD_END = "period_end"
    NOW = "now"
    MEAN = "mean"
    MOST = "most"


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorBehaviour:
    """How the vendor behaves where its documentation leaves it open. As it stands: at once and exactly.

    Operations are known `known_after` they were made, in steps of `known_every` (0: without steps). With
    `published_every` every answer has the numbers, and the `generatedAt`, of the newest whole multiple of it. Of each
    database's days `revised_share` (0 to 1) are told wrong, by up to `revised_by` of the day either way,
    and corrected in one to three steps until `revised_for` after the day's end: the last word is the truth.

    `widens` answers for whole UTC days, `begins_at_creation` cuts off what lies before the database was
    made, `longest_period` refuses more. `storage` is what the storage number means. `refuses_blocked` answers
    planLimitReached for the databases of a blocked workspace. `largest_page` bounds the `limit` of lists.
    `creation_takes` is how long a new database is provisioning, `restore_takes` how long one is recovering.
    Without `has_prefixes` ids are written without `db_` and the like.
    """

    known_after: timedelta = timedelta(0)
    known_every: timedelta = timedelta(0)
    published_every: timedelta = timedelta(0)
    revised_share: float = 0.0
    revised_by: float = 0.05
    revised_for: timedelta = timedelta(days=3)
    widens: bool = False
    begins_at_creation: bool = False
    longest_period: timedelta | None = None
    storage: StorageMeaning = StorageMeaning.PERIOD_END
    refuses_blocked: bool = False
    largest_page: int = 1_000
    creation_takes: timedelta = timedelta(0)
    restore_takes: timedelta = timedelta(seconds=3)
    has_prefixes: bool = True

    @property
    def final_after(self) -> timedelta:
        """How long after a day's end every answer about it is the truth."""
        known_after = max(self.known_after + self.known_every, self.revised_for if self.revised_share else timedelta(0))
        return known_after + self.published_every


REALISTIC = VendorBehaviour(
    known_after=timedelta(minutes=40),
    known_every=timedelta(minutes=10),
    revised_share=0.3,
)
"""Numbers arrive within the hour; a third of the days are corrected afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorUsage:
    """What the vendor says: its period in milliseconds, both ends included, the two numbers, and of when they are."""

    start_ms: int
    end_ms: int
    generated_ms: int
    operations: int
    storage_bytes: int


class PeriodRefused(ValueError):
    """The vendor does not answer for such a period; the message is for the answer's body."""


class Vendor:
    """Answers for databases of a world at an instant. Pure: the same question has the same answer."""

    def __init__(self, world: World, behaviour: VendorBehaviour | None = None) -> None:
        self.world = world
        self.behaviour = behaviour or VendorBehaviour()
        self._known_after_ms = span_ms(self.behaviour.known_after)
        self._step_ms = max(1, span_ms(self.behaviour.known_every))
        self._published_every_ms = max(1, span_ms(self.behaviour.published_every))
        self._revised_for_ms = span_ms(self.behaviour.revised_for) if self.behaviour.revised_share else 0
        self._revised_by_permille = max(1, round(self.behaviour.revised_by * 1_000))

    def usage(
        self, database_id: str, *, now: datetime, start_at: datetime | None = None, end_at: datetime | None = None
    ) -> VendorUsage:
        """The answer at `now`; without `start_at` from the month's start, without `end_at` until now.

        Raises:
            PeriodRefused: the end lies before the start, or the period is too long.
        """
        start_ms = to_ms(month_start(now) if start_at is None else start_at)
        end_ms = None if end_at is None else to_ms(end_at)
        return self.usage_of(self.world.registry.databases[database_id], self.world.live_until(now), start_ms, end_ms)

    def usage_of(self, database: DatabaseRecord, now_ms: int, start_ms: int, end_ms: int | None) -> VendorUsage:
        """The same in milliseconds, for a world that has lived until `now_ms`."""
        start_ms, end_ms = self._period(database, now_ms, start_ms, end_ms)
        published_ms = self._published_ms(now_ms)
        return VendorUsage(
            start_ms=start_ms,
            end_ms=end_ms,
            generated_ms=published_ms,
            operations=self._operations(database, published_ms, start_ms, end_ms + 1),
            storage_bytes=self._storage_bytes(database, published_ms, start_ms, end_ms),
        )

    def known_until(self, now: datetime) -> datetime:
        """How far operations are known at `now`."""
        return from_ms(self._known_until_ms(self._published_ms(to_ms(now))))

    def final_at(self, day: date) -> datetime:
        """From when on every answer about `day` is the truth."""
        return day_start(day) + timedelta(days=1) + self.behaviour.final_after

    def _period(self, database: DatabaseRecord, now_ms: int, start_ms: int, end_ms: int | None) -> tuple[int, int]:
        behaviour = self.behaviour
        if end_ms is None:
            end_ms = max(now_ms, start_ms)
        if end_ms < start_ms:
            raise PeriodRefused("endDate must not be before startDate")
        if behaviour.longest_period is not None and end_ms - start_ms > span_ms(behaviour.longest_period):
            raise PeriodRefused("the period between startDate and endDate is too long")
        if end_ms > now_ms or behaviour.widens:
            end_ms = end_ms // DAY_MS * DAY_MS + DAY_MS - 1
        if behaviour.widens:
            start_ms = start_ms // DAY_MS * DAY_MS
        if behaviour.begins_at_creation:
            start_ms = min(max(start_ms, database.created_ms), end_ms)
        return start_ms, end_ms

    def _operations(self, database: DatabaseRecord, now_ms: int, start_ms: int, end_ms: int) -> int:
        end_ms = min(end_ms, self._known_until_ms(now_ms))
        if end_ms <= start_ms:
            return 0
        operations = database.operations(start_ms, end_ms)
        if self._revised_for_ms:
            first_unsure_day = (now_ms - self._revised_for_ms) // DAY_MS
            for day in range(max(first_unsure_day, start_ms // DAY_MS), (end_ms - 1) // DAY_MS + 1):
                operations += self._error(database, day, now_ms, start_ms, end_ms)
        return operations

    def _error(self, database: DatabaseRecord, day: int, now_ms: int, start_ms: int, end_ms: int) -> int:
        """By how much a day's part of a span is told wrong: in proportion, so that parts of a day add up too."""
        permille = self._error_permille(database, day, now_ms)
        if not permille:
            return 0
        day_start_ms = day * DAY_MS
        before = database.operations(day_start_ms, max(start_ms, day_start_ms))
        until = database.operations(day_start_ms, min(end_ms, day_start_ms + DAY_MS))
        return until * permille // 1_000 - before * permille // 1_000

    def _error_permille(self, database: DatabaseRecord, day: int, now_ms: int) -> int:
        bits = draw(database.key, _REVISIONS, day)
        if not is_hit(self.behaviour.revised_share, bits):
            return 0
        corrections = 1 + (bits >> 32) % 3
        closed_ms = now_ms - (day + 1) * DAY_MS
        for number in range(corrections):
            if closed_ms < self._revised_for_ms * (number + 1) // corrections:
                wrong = draw(database.key, _REVISIONS, day, number)
                size = 1 + wrong % self._revised_by_permille
                return size if wrong >> 63 else -size
        return 0

    def _storage_bytes(self, database: DatabaseRecord, now_ms: int, start_ms: int, end_ms: int) -> int:
        until_ms = min(end_ms, now_ms)
        if self.behaviour.storage is StorageMeaning.NOW:
            return database.storage_bytes(now_ms)
        if self.behaviour.storage is StorageMeaning.PERIOD_END:
            return database.storage_bytes(until_ms)
        levels = [database.storage_bytes(at_ms) for at_ms in range(start_ms, until_ms + 1, HOUR_MS)] or [0]
        return max(levels) if self.behaviour.storage is StorageMeaning.MOST else sum(levels) // len(levels)

    def _published_ms(self, now_ms: int) -> int:
        """The newest publication."""
        return now_ms // self._published_every_ms * self._published_every_ms

    def _known_until_ms(self, now_ms: int) -> int:
        return (now_ms - self._known_after_ms) // self._step_ms * self._step_ms


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
    has_failed = is_hit(_FAILED_BACKUPS, draw(database.key, _BACKUPS, day))
    ended = "failed" if has_failed else "completed"
    return BackupRecord(
        id=identifier("", database.key, _BACKUPS, day),
        backup_type="incremental" if day % 7 else "full",
        created_ms=created_ms,
        size_bytes=database.storage_bytes(created_ms),
        status="running" if now_ms < created_ms + _BACKUP_TAKES_MS else ended,
    )
