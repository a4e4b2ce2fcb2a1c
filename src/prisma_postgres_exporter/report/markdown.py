"""A month's report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from prisma_postgres_exporter.report.amounts import count, gib
from prisma_postgres_exporter.report.days import Day
from prisma_postgres_exporter.report.document import report_sections
from prisma_postgres_exporter.report.whole import MonthReport


def report_markdown(report: MonthReport, *, most_databases: int) -> Iterator[str]:
    """Yield the report in parts; of each workspace the `most_databases` most expensive databases are listed."""
    for section in report_sections(report, most_databases=most_databases):
        yield f"{'' if section.level == 1 else chr(10)}{'#' * section.level} {_text(section.title)}\n"
        yield from (f"\n{_text(sentence)}\n" for sentence in section.paragraphs)
        if section.points:
            yield "\n" + "".join(f"- {_text(sentence)}\n" for sentence in section.points)
        if section.table is not None:
            yield from _table(section.table.heads, section.table.rows)
        if section.days:
            yield from _table(("Day (UTC)", "Operations", "Mean GiB"), map(_day, section.days))
        yield from (f"\n{_text(sentence)}\n" for sentence in section.after)


def _day(day: Day) -> Sequence[str]:
    least = "" if day.are_operations_known or day.operations is None else "≥ "
    qualifier = "" if day.storage_bytes is None else day.storage_qualifier
    return f"{day.day}", f"{least}{count(day.operations)}", f"{qualifier}{gib(day.storage_bytes)}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose first column is text and whose others are numbers."""
    yield f"\n| {' | '.join(heads)} |\n| :-- |{' --: |' * (len(heads) - 1)}\n"
    for first, *numbers in rows:
        yield f"| {_text(first)} | {' | '.join(numbers)} |\n"


def _text(text: str) -> str:
    """Anybody can give a database a name: what Markdown or HTML would read as markup, and new lines, are escaped."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", plain)
