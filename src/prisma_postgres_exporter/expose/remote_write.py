"""A scrape, or the ledger's history, as requests of Prometheus remote write 1.0.

https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from prisma_postgres_exporter.expose.scrape import Scrape, labels_of

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
MOST_HISTORY_SAMPLES = 2_000

_Field = descriptor_pb2.FieldDescriptorProto


def make_requests(labels: Mapping[str, str]) -> WriteRequests:
    """What makes requests of scrapes; `labels` go with every series."""
    return WriteRequests(labels)


def refused_points(_answer: bytes) -> tuple[int, str]:
    """None: a request is taken as a whole or not at all."""
    return 0, ""


class WriteRequests:
    """Makes requests of scrapes, chunk by chunk; `labels` go with every series.

    A counter that began after the scrape before begins with a 0 of then: remote write 1.0 cannot say it otherwise.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._series_labels = _SeriesLabels(labels)

    def make(self, scrape: Scrape, chunk: int) -> bytes:
        """One chunk; the first one first."""
        if chunk == 0:
            self._series_labels.forget()
        request, at_ms = _WriteRequest(), scrape.at_ms
        for _, samples in scrape.chunk(chunk):
            for sample in samples:
                series = request.timeseries.add()
                series.MergeFromString(self._series_labels.encoded(sample.key))
                if sample.is_new and sample.started_at is not None:
                    series.samples.add(value=0.0, timestamp=int(sample.started_at * 1000))
                series.samples.add(value=sample.value, timestamp=at_ms)
        return _compressed(request)


def probe_request() -> bytes:
    """A request without any series: is it accepted?"""
    return _compressed(_WriteRequest())


def history_requests(parts: Iterable[str], labels: Mapping[str, str]) -> Iterator[tuple[bytes, int]]:
    """What `write_history` wrote, as requests with how many samples each has: each series in the order of time."""
    request, count = _WriteRequest(), 0
    series_labels = _SeriesLabels(labels)
    last_key: str | None = None
    series: Any = None
    for part in parts:
        for line in part.splitlines():
            if line.startswith("#"):
                continue
            if count == MOST_HISTORY_SAMPLES:
                yield _compressed(request), count
                request, count, last_key = _WriteRequest(), 0, None
            key, value, at = line.rsplit(" ", 2)
            if key != last_key:
                last_key, series = key, request.timeseries.add()
                series.MergeFromString(series_labels.encoded(key))
            series.samples.add(value=float(value), timestamp=int(at) * 1000)
            count += 1
    if count:
        yield _compressed(request), count


class _SeriesLabels:
    """Labels as bytes, each text of them made once: a database's series have the same ones.

    They have to be sorted by name; `__name__` comes before all others, as theirs begin with a small letter or a single
    underscore that no letter of it precedes.
    """

    def __init__(self, others: Mapping[str, str]) -> None:
        self._others = dict(others)
        self._known: dict[str, bytes] = {}

    def forget(self) -> None:
        """Drop what was made: series may be gone."""
        self._known.clear()

    def encoded(self, key: str) -> bytes:
        """The labels of a sample, its name among them, as a series that has nothing else."""
        name, _, rest = key.partition("{")
        start = self._known.get(name)
        if start is None:
            start = self._known[name] = _encoded([("__name__", name)])
        # A name has no brace: both kinds of text can be in one table.
        rest = "{" + rest
        end = self._known.get(rest)
        if end is None:
            end = self._known[rest] = _encoded(sorted({**self._others, **dict(labels_of(rest))}.items()))
        return start + end


def _encoded(pairs: Sequence[tuple[str, str]]) -> bytes:
    series = _TimeSeries()
    for name, value in pairs:
        if value:  # an empty label is none
            series.labels.add(name=name, value=value)
    encoded: bytes = series.SerializeToString()
    return encoded


def _compressed(request: Any) -> bytes:
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def _message(name: str, *fields: tuple[str, int, int, str | None]) -> descriptor_pb2.DescriptorProto:
    """A message; a field is its name, number and type, with the name of the message that it repeats."""
    message = descriptor_pb2.DescriptorProto(name=name)
    for field_name, number, kind, repeated in fields:
        message.field.add(
            name=field_name,
            number=number,
            type=kind,
            label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
            type_name=f".prometheus.{repeated}" if repeated else None,
        )
    return message


# No kept package has it: https://github.com/prometheus/prometheus/blob/main/prompb/types.proto
_pool = descriptor_pool.DescriptorPool()
_pool.Add(
    descriptor_pb2.FileDescriptorProto(
        name="prisma_postgres_exporter/remote_write.proto",
        package="prometheus",
        syntax="proto3",
        message_type=[
            _message("Label", ("name", 1, _Field.TYPE_STRING, None), ("value", 2, _Field.TYPE_STRING, None)),
            _message("Sample", ("value", 1, _Field.TYPE_DOUBLE, None), ("timestamp", 2, _Field.TYPE_INT64, None)),
            _message(
                "TimeSeries",
                ("labels", 1, _Field.TYPE_MESSAGE, "Label"),
                ("samples", 2, _Field.TYPE_MESSAGE, "Sample"),
            ),
            _message("WriteRequest", ("timeseries", 1, _Field.TYPE_MESSAGE, "TimeSeries")),
        ],
    )
)
_WriteRequest: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("prometheus.WriteRequest"))
_TimeSeries: Any = message_factory.GetMessageClass(_pool.FindMessageTypeByName("prometheus.TimeSeries"))
