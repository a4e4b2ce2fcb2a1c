"""A list over all its pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, TypeVar

from prisma_postgres_exporter.api.wire import Page
from prisma_postgres_exporter.errors import MalformedAnswer

T = TypeVar("T")


class Listing(Generic[T]):
    """A list: an async iterator of its entries, that fetches page after page as they are wanted.

    A record that does not have the shape it should is left out; `pages()` shows which. The vendor may repeat an
    entry on a later page when the list changes meanwhile. A list that ends by an error is not complete: nothing
    may be taken for deleted because it was not in it.

    Raises, while it is read:
        MalformedAnswer: the cursor repeats, or the list is longer than `Limits.pages`.
        ApiError: as a call.
    """

    def __init__(self, fetch: Callable[[str | None], Awaitable[Page[T]]], *, endpoint: str, most_pages: int) -> None:
        """`fetch` gets the cursor, `None` for the first page."""
        self._fetch = fetch
        self._endpoint = endpoint
        self._most_pages = most_pages
        self._entries = self._each()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await anext(self._entries)

    async def pages(self) -> AsyncIterator[Page[T]]:
        """Its pages from the first one on, each with its entries and with what was refused."""
        seen: set[str | None] = set()
        cursor: str | None = None
        while cursor not in seen:
            if len(seen) == self._most_pages:
                raise MalformedAnswer(
                    f"{self._endpoint}: no end after {self._most_pages} pages",
                    reason="endless_list",
                    endpoint=self._endpoint,
                )
            seen.add(cursor)
            page = await self._fetch(cursor)
            yield page
            if page.next_cursor is None:
                return
            cursor = page.next_cursor
        raise MalformedAnswer(f"{self._endpoint}: the cursor repeats", reason="cursor_repeats", endpoint=self._endpoint)

    async def _each(self) -> AsyncIterator[T]:
        async for page in self.pages():
            for entry in page.entries:
                yield entry
