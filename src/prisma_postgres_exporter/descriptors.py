"""How many files and connections may be open at once, and what of that is for whom."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

MOST_OF_WEB = 256
OF_ITSELF = 32
"""For the store, files, the log and targets of push; three quarters of all where there are so few."""


def raise_limit() -> None:
    """Take as many as the system lets this process have, as Go programs do: the soft limit is for `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems have a lower bound that they do not say
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_web() -> int:
    """How many connections the web server may have."""
    rest = _besides_itself()
    return MOST_OF_WEB if rest is None else max(4, min(MOST_OF_WEB, rest // 2))


def for_api() -> int | None:
    """How many connections to the API all clients may have together, `None` without a bound."""
    rest = _besides_itself()
    return None if rest is None else max(0, rest - for_web())


def for_client(clients: int, wanted: int) -> int:
    """How many connections each of so many clients may have: an equal part, so that none waits for another's."""
    affordable = for_api()
    return wanted if affordable is None else max(1, min(wanted, affordable // max(1, clients)))


def why_none() -> str | None:
    """Why no file or connection can be opened now, in the system's words; `None` where one can.

    For what says only that it could not open something.
    """
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return error.strerror
    return None


def _besides_itself() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit - min(OF_ITSELF, limit * 3 // 4)
