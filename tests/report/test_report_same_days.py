"""Days that two spans know: a database counts on the days on which it lived, and on no other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from report_values import OCTOBER, created, ledger_state, month_of, state

from builders import settled_day
from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.model import DatabaseState, DayUsage
from prisma_postgres_exporter.report import Key, compare_months, rank

DAY = timedelta(days=1)
RECENT_FROM, SHIFT, WIDTH = date(2026, 11, 1), timedelta(days=31), 20
SPANS = RECENT_FROM - SHIFT, RECENT_FROM, RECENT_FROM + (WIDTH - 1) * DAY
ALL_DAYS = [SPANS[0] + number * DAY for number in range((SPANS[2] - SPANS[0]).days + 1)]


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


Life = tuple[date, date | None, Mapping[date, int]]
"""First day, last day and the operations of the days that were read."""


@st.composite
def lives(draw: st.DrawFn) -> list[Life]:
    found: list[Life] = []
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.sampled_from((date(2026, 1, 1), *ALL_DAYS)))
        last = draw(st.sampled_from([None, *(day for day in ALL_DAYS if day >= first)]))
        lived = [day for day in ALL_DAYS if first <= day and (last is None or day <= last)]
        unread: set[date] = draw(st.sets(st.sampled_from(lived))) if lived else set()
        found.append((first, last, {day: draw(st.integers(0, 99)) for day in lived if day not in unread}))
    return found


@given(lives())
def test_growth_and_its_days_are_those_of_the_days_that_databases_lived(given_lives: list[Life]) -> None:
    expected: list[tuple[int, int, int, int]] = []
    in_both: list[list[bool]] = []
    for first, last, read in given_lives:
        recent = earlier = known = wanted = 0
        in_both.append([])
        for day in (RECENT_FROM + number * DAY for number in range(WIDTH)):
            lived = [d for d in (day, day - SHIFT) if first <= d and (last is None or d <= last)]
            wanted += bool(lived)
            in_both[-1] += [all(d in read for d in lived)] if len(lived) == 2 else []
            if lived and all(d in read for d in lived):
                known, recent, earlier = known + 1, recent + read.get(day, 0), earlier + read.get(day - SHIFT, 0)
        expected.append((recent, earlier, known, wanted))
    held = [dead_or_alive(number, *life[:2]) for number, life in enumerate(given_lives, 1)]
    days = [
        settled_day(day, count, database_key=number)
        for number, (_, _, read) in enumerate(given_lives, 1)
        for day, count in read.items()
    ]
    month = month_of(ledger_state(*held))

    lines = {line.row.database_id: line for line in rank(month, By.DATABASE, Key.GROWTH, days, SPANS)}
    [whole] = rank(month, By.WORKSPACE, Key.GROWTH, days, SPANS)

    for number, (recent, earlier, known, wanted) in enumerate(expected, 1):
        line, shared = lines.get(f"db_{number}"), in_both[number - 1]
        told = known if any(shared) or not shared else 0
        if line is not None:
            assert (line.growth_days, line.days_wanted) == (told, wanted)
            assert (line.recent_operations, line.earlier_operations) == ((recent, earlier) if told else (None, None))
    sums = [sum(numbers) for numbers in zip(*expected, strict=True)]
    of_all = [known for shared in in_both for known in shared]
    days_told = sums[2] if any(of_all) or not of_all else 0
    assert (whole.growth_days, whole.days_wanted) == (days_told, sums[3])
    assert (whole.recent_operations, whole.earlier_operations) == ((sums[0], sums[1]) if days_told else (None, None))


def dead_or_alive(number: int, first: date, last: date | None) -> DatabaseState:
    row = created(state(number, 1), noon(first) - timedelta(hours=1))
    return row if last is None else replace(row, deleted_at=noon(last))


def test_what_was_made_in_between_and_never_read_has_not_grown() -> None:
    """Created on 9 November, of which no day was read: that it was not there before is no knowledge of it."""
    month = month_of(ledger_state(created(state(1, 15), noon(date(2026, 11, 9)))))
    before = month_of(ledger_state(), until=OCTOBER)

    [line] = rank(month, By.WORKSPACE, Key.GROWTH, (), SPANS)
    [change] = compare_months(before, month, By.WORKSPACE, (), ())

    assert (line.recent_operations, line.earlier_operations, line.growth_operations) == (None, None, None)
    assert (line.growth_days, line.days_wanted) == (0, 12)
    assert change.operations_change is None


def test_what_a_new_database_had_is_not_the_growth_of_those_that_nobody_read() -> None:
    """The first day: the last days of every database were read, and none of the earlier month."""
    held = ledger_state(state(1, 15), state(3, 15), created(state(5, 15), noon(date(2026, 11, 9))))
    days = [settled_day(day, 50, database_key=number) for number in (1, 3, 5) for day in ALL_DAYS[-3:]]

    by_database = {line.row.database_id: line for line in rank(month_of(held), By.DATABASE, Key.GROWTH, days, SPANS)}
    [workspace] = rank(month_of(held), By.WORKSPACE, Key.GROWTH, days, SPANS)
    changes = compare_months(month_of(ledger_state(), until=OCTOBER), month_of(held), By.WORKSPACE, (), days)

    assert [by_database[id_].growth_operations for id_ in ("db_1", "db_3", "db_5")] == [None, None, 150]
    assert (workspace.growth_operations, workspace.growth_days, workspace.days_wanted) == (None, 0, 52)
    assert changes[0].operations_change is None


def test_what_was_deleted_at_midnight_did_not_live_on_the_day_that_began_then() -> None:
    row = replace(state(1, 15), deleted_at=datetime(2026, 11, 3, tzinfo=UTC))
    days = [settled_day(day, 5) for day in ALL_DAYS if day < date(2026, 11, 3)]

    [line] = rank(month_of(ledger_state(row)), By.DATABASE, Key.GROWTH, days, SPANS)

    assert (line.growth_days, line.days_wanted) == (20, 20)


def test_a_pace_is_over_the_days_that_databases_lived() -> None:
    """One lives all the time and one since 11 October, each with 100 a day: the pace is the same in both months."""
    held = [state(1, 2_000), created(state(2, 2_000), noon(date(2026, 10, 11)))]
    before = [state(1, 3_100, at=OCTOBER), created(state(2, 2_100, at=OCTOBER), noon(date(2026, 10, 11)))]

    def pace_of(recent: int) -> Sequence[str]:
        days: list[DayUsage] = [
            settled_day(day, recent if day >= RECENT_FROM else 100, database_key=number)
            for number in (1, 2)
            for day in ALL_DAYS
            if number == 1 or day >= date(2026, 10, 11)
        ]
        changes = compare_months(
            month_of(ledger_state(*before), until=OCTOBER), month_of(ledger_state(*held)), By.WORKSPACE, (), days
        )
        return [reason for reason in changes[0].reasons if "per database and day" in reason]

    where = "on the days known in both (40 and 30 of databases that lived)"
    assert pace_of(100) == [f"the same pace, {where}: 100 operations per database and day"]
    assert pace_of(150) == [f"150 operations per database and day instead of 100 (1.50 times), {where}"]
    assert not any(re.search(r"\bon the \d+ days", reason) for reason in pace_of(150))
