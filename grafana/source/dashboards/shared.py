"""Queries and panels that several dashboards show, so that they say the same everywhere."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from dashboards import links
from dashboards.panels import Ask, Column, number
from dashboards.promql import DATABASE_IDS, one, project_database, workspace

WORKSPACE_COLUMNS = (
    Column(field="workspace_name", title="Workspace", link=links.TO_WORKSPACE),
    Column(field="workspace_id"),
)
DATABASE_COLUMNS = (
    Column(field="database_name", title="Database", link=links.TO_DATABASE),
    Column(field="project_name", title="Project"),
    Column(field="workspace_name", title="Workspace"),
    Column(field="workspace_id"),
    Column(field="project_id"),
    Column(field="database_id"),
)

USAGE_UNTIL = project_database("prisma_postgres_database_usage_timestamp_seconds")
"""How far the data of each database reaches, in seconds since 1970."""

FORECAST = "prisma_postgres_workspace_forecast_month_cost_usd"
BY_COMPONENT = ("fee", "operations", "storage")
WORKSPACE_COST = f"sum by (workspace_id) ({workspace('prisma_postgres_workspace_month_to_date_cost_usd', 'component')})"
"""What each workspace costs so far in this month."""

_DATABASE_COST = "prisma_postgres_database_month_to_date_cost_usd"
DATABASE_COST = f"sum by ({DATABASE_IDS}) ({project_database(_DATABASE_COST, 'component')})"
"""What each database's share of that is."""


def total(metric: str, *matchers: str) -> str:
    """Return the sum of a workspace metric over the chosen workspaces."""
    return f"sum({workspace(metric, *matchers)})"


def expected(bound: str) -> str:
    """Return what the chosen workspaces' whole month will cost; nothing where one of them does not say it yet.

    Without its own it would be the sum of the others, and look like all.
    """
    bounded = f'bound="{bound}"'
    without = f"{workspace('prisma_postgres_workspace_info')} unless {workspace(FORECAST, bounded)}"
    return f"{total(FORECAST, bounded)}\nunless on () ({without})"


def forecast_numbers(span: int) -> stat.Panel:
    """Return what the whole month will cost: low, expected, high."""
    return number(
        "Whole month, as expected",
        "What the month will cost at its end, the fees included: the truth should lie between low and high four "
        "times out of five. Absent until a week of each workspace is known, and where one has no price.",
        [Ask(expression=expected(bound), legend=bound) for bound in ("low", "expected", "high")],
        unit="currencyUSD",
        span=span,
        decimals=0,
    )


def data_until(span: int = 3, height: int = 4) -> stat.Panel:
    """Return how far the data reaches that a dashboard's numbers are made of."""
    return number(
        "Data until",
        "How far the vendor's usage reaches, in UTC: of the newest database, and of the one that is furthest behind. "
        "What was used after that is not in any number here yet.",
        [
            Ask(expression=f"1000 * max({USAGE_UNTIL})", legend="newest"),
            Ask(expression=f"1000 * min({USAGE_UNTIL})", legend="furthest behind"),
        ],
        unit="dateTimeAsIso",
        span=span,
        height=height,
        is_small=True,
    )


def whole_days(scope: str) -> str:
    """Operations by UTC day, asked for at the day's beginning in steps of a day.

    The day after says it best; of the open day there is the number so far.
    """
    settled = one(
        "prisma_postgres_database_previous_day_operations",
        DATABASE_IDS,
        scope,
        wrap="last_over_time({}[1d] offset -2d)",
    )
    today = one(
        "prisma_postgres_database_day_to_date_operations",
        DATABASE_IDS,
        scope,
        wrap="last_over_time({}[1d] offset -1d)",
    )
    return f"{settled}\nor {today}"
