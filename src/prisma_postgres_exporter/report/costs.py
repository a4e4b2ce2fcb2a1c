"""What a month costs by workspace, beside the whole and beside the month before: the lines of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from prisma_postgres_exporter.cost import Bill, By, CostRow, Saving, Usage, added, total_of
from prisma_postgres_exporter.report.changing import TOTAL, Beside, beside, expected_bounds
from prisma_postgres_exporter.report.gaps import failing_sentences, gap_sentences
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

NOTHING_BESIDE = Beside()


@dataclass(frozen=True, slots=True, kw_only=True)
class CostLine:
    """What one workspace, or all of them (`workspace_id` is `None`), cost; `bill` is `None` where no price is known.

    `low_usd` to `high_usd` is where the whole month is meant to end; that of all is the sum of theirs. Where not
    `is_expected_complete`, about so much is expected. `saving` is what another plan would have saved last month.
    """

    name: str
    bill: Bill | None
    expected_usd: Decimal | None
    is_expected_complete: bool
    beside: Beside
    workspace_id: str | None = None
    low_usd: Decimal | None = None
    high_usd: Decimal | None = None
    saving: Saving | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLine:
    """What one project of a workspace used and cost: its `deleted` databases, which are gone by now, included.

    A fee that no database bears has neither id nor name.
    """

    workspace_id: str
    project_id: str | None
    name: str | None
    usage: Usage
    bill: Bill | None
    deleted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCosts:
    """The costs of the month `name` (UTC) up to `until`; `notes` say what changed, what is missing, what is not in it.

    The last line is the total where there are several. `projects` are of all workspaces, the most expensive first, and
    add up to their lines.
    """

    name: str
    until: datetime
    lines: tuple[CostLine, ...]
    notes: tuple[str, ...]
    projects: tuple[ProjectLine, ...] = ()


def month_costs(month: LedgerMonth) -> MonthCosts:
    """Return what a month costs, without the ledger that it was made from, as the service says it that reads it."""
    rows, besides = month.rows(By.WORKSPACE), beside(month, By.WORKSPACE)
    saved = month.savings
    bounds = {row.workspace_id: expected_bounds(row, is_over=month.is_over) for row in rows}
    lines = [
        CostLine(
            workspace_id=row.workspace_id,
            name=workspace_name(row),
            bill=row.bill,
            expected_usd=row.expected_usd,
            is_expected_complete=row.is_expected_complete,
            beside=besides[row.place],
            low_usd=bounds[row.workspace_id][0],
            high_usd=bounds[row.workspace_id][1],
            saving=saved.get(row.workspace_id),
        )
        for row in rows
    ]
    usage, bill = total_of(rows)
    databases = month.rows(By.DATABASE)
    if len(rows) > 1:
        lines.append(total_of_lines(lines, bill, besides[TOTAL]))
    notes = (
        change_sentence(besides[TOTAL], month.until, is_over=month.is_over),
        missing_sentence(usage, month.missing, tuple(gap_sentences(month)), is_being_read=not month.is_over),
        incomplete_sentence(databases),
        *absence_sentences(month),
        *previous_sentences(month.previous),
        *failing_sentences(month),
        LEFT_OUT,
    )
    return MonthCosts(
        name=month.name,
        until=month.until,
        lines=tuple(lines),
        notes=tuple(note for note in notes if note is not None),
        projects=tuple(_projects(month.rows(By.PROJECT), databases)),
    )


def _projects(rows: Iterable[CostRow], databases: Iterable[CostRow]) -> Iterator[ProjectLine]:
    deleted = Counter((row.workspace_id, row.project_id) for row in databases if row.is_deleted)
    for row in rows:
        yield ProjectLine(
            workspace_id=row.workspace_id,
            project_id=row.project_id,
            name=row.project_name,
            usage=row.usage,
            bill=row.bill,
            deleted=deleted[row.workspace_id, row.project_id],
        )


def total_of_lines(lines: Sequence[CostLine], bill: Bill, beside: Beside = NOTHING_BESIDE) -> CostLine:
    """The line of all of them, whose cost is `bill`."""
    return CostLine(
        name="total",
        bill=bill,
        expected_usd=added(line.expected_usd for line in lines),
        is_expected_complete=all(line.is_expected_complete for line in lines),
        beside=beside,
        low_usd=added(line.low_usd for line in lines),
        high_usd=added(line.high_usd for line in lines),
    )
