"""The status page's table of what this month costs."""

from __future__ import annotations

from collections.abc import Iterator

from prisma_postgres_exporter.expose.markup import Markup, element, table
from prisma_postgres_exporter.expose.page import NONE, bad
from prisma_postgres_exporter.report import CostLine, MonthCosts, at_least, money

HEADS = ("Workspace", "So far", "Expected", "% of all", "Last month", "Change", "Change, %")


def month_section(costs: MonthCosts | str | None) -> Iterator[Markup]:
    """Each workspace beside its part of the whole and its last month, the total, and what is missing; or why not."""
    if costs is None:
        yield element("h2", "Cost of this month")
        yield element("p", "The ledger is being read.")
        return
    if isinstance(costs, str):
        yield element("h2", "Cost of this month")
        yield element("p", bad("The ledger cannot be read now"), f": {costs}")
        return
    yield element("h2", f"Cost of {costs.name} in USD, until {costs.until:%Y-%m-%d %H:%M} UTC")
    yield table(HEADS, map(_cells, costs.lines), label="Cost of this month by workspace")
    yield from (element("p", note) for note in costs.notes)


def _cells(line: CostLine) -> tuple[str, ...]:
    bill, beside = line.bill, line.beside
    return (
        line.name,
        at_least(bill.known, is_complete=bill.total is not None) if bill is not None else NONE,
        at_least(line.expected_usd, is_complete=line.is_expected_complete),
        NONE if beside.share_percent is None else f"{beside.share_percent:.1f}",
        money(beside.last_month_usd),
        NONE if beside.change_usd is None else f"{beside.change_usd:+,.2f}",
        NONE if beside.change_percent is None else f"{beside.change_percent:+,.1f}",
    )
