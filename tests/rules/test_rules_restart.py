"""A restart of ten minutes, from 06:20 to 06:30 where the deployment has one, in which every series is missing."""

from __future__ import annotations

from pathlib import Path

from rule_cases import DAY, NEEDS_PROMTOOL, Case, Deployment, check, fires, level, over

REACHED = "prisma_postgres_workspace_limit_reached_timestamp_seconds"
DATABASE = 'workspace_id="wksp_a",project_id="proj_a",database_id="db_a"'
FIRING = (
    fires("PrismaPostgresBudgetThreshold", budget="all", threshold="0.8"),
    fires("PrismaPostgresBudgetForecast", budget="all"),
    fires("PrismaPostgresUnpriced", workspace_id="wksp_b"),
    fires("PrismaPostgresLimitAhead", workspace_id="wksp_a", limit="spend_limit"),
    fires("PrismaPostgresLimitImminent", workspace_id="wksp_a", limit="spend_limit"),
    fires("PrismaPostgresWorkspaceBlocked", workspace_id="wksp_a"),
    fires("PrismaPostgresUsageStale", workspace_id="wksp_a", job="prisma-postgres"),
    fires("PrismaPostgresWorkspaceFailing", workspace_id="wksp_a", job="prisma-postgres"),
    fires("PrismaPostgresCredentialFailing", credential="acme", job="prisma-postgres"),
    fires("PrismaPostgresCredentialExpiring", credential="acme", job="prisma-postgres"),
    fires("PrismaPostgresConfigReloadFailed", job="prisma-postgres"),
)
PENDING = fires("PrismaPostgresLimitAhead", workspace_id="wksp_b", limit="free_operations")

CASES = (
    Case(
        name="a restart ends no alert, and what waited waits no longer for it",
        series={
            'prisma_postgres_budget_limit_usd{budget="all"}': level(200),
            'prisma_postgres_budget_spent_usd{budget="all"}': level(190),
            'prisma_postgres_budget_forecast_usd{budget="all"}': level(230),
            'prisma_postgres_budget_threshold_ratio{budget="all",threshold="0.8"}': level(0.8),
            'prisma_postgres_workspace_unpriced{workspace_id="wksp_b"}': level(1),
            f'{REACHED}{{workspace_id="wksp_a",limit="spend_limit"}}': level(2 * DAY),
            f'{REACHED}{{workspace_id="wksp_b",limit="free_operations"}}': level(None, h6=6 * DAY),
            'prisma_postgres_workspace_usage_blocked{workspace_id="wksp_a"}': level(1),
            f"prisma_postgres_database_last_success_timestamp_seconds{{{DATABASE}}}": level(0),
            'prisma_postgres_workspace_up{workspace_id="wksp_a"}': level(0),
            'prisma_postgres_exporter_credential_up{credential="acme"}': level(0),
            'prisma_postgres_exporter_credential_expiry_timestamp_seconds{credential="acme"}': level(9 * DAY),
            "prisma_postgres_exporter_config_reload_success": level(0),
        },
        firing={
            "6h": FIRING,
            "380m": FIRING,
            "385m": FIRING,
            "390m": FIRING,
            "415m": FIRING,
            "425m": [*FIRING, PENDING],
        },
    ),
)


@NEEDS_PROMTOOL
@over(CASES)
def test_a_restart_changes_no_alert(case: Case, deployment: Deployment, tmp_path: Path) -> None:
    check(case, deployment, tmp_path)
