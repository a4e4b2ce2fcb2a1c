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
    labelled,
    of_last_month,
    of_this_month,
    on_plan,
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
    expected,
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
    _workspaces(board)
    led = lines(
        "Cost of the month, and where it leads",
        f"Month to date, and what the whole month is expected to cost: the truth should lie within the band four "
        f"times out of five. {_ESTIMATE}",
        [
            Ask(expression=of_this_month(f"sum({WORKSPACE_COST})"), legend="so far"),
            *[
                Ask(expression=of_this_month(expected(bound)), legend=legend)
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


def _workspaces(board: build.Dashboard) -> None:
    info = one("prisma_postgres_workspace_info", "workspace_id, workspace_name, plan", WORKSPACE)
    reached = workspace("prisma_postgres_workspace_limit_reached_timestamp_seconds", "limit")
    board.with_panel(
        rows(
            "Workspaces",
            "What each workspace costs. Charges are what its usage costs beyond what the plan includes; last month is "
            "as it stood in its last hour, if Prometheus still has that. A free plan has an allowance instead, of "
            "operations and of storage: the one that is further used. The limit is the first that will be reached in "
            f"this month at the expected pace; the vendor then blocks the databases. {_ESTIMATE}",
            {
                "A": f"topk by (workspace_id) (1, {info})",
                "B": WORKSPACE_COST,
                "C": workspace("prisma_postgres_workspace_usage_charges_usd"),
                "D": workspace(FORECAST, 'bound="expected"'),
                "E": of_last_month(WORKSPACE_COST),
                "F": _most_used_of_free(),
                "G": f"1000 * bottomk by (workspace_id) (1, {reached})",
            },
            [
                *WORKSPACE_COLUMNS,
                Column(field="plan", title="Plan"),
                Column(field="Value #A"),
                Column(field="Value #B", title="So far", unit="currencyUSD", decimals=2),
                Column(field="Value #C", title="of that charges", unit="currencyUSD", decimals=2),
                Column(field="Value #D", title="Whole month, expected", unit="currencyUSD", decimals=2),
                Column(field="Value #E", title="Last month", unit="currencyUSD", decimals=2),
                Column(field="Value #F", title="Free allowance used", unit="percentunit", decimals=0),
                Column(field="limit", title="Next limit", means=_LIMITS),
                Column(field="Value #G", title="Reached (UTC)", unit="dateTimeAsIso"),
            ],
            sort_by="So far",
            height=7,
        )
    )


def _budgets(board: build.Dashboard) -> None:
    row(board, "Budgets")
    used = f"{_SPENT} / {_LIMIT}"
    threshold = one(_THRESHOLD, "budget, threshold", OWN)
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
    row(board, "What plans include, and limits")
    info = one("prisma_postgres_workspace_info", "workspace_id, workspace_name, plan", WORKSPACE)
    charges = workspace("prisma_postgres_workspace_usage_charges_usd")
    spend_limit = f"({workspace('prisma_postgres_workspace_spend_limit_usd')} > 0)"
    expected_operations = workspace("prisma_postgres_workspace_forecast_month_operations", 'bound="expected"')
    expected_storage = workspace("prisma_postgres_workspace_forecast_month_average_storage_bytes", 'bound="expected"')
    board.with_panel(
        rows(
            "Included, and beyond",
            "What of the month's usage the plan includes, and what goes beyond it, so far and as expected at the "
            "month's end: a paid plan is charged for that. A free one has nothing beyond: at 100 % of its allowance it "
            "is blocked.",
            {
                "A": f"topk by (workspace_id) (1, {info})",
                "B": _OPERATIONS,
                "C": _INCLUDED_OPERATIONS,
                "D": _beyond(_OPERATIONS, _INCLUDED_OPERATIONS),
                "E": _beyond(expected_operations, _INCLUDED_OPERATIONS),
                "F": _STORAGE,
                "G": _INCLUDED_STORAGE,
                "H": _beyond(_STORAGE, _INCLUDED_STORAGE),
                "I": _beyond(expected_storage, _INCLUDED_STORAGE),
            },
            [
                *WORKSPACE_COLUMNS,
                Column(field="plan", title="Plan"),
                Column(field="Value #A"),
                Column(field="Value #B", title="Operations", unit="short"),
                Column(field="Value #C", title="included", unit="short"),
                Column(field="Value #D", title="beyond", unit="short"),
                Column(field="Value #E", title="beyond, expected", unit="short"),
                Column(field="Value #F", title="Storage on average", unit="bytes"),
                Column(field="Value #G", title="included ", unit="bytes"),
                Column(field="Value #H", title="beyond ", unit="bytes"),
                Column(field="Value #I", title="beyond, expected ", unit="bytes"),
            ],
            sort_by="Operations",
            height=7,
        )
    )
    board.with_panel(
        rows(
            "Free allowances",
            "How much of the allowance of a free plan is used, and will be at the month's end. At 100 % the vendor "
            "blocks the databases.",
            {
                letter: with_workspace_name(f"{of}\nand on (workspace_id) {_FREE}")
                for letter, of in {
                    "A": _OPERATIONS_USED,
                    "B": f"{expected_operations} / {_INCLUDED_OPERATIONS}",
                    "C": _STORAGE_USED,
                    "D": f"{expected_storage} / {_INCLUDED_STORAGE}",
                }.items()
            },
            [
                *WORKSPACE_COLUMNS,
                Column(field="Value #A", title="Operations", unit="percentunit", decimals=0, is_bar=True),
                Column(field="Value #B", title="expected", unit="percentunit", decimals=0, width=90),
                Column(field="Value #C", title="Storage", unit="percentunit", decimals=0, is_bar=True),
                Column(field="Value #D", title="expected ", unit="percentunit", decimals=0, width=90),
            ],
            sort_by="Operations",
            span=9,
            no_value="No workspace is on a free plan.",
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
        rows(
            "Spend limits",
            "The vendor's limit on the charges for usage, and how much of it is spent. At 100 % the vendor blocks the "
            f"databases. {_ESTIMATE}",
            {
                "A": with_workspace_name(f"{charges} and on (workspace_id) {spend_limit}"),
                "B": with_workspace_name(spend_limit),
                "C": with_workspace_name(f"{charges} / {spend_limit}"),
            },
            [
                *WORKSPACE_COLUMNS,
                Column(field="Value #A", title="Charges", unit="currencyUSD", decimals=2),
                Column(field="Value #B", title="Limit", unit="currencyUSD", decimals=2),
                Column(field="Value #C", title="Used", unit="percentunit", decimals=0, is_bar=True),
            ],
            sort_by="Used",
            span=7,
            no_value="No workspace has a spend limit.",
        )
    )
    for title, description, used, included, unit in (
        (
            "Operations, and what is included",
            "Operations of the month so far; dashed, what the plan includes.",
            _OPERATIONS,
            _INCLUDED_OPERATIONS,
            "short",
        ),
        (
            "Storage, and what is included",
            "Storage averaged over the month so far; dashed, what the plan includes.",
            _STORAGE,
            _INCLUDED_STORAGE,
            "bytes",
        ),
    ):
        board.with_panel(
            lines(
                title,
                description,
                [
                    Ask(expression=with_workspace_name(of_this_month(used)), legend="{{workspace_name}}"),
                    Ask(expression=with_workspace_name(included), legend="included: {{workspace_name}}"),
                ],
                unit=unit,
                fill=0,
                limits=["B"],
            )
        )


_FREE = on_plan("free")
_OPERATIONS = workspace("prisma_postgres_workspace_month_to_date_operations")
_STORAGE = workspace("prisma_postgres_workspace_month_average_storage_bytes")
_INCLUDED_OPERATIONS = f"({workspace('prisma_postgres_workspace_included_operations')} > 0)"
_INCLUDED_STORAGE = f"({workspace('prisma_postgres_workspace_included_storage_bytes')} > 0)"
_OPERATIONS_USED = f"{_OPERATIONS} / {_INCLUDED_OPERATIONS}"
_STORAGE_USED = f"{_STORAGE} / {_INCLUDED_STORAGE}"


def _most_used_of_free() -> str:
    """The allowance of a free plan that is used most: of operations or of storage."""
    either = f"{labelled(_OPERATIONS_USED, 'of', 'operations')}\nor {_STORAGE_USED}"
    return f"max by (workspace_id) ({either})\nand on (workspace_id) {_FREE}"


def _beyond(used: str, included: str) -> str:
    return f"clamp_min({used} - {included}, 0)\nunless on (workspace_id) {_FREE}"


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
