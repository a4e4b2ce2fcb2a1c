"""Exporter: whether the numbers can be relied on. Rounds, requests, throttling, staleness, store, replicas."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build

from dashboards import frame
from dashboards.panels import UP, Ask, Column, bars, lines, number, row, rows
from dashboards.promql import (
    AHEAD,
    OWN,
    PER_SECOND,
    grown,
    own,
    own_grown,
    own_rate,
    project_database,
    with_workspace_name,
    worst,
)
from dashboards.shared import data_until

_PREFIX = "prisma_postgres_exporter_"
_REPLICA = "{{job}} {{instance}}"


def build_exporter() -> build.Dashboard:
    """Return the dashboard."""
    board = frame.dashboard(
        frame.EXPORTER,
        "Prisma Postgres: exporter",
        "The exporter itself: rounds, requests, throttling, staleness, store and replicas.",
        since="now-24h",
    )
    frame.add_sources(board, shows_instance=True)
    frame.add_workspace(board)
    frame.add_project(board)
    frame.add_alerts(board)
    _now(board)
    _replicas(board)
    _rounds(board)
    _requests(board)
    _freshness(board)
    _adaptive(board)
    _store(board)
    _found(board)
    return board


def _now(board: build.Dashboard) -> None:
    row(board, "Now")
    for panel in (
        number(
            "Replicas seen",
            "Replicas that answered the last scrape.",
            f"count(prisma_postgres_exporter_build_info{{{OWN}}})",
            unit="short",
            span=3,
        ),
        number(
            "Longest time without a round",
            "How long ago the last round ended of the workspace that has waited longest.",
            f"max(abs(time() - {_of_workspaces('last_round_timestamp_seconds')}))",
            unit="s",
            span=3,
        ),
        number(
            "Databases followed",
            "Databases whose usage is read: those that the filters of the configuration leave.",
            own("databases", 'state="polled"'),
            unit="short",
            span=3,
        ),
        number(
            "Series shown",
            "Samples in one answer of /metrics.",
            own("series"),
            unit="short",
            span=3,
        ),
        number(
            "Configuration",
            "Whether the configuration was good when it was last read. A wrong one is not used: the old one stays.",
            f"min({_PREFIX}config_reload_success{{{OWN}}})",
            unit="none",
            span=3,
            means={"0": ("refused", "red"), "1": ("good", "green")},
        ),
        number(
            "Credentials refused",
            "Credentials that the vendor's API refuses, or that have no usable token, on any replica.",
            f"count(min by (credential) ({_PREFIX}credential_up{{{OWN}}}) == 0) or vector(0)",
            unit="short",
            span=3,
            red_above=1,
        ),
        data_until(span=6),
    ):
        board.with_panel(panel)


def _replicas(board: build.Dashboard) -> None:
    row(board, "Replicas and credentials")
    board.with_panel(
        rows(
            "Replicas",
            "Each replica with its version, when it started, and how many workspaces it collects of those that replicas"
            " share.",
            {
                "A": f"max by (job, instance, version, python_version) ({_PREFIX}build_info{{{OWN}}})",
                "B": f"1000 * {_process('process_start_time_seconds')}",
                "C": f"sum by (job, instance) ({_PREFIX}lease{{{OWN}}})",
            },
            [
                Column(field="job", title="Job"),
                Column(field="instance", title="Instance"),
                Column(field="version", title="Version"),
                Column(field="python_version", title="Python"),
                Column(field="Value #A"),
                Column(field="Value #B", title="Started (UTC)", unit="dateTimeAsIso"),
                Column(field="Value #C", title="Workspaces"),
            ],
            sort_by="Instance",
            span=14,
            height=6,
            is_descending=False,
        )
    )
    board.with_panel(
        rows(
            "Credentials",
            "Whether the vendor's API accepts each credential, or it is refused or has no usable token, and when it "
            "expires where it says so.",
            {
                "A": f"min by (credential) ({_PREFIX}credential_up{{{OWN}}})",
                "B": f"1000 * min by (credential) ({_PREFIX}credential_expiry_timestamp_seconds{{{OWN}}})",
            },
            [
                Column(field="credential", title="Credential"),
                Column(field="Value #A", title="State", means=UP),
                Column(field="Value #B", title="Expires (UTC)", unit="dateTimeAsIso"),
            ],
            sort_by="State",
            span=10,
            height=6,
            is_descending=False,
        )
    )


def _rounds(board: build.Dashboard) -> None:
    row(board, "Rounds")
    for title, description, metric in (
        (
            "Duration, by workspace",
            "How long rounds of each workspace took, the longest of each step; what they read is shown at once.",
            "round_duration_seconds",
        ),
        (
            "Lag, by workspace",
            "How late rounds of each workspace began, the latest of each step. It grows where the machine is too slow.",
            "scheduler_lag_seconds",
        ),
    ):
        board.with_panel(
            lines(
                title,
                description,
                [
                    Ask(
                        expression=with_workspace_name(worst(metric, "workspace_id", 'workspace_id=~"$workspace"')),
                        legend="{{workspace_name}}",
                    )
                ],
                unit="s",
                every="5m",
                span=8,
            )
        )
    board.with_panel(
        bars(
            "Rounds",
            "Rounds that ended, by replica.",
            [Ask(expression=own_grown("rounds_total", "instance"), legend="{{instance}}")],
            unit="short",
            every="1h",
            span=8,
            soft_max=1,
        )
    )
    board.with_panel(
        bars(
            "Rounds that failed",
            "Rounds that a fault of the exporter ended, by workspace; the log has the traceback. The next round of the "
            "workspace runs a minute later, and other workspaces are not concerned.",
            [Ask(expression=own_grown("round_failures_total", "workspace_id"), legend="{{workspace_id}}")],
            unit="short",
            every="1h",
            span=8,
            soft_max=1,
        )
    )
    board.with_panel(
        lines(
            "Clock",
            "The machine's clock less the vendor's; beyond 300 seconds either way nothing is stored.",
            [Ask(expression=own("clock_skew_seconds"), legend="{{job}}")],
            unit="s",
            span=8,
            has_zero=False,
        )
    )
    board.with_panel(
        lines(
            "Databases by state",
            "What the exporter does with the databases it found.",
            [Ask(expression=own("databases", "state"), legend="{{state}}")],
            unit="short",
            span=8,
        )
    )


def _requests(board: build.Dashboard) -> None:
    row(board, "Requests to the Management API")
    board.with_panel(
        bars(
            "Requests",
            "Requests sent, each attempt counted, by what was asked for.",
            [Ask(expression=own_grown("api_requests_total", "endpoint"), legend="{{endpoint}}")],
            unit="short",
            every="1h",
            legend=["sum"],
        )
    )
    board.with_panel(
        bars(
            "Failures",
            "Requests that failed, each attempt counted: most are repeated and then succeed.",
            [
                Ask(
                    expression=own_grown("api_request_failures_total", "endpoint", "reason"),
                    legend="{{reason}} {{endpoint}}",
                )
            ],
            unit="short",
            every="1h",
            soft_max=1,
            legend=["sum"],
        )
    )
    buckets = own_rate("api_request_duration_seconds_bucket", "le")
    board.with_panel(
        lines(
            "How long the API takes to answer",
            "Each attempt on its own, without waiting for the request budget.",
            [
                Ask(expression=f"histogram_quantile({share}, {buckets})", legend=f"{share:.0%} within")
                for share in (0.99, 0.9, 0.5)
            ],
            unit="s",
            every="1h",
            fill=0,
        )
    )
    asked = own_rate("throttled_total")
    board.with_panel(
        lines(
            "Throttling",
            "The part of the requests that were answered with a wish for a pause, and the part of the time that "
            "these pauses add up to.",
            [
                Ask(expression=f"{asked} / ({own_rate('api_requests_total')} > 0)", legend="requests throttled"),
                Ask(expression=own_rate("throttled_seconds_total"), legend="time asked to pause"),
            ],
            unit="percentunit",
            every="1h",
            fill=0,
            soft_max=0.1,
        )
    )


def _freshness(board: build.Dashboard) -> None:
    row(board, "Freshness of the numbers")
    usage = project_database("prisma_postgres_database_usage_timestamp_seconds")
    read = project_database("prisma_postgres_database_last_success_timestamp_seconds")
    for title, description, newest in (
        (
            "Oldest data by workspace",
            "How long ago the newest usage of the database ends that is furthest behind.",
            usage,
        ),
        (
            "Longest time without a reading, by workspace",
            "How long ago the database was read that has waited longest.",
            read,
        ),
    ):
        age = f"max by (workspace_id) (abs(time() - {newest}))"
        board.with_panel(
            lines(
                title,
                description,
                [Ask(expression=with_workspace_name(age), legend="{{workspace_name}}")],
                unit="s",
                span=8,
            )
        )
    board.with_panel(
        bars(
            "Readings that failed",
            "Readings that did not come or could not be used after all retries: nothing was stored for them.",
            [Ask(expression=own_grown("reading_failures_total", "reason"), legend="{{reason}}")],
            unit="short",
            every="1h",
            span=8,
            soft_max=1,
        )
    )


def _adaptive(board: build.Dashboard) -> None:
    row(board, "When open days are read: poll.adaptive")
    for title, description, metric in (
        (
            "Rhythm, by workspace",
            "How often the workspace's numbers move, as far as it is known; empty without poll.adaptive.",
            "publication_period_seconds",
        ),
        (
            "Longest age that is allowed, by workspace",
            "Within how long every open day is read again, whatever was learned; empty without poll.adaptive.",
            "reading_age_bound_seconds",
        ),
    ):
        board.with_panel(
            lines(
                title,
                description,
                [Ask(expression=with_workspace_name(_of_workspaces(metric)), legend="{{workspace_name}}")],
                unit="s",
                span=8,
            )
        )
    board.with_panel(
        bars(
            "Readings of open days",
            "Those that were made, and those that were saved as no news was expected; empty without poll.adaptive.",
            [Ask(expression=own_grown("open_day_readings_total", "outcome"), legend="{{outcome}}")],
            unit="short",
            every="1h",
            span=8,
            legend=["sum"],
        )
    )


def _store(board: build.Dashboard) -> None:
    row(board, "Store and process")
    board.with_panel(
        bars(
            "Store errors",
            "Reads and writes of the store that failed. What is not stored is not shown.",
            [Ask(expression=own_grown("store_errors_total", "instance"), legend="{{instance}}")],
            unit="short",
            every="1h",
            span=8,
            soft_max=1,
        )
    )
    board.with_panel(
        lines(
            "Memory",
            "Resident memory of each replica.",
            [Ask(expression=_process("process_resident_memory_bytes"), legend=_REPLICA)],
            unit="bytes",
            span=8,
        )
    )
    board.with_panel(
        lines(
            "Processor",
            "Processor time of each replica; 100 % is one core.",
            [Ask(expression=_process("process_cpu_seconds_total", wrap=PER_SECOND), legend=_REPLICA)],
            unit="percentunit",
            span=8,
        )
    )


def _found(board: build.Dashboard) -> None:
    row(board, "What discovery found")
    board.with_panel(
        bars(
            "Changes found",
            "Workspaces, projects and databases that a discovery noticed as created, found, renamed, moved, deleted or "
            "returned. The first one of a kind after a start of the exporter is not counted here.",
            [
                Ask(
                    expression=grown(own("events_total", "subject", "kind", wrap=AHEAD)),
                    legend="{{subject}} {{kind}}",
                )
            ],
            unit="short",
            every="1h",
            span=8,
            soft_max=1,
        )
    )
    board.with_panel(
        bars(
            "Records left out",
            "Records that a discovery left out: outside the contract, of another workspace, or listed by two "
            "workspaces. A new database among them is not read.",
            [Ask(expression=own_grown("discovery_refusals_total", "reason"), legend="{{reason}}")],
            unit="short",
            every="1h",
            span=8,
            soft_max=1,
        )
    )
    board.with_panel(
        lines(
            "Windows that the vendor widens",
            "Databases for which the vendor answers for more time than a window asks for, such as whole days.",
            [Ask(expression=own("window_widened", "window"), legend="{{window}}")],
            unit="short",
            span=8,
            fill=0,
            soft_max=1,
        )
    )


def _of_workspaces(metric: str) -> str:
    """One of the exporter's own metrics for each chosen workspace."""
    return own(metric, "workspace_id", 'workspace_id=~"$workspace"')


def _process(metric: str, wrap: str = "{}") -> str:
    """A metric of the process, of replicas of the exporter only."""
    shown = wrap.format(f"{metric}{{{OWN}}}")
    return f"max by (job, instance) ({shown} and on (job, instance) {_PREFIX}build_info{{{OWN}}})"
