"""Database: everything that is known about one database."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build

from dashboards import frame
from dashboards.panels import UP, Ask, Column, bars, lines, number, row, rows
from dashboards.promql import (
    AHEAD,
    DATABASE,
    DATABASE_IDS,
    DATABASE_NAMES,
    PER_SECOND,
    an_hour,
    chosen_database,
    grown,
    of_this_month,
    one,
    workspace,
)
from dashboards.shared import whole_days

_INFO = "prisma_postgres_database_info"
_COST = "prisma_postgres_database_month_to_date_cost_usd"
_COUNTER = "prisma_postgres_database_operations_total"


def build_database() -> build.Dashboard:
    """Return the dashboard."""
    board = frame.dashboard(
        frame.DATABASE_UID,
        "Prisma Postgres: database",
        "One database: operations by day and hour, windows, storage, cost, revisions and freshness.",
        since="now-14d",
    )
    frame.add_sources(board)
    frame.add_workspace(board)
    frame.add_project(board)
    frame.add_database(board)
    frame.add_alerts(board)
    frame.add_lifecycle(board, DATABASE)
    frame.add_revisions(board)
    _now(board)
    _operations(board)
    _storage(board)
    _cost(board)
    _trust(board)
    return board


def _now(board: build.Dashboard) -> None:
    row(board, "Now")
    labels = f"{DATABASE_IDS}, {DATABASE_NAMES}, db_region, db_status, is_default"
    board.with_panel(
        rows(
            "Database",
            "Names, region and status, from the last discovery, and when the database was created.",
            {
                "A": f"topk by ({DATABASE_IDS}) (1, {one(_INFO, labels, DATABASE)})",
                "B": f"1000 * {chosen_database('prisma_postgres_database_created_timestamp_seconds')}",
                "C": chosen_database("prisma_postgres_database_up"),
            },
            [
                Column(field="database_name", title="Database"),
                Column(field="project_name", title="Project"),
                Column(field="workspace_name", title="Workspace"),
                Column(field="db_region", title="Region"),
                Column(field="db_status", title="Status"),
                Column(field="is_default", title="Default"),
                Column(field="Value #A"),
                Column(field="Value #B", title="Created (UTC)", unit="dateTimeAsIso"),
                Column(field="Value #C", title="Last reading", means=UP),
                Column(field="database_id", title="Id", width=270),
                Column(field="workspace_id"),
                Column(field="project_id"),
            ],
            sort_by="Database",
            height=4,
        )
    )
    for title, description, metric, unit in (
        (
            "Today so far",
            "Operations of the open UTC day, as the vendor last reported them.",
            "prisma_postgres_database_day_to_date_operations",
            "short",
        ),
        (
            "Yesterday",
            "Operations of the UTC day before, the vendor's last word on it.",
            "prisma_postgres_database_previous_day_operations",
            "short",
        ),
        (
            "This month",
            "Operations of the calendar month (UTC) so far: exactly the vendor's number.",
            "prisma_postgres_database_month_to_date_operations",
            "short",
        ),
        (
            "Last month",
            "Operations of the calendar month before, as it was read after its end.",
            "prisma_postgres_database_previous_month_operations",
            "short",
        ),
        (
            "Storage",
            "Storage at the last reading. 1 GiB is 2^30 bytes.",
            "prisma_postgres_database_storage_bytes",
            "bytes",
        ),
    ):
        board.with_panel(number(title, description, chosen_database(metric), unit=unit, span=4))
    board.with_panel(
        number(
            "Data until (UTC)",
            "How far the vendor's usage of this database reaches. What was used after that is in no number yet.",
            f"1000 * {chosen_database('prisma_postgres_database_usage_timestamp_seconds')}",
            unit="dateTimeAsIso",
            span=4,
            is_small=True,
        )
    )


def _operations(board: build.Dashboard) -> None:
    row(board, "Operations")
    board.with_panel(
        bars(
            "By day",
            "Operations of each UTC day, as the vendor last reported them; the last bar is today so far.",
            [Ask(expression=whole_days(DATABASE), legend="operations")],
            unit="short",
            every="1d",
        )
    )
    hourly = an_hour(chosen_database(_COUNTER, wrap=PER_SECOND))
    week_before = an_hour(chosen_database(_COUNTER, wrap="rate({}[$__rate_interval] offset 1w)"))
    board.with_panel(
        lines(
            "Operations an hour, and a week before",
            "From the exporter's counter. The vendor's numbers come every few hours and then all at once: "
            "a spike after a quiet time may be hours of use.",
            [Ask(expression=hourly, legend="this week"), Ask(expression=week_before, legend="a week before")],
            unit="short",
            every="1h",
            past=["B"],
        )
    )
    board.with_panel(
        lines(
            "Rolling windows",
            "What the vendor says for the last hours and days that the configuration asks for. Windows overlap: "
            "do not add them up.",
            [
                Ask(
                    expression=chosen_database("prisma_postgres_database_window_operations", "window"),
                    legend="last {{window}}",
                )
            ],
            unit="short",
        )
    )
    board.with_panel(
        lines(
            "Month to date, and all of last month",
            "The vendor's number for the calendar month in UTC. It begins anew on the 1st.",
            [
                Ask(
                    expression=of_this_month(chosen_database("prisma_postgres_database_month_to_date_operations")),
                    legend="month to date",
                ),
                Ask(
                    expression=of_this_month(chosen_database("prisma_postgres_database_previous_month_operations")),
                    legend="last month",
                ),
            ],
            unit="short",
            past=["B"],
        )
    )


def _storage(board: build.Dashboard) -> None:
    row(board, "Storage")
    storage = chosen_database("prisma_postgres_database_storage_bytes")
    board.with_panel(
        lines(
            "Storage",
            "Storage at each reading. 1 GiB is 2^30 bytes.",
            [Ask(expression=storage, legend="storage")],
            unit="bytes",
            fill=25,
        )
    )
    after = chosen_database("prisma_postgres_database_storage_bytes", wrap="last_over_time({}[1d] offset -1d)")
    board.with_panel(
        bars(
            "Storage gained or freed, by day",
            "From the beginning of each UTC day to its end, or until now; below zero where storage was freed.",
            [Ask(expression=f"{after} - {storage}", legend="change")],
            unit="bytes",
            every="1d",
            has_zero=False,
        )
    )


def _cost(board: build.Dashboard) -> None:
    row(board, "Cost")
    cost = f"sum by ({DATABASE_IDS}) ({chosen_database(_COST, 'component')})"
    whole = f"sum by (workspace_id) ({workspace('prisma_postgres_workspace_month_to_date_cost_usd', 'component')})"
    for panel in (
        number(
            "Share of the cost this month",
            "The database's share of its workspace's cost since the 1st: operations by operations, storage by "
            "byte-seconds, the fee as configured. An estimate in USD, before tax.",
            cost,
            unit="currencyUSD",
            span=6,
            height=8,
            decimals=2,
        ),
        number(
            "Of its workspace",
            "The part of its workspace's cost so far that this database makes.",
            f"{cost} / on (workspace_id) group_left () ({whole} > 0)",
            unit="percentunit",
            span=6,
            height=8,
            decimals=1,
        ),
        lines(
            "Share of the cost by component",
            "Month to date. It begins anew on the 1st.",
            [Ask(expression=of_this_month(chosen_database(_COST, "component")), legend="{{component}}")],
            unit="currencyUSD",
            span=12,
            is_stacked=True,
        ),
    ):
        board.with_panel(panel)


def _trust(board: build.Dashboard) -> None:
    row(board, "Freshness and revisions")
    board.with_panel(
        lines(
            "Age of the data",
            "How long ago the newest usage ends, and how long ago the database was last read. "
            "Between two readings it grows by the poll interval.",
            [
                Ask(
                    expression=f"abs(time() - {chosen_database('prisma_postgres_database_usage_timestamp_seconds')})",
                    legend="end of the newest usage",
                ),
                Ask(
                    expression="abs(time() - "
                    f"{chosen_database('prisma_postgres_database_last_success_timestamp_seconds')})",
                    legend="last reading",
                ),
            ],
            unit="s",
            span=8,
        )
    )
    revisions = chosen_database("prisma_postgres_database_revisions_total", "direction", wrap=AHEAD)
    board.with_panel(
        bars(
            "Revisions by the vendor, by day",
            "How often the vendor changed a day that should have been final, or lowered the open one. "
            "The bill follows; the counter of operations never falls.",
            [Ask(expression=grown(revisions), legend="{{direction}}")],
            unit="short",
            every="1d",
            span=8,
            soft_max=1,
        )
    )
    difference = chosen_database("prisma_postgres_database_reconciliation_difference_operations")
    board.with_panel(
        lines(
            "The vendor's month less the sum of its days",
            "0: both agree. What is not 0 is looked into by reading the days again; `doctor` explains one that stays.",
            [Ask(expression=difference, legend="difference in operations")],
            unit="short",
            span=8,
            has_zero=False,
        )
    )
