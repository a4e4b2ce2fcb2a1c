"""A month's report as one HTML document that needs nothing else: to be opened, printed or mailed."""

from __future__ import annotations

from collections.abc import Iterator

from prisma_postgres_exporter.expose.pages.drawing import draw, size
from prisma_postgres_exporter.expose.pages.plots import bars_of_days
from prisma_postgres_exporter.report import MonthReport, Section, count, report_sections


def report_page(report: MonthReport, *, most_databases: int) -> Iterator[str]:
    """Yield the document; of each workspace the `most_databases` most expensive databases are listed."""
    sections = [
        (section, _plots(section, f"{report.made_at:%Y-%m-%d}"))
        for section in report_sections(report, most_databases=most_databases)
    ]
    yield draw("report.html", sections=sections, now=report.made_at)


def _plots(section: Section, today: str) -> list[object]:
    days = section.days
    drawn = (
        bars_of_days(
            "Operations a day", [(f"{row.day}", row.operations, row.operations_qualifier) for row in days], count, today
        ),
        bars_of_days(
            "Storage, mean of each day",
            [(f"{row.day}", row.storage_bytes, row.storage_qualifier) for row in days],
            size,
        ),
    )
    return [plot for plot in drawn if plot is not None]
