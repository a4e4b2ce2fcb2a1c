"""Views and snapshots to show, what they must come out as, and a real server to ask."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import uvicorn
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from starlette.types import ASGIApp

from prisma_postgres_exporter.cost import Usage
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format
from prisma_postgres_exporter.ledger.attention import Learned
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot, WorkspaceView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

A_DATABASE = DatabaseView(
    workspace_id="wksp_a",
    project_id="proj_a",
    database_id="db_a",
    database_name="orders",
    project_name="shop",
    workspace_name="Acme",
    region="eu-west-3",
    status="ready",
    is_default=True,
    created_at=datetime(2026, 3, 1, tzinfo=UTC),
    is_up=True,
    operations_total=1200,
    day_to_date_operations=100,
    previous_day_operations=400,
    month_to_date_operations=900,
    previous_month_operations=8000,
    rolling=(("24h", 300), ("7d", 1000)),
    rolling_until=(NOW - timedelta(minutes=4), NOW - timedelta(hours=2)),
    storage_bytes=3 * 2**30,
    usage_at=datetime(2026, 11, 23, 11, 55, 0, 250000, tzinfo=UTC),
    last_success_at=datetime(2026, 11, 23, 11, 59, tzinfo=UTC),
    revisions_up=2,
    revisions_down=1,
    reconciliation_difference_operations=-5,
    failing_since_at=None,
    failure_reason=None,
)
AN_UNREAD_DATABASE = replace(
    A_DATABASE,
    database_id="db_b",
    database_name='quote " backslash \\ newline \n emoji 🐘',
    region=None,
    status="provisioning",
    is_default=False,
    is_up=None,
    operations_total=None,
    day_to_date_operations=None,
    previous_day_operations=None,
    month_to_date_operations=None,
    previous_month_operations=None,
    rolling=(),
    storage_bytes=None,
    usage_at=None,
    last_success_at=None,
    revisions_up=0,
    revisions_down=0,
    reconciliation_difference_operations=None,
)
A_WORKSPACE = WorkspaceView(
    workspace_id="wksp_a",
    workspace_name="Acme",
    plan="Pro",
    is_up=True,
    is_usage_blocked=False,
    databases=2,
    month_to_date_operations=950,
    storage_bytes=3 * 2**30,
    month_average_storage_bytes=2**31,
    storage_covered_ratio=0.75,
    operations_covered_ratio=0.966667,
    usage=Usage(known_operations=950, days=30, days_known=29),
    reconciliation_difference_operations=0,
    period_start_at=datetime(2026, 11, 1, tzinfo=UTC),
    failure_reason=None,
)
A_SNAPSHOT = Snapshot(taken_at=NOW, workspaces=(A_WORKSPACE,), databases=(A_DATABASE, AN_UNREAD_DATABASE), filtered=3)


def needs_program(name: str) -> pytest.MarkDecorator:
    """Skip, by name, where a program is missing; where CI is set the test runs and fails instead."""
    is_missing = shutil.which(name) is None and "CI" not in os.environ
    return pytest.mark.skipif(is_missing, reason=f"{name} is missing")


def snapshot_of(databases: Iterable[DatabaseView], workspaces: Iterable[WorkspaceView] = ()) -> Snapshot:
    return Snapshot(taken_at=NOW, workspaces=tuple(workspaces), databases=tuple(databases), filtered=0)


def exposition_of(snapshot: Snapshot) -> Exposition:
    exposition = Exposition(ExporterHealth())
    exposition.render(snapshot)
    return exposition


def tell_everything(health: ExporterHealth) -> None:
    """Have every own metric appear."""
    health.leases_held({"wksp_1": True})
    health.attempt_finished("GET /v1/databases/{id}/usage", 0.2, "timeout")
    health.throttled("GET /v1/me", 1.0)
    health.reading_failed("timeout")
    health.round_finished("wksp_a", 4.0, 0.1, NOW)
    health.learned(
        "wksp_a", Learned(bound=timedelta(minutes=90), period=timedelta(hours=1), made=2, saved=9), made=2, saved=9
    )
    health.round_failed("wksp_a")
    health.clock_compared(0.5)
    health.record_refused("listed_twice", 2)
    health.discovery_failed("timeout")
    health.fault("tokens")
    health.traces_lost()
    health.display_failed()
    health.databases("polled", 2)
    health.event_noticed("database", "created")
    health.credential_seen("eu", is_up=True)
    health.credential_expires("eu", NOW)
    health.config_reloaded(True, NOW)
    health.costs_worked_out(NOW)
    health.windows_widened({"24h": 3})
    health.leases_held({"wksp_a": True})
    health.pushed("otlp", 812, NOW)
    health.push_failed("otlp", "http_503")
    health.push_dropped("otlp", "refused", 2)
    health.push_waiting("otlp", 0)
    health.series_capped(3)
    health.web_refused("too_slow")
    health.web_config_read(True)


def plain(exposition: Exposition, exposition_format: Format = Format.TEXT) -> bytes:
    return exposition.body(exposition_format, is_gzip=False).joined()


def gzipped(exposition: Exposition, exposition_format: Format = Format.TEXT) -> bytes:
    return exposition.body(exposition_format, is_gzip=True).joined()


def parsed_families(text: bytes, exposition_format: Format) -> list[Metric]:
    parse = parse_text if exposition_format is Format.TEXT else parse_openmetrics
    return list(parse(text.decode()))


def parsed(text: bytes, exposition_format: Format) -> Samples:
    """Every sample by its name and its labels that are not empty (an empty label is an absent one)."""
    found: Samples = {}
    for family in parsed_families(text, exposition_format):
        for sample in family.samples:
            key = (sample.name, frozenset((label, value) for label, value in sample.labels.items() if value))
            assert key not in found
            assert sample.timestamp is None
            found[key] = sample.value
    return found


def is_own(name: str) -> bool:
    return name.startswith(("prisma_postgres_exporter_", "process_"))


def shown(text: str) -> str:
    """A name with the characters replaced that no exposition can carry."""
    return "".join("\ufffd" if letter == "\0" or 0xD800 <= ord(letter) <= 0xDFFF else letter for letter in text)


def expected_samples(snapshot: Snapshot) -> Samples:
    """What the snapshot says, spelled out a second time."""
    expected: Samples = {}

    def expect(name: str, value: float | None, **labels: str) -> None:
        if value is not None:
            present = frozenset((label, shown(text)) for label, text in labels.items() if text)
            expected[f"prisma_postgres_{name}", present] = float(value)

    def seconds(at: datetime | None) -> float | None:
        return None if at is None else at.timestamp()

    for view in snapshot.databases:
        ids = {"workspace_id": view.workspace_id, "project_id": view.project_id, "database_id": view.database_id}
        expect(
            "database_info",
            1,
            **ids,
            database_name=view.database_name,
            project_name=view.project_name,
            workspace_name=view.workspace_name,
            db_region=view.region or "",
            db_status=view.status,
            is_default="true" if view.is_default else "false",
        )
        expect("database_created_timestamp_seconds", seconds(view.created_at), **ids)
        expect("database_operations_total", view.operations_total, **ids)
        for window, operations in view.rolling:
            expect("database_window_operations", operations, **ids, window=window)
        expect("database_day_to_date_operations", view.day_to_date_operations, **ids)
        expect("database_previous_day_operations", view.previous_day_operations, **ids)
        expect("database_month_to_date_operations", view.month_to_date_operations, **ids)
        expect("database_previous_month_operations", view.previous_month_operations, **ids)
        expect("database_storage_bytes", view.storage_bytes, **ids)
        expect("database_usage_timestamp_seconds", seconds(view.usage_at), **ids)
        expect("database_last_success_timestamp_seconds", seconds(view.last_success_at), **ids)
        expect("database_up", view.is_up, **ids)
        expect("database_revisions_total", view.revisions_up, **ids, direction="up")
        expect("database_revisions_total", view.revisions_down, **ids, direction="down")
        expect("database_reconciliation_difference_operations", view.reconciliation_difference_operations, **ids)
    for workspace in snapshot.workspaces:
        id_ = {"workspace_id": workspace.workspace_id}
        expect("workspace_info", 1, **id_, workspace_name=workspace.workspace_name, plan=workspace.plan or "")
        expect("workspace_up", workspace.is_up, **id_)
        expect("workspace_usage_blocked", workspace.is_usage_blocked, **id_)
        expect("workspace_databases", workspace.databases, **id_)
        expect("workspace_month_to_date_operations", workspace.month_to_date_operations, **id_)
        expect("workspace_storage_bytes", workspace.storage_bytes, **id_)
        expect("workspace_month_average_storage_bytes", workspace.month_average_storage_bytes, **id_)
        expect("workspace_month_storage_covered_ratio", workspace.storage_covered_ratio, **id_)
        expect("workspace_month_operations_covered_ratio", workspace.operations_covered_ratio, **id_)
        expect("workspace_month_usage_complete", workspace.usage.is_complete, **id_)
        expect("workspace_reconciliation_difference_operations", workspace.reconciliation_difference_operations, **id_)
        expect("usage_period_start_timestamp_seconds", seconds(workspace.period_start_at), **id_)
    return expected


# Any character at all, lone surrogates too, and often the ones that need escaping.
names = st.text(st.characters(exclude_categories=()) | st.sampled_from('"\\\n\r\0{}#, =🐘\ud83d\u2028'), max_size=30)
_operations = st.none() | st.integers(0, 2**53)
_instants = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (bounds)


def database_views(database_id: str) -> st.SearchStrategy[DatabaseView]:
    return st.builds(
        DatabaseView,
        workspace_id=st.sampled_from(["wksp_a", "wksp_ö"]),
        project_id=st.sampled_from(["proj_a", "proj_b"]),
        database_id=st.just(database_id),
        database_name=names,
        project_name=names,
        workspace_name=names,
        region=st.none() | names,
        status=st.sampled_from(["ready", "failure", "provisioning", "recovering"]),
        is_default=st.booleans(),
        created_at=_instants,
        is_up=st.none() | st.booleans(),
        operations_total=_operations,
        day_to_date_operations=_operations,
        previous_day_operations=_operations,
        month_to_date_operations=_operations,
        previous_month_operations=_operations,
        rolling=st.lists(st.sampled_from(["24h", "7d", "30d"]), unique=True).flatmap(
            lambda windows: st.tuples(*[st.tuples(st.just(window), st.integers(0, 2**53)) for window in windows])
        ),
        storage_bytes=_operations,
        usage_at=st.none() | _instants,
        last_success_at=st.none() | _instants,
        revisions_up=st.integers(0, 9),
        revisions_down=st.integers(0, 9),
        reconciliation_difference_operations=st.none() | st.integers(-(2**53), 2**53),
        failing_since_at=st.none() | _instants,
        failure_reason=st.none() | names,
    )


def workspace_views(workspace_id: str) -> st.SearchStrategy[WorkspaceView]:
    return st.builds(
        WorkspaceView,
        workspace_id=st.just(workspace_id),
        workspace_name=names,
        plan=st.none() | names,
        is_up=st.booleans(),
        is_usage_blocked=st.none() | st.booleans(),
        databases=st.integers(0, 1000),
        month_to_date_operations=_operations,
        storage_bytes=_operations,
        month_average_storage_bytes=_operations,
        storage_covered_ratio=st.none() | st.floats(0, 1),
        operations_covered_ratio=st.none() | st.floats(0, 1),
        reconciliation_difference_operations=st.none() | st.integers(-(2**53), 2**53),
        period_start_at=_instants,
        failure_reason=st.none() | names,
    )


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """The app behind a real server on a free port of this machine; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", access_log=False, log_level="warning")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.force_exit = True
        await server.shutdown(sockets=[listener])
