"""Budgets at their thresholds and in the forecast, and workspaces without a price."""

from __future__ import annotations

from pathlib import Path

from rule_cases import NEEDS_PROMTOOL, Case, Deployment, check, fires, level, over

LIMIT = 'prisma_postgres_budget_limit_usd{budget="all"}'
SPENT = 'prisma_postgres_budget_spent_usd{budget="all"}'
FORECAST = 'prisma_postgres_budget_forecast_usd{budget="all"}'
AT_80 = 'prisma_postgres_budget_threshold_ratio{budget="all",threshold="0.8"}'
AT_100 = 'prisma_postgres_budget_threshold_ratio{budget="all",threshold="1"}'
SPENT_RATIO = 'budget:prisma_postgres_budget_spent_usd:ratio{budget="all"}'
FORECAST_RATIO = 'budget:prisma_postgres_budget_forecast_usd:ratio{budget="all"}'
REACHED_80 = fires("PrismaPostgresBudgetThreshold", budget="all", threshold="0.8")
REACHED_100 = fires("PrismaPostgresBudgetThreshold", budget="all", threshold="1")
TOO_MUCH_AHEAD = fires("PrismaPostgresBudgetForecast", budget="all")
UNPRICED = fires("PrismaPostgresUnpriced", workspace_id="wksp_a")

CASES = (
    Case(
        name="a budget fires at each of its thresholds when it is reached",
        series={
            LIMIT: level(200),
            SPENT: level(150, h1=165, h12=201),
            AT_80: level(0.8),
            AT_100: level(1),
        },
        firing={"50m": [], "90m": [REACHED_80], "11h": [REACHED_80], "13h": [REACHED_80, REACHED_100]},
        says={
            "90m": (
                "Budget all: 82.5% is spent",
                "This month has used 82.5% of the budget all: its threshold of 80% is reached.",
            )
        },
        records={("50m", SPENT_RATIO): 150 / 200, ("13h", SPENT_RATIO): 201 / 200},
    ),
    Case(
        name="a budget that is not spent fires nothing, nor does one without thresholds",
        series={
            LIMIT: level(200),
            SPENT: level(159.99),
            AT_80: level(0.8),
            'prisma_postgres_budget_limit_usd{budget="other"}': level(10),
            'prisma_postgres_budget_spent_usd{budget="other"}': level(50),
        },
        firing={"1h": [], "7h": []},
    ),
    Case(
        name="the thresholds are those of the metrics, whatever they are",
        series={
            LIMIT: level(100),
            SPENT: level(31),
            'prisma_postgres_budget_threshold_ratio{budget="all",threshold="0.3"}': level(0.3),
            'prisma_postgres_budget_threshold_ratio{budget="all",threshold="0.5"}': level(0.5),
        },
        firing={"2h": [fires("PrismaPostgresBudgetThreshold", budget="all", threshold="0.3")]},
    ),
    Case(
        name="a budget that is configured no more ends its alert",
        series={LIMIT: level(200, h5=None), SPENT: level(190, h5=None), AT_80: level(0.8, h5=None)},
        firing={"4h": [REACHED_80], "6h": []},
    ),
    Case(
        name="a forecast over the budget fires when it stands for an hour",
        series={LIMIT: level(200), SPENT: level(20), FORECAST: level(180, h1=230, h20=190), AT_80: level(0.8)},
        firing={"90m": [], "130m": [TOO_MUCH_AHEAD], "19h": [TOO_MUCH_AHEAD], "21h": []},
        says={
            "130m": (
                "Budget all: 115% expected by the end of the month",
                "At the current pace this month will use 115% of the budget all.",
            )
        },
        records={("50m", FORECAST_RATIO): 180 / 200, ("130m", FORECAST_RATIO): 230 / 200},
    ),
    Case(
        name="a forecast that is over the budget for a moment fires nothing",
        series={LIMIT: level(200), FORECAST: level(180, h3=201, h4=180, h8=250, h9=200)},
        firing={"230m": [], "5h": [], "535m": [], "10h": []},
    ),
    Case(
        name="a budget without a forecast fires nothing",
        series={LIMIT: level(200), SPENT: level(0), FORECAST: level(None)},
        firing={"5h": []},
    ),
    Case(
        name="a workspace without a price fires",
        series={
            'prisma_postgres_workspace_unpriced{workspace_id="wksp_a"}': level(0, h1=1),
            'prisma_postgres_workspace_info{workspace_id="wksp_a",workspace_name="Acme",plan="Gold"}': level(1),
        },
        firing={"50m": [], "130m": [UNPRICED]},
        says={
            "130m": (
                "No price is known for workspace Acme",
                (
                    "The exporter has no price for the plan of workspace Acme: its cost is not known, and no "
                    "budget or spend limit can warn about it."
                ),
            )
        },
    ),
    Case(
        name="a workspace whose price is known, and one whose price was not for half an hour, fire nothing",
        series={
            'prisma_postgres_workspace_unpriced{workspace_id="wksp_a"}': level(0),
            'prisma_postgres_workspace_unpriced{workspace_id="wksp_b"}': level(0, h1=1, m90=0),
        },
        firing={"80m": [], "3h": []},
    ),
)


@NEEDS_PROMTOOL
@over(CASES)
def test_cost_alerts_fire_when_they_should(case: Case, deployment: Deployment, tmp_path: Path) -> None:
    check(case, deployment, tmp_path)
