"""Work beside the event loop, one piece at a time: scrapes go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class OneAtATime:
    """Does one piece of work after the other, in a thread: however many ask, one of them takes a part of a core."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def __call__(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises."""
        async with self._turn:
            return await asyncio.to_thread(work)
