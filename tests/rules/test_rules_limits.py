"""Limits at which the vendor blocks databases: ahead, imminent, reached; and storage that outgrows its allowance."""

from __future__ import annotations

from pathlib import Path

from rule_cases import (
    DAY,
    HOUR,
    NEEDS_PROMTOOL,
    Case,
    Course,
    Deployment,
    check,
    fires,
    level,
    over,
    per_hour,
)

GIB = 2**30
INFO = 'prisma_postgres_workspace_info{workspace_id="wksp_a",workspace_name="Acme",plan="Free"}'
REACHED = 'prisma_postgres_workspace_limit_reached_timestamp_seconds{workspace_id="wksp_a",limit="free_operations"}'
SPEND_LIMIT = 'prisma_postgres_workspace_limit_reached_timestamp_seconds{workspace_id="wksp_a",limit="spend_limit"}'
REACHED_IN = 'workspace:prisma_postgres_workspace_limit_reached:seconds{limit="free_operations",workspace_id="wksp_a"}'
BLOCKED = 'prisma_postgres_workspace_usage_blocked{workspace_id="wksp_a"}'
AHEAD = fires("PrismaPostgresLimitAhead", workspace_id="wksp_a", limit="free_operations")
IMMINENT = fires("PrismaPostgresLimitImminent", workspace_id="wksp_a", limit="free_operations")
IS_BLOCKED = fires("PrismaPostgresWorkspaceBlocked", workspace_id="wksp_a")
GROWTH = fires("PrismaPostgresStorageGrowth", workspace_id="wksp_a")


def storage(workspace_id: str, held: Course, *, included: int | None) -> dict[str, Course]:
    """The series of a workspace's storage and of its allowance."""
    return {
        f'prisma_postgres_workspace_storage_bytes{{workspace_id="{workspace_id}"}}': held,
        f'prisma_postgres_workspace_included_storage_bytes{{workspace_id="{workspace_id}"}}': level(included),
    }


