from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.api import Limits
from prisma_postgres_exporter.api.decode import retry_after_seconds
from prisma_postgres_exporter.api.retry import wait_before_retry
from prisma_postgres_exporter.errors import (
    ApiError,
    ConfigurationError,
    MalformedAnswer,
    NotFound,
    Throttled,
    Unavailable,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIMITS = Limits(attempts=4, backoff_seconds=0.5, backoff_cap_seconds=30, retry_after_cap_seconds=60)


def wait(error: ApiError, *, attempt: int = 1, may_repeat: bool = True, chance: float = 0.5) -> float | None:
    return wait_before_retry(error, attempt=attempt, may_repeat=may_repeat, limits=LIMITS, chance=chance)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("999999999999", 86_400),
        ("9" * 5000, 86_400),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 2026 14:00:30 +0200", 30),
        ("Mon, 23 Nov 2026 12:00:30 -0000", 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
        ("Fri, 31 Dec 9999 23:59:59 -1400", None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("NaN", None),
        ("Mon, 99 Nov 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": value}, now=NOW) == seconds


def test_a_retry_date_is_measured_on_the_servers_own_clock() -> None:
    headers = {"retry-after": "Mon, 23 Nov 2026 09:00:05 GMT", "date": "Mon, 23 Nov 2026 09:00:00 GMT"}

    assert retry_after_seconds(headers, now=NOW) == 5


@given(st.text())
def test_no_retry_after_breaks_the_client(value: str) -> None:
    seconds = retry_after_seconds({"retry-after": value, "date": value}, now=NOW)

    assert seconds is None or 0 <= seconds <= 86_400


def test_waits_grow_twofold_up_to_the_cap() -> None:
    limits = Limits(attempts=100, backoff_seconds=0.5, backoff_cap_seconds=30)
    error = Unavailable("down", reason="http_500")
    waits = [
        wait_before_retry(error, attempt=attempt, may_repeat=True, limits=limits, chance=1) for attempt in range(1, 100)
    ]

    assert waits[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert set(waits[8:]) == {30}


def test_jitter_takes_any_part_of_the_wait() -> None:
    error = Unavailable("down", reason="http_500")

    assert [wait(error, attempt=3, chance=chance) for chance in (0, 0.25, 0.999)] == [0, 0.5, 1.998]


def test_a_wait_the_server_asks_for_is_kept_up_to_the_cap() -> None:
    assert wait(Unavailable("down", reason="http_503", retry_after_seconds=7)) == 7
    assert wait(Throttled("slow", reason="http_429", retry_after_seconds=3600)) == 60


def test_a_wait_longer_than_the_longest_is_never_made_not_even_in_part() -> None:
    limits = replace(LIMITS, longest_wait_seconds=5.0)

    def bounded(error: ApiError, *, attempt: int = 1) -> float | None:
        return wait_before_retry(error, attempt=attempt, may_repeat=True, limits=limits, chance=0.99)

    assert bounded(Unavailable("down", reason="http_503", retry_after_seconds=5)) == 5
    assert bounded(Unavailable("down", reason="http_503", retry_after_seconds=6)) is None
    assert bounded(Unavailable("down", reason="http_503", retry_after_seconds=3600)) is None
    assert bounded(Unavailable("down", reason="http_500"), attempt=3) == pytest.approx(1.98)
    slow = replace(limits, backoff_seconds=6.0)
    assert (
        wait_before_retry(Unavailable("down", reason="http_500"), attempt=1, may_repeat=True, limits=slow, chance=0.9)
        is None
    )


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_a_longest_wait_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="longest_wait_seconds"):
        Limits(longest_wait_seconds=seconds)


def test_a_retry_after_of_zero_still_backs_off() -> None:
    assert wait(Unavailable("down", reason="http_503", retry_after_seconds=0)) == 0.25


def test_the_last_attempt_is_the_last() -> None:
    error = Unavailable("down", reason="http_500")

    assert [wait(error, attempt=attempt) is None for attempt in (1, 2, 3, 4, 5)] == [False, False, False, True, True]


@pytest.mark.parametrize(
    "error",
    [
        NotFound("gone", reason="http_404"),
        MalformedAnswer("odd", reason="not_json"),
        Unavailable("certificate", reason="tls"),
    ],
)
def test_what_will_stay_wrong_is_not_tried_again(error: ApiError) -> None:
    assert wait(error) is None


def test_what_may_have_had_an_effect_is_not_tried_again() -> None:
    assert wait(Unavailable("down", reason="timeout"), may_repeat=False) is None
