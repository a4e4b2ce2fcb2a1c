"""The limits of one credential's client, as configured."""

from __future__ import annotations

from prisma_postgres_exporter.api import Limits
from prisma_postgres_exporter.config import Config

ATTEMPTS = 2
"""A call is repeated once: then the plan asks again."""

LONGEST_WAIT_SECONDS = 5.0
"""A wait of more than this ends a call: the plan asks again, and the worker is free for others."""


def limits_of(config: Config) -> Limits:
    """The limits of one credential, as configured."""
    poll = config.poll
    return Limits(
        requests_per_second=poll.requests_per_second,
        # Half of it is for workers in the place of those that hang.
        concurrency=2 * poll.concurrency,
        attempts=ATTEMPTS,
        connect_timeout_seconds=poll.connect_timeout.total_seconds(),
        read_timeout_seconds=poll.read_timeout.total_seconds(),
        total_timeout_seconds=poll.total_timeout.total_seconds(),
        longest_wait_seconds=LONGEST_WAIT_SECONDS,
    )
