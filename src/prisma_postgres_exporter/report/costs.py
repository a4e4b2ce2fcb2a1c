"""What a month costs by workspace, beside the whole and beside the month before: the lines of a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from prisma_postgres_exporter.cost import NOTHING, Bill, By, CostRow, Saving, Usage, add_bills, added, total_of
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
class Departed:
    """Databases of a month that are in no list now, and what they used and cost: they are in its sums.

    They were `deleted`, `moved` to another workspace, or are in a workspace that is `unfollowed` now.
    """

    deleted: int = 0
    moved: int = 0
    unfollowed: int = 0
    usage: Usage = NOTHING
    bill: Bill | None = None

    def __add__(self, other: Departed) -> Departed:
        bills = [each.bill for each in (self, other) if each.count]
        return Departed(
            deleted=self.deleted + other.deleted,
            moved=self.moved + other.moved,
            unfollowed=self.unfollowed + other.unfollowed,
            usage=self.usage + other.usage,
            bill=add_bills(bills) if any(bill is not None for bill in bills) else None,
        )

    @property
    def count(self) -> int:
        """How many they are."""
        return self.deleted + self.moved + self.unfollowed


NONE_DEPARTED = Departed()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLine:
    """What one project of a workspace used and cost: the databases that `departed` included.

    A fee that no database bears has neither id nor name.
    """

    workspace_id: str
    project_id: str | None
    name: str | None
    usage: Usage
    bill: Bill | None
    departed: Departed = NONE_DEPARTED


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
        projects=tuple(_projects(month, databases)),
    )


def _projects(month: LedgerMonth, databases: Iterable[CostRow]) -> Iterator[ProjectLine]:
    departed: dict[tuple[str, str | None], Departed] = defaultdict(Departed)
    for row in databases:
        if (left := _departed(month, row)) is not None:
            departed[row.workspace_id, row.project_id] += left
    for row in month.rows(By.PROJECT):
        yield ProjectLine(
            workspace_id=row.workspace_id,
            project_id=row.project_id,
            name=row.project_name,
            usage=row.usage,
            bill=row.bill,
            departed=departed[row.workspace_id, row.project_id],
        )


def _departed(month: LedgerMonth, row: CostRow) -> Departed | None:
    """A database's row where it is in no list of its workspace at the end of what is told."""
    if row.database_id is None:
        return None
    held, state = month.ledger_state.workspaces[row.workspace_id], month.ledger_state.databases[row.database_id]
    found = Departed(
        deleted=int(row.is_deleted),
        moved=int(not row.is_deleted and state.workspace_key != held.key),
        unfollowed=int(not row.is_deleted and state.workspace_key == held.key and held.was_gone_at(month.until)),
        usage=row.usage,
        bill=row.bill,
    )
    return found if found.count else None


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
