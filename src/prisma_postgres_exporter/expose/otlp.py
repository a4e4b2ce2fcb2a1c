"""A scrape as requests of OTLP over HTTP.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.expose.scrape import Family, Sample, Scrape, labels_of

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}

_RESOURCE = {"job": "service.name", "instance": "service.instance.id"}
"""As Prometheus maps them: https://prometheus.io/docs/guides/opentelemetry/"""


def make_requests(labels: Mapping[str, str]) -> ExportRequests:
    """What makes requests of scrapes; `labels` are the resource's attributes."""
    return ExportRequests(labels)


class ExportRequests:
    """Makes requests of scrapes, chunk by chunk; `labels` are the resource's attributes.

    Names are those of /metrics, and no unit is given: from one a receiver would make another name.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._attributes = _Attributes()

    def make(self, scrape: Scrape, chunk: int) -> bytes:
        """One chunk; the first one first."""
        if chunk == 0:
            self._attributes.forget()
        request, scope = _request(self._labels)
        for family, samples in scrape.chunk(chunk):
            self._add(scope.metrics.add(name=family.name, description=family.help), family, samples, scrape)
        return _compressed(request)

    def _add(self, metric: pb.Metric, family: Family, samples: Sequence[Sample], scrape: Scrape) -> None:
        if family.kind == "histogram":
            metric.histogram.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
            _add_histogram(metric.histogram, family.name, samples, scrape)
            return
        if family.kind == "counter":
            metric.sum.aggregation_temporality = pb.AGGREGATION_TEMPORALITY_CUMULATIVE
            metric.sum.is_monotonic = True
        points, time_unix_nano = (
            (metric.sum if family.kind == "counter" else metric.gauge).data_points,
            scrape.at_ms * 1_000_000,
        )
        for sample in samples:
            point = points.add()
            # The attributes of a database are the same in all its points: as bytes they are made once.
            point.MergeFromString(self._attributes.encoded(sample.key))
            point.time_unix_nano = time_unix_nano
            if sample.started_at is not None:
                point.start_time_unix_nano = int(sample.started_at * 1000) * 1_000_000
            if math.isnan(sample.value):
                point.flags = pb.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
            else:
                point.as_double = sample.value


def probe_request() -> bytes:
    """A request without any metric: is it accepted?"""
    return _compressed(ExportMetricsServiceRequest())


def refused_points(answer: bytes) -> tuple[int, str]:
    """How many points of a request an answer of success says were refused, and why."""
    partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    return partial.rejected_data_points, partial.error_message


def _request(labels: Mapping[str, str]) -> tuple[ExportMetricsServiceRequest, pb.ScopeMetrics]:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for name, value in labels.items():
        resource.resource.attributes.append(_attribute(_RESOURCE.get(name, name), value))
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "prisma_postgres_exporter", __version__
    return request, scope


def _attribute(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=value))


class _Attributes:
    """A sample's labels as the bytes of a point that has nothing else."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def forget(self) -> None:
        """Drop what was made: series may be gone."""
        self._known.clear()

    def encoded(self, key: str) -> bytes:
        """The attributes of a sample."""
        labels = key.partition("{")[2]
        known = self._known.get(labels)
        if known is None:
            point = pb.NumberDataPoint(
                attributes=[_attribute(name, value) for name, value in labels_of(labels) if value]
            )
            known = self._known[labels] = point.SerializeToString()
        return known


def _add_histogram(histogram: pb.Histogram, name: str, samples: Sequence[Sample], scrape: Scrape) -> None:
    """Own histograms have no labels: all samples are one point. Prometheus' buckets add up, those of OTLP do not."""
    values = {sample.key: sample.value for sample in samples}
    point = histogram.data_points.add()
    point.time_unix_nano = scrape.at_ms * 1_000_000
    point.start_time_unix_nano = int(scrape.own_started_at * 1000) * 1_000_000
    if math.isnan(values[f"{name}_count"]):
        point.flags = pb.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
        return
    bounds, counts = zip(*_buckets(name, values), strict=True)
    point.count, point.sum = int(values[f"{name}_count"]), values[f"{name}_sum"]
    point.explicit_bounds.extend(bounds[:-1])  # the last one is infinite, and goes without saying
    point.bucket_counts.extend([later - earlier for earlier, later in zip((0, *counts[:-1]), counts, strict=True)])


def _buckets(name: str, values: Mapping[str, float]) -> Iterator[tuple[float, int]]:
    for key, value in values.items():
        if key.startswith(f"{name}_bucket"):
            yield float(dict(labels_of(key))["le"]), int(value)


def _compressed(request: ExportMetricsServiceRequest) -> bytes:
    return gzip.compress(request.SerializeToString(), compresslevel=1, mtime=0)
