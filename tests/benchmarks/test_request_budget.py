"""What an adaptive plan reads, beside one that reads in every interval, of the same databases at the same budget.

`pytest -m benchmark -s tests/benchmarks/test_request_budget.py`, in minutes: plan and ledger live on simulated time.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from prisma_postgres_exporter.config import PollConfig
from published_life import Measured, lived, publishers_of

ADAPTIVE = PollConfig(windows=(), adaptive=True)
EVERY_INTERVAL = PollConfig(windows=(), adaptive=False)
INTERVAL_SECONDS = ADAPTIVE.interval.total_seconds()
DATABASES = 50
LEARNING = timedelta(hours=13)

pytestmark = pytest.mark.benchmark


def compared(
    *,
    hours: int | None,
    sigma: float,
    share: float | None,
    days: float,
    databases: int,
    measured_from: timedelta = timedelta(0),
    jitter: timedelta = timedelta(0),
) -> tuple[Measured, Measured]:
    """An adaptive life and one without, measured alike; the ratios are printed."""
    period = None if hours is None else timedelta(hours=hours)
    publishers = publishers_of(databases, sigma=sigma, period=period, seed=5, jitter=jitter)
    adaptive, plain = (
        lived(publishers, poll, days=days, share=share, measured_from=measured_from)
        for poll in (ADAPTIVE, EVERY_INTERVAL)
    )
    budget = "enough" if share is None else f"{share:.0%}"
    print(
        f"\nevery {hours or '1 to 6'} h, sigma {sigma}, budget {budget}: open days read"
        f" {adaptive.reads_a_day / plain.reads_a_day:.1%}, requests {adaptive.reads_of_all / plain.reads_of_all:.1%},"
        f" mean delay {adaptive.mean_delay:.0f} s / {plain.mean_delay:.0f} s,"
        f" 99% within {adaptive.delay_of(99):.0f} s / {plain.delay_of(99):.0f} s,"
        f" unseen operations x {adaptive.unseen / plain.unseen:.2f}"
        f" (least possible: {adaptive.least / plain.unseen:.2f}),"
        f" oldest {adaptive.oldest} / {plain.oldest}"
    )
    return adaptive, plain


@pytest.mark.parametrize("hours", [1, 2, 3, 6, None])
def test_a_week_with_enough_requests(hours: int | None) -> None:
    adaptive, plain = compared(hours=hours, sigma=1, share=None, days=7, databases=8)

    assert adaptive.reads_a_day <= 0.15 * plain.reads_a_day
    assert adaptive.mean_delay <= plain.mean_delay
    assert adaptive.delay_of(99) <= plain.delay_of(99) + INTERVAL_SECONDS
    assert adaptive.oldest <= ADAPTIVE.read_within


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("sigma", [1, 2])
@pytest.mark.parametrize("hours", [1, 3, 6])
def test_too_few_requests_go_to_those_of_whom_most_is_unseen(hours: int, sigma: int, share: float) -> None:
    adaptive, plain = compared(
        hours=hours, sigma=sigma, share=share, days=1.5, databases=DATABASES, measured_from=LEARNING
    )

    assert adaptive.unseen <= (0.25 if sigma == 2 else 0.5) * plain.unseen
    assert adaptive.oldest <= ADAPTIVE.read_within


@pytest.mark.parametrize("hours", [1, 6])
def test_equal_databases_are_no_worse_off(hours: int) -> None:
    adaptive, plain = compared(hours=hours, sigma=0, share=0.1, days=1.5, databases=DATABASES, measured_from=LEARNING)

    assert adaptive.unseen <= plain.unseen


def test_publications_that_come_up_to_five_minutes_late_are_found() -> None:
    jitter = timedelta(minutes=5)
    adaptive, plain = compared(hours=1, sigma=1, share=None, days=3, databases=8, jitter=jitter)

    assert adaptive.reads_a_day <= 0.25 * plain.reads_a_day
    assert adaptive.delay_of(95) <= plain.delay_of(95) + INTERVAL_SECONDS
