"""`doctor` at a terminal of any width: what is copied from it is whole."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime

import pytest

from prisma_postgres_exporter.cli.doctor import _print
from prisma_postgres_exporter.diagnosis import Examination, Finding, Level, Reason

ID, SERIES = f"db_{'x' * 25}", "prisma_postgres_database_reconciliation_difference_operations"


def shown(monkeypatch: pytest.MonkeyPatch, width: int | None) -> list[str]:
    """The lines of an examination, in a terminal so wide or in a pipe."""
    series = Finding(
        step="series",
        subject=SERIES,
        level=Level.NOTE,
        reason=Reason.NOT_DUE,
        text="the month and its days were not compared yet",
        lines=(f"backfill --database {ID}",),
    )
    database = Finding(step="database", subject=f"shop\x1b[2J ({ID})", text="ready", children=(series,))
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(stream, "isatty", lambda: width is not None)
        now = datetime(2026, 11, 27, tzinfo=UTC)
        _print(Examination(examined_at=now, subject=None, findings=(database,)))
    return written.getvalue().decode().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


@pytest.mark.parametrize("width", range(40, 201, 8))
def test_no_id_and_no_name_of_a_series_is_broken(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = shown(monkeypatch, width)

    words = " ".join(lines).split()
    assert words.count(f"({ID}):") == words.count(f"{SERIES}:") == words.count(ID) == 1
    assert all(len(line) <= width or len(line.split()) == 1 for line in lines[1:])
    assert all(line == line.rstrip() for line in lines)


def test_each_finding_is_one_line_for_whatever_reads_it_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, None) == [
        "prisma-postgres-exporter, 2026-11-27 00:00:00 UTC",
        f"  ok       database shop\\x1b[2J ({ID}): ready",
        f"    note     series {SERIES}: the month and its days were not compared yet [not_due]",
        f"        backfill --database {ID}",
        "no problems, 1 note",
    ]
