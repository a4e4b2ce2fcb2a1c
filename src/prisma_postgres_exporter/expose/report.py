"""A month's report as one HTML document that needs nothing else: to be opened, printed or mailed."""

from __future__ import annotations

from collections.abc import Iterator

from prisma_postgres_exporter.expose.pages.drawing import draw, size
from prisma_postgres_exporter.expose.pages.plots import bars
from prisma_postgres_exporter.report import MonthReport, Section, count, report_sections


def report_page(report: MonthReport, *, most_databases: int) -> Iterator[str]:
    """Yield the document; of each workspace the `most_databases` most expensive databases are listed."""
    sections = [(section, _plots(section)) for section in report_sections(report, most_databases=most_databases)]
    yield draw("report.html", sections=sections, now=report.made_at)


def _plots(section: Section) -> list[object]:
    operations = [(f"{day}", value) for day, value, _ in section.days]
    levels = [(f"{day}", value) for day, _, value in section.days]
    drawn = (bars(operations, "Operations a day", count), bars(levels, "Storage, mean of each day", size))
    return [plot for plot in drawn if plot is not None]
