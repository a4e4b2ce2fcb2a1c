from __future__ import annotations

import asyncio

import pytest
from api_fakes import SteppingTime

from prisma_postgres_exporter.api import Limits
from prisma_postgres_exporter.api.limiter import Limiter


def limiter_of(time: SteppingTime, *, requests_per_second: float = 10, concurrency: int = 8) -> Limiter:
    return Limiter(Limits(requests_per_second=requests_per_second, concurrency=concurrency), time.clockwork())


async def start_times(limiter: Limiter, time: SteppingTime, count: int) -> list[float]:
    starts: list[float] = []

    async def attempt() -> None:
        async with limiter:
            starts.append(time.seconds - 1_000)

    await asyncio.gather(*(attempt() for _ in range(count)))
    return starts


async def test_calls_start_no_faster_than_the_rate(time: SteppingTime) -> None:
    starts = await start_times(limiter_of(time), time, 50)

    assert starts == pytest.approx([max(0, index / 10) for index in range(50)])


async def test_idle_time_is_not_saved_up_for_a_burst(time: SteppingTime) -> None:
    limiter = limiter_of(time)
    await start_times(limiter, time, 1)
    time.seconds += 3600

    starts = await start_times(limiter, time, 12)

    assert sum(start < 3600 + 0.05 for start in starts) <= 2
    assert starts[-1] >= 3600 + 1


async def test_no_more_run_at_once_than_allowed(time: SteppingTime) -> None:
    limiter = limiter_of(time, requests_per_second=1_000_000, concurrency=3)
    running = most = 0

    async def attempt() -> None:
        nonlocal running, most
        async with limiter:
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1

    await asyncio.gather(*(attempt() for _ in range(40)))

    assert most == 3


async def test_a_slowdown_halves_the_rate_and_holds_everyone_back(time: SteppingTime) -> None:
    limiter = limiter_of(time)
    limiter.slow_down(sent_at=time.seconds, pause_seconds=30)

    starts = await start_times(limiter, time, 3)

    assert starts == pytest.approx([30, 30.2, 30.4])


async def test_refusals_of_one_burst_count_once(time: SteppingTime) -> None:
    limiter = limiter_of(time)
    sent_at = time.seconds
    time.seconds += 1
    for _ in range(8):
        limiter.slow_down(sent_at=sent_at, pause_seconds=0)

    assert limiter.requests_per_second == 5


async def test_the_rate_never_reaches_zero_and_recovers_within_a_minute_of_successes(time: SteppingTime) -> None:
    limiter = limiter_of(time)
    for _ in range(100):
        limiter.slow_down(sent_at=time.seconds, pause_seconds=0)
        time.seconds += 1
    assert limiter.requests_per_second == pytest.approx(10 / 64)

    began_at = time.seconds
    rates = []
    while limiter.requests_per_second < 10:
        async with limiter:
            limiter.recover()
        rates.append(limiter.requests_per_second)

    assert rates == sorted(rates)
    assert 30 < time.seconds - began_at < 90


async def test_a_cancelled_wait_gives_its_place_back(time: SteppingTime) -> None:
    limiter = limiter_of(time, requests_per_second=1_000_000, concurrency=2)
    gate = asyncio.Event()

    async def attempt() -> None:
        async with limiter:
            await gate.wait()

    tasks = [asyncio.create_task(attempt()) for _ in range(200)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    gate.set()

    await asyncio.gather(attempt(), attempt(), attempt())
