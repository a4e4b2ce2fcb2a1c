"""Usage by day: a day belongs to the workspace that held its database then, and one that nobody read is there too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from builders import NOW, database, day_usage, ledger_state, settled_day, workspace_state
from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.model import DayUsage, DiscoveryGap, KnownDatabase, Move, WorkspaceState, day_start
from prisma_postgres_exporter.report import Chosen, Owners, UsageRow, usage_by_day

TODAY = NOW.date()
A = workspace_state(key=1, id_="wksp_a", name="old")
B = workspace_state(key=2, id_="wksp_b", name="new")


def day(back: int) -> date:
    return TODAY - timedelta(days=back)


def known(key: int, workspace_key: int, **changes: object) -> KnownDatabase:
    row = KnownDatabase(
        key=key,
        workspace_key=workspace_key,
        database=database(f"db_{key}", workspace_id="wksp_a" if workspace_key == 1 else "wksp_b"),
        first_seen_at=NOW,
        counted_from=TODAY,
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # fields of the test's choice


def used(
    days: Sequence[DayUsage],
    *databases: KnownDatabase,
    by: By = By.WORKSPACE,
    chosen: Chosen = Chosen(),  # noqa: B008  # frozen
    back: int = 4,
    most_rows: int = 1_000,
    workspaces: tuple[WorkspaceState, ...] = (A, B),
) -> tuple[list[UsageRow], date | None]:
    owners = Owners.of(databases, ledger_state(*workspaces))
    return usage_by_day(days, owners, by, chosen, (day(back), TODAY), most_rows=most_rows, now=NOW)


def told(rows: Sequence[UsageRow]) -> list[tuple[str, str, int | None, int, int]]:
    return [(row.period, row.workspace_id, row.operations, row.days_known, row.days) for row in rows]


def test_each_day_of_a_database_that_moved_is_of_the_workspace_that_held_it() -> None:
    days = [
        settled_day(day(4), 40, workspace_key=1),
        settled_day(day(3), 30, workspace_key=1),
        settled_day(day(2), 20, workspace_key=2),
        settled_day(day(1), 10, workspace_key=2),
        day_usage(TODAY, 5, workspace_key=2),
    ]
    rows, _ = used(days, known(1, 2), by=By.DATABASE)

    assert told(rows) == [
        (f"{day(4)}", "wksp_a", 40, 1, 1),
        (f"{day(3)}", "wksp_a", 30, 1, 1),
        (f"{day(2)}", "wksp_b", 20, 1, 1),
        (f"{day(1)}", "wksp_b", 10, 1, 1),
        (f"{TODAY}", "wksp_b", 5, 1, 1),
    ]
    own, _ = used(days, known(1, 2), chosen=Chosen(workspace_id="wksp_a"))
    assert told(own) == told(rows[:2])


def test_a_day_of_a_database_that_moved_which_nobody_read_is_not_known_where_it_is_now() -> None:
    days = [settled_day(day(4), 40, workspace_key=1), settled_day(day(2), 20, workspace_key=2)]
    rows, _ = used(days, known(1, 2), back=4)

    assert told(rows)[1] == (f"{day(3)}", "wksp_b", None, 0, 1)
    assert rows[1].mean_storage_bytes is None
    assert rows[1].storage_covered_ratio == 0


def test_a_day_on_which_no_database_of_a_row_was_read_is_there_as_not_known() -> None:
    days = [settled_day(day(4), 7, database_key=2), settled_day(day(2), 7, database_key=2)]
    rows, next_day = used(days, known(1, 1), known(2, 1), known(3, 2), chosen=Chosen(workspace_id="wksp_a"))

    assert [(row.operations, row.days_known, row.days) for row in rows] == [
        (7, 1, 2),
        (None, 0, 2),
        (7, 1, 2),
        (None, 0, 2),
        (None, 0, 2),
    ]
    assert next_day is None


def test_only_days_that_a_database_lived_are_not_known() -> None:
    born = known(1, 1)
    born = replace(
        born, database=replace(born.database, created_at=NOW - timedelta(days=3)), deleted_at=NOW - timedelta(days=1)
    )

    assert [row.period for row in used([], born)[0]] == [f"{day(back)}" for back in (3, 2, 1)]


def test_the_day_on_which_a_database_was_deleted_is_known_where_it_was_read_soon_before_as_in_its_month() -> None:
    deleted_at = day_start(day(1)) + timedelta(hours=15)
    gone = known(1, 1, deleted_at=deleted_at)

    def row(before: timedelta) -> UsageRow:
        return used([replace(day_usage(day(1), 5, workspace_key=1), read_at=deleted_at - before)], gone)[0][-1]

    assert (row(timedelta(minutes=15)).days_known, row(timedelta(minutes=15)).are_operations_known) == (1, True)
    assert (row(timedelta(minutes=16)).days_known, row(timedelta(minutes=16)).are_operations_known) == (0, False)


def test_a_deletion_that_is_noticed_soon_after_midnight_leaves_its_days_known() -> None:
    def days(noticed: timedelta) -> list[tuple[str, int, int]]:
        midnight = day_start(day(0))
        gone = known(1, 1, deleted_at=midnight + noticed)
        read = replace(day_usage(day(1), 5, workspace_key=1), read_at=midnight - timedelta(minutes=7))
        return [(row.period, row.days_known, row.days) for row in used([read], gone, back=1)[0]]

    assert days(timedelta(minutes=8)) == [(f"{day(1)}", 1, 1)]
    assert days(timedelta(minutes=9)) == [(f"{day(1)}", 0, 1)]
    assert days(timedelta(minutes=16)) == [(f"{day(1)}", 0, 1), (f"{day(0)}", 0, 1)]


def test_today_is_known_of_a_database_that_was_read_within_two_hours() -> None:
    def row(age: timedelta) -> UsageRow:
        read = replace(day_usage(day(0), 5, workspace_key=1), read_at=NOW - age)
        return used([read], known(1, 1), back=0)[0][-1]

    assert (row(timedelta(hours=2)).days_known, row(timedelta(hours=2)).are_operations_known) == (1, True)
    late = row(timedelta(hours=2, seconds=1))
    assert (late.operations, late.days_known, late.days, late.are_operations_known) == (5, 0, 1, False)


def test_a_mean_of_a_part_of_a_day_is_about_so_much_and_not_known_beside_one_that_lacks() -> None:
    def level(*seconds: int) -> tuple[str, int | None]:
        rows = [
            replace(
                settled_day(day(1), 5, database_key=key, workspace_key=1),
                storage_byte_seconds=key * of,
                storage_seconds=of,
            )
            for key, of in enumerate(seconds, 1)
        ]
        own = [known(key, 1) for key in range(1, len(seconds) + 1)]
        row = used(rows, *own, back=1)[0][0]
        return row.mean_storage_qualifier, row.mean_storage_bytes

    assert level(86_400, 82_800) == ("", 3)
    assert level(86_400, 82_799) == ("about ", 3)
    assert level(86_400, 0) == ("at least ", 1)
    assert level(0, 43_200) == ("at least ", None)


def test_a_level_of_today_holds_until_the_next_reading() -> None:
    def row(age: timedelta) -> tuple[str, bool]:
        read_at = NOW - age
        seconds = int((read_at - day_start(TODAY)).total_seconds())
        read = replace(
            day_usage(TODAY, 5, workspace_key=1), read_at=read_at, storage_byte_seconds=seconds, storage_seconds=seconds
        )
        found = used([read], known(1, 1), back=0)[0][-1]
        return found.mean_storage_qualifier, "storage" in found.usage_missing

    assert row(timedelta(hours=2)) == ("", False)
    assert row(timedelta(hours=2, seconds=1)) == ("about ", True)


def test_a_day_of_a_database_without_any_level_is_not_complete_however_short_it_was() -> None:
    born = known(1, 1)
    born = replace(born, database=replace(born.database, created_at=day_start(day(0)) - timedelta(minutes=30)))
    [row, _] = used([replace(settled_day(day(1), 5, workspace_key=1), storage_seconds=0)], born, back=1)[0]

    assert (row.is_usage_complete, row.usage_missing, row.mean_storage_bytes) == (False, ("storage",), None)


def test_days_after_a_workspace_was_gone_are_not_known_to_the_end_of_that_month() -> None:
    def periods(gone_at: datetime) -> list[str]:
        return [row.period for row in used([], known(1, 1), workspaces=(replace(A, gone_at=gone_at), B))[0]]

    assert periods(NOW - timedelta(days=2)) == [f"{day(back)}" for back in range(4, -1, -1)]
    assert periods(NOW - timedelta(days=40)) == []


def test_pages_of_days_that_nobody_read_are_whole_days() -> None:
    first, next_day = used([], known(1, 1), known(2, 2), most_rows=3)

    assert [row.period for row in first] == [f"{day(4)}"] * 2 + [f"{day(3)}"] * 2
    assert next_day == day(2)


def test_the_mean_of_a_day_is_over_the_day_so_far_and_of_each_database_at_its_own_level() -> None:
    noon = timedelta(hours=12)
    level = {"storage_bytes": 100, "storage_byte_seconds": 100 * 3_600, "storage_seconds": 3_600}
    born = known(2, 1)
    born = replace(born, database=replace(born.database, created_at=day_start(day(1)) + noon))
    days = [
        settled_day(day(1), 1, **level),
        settled_day(day(1), 1, database_key=2, **level),
        day_usage(TODAY, 1, **level),
        day_usage(TODAY, 1, database_key=2, **level),
    ]
    rows, _ = used(days, known(1, 1), born, back=1)

    # One that came at noon fills the half of its day; today has 12 hours until now.
    assert [row.mean_storage_bytes for row in rows] == [150, 200]
    assert [row.storage_covered_ratio for row in rows] == [round(2 / 36, 6), round(1 / 12, 6)]


def test_a_day_before_a_workspace_was_followed_is_whole_of_its_databases_and_at_least_so_much_of_the_workspace() -> (
    None
):
    days = [settled_day(day(back), 10, storage_seconds=86_400, workspace_key=1) for back in (3, 2, 1)]
    since = replace(A, first_seen_at=day_start(day(2)) + timedelta(hours=8))

    for by, chosen, expected in (
        (By.DATABASE, Chosen(), [True, True, True]),
        (By.PROJECT, Chosen(), [False, False, True]),
        (By.WORKSPACE, Chosen(), [False, False, True]),
        (By.WORKSPACE, Chosen(database_id="db_1"), [True, True, True]),
    ):
        rows, _ = used(days, known(1, 1), by=by, chosen=chosen, back=3, workspaces=(since,))
        assert [row.is_usage_complete for row in rows][:3] == expected


def test_a_day_of_which_nobody_looked_for_more_than_two_hours_is_at_least_so_much_of_the_workspace() -> None:
    days = [settled_day(day(back), 10, storage_seconds=86_400, workspace_key=1) for back in (3, 2, 1)]
    noon, evening = day_start(day(3)) + timedelta(hours=12), day_start(day(2)) + timedelta(hours=2)
    gap = replace(A, discovery_gaps=(DiscoveryGap(from_at=noon, to_at=evening),))

    for by, chosen, expected in (
        (By.DATABASE, Chosen(), [(), (), ()]),
        (By.PROJECT, Chosen(), [("discovery_gap",), (), ()]),
        (By.WORKSPACE, Chosen(), [("discovery_gap",), (), ()]),
        (By.WORKSPACE, Chosen(database_id="db_1"), [(), (), ()]),
    ):
        rows, _ = used(days, known(1, 1), by=by, chosen=chosen, back=3, workspaces=(gap,))
        assert [row.usage_missing for row in rows][:3] == expected


def moved(*days: DayUsage, since: datetime, at: datetime) -> tuple[list[UsageRow], date | None]:
    """The days of a database that was seen in the old workspace at one instant, and in the new one at another."""
    return used(days, known(1, 2, moves=(Move(at=at, from_key=1, to_key=2, last_there_at=since),)), back=5)


def test_a_day_on_which_a_database_may_have_moved_is_known_in_neither_workspace() -> None:
    """It was there as four days ago began, and in the new one yesterday at nine: on any of these days it may have."""
    days = [settled_day(day(back), 10, storage_seconds=86_400, workspace_key=1 if back > 3 else 2) for back in range(5)]
    days = [settled_day(day(5), 10, storage_seconds=86_400, workspace_key=1), *days[:0:-1]]

    rows, _ = moved(*days, since=day_start(day(4)), at=day_start(day(1)) + timedelta(hours=9))

    told_of = {(row.workspace_id, row.period): (row.operations, row.usage_missing) for row in rows}
    doubtful = (None, ("days", "storage", "moved"))
    assert told_of == {
        ("wksp_a", f"{day(5)}"): (10, ()),
        **{(id_, f"{day(back)}"): doubtful for id_ in ("wksp_a", "wksp_b") for back in (4, 3, 2, 1)},
        ("wksp_b", f"{day(0)}"): (None, ("days", "storage")),
    }
    of_doubt = [row for row in rows if row.usage_missing == doubtful[1]]
    assert {(row.days_known, row.days, row.unplaced_databases, row.mean_storage_bytes) for row in of_doubt} == {
        (0, 1, 1, None)
    }
    assert not any(row.are_operations_known or not row.mean_storage_qualifier for row in of_doubt)


def test_a_day_on_which_a_database_moved_and_did_nothing_has_no_operations_in_either_workspace() -> None:
    at = day_start(day(2)) + timedelta(hours=9)
    quiet = settled_day(day(2), 0, storage_seconds=86_400, workspace_key=2)

    rows, _ = moved(quiet, since=at - timedelta(minutes=5), at=at)

    assert [
        (row.workspace_id, row.operations, row.are_operations_known, row.usage_missing, row.mean_storage_bytes)
        for row in rows
        if row.period == f"{day(2)}"
    ] == [(id_, 0, True, ("storage", "moved"), None) for id_ in ("wksp_a", "wksp_b")]


def test_a_day_before_a_move_that_nobody_read_is_missing_where_the_database_was() -> None:
    rows, _ = moved(since=day_start(day(2)), at=day_start(day(1)))

    assert [row.workspace_id for row in rows] == ["wksp_a"] * 3 + ["wksp_a", "wksp_b"] + ["wksp_b"] * 2
