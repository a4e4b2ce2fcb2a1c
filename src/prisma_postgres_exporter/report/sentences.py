"""What the forms of a report say in the same words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from prisma_postgres_exporter.cost import CostRow
from prisma_postgres_exporter.model import Event
from prisma_postgres_exporter.report.whole import MonthReport, WorkspaceReport

GIB = 2**30
NONE = "–"
LEFT_OUT = "An estimate of the Postgres part of the invoice: Compute, Accelerate, tax and credit are not in it."


def money(amount: Decimal | None) -> str:
    """USD to the cent, a dash where no price is known."""
    return NONE if amount is None else f"{amount:,.2f}"


def gib(size_bytes: int) -> str:
    """Bytes in GiB."""
    return f"{size_bytes / GIB:,.2f}"


def until_sentence(report: MonthReport) -> str:
    """How much of the month is in it."""
    if report.is_over:
        return f"The whole month, UTC; from the ledger of {report.made_at:%Y-%m-%d %H:%M} UTC."
    return f"The month so far, until {report.until:%Y-%m-%d %H:%M} UTC."


def database_name(row: CostRow) -> str:
    """A database's name, and whether it is gone."""
    return f"{row.database_name} (deleted)" if row.is_deleted else row.database_name or ""


def cost_sentences(workspace: WorkspaceReport) -> Iterator[str]:
    """The plan, what is included, and why something has no price."""
    cost = workspace.total.cost
    if cost is None:
        yield "Its plan and price in this month are not known."
        return
    if cost.plan is not None:
        yield f"Plan {cost.plan}, prices {cost.price_version}."
    if cost.included_operations:
        part = workspace.total.operations / cost.included_operations
        yield f"{workspace.total.operations:,} of {cost.included_operations:,} included operations ({part:.0%})."
    if cost.included_storage_bytes:
        part = workspace.storage_bytes / cost.included_storage_bytes
        yield f"{gib(workspace.storage_bytes)} of {gib(cost.included_storage_bytes)} included GiB ({part:.0%})."
    if cost.expected_bill is not None and cost.low_bill is not None and cost.high_bill is not None:
        low, high = money(cost.low_bill.total), money(cost.high_bill.total)
        yield f"Expected of the whole month: {money(cost.expected_bill.total)} USD ({low} to {high})."
    if cost.unpriced is not None:
        yield f"{cost.unpriced}."


def quality_sentences(workspace: WorkspaceReport) -> Iterator[str]:
    """How far the numbers can be relied on."""
    if workspace.difference_operations is None:
        yield "The vendor's month cannot be compared with our days yet."
    elif workspace.difference_operations == 0:
        yield "The vendor's month is exactly the sum of our days."
    else:
        yield f"The vendor's month is {workspace.difference_operations:+,} operations from the sum of our days."
    if workspace.revised_days:
        count, change = workspace.revised_days, workspace.revised_operations
        yield f"The vendor revised {count:,} of its numbers for days, by {change:+,} operations together."


def event_sentence(event: Event, names: Mapping[str, str]) -> str:
    """What a discovery noticed."""
    before, after = (names.get(text, text) if text is not None else None for text in (event.before, event.after))
    change = f" from {before} to {after}" if before is not None and after is not None else ""
    return f"{event.at:%Y-%m-%d}: {event.subject} {names.get(event.subject_id, event.subject_id)} {event.kind}{change}."
