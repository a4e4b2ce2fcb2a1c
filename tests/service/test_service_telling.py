"""A line whose cause comes as often as somebody likes is said at once where it is new, and then once a minute."""

from __future__ import annotations

from prisma_postgres_exporter.service.telling import TOLD_EVERY_SECONDS, Telling


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
