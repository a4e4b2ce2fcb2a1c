"""Why the vendor's month is not the sum of the days."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from diagnosis_values import (
    DAYS,
    LAST_AT,
    MONTH,
    NOW,
    OCTOBER,
    database_facts,
    day,
    facts,
    november,
    revision,
    state,
)

from prisma_postgres_exporter.diagnosis import Finding, Level, Reason, diagnose, walk
from prisma_postgres_exporter.model import DayUsage, MonthUsage, Revision

UNSETTLED_22 = replace(day(22), settled_at=None)


def month_finding(
    *months: MonthUsage,
    days: tuple[DayUsage, ...] = DAYS,
    revisions: tuple[Revision, ...] = (),
    month: str = "2026-11",
    **changes: Any,
) -> Finding:
    """What is said of a month."""
    given = facts(database_facts(state=state(months=months, **changes), days=days, revisions=revisions))
    [found] = [finding for finding in walk(diagnose(given)) if finding.subject == month]
    return found


def test_a_month_that_agrees_is_ok() -> None:
    found = month_finding(november())

    assert (found.level, found.lines) == (Level.OK, ())
    assert found.text == "the vendor's month is 2,250, the sum of 23 days now 2,250; they agree"


def test_a_month_that_agreed_when_it_was_read_agrees_while_the_open_day_grows() -> None:
    found = month_finding(november(), days=(*DAYS[:-1], replace(DAYS[-1], operations=90)))

    assert found.level is Level.OK
    assert "they agree" in found.text


@pytest.mark.parametrize(
    ("month", "days", "revisions", "reasons", "level", "said"),
    [
        pytest.param(
            november(operations=2_300, difference_operations=50),
            DAYS,
            (),
            [Reason.VENDOR_DISAGREES],
            Level.PROBLEM,
            "the vendor's month (2,300) was not the sum of the vendor's days (2,250) when both were read"
            " (2026-11-23 13:57:00 UTC): it differed by +50",
            id="the vendor does not agree with itself",
        ),
        pytest.param(
            november(operations=2_200, difference_operations=-50, rechecked_difference_operations=-50),
            (*DAYS[:-2], UNSETTLED_22, DAYS[-1]),
            (),
            [Reason.UNSETTLED, Reason.VENDOR_DISAGREES],
            Level.PROBLEM,
            "differed by -50; the settled days are read again for it",
            id="nor when it is asked again",
        ),
        pytest.param(
            november(operations=2_300, difference_operations=50),
            (*DAYS[:-2], UNSETTLED_22, DAYS[-1]),
            (),
            [Reason.UNSETTLED],
            Level.NOTE,
            "1 closed day may still change: 2026-11-22",
            id="unsettled",
        ),
        pytest.param(
            november(operations=2_300, difference_operations=50),
            DAYS,
            (
                revision(5, 70, 80, LAST_AT - timedelta(days=3)),
                revision(5, 80, 90, LAST_AT + timedelta(minutes=1)),
                revision(9, 60, 100, LAST_AT + timedelta(minutes=2)),
            ),
            [Reason.REVISED_AFTERWARDS],
            Level.NOTE,
            "2026-11-05, 2026-11-09 changed by +50 after the vendor's month was read (2026-11-23 13:57:00 UTC)",
            id="revised afterwards",
        ),
        pytest.param(
            november(operations=2_300, difference_operations=50),
            DAYS,
            (revision(5, 80, 90, LAST_AT + timedelta(minutes=1)),),
            [Reason.REVISED_AFTERWARDS, Reason.VENDOR_DISAGREES],
            Level.PROBLEM,
            "differed by +50",
            id="revised afterwards by less than that",
        ),
        pytest.param(
            november(difference_operations=None),
            (*DAYS[:3], *DAYS[6:]),
            (),
            [Reason.DAYS_MISSING],
            Level.NOTE,
            "3 days not in the ledger yet: 2026-11-04, 2026-11-05, 2026-11-06",
            id="days missing",
        ),
        pytest.param(
            november(difference_operations=None),
            DAYS[-1:],
            (),
            [Reason.DAYS_MISSING],
            Level.NOTE,
            "22 days not in the ledger yet: 2026-11-01, 2026-11-02, 2026-11-03, 2026-11-04, 2026-11-05,"
            " 2026-11-06, 2026-11-07, 2026-11-08, 2026-11-09, 2026-11-10 and 12 more",
            id="many days missing",
        ),
        pytest.param(
            november(difference_operations=None),
            DAYS,
            (),
            [Reason.READ_AFTERWARDS],
            Level.NOTE,
            "not read together yet",
            id="not read together yet",
        ),
        pytest.param(
            november(operations=None, difference_operations=None, period_end_at=None, read_at=None),
            DAYS,
            (),
            [Reason.NOT_READ],
            Level.NOTE,
            "never read",
            id="never read",
        ),
    ],
)
def test_a_difference_is_explained_with_its_numbers(
    month: MonthUsage,
    days: tuple[DayUsage, ...],
    revisions: tuple[Revision, ...],
    reasons: list[Reason],
    level: Level,
    said: str,
) -> None:
    found = month_finding(month, days=days, revisions=revisions)

    assert found.facts["reasons"] == [reason.value for reason in reasons]
    assert found.level is level
    assert said in "\n".join(found.lines)
    assert found.facts["difference_operations"] == month.difference_operations


def test_a_database_that_moved_has_a_difference_that_its_shares_explain() -> None:
    left = replace(november(), workspace_key=2, days=8, days_operations=800, operations=None, read_at=None)
    found = month_finding(left, november(days=15, days_operations=1_450, operations=1_450, difference_operations=-800))

    assert found.level is Level.NOTE
    assert found.facts["reasons"] == ["moved"]
    assert "8 days with 800 operations, 15 days with 1,450 operations" in found.lines[0]


def test_a_month_before_the_ledger_begins_can_be_backfilled() -> None:
    found = month_finding(replace(OCTOBER, operations=9_000), month="2026-10")

    assert found.level is Level.OK
    assert (
        "`here backfill --store-url x --from 2026-10-01 --to 2026-10-31 --database db_a` reads them" in found.lines[0]
    )


def test_recent_revisions_are_shown_old_and_new_with_the_time() -> None:
    kept = tuple(revision(number, number, 2 * number, NOW - timedelta(hours=30 - number)) for number in range(1, 13))
    given = facts(database_facts(revisions=kept, state=state(revisions_up=12)))

    [found] = [finding for finding in walk(diagnose(given)) if finding.subject == "revisions"]

    assert found.text == "12 of days of these two months, the newest 10"
    assert found.lines[0] == "2026-11-12: 12 → 24, 2026-11-22 20:00:00 UTC"
    listed = found.facts["revisions"]
    assert isinstance(listed, list)
    assert listed[0] == {
        "day": "2026-11-12",
        "revised_at": "2026-11-22T20:00:00+00:00",
        "operations_before": 12,
        "operations_after": 24,
    }


def test_of_databases_that_were_not_asked_for_only_the_difference_is_named() -> None:
    known = state(months=(OCTOBER, november(difference_operations=50)))
    given = facts(replace(database_facts(), usage=None, days=None, state=known))

    [found] = [finding for finding in walk(diagnose(given)) if finding.subject == f"{MONTH:%Y-%m}"]

    assert found.level is Level.NOTE
    assert found.text == "the vendor's month differs from the sum of the days by +50: `doctor db_a` says why"
