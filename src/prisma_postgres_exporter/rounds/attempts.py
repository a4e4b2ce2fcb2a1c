"""What came of reads besides numbers: which windows failed, which databases hung, and what the vendor widened."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from prisma_postgres_exporter.ledger.plan import RETRY_SHORTEST, Attempt, AttemptKey, attempt_key
from prisma_postgres_exporter.model import ReadingFailure, UsageReading
from prisma_postgres_exporter.rounds.health import Health

log = structlog.get_logger(__name__)

KEPT_FOR = timedelta(days=2)
"""A window that failed and was not tried again for so long is not asked for any more."""

HANGING = frozenset({"timeout", "connect_timeout"})


class Attempts:
    """The newest tries of one workspace's windows, failed or just made, for its next plan; nothing of it is stored.

    `hung` are the ids of databases that hung the last time. `widened` are, for the name of each window that was read,
    the ids of those whose newest answer covers more time than was asked for.
    """

    def __init__(self, health: Health) -> None:
        self.tried: dict[AttemptKey, Attempt] = {}
        self.hung: set[str] = set()
        self.widened: dict[str, set[str]] = {}
        self._health = health

    def note(self, outcomes: Collection[UsageReading | ReadingFailure]) -> None:
        """Note what came of these reads."""
        self._forget_old(outcomes)
        for outcome in outcomes:
            if isinstance(outcome, ReadingFailure):
                self._note_failed(outcome)
                continue
            self.hung.discard(outcome.database_id)
            self._note_width(outcome)
            key = attempt_key(outcome.database_id, outcome.window)
            if outcome.operations is None:
                # Left alone for a while, as if it had failed: the vendor did not say the number.
                self._count(key, Attempt(tried_at=outcome.read_at, failures=1))
            else:
                self.tried[key] = Attempt(tried_at=outcome.read_at, failures=0)

    def forget_all(self) -> None:
        """Forget every try: the vendor is there again."""
        self.tried.clear()

    def forget_all_but(self, database_ids: Collection[str]) -> None:
        """Forget what concerns databases that are not there any more."""
        self.tried = {key: attempt for key, attempt in self.tried.items() if key[0] in database_ids}
        for noted in (self.hung, *self.widened.values()):
            noted.intersection_update(database_ids)

    def waits(self, now: datetime) -> dict[str, datetime]:
        """Until when the vendor asked to be left alone, by database id, where that is later than `now`."""
        waits: dict[str, datetime] = {}
        for (database_id, *_), attempt in self.tried.items():
            if attempt.not_before_at is not None and attempt.not_before_at > now:
                waits[database_id] = max(attempt.not_before_at, waits.get(database_id, now))
        return waits

    def _forget_old(self, outcomes: Collection[UsageReading | ReadingFailure]) -> None:
        newest_at = max((_at(outcome) for outcome in outcomes), default=None)
        if newest_at is not None:
            self.tried = {
                key: attempt
                for key, attempt in self.tried.items()
                if abs(newest_at - attempt.tried_at) <= (KEPT_FOR if attempt.failures else RETRY_SHORTEST)
            }

    def _note_failed(self, failure: ReadingFailure) -> None:
        self._health.reading_failed(failure.reason)
        (self.hung.add if failure.reason in HANGING else self.hung.discard)(failure.database_id)
        self._count(
            attempt_key(failure.database_id, failure.window),
            Attempt(tried_at=failure.failed_at, failures=1, not_before_at=failure.retry_at),
        )

    def _count(self, key: AttemptKey, attempt: Attempt) -> None:
        before = self.tried.get(key)
        self.tried[key] = replace(attempt, failures=before.failures + 1 if before else 1)

    def _note_width(self, reading: UsageReading) -> None:
        widened = self.widened.setdefault(reading.window.name, set())
        if not reading.is_widened:
            widened.discard(reading.database_id)
            return
        if not widened:
            log.warning(
                "the vendor answers for more time than was asked",
                window=reading.window.name,
                database_id=reading.database_id,
                asked_from=reading.window.start_at.isoformat(),
                answered_from=reading.period_start_at.isoformat(),
            )
        widened.add(reading.database_id)


def _at(outcome: UsageReading | ReadingFailure) -> datetime:
    return outcome.read_at if isinstance(outcome, UsageReading) else outcome.failed_at
