"""Operations that jump, and operations that stop, against the same weekday."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from rule_cases import (
    BUILD_INFO,
    DAY,
    HOUR,
    NEEDS_PROMTOOL,
    UP,
    Case,
    Course,
    Deployment,
    Firing,
    check,
    fires,
    level,
    one_replica,
    over,
    per_hour,
    two_replicas,
)

TODAY = "prisma_postgres_database_day_to_date_operations"
YESTERDAY = "prisma_postgres_database_previous_day_operations"
TOTAL = "prisma_postgres_database_operations_total"
LAST_SUCCESS = "prisma_postgres_database_last_success_timestamp_seconds"
BLOCKED = 'prisma_postgres_workspace_usage_blocked{workspace_id="wksp_a"}'
TODAY_USUALLY = "database:prisma_postgres_database_day_to_date_operations:same_weekday"
YESTERDAY_USUALLY = "database:prisma_postgres_database_previous_day_operations:same_weekday"
ORDERS = '{database_id="db_orders",project_id="proj_a",workspace_id="wksp_a"}'

Pace = Callable[[int], float]
"""Operations an hour on a day; days count from 0."""


def database(name: str, shown: Mapping[str, Course]) -> dict[str, Course]:
    """The series of a database in workspace `wksp_a`, and that workspace's name."""
    ids = f'workspace_id="wksp_a",project_id="proj_a",database_id="db_{name}"'
    info = {
        f'prisma_postgres_database_info{{{ids},database_name="{name}"}}': level(1),
        'prisma_postgres_workspace_info{workspace_id="wksp_a",workspace_name="Acme",plan="Pro"}': level(1),
    }
    return info | {f"{metric}{{{ids}}}": course for metric, course in shown.items()}


