"""Why the vendor's month is not the sum of our days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.diagnosis.findings import Level, Reason, at
from prisma_postgres_exporter.model import DatabaseState, DayUsage, MonthUsage, Revision
from prisma_postgres_exporter.words import counted

ONE_DAY = timedelta(days=1)
MOST_NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A month compared.

    `difference` is the one that is shown: the vendor's number less the sum of the days when both covered
    the same time; `None` until they did. `days_operations` is that sum now. `reasons` are what makes
    them differ, or keeps them from being compared, each with its numbers, as `(reason, text)`.
    """

    month: date
    vendor_operations: int | None
    days_operations: int
    difference: int | None
    level: Level
    reasons: tuple[tuple[Reason, str], ...]


def explain_month(
    state: DatabaseState,
    month: date,
    days: Iterable[DayUsage],
    revisions: Iterable[Revision],
    now: datetime,
    *,
    backfill: str,
) -> Explanation | None:
    """Compare one month of a database; `None` where nothing of it is known.

    `month` is its first day; `days` are the rows of it there are, `revisions` those of its days; `backfill` is how that
    command begins.
    """
    rows = [row for row in state.months if row.month == month]
    days = sorted((row for row in days if row.day.replace(day=1) == month), key=lambda row: row.day)
    if not rows:
        return None
    vendor = max((row for row in rows if row.read_at is not None), key=lambda row: row.read_at or now, default=None)
    if vendor is None or vendor.read_at is None or vendor.period_end_at is None:
        reasons = [(Reason.NOT_READ, "the vendor's number for the month was never read")]
        level = Level.NOTE
    elif vendor.difference_operations == 0:
        reasons, level = [], Level.OK
    elif not days and month < state.counted_from.replace(day=1):
        end = min((vendor.period_end_at - timedelta(microseconds=1)).date(), now.date())
        advice = f"`{backfill} --from {month} --to {end} --database {state.database.id}` reads them"
        reasons, level = [(Reason.DAYS_MISSING, f"the ledger begins after it: {advice}")], Level.OK
    else:
        last_day = min((vendor.period_end_at - timedelta(microseconds=1)).date(), now.date())
        missing = _missing(max(month, state.database.created_at.date()), last_day, days)
        changes = [revision for revision in revisions if revision.day.replace(day=1) == month]
        reasons = list(_reasons(vendor, vendor.read_at, missing, days, changes, rows, now.date()))
        is_lasting = any(reason is Reason.VENDOR_DISAGREES for reason, _ in reasons)
        level = Level.PROBLEM if is_lasting else Level.NOTE
    return Explanation(
        month=month,
        vendor_operations=vendor.operations if vendor else None,
        days_operations=sum(row.operations for row in days),
        difference=vendor.difference_operations if vendor else None,
        level=level,
        reasons=tuple(reasons),
    )


def named(days: Sequence[date]) -> str:
    """Days for people: all of a few, and how many more."""
    shown = ", ".join(day.isoformat() for day in days[:MOST_NAMED])
    return shown if len(days) <= MOST_NAMED else f"{shown} and {len(days) - MOST_NAMED} more"


def _missing(first: date, last: date, days: Iterable[DayUsage]) -> tuple[date, ...]:
    there = {row.day for row in days}
    return tuple(
        day for day in (first + number * ONE_DAY for number in range((last - first).days + 1)) if day not in there
    )


def _reasons(
    vendor: MonthUsage,
    read_at: datetime,
    missing: Sequence[date],
    days: Sequence[DayUsage],
    revisions: Sequence[Revision],
    rows: Sequence[MonthUsage],
    today: date,
) -> Iterator[tuple[Reason, str]]:
    if missing:
        yield Reason.DAYS_MISSING, f"{counted(len(missing), 'day')} not in the ledger yet: {named(missing)}"
    unsettled = [row.day for row in days if row.settled_at is None and row.day < today]
    if unsettled:
        yield Reason.UNSETTLED, f"{counted(len(unsettled), 'closed day')} may still change: {named(unsettled)}"
    afterwards = [revision for revision in revisions if revision.revised_at > read_at]
    changed_by = sum(revision.operations_after - revision.operations_before for revision in afterwards)
    if afterwards:
        revised = named(sorted({revision.day for revision in afterwards}))
        yield (
            Reason.REVISED_AFTERWARDS,
            f"{revised} changed by {changed_by:+,} after the vendor's month was read ({at(read_at)})",
        )
    if len(rows) > 1:
        shares = ", ".join(f"{counted(row.days, 'day')} with {row.days_operations:,} operations" for row in rows)
        yield (
            Reason.MOVED,
            f"the database moved between workspaces in this month ({shares}), so the vendor's number may be of a part",
        )
    difference = vendor.difference_operations
    if difference is None:
        if not missing:
            yield Reason.READ_AFTERWARDS, "the month and the days that may still change were not read together yet"
        return
    is_explained = difference == changed_by or missing or len(rows) > 1
    was_rechecked = vendor.rechecked_difference_operations == difference
    if not is_explained and (was_rechecked or not unsettled):
        operations = vendor.operations or 0
        yield (
            Reason.VENDOR_DISAGREES,
            f"the vendor's month ({operations:,}) was not the sum of the vendor's days"
            f" ({operations - difference:,}) when both were read ({at(read_at)}): it differed by {difference:+,}"
            + ("; the settled days are read again for it" if was_rechecked else ""),
        )
