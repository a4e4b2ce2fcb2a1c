"""A connection that was lost in the middle of a call is no failure of the store yet: the call is made once more."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog

from prisma_postgres_exporter.errors import StoreDisconnected

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def reconnecting(call: Callable[P, T]) -> Callable[P, T]:
    """Make a call once more on a new connection: the server drops that of a process that was stopped in a transaction.

    For calls that may be made twice. A write that came through, and whose answer was lost, raises `StoreChanged` then,
    as one does that somebody else was quicker with.
    """

    @wraps(call)
    def called(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return call(*arguments, **options)
        except StoreDisconnected as error:
            log.info("store connected anew", reason=str(error))
        return call(*arguments, **options)

    return called
