"""A list over all its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from prisma_postgres_exporter.api.wire import Page
from prisma_postgres_exporter.errors import MalformedAnswer

T = TypeVar("T")


async def entries(
    fetch: Callable[[str | None], Awaitable[Page[T]]], *, endpoint: str, most_pages: int
) -> AsyncIterator[T]:
    """Every entry of every page, in order; `fetch` gets the cursor, `None` for the first page.

    A list that ends by an error is not complete: nothing may be taken for deleted because it was not in it.

    Raises:
        MalformedAnswer: the cursor repeats, or the list is longer than `most_pages`.
        ApiError: as `fetch` does.
    """
    seen: set[str | None] = set()
    cursor: str | None = None
    while cursor not in seen:
        if len(seen) == most_pages:
            raise MalformedAnswer(
                f"{endpoint}: no end after {most_pages} pages", reason="endless_list", endpoint=endpoint
            )
        seen.add(cursor)
        page = await fetch(cursor)
        for entry in page.entries:
            yield entry
        if page.next_cursor is None:
            return
        cursor = page.next_cursor
    raise MalformedAnswer(f"{endpoint}: the cursor repeats", reason="cursor_repeats", endpoint=endpoint)
