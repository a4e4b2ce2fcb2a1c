"""What keeps the exporter from seeing usage, or Prometheus from seeing the exporter."""

from __future__ import annotations

from pathlib import Path

from rule_cases import (
    BUILD_INFO,
    DAY,
    HOUR,
    MINUTE,
    NEEDS_PROMTOOL,
    UP,
    Case,
    Course,
    Deployment,
    check,
    fires,
    level,
    one_replica,
    over,
    per_hour,
    two_replicas,
)

JOB = {"job": "prisma-postgres"}
INFO = 'prisma_postgres_workspace_info{workspace_id="wksp_a",workspace_name="Acme",plan="Pro"}'
MONTH = 'prisma_postgres_workspace_month_to_date_operations{workspace_id="wksp_a"}'
CREDENTIAL = 'prisma_postgres_exporter_credential_up{credential="acme"}'
EXPIRY = 'prisma_postgres_exporter_credential_expiry_timestamp_seconds{credential="acme"}'
REQUESTS = 'prisma_postgres_exporter_api_requests_total{endpoint="GET /v1/databases/{id}/usage"}'
OTHER_REQUESTS = 'prisma_postgres_exporter_api_requests_total{endpoint="GET /v1/databases"}'
THROTTLED = "prisma_postgres_exporter_throttled_total"
STORE_ERRORS = "prisma_postgres_exporter_store_errors_total"
RELOADED = "prisma_postgres_exporter_config_reload_success"
STALE = fires("PrismaPostgresUsageStale", workspace_id="wksp_a")
OFF = fires("PrismaPostgresReconciliationOff", workspace_id="wksp_a")
FAILING = fires("PrismaPostgresCredentialFailing", credential="acme", **JOB)
EXPIRING = fires("PrismaPostgresCredentialExpiring", credential="acme", **JOB)
THROTTLING = fires("PrismaPostgresThrottled", **JOB)
NOT_WRITABLE = fires("PrismaPostgresStoreNotWritable", **JOB)
RELOAD_FAILED = fires("PrismaPostgresConfigReloadFailed", **JOB)
DOWN = fires("PrismaPostgresExporterDown", **JOB)
GONE = fires("PrismaPostgresExporterDown")
REPLICA_DOWN = fires("PrismaPostgresReplicaDown", **JOB)


def read(name: str, last_success: Course, *, up: Course | None = None) -> dict[str, Course]:
    """The series of one database's reading."""
    ids = f'workspace_id="wksp_a",project_id="proj_a",database_id="{name}"'
    return {
        f"prisma_postgres_database_last_success_timestamp_seconds{{{ids}}}": last_success,
        f"prisma_postgres_database_up{{{ids}}}": up or level(1),
    }


def difference(name: str, course: Course) -> dict[str, Course]:
    """The series of one database's reconciliation."""
    ids = f'workspace_id="wksp_a",project_id="proj_a",database_id="{name}"'
    return {f"prisma_postgres_database_reconciliation_difference_operations{{{ids}}}": course}


def replica(instance: str, up: Course) -> dict[str, Course]:
    """What Prometheus holds of a target: it shows something where it is up."""
    labels = f'job="prisma-postgres",instance="{instance}"'
    return {
        f"up{{{labels}}}": up,
        f'prisma_postgres_exporter_build_info{{version="1",{labels}}}': lambda at: 1 if up(at) else None,
    }


NOT_SCRAPED = {UP: level(None), BUILD_INFO: level(None)}

