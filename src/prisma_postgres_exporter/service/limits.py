"""The limits of one credential's client, as configured."""

from __future__ import annotations

from prisma_postgres_exporter.api import Limits
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.descriptors import for_client

ATTEMPTS = 2
"""A call is repeated once: then the plan asks again."""

LONGEST_WAIT_SECONDS = 5.0
"""A wait of more than this ends a call: the plan asks again, and the worker is free for others."""


def limits_of(config: Config, clients: int = 1) -> Limits:
    """The limits of one of so many credentials, as configured and as far as there are descriptors."""
    poll = config.poll
    return Limits(
        requests_per_second=poll.requests_per_second,
        concurrency=for_client(clients, poll.most_calls),
        attempts=ATTEMPTS,
        connect_timeout_seconds=poll.connect_timeout.total_seconds(),
        read_timeout_seconds=poll.read_timeout.total_seconds(),
        total_timeout_seconds=poll.total_timeout.total_seconds(),
        longest_wait_seconds=LONGEST_WAIT_SECONDS,
    )
