"""What came by OTLP, as the samples that /metrics would have shown."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One number of one moment; `None` where the series is over."""

    kind: str
    value: float | None
    at_seconds: float
    start_seconds: float


Points = dict[tuple[str, Labels], Point]


def read_export_request(body: bytes) -> tuple[dict[str, str], Points]:
    """The resource's attributes, and every point by name and labels; one that comes twice fails."""
    request = ExportMetricsServiceRequest.FromString(gzip.decompress(body))
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    points: Points = {}
    for metric in scope.metrics:
        assert not metric.unit
        for key, point in _points(metric):
            assert key not in points
            points[key] = point
    return _texts(resource.resource.attributes), points


def _points(metric: pb.Metric) -> Iterator[tuple[tuple[str, Labels], Point]]:
    if metric.HasField("histogram"):
        assert metric.histogram.aggregation_temporality == pb.AGGREGATION_TEMPORALITY_CUMULATIVE
        for histogram in metric.histogram.data_points:
            yield from _histogram(metric.name, histogram)
        return
    if metric.HasField("sum"):
        assert metric.sum.is_monotonic
        assert metric.sum.aggregation_temporality == pb.AGGREGATION_TEMPORALITY_CUMULATIVE
    kind = "counter" if metric.HasField("sum") else "gauge"
    for point in (metric.sum if kind == "counter" else metric.gauge).data_points:
        is_over = bool(point.flags & pb.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)
        value = None if is_over else point.as_double
        yield (metric.name, frozenset(_texts(point.attributes).items())), _point(kind, value, point)


def _histogram(name: str, point: pb.HistogramDataPoint) -> Iterator[tuple[tuple[str, Labels], Point]]:
    if point.flags & pb.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK:
        yield (f"{name}_count", frozenset()), _point("histogram", None, point)
        return
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    below = 0
    for bound, inside in zip((*point.explicit_bounds, float("inf")), point.bucket_counts, strict=True):
        below += inside
        le = "+Inf" if bound == float("inf") else str(bound)
        yield (f"{name}_bucket", frozenset({("le", le)})), _point("histogram", below, point)
    yield (f"{name}_count", frozenset()), _point("histogram", point.count, point)
    yield (f"{name}_sum", frozenset()), _point("histogram", point.sum, point)


def _point(kind: str, value: float | None, point: pb.NumberDataPoint | pb.HistogramDataPoint) -> Point:
    return Point(
        kind=kind,
        value=value,
        at_seconds=point.time_unix_nano // 1_000_000 / 1e3,
        start_seconds=point.start_time_unix_nano // 1_000_000 / 1e3,
    )


def _texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {attribute.key: attribute.value.string_value for attribute in attributes}
