"""Pools whose threads are all there from the start."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier


class StartedThreads(ThreadPoolExecutor):
    """A pool that starts no thread later on.

    Whoever starts a thread waits until that has begun. One that finds no memory to begin with ends without a word, and
    the other waits for ever (https://github.com/python/cpython/issues/140746): an event loop must not.
    """

    def __init__(self, count: int, name: str) -> None:
        super().__init__(count, thread_name_prefix=name)
        # Each keeps one thread busy until there is one for the last, too.
        together = Barrier(count)
        wait([self.submit(together.wait) for _ in range(count)])
