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
PUSH_FAILURES = 'prisma_postgres_exporter_push_failures_total{target="otlp",reason="http_503"}'
PUSHED_AT = 'prisma_postgres_exporter_push_last_success_timestamp_seconds{target="otlp"}'
PUSH_DROPPED = 'prisma_postgres_exporter_push_dropped_samples_total{target="otlp",reason="too_old"}'
DISCOVERY_FAILURES = 'prisma_postgres_exporter_discovery_failures_total{reason="http_403"}'
FAULTS = 'prisma_postgres_exporter_faults_total{part="costs"}'
WEB_RELOADED = "prisma_postgres_exporter_web_config_reload_success"
RELOADED = "prisma_postgres_exporter_config_reload_success"
WORKSPACE_UP = 'prisma_postgres_workspace_up{workspace_id="wksp_a"}'
ROUND_FAILURES = 'prisma_postgres_exporter_round_failures_total{workspace_id="wksp_a"}'
LAST_ROUND = 'prisma_postgres_exporter_last_round_timestamp_seconds{workspace_id="wksp_a"}'
LEASE = 'prisma_postgres_exporter_lease{{workspace_id="{}",job="prisma-postgres",instance="{}"}}'
SKEW = "prisma_postgres_exporter_clock_skew_seconds"
REFUSALS = 'prisma_postgres_exporter_discovery_refusals_total{reason="outside_the_contract"}'
STALE = fires("PrismaPostgresUsageStale", workspace_id="wksp_a", **JOB)
WORKSPACE_FAILING = fires("PrismaPostgresWorkspaceFailing", workspace_id="wksp_a", **JOB)
ROUNDS_FAILING = fires("PrismaPostgresRoundsFailing", workspace_id="wksp_a", **JOB)
ROUNDS_STOPPED = fires("PrismaPostgresRoundsStopped", workspace_id="wksp_a", **JOB)
NOT_COLLECTED = fires("PrismaPostgresWorkspaceNotCollected", workspace_id="wksp_a", **JOB)
CLOCK_WRONG = fires("PrismaPostgresClockWrong", **JOB)
REFUSED = fires("PrismaPostgresRecordsRefused", reason="outside_the_contract", **JOB)
OFF = fires("PrismaPostgresReconciliationOff", workspace_id="wksp_a")
FAILING = fires("PrismaPostgresCredentialFailing", credential="acme", **JOB)
EXPIRING = fires("PrismaPostgresCredentialExpiring", credential="acme", **JOB)
THROTTLING = fires("PrismaPostgresThrottled", **JOB)
NOT_WRITABLE = fires("PrismaPostgresStoreNotWritable", **JOB)
PUSH_FAILING = fires("PrismaPostgresPushFailing", target="otlp", **JOB)
DISCOVERY_FAILING = fires("PrismaPostgresDiscoveryFailing", reason="http_403", **JOB)
FAULT = fires("PrismaPostgresUnforeseenFault", part="costs", **JOB)
WEB_RELOAD_FAILED = fires("PrismaPostgresWebConfigReloadFailed", **JOB)
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
                    "Databases of workspace Acme not read for two hours: 2. Their usage, cost and alerts are "
                    "out of date."
                ),
            )
        },
    ),
    Case(
        name="a reading that is dated in the future is as stale as one of long ago, whatever its neighbours are",
        series={**read("ahead", lambda at: at + 2 * DAY if at < 8 * HOUR else at), **read("read", lambda at: at)},
        firing={"20m": [], "1h": [STALE], "7h": [STALE], "10h": []},
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
        name="a workspace that cannot be discovered fires, until it can",
        series={
            INFO: level(1),
            WORKSPACE_UP: level(1, h1=0, h5=1),
            'prisma_postgres_workspace_up{workspace_id="wksp_b"}': level(1),
        },
        firing={"75m": [], "2h": [WORKSPACE_FAILING], "295m": [WORKSPACE_FAILING], "305m": []},
        says={
            "2h": (
                "Workspace Acme cannot be discovered",
                (
                    "For half an hour the exporter could not list what exists in workspace Acme: new databases are "
                    "not seen, deleted ones are still shown."
                ),
            )
        },
    ),
    Case(
        name="a workspace that fails once, and one that is not collected any more, fire nothing",
        series={
            WORKSPACE_UP: level(1, h1=0, m80=1),
            'prisma_postgres_workspace_up{workspace_id="gone"}': level(1, h3=0, m190=None),
        },
        firing={"70m": [], "2h": [], "4h": []},
    ),
    Case(
        name="a subscription that cannot be read fires after an hour, until it can",
        series={
            WORKSPACE_UP: level(1),
            DISCOVERY_FAILURES: lambda at: max(min(at, 4 * HOUR) - HOUR, 0) // MINUTE or None,
        },
        firing={"1h": [], "110m": [], "140m": [DISCOVERY_FAILING], "4h": [DISCOVERY_FAILING], "5h": []},
        says={
            "4h": (
                "prisma-postgres cannot read a subscription, or a workspace that it has never listed",
                (
                    "Discovery has been failing for an hour (reason: http_403), though every known workspace "
                    "can be listed: a plan or a block may be out of date, or a new workspace is not seen."
                ),
            )
        },
    ),
    Case(
        name="a workspace that was never listed fires as a discovery that fails, as nothing shows that it is down",
        series={DISCOVERY_FAILURES: lambda at: at // MINUTE},
        firing={"1h": [], "100m": [DISCOVERY_FAILING]},
        deployments=(one_replica, two_replicas),
    ),
    Case(
        name="a workspace that cannot be listed fires as that alone, a discovery that fails now and then as nothing",
        series={
            WORKSPACE_UP: level(1, h1=0, h4=1),
            'prisma_postgres_workspace_up{workspace_id="wksp_b"}': level(1),
            DISCOVERY_FAILURES: lambda at: (
                min(max(at - HOUR, 0), 3 * HOUR) // MINUTE + max(at - 5 * HOUR, 0) // HOUR or None
            ),
        },
        firing={"2h": [WORKSPACE_FAILING], "235m": [WORKSPACE_FAILING], "5h": [], "8h": []},
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
                    "For a day the vendor's numbers of the month and of the days of workspace Acme have differed by "
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
                "Credential acme is refused or has no usable token",
                (
                    "The API answers 401 or 403 to credential acme, or its token cannot be read. If no other "
                    "credential of the same workspace works, the databases there are not read."
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
        name="a replica that can use its token does not hide that the other one cannot",
        own_series={
            **replica("a", level(1)),
            **replica("b", level(1)),
            'prisma_postgres_exporter_credential_up{credential="acme",job="prisma-postgres",instance="a"}': level(0),
            'prisma_postgres_exporter_credential_up{credential="acme",job="prisma-postgres",instance="b"}': level(1),
        },
        series=NOT_SCRAPED,
        firing={"1h": [FAILING]},
        deployments=(one_replica,),
    ),
    Case(
        name="an API that cannot be reached makes usage stale, and no credential is to blame",
        series={CREDENTIAL: level(1), WORKSPACE_UP: level(1, h1=0), **read("db_a", lambda at: min(at, HOUR))},
        firing={"2h": [WORKSPACE_FAILING], "5h": [WORKSPACE_FAILING, STALE]},
    ),
    Case(
        name="a credential that expires within two weeks fires, until there is a new one",
        series={EXPIRY: level(15 * DAY, h60=2 * DAY - 0.97, d3=400 * DAY)},
        firing={"23h": [], "27h": [EXPIRING], "71h": [EXPIRING], "74h": []},
        says={
            "27h": (
                "Credential acme expires on Friday 16 January, 00:00 UTC",
                "Without a new token for credential acme the databases of its workspace cannot be read.",
            ),
            "71h": (
                "Credential acme expired on Friday 2 January, 23:59 UTC",
                "Without a new token for credential acme the databases of its workspace cannot be read.",
            ),
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
        name="a workspace whose rounds fail again and again fires, until they end as they should",
        series={
            INFO: level(1),
            ROUND_FAILURES: lambda at: max(min(at, 4 * HOUR) - HOUR, 0) // MINUTE if at >= HOUR else None,
        },
        firing={"70m": [], "90m": [ROUNDS_FAILING], "4h": [ROUNDS_FAILING], "5h": []},
        says={
            "4h": (
                "Rounds of workspace Acme fail",
                (
                    "An error in prisma-postgres keeps ending the rounds of workspace Acme: its numbers may "
                    "be out of date. Other workspaces are not affected."
                ),
            )
        },
    ),
    Case(
        name="one round that fails, and another one hours later, fire nothing",
        series={ROUND_FAILURES: level(None, h1=1, h3=2)},
        firing={"66m": [], "75m": [], "85m": [], "190m": [], "200m": []},
    ),
    Case(
        name="a fault that nobody foresaw fires for an hour, the first one and any other",
        series={FAULTS: level(None, h1=1, h4=2)},
        firing={"55m": [], "60m": [FAULT], "115m": [FAULT], "125m": [], "4h": [FAULT], "295m": [FAULT], "305m": []},
        says={
            "115m": (
                "prisma-postgres had an unexpected error in costs",
                (
                    "In the last hour an error in prisma-postgres itself interrupted costs. It carries on and "
                    "tries again; the log has the traceback."
                ),
            )
        },
        deployments=(one_replica,),
    ),
    Case(
        name="a fault of long ago fires nothing, also where scrapes are missed",
        series={FAULTS: lambda at: None if HOUR <= at % (3 * HOUR) < HOUR + 40 * MINUTE else 3},
        firing={"2h": [], "170m": [], "250m": [], "285m": [], "340m": []},
        deployments=(one_replica,),
    ),
    Case(
        name="a workspace whose rounds have stopped fires, until there is one",
        series={
            INFO: level(1),
            LAST_ROUND: lambda at: HOUR if HOUR < at < 4 * HOUR else at,
            'prisma_postgres_exporter_last_round_timestamp_seconds{workspace_id="wksp_b"}': lambda at: at,
        },
        firing={"90m": [], "115m": [ROUNDS_STOPPED], "235m": [ROUNDS_STOPPED], "245m": []},
        says={
            "235m": (
                "No rounds for workspace Acme",
                (
                    "No replica of prisma-postgres has finished a round of workspace Acme for 2h 55m 0s: its "
                    "usage is not being read."
                ),
            )
        },
    ),
    Case(
        name="a last round that is dated in the future is none",
        series={INFO: level(1), LAST_ROUND: lambda at: at + 2 * DAY},
        firing={"10m": [], "20m": [ROUNDS_STOPPED]},
    ),
    Case(
        name="rounds that are far apart, and those of a replica that stopped beside another one, fire nothing",
        own_series={
            **replica("a", level(1)),
            **replica("b", level(1)),
            LAST_ROUND[:-1] + ',job="prisma-postgres",instance="a"}': lambda at: min(at, HOUR),
            LAST_ROUND[:-1] + ',job="prisma-postgres",instance="b"}': lambda at: at // (15 * MINUTE) * 15 * MINUTE,
        },
        series=NOT_SCRAPED,
        firing={"50m": [], "2h": [], "4h": []},
        deployments=(one_replica,),
    ),
    Case(
        name="a workspace whose lease nobody holds fires, until somebody takes it",
        own_series={
            **replica("a", level(1)),
            **replica("b", level(1)),
            LEASE.format("wksp_a", "a"): level(1, h1=0, h3=0),
            LEASE.format("wksp_a", "b"): level(0, h3=1),
        },
        series={**NOT_SCRAPED, INFO: level(1)},
        firing={"50m": [], "64m": [], "70m": [NOT_COLLECTED], "175m": [NOT_COLLECTED], "185m": []},
        says={
            "70m": (
                "Nobody collects workspace Acme",
                ("No replica of prisma-postgres holds the lease of workspace Acme: its usage is not being read."),
            )
        },
        deployments=(one_replica,),
    ),
    Case(
        name="a lease that changes hands fires nothing",
        own_series={
            **replica("a", level(1)),
            **replica("b", level(1)),
            LEASE.format("wksp_a", "a"): lambda at: at // HOUR % 2,
            LEASE.format("wksp_a", "b"): lambda at: 1 - at // HOUR % 2,
        },
        series=NOT_SCRAPED,
        firing={"50m": [], "2h": [], "4h": []},
        deployments=(one_replica,),
    ),
    Case(
        name="a clock that is wrong either way fires, until it is set right",
        series={SKEW: level(0.4, h1=-3600, h3=1, h5=86_400, h7=0)},
        firing={"65m": [], "2h": [CLOCK_WRONG], "4h": [], "6h": [CLOCK_WRONG], "8h": []},
        says={
            "2h": (
                "The clock of prisma-postgres is wrong",
                (
                    "The machine's clock and the API's differ by 1h 0m 0s: nothing is stored until the clock is"
                    " corrected, so every number is out of date."
                ),
            )
        },
    ),
    Case(
        name="a clock that is some seconds off, or wrong for a moment, fires nothing",
        series={SKEW: level(-290, h1=310, m65=2)},
        firing={"50m": [], "61m": [], "2h": []},
    ),
    Case(
        name="records that every discovery leaves out fire, until none does",
        series={REFUSALS: lambda at: max(min(at, 10 * HOUR) - HOUR, 0) // (10 * MINUTE) or None},
        firing={"2h": [], "4h": [REFUSED], "10h": [REFUSED], "12h": []},
        says={
            "4h": (
                "prisma-postgres leaves out databases or projects that the API lists",
                (
                    "Discovery keeps leaving out records (reason: outside_the_contract): what they describe is "
                    "not read, or not in the place where the API lists it."
                ),
            )
        },
    ),
    Case(
        name="records that one discovery leaves out fire nothing",
        series={REFUSALS: level(2, h1=4, h5=6)},
        firing={"90m": [], "3h": [], "6h": [], "8h": []},
    ),
    Case(
        name="an API that asks for pauses again and again fires",
        series={REQUESTS: per_hour(600), OTHER_REQUESTS: per_hour(120), THROTTLED: per_hour(144, until="5h")},
        firing={"50m": [], "3h": [THROTTLING], "7h": []},
        says={
            "3h": (
                "The API asks prisma-postgres to slow down",
                "20% of the requests in the last hour were throttled: readings are late.",
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
        firing={"1h": [], "75m": [], "90m": [NOT_WRITABLE], "4h": [NOT_WRITABLE], "5h": []},
        says={
            "4h": (
                "The store of prisma-postgres cannot be written",
                (
                    "Reading or writing the store has been failing for 15 minutes. What is not stored is not "
                    "shown: every number is out of date."
                ),
            )
        },
    ),
    Case(
        name="a short outage of the store is no alert, though every workspace and every replica counts it",
        series={STORE_ERRORS: level(0, h1=40, h3=80)},
        firing={"66m": [], "75m": [], "85m": [], "190m": [], "200m": []},
    ),
    Case(
        name="a target of push that takes nothing fires after a quarter of an hour, until it does",
        series={
            PUSH_FAILURES: lambda at: max(min(at, 4 * HOUR) - HOUR, 0) // MINUTE,
            PUSHED_AT: lambda at: at if not HOUR < at < 4 * HOUR else HOUR,
        },
        firing={"70m": [], "80m": [], "90m": [PUSH_FAILING], "239m": [PUSH_FAILING], "250m": [], "5h": []},
        says={
            "239m": (
                "Push of prisma-postgres to otlp fails",
                (
                    "otlp has accepted nothing for at least ten minutes, or samples were dropped for good: what"
                    " it shows is old, or has a gap."
                ),
            )
        },
    ),
    Case(
        name="a target of push that never took anything fires too",
        series={PUSH_FAILURES: lambda at: at // MINUTE},
        firing={"10m": [], "40m": [PUSH_FAILING]},
    ),
    Case(
        name="a target of push that refuses a request now and then, and takes the next one, fires nothing",
        series={PUSH_FAILURES: lambda at: at // (5 * MINUTE), PUSHED_AT: lambda at: at, PUSH_DROPPED: level(0)},
        firing={"1h": [], "3h": []},
    ),
    Case(
        name="samples that were dropped fire for an hour, though their target takes what is new",
        series={PUSH_DROPPED: level(0, h1=600), PUSHED_AT: lambda at: at},
        firing={"59m": [], "70m": [], "90m": [PUSH_FAILING], "110m": [PUSH_FAILING], "3h": []},
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
        name="a web configuration that was refused fires, until a good one is read",
        series={WEB_RELOADED: level(1, h1=0, h5=1)},
        firing={"55m": [], "70m": [], "85m": [WEB_RELOAD_FAILED], "4h": [WEB_RELOAD_FAILED], "6h": []},
        says={
            "85m": (
                "prisma-postgres refused its new web configuration",
                (
                    "The web configuration file, or a certificate or key that it names, could not be used when it was "
                    "last read: the old ones stay in force, until the next restart, which may fail."
                ),
            )
        },
    ),
    Case(
        name="a good web configuration, and one that is mended at once, fire nothing",
        series={WEB_RELOADED: level(1, h2=0, m125=1)},
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
                ("No replica answers Prometheus: no usage and no cost is seen, and no other alert can fire."),
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
                    "Replicas that cannot be scraped: 1. The others still show everything; if they fail too, "
                    "nothing is seen."
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
