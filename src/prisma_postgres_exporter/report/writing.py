"""Rows as CSV and as JSON lines, piece by piece: any number of them in little memory."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice

ROWS_AT_ONCE = 1_000

FORMULA_STARTERS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
"""An amount is told as a text, and one below zero is no formula."""


def csv_parts(columns: Iterable[str], rows: Iterable[tuple[object, ...]], *, is_raw: bool = False) -> Iterator[bytes]:
    """Yield CSV with a header as RFC 4180 has it, in UTF-8; what is not known is empty.

    A text that a spreadsheet would take for a formula begins with an apostrophe, unless `is_raw` or an id: anybody can
    give a database a name (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    text = io.StringIO()
    writer = csv.writer(text)
    names = list(columns)
    told = [_plain if is_raw or name == "id" or name.endswith("_id") else _defused for name in names]
    writer.writerow(names)
    iterator = iter(rows)
    while True:
        batch = list(islice(iterator, ROWS_AT_ONCE))
        writer.writerows([[tell(value) for tell, value in zip(told, row, strict=True)] for row in batch])
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


def _defused(value: object) -> object:
    plain = _plain(value)
    if isinstance(value, str) and value.lstrip(" \n").startswith(FORMULA_STARTERS) and not NUMBER.fullmatch(value):
        return f"'{value}"
    return plain


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
