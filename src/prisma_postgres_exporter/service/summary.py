"""One line an interval for whoever reads the log: that it works, and how well."""

from __future__ import annotations

from datetime import timedelta

import structlog

from prisma_postgres_exporter.rounds import Collector, RoundReport
from prisma_postgres_exporter.snapshot import INTERVALS_MISSED

log = structlog.get_logger(__name__)

SHORTEST = timedelta(minutes=1)
"""However short the interval is."""


class Summary:
    """What rounds did since it was last said."""

    def __init__(self) -> None:
        self._readings = self._failed = 0

    def note(self, report: RoundReport) -> None:
        """A round ended."""
        self._readings += report.reads - report.failures
        self._failed += report.failures

    def say(self, collector: Collector) -> None:
        """Write the line, and begin anew."""
        states = collector.ledger_state.databases
        followed = collector.followed
        silent_since = collector.now() - collector.config.poll.silent_for(INTERVALS_MISSED)
        # They do not fail: the rounds are behind, as with a slow vendor or few connections.
        late = sum(
            states[id_].failing_since_at is None
            and (states[id_].last_success_at or states[id_].first_seen_at) < silent_since
            for id_ in followed & states.keys()
        )
        log.info(
            "collected",
            workspaces=sum(not turn.is_gone for turn in collector.turns.values()),
            databases=len(followed),
            failing=sum(states[id_].failing_since_at is not None for id_ in followed & states.keys()),
            readings=self._readings,
            failed_readings=self._failed,
            **({"not_read_in_time": late} if late else {}),
        )
        self._readings = self._failed = 0
