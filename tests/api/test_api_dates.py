from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.api.decode import answered_at

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "instant"),
    [
        ("Mon, 23 Nov 2026 12:00:00 GMT", NOON),
        ("Mon, 23 Nov 2026 14:00:00 +0200", NOON),
        ("Monday, 23-Nov-26 12:00:00 GMT", NOON),
        ("Mon Nov 23 12:00:00 2026", NOON),
        ("2026-11-23T12:00:00Z", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -1400", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Mon, 99 Nov 2026 12:00:00 GMT", None),
        ("0", None),
        ("", None),
    ],
)
def test_the_date_of_an_answer_is_an_instant_of_these_centuries_or_none(date: str, instant: datetime | None) -> None:
    assert answered_at({"date": date}) == instant


@pytest.mark.parametrize(
    ("age", "seconds"),
    [
        ("0", 0),
        (" 59 ", 59),
        ("86400", 86_400),
        ("86401", 0),
        ("-1", 0),
        ("1.5", 0),
        ("9" * 5000, 0),
        ("²", 0),
        ("", 0),
    ],
)
def test_the_age_of_a_copy_is_added_where_it_makes_sense(age: str, seconds: int) -> None:
    instant = answered_at({"date": "Mon, 23 Nov 2026 12:00:00 GMT", "age": age})

    assert instant is not None
    assert (instant - NOON).total_seconds() == seconds


@given(st.text(), st.text())
def test_no_header_breaks_the_client(date: str, age: str) -> None:
    instant = answered_at({"date": date, "age": age})

    assert instant is None or 2000 <= instant.year <= 2201
