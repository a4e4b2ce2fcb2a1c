"""Turn a cycle's readings into the rows to write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import chain

from prisma_postgres_exporter.ledger.days import check, post_day, settle
from prisma_postgres_exporter.ledger.draft import Draft, keep_reading
from prisma_postgres_exporter.ledger.months import post_month, reconcile
from prisma_postgres_exporter.model import (
    Book,
    DayUsage,
    LedgerRows,
    MonthUsage,
    Posting,
    ReadingFailure,
    RollingUsage,
    UsageReading,
    WindowKind,
)


def post(
    book: Book,
    outcomes: Iterable[UsageReading | ReadingFailure],
    *,
    settle_after: timedelta,
    older: LedgerRows | None = None,
) -> Posting:
    """Turn what a cycle read into the rows to write.

    `outcomes` in any order; those of databases that are not in the book are passed over. `older`
    must hold the rows of the `older_days` of these outcomes.

    Raises:
        ValueError: the row of an older day was not looked up.
    """
    by_database: dict[str, list[UsageReading | ReadingFailure]] = defaultdict(list)
    for outcome in outcomes:
        by_database[outcome.database_id].append(outcome)
    rows = older or LedgerRows()
    days_by_key: dict[int, list[DayUsage]] = defaultdict(list)
    months_by_key: dict[int, list[MonthUsage]] = defaultdict(list)
    for day in rows.days:
        days_by_key[day.database_key].append(day)
    for month in rows.months:
        months_by_key[month.database_key].append(month)

    drafts = []
    for database_id, database_outcomes in by_database.items():
        position = book.positions.get(database_id)
        if position is None:
            continue
        draft = Draft.of(
            position, rows.looked_up, days_by_key.get(position.key, ()), months_by_key.get(position.key, ())
        )
        for outcome in sorted(database_outcomes, key=_order):
            _post_outcome(draft, outcome)
        settle(draft, settle_after)
        reconcile(draft)
        check(draft)
        drafts.append((position, draft))

    before, positions = [], []
    other_days: list[DayUsage] = []
    other_months: list[MonthUsage] = []
    for position, draft in drafts:
        after, days, months = draft.close()
        other_days.extend(days)
        other_months.extend(months)
        if after != position:
            before.append(position)
            positions.append(after)
    return Posting(
        before=tuple(before),
        positions=tuple(positions),
        other_days=tuple(other_days),
        other_months=tuple(other_months),
        readings=tuple(chain.from_iterable(draft.readings for _, draft in drafts)),
        revisions=tuple(chain.from_iterable(draft.revisions for _, draft in drafts)),
    )


def older_days(book: Book, outcomes: Iterable[UsageReading | ReadingFailure]) -> frozenset[tuple[int, date]]:
    """Return the (database key, day) of every day read whose row, if there is one, is not in the book."""
    wanted = set()
    for outcome in outcomes:
        position = book.positions.get(outcome.database_id)
        if position is None or outcome.window.kind is not WindowKind.DAY or isinstance(outcome, ReadingFailure):
            continue
        day = outcome.window.start_at.date()
        if day <= position.known_until and all(row.day != day for row in position.recent_days):
            wanted.add((position.key, day))
    return frozenset(wanted)


def apply(book: Book, posting: Posting, *, generation: int) -> Book:
    """Return the book after `posting` was written as `generation`."""
    return replace(
        book,
        generation=generation,
        positions={**book.positions, **{position.database.id: position for position in posting.positions}},
    )


def _order(outcome: UsageReading | ReadingFailure) -> tuple[datetime, bool, datetime]:
    """By time; a month after the days it holds, so that it is compared with all of them."""
    at = outcome.read_at if isinstance(outcome, UsageReading) else outcome.failed_at
    return at, outcome.window.kind is not WindowKind.DAY, outcome.window.start_at


def _post_outcome(draft: Draft, outcome: UsageReading | ReadingFailure) -> None:
    if isinstance(outcome, ReadingFailure):
        _post_failure(draft, outcome)
        return
    _post_success(draft, outcome)
    match outcome.window.kind:
        case WindowKind.DAY:
            post_day(draft, outcome)
        case WindowKind.MONTH:
            post_month(draft, outcome)
        case WindowKind.ROLLING:
            _post_rolling(draft, outcome)


def _post_failure(draft: Draft, failure: ReadingFailure) -> None:
    draft.failing_since_at = draft.failing_since_at or failure.failed_at
    draft.failure_reason = failure.reason


def _post_success(draft: Draft, reading: UsageReading) -> None:
    if draft.last_success_at is None or reading.read_at >= draft.last_success_at:
        draft.last_success_at = reading.read_at
        draft.failing_since_at = None
        draft.failure_reason = None
    if draft.newest_at is None or reading.read_at > draft.newest_at:
        draft.newest_at = reading.read_at
    # The vendor sets an end in the future to the end of its day: nobody knows that time yet.
    reaches_at = min(reading.period_end_at, reading.read_at)
    if draft.usage_at is None or reaches_at > draft.usage_at:
        draft.usage_at = reaches_at


def _post_rolling(draft: Draft, reading: UsageReading) -> None:
    if reading.operations is None:
        return
    name = reading.window.name
    row = draft.rolling.get(name)
    if row is not None and reading.read_at <= row.read_at:
        return
    if row is None or row.operations != reading.operations:
        keep_reading(draft, reading)
    draft.rolling[name] = RollingUsage(
        window_name=name,
        operations=reading.operations,
        period_start_at=reading.period_start_at,
        period_end_at=reading.period_end_at,
        read_at=reading.read_at,
    )
