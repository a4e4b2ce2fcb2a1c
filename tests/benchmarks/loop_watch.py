"""How long an event loop stands still: a task in it that sleeps, and notes how late it wakes up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path

NAP_SECONDS = 0.005


async def watched(running: Awaitable[object], path: str) -> None:
    """Await `running`; at its end the file holds the longest stall in seconds, one number for each started second."""
    stalls: list[float] = []

    async def watch() -> None:
        began = time.perf_counter()
        while True:
            napped = time.perf_counter()
            await asyncio.sleep(NAP_SECONDS)
            woken = time.perf_counter()
            stalls.extend([0.0] * (int(woken - began) + 1 - len(stalls)))
            stalls[-1] = max(stalls[-1], woken - napped - NAP_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        await running
    finally:
        watching.cancel()
        _write(path, stalls)


def _write(path: str, stalls: Sequence[float]) -> None:
    Path(path).write_text("\n".join(map(str, stalls)))
