"""The end of a month, when budgets and limits begin anew: 31 days after time 0 it is 1970-02-01 00:00 UTC."""

from __future__ import annotations

from pathlib import Path

from rule_cases import DAY, HOUR, NEEDS_PROMTOOL, Case, Deployment, check, fires, level, over

REACHED = "prisma_postgres_workspace_limit_reached_timestamp_seconds"
SPENT = fires("PrismaPostgresBudgetThreshold", budget="all", threshold="0.8")
EARLY = (
    fires("PrismaPostgresLimitAhead", workspace_id="wksp_early", limit="spend_limit"),
    fires("PrismaPostgresLimitImminent", workspace_id="wksp_early", limit="spend_limit"),
)
LATE = (
    fires("PrismaPostgresLimitAhead", workspace_id="wksp_late", limit="free_operations"),
    fires("PrismaPostgresLimitImminent", workspace_id="wksp_late", limit="free_operations"),
)

CASES = (
    Case(
        name="a limit that was reached and a budget that was spent stay until the month ends, and no longer",
        series={
            f'{REACHED}{{workspace_id="wksp_early",limit="spend_limit"}}': level(20 * DAY, d31=None),
            # On the last day it comes into sight, an hour before the month's end.
            f'{REACHED}{{workspace_id="wksp_late",limit="free_operations"}}': level(
                None, d30=31 * DAY - HOUR, d31=None
            ),
            'prisma_postgres_budget_limit_usd{budget="all"}': level(200),
            'prisma_postgres_budget_spent_usd{budget="all"}': level(100, d29=190, d31=10),
            'prisma_postgres_budget_threshold_ratio{budget="all",threshold="0.8"}': level(0.8),
        },
        firing={
            "300h": [],
            "490h": EARLY,
            "719h": [*EARLY, SPENT],
            "722h": [*EARLY, *LATE, SPENT],
            "743h": [*EARLY, *LATE, SPENT],
            "745h": [],
        },
        step_seconds=HOUR,
    ),
)


@NEEDS_PROMTOOL
@over(CASES)
def test_what_belongs_to_a_month_ends_with_it(case: Case, deployment: Deployment, tmp_path: Path) -> None:
    check(case, deployment, tmp_path)
