"""What a picture shows, and what it does not show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from prisma_postgres_exporter.model import (
    Book,
    Database,
    DayUsage,
    MonthUsage,
    Position,
    RollingUsage,
    Workspace,
    WorkspacePosition,
)
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, take_snapshot

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)


def day(of: date, operations: int, *, closed_at: datetime | None = None) -> DayUsage:
    return DayUsage(
        database_key=1,
        day=of,
        workspace_key=1,
        operations=operations,
        operations_high=operations,
        storage_bytes=1,
        storage_byte_seconds=0,
        storage_seconds=0,
        read_at=NOW,
        unchanged_since_at=closed_at,
        settled_at=None,
        is_counted=True,
    )


def month(of: date, operations: int | None, *, workspace_key: int = 1, days: int = 0, seconds: int = 0) -> MonthUsage:
    return MonthUsage(
        database_key=1,
        month=of,
        workspace_key=workspace_key,
        days=1,
        days_operations=days,
        storage_byte_seconds=100 * seconds,
        storage_seconds=seconds,
        operations=operations,
        difference_operations=0,
        read_at=NOW if operations is not None else None,
    )


def position(id_: str = "db_a", **changes: object) -> Position:
    first = Position(
        key=1,
        workspace_key=1,
        database=Database(
            id=id_,
            name="a",
            project_id="proj_a",
            project_name="a",
            workspace_id="wksp_a",
            region=None,
            status="ready",
            is_default=False,
            created_at=NOW - timedelta(days=100),
        ),
        first_seen_at=NOW,
        counted_from=NOW.date(),
        known_until=NOW.date(),
        checked_until=NOW.date(),
        operations_total=7,
        storage_bytes=50,
        storage_at=NOW,
        last_success_at=NOW,
        recent_days=(day(date(2026, 11, 22), 30, closed_at=MIDNIGHT), day(date(2026, 11, 23), 5)),
        months=(month(date(2026, 10, 1), 900), month(date(2026, 11, 1), 400)),
        rolling=(
            RollingUsage(window_name="24h", operations=33, period_start_at=NOW, period_end_at=NOW, read_at=NOW),
            RollingUsage(window_name="90d", operations=99, period_start_at=NOW, period_end_at=NOW, read_at=NOW),
        ),
    )
    return replace(first, **changes)  # type: ignore[arg-type]  # a shorthand of these tests


def workspace(key: int = 1, id_: str = "wksp_a", *, is_gone: bool = False) -> WorkspacePosition:
    return WorkspacePosition(key=key, workspace=Workspace(id=id_, name="a"), first_seen_at=NOW, is_gone=is_gone)


def picture(
    *positions: Position,
    now: datetime = NOW,
    followed: set[str] | None = None,
    workspaces: tuple[WorkspacePosition, ...] = (workspace(),),
    failures: Mapping[str, str | None] | None = None,
    last: Snapshot | None = None,
) -> Snapshot:
    return take_snapshot(
        Book(
            generation=1,
            workspaces={row.workspace.id: row for row in workspaces},
            positions={row.database.id: row for row in positions},
        ),
        followed={row.database.id for row in positions} if followed is None else followed,
        workspace_failures=failures or {},
        keep_last_value=timedelta(days=1),
        window_names=["24h", "7d"],
        now=now,
        last=last,
    )


def view(of: Position, *, now: datetime = NOW) -> DatabaseView:
    return picture(of, now=now).databases[0]


def test_everything_that_is_known_is_shown() -> None:
    shown = view(position())

    assert (shown.day_to_date_operations, shown.previous_day_operations) == (5, 30)
    assert (shown.month_to_date_operations, shown.previous_month_operations) == (400, 900)
    assert (shown.operations_total, shown.storage_bytes, shown.is_up) == (7, 50, True)
    assert shown.reconciliation_difference_operations == 0


def test_a_window_that_is_not_configured_any_more_is_not_shown() -> None:
    assert view(position()).rolling == (("24h", 33),)


def test_at_midnight_yesterdays_number_is_never_shown_as_todays() -> None:
    shown = view(position(), now=datetime(2026, 11, 24, 0, 0, 1, tzinfo=UTC))

    assert (shown.day_to_date_operations, shown.previous_day_operations) == (None, None)
    assert shown.month_to_date_operations == 400


def test_at_the_months_end_its_number_is_dropped_until_the_vendor_said_the_next() -> None:
    december = datetime(2026, 12, 1, tzinfo=UTC)
    shown = view(position(last_success_at=december), now=december)

    assert shown.operations_total == 7
    assert shown.month_to_date_operations is None


def test_last_months_number_is_shown_only_when_it_was_read_after_the_month() -> None:
    december = datetime(2026, 12, 1, 0, 5, tzinfo=UTC)
    early = replace(position(), last_success_at=december)
    assert view(early, now=december).previous_month_operations is None

    read_after = replace(month(date(2026, 11, 1), 410), read_at=datetime(2026, 12, 1, 0, 1, tzinfo=UTC))
    assert view(replace(early, months=(read_after,)), now=december).previous_month_operations == 410


def test_a_value_that_is_too_old_is_shown_no_more() -> None:
    old = position(last_success_at=NOW - timedelta(hours=25), failing_since_at=NOW - timedelta(hours=24))
    shown = view(old)

    assert (shown.is_up, shown.operations_total, shown.storage_bytes) == (False, None, None)
    assert (shown.month_to_date_operations, shown.rolling) == (None, ())
    assert shown.last_success_at == NOW - timedelta(hours=25)


def test_a_database_that_was_never_tried_is_neither_up_nor_down() -> None:
    assert view(position(last_success_at=None)).is_up is None


def test_a_view_that_did_not_change_is_the_same_object() -> None:
    first = picture(position("db_a"), position("db_b"))

    second = picture(position("db_a"), position("db_b", operations_total=8), last=first)

    assert second.databases[0] is first.databases[0]
    assert second.databases[1] is not first.databases[1]


def test_deleted_and_unfollowed_databases_are_not_shown_and_the_unfollowed_are_counted() -> None:
    shown = picture(position("db_a"), position("db_b", deleted_at=NOW), position("db_c"), followed={"db_a"})

    assert [row.database_id for row in shown.databases] == ["db_a"]
    assert shown.filtered == 1


def test_a_deleted_databases_month_stays_in_its_workspace() -> None:
    (shown,) = picture(position("db_a"), position("db_b", deleted_at=NOW)).workspaces

    assert (shown.databases, shown.month_to_date_operations) == (1, 800)


def test_a_database_that_moved_leaves_each_workspace_the_days_it_had() -> None:
    november = date(2026, 11, 1)
    moved = position(months=(month(november, 400, days=150), month(november, 400, workspace_key=2, days=250)))
    others = (workspace(), workspace(2, "wksp_b"))

    shown = {row.workspace_id: row for row in picture(moved, workspaces=others).workspaces}

    assert shown["wksp_a"].month_to_date_operations == 150
    assert shown["wksp_b"].month_to_date_operations == 250


def test_the_months_mean_storage_takes_a_database_for_as_long_as_it_existed() -> None:
    elapsed = int((NOW - datetime(2026, 11, 1, tzinfo=UTC)).total_seconds())
    half_covered = position(months=(month(date(2026, 11, 1), 1, seconds=elapsed // 2),))

    (shown,) = picture(half_covered).workspaces

    assert shown.month_average_storage_bytes == 100


def test_a_workspace_is_up_down_or_not_tried_yet() -> None:
    def is_up(failures: Mapping[str, str | None]) -> bool | None:
        return picture(position(), failures=failures).workspaces[0].is_up

    assert [is_up({}), is_up({"wksp_a": None}), is_up({"wksp_a": "http_401"})] == [None, True, False]


def test_a_workspace_that_is_gone_is_not_shown() -> None:
    assert picture(workspaces=(workspace(is_gone=True),)).workspaces == ()
