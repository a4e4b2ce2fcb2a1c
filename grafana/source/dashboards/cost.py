"""Cost and budgets: month to date, where it leads, who spends it, and when a limit will be reached."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard as models

from dashboards import frame
from dashboards.panels import Ask, Column, levels, lines, number, row, rows
from dashboards.promql import (
    DATABASE_IDS,
    OWN,
    PROJECT,
    WORKSPACE,
    of_this_month,
    one,
    project_database,
    with_database_names,
    with_workspace_name,
    workspace,
)
from dashboards.shared import (
    BY_COMPONENT,
    DATABASE_COLUMNS,
    DATABASE_COST,
    FORECAST,
    WORKSPACE_COLUMNS,
    WORKSPACE_COST,
    data_until,
    forecast_numbers,
    total,
)

_ESTIMATE = "An estimate in USD of the Postgres part of the invoice, before tax, from dated prices."
_SPENT = one("prisma_postgres_budget_spent_usd", "budget", OWN)
_LIMIT = one("prisma_postgres_budget_limit_usd", "budget", OWN)
_EXPECTED = one("prisma_postgres_budget_forecast_usd", "budget", OWN)
_COVERED = one("prisma_postgres_budget_spent_covered_ratio", "budget", OWN)
_THRESHOLD = "prisma_postgres_budget_threshold_ratio"


def build_cost() -> build.Dashboard:
    """Return the dashboard."""
    board = frame.dashboard(
        frame.COST,
        "Prisma Postgres: cost and budgets",
        "Cost of the calendar month in UTC: so far, as it is expected, by whom, and against budgets and limits.",
        since="now/M",
    )
    frame.add_sources(board)
    frame.add_workspace(board)
    frame.add_project(board)
    frame.add_alerts(board)
    frame.add_blocks(board)
    frame.add_lifecycle(board)
    _month(board)
    _budgets(board)
    _limits(board)
    _spenders(board)
    return board


def _month(board: build.Dashboard) -> None:
    row(board, "This month")
    for panel in (
        data_until(span=4),
        number(
            "Cost so far",
            f"Fees and usage of the chosen workspaces since the 1st. {_ESTIMATE}",
            f"sum({WORKSPACE_COST})",
            unit="currencyUSD",
            span=4,
            decimals=2,
        ),
        forecast_numbers(8),
        number(
            "Usage charges so far",
            f"The part of the cost that is charged for usage: without the fees. {_ESTIMATE}",
            total("prisma_postgres_workspace_usage_charges_usd"),
            unit="currencyUSD",
            span=4,
            decimals=2,
        ),
        number(
            "Without a price",
            "Workspaces whose plan or price is not known: they have no cost, and no budget can warn of them. "
            "`prisma-postgres-exporter check` says why.",
            f"count({workspace('prisma_postgres_workspace_unpriced')} == 1) or vector(0)",
            unit="short",
            span=4,
            red_above=1,
        ),
    ):
        board.with_panel(panel)
    led = lines(
        "Cost of the month, and where it leads",
        f"Month to date, and what the whole month is expected to cost: the truth should lie within the band four "
        f"times out of five. {_ESTIMATE}",
        [
            Ask(expression=of_this_month(f"sum({WORKSPACE_COST})"), legend="so far"),
            *[
                Ask(expression=of_this_month(total(FORECAST, f'bound="{bound}"')), legend=legend)
                for bound, legend in (("expected", "expected"), ("low", "low"), ("high", "high"))
            ],
        ],
        unit="currencyUSD",
    )
    thin = models.DynamicConfigValue("custom.lineWidth", 0)
    bare = models.DynamicConfigValue("custom.fillOpacity", 0)
    blue = models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "blue"})
    led.override_by_name("low", [thin, bare, blue])
    led.override_by_name("high", [thin, blue, models.DynamicConfigValue("custom.fillBelowTo", "low")])
    led.override_by_name("expected", [bare, blue])
    board.with_panel(led)
    board.with_panel(
        lines(
            "Cost so far by workspace",
            f"Month to date of each workspace, databases that are deleted included. {_ESTIMATE}",
            [Ask(expression=with_workspace_name(of_this_month(WORKSPACE_COST)), legend="{{workspace_name}}")],
            unit="currencyUSD",
            is_stacked=True,
        )
    )


def _budgets(board: build.Dashboard) -> None:
    row(board, "Budgets")
    used = f"{_SPENT} / {_LIMIT}"
    threshold = one(_THRESHOLD, "budget, threshold", OWN)
    board.with_panel(data_until(height=7))
    board.with_panel(
        rows(
            "Budgets",
            "Each budget of the configuration. Where less than 100 % of its usage is known, at least so much is spent. "
            "The threshold is the highest of its own that is reached. "
            f"Budgets do not follow the choice of workspaces. {_ESTIMATE}",
            {
                "A": _SPENT,
                "B": _LIMIT,
                "C": used,
                "D": f"max by (budget) ({threshold} <= on (budget) group_left () ({used}))",
                "E": _EXPECTED,
                "F": f"{_EXPECTED} / {_LIMIT}",
                "G": f"2 * ({_SPENT} >= bool {_LIMIT}) + (({_EXPECTED} > bool {_LIMIT}) or 0 * {_LIMIT})",
                # What is not all must not look like it.
                "H": f"floor(100 * {_COVERED}) / 100",
            },
            [
                Column(field="budget", title="Budget"),
                Column(field="Value #A", title="Spent", unit="currencyUSD", decimals=2),
                Column(field="Value #H", title="Usage known", unit="percentunit", decimals=0),
                Column(field="Value #B", title="Budget for the month", unit="currencyUSD", decimals=2),
                Column(field="Value #C", title="Used", unit="percentunit", decimals=0, is_bar=True),
                Column(field="Value #D", title="Threshold reached", unit="percentunit", decimals=0),
                Column(field="Value #E", title="Expected", unit="currencyUSD", decimals=2),
                Column(field="Value #F", title="Expected of the budget", unit="percentunit", decimals=0),
                Column(field="Value #G", title="State", means=_BUDGET_STATE),
            ],
            sort_by="Used",
            span=21,
            height=7,
            no_value="No budget is configured: see cost.budgets in the configuration.",
        )
    )
    board.with_panel(
        lines(
            "Budgets through the month",
            f"The part of each budget that is spent, and the thresholds of the configuration. {_ESTIMATE}",
            [
                Ask(expression=of_this_month(used), legend="{{budget}}"),
                Ask(expression=f"max by (threshold) ({threshold})", legend="threshold {{threshold}}"),
            ],
            unit="percentunit",
            span=24,
            fill=0,
            limits=["B"],
        )
    )


_BUDGET_STATE = {
    "0": ("within", "green"),
    "1": ("more is expected", "orange"),
    "2": ("used up", "red"),
    "3": ("used up", "red"),
}


def _limits(board: build.Dashboard) -> None:
    row(board, "Allowances and limits")
    operations = workspace("prisma_postgres_workspace_month_to_date_operations")
    storage = workspace("prisma_postgres_workspace_month_average_storage_bytes")
    included_operations = f"({workspace('prisma_postgres_workspace_included_operations')} > 0)"
    included_storage = f"({workspace('prisma_postgres_workspace_included_storage_bytes')} > 0)"
    expected_operations = workspace("prisma_postgres_workspace_forecast_month_operations", 'bound="expected"')
    expected_storage = workspace("prisma_postgres_workspace_forecast_month_average_storage_bytes", 'bound="expected"')
    charges = workspace("prisma_postgres_workspace_usage_charges_usd")
    spend_limit = f"({workspace('prisma_postgres_workspace_spend_limit_usd')} > 0)"
    info = one("prisma_postgres_workspace_info", "workspace_id, workspace_name, plan", WORKSPACE)
    board.with_panel(data_until(height=7))
    board.with_panel(
        rows(
            "Allowance used",
            "How much of what the plan includes is used, and will be at the month's end. Beyond it a paid plan is "
            "charged for each operation, and a free one is blocked. The spend limit is the vendor's, on usage charges.",
            {
                "A": f"topk by (workspace_id) (1, {info})",
                "B": f"{operations} / {included_operations}",
                "C": f"{expected_operations} / {included_operations}",
                "D": f"{storage} / {included_storage}",
                "E": f"{expected_storage} / {included_storage}",
                "F": f"{charges} / {spend_limit}",
            },
            [
                *WORKSPACE_COLUMNS,
                Column(field="plan", title="Plan"),
                Column(field="Value #A"),
                Column(field="Value #B", title="Operations", unit="percentunit", decimals=0, is_bar=True),
                Column(field="Value #C", title="expected", unit="percentunit", decimals=0, width=100),
                Column(field="Value #D", title="Storage", unit="percentunit", decimals=0, is_bar=True),
                Column(field="Value #E", title="expected ", unit="percentunit", decimals=0, width=100),
                Column(field="Value #F", title="Spend limit used", unit="percentunit", decimals=0, width=150),
            ],
            sort_by="Operations",
            span=21,
            height=7,
        )
    )
    reached = workspace("prisma_postgres_workspace_limit_reached_timestamp_seconds", "limit")
    board.with_panel(
        rows(
            "Day of reaching a limit",
            "When the limit will be reached, or was, at which the vendor blocks all databases of a workspace: "
            "at the expected pace, in this month.",
            {"A": with_workspace_name(f"1000 * {reached}")},
            [
                *WORKSPACE_COLUMNS,
                Column(field="limit", title="Limit", means=_LIMITS),
                Column(field="Value", title="Reached (UTC)", unit="dateTimeAsIso"),
            ],
            sort_by="Reached (UTC)",
            span=8,
            is_descending=False,
            no_value="No limit will be reached in this month at the expected pace.",
        )
    )
    board.with_panel(
        lines(
            "Operations allowance used",
            "Operations of the month so far, as a part of what the plan includes.",
            [
                Ask(
                    expression=with_workspace_name(of_this_month(f"{operations} / {included_operations}")),
                    legend="{{workspace_name}}",
                )
            ],
            unit="percentunit",
            span=8,
        )
    )
    board.with_panel(
        lines(
            "Storage allowance used",
            "Storage averaged over the month so far, as a part of what the plan includes.",
            [
                Ask(
                    expression=with_workspace_name(of_this_month(f"{storage} / {included_storage}")),
                    legend="{{workspace_name}}",
                )
            ],
            unit="percentunit",
            span=8,
        )
    )


_LIMITS = {
    "spend_limit": ("spend limit", "text"),
    "free_operations": ("free operations", "text"),
    "free_storage": ("free storage", "text"),
}


def _spenders(board: build.Dashboard) -> None:
    row(board, "Who spends")
    cost = project_database("prisma_postgres_database_month_to_date_cost_usd", "component")
    parts = f"sum by ({DATABASE_IDS}) ({{}})"
    most = f"topk(25, {DATABASE_COST})"
    leading = f"and on ({DATABASE_IDS}) {most}"
    board.with_panel(data_until(height=9))
    board.with_panel(
        rows(
            "Top spenders",
            "The 25 databases that cost most in this month, with their part of the workspace's fee, operations and "
            f"storage. {_ESTIMATE}",
            {
                "A": with_database_names(most),
                **{
                    letter: with_database_names(f"{parts.format(_component(component))} {leading}")
                    for letter, component in zip("BCD", BY_COMPONENT, strict=True)
                },
                "E": with_database_names(
                    f"({DATABASE_COST} {leading}) / on (workspace_id) group_left () ({WORKSPACE_COST} > 0)"
                ),
            },
            [
                *DATABASE_COLUMNS,
                Column(field="Value #A", title="Cost so far", unit="currencyUSD", decimals=2),
                Column(field="Value #B", title="Fee", unit="currencyUSD", decimals=2),
                Column(field="Value #C", title="Operations", unit="currencyUSD", decimals=2),
                Column(field="Value #D", title="Storage", unit="currencyUSD", decimals=2),
                Column(field="Value #E", title="Of its workspace", unit="percentunit", decimals=0, is_bar=True),
            ],
            sort_by="Cost so far",
            span=21,
            height=9,
        )
    )
    info = f"max by (project_id, project_name) (prisma_postgres_database_info{{{PROJECT}}})"
    board.with_panel(
        levels(
            "Projects that cost most",
            f"The ten projects whose databases cost most in this month. {_ESTIMATE}",
            Ask(
                expression=(
                    f"sort_desc(topk(10, sum by (project_id) ({cost}))\n"
                    f"* on (project_id) group_left (project_name) topk by (project_id) (1, {info}))"
                ),
                legend="{{project_name}}",
            ),
            unit="currencyUSD",
            span=9,
        )
    )
    leaders = f"topk(10, {_COST_AT_END})"
    board.with_panel(
        lines(
            "The ten databases that cost most",
            f"Month to date. {_ESTIMATE}",
            [
                Ask(
                    expression=with_database_names(of_this_month(f"{DATABASE_COST} and on ({DATABASE_IDS}) {leaders}")),
                    legend="{{workspace_name}} / {{project_name}} / {{database_name}}",
                )
            ],
            unit="currencyUSD",
            span=15,
            is_stacked=True,
            legend=["lastNotNull"],
        )
    )


_COST_AT_END = (
    f"sum by ({DATABASE_IDS}) "
    f"({project_database('prisma_postgres_database_month_to_date_cost_usd', 'component', at='@ end()')})"
)


def _component(component: str) -> str:
    matcher = f'component="{component}"'
    return project_database("prisma_postgres_database_month_to_date_cost_usd", matcher)
