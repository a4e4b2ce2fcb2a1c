"""A line whose cause comes as often as somebody likes is said at once where it is new, and then once a minute."""

from __future__ import annotations

from prisma_postgres_exporter.service.telling import MOST_LINES, TOLD_EVERY_SECONDS, Telling


def test_what_goes_on_is_said_once_a_minute_with_how_often_it_came() -> None:
    now = 0.0
    telling = Telling(lambda: now)
    assert telling.times("bad") == 1
    assert [telling.times("bad") for _ in range(500)] == [None] * 500
    now = TOLD_EVERY_SECONDS
    assert telling.times("bad") == 501
    assert telling.times("bad") is None


def test_what_is_new_is_said_at_once() -> None:
    telling = Telling(lambda: 0.0)
    assert [telling.times(what) for what in ("good", "bad", "bad", "worse", "good")] == [1, 1, None, 1, 1]


def test_what_comes_and_goes_is_said_so_often_a_minute_and_the_newest_is_owed() -> None:
    now = 0.0
    telling = Telling(lambda: now)
    said = [telling.times(what) for _ in range(500) for what in ("good", "bad")]
    assert said == [1] * MOST_LINES + [None] * (1_000 - MOST_LINES)
    owed = [telling.is_owed, telling.times("good"), telling.is_owed]
    now = TOLD_EVERY_SECONDS
    assert [*owed, telling.times("good"), telling.is_owed] == [False, None, True, 2, False]


def test_what_somebody_asks_for_is_said_each_time_as_long_as_there_is_room() -> None:
    telling = Telling(lambda: 0.0)
    assert [telling.times("good", is_asked=True) for _ in range(MOST_LINES + 1)] == [1] * MOST_LINES + [None]
    assert not telling.is_owed