CASES = (
    Case(
        name="databases that are not read fire as one for their workspace, also when their values are shown no more",
        series={
            INFO: level(1),
            **read("read", lambda at: at),
            **read("late", lambda at: at - HOUR),
            **read("failing", lambda at: min(at, 2 * HOUR), up=level(1, h2=0)),
            **read("never read", level(None), up=level(0)),
            **read("not tried yet", level(None), up=level(None)),
        },
        # The one that was never read fires first.
        firing={"20m": [], "1h": [STALE], "5h": [STALE], "40h": [STALE]},
        says={
            "5h": (
                "Usage in workspace Acme is stale",
                (
                    "Databases of workspace wksp_a that were not read for two hours: 2. Their usage, their cost and "
                    "their alerts stand still."
                ),
            )
        },
    ),
    Case(
        name="a database that fails for two hours and less, and one that is deleted, are not stale",
        series={
            **read("recovered", lambda at: HOUR if HOUR < at < 3 * HOUR + 10 * MINUTE else at),
            **read("deleted", lambda at: HOUR if at < 3 * HOUR + 15 * MINUTE else None),
        },
        firing={"170m": [], "195m": [], "4h": [], "8h": []},
    ),
    Case(
        name="values that were read long ago are not stale when a restart reads them anew",
        series={
            UP: level(1, h2=0, h12=1),
            BUILD_INFO: level(1, h2=None, h12=1),
            **read("db_a", lambda at: None if 2 * HOUR <= at < 12 * HOUR else 2 * HOUR if at < 12.3 * HOUR else at),
        },
        firing={"119m": [], "11h": [DOWN], "740m": [], "14h": []},
        deployments=(one_replica, two_replicas),
    ),
    Case(
        name="a month that is not the sum of its days fires after a day",
        series={
            INFO: level(1),
            MONTH: level(1_000_000, d5=10_000),
            **difference("more", level(0, d1=9_000, d5=0)),
            **difference("less", level(0, d1=-9_000, d5=0)),
        },
        firing={"25h": [], "47h": [], "50h": [OFF], "119h": [OFF], "122h": []},
        says={
            "50h": (
                "The days of workspace Acme do not add up to the vendor's month",
                (
                    "For a day the vendor's numbers of the month and of the days of workspace wksp_a have differed by "
                    "more than 1 %: now by 18k operations, summed over its databases."
                ),
            )
        },
        step_seconds=HOUR,
    ),
    Case(
        name="a month that is nearly the sum of its days, little used, or settles within a day fires nothing",
        series={
            MONTH: level(1_000_000),
            **difference("near", level(9_000)),
            **difference("settles", level(0, h10=50_000, h30=0)),
            'prisma_postgres_workspace_month_to_date_operations{workspace_id="wksp_b"}': level(2_000),
            'prisma_postgres_database_reconciliation_difference_operations{workspace_id="wksp_b",project_id="p",'
            'database_id="d"}': level(900),
        },
        firing={"29h": [], "50h": []},
        step_seconds=HOUR,
    ),
    Case(
        name="a credential that is refused fires, until it is accepted",
        series={CREDENTIAL: level(1, h1=0, h10=1), 'prisma_postgres_exporter_credential_up{credential="b"}': level(1)},
        firing={"75m": [], "2h": [FAILING], "9h": [FAILING], "11h": []},
        says={
            "2h": (
                "The API does not accept credential acme",
                (
                    "Nothing could be read with credential acme for half an hour: the databases of its workspace keep "
                    "the values they had."
                ),
            )
        },
    ),
    Case(
        name="a credential that is refused once and one that is configured no more fire nothing",
        series={
            CREDENTIAL: level(1, h1=0, m80=1),
            'prisma_postgres_exporter_credential_up{credential="gone"}': level(1, h3=0, m190=None),
        },
        firing={"70m": [], "2h": [], "4h": []},
    ),
    Case(
        name="a replica that stands by cannot hide that the leader's credential is refused",
        own_series={
            **replica("a", level(1)),
            **replica("b", level(1)),
            'prisma_postgres_exporter_leader{job="prisma-postgres",instance="a"}': level(1),
            'prisma_postgres_exporter_leader{job="prisma-postgres",instance="b"}': level(0),
            'prisma_postgres_exporter_credential_up{credential="acme",job="prisma-postgres",instance="a"}': level(0),
            'prisma_postgres_exporter_credential_up{credential="acme",job="prisma-postgres",instance="b"}': level(1),
        },
        series=NOT_SCRAPED,
        firing={"1h": [FAILING]},
        deployments=(one_replica,),
    ),
    Case(
        name="what a replica that stands by last saw of a credential is not the truth",
        own_series={
            **replica("a", level(1)),
            **replica("b", level(1)),
            'prisma_postgres_exporter_leader{job="prisma-postgres",instance="a"}': level(1),
            'prisma_postgres_exporter_leader{job="prisma-postgres",instance="b"}': level(0),
            'prisma_postgres_exporter_credential_up{credential="acme",job="prisma-postgres",instance="a"}': level(1),
            'prisma_postgres_exporter_credential_up{credential="acme",job="prisma-postgres",instance="b"}': level(0),
        },
        series=NOT_SCRAPED,
        firing={"1h": []},
        deployments=(one_replica,),
    ),
    Case(
        name="a credential that expires within two weeks fires, until there is a new one",
        series={EXPIRY: level(15 * DAY, d3=400 * DAY)},
        firing={"23h": [], "27h": [EXPIRING], "71h": [EXPIRING], "74h": []},
        says={
            "27h": (
                "Credential acme expires in 13d 21h 0m 0s",
                "Without a new token for credential acme the databases of its workspace cannot be read.",
            )
        },
        step_seconds=HOUR,
    ),
    Case(
        name="a credential that expires later, or does not say, fires nothing",
        series={EXPIRY: level(20 * DAY), CREDENTIAL: level(1)},
        firing={"2h": [], "5d": []},
        step_seconds=HOUR,
    ),
    Case(
        name="an API that asks for pauses again and again fires",
        series={REQUESTS: per_hour(600), OTHER_REQUESTS: per_hour(120), THROTTLED: per_hour(144, until="5h")},
        firing={"50m": [], "3h": [THROTTLING], "7h": []},
        says={
            "3h": (
                "The API asks prisma-postgres to slow down",
                "20% of the requests of the last hour were answered with a wish for a pause: readings come late.",
            )
        },
    ),
    Case(
        name="an API that asks for a pause now and then, or is not asked at all, fires nothing",
        series={REQUESTS: per_hour(600, until="6h"), THROTTLED: per_hour(12, until="6h")},
        firing={"3h": [], "10h": []},
    ),
    Case(
        name="a store that cannot be written fires, until it can",
        series={STORE_ERRORS: lambda at: max(min(at, 4 * HOUR) - HOUR, 0) // (5 * MINUTE)},
        firing={"1h": [], "90m": [NOT_WRITABLE], "4h": [NOT_WRITABLE], "5h": []},
        says={
            "4h": (
                "The store of prisma-postgres cannot be written",
                (
                    "Reads or writes of the store have failed 6 times in half an hour. What is not stored is not "
                    "shown: every number stands still."
                ),
            )
        },
    ),
    Case(
        name="one failure of the store is no alert, though every replica sees it",
        series={STORE_ERRORS: level(0, h1=1, h3=2)},
        firing={"66m": [], "75m": [], "85m": [], "190m": [], "200m": []},
    ),
    Case(
        name="a configuration that was refused fires, until a good one is read",
        series={RELOADED: level(1, h1=0, h5=1)},
        firing={"55m": [], "80m": [RELOAD_FAILED], "4h": [RELOAD_FAILED], "6h": []},
        says={
            "80m": (
                "prisma-postgres refused its new configuration",
                (
                    "The configuration was wrong when it was last read: the old one stays in force, with its budgets "
                    "and limits, until the next restart, which will fail."
                ),
            )
        },
    ),
    Case(
        name="a good configuration, and one that is mended at once, fire nothing",
        series={RELOADED: level(1, h2=0, m125=1)},
        firing={"1h": [], "130m": [], "4h": []},
    ),
    Case(
        name="an exporter that cannot be scraped fires, until it can",
        own_series=replica("a", level(1, h1=0, h9=1)),
        series=NOT_SCRAPED,
        firing={"55m": [], "65m": [], "80m": [DOWN], "8h": [DOWN], "545m": []},
        says={
            "80m": (
                "prisma-postgres cannot be scraped",
                (
                    "Prometheus has no answer from any replica: no usage and no cost is seen, and no other alert can "
                    "fire."
                ),
            )
        },
        deployments=(one_replica,),
    ),
    Case(
        name="an exporter whose targets are gone, or were never there, fires without a job",
        own_series=replica("a", level(None, h3=1, h6=None)),
        series=NOT_SCRAPED,
        firing={"5m": [], "15m": [GONE], "185m": [], "365m": [], "375m": [GONE]},
        deployments=(one_replica,),
    ),
    Case(
        name="one replica of two that cannot be scraped fires as such, and both together as down",
        own_series={**replica("a", level(1, h3=0)), **replica("b", level(1, h1=0, h6=1))},
        series=NOT_SCRAPED,
        firing={"70m": [], "90m": [REPLICA_DOWN], "175m": [REPLICA_DOWN], "4h": [DOWN], "7h": [REPLICA_DOWN]},
        says={
            "90m": (
                "Not every replica of prisma-postgres can be scraped",
                (
                    "Replicas that cannot be scraped: 1. The others still show everything; when they fail too, nothing "
                    "is seen any more."
                ),
            )
        },
        deployments=(one_replica,),
    ),
    Case(
        name="a job of another program, or another job of ours, hides nothing",
        own_series={
            'up{job="node",instance="n:9100"}': level(0),
            **replica("a", level(1, h1=0)),
            'up{job="second",instance="x:9478"}': level(1),
            'prisma_postgres_exporter_build_info{version="1",job="second",instance="x:9478"}': level(1),
        },
        series=NOT_SCRAPED,
        firing={"55m": [], "80m": [DOWN], "5h": [DOWN]},
        deployments=(one_replica,),
    ),
    Case(
        name="an exporter that is replaced every day is not down",
        series={UP: level(1), BUILD_INFO: level(1)},
        firing={"5h": [], "380m": [], "385m": [], "390m": [], "410m": [], "31h": []},
    ),
)


@NEEDS_PROMTOOL
@over(CASES)
def test_collection_alerts_fire_when_they_should(case: Case, deployment: Deployment, tmp_path: Path) -> None:
    check(case, deployment, tmp_path)
