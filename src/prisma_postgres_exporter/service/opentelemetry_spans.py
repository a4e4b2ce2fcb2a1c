"""Spans as OpenTelemetry, exported by OTLP over HTTP to where the standard OTEL_* variables say.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import unquote

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.tracing import Span as OwnSpan
from prisma_postgres_exporter.tracing import Value, traced_by

log = structlog.get_logger(__name__)

CLOSING_SECONDS = 3.0
"""So long the last spans may take: nobody waits for a receiver that hangs."""

_PROBLEM_CHARACTERS = 300


@contextmanager
def exported(on_failure: Callable[[], None]) -> Iterator[None]:
    """Export the spans of this process while the context lasts; `on_failure` is called for each batch that is lost."""
    resource = Resource.create({"service.name": _service_name(), "service.version": __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_Counted(OTLPSpanExporter(), on_failure)))
    try:
        with traced_by(_Spans(provider)):
            yield
    finally:
        closing = threading.Thread(target=provider.shutdown, name="traces", daemon=True)
        closing.start()
        closing.join(CLOSING_SECONDS)


def _service_name() -> str:
    return os.environ.get("OTEL_SERVICE_NAME") or "prisma-postgres-exporter"


class _Spans:
    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("prisma_postgres_exporter", __version__)

    def span(self, name: str, attributes: Mapping[str, Value], *, is_request: bool) -> AbstractContextManager[OwnSpan]:
        return self._span(name, attributes, SpanKind.CLIENT if is_request else SpanKind.INTERNAL)

    @contextmanager
    def _span(self, name: str, attributes: Mapping[str, Value], kind: SpanKind) -> Iterator[OwnSpan]:
        # The text of an exception may hold what an attribute must not.
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            own = _Own(span)
            try:
                yield own
            except BaseException as error:
                own.fail(type(error).__name__)
                raise


class _Own:
    def __init__(self, span: Span) -> None:
        self._span = span

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def fail(self, reason: str) -> None:
        self._span.set_attribute("error.type", reason)
        self._span.set_status(Status(StatusCode.ERROR, reason))


class _Counted(SpanExporter):
    """Counts batches that are lost, and says once that it fails, where the library says it for each batch."""

    def __init__(self, exporter: SpanExporter, on_failure: Callable[[], None]) -> None:
        self._exporter = exporter
        self._on_failure = on_failure
        self._is_failing = False
        self._said = _Said()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._said.instead_of("opentelemetry"):
            result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._on_failure()
            if not self._is_failing:
                log.warning("traces not exported", problem=self._said.newest)
        elif self._is_failing:
            log.info("traces exported again")
        self._is_failing = result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Said(logging.Handler):
    """The newest line that a library logged, without the keys that it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: str | None = None

    @contextmanager
    def instead_of(self, name: str) -> Iterator[None]:
        """Keep what the library logs from the log."""
        logger = logging.getLogger(name)
        propagate, logger.propagate = logger.propagate, False
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate = propagate

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        for value in _header_values():
            text = text.replace(value, "***")
        self.newest = text[:_PROBLEM_CHARACTERS]


def _header_values() -> Iterator[str]:
    for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"):
        for pair in os.environ.get(name, "").split(","):
            value = pair.partition("=")[2].strip()
            yield from filter(None, {value, unquote(value)})
