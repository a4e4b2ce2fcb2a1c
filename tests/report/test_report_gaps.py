"""Why something of a month is missing: only what applies is named, and when it will be there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from report_values import NOW, OCTOBER, ledger_state, month_of, state

import builders
from builders import day_usage, settled_day, workspace_state
from prisma_postgres_exporter.cost import By, total_of
from prisma_postgres_exporter.documents import month_document
from prisma_postgres_exporter.ledger.backfill import plan_backfill
from prisma_postgres_exporter.model import DatabaseState, Move, WorkspaceState
from prisma_postgres_exporter.report import (
    failing_sentences,
    gap_sentences,
    incomplete_sentence,
    report_month,
    so_far,
    use,
)

NOON = NOW + timedelta(hours=12)


def read_from(at: datetime) -> DatabaseState:
    """A database of which every day was read, and levels from an instant on."""
    row = state(1, 100, at=NOON)
    read = settled_day(NOW.date(), 5, storage_seconds=int((NOON - at).total_seconds()), settled_at=None, read_at=NOON)
    missing = int((at - NOW).total_seconds())
    months = (replace(row.months[0], days=21, storage_seconds=row.months[0].storage_seconds - missing),)
    return replace(row, recent_days=(read,), months=months, known_until=NOW.date())


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (read_from(NOW), []),
        (
            read_from(NOW + timedelta(hours=11)),
            ["The rest of today of 1 database will be known from 2026-11-22 01:00 UTC on."],
        ),
        (
            replace(read_from(NOW + timedelta(hours=11)), failing_since_at=NOON),
            ["Nothing can be read now of 1 database; what is missing comes when it answers again."],
        ),
        (
            replace(
                read_from(NOON - timedelta(minutes=1)),
                months=(),
                database=replace(read_from(NOON).database, created_at=NOON - timedelta(minutes=59)),
            ),
            ["What is missing of 1 database created within the last hour comes with its next readings."],
        ),
    ],
)
def test_what_passes_is_said_with_its_time(row: DatabaseState, said: list[str]) -> None:
    assert list(gap_sentences(month_of(ledger_state(row), until=NOON, now=NOON))) == said


def test_on_the_first_day_of_a_month_what_was_not_read_yet_will_be() -> None:
    """Minutes after midnight nothing of the month is there, and `collect` or the service reads it."""
    at = datetime(2026, 12, 1, 0, 10, tzinfo=UTC)
    said = list(gap_sentences(month_of(ledger_state(state(1, 100, at=NOW)), until=at, now=at)))
    assert said == ["The rest of today of 1 database will be known from 2026-12-02 01:00 UTC on."]


def test_what_no_command_gets_is_said_by_its_cause() -> None:
    unread = replace(state(1, 100), months=(replace(state(1, 100).months[0], storage_seconds=5),))
    deleted = replace(unread, deleted_at=NOW - timedelta(days=2))
    move = Move(at=datetime(2026, 11, 4, 9, 30, tzinfo=UTC), from_key=2, to_key=1, last_there_at=NOW.replace(day=4))
    moved = replace(unread, months=(*unread.months, replace(unread.months[0], workspace_key=2, days=3)), moves=(move,))
    gone = builders.ledger_state(workspace_state(unread, id_="wksp_1", gone_at=NOW - timedelta(days=1)))

    two = builders.ledger_state(workspace_state(moved, id_="wksp_1"), workspace_state(key=2, id_="wksp_2"))

    for held, said in (
        (ledger_state(deleted), "1 database that was deleted"),
        (gone, "1 database of a workspace that is gone"),
    ):
        (sentence,) = gap_sentences(month_of(held))
        assert sentence.startswith("No command gets what is missing of ")
        assert said in sentence
    assert list(gap_sentences(month_of(two))) == [
        "1 database moved on 2026-11-04: what it used on that day may belong to either workspace."
    ]


def just_moved(*, holder: int = 2) -> DatabaseState:
    """Every day and level until now are known, all in workspace 1, which it left in the last half hour."""
    row = state(1, 100)
    months = (replace(row.months[0], days=20),)
    yesterday = NOW.date() - timedelta(days=1)
    move = Move(at=NOW, from_key=1, to_key=2, last_there_at=NOW - timedelta(minutes=30))
    days = (settled_day(yesterday, 5, storage_seconds=86_400),)
    return replace(row, workspace_key=holder, recent_days=days, months=months, known_until=yesterday, moves=(move,))


def test_of_a_database_that_just_moved_nothing_is_known_in_its_new_workspace() -> None:
    held = builders.ledger_state(
        workspace_state(id_="wksp_1", plan="Starter"),
        workspace_state(just_moved(), key=2, id_="wksp_2", plan="Starter"),
    )
    month = month_of(held)

    for by in (By.PROJECT, By.DATABASE):
        (row,) = [row for row in month.rows(by) if row.workspace_id == "wksp_2"]
        operations, gib, *_, cost = use(row)
        assert (operations, gib) == ("–", "–")
        assert cost == "at least 10.00"  # the fee
        document = month_document(row, is_over=False)
        assert (document.operations, document.operations_usd, document.is_complete) == (None, None, False)
    *_, sentence = gap_sentences(month)
    assert sentence == "1 database moved on 2026-11-20: what it used on that day may belong to either workspace."


@pytest.mark.parametrize(
    ("last_there_at", "said"),
    [
        (datetime(2026, 11, 8, 9, tzinfo=UTC), "on 2026-11-08: what it used on that day"),
        (datetime(2026, 11, 4, 9, tzinfo=UTC), "between 2026-11-04 and 2026-11-08: what it used on these days"),
    ],
)
def test_the_days_of_a_move_are_those_between_the_two_looks(last_there_at: datetime, said: str) -> None:
    """However many days were read there since."""
    move = Move(at=datetime(2026, 11, 8, 9, 30, tzinfo=UTC), from_key=1, to_key=2, last_there_at=last_there_at)
    row = just_moved()
    few = replace(row, months=(replace(row.months[0], days=3), replace(row.months[0], workspace_key=2, days=1)))
    held = builders.ledger_state(
        workspace_state(id_="wksp_1", plan="Starter"),
        workspace_state(replace(few, moves=(move,)), key=2, id_="wksp_2", plan="Starter"),
    )

    assert list(gap_sentences(month_of(held)))[-1] == f"1 database moved {said} may belong to either workspace."


@pytest.mark.parametrize("id_", ["wksp_1", "wksp_2"])
def test_a_part_says_of_its_workspaces_what_the_whole_says(id_: str) -> None:
    """What left a workspace is another one's now, and has its row and its reasons there all the same."""
    here = replace(state(3, 50), workspace_key=2, months=(replace(state(3, 50).months[0], workspace_key=2),))
    held = builders.ledger_state(
        workspace_state(state(2, 70), id_="wksp_1", plan="Starter"),
        workspace_state(just_moved(), here, key=2, id_="wksp_2", plan="Starter"),
    )
    whole = month_of(held)
    for part in (whole.of_workspaces({id_}), month_of(held.part({id_}))):
        for by in By:
            assert part.rows(by) == tuple(row for row in whole.rows(by) if row.workspace_id == id_)
        assert list(gap_sentences(part))[-1] == list(gap_sentences(whole))[-1]


