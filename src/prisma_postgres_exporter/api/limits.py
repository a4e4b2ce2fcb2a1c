"""The bounds of one client."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from prisma_postgres_exporter.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of one `ManagementApi`, that is of one credential.

    `total_timeout_seconds` bounds one attempt from connecting to the last byte. `attempts` is the
    number of tries in all for a call that may be tried again. A wait the server asks for with
    `Retry-After` is honoured up to `retry_after_cap_seconds`. `pages` bounds one list.

    With `longest_wait_seconds` a call that would have to wait longer between two attempts ends at once with the
    last one's error: a caller with other work does better to come back after `retry_after_seconds` than to wait a
    part of it. 429 then holds the other calls back no longer either. `None` waits up to the caps.

    Raises:
        ConfigurationError: a value that is not positive and finite.
    """

    requests_per_second: float = 10.0
    concurrency: int = 8
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 15.0
    total_timeout_seconds: float = 30.0
    attempts: int = 4
    backoff_seconds: float = 0.5
    backoff_cap_seconds: float = 30.0
    retry_after_cap_seconds: float = 60.0
    longest_wait_seconds: float | None = None
    pages: int = 1_000

    def __post_init__(self) -> None:
        values = ((bound.name, getattr(self, bound.name)) for bound in fields(self))
        problems = [
            f"{name} must be positive and finite"
            for name, value in values
            if value is not None and not 0 < value < math.inf
        ]
        if problems:
            raise ConfigurationError(problems)
