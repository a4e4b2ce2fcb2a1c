"""Rows as files: what is written is read back as it was, and nothing waits for the last row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prisma_postgres_exporter.cli.parquet import ROWS_IN_GROUP, parquet_parts
from prisma_postgres_exporter.report import csv_parts, jsonl_parts

COLUMNS = {"day": date, "name": str, "count": int, "is_it": bool, "at": datetime, "amount": Decimal}
AT = datetime(2026, 11, 21, 4, 5, 6, tzinfo=UTC)
TEXTS = st.text(alphabet=st.characters(codec="utf-8"))
ROWS = (
    (date(2026, 11, 1), 'two\nlines, "quoted" – ☃', 2**53 + 1, True, AT, Decimal("0.10")),
    (date(2026, 11, 2), None, None, None, None, None),
)


def test_csv_is_read_back() -> None:
    text = b"".join(csv_parts(COLUMNS, ROWS)).decode()

    first, second = csv.DictReader(io.StringIO(text, newline=""))

    assert first == {
        "day": "2026-11-01",
        "name": ROWS[0][1],
        "count": "9007199254740993",
        "is_it": "true",
        "at": "2026-11-21T04:05:06Z",
        "amount": "0.10",
    }
    assert set(second.values()) == {"2026-11-02", ""}


def test_json_lines_are_read_back() -> None:
    first, second = map(json.loads, b"".join(jsonl_parts(COLUMNS, ROWS)).decode().splitlines())

    assert first == {
        "day": "2026-11-01",
        "name": ROWS[0][1],
        "count": 2**53 + 1,
        "is_it": True,
        "at": "2026-11-21T04:05:06Z",
        "amount": "0.10",
    }
    assert second["name"] is None


def test_parquet_is_read_back_with_its_types() -> None:
    table = pq.read_table(io.BytesIO(b"".join(parquet_parts(COLUMNS, ROWS))))

    assert [tuple(row.values()) for row in table.to_pylist()] == list(ROWS)


def test_a_file_without_rows_still_has_its_columns() -> None:
    assert b"".join(csv_parts(COLUMNS, ())) == b"day,name,count,is_it,at,amount\r\n"
    assert b"".join(jsonl_parts(COLUMNS, ())) == b""
    assert pq.read_table(io.BytesIO(b"".join(parquet_parts(COLUMNS, ())))).column_names == list(COLUMNS)


@pytest.mark.parametrize("writer", [csv_parts, jsonl_parts, parquet_parts])
def test_a_part_is_written_before_the_last_row_was_read(writer: object) -> None:
    given = 0

    def rows() -> Iterator[tuple[object, ...]]:
        nonlocal given
        for _ in range(3 * ROWS_IN_GROUP):
            given += 1
            yield ROWS[0]

    assert callable(writer)
    first = next(iter(writer(COLUMNS, rows())))

    assert first
    assert given <= ROWS_IN_GROUP


def test_a_text_that_a_spreadsheet_takes_for_a_formula_is_defused() -> None:
    texts = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", "a=1", "-5.00", "+5", "7")
    rows = [(text,) for text in texts]
    read = [row[0] for row in csv.reader(io.StringIO(b"".join(csv_parts(["name"], rows)).decode(), newline=""))]
    raw = csv.reader(io.StringIO(b"".join(csv_parts(["name"], rows, is_raw=True)).decode(), newline=""))

    assert read == ["name", *(f"'{text}" for text in texts[:6]), *texts[6:]]
    assert [row[0] for row in raw] == ["name", *texts]


@given(rows=st.lists(st.tuples(TEXTS, TEXTS)))
def test_whatever_is_in_a_name_each_row_is_one_row(rows: list[tuple[str, str]]) -> None:
    rows = [
        (first.encode(errors="replace").decode(), second.encode(errors="replace").decode()) for first, second in rows
    ]
    written = b"".join(csv_parts(["a", "b"], rows, is_raw=True)).decode()
    assert list(csv.reader(io.StringIO(written, newline=""))) == [["a", "b"], *map(list, rows)]


def test_an_id_stays_as_it_is_and_leading_space_hides_no_formula() -> None:
    rows = [("-abc123", " =1+1", "\n@x", "＝1+1")]
    written = b"".join(csv_parts(["database_id", "a", "b", "c"], rows)).decode()
    assert list(csv.reader(io.StringIO(written, newline="")))[1] == ["-abc123", "' =1+1", "'\n@x", "'＝1+1"]
