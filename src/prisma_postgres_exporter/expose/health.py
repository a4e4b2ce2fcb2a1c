"""The exporter's own health as prometheus-client instruments in a registry of their own."""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.expose.lines import Kind, showable
from prisma_postgres_exporter.expose.own import HealthText, own_family
from prisma_postgres_exporter.ledger.attention import Learned

_PREFIX = "prisma_postgres_exporter_"
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """One family of the exporter's own; `name` without the common prefix."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str

    @property
    def full_name(self) -> str:
        """The name as it is exposed."""
        return _PREFIX + self.name


OWN_METRICS = (
    OwnMetric("build_info", "gauge", ("version", "python_version"), "Always 1: what runs."),
    OwnMetric(
        "api_requests_total",
        "counter",
        ("endpoint",),
        "Requests sent to the Prisma Management API, each attempt counted; endpoint is the path with its parameters' "
        "names.",
    ),
    OwnMetric(
        "api_request_failures_total",
        "counter",
        ("endpoint", "reason"),
        "Requests to the Prisma Management API that failed, each attempt counted.",
    ),
    OwnMetric(
        "api_request_duration_seconds",
        "histogram",
        (),
        "How long the Prisma Management API took to answer, each attempt on its own.",
    ),
    OwnMetric(
        "throttled_total",
        "counter",
        (),
        "How often the Prisma Management API answered 429, which slows the credential down.",
    ),
    OwnMetric("throttled_seconds_total", "counter", (), "The pauses that answers of 429 caused, in all."),
    OwnMetric(
        "reading_failures_total",
        "counter",
        ("reason",),
        "Readings of usage that did not come or could not be used, after the retries; nothing was stored for them.",
    ),
    OwnMetric(
        "lease",
        "gauge",
        ("workspace_id",),
        "Whether this process collects the workspace (1) or another one does that shares the store (0); absent for a "
        "store that is for one process.",
    ),
    OwnMetric("rounds_total", "counter", (), "Rounds of workspaces that ended."),
    OwnMetric(
        "round_failures_total",
        "counter",
        ("workspace_id",),
        "Rounds of a workspace that an unforeseen fault of the exporter ended; the log has its traceback.",
    ),
    OwnMetric(
        "faults_total",
        "counter",
        ("part",),
        "Unforeseen faults of the exporter outside rounds and exposition, by what was done; the log has the traceback.",
    ),
    OwnMetric(
        "display_failures_total",
        "counter",
        (),
        "How often an unforeseen fault of the exporter kept the exposition from being made anew; the log has its "
        "traceback.",
    ),
    OwnMetric("round_duration_seconds", "gauge", ("workspace_id",), "How long the workspace's last round took."),
    OwnMetric("last_round_timestamp_seconds", "gauge", ("workspace_id",), "When the workspace's last round ended."),
    OwnMetric(
        "scheduler_lag_seconds", "gauge", ("workspace_id",), "How late the workspace's last round began after its time."
    ),
    OwnMetric(
        "publication_period_seconds",
        "gauge",
        ("workspace_id",),
        "The rhythm by which the workspace's numbers move, as poll.adaptive learned it; absent while none is known.",
    ),
    OwnMetric(
        "reading_age_bound_seconds",
        "gauge",
        ("workspace_id",),
        "Within how long poll.adaptive reads every open day of the workspace again, whatever it learned; absent "
        "without poll.adaptive.",
    ),
    OwnMetric(
        "open_day_readings_total",
        "counter",
        ("workspace_id", "outcome"),
        "Readings of open days that poll.adaptive made, or saved as no news was expected: one in every poll.interval "
        "would have been both together.",
    ),
    OwnMetric(
        "clock_skew_seconds",
        "gauge",
        (),
        "This machine's clock less the Prisma Management API's, as its newest answers tell; beyond 300 either way "
        "nothing is stored.",
    ),
    OwnMetric(
        "discovery_failures_total",
        "counter",
        ("reason",),
        "Looks at what a workspace holds, and at its subscription, that failed or could not be used; what was known "
        "stays.",
    ),
    OwnMetric(
        "discovery_refusals_total",
        "counter",
        ("reason",),
        "Records that a discovery left out: outside the contract, of another workspace, or listed by two workspaces.",
    ),
    OwnMetric("databases", "gauge", ("state",), "Databases by what the exporter does with them."),
    OwnMetric(
        "events_total",
        "counter",
        ("subject", "kind"),
        "Workspaces, projects and databases that a discovery noticed as created, found, renamed, moved, deleted or "
        "returned.",
    ),
    OwnMetric("store_errors_total", "counter", (), "Reads and writes of the store that failed."),
    OwnMetric(
        "credential_up",
        "gauge",
        ("credential",),
        "Whether the API accepts the credential (1), or refuses it or it has no usable token (0).",
    ),
    OwnMetric(
        "credential_expiry_timestamp_seconds",
        "gauge",
        ("credential",),
        "When the credential expires; absent where it does not say.",
    ),
    OwnMetric(
        "config_reload_success",
        "gauge",
        (),
        "Whether the configuration was good (1) when it was last read, or not (0).",
    ),
    OwnMetric(
        "costs_timestamp_seconds",
        "gauge",
        (),
        "When the costs that are shown were worked out, from the usage of then; the usage that is shown may be newer.",
    ),
    OwnMetric("config_reload_success_timestamp_seconds", "gauge", (), "When a good configuration was last read."),
    OwnMetric(
        "window_widened",
        "gauge",
        ("window",),
        "Databases for which the Prisma Management API's newest answer covers more time than this window asks for.",
    ),
    OwnMetric(
        "push_samples_total",
        "counter",
        ("target",),
        "Samples that a target of push took.",
    ),
    OwnMetric(
        "push_failures_total",
        "counter",
        ("target", "reason"),
        "Requests to a target of push that it did not take; but for refused ones they are sent again.",
    ),
    OwnMetric(
        "push_dropped_samples_total",
        "counter",
        ("target", "reason"),
        "Samples that a target of push never gets: it refused them, or they waited too long, or too many waited.",
    ),
    OwnMetric("push_waiting_samples", "gauge", ("target",), "Samples that wait for a target of push."),
    OwnMetric(
        "push_last_success_timestamp_seconds",
        "gauge",
        ("target",),
        "When a target of push last took a request.",
    ),
    OwnMetric(
        "trace_export_failures_total",
        "counter",
        (),
        "Batches of spans that the receiver of traces did not take; they are lost.",
    ),
    OwnMetric(
        "web_refused_total",
        "counter",
        ("reason",),
        "Connections and requests that the web server refused or cut off; made_room is one that waited, for a new one.",
    ),
    OwnMetric(
        "web_config_reload_success",
        "gauge",
        (),
        "Whether web.config_file was good (1) when it was last read, or not (0), and the one before is in "
        "force. Absent without web.config_file.",
    ),
    OwnMetric(
        "series_capped",
        "gauge",
        (),
        "Databases that web.max_series leaves without series of their own: they are in the sums whose database_id is "
        "other. Absent without web.max_series.",
    ),
    OwnMetric("series", "gauge", (), "Samples in this exposition, its own included."),
)
_DEFINITIONS = {metric.name: metric for metric in OWN_METRICS}


class ExporterHealth:
    """What the exporter knows about itself. Thread-safe; a value nobody reported yet has no sample."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._shown: set[str] = set()
        self._windows: set[str] = set()
        self._leases: frozenset[str] = frozenset()
        self._credentials: dict[str, str | None] = {}
        self._showing = threading.Lock()
        self._requests = self._counter("api_requests_total")
        self._failures = self._counter("api_request_failures_total")
        duration = _DEFINITIONS["api_request_duration_seconds"]
        self._durations = Histogram(duration.full_name, duration.help, registry=self._registry, buckets=_CALL_SECONDS)
        self._throttled = self._counter("throttled_total")
        self._throttled_seconds = self._counter("throttled_seconds_total")
        self._reading_failures = self._counter("reading_failures_total")
        self._rounds = self._counter("rounds_total")
        self._round_failures = self._counter("round_failures_total")
        self._open_days = self._counter("open_day_readings_total")
        self._discovery_failures = self._counter("discovery_failures_total")
        self._faults = self._counter("faults_total")
        self._trace_failures = self._counter("trace_export_failures_total")
        self._refusals = self._counter("discovery_refusals_total")
        self._display_failures = self._counter("display_failures_total")
        self._store_errors = self._counter("store_errors_total")
        self._events = self._counter("events_total")
        self._pushed = self._counter("push_samples_total")
        self._push_failures = self._counter("push_failures_total")
        self._web_refused = self._counter("web_refused_total")
        self._push_dropped = self._counter("push_dropped_samples_total")
        self._gauges = {
            metric.name: Gauge(metric.full_name, metric.help, metric.labels, registry=None)
            for metric in OWN_METRICS
            if metric.kind == "gauge" and metric.name != "series"
        }
        self._set("build_info", 1, __version__, platform.python_version())
        ProcessCollector(registry=self._registry)

    def attempt_finished(self, endpoint: str, seconds: float, failure: str | None) -> None:
        """One attempt of a call ended; `failure` is the reason constant, `None` when it succeeded."""
        self._requests.labels(endpoint).inc()
        self._durations.observe(seconds)
        if failure is not None:
            self._failures.labels(endpoint, failure).inc()

    def throttled(self, endpoint: str, wait_seconds: float) -> None:
        """The API asked for a pause."""
        self._throttled.inc()
        self._throttled_seconds.inc(max(wait_seconds, 0.0))

    def reading_failed(self, reason: str) -> None:
        """A reading did not come, or said something that cannot be."""
        self._reading_failures.labels(reason).inc()

    def discovery_failed(self, reason: str) -> None:
        """What a workspace holds, or its subscription, could not be found out."""
        self._discovery_failures.labels(reason).inc()

    def fault(self, part: str) -> None:
        """Nobody foresaw what ended this."""
        self._faults.labels(part).inc()

    def traces_lost(self) -> None:
        """A batch of spans did not reach its receiver."""
        self._trace_failures.inc()

    def record_refused(self, reason: str, count: int) -> None:
        """A discovery left out so many records."""
        if count:
            self._refusals.labels(reason).inc(count)

    def round_finished(self, workspace_id: str, seconds: float, lag_seconds: float | None, at: datetime) -> None:
        """A round that took `seconds` ended at `at`; it had begun so much after its time, if it had one."""
        self._rounds.inc()
        self._set("round_duration_seconds", seconds, workspace_id)
        self._set("last_round_timestamp_seconds", at.timestamp(), workspace_id)
        if lag_seconds is not None:
            self._set("scheduler_lag_seconds", lag_seconds, workspace_id)

    def learned(self, workspace_id: str, learned: Learned | None, *, made: int, saved: int) -> None:
        """What the adaptive plan of a workspace knows, if it has one; what it read and saved since the last call."""
        period = None if learned is None else learned.period
        self._set_or_unset("publication_period_seconds", period, workspace_id)
        self._set_or_unset("reading_age_bound_seconds", None if learned is None else learned.bound, workspace_id)
        if learned is not None:
            self._open_days.labels(showable(workspace_id), "made").inc(made)
            self._open_days.labels(showable(workspace_id), "saved").inc(saved)

    def round_failed(self, workspace_id: str) -> None:
        """A round ended by an exception that nobody foresaw."""
        self._round_failures.labels(showable(workspace_id)).inc()

    def display_failed(self) -> None:
        """What is shown could not be made anew."""
        self._display_failures.inc()

    def workspace_gone(self, workspace_id: str) -> None:
        """A workspace is not collected any more."""
        for name in (
            "round_duration_seconds",
            "last_round_timestamp_seconds",
            "scheduler_lag_seconds",
            "publication_period_seconds",
            "reading_age_bound_seconds",
        ):
            self._unset(name, workspace_id)

    def leases_held(self, held: Mapping[str, bool]) -> None:
        """Whether this process is to collect a workspace, by the id of each that is followed; others have no lease."""
        for workspace_id in self._leases - held.keys():
            self._unset("lease", workspace_id)
        for workspace_id, is_held in held.items():
            self._set("lease", is_held, workspace_id)
        self._leases = frozenset(held)

    def clock_compared(self, skew_seconds: float) -> None:
        """This machine's clock less the vendor's."""
        self._set("clock_skew_seconds", skew_seconds)

    def databases(self, state: str, count: int) -> None:
        """How many databases are in a state (`polled`, `filtered`, `failed` …)."""
        self._set("databases", count, state)

    def event_noticed(self, subject: str, kind: str) -> None:
        """A discovery noticed that something was created, found, renamed, moved, deleted or returned."""
        self._events.labels(subject, kind).inc()

    def store_failed(self) -> None:
        """The store could not be read or written."""
        self._store_errors.inc()

    def credential_seen(self, name: str, *, is_up: bool) -> None:
        """The API accepted a credential or refused it, or it has no usable token."""
        self._set("credential_up", is_up, name)

    def credential_expires(self, name: str, at: datetime | None) -> None:
        """When a credential expires, `None` where it does not say."""
        if at is None:
            self._unset("credential_expiry_timestamp_seconds", name)
        else:
            self._set("credential_expiry_timestamp_seconds", at.timestamp(), name)

    def credential_belongs(self, name: str, workspace_id: str | None) -> None:
        """Whose a credential is, `None` where that is not known."""
        self._credentials[showable(name)] = workspace_id

    def credential_gone(self, name: str) -> None:
        """A credential is no longer configured."""
        self._credentials.pop(showable(name), None)
        self._unset("credential_up", name)
        self._unset("credential_expiry_timestamp_seconds", name)

    def pushed(self, target: str, samples: int, at: datetime) -> None:
        """A target of push took a request with so many samples."""
        self._pushed.labels(target).inc(samples)
        self._set("push_last_success_timestamp_seconds", at.timestamp(), target)

    def push_failed(self, target: str, reason: str) -> None:
        """A target of push did not take a request."""
        self._push_failures.labels(target, reason).inc()

    def push_dropped(self, target: str, reason: str, samples: int) -> None:
        """A target of push will not get these samples; with 0 of them the series begins."""
        self._push_dropped.labels(target, reason).inc(samples)

    def push_waiting(self, target: str, samples: int) -> None:
        """So many samples wait for a target of push."""
        self._set("push_waiting_samples", samples, target)

    def config_reloaded(self, ok: bool, at: datetime) -> None:
        """The configuration was read, at the start or again."""
        self._set("config_reload_success", ok)
        if ok:
            self._set("config_reload_success_timestamp_seconds", at.timestamp())

    def web_refused(self, reason: str) -> None:
        """The web server refused a connection or a request."""
        self._web_refused.labels(reason).inc()

    def web_config_read(self, ok: bool) -> None:
        """The web configuration file was read, at the start or again."""
        self._set("web_config_reload_success", ok)

    def costs_worked_out(self, at: datetime) -> None:
        """The costs that are shown are of the usage at `at`."""
        self._set("costs_timestamp_seconds", at.timestamp())

    def series_capped(self, databases: int) -> None:
        """So many databases have no series of their own."""
        self._set("series_capped", databases)

    def windows_widened(self, databases: Mapping[str, int]) -> None:
        """For how many databases the API answers for more time than asked, by the name of each window in use."""
        for name in self._windows - databases.keys():
            self._unset("window_widened", name)
        self._windows = set(databases)
        for name, count in databases.items():
            self._set("window_widened", count, name)

    def text(self, other_samples: int) -> HealthText:
        """Every own family as it is now; `other_samples` are those the exposition has beside them."""
        families = [_without_created(family) for family in self._registry.collect()]
        families = sorted([family for family in families if family.samples], key=lambda family: family.name)
        samples = sum([len(family.samples) for family in families]) + 1
        series = _DEFINITIONS["series"]
        families.append(GaugeMetricFamily(series.full_name, series.help, value=samples + other_samples))
        return HealthText(
            families=tuple([own_family(family, self._credentials) for family in families]), samples=samples
        )

    def _counter(self, name: str) -> Counter:
        metric = _DEFINITIONS[name]
        return Counter(metric.full_name, metric.help, metric.labels, registry=self._registry)

    def _set(self, name: str, value: float, *labels: str) -> None:
        gauge = self._gauges[name]
        (gauge.labels(*map(showable, labels)) if labels else gauge).set(value)
        # A gauge without labels shows 0 from its birth on, so it is shown only once it says something.
        with self._showing:
            if name not in self._shown:
                self._shown.add(name)
                self._registry.register(gauge)

    def _set_or_unset(self, name: str, span: timedelta | None, *labels: str) -> None:
        if span is None:
            self._unset(name, *labels)
        else:
            self._set(name, span.total_seconds(), *labels)

    def _unset(self, name: str, *labels: str) -> None:
        self._gauges[name].remove(*map(showable, labels))


def _without_created(family: Metric) -> Metric:
    """The family without `_created` samples, which Prometheus would keep as series of their own."""
    family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
    return family