def unread(number: int = 1, **changes: Any) -> DatabaseState:
    """A database of which no day of October was read."""
    row = state(number, 0, at=OCTOBER)
    return replace(row, months=(), known_until=date(2026, 9, 30), first_seen_at=OCTOBER.replace(day=1), **changes)


def test_a_day_is_missing_where_the_database_was_on_that_day() -> None:
    move = Move(
        at=datetime(2026, 10, 11, 9, 30, tzinfo=UTC),
        from_key=1,
        to_key=2,
        last_there_at=datetime(2026, 10, 9, 9, tzinfo=UTC),
    )
    moved = unread(workspace_key=2, moves=(move,))
    before, after = workspace_state(id_="wksp_1"), workspace_state(moved, key=2, id_="wksp_2")

    def told(before: WorkspaceState, after: WorkspaceState) -> list[tuple[date, date, int] | None]:
        whole = month_of(builders.ledger_state(before, after), until=OCTOBER)
        months = (whole, whole.of_workspaces({"wksp_1"}), whole.of_workspaces({"wksp_2"}))
        return [(row.first_day, row.last_day, row.requests) if (row := of.missing) else None for of in months]

    # The 9th to the 11th may be of either: both lack them, and all together lack them once.
    assert told(before, after) == [
        (date(2026, 10, 1), date(2026, 10, 31), 31),
        (date(2026, 10, 1), date(2026, 10, 11), 11),
        (date(2026, 10, 9), date(2026, 10, 31), 23),
    ]
    # Nobody can ask for it where it is now: no command for either, but the reason for both.
    gone = replace(after, gone_at=OCTOBER)
    assert told(before, gone) == [None, None, None]
    whole = month_of(builders.ledger_state(before, gone), until=OCTOBER)
    for id_ in ("wksp_1", "wksp_2"):
        (said, *_) = gap_sentences(whole.of_workspaces({id_}))
        assert said == "No command gets what is missing of 1 database of a workspace that is gone."


