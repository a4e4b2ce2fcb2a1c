"""Lists over every credential, one page of them or all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.cli.api.running import Session
from prisma_postgres_exporter.errors import ApiError

T = TypeVar("T")

PAGE = 100


async def listed(
    session: Session, entries: Callable[[ManagementApi, int], AsyncIterator[T]], *, limit: int, is_all: bool
) -> tuple[list[T], bool]:
    """What `entries` yields for each client and size of a page: `limit` of it, or all; and whether there is more.

    A credential that fails leaves the others' entries; the session keeps its error.
    """
    found: list[T] = []
    for reach in session.reaches:
        try:
            async for entry in entries(reach.api, PAGE if is_all else min(limit, PAGE)):
                if len(found) == limit and not is_all:
                    return found, True
                found.append(entry)
        except ApiError as error:
            session.forgive(error)
    return found, False
