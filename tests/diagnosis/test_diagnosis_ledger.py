"""What `doctor` says that the ledger has of a database: what was not read is not there, and no 0."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from diagnosis_values import NOW, TODAY, database_facts, day, facts, state

from builders import ONE_DAY
from prisma_postgres_exporter.diagnosis import Finding, diagnose
from prisma_postgres_exporter.model import DatabaseState

UNREAD = replace(
    state(),
    first_seen_at=NOW,
    counted_from=TODAY,
    known_until=date(2026, 10, 31),
    operations_total=0,
    usage_at=None,
    last_success_at=None,
    recent_days=(),
    months=(),
    rolling=(),
)


def ledger_of(row: DatabaseState) -> Finding:
    found = [finding for top in diagnose(facts(database_facts(state=row, days=()))) for finding in every(top)]
    return next(finding for finding in found if finding.step == "ledger")


def every(finding: Finding) -> list[Finding]:
    return [finding, *(below for child in finding.children for below in every(child))]


def test_of_a_database_that_never_answered_nothing_was_read_yet() -> None:
    found = ledger_of(UNREAD)

    assert found.text == "nothing was read yet"
    assert (found.facts["known_until"], found.facts["operations_total"]) == (None, None)
    assert any(line.startswith("not read yet, ") for line in found.lines)


def test_days_read_before_those_that_are_counted_are_not_counted_as_nothing() -> None:
    found = ledger_of(replace(UNREAD, known_until=TODAY - 3 * ONE_DAY))

    assert found.text == "every day until 2026-11-20, counted from 2026-11-23: none of these days was read yet"
    assert (found.facts["known_until"], found.facts["operations_total"]) == ("2026-11-20", None)


def test_days_read_after_one_that_was_not_are_not_every_day_until_the_month_before() -> None:
    today = day(23, operations=50, unchanged_since_at=None, settled_at=None)
    found = ledger_of(replace(UNREAD, operations_total=50, recent_days=(today,)))

    assert found.text == "1 day read, the first (2026-11-01) not yet, counted from 2026-11-23: 50 operations"