def test_the_command_reads_the_days_that_are_missing_and_no_others() -> None:
    """Read until noon of the 12th, and again since the 16th: what a backfill reads, and in its number of requests."""
    noon = datetime(2026, 11, 16, 12, tzinfo=UTC)
    open_day = day_usage(date(2026, 11, 12), 5, read_at=noon.replace(day=12))
    today = day_usage(noon.date(), 5, read_at=noon)
    row = replace(
        state(1, 100, at=noon),
        first_seen_at=noon.replace(day=1),
        known_until=open_day.day,
        recent_days=(open_day, today),
    )
    missing = month_of(ledger_state(row), until=noon, now=noon).missing

    assert missing is not None
    assert (missing.first_day, missing.last_day, missing.requests) == (date(2026, 11, 12), date(2026, 11, 15), 4)
    todo = plan_backfill([row], from_day=missing.first_day, to_day=missing.last_day, earlier=())
    assert len(todo.reads) == missing.requests


@pytest.mark.parametrize(("until", "now"), [(NOON, NOON), (OCTOBER, NOON)])
def test_days_of_databases_that_fail_are_neither_promised_nor_counted(until: datetime, now: datetime) -> None:
    """Nobody reads them now: it is said of how many databases, why, and what to do."""

    def lacking(key: int, reason: str | None) -> DatabaseState:
        return replace(
            unread(),
            key=key,
            database=replace(unread().database, id=f"db_{key}"),
            failing_since_at=None if reason is None else NOW,
            failure_reason=reason,
        )

    blocked = [lacking(2, "plan_limit_reached"), lacking(3, "plan_limit_reached"), lacking(4, "http_401")]
    alone = month_of(ledger_state(lacking(1, None)), until=until, now=now)
    mixed = month_of(ledger_state(lacking(1, None), *blocked), until=until, now=now)
    failing = month_of(ledger_state(*blocked), until=until, now=now)

    assert alone.missing is not None
    assert mixed.missing == alone.missing
    assert failing.missing is None
    for month in (mixed, failing):
        (sentence,) = gap_sentences(month)
        assert sentence.startswith("Nothing can be read now of 3 databases (2 with plan_limit_reached: the vendor ")
        assert "; 1 with http_401: the token is wrong" in sentence
        assert "plan_limit_reached" not in next(gap_sentences(month, is_beside=True))
        then = "`backfill` reads what is missing" if month.is_over else "what is missing comes when they answer again"
        assert then in sentence


def test_yesterday_is_missing_once_there_was_time_to_read_it() -> None:
    yesterday = day_usage(NOW.date() - timedelta(days=1), 5, read_at=NOW - timedelta(minutes=5))
    row = replace(state(1, 100), known_until=yesterday.day, recent_days=(yesterday,))

    def requests(now: datetime) -> int | None:
        missing = month_of(ledger_state(row), until=now, now=now).missing
        return None if missing is None else missing.requests

    assert requests(NOW + timedelta(minutes=59)) is None
    assert requests(NOW + timedelta(hours=1)) == 1


def test_what_nobody_read_and_bears_no_fee_costs_what_is_not_known() -> None:
    """Two databases share the fee by operations: the one that came has used none that anybody read."""
    here = replace(state(3, 50), workspace_key=2, months=(replace(state(3, 50).months[0], workspace_key=2),))
    held = builders.ledger_state(
        workspace_state(id_="wksp_1", plan="Starter"),
        workspace_state(just_moved(), here, key=2, id_="wksp_2", plan="Starter"),
    )
    (row,) = [row for row in month_of(held).rows(By.DATABASE) if row.place[::2] == ("wksp_2", "db_1")]

    assert use(row) == ("–",) * 6


