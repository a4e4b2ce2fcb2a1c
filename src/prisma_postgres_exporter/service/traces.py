"""Whether spans are exported, which the standard OTEL_* variables say: off where they are silent."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module

import structlog

from prisma_postgres_exporter.expose import ExporterHealth

log = structlog.get_logger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@contextmanager
def exported_traces(health: ExporterHealth, environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Export spans while the context lasts, where the environment asks for it and it can be done."""
    with ExitStack() as stack:
        if are_wanted(environ) and (problem := _begin(stack, health, environ)):
            log.warning("traces not exported", problem=problem)
        yield


def are_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces: by an endpoint, or by naming the exporter."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporter == "otlp" or (not exporter and any(environ.get(name) for name in _ENDPOINTS))


def _begin(stack: ExitStack, health: ExporterHealth, environ: Mapping[str, str]) -> str | None:
    """Begin to export; returns why that cannot be done, which keeps nothing else from being done."""
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        return f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol:.40}; only http/protobuf is supported"
    try:
        spans = import_module("prisma_postgres_exporter.service.opentelemetry_spans")
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("prisma_postgres_exporter"):
            raise
        return f"{error.name} is missing; pip install '.[tracing]' in the checkout"
    try:
        stack.enter_context(spans.exported(health.traces_lost))
    except ValueError as error:
        return f"an OTEL_ variable cannot be used: {error}"
    return None
