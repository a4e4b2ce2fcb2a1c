from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from api_fakes import SteppingTime

from prisma_postgres_exporter.api import Limits
from prisma_postgres_exporter.api.retry import Limiter


def limiter_of(time: SteppingTime, *, requests_per_second: float = 10, concurrency: int = 8) -> Limiter:
    return Limiter(Limits(requests_per_second=requests_per_second, concurrency=concurrency), time.clock())


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


async def test_the_rate_never_reaches_zero_and_rises_steadily_with_successes(time: SteppingTime) -> None:
    limiter = limiter_of(time)
    for _ in range(100):
        limiter.slow_down(sent_at=time.seconds, pause_seconds=0)
        time.seconds += 1
    assert limiter.requests_per_second == pytest.approx(10 / 16)

    rates = [limiter.requests_per_second]
    while limiter.requests_per_second < 10:
        async with limiter:
            limiter.recover()
        rates.append(limiter.requests_per_second)

    assert rates == sorted(rates)
    assert all(later <= 2 * earlier for earlier, later in pairwise(rates))


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


async def answered(limiter: Limiter, time: SteppingTime, *, seconds: float, is_refused: Callable[[], bool]) -> int:
    """How many attempts start in so many seconds, of callers that never pause."""
    ends_at = time.seconds + seconds
    started = 0
    while time.seconds < ends_at:
        async with limiter:
            started += 1
            if is_refused():
                limiter.slow_down(sent_at=time.seconds, pause_seconds=1)
            else:
                limiter.recover()
    return started


@pytest.mark.parametrize("requests_per_second", [10, 60])
@pytest.mark.parametrize("seed", range(3))
async def test_rare_refusals_leave_the_rate_as_it_is(time: SteppingTime, requests_per_second: float, seed: int) -> None:
    limiter = limiter_of(time, requests_per_second=requests_per_second)
    chance = random.Random(seed)

    started = await answered(limiter, time, seconds=600, is_refused=lambda: chance.random() < 0.0125)

    assert started >= 0.85 * 600 * requests_per_second


async def test_refusals_of_half_the_answers_cost_most_of_the_rate(time: SteppingTime) -> None:
    chance = random.Random(1)
    started = await answered(
        limiter_of(time, requests_per_second=60), time, seconds=600, is_refused=lambda: chance.random() < 0.5
    )

    assert started < 0.05 * 600 * 60


@pytest.mark.parametrize("requests_per_second", [10, 60, 1_000])
async def test_a_storm_of_refusals_leaves_the_floor_and_ten_seconds_after_it_the_full_rate_is_back(
    time: SteppingTime, requests_per_second: float
) -> None:
    limiter = limiter_of(time, requests_per_second=requests_per_second)
    await answered(limiter, time, seconds=60, is_refused=lambda: False)
    await answered(limiter, time, seconds=60, is_refused=lambda: True)
    assert limiter.requests_per_second == requests_per_second / 16

    await answered(limiter, time, seconds=10, is_refused=lambda: False)
    assert limiter.requests_per_second == requests_per_second


async def test_a_rare_refusal_holds_only_its_own_call_back(time: SteppingTime) -> None:
    limiter = limiter_of(time)
    await answered(limiter, time, seconds=60, is_refused=lambda: False)

    assert limiter.slow_down(sent_at=time.seconds, pause_seconds=3600) == 0
    assert limiter.slow_down(sent_at=time.seconds, pause_seconds=3600) == 0

    assert (await start_times(limiter, time, 2))[-1] < 62