CASES = (
    Case(
        name="a limit is told of a week ahead, and again three days ahead",
        series={INFO: level(1), REACHED: level(20 * DAY)},
        firing={"311h": [], "315h": [AHEAD], "407h": [AHEAD], "410h": [AHEAD, IMMINENT], "482h": [AHEAD, IMMINENT]},
        says={
            "315h": (
                "Workspace Acme is expected to reach the Free plan's operations limit within a week",
                (
                    "Workspace Acme is expected to reach the Free plan's operations limit on Wednesday 21 January, "
                    "00:00 UTC. The vendor then blocks all of its databases until the month ends, the plan "
                    "is upgraded, or the limit is raised."
                ),
            ),
            "410h": (
                "Workspace Acme is about to reach the Free plan's operations limit",
                (
                    "Workspace Acme is expected to reach the Free plan's operations limit on Wednesday 21 January, "
                    "00:00 UTC. The vendor then blocks all of its databases until the month ends, the plan "
                    "is upgraded, or the limit is raised."
                ),
            ),
            "482h": (
                "Workspace Acme has reached the Free plan's operations limit",
                (
                    "Workspace Acme has reached the Free plan's operations limit. The vendor then "
                    "blocks all of its databases until the month ends, the plan is upgraded, or the limit is raised."
                ),
            ),
        },
        records={("311h", REACHED_IN): 20 * DAY - 311 * HOUR},
        step_seconds=HOUR,
    ),
    Case(
        name="a limit that was reached seconds ago, of a workspace whose name is not shown, is told in words",
        series={SPEND_LIMIT: level(2 * HOUR - 47.03)},
        firing={
            "115m": [
                fires("PrismaPostgresLimitImminent", workspace_id="wksp_a", limit="spend_limit"),
                fires("PrismaPostgresLimitAhead", workspace_id="wksp_a", limit="spend_limit"),
            ],
            "120m": [
                fires("PrismaPostgresLimitImminent", workspace_id="wksp_a", limit="spend_limit"),
                fires("PrismaPostgresLimitAhead", workspace_id="wksp_a", limit="spend_limit"),
            ],
        },
        says={
            "115m": (
                "Workspace wksp_a is expected to reach its spend limit within a week",
                (
                    "Workspace wksp_a is expected to reach its spend limit on Thursday 1 January, 01:59 UTC. The "
                    "vendor then blocks all of its databases until the month ends, the plan is upgraded, or the "
                    "limit is raised."
                ),
            ),
            "120m": (
                "Workspace wksp_a has reached its spend limit",
                (
                    "Workspace wksp_a has reached its spend limit. The vendor then blocks all of its databases "
                    "until the month ends, the plan is upgraded, or the limit is raised."
                ),
            ),
        },
    ),
    Case(
        name="storage of the Free plan is told without a block, which is not documented",
        series={INFO: level(1), REACHED.replace("free_operations", "free_storage"): level(2 * DAY)},
        firing={
            "2h": [
                fires("PrismaPostgresLimitAhead", workspace_id="wksp_a", limit="free_storage"),
                fires("PrismaPostgresLimitImminent", workspace_id="wksp_a", limit="free_storage"),
            ]
        },
        says={
            "2h": (
                "Workspace Acme is about to reach the Free plan's storage limit",
                (
                    "Workspace Acme is expected to reach the Free plan's storage limit on Saturday 3 January, 00:00 "
                    "UTC. What the vendor does then is not documented."
                ),
            )
        },
    ),
    Case(
        name="a limit that will not be reached in this month fires nothing",
        series={INFO: level(1), REACHED: level(None), SPEND_LIMIT: level(9 * DAY)},
        firing={"10h": []},
    ),
    Case(
        name="a limit that comes into sight for a moment fires nothing",
        series={INFO: level(1), REACHED: level(None, h2=6 * DAY, h3=None, h6=6 * DAY, h7=20 * DAY)},
        firing={"170m": [], "4h": [], "415m": [], "8h": []},
    ),
    Case(
        name="a limit that moves away ends its alerts",
        series={INFO: level(1), SPEND_LIMIT: level(2 * DAY, h6=9 * DAY)},
        firing={
            "5h": [
                fires("PrismaPostgresLimitAhead", workspace_id="wksp_a", limit="spend_limit"),
                fires("PrismaPostgresLimitImminent", workspace_id="wksp_a", limit="spend_limit"),
            ],
            "7h": [],
        },
    ),
    Case(
        name="a blocked workspace fires at once, and no more when it is free again",
        series={
            INFO: level(1),
            BLOCKED: level(0, h1=1, h5=0),
        },
        firing={"55m": [], "66m": [IS_BLOCKED], "4h": [IS_BLOCKED], "6h": []},
        says={
            "4h": (
                "The databases of workspace Acme are blocked",
                "The vendor reports workspace Acme as blocked: none of its databases answers queries.",
            )
        },
    ),
    Case(
        name="a workspace that is not blocked, or does not say, fires nothing",
        series={
            BLOCKED: level(0),
            'prisma_postgres_workspace_usage_blocked{workspace_id="wksp_b"}': level(None),
        },
        firing={"10m": [], "2h": []},
    ),
    Case(
        name="storage that outgrows its allowance within two weeks fires",
        series={INFO: level(1), **storage("wksp_a", per_hour(0.01 * GIB, start=5 * GIB), included=10 * GIB)},
        # From 6.64 GiB on, at 164 hours, this pace leads to 10 GiB; at 168 hours there is a week to look back at.
        firing={"160h": [], "185h": [GROWTH], "400h": [GROWTH]},
        says={
            "185h": (
                "Storage of workspace Acme will exceed what its plan includes within two weeks",
                (
                    "As it grew in the last week, the storage of workspace Acme will be 10.21GiB in two weeks, which "
                    "is more than its plan includes."
                ),
            )
        },
        step_seconds=HOUR,
    ),
    Case(
        name="storage that does not outgrow its allowance",
        series={
            **storage("slow", per_hour(0.001 * GIB, start=5 * GIB), included=10 * GIB),
            **storage("filled-or-created-once", level(5 * GIB, h200=8 * GIB), included=10 * GIB),
            **storage("over-already", per_hour(0.01 * GIB, start=11 * GIB), included=10 * GIB),
            **storage("unknown-allowance", per_hour(GIB), included=None),
            **storage("shrinking", lambda at: 9 * GIB - at, included=10 * GIB),
        },
        firing={f"{hours}h": [] for hours in range(170, 400, 10)},
        step_seconds=HOUR,
    ),
)


@NEEDS_PROMTOOL
@over(CASES)
def test_limit_alerts_fire_when_they_should(case: Case, deployment: Deployment, tmp_path: Path) -> None:
    check(case, deployment, tmp_path)
