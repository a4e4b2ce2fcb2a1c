"""Overview: all workspaces at once. What is used, what it costs, what changed, what fails."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build

from dashboards import frame, links
from dashboards.panels import UP, Ask, Column, bars, levels, lines, number, row, rows
from dashboards.promql import (
    DATABASE_IDS,
    OWN,
    PER_SECOND,
    PROJECT,
    WORKSPACE,
    an_hour,
    largest,
    one,
    project_database,
    with_database_names,
    with_workspace_name,
    workspace,
)
from dashboards.shared import (
    DATABASE_COLUMNS,
    FORECAST,
    WORKSPACE_COLUMNS,
    WORKSPACE_COST,
    data_until,
    forecast_numbers,
    total,
    whole_days,
)

_INFO = "prisma_postgres_database_info"
_DAY = "prisma_postgres_database_previous_day_operations"
_MOST_USED = project_database("prisma_postgres_database_month_to_date_operations", at="@ end()")
_FAILING = f"{project_database('prisma_postgres_database_up')} == 0"


def build_overview() -> build.Dashboard:
    """Return the dashboard."""
    board = frame.dashboard(
        frame.OVERVIEW,
        "Prisma Postgres: overview",
        "All workspaces: operations, storage, cost, what changed and what fails.",
        since="now-7d",
    )
    frame.add_sources(board)
    frame.add_workspace(board)
    frame.add_project(board)
    frame.add_alerts(board)
    frame.add_blocks(board)
    frame.add_lifecycle(board)
    _now(board)
    _operations(board)
    _storage(board)
    _workspaces(board)
    _changes(board)
    _failures(board)
    return board


def _now(board: build.Dashboard) -> None:
    row(board, "Now")
    for panel in (
        number(
            "Workspaces",
            "Workspaces that the exporter's credentials can see.",
            f"count({workspace('prisma_postgres_workspace_info')})",
            unit="short",
            span=3,
        ),
        number(
            "Databases",
            "Databases that exist now in the chosen workspaces, from the last discovery.",
            total("prisma_postgres_workspace_databases"),
            unit="short",
            span=3,
        ),
        number(
            "Operations this month",
            "Billed operations of the calendar month (UTC) so far in the chosen workspaces, with those of databases "
            "that are deleted.",
            total("prisma_postgres_workspace_month_to_date_operations"),
            unit="short",
            span=4,
        ),
        number(
            "Storage now",
            "Storage of all databases of the chosen workspaces, at their last reading.",
            total("prisma_postgres_workspace_storage_bytes"),
            unit="bytes",
            span=4,
        ),
        number(
            "Failing",
            "Databases that cannot be read, and workspaces that could not be discovered. "
            "The rows at the bottom name them.",
            f"(count({_FAILING}) or vector(0)) + "
            f"(count({workspace('prisma_postgres_workspace_up')} == 0) or vector(0))",
            unit="short",
            span=3,
            red_above=1,
        ),
        number(
            "Blocked workspaces",
            "Workspaces whose databases the vendor has blocked: none of them answers queries.",
            f"count({workspace('prisma_postgres_workspace_usage_blocked')} == 1) or vector(0)",
            unit="short",
            span=3,
            red_above=1,
        ),
        data_until(span=4),
    ):
        board.with_panel(panel)


def _operations(board: build.Dashboard) -> None:
    row(board, "Operations")
    hourly = an_hour(project_database("prisma_postgres_database_operations_total", wrap=PER_SECOND))
    board.with_panel(
        bars(
            "Operations by day",
            "Operations of each UTC day, as the vendor last reported them; the last bar is today so far. "
            "A day is settled about 12 hours after its end.",
            [
                Ask(
                    expression=with_workspace_name(f"sum by (workspace_id) ({whole_days(PROJECT)})"),
                    legend="{{workspace_name}}",
                )
            ],
            unit="short",
            every="1d",
            span=9,
        )
    )
    board.with_panel(
        lines(
            "Operations an hour: the ten databases with most operations this month",
            "From the exporter's counter. The vendor's numbers come every few hours and then all at once: "
            "a spike after a quiet time may be hours of use.",
            [
                Ask(
                    expression=with_database_names(largest(hourly, _MOST_USED)),
                    legend="{{workspace_name}} / {{project_name}} / {{database_name}}",
                )
            ],
            unit="short",
            every="1h",
            span=15,
            fill=0,
            legend=["max"],
        )
    )


def _storage(board: build.Dashboard) -> None:
    row(board, "Storage")
    storage = workspace("prisma_postgres_workspace_storage_bytes")
    board.with_panel(
        lines(
            "Storage by workspace",
            "Storage of each workspace's databases, at their last reading. 1 GiB is 2^30 bytes.",
            [Ask(expression=with_workspace_name(storage), legend="{{workspace_name}}")],
            unit="bytes",
            is_stacked=True,
        )
    )
    level = project_database("prisma_postgres_database_storage_bytes")
    before = project_database("prisma_postgres_database_storage_bytes", at="offset $__range")
    board.with_panel(
        levels(
            "Storage that grew most in the shown time",
            "The ten databases whose storage grew most between the beginning and the end of the shown time. "
            "A database that was created meanwhile counts with all it has.",
            Ask(
                expression=f"sort_desc(topk(10, {with_database_names(f'{level} - ({before} or 0 * {level})')}))",
                legend="{{workspace_name}} / {{project_name}} / {{database_name}}",
            ),
            unit="bytes",
        )
    )


def _workspaces(board: build.Dashboard) -> None:
    row(board, "Workspaces and what they cost")
    board.with_panel(
        number(
            "Cost so far this month",
            "Fees and usage of the chosen workspaces since the 1st: an estimate in USD of the Postgres part of the "
            "invoice, before tax.",
            f"sum({WORKSPACE_COST})",
            unit="currencyUSD",
            span=8,
            decimals=2,
        )
    )
    board.with_panel(forecast_numbers(16))
    info = one("prisma_postgres_workspace_info", "workspace_id, workspace_name, plan", WORKSPACE)
    board.with_panel(
        rows(
            "Workspaces",
            "One row a workspace. The month is the calendar month in UTC; storage is averaged over it as it is billed.",
            {
                "A": f"topk by (workspace_id) (1, {info})",
                "B": workspace("prisma_postgres_workspace_databases"),
                "C": workspace("prisma_postgres_workspace_month_to_date_operations"),
                "D": workspace("prisma_postgres_workspace_storage_bytes"),
                "E": workspace("prisma_postgres_workspace_month_average_storage_bytes"),
                "F": workspace("prisma_postgres_workspace_usage_blocked"),
                "G": WORKSPACE_COST,
                "H": workspace(FORECAST, 'bound="expected"'),
            },
            [
                *WORKSPACE_COLUMNS,
                Column(field="plan", title="Plan"),
                Column(field="Value #A"),
                Column(field="Value #B", title="Databases", unit="short"),
                Column(field="Value #C", title="Operations this month", unit="short", decimals=1),
                Column(field="Value #D", title="Storage now", unit="bytes"),
                Column(field="Value #E", title="Storage on average", unit="bytes"),
                Column(
                    field="Value #F", title="Blocked", means={"0": ("no", "green"), "1": ("blocked", "red")}, width=90
                ),
                Column(field="Value #G", title="Cost so far", unit="currencyUSD", decimals=2, link=links.TO_COST),
                Column(field="Value #H", title="Expected", unit="currencyUSD", decimals=2),
            ],
            sort_by="Operations this month",
            height=6,
        )
    )


def _changes(board: build.Dashboard) -> None:
    row(board, "What changed")
    day = project_database(_DAY)
    week_before = project_database(_DAY, at="offset 1w")
    moved = f"topk(10, abs({day} - {week_before}))"
    movers = f"and on ({DATABASE_IDS}) {moved}"
    board.with_panel(
        rows(
            "Yesterday against the same weekday",
            "The ten databases whose operations changed most between yesterday and the day a week before it.",
            {
                "A": with_database_names(f"{day} - {week_before} {movers}"),
                "B": with_database_names(f"{day} {movers}"),
                "C": with_database_names(f"{week_before} {movers}"),
            },
            [
                *DATABASE_COLUMNS,
                Column(field="Value #B", title="Yesterday", unit="short", width=95),
                Column(field="Value #C", title="Week before", unit="short", width=95),
                Column(field="Value #A", title="Change", unit="short", width=95),
            ],
            sort_by="Yesterday",
            span=12,
        )
    )
    board.with_panel(
        rows(
            "Databases that came, went or were renamed",
            "Created: at the time the vendor says. Gone: deleted, moved to a workspace that is not seen, or filtered "
            "out; at its last reading. Renamed: when the old name was last seen. Both are looked up once an hour, and "
            "may have been up to an hour later.",
            {"A": _lifecycle()},
            [
                Column(field="Value", title="When (UTC)", unit="dateTimeAsIso", width=155),
                Column(field="change", title="What"),
                *DATABASE_COLUMNS,
            ],
            sort_by="When (UTC)",
            span=12,
            no_value="Nothing came, went or was renamed in the shown time.",
        )
    )


def _lifecycle() -> str:
    info = f"{_INFO}{{{PROJECT}}}"
    created = project_database("prisma_postgres_database_created_timestamp_seconds")
    last_read = f"last_over_time(prisma_postgres_database_last_success_timestamp_seconds{{{PROJECT}}}[$__range:1h])"
    is_there = f"and on () count(prisma_postgres_exporter_build_info{{{OWN}}})"
    by_name = f"{DATABASE_IDS}, database_name"
    last_seen = f"max by ({by_name}) (max_over_time(timestamp({info})[$__range:1h]))"
    changes = {
        "created": f"{created} > ${{__from:date:seconds}}",
        "gone": (
            f"max by ({DATABASE_IDS}) ({last_read})\nunless on (database_id) max by (database_id) ({info}) {is_there}"
        ),
        "renamed, was $1": (
            f"{last_seen}\nunless on (database_id, database_name) {info}\n"
            f"and on (database_id) max by (database_id) ({info})"
        ),
    }
    found = [
        f'max by ({DATABASE_IDS}, change) (label_replace({expression}, "change", "{what}", "database_name", "(.*)"))'
        for what, expression in changes.items()
    ]
    return with_database_names("1000 * (\n" + "\nor\n".join(found) + "\n)")


def _failures(board: build.Dashboard) -> None:
    row(board, "What fails")
    last_read = project_database("prisma_postgres_database_last_success_timestamp_seconds")
    board.with_panel(
        rows(
            "Databases that cannot be read",
            "Databases whose open day could not be read, or that were not read when it was due. Their last "
            "numbers stay for a day, then only this row remains. "
            "`prisma-postgres-exporter doctor NAME` says why.",
            {
                "A": with_database_names(_FAILING),
                "B": with_database_names(f"1000 * ({last_read} and on ({DATABASE_IDS}) ({_FAILING}))"),
            },
            [
                *DATABASE_COLUMNS,
                Column(field="Value #A", title="Reading", means=UP, width=90),
                Column(field="Value #B", title="Last read (UTC)", unit="dateTimeAsIso"),
            ],
            sort_by="Last read (UTC)",
            span=14,
            height=7,
            is_descending=False,
            no_value="Every database can be read.",
        )
    )
    board.with_panel(
        rows(
            "Workspaces and credentials",
            "Whether the last discovery of each workspace succeeded, and whether each credential can be used: the "
            "vendor does not refuse it, and it has a token.",
            {
                "A": f"{with_workspace_name(workspace('prisma_postgres_workspace_up'))}\nor "
                f"min by (credential) (prisma_postgres_exporter_credential_up{{{OWN}}})"
            },
            [
                Column(field="workspace_name", title="Workspace"),
                Column(field="credential", title="Credential"),
                Column(field="Value", title="State", means=UP, width=90),
                Column(field="workspace_id"),
            ],
            sort_by="State",
            span=10,
            height=7,
            is_descending=False,
        )
    )
