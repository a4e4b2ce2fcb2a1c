"""Lists over every credential, one page of them or all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from prisma_postgres_exporter.cli.api.running import Session
from prisma_postgres_exporter.errors import ApiError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import ManagementApi

T = TypeVar("T")

PAGE = 100


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A thing, and the client that reaches it."""

    thing: T
    api: ManagementApi


async def listed(
    session: Session, entries: Callable[[ManagementApi, int], AsyncIterator[T]], *, limit: int, is_all: bool
) -> tuple[list[T], bool]:
    """What `entries` yields for each client and size of a page: `limit` of it, or all; and whether there is more.

    A credential that fails leaves the others' entries; the session keeps its error.
    """
    found, has_more = await listed_with_clients(session, entries, limit=limit, is_all=is_all)
    return [one.thing for one in found], has_more


async def listed_with_clients(
    session: Session, entries: Callable[[ManagementApi, int], AsyncIterator[T]], *, limit: int, is_all: bool
) -> tuple[list[Found[T]], bool]:
    """The same, each with the client that reaches it."""
    found: list[Found[T]] = []
    for reach in session.reaches:
        try:
            async for entry in entries(reach.api, PAGE if is_all else min(limit, PAGE)):
                if len(found) == limit and not is_all:
                    return found, True
                found.append(Found(entry, reach.api))
        except ApiError as error:
            session.forgive(error)
    return found, False
