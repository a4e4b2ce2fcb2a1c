"""The exporter's own metrics say what it was told, and nothing before it was told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from expose_views import A_SNAPSHOT, NOW, Samples, parsed, plain, tell_everything

from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, describe


def own(health: ExporterHealth) -> Samples:
    return parsed(health.text(0).text, Format.TEXT)


def value(health: ExporterHealth, name: str, **labels: str) -> float | None:
    return own(health).get((f"prisma_postgres_exporter_{name}", frozenset(labels.items())))


def test_calls_are_counted_by_endpoint_and_failures_by_reason() -> None:
    health = ExporterHealth()
    health.attempt_finished("GET /v1/databases/{id}/usage", 0.2, None)
    health.attempt_finished("GET /v1/databases/{id}/usage", 30.5, "timeout")
    endpoint = "GET /v1/databases/{id}/usage"
    assert value(health, "api_requests_total", endpoint=endpoint) == 2
    assert value(health, "api_request_failures_total", endpoint=endpoint, reason="timeout") == 1
    assert value(health, "api_request_duration_seconds_count") == 2
    assert value(health, "api_request_duration_seconds_bucket", le="0.25") == 1


def test_pauses_are_counted_with_their_length() -> None:
    health = ExporterHealth()
    health.throttled("GET /v1/me", 1.5)
    health.throttled("GET /v1/me", 2.5)
    assert value(health, "throttled_total") == 2
    assert value(health, "throttled_seconds_total") == 4


WORKSPACE = {"workspace_id": "wksp_a"}


def end_round(health: ExporterHealth) -> None:
    health.round_finished("wksp_a", 4.5, 0.5, NOW)


@pytest.mark.parametrize(
    ("tell", "name", "labels", "expected"),
    [
        (end_round, "round_duration_seconds", WORKSPACE, 4.5),
        (end_round, "last_round_timestamp_seconds", WORKSPACE, NOW.timestamp()),
        (end_round, "scheduler_lag_seconds", WORKSPACE, 0.5),
        (lambda health: health.round_failed("wksp_a"), "round_failures_total", WORKSPACE, 1),
        (lambda health: health.clock_compared(-301.5), "clock_skew_seconds", {}, -301.5),
        (lambda health: health.record_refused("bad_id", 1), "discovery_refusals_total", {"reason": "bad_id"}, 1),
        (lambda health: health.databases("polled", 7), "databases", {"state": "polled"}, 7),
        (lambda health: health.windows_widened({"24h": 3}), "window_widened", {"window": "24h"}, 3),
        (lambda health: health.config_reloaded(False, NOW), "config_reload_success", {}, 0),
        (lambda health: health.reading_failed("http_503"), "reading_failures_total", {"reason": "http_503"}, 1),
        (
            lambda health: health.event_noticed("database", "created"),
            "events_total",
            {"subject": "database", "kind": "created"},
            1,
        ),
    ],
)
def test_a_value_is_absent_until_somebody_tells_it(
    tell: Callable[[ExporterHealth], None], name: str, labels: dict[str, str], expected: float
) -> None:
    health = ExporterHealth()
    assert value(health, name, **labels) is None
    tell(health)
    assert value(health, name, **labels) == expected


def test_a_failed_reload_keeps_the_time_of_the_last_good_one() -> None:
    health = ExporterHealth()
    health.config_reloaded(True, NOW)
    health.config_reloaded(False, NOW.replace(hour=13))
    assert value(health, "config_reload_success") == 0
    assert value(health, "config_reload_success_timestamp_seconds") == NOW.timestamp()


def test_a_workspace_has_the_numbers_of_its_last_round_until_it_is_gone() -> None:
    health = ExporterHealth()
    assert value(health, "rounds_total") == 0
    health.round_finished("wksp_a", 4.5, None, NOW)
    assert value(health, "scheduler_lag_seconds", workspace_id="wksp_a") is None
    health.round_finished("wksp_a", 2.5, 0.0, NOW)
    health.round_finished("wksp_b", 1.5, 0.0, NOW)
    assert value(health, "rounds_total") == 3
    assert value(health, "round_duration_seconds", workspace_id="wksp_a") == 2.5

    health.workspace_gone("wksp_a")
    health.workspace_gone("wksp_never_seen")

    for name in ("round_duration_seconds", "last_round_timestamp_seconds", "scheduler_lag_seconds"):
        assert value(health, name, workspace_id="wksp_a") is None
        assert value(health, name, workspace_id="wksp_b") is not None


def test_a_credential_is_shown_while_it_is_configured() -> None:
    health = ExporterHealth()
    health.credential_seen("eu", is_up=True)
    health.credential_expires("eu", NOW)
    health.credential_seen("us", is_up=False)
    health.credential_expires("us", None)
    assert value(health, "credential_up", credential="eu") == 1
    assert value(health, "credential_up", credential="us") == 0
    assert value(health, "credential_expiry_timestamp_seconds", credential="eu") == NOW.timestamp()
    assert value(health, "credential_expiry_timestamp_seconds", credential="us") is None
    health.credential_expires("eu", None)
    assert value(health, "credential_expiry_timestamp_seconds", credential="eu") is None
    health.credential_gone("eu")
    health.credential_gone("never seen")
    assert value(health, "credential_up", credential="eu") is None


def test_a_credential_named_by_a_file_with_any_bytes_is_shown() -> None:
    health = ExporterHealth()
    health.credential_seen('a"\\\n\udcff\0', is_up=True)
    assert value(health, "credential_up", credential='a"\\\n\ufffd\ufffd') == 1


def test_store_errors_are_counted() -> None:
    health = ExporterHealth()
    assert value(health, "store_errors_total") == 0
    health.store_failed()
    assert value(health, "store_errors_total") == 1


def test_no_created_series_come_out_and_the_process_shows_itself() -> None:
    health = ExporterHealth()
    health.attempt_finished("GET /v1/me", 0.1, None)
    for exposition_format, text in (
        (Format.TEXT, health.text(0).text),
        (Format.OPENMETRICS, health.text(0).openmetrics),
    ):
        names = {name for name, _ in parsed(text, exposition_format)}
        assert not any(name.endswith("_created") for name in names)
        assert "process_resident_memory_bytes" in names
        assert "process_start_time_seconds" in names


def test_what_runs_is_said() -> None:
    labels = {label for name, labels in own(ExporterHealth()) if name.endswith("_build_info") for label, _ in labels}
    assert labels == {"version", "python_version"}


def test_every_own_metric_can_be_made_to_appear() -> None:
    health = ExporterHealth()
    tell_everything(health)
    appeared = {name.removesuffix("_bucket") for name, _ in own(health)}
    assert {family.name for family in describe() if family.name.startswith("prisma_postgres_exporter_")} <= appeared


def test_refreshing_shows_news_without_a_new_snapshot() -> None:
    health = ExporterHealth()
    exposition = Exposition(health)
    exposition.render(A_SNAPSHOT)
    taken = exposition.snapshot_text()
    health.store_failed()
    assert b"store_errors_total 0.0" in plain(exposition)
    exposition.refresh_health()
    assert b"store_errors_total 1.0" in plain(exposition)
    assert plain(exposition).startswith(taken)
    assert plain(exposition, Format.OPENMETRICS).endswith(b"\n# EOF\n")