def days(pace: Pace, *, late_until: int = 0) -> dict[str, Course]:
    """What a database shows that makes so many operations; until a day the vendor tells of them every six hours."""

    def known_until(at: float) -> float:
        return at // (6 * HOUR) * 6 * HOUR if at < late_until * DAY else at

    def today(at: float) -> float:
        day = int(at // DAY)
        return pace(day) * max(known_until(at) - day * DAY, 0) // HOUR

    def yesterday(at: float) -> float | None:
        day = int(at // DAY)
        return pace(day - 1) * 24 if day else None

    return {TODAY: today, YESTERDAY: yesterday}


def backfilled(pace: Pace, *, until_day: int) -> dict[str, Course]:
    """What Prometheus holds when it begins on a day and was given the whole days before."""
    shown = days(pace)
    return {
        TODAY: lambda at: shown[TODAY](at) if at >= until_day * DAY else None,
        YESTERDAY: shown[YESTERDAY],
    }


def counted(total: Course) -> dict[str, Course]:
    """What a database shows that is read without fail: the last success is now."""
    return {TOTAL: total, LAST_SUCCESS: lambda at: at}


def unseen(shown: Mapping[str, Course]) -> dict[str, Course]:
    """The same without days 9 and 10."""

    def without(course: Course) -> Course:
        return lambda at: None if 9 * DAY <= at < 11 * DAY else course(at)

    return {metric: without(course) for metric, course in shown.items()}


def weekly_batch(at: float) -> float:
    """Operations until now of a batch that runs at 02:00 each seventh day, in the third week at 06:00."""
    runs = [week * 7 * DAY + (6 if week == 2 else 2) * HOUR for week in range(4)]
    return 50_000 * sum(begins <= at for begins in runs)


def office(at: float) -> float:
    """Operations until now of five days a week, without the last two."""
    week, into_week = divmod(at, 7 * DAY)
    return week * 5 * 24_000 + min(into_week, 5 * DAY) // HOUR * 1_000


def jump(name: str) -> Firing:
    return fires("PrismaPostgresOperationsJump", workspace_id="wksp_a", project_id="proj_a", database_id=f"db_{name}")


def stopped(name: str) -> Firing:
    return fires(
        "PrismaPostgresOperationsStopped", workspace_id="wksp_a", project_id="proj_a", database_id=f"db_{name}"
    )


CALM = {
    **database("steady", {**days(lambda day: 2_000), **counted(per_hour(2_000))}),
    **database("late-last-week", days(lambda day: 50_000, late_until=8)),
    **database("weekly-rhythm", days(lambda day: (100, 50_000, 2_000, 2_000, 2_000, 2_000, 0)[day % 7])),
    # Day 15 is a usual one, a week after the holiday.
    **database("holiday-on-day-8", days(lambda day: 0 if day == 8 else 20_000)),
    **database("small-and-jumping", days(lambda day: 400 if day >= 8 else 10)),
    **database("new-on-day-11", {TODAY: level(None, d11=900_000), YESTERDAY: level(None, d12=900_000)}),
    **database("told-every-six-hours", counted(lambda at: at // (6 * HOUR) * 6_000)),
    **database("weekly-batch", counted(weekly_batch)),
    **database("office", counted(office)),
    **database("used-in-the-second-week-only", counted(lambda at: min(max(at - 7 * DAY, 0), 7 * DAY) // HOUR * 1_000)),
    **database("little-used-until-day-10", counted(per_hour(80, until="240h"))),
    **database("counter-begins-anew-on-day-10", counted(lambda at: 1_000 * (at % (10 * DAY)) // HOUR)),
    **database(
        "deleted-on-day-10",
        {
            TOTAL: lambda at: 1_000 * at // HOUR if at < 10 * DAY else None,
            LAST_SUCCESS: lambda at: at if at < 10 * DAY else None,
        },
    ),
}

CASES = (
    Case(
        name="databases whose operations neither jump nor stop",
        series=CALM,
        firing={f"{hours}h": [] for hours in range(170, 410, 2)},
        step_seconds=HOUR,
    ),
    Case(
        name="a day with ten times the operations fires on that day and on the next",
        series=database("orders", days(lambda day: 10_000 if day == 9 else 1_000)),
        firing={
            "215h": [],
            "218h": [],
            "228h": [jump("orders")],
            "241h": [jump("orders")],
            "263h": [jump("orders")],
            "265h": [],
        },
        says={
            "228h": (
                "Database orders makes more than three times its usual operations",
                (
                    "Database orders of workspace Acme made 120k operations today or yesterday: more than three "
                    "times as many as on the same weekday one and two weeks ago."
                ),
            )
        },
        records={
            ("228h", TODAY_USUALLY + ORDERS): 18_000,
            ("239h", TODAY_USUALLY + ORDERS): 23_000,
            ("241h", YESTERDAY_USUALLY + ORDERS): 24_000,
        },
        step_seconds=HOUR,
    ),
    Case(
        name="a day is compared with the whole day of a week ago where only such days are known",
        series={
            **database("steady", backfilled(lambda day: 20_000, until_day=9)),
            **database("orders", backfilled(lambda day: 10_000 if day == 9 else 1_000, until_day=9)),
        },
        firing={"217h": [], "223h": [], "234h": [jump("orders")]},
        records={("234h", TODAY_USUALLY + ORDERS): 24_000},
        step_seconds=HOUR,
    ),
    Case(
        name="databases that jump otherwise",
        series={
            **database("told-every-six-hours", days(lambda day: 10_000 if day == 9 else 1_000, late_until=99)),
            **database("idle-and-then-used", days(lambda day: 5_000 if day >= 9 else 0)),
            **database("deleted-on-day-10", {TODAY: level(0, d9=500_000, d10=None)}),
        },
        firing={
            "215h": [],
            "234h": [jump("told-every-six-hours"), jump("idle-and-then-used"), jump("deleted-on-day-10")],
            "247h": [jump("told-every-six-hours"), jump("idle-and-then-used")],
        },
        step_seconds=HOUR,
    ),
    Case(
        name="a database that stops fires after eighteen hours, until it works again",
        series=database("orders", counted(lambda at: 1_000 * min(at, 10 * DAY) // HOUR + 5 * (at >= 300 * HOUR))),
        firing={"239h": [], "257h": [], "264h": [stopped("orders")], "299h": [stopped("orders")], "302h": []},
        says={
            "264h": (
                "Database orders has made no operations for 18 hours",
                (
                    "Database orders of workspace Acme has made no operations for 18 hours. A week ago it "
                    "made at least 1,000 in the same hours."
                ),
            )
        },
        step_seconds=HOUR,
    ),
    Case(
        name="a database that stops after three weeks, and an office that does not come back from a weekend",
        series={
            **database("orders", counted(per_hour(1_000, until="504h"))),
            **database("office", counted(lambda at: min(office(at), 2 * 120_000))),
        },
        firing={"335h": [], "340h": [], "360h": [stopped("office")], "530h": [stopped("orders")]},
        step_seconds=HOUR,
    ),
    Case(
        name="a database that cannot be read is stale and has not stopped",
        series=database("orders", {TOTAL: per_hour(1_000, until="240h"), LAST_SUCCESS: lambda at: min(at, 10 * DAY)}),
        firing={"264h": [fires("PrismaPostgresUsageStale", workspace_id="wksp_a", job="prisma-postgres")]},
        step_seconds=HOUR,
    ),
    Case(
        name="a database that was read in the future cannot be told to have stopped",
        series=database("orders", {TOTAL: per_hour(1_000, until="240h"), LAST_SUCCESS: lambda at: at + 2 * DAY}),
        firing={"264h": [fires("PrismaPostgresUsageStale", workspace_id="wksp_a", job="prisma-postgres")]},
        step_seconds=HOUR,
    ),
    Case(
        name="the databases of a blocked workspace are blocked and have not stopped",
        series={BLOCKED: level(0, d10=1), **database("orders", counted(per_hour(1_000, until="240h")))},
        firing={"264h": [fires("PrismaPostgresWorkspaceBlocked", workspace_id="wksp_a")]},
        step_seconds=HOUR,
    ),
    Case(
        name="days without the exporter are neither a jump nor a stop when it is back",
        series={
            UP: level(1, d9=0, d11=1),
            BUILD_INFO: level(1, d9=None, d11=1),
            **database("orders", unseen({**days(lambda day: 20_000), **counted(per_hour(20_000))})),
        },
        firing={
            "215h": [],
            "230h": [fires("PrismaPostgresExporterDown", job="prisma-postgres")],
            "265h": [],
            "280h": [],
            "290h": [],
        },
        deployments=(one_replica, two_replicas),
        step_seconds=HOUR,
    ),
)


@NEEDS_PROMTOOL
@over(CASES)
def test_usage_alerts_fire_when_they_should(case: Case, deployment: Deployment, tmp_path: Path) -> None:
    check(case, deployment, tmp_path)
