"""What a month costs by workspace, beside the whole and beside the month before: the lines of a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from prisma_postgres_exporter.cost import Bill, By, added, total_of
from prisma_postgres_exporter.report.changing import TOTAL, Beside, beside
from prisma_postgres_exporter.report.gaps import gap_sentences
from prisma_postgres_exporter.report.months import LedgerMonth
from prisma_postgres_exporter.report.sentences import (
    LEFT_OUT,
    absence_sentences,
    change_sentence,
    incomplete_sentence,
    missing_sentence,
    previous_sentences,
    workspace_name,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """What one workspace, or all of them, cost; `bill` is `None` where the price is not known.

    Where not `is_expected_complete`, at least so much is expected.
    """

    name: str
    bill: Bill | None
    expected_usd: Decimal | None
    is_expected_complete: bool
    beside: Beside


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCosts:
    """The costs of the month `name` (UTC) up to `until`; `notes` say what changed, what is missing, what is not in it.

    The last line is the total where there are several.
    """

    name: str
    until: datetime
    lines: tuple[CostLine, ...]
    notes: tuple[str, ...]


def month_costs(month: LedgerMonth) -> MonthCosts:
    """Return what a month costs, without the ledger that it was made from."""
    rows, besides = month.rows(By.WORKSPACE), beside(month, By.WORKSPACE)
    lines = [
        CostLine(
            name=workspace_name(row),
            bill=row.bill,
            expected_usd=row.expected_usd,
            is_expected_complete=row.is_expected_complete,
            beside=besides[row.place],
        )
        for row in rows
    ]
    usage, bill = total_of(rows)
    if len(rows) > 1:
        expected = added(row.expected_usd for row in rows)
        lines.append(
            CostLine(
                name="total",
                bill=bill,
                expected_usd=expected,
                is_expected_complete=all(row.is_expected_complete for row in rows),
                beside=besides[TOTAL],
            )
        )
    notes = (
        change_sentence(besides[TOTAL], is_over=month.is_over),
        missing_sentence(usage, month.missing, tuple(gap_sentences(month))),
        incomplete_sentence(month.rows(By.DATABASE)),
        *absence_sentences(month),
        *previous_sentences(month.previous),
        LEFT_OUT,
    )
    return MonthCosts(
        name=month.name,
        until=month.until,
        lines=tuple(lines),
        notes=tuple(note for note in notes if note is not None),
    )