def test_what_moved_out_of_a_workspace_that_is_gone_is_not_of_it() -> None:
    held = builders.ledger_state(
        workspace_state(id_="wksp_1", plan="Starter", gone_at=NOW - timedelta(hours=1)),
        workspace_state(just_moved(), key=2, id_="wksp_2", plan="Starter"),
    )

    assert not any("gone" in sentence for sentence in gap_sentences(month_of(held)))


def test_a_workspace_that_nobody_followed_is_not_read_and_no_zero() -> None:
    """It has no databases now; whether it had some in October, and what they used, nobody knows."""
    seen_at = datetime(2026, 11, 3, tzinfo=UTC)
    held = builders.ledger_state(
        workspace_state(state(1, 100, at=OCTOBER), id_="wksp_1", first_seen_at=datetime(2026, 9, 1, tzinfo=UTC)),
        workspace_state(key=2, id_="wksp_2", first_seen_at=seen_at),
    )
    october, november = month_of(held, until=OCTOBER), month_of(held)

    for by in By:
        rows = {row.workspace_id: row for row in october.rows(by)}
        assert (rows["wksp_2"].operations, rows["wksp_2"].mean_storage_bytes, rows["wksp_2"].gib_months) == (None,) * 3
        assert not rows["wksp_2"].usage.is_complete
        assert total_of(rows.values())[0].operations == 100
        assert not total_of(rows.values())[0].is_complete
        (row,) = [row for row in november.rows(by) if row.workspace_id == "wksp_2"]
        # Nor whether it had some that were deleted in November before it was followed.
        assert (row.operations, row.mean_storage_bytes, row.usage.is_complete) == (None, None, False)
    assert list(gap_sentences(october)) == ["No command gets what is missing of 1 workspace that nobody followed then."]


def test_of_two_databases_of_one_name_the_project_is_said_and_where_that_is_one_too_the_id() -> None:
    def named(number: int, project: str, *, is_failing: bool = True) -> DatabaseState:
        row = state(number, 9)
        database = replace(row.database, name="catalogue", project_name=project, project_id=f"proj_{project}")
        failing_since_at = NOW if is_failing else None
        return replace(row, database=database, failing_since_at=failing_since_at, usage_at=None, months=())

    def said(*rows: DatabaseState) -> tuple[str, str | None]:
        month = month_of(ledger_state(*rows))
        (failing,) = failing_sentences(month)
        return failing.removeprefix("Not read now: "), incomplete_sentence(month.rows(By.DATABASE))

    (alone, incomplete) = said(named(1, "shop"))
    assert alone.startswith("Acme / catalogue, never read. ")
    assert incomplete == "Incomplete: Acme / catalogue (not read)"
    # The other one is there, and can be meant, though it does not fail.
    for is_failing in (True, False):
        failing, incomplete = said(named(1, "shop"), named(2, "blog", is_failing=is_failing))
        assert "Acme / shop / catalogue, never read" in failing
        assert ("Acme / blog / catalogue, never read" in failing) is is_failing
        assert incomplete is not None
        assert sorted(incomplete.removeprefix("Incomplete: ").split("; ")) == [
            "Acme / blog / catalogue (not read)",
            "Acme / shop / catalogue (not read)",
        ]
    failing, _ = said(named(1, "shop"), named(3, "shop"))
    assert failing.startswith("Acme / shop / catalogue (db_1), never read; Acme / shop / catalogue (db_3), never read.")


def test_a_month_is_told_until_the_last_reading_where_that_is_long_ago() -> None:
    """`cost` said "until" now while everything failed for hours."""

    def told(*read_at: datetime | None, now: datetime = NOW) -> str:
        rows = [replace(state(number, 9), usage_at=at) for number, at in enumerate(read_at, 1)]
        month = month_of(ledger_state(*rows), until=now)
        report = report_month(month, (), (), (), now)
        assert so_far(report) == so_far(month)
        return so_far(month)

    late = NOW - timedelta(hours=2, minutes=32)
    assert told(late, late - timedelta(days=1), None) == "until 2026-11-20 21:28 UTC, the last reading"
    assert told(late, NOW - timedelta(minutes=59)) == told(None) == told() == "until 2026-11-21 00:00 UTC"
