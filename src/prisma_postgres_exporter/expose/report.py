"""A month's report as one HTML document that needs nothing else: to be opened, printed or mailed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prisma_postgres_exporter.expose.pages.drawing import draw, size
from prisma_postgres_exporter.expose.pages.plots import Bars, bars
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
        _bars(
            "Operations a day", [(f"{row.day}", row.operations, row.are_operations_known) for row in days], count, today
        ),
        _bars("Storage, mean of each day", [(f"{row.day}", row.level, row.is_level_known) for row in days], size),
    )
    return [plot for plot in drawn if plot is not None]


def _bars(
    label: str, days: Sequence[tuple[str, int | None, bool]], shown: Callable[[int], str], today: str | None = None
) -> Bars | None:
    """The bars of days, of which each is known whole or not; the label says of how many it is at least so much."""
    least = {day for day, value, is_known in days if value is not None and not is_known}
    if least:
        told = sum(value is not None for _, value, _ in days)
        label += f"; at least so much on {len(least):,} of {told:,} days"
    return bars([(day, value) for day, value, _ in days], label, shown, least=least, still_open=today)
