"""Traces of `serve` into a receiver of OTLP: what belongs to what, no secret, and nothing at all where nobody asks."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from processes import TOKEN_MARK, Vendor, exporter, vendor, wait_until, write_config

from prisma_postgres_exporter.service.traces import are_wanted
from prisma_postgres_exporter.simulator import Fault, FaultKind
from push_receiver import Answered, Receiver, receiver

KEY = "k3y-of-the-receiver"
OWN = "prisma_postgres_exporter_"
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
TOKENS = {"PRISMA_POSTGRES_TOKEN": "simulator-token-1,simulator-token-2"}


@pytest.fixture(scope="module")
def api() -> Iterator[Vendor]:
    with vendor(workspaces=2, databases=4) as running:
        yield running


@pytest.fixture
def receiving() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def options(directory: Path, api: Vendor) -> tuple[str, ...]:
    config = write_config(directory / "config.yaml")
    return ("--config", str(config), "--api-url", api.url, "--store-url", f"sqlite:///{directory}/ledger.db")


def spans_of(taken: Receiver) -> list[Span]:
    return [
        span
        for request in requests_of(taken)
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def requests_of(taken: Receiver) -> list[ExportTraceServiceRequest]:
    bodies = [
        gzip.decompress(one.body) if one.headers["Content-Encoding"] == "gzip" else one.body for one in taken.taken
    ]
    return [ExportTraceServiceRequest.FromString(body) for body in bodies]


def attributes_of(span: Span) -> Mapping[str, object]:
    return {row.key: getattr(row.value, row.value.WhichOneof("value") or "") for row in span.attributes}


def test_a_round_is_a_trace_of_its_requests_and_writes(tmp_path: Path, api: Vendor, receiving: Receiver) -> None:
    broken = min(api.database_ids)
    number = api.faults.add(Fault(kind=FaultKind.NOT_JSON, call="usage", database_id=broken))
    environ = {
        **TOKENS,
        **SOON,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiving.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={KEY}",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with exporter("serve", *options(tmp_path, api), cwd=tmp_path, environ=environ) as service:
        wait_until(lambda: {"round", "store write", "show"} <= {span.name for span in spans_of(receiving)}, "spans")
        wait_until(lambda: any(span.status.code == Status.STATUS_CODE_ERROR for span in spans_of(receiving)), "a fault")
        assert KEY not in service.output
        shown = service.get("/").text + service.get("/metrics").text
    api.faults.clear(number)

    assert KEY not in shown
    assert {one.path for one in receiving.taken} == {"/v1/traces"}
    assert {one.headers["x-key"] for one in receiving.taken} == {KEY}
    assert not [one for one in receiving.taken if TOKEN_MARK.encode() in one.body]
    [resource] = {
        tuple((row.key, row.value.string_value) for row in part.resource.attributes)
        for request in requests_of(receiving)
        for part in request.resource_spans
    }
    assert {"service.name": "prisma-postgres-exporter", "deployment.environment.name": "test"}.items() <= dict(
        resource
    ).items()

    spans = spans_of(receiving)
    by_id = {span.span_id: span for span in spans}
    usage = [span for span in spans if span.name == "GET /v1/databases/{id}/usage" and span.parent_span_id in by_id]
    rounds = {by_id[span.parent_span_id].name for span in usage}
    writes = {
        by_id[span.parent_span_id].name for span in spans if span.name == "store write" if span.parent_span_id in by_id
    }
    assert (rounds, writes) == ({"round"}, {"round"})
    assert {span.kind for span in usage} == {Span.SPAN_KIND_CLIENT}
    assert {attributes_of(span)["http.request.method"] for span in usage} == {"GET"}
    workspaces = {attributes_of(span)["workspace.id"] for span in spans if span.name == "round"}
    assert workspaces == set(api.world.tokens.values())
    failed = [span for span in spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert {attributes_of(span)["error.type"] for span in failed} == {"not_json"}
    # Templates only: no id of a database, and no query, is in a name or an attribute of a request.
    told = {str(value) for span in usage for value in (span.name, *attributes_of(span).values())}
    assert not [text for text in told for id_ in api.database_ids if id_ in text]


@pytest.mark.slow
def test_a_receiver_that_refuses_is_counted_and_said_once(tmp_path: Path, api: Vendor, receiving: Receiver) -> None:
    receiving.answers = [Answered(401, f"wrong key {KEY}".encode())] * 1_000
    environ = {
        **TOKENS,
        **SOON,
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiving.url}/v1/traces",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{KEY}",
    }
    with exporter("serve", *options(tmp_path, api), cwd=tmp_path, environ=environ) as service:
        service.scrape_when(
            lambda samples: (samples.value(f"{OWN}trace_export_failures_total") or 0) > 3, "batches are lost"
        )
        receiving.answers = []
        service.wait_for("traces exported again")
        shown = service.output

    assert shown.count("traces not exported") == 1
    assert "401" in shown
    assert KEY not in shown


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "only http/protobuf is supported"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_MAX_QUEUE_SIZE": "1"}, "cannot be used"),
    ],
)
def test_what_cannot_be_used_is_said_and_stops_nothing(
    tmp_path: Path, api: Vendor, environ: dict[str, str], said: str
) -> None:
    with exporter("serve", *options(tmp_path, api), cwd=tmp_path, environ={**TOKENS, **environ}) as service:
        assert said in service.output
        service.scrape_when(lambda samples: samples.named("prisma_postgres_database_up"), "it reads all the same")


@pytest.mark.parametrize(
    ("environ", "is_wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, False),
    ],
)
def test_they_are_off_until_the_standard_variables_ask_for_them(environ: dict[str, str], is_wanted: bool) -> None:
    assert are_wanted(environ) is is_wanted


@pytest.mark.slow
def test_where_they_are_off_a_span_is_nothing_and_the_library_is_not_loaded() -> None:
    code = (
        "import sys, prisma_postgres_exporter.service.service\n"
        "from prisma_postgres_exporter.tracing import span\n"
        "assert span('round') is span('show', {'a': 1})\n"
        "with span('round') as traced: traced.set('a', 1), traced.fail('timeout')\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.sdk')]\n"
    )
    assert subprocess.run((sys.executable, "-c", code), check=False).returncode == 0
