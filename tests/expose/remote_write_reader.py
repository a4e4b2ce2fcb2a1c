"""Remote write read by its wire format alone: nothing of what wrote it is used.

https://protobuf.dev/programming-guides/encoding/ and prompb/types.proto of Prometheus.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator

import cramjam

Series = dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]
"""Samples as (milliseconds, value), by the labels in the order in which they came."""


def read_write_request(body: bytes) -> Series:
    """Every series of a request; one that comes twice fails."""
    series: Series = {}
    for number, message in _fields(bytes(cramjam.snappy.decompress_raw(body))):
        assert number == 1
        parts: dict[int, list[dict[int, object]]] = defaultdict(list)
        for part, content in _fields(_bytes(message)):
            parts[part].append(dict(_fields(_bytes(content))))
        labels = tuple((_text(label[1]), _text(label[2])) for label in parts[1])
        assert labels not in series
        series[labels] = [(_int(sample.get(2, 0)), _float(sample.get(1, 0.0))) for sample in parts[2]]
    return series


def _fields(message: bytes) -> Iterator[tuple[int, object]]:
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        if tag & 7 == 0:
            value, place = _varint(message, place)
            yield tag >> 3, value
        elif tag & 7 == 1:
            yield tag >> 3, struct.unpack_from("<d", message, place)[0]
            place += 8
        else:
            assert tag & 7 == 2
            length, place = _varint(message, place)
            yield tag >> 3, message[place : place + length]
            place += length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _text(value: object) -> str:
    return _bytes(value).decode()


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _float(value: object) -> float:
    assert isinstance(value, float)
    return value
