"""What a cycle learned besides numbers: which windows failed, and which the vendor widened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import structlog

from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.model import ReadingFailure, UsageReading
from prisma_postgres_exporter.plan import Attempt, AttemptKey, attempt_key

log = structlog.get_logger(__name__)


class Attempts:
    """The newest failed tries, for the next plan, and by window name whether the vendor widens it."""

    def __init__(self, health: ExporterHealth) -> None:
        self.failed: dict[AttemptKey, Attempt] = {}
        self.widened_windows: dict[str, bool] = {}
        self._health = health

    def note(self, outcomes: Iterable[UsageReading | ReadingFailure]) -> None:
        """Note what came of the reads of a cycle."""
        for outcome in outcomes:
            key = attempt_key(outcome.database_id, outcome.window)
            if isinstance(outcome, ReadingFailure):
                self._health.reading_failed(outcome.reason)
                self._note_failed(key, outcome.failed_at)
                continue
            self._note_width(outcome)
            if outcome.operations is None:
                self._note_failed(key, outcome.read_at)
            else:
                self.failed.pop(key, None)

    def _note_failed(self, key: AttemptKey, at: datetime) -> None:
        """Leave a window alone for a while that failed, or of which the vendor did not say a number."""
        failures = self.failed[key].failures + 1 if key in self.failed else 1
        self.failed[key] = Attempt(failed_at=at, failures=failures)

    def _note_width(self, reading: UsageReading) -> None:
        name = reading.window.name
        if self.widened_windows.get(name) == reading.is_widened:
            return
        if reading.is_widened:
            log.warning(
                "the vendor answers for more time than was asked",
                window=name,
                asked_from=reading.window.start_at.isoformat(),
                answered_from=reading.period_start_at.isoformat(),
            )
        self.widened_windows[name] = reading.is_widened
        self._health.window_widened(name, reading.is_widened)
