"""Rows as CSV and as JSON lines, piece by piece: any number of them in little memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice

ROWS_AT_ONCE = 1_000


def csv_parts(columns: Mapping[str, type], rows: Iterable[tuple[object, ...]]) -> Iterator[bytes]:
    """Yield CSV with a header: UTF-8, lines end with a line feed, what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    iterator = iter(rows)
    while True:
        batch = list(islice(iterator, ROWS_AT_ONCE))
        writer.writerows([[_plain(value) for value in row] for row in batch])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
        if not batch:
            return


def jsonl_parts(columns: Mapping[str, type], rows: Iterable[tuple[object, ...]]) -> Iterator[bytes]:
    """Yield one JSON object a line; money and other decimals are strings, so that nothing rounds them."""
    names = tuple(columns)
    iterator = iter(rows)
    while batch := list(islice(iterator, ROWS_AT_ONCE)):
        lines = [json.dumps(dict(zip(names, map(_json, row), strict=True)), ensure_ascii=False) for row in batch]
        yield ("\n".join(lines) + "\n").encode()


def instant_text(at: datetime) -> str:
    """An instant as `2026-10-31T23:59:59Z`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _plain(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _json(value)


def _json(value: object) -> object:
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value
