"""An event loop on simulated time: whoever sleeps is woken as soon as nobody has anything to do."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop whose time goes on only by the waits that it is asked for; for code that waits for no socket or thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self.seconds


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for ever"
            self._loop.seconds += max(0.0, timeout)
        return ready


class InlineExecutor(Executor):
    """Runs everything at once, in the thread that asks."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # as every executor does: the future tells whoever asked
            future.set_exception(error)
        return future


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end on simulated time, with nothing in another thread."""

    async def at_once(call: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        return call(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patched, _loop() as loop:
        patched.setattr(asyncio, "to_thread", at_once)
        return loop.run_until_complete(main)


@contextlib.contextmanager
def _loop() -> Iterator[VirtualTimeLoop]:
    loop = VirtualTimeLoop()
    try:
        yield loop
    finally:
        loop.close()
