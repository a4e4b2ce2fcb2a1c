"""Turn what was read of one workspace into the rows to write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import chain

from prisma_postgres_exporter.ledger.draft import Draft
from prisma_postgres_exporter.ledger.rules import check, post_day, post_month, post_rolling, reconcile, settle
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    LedgerRows,
    LedgerUpdate,
    MonthUsage,
    ReadingFailure,
    UsageReading,
    WindowKind,
    WorkspaceState,
)

NO_ROWS = LedgerRows()


def post(
    workspace: WorkspaceState,
    outcomes: Iterable[UsageReading | ReadingFailure],
    *,
    settle_after: timedelta,
    now: datetime,
    older: LedgerRows = NO_ROWS,
) -> LedgerUpdate:
    """Turn what was read into the rows to write at `now`.

    `outcomes` in any order; those of databases that the workspace does not hold are passed over. `older`
    must hold the rows of the `older_days` of these outcomes.

    Raises:
        ValueError: the row of an older day was not looked up.
    """
    by_database: dict[str, list[UsageReading | ReadingFailure]] = defaultdict(list)
    for outcome in outcomes:
        by_database[outcome.database_id].append(outcome)
    days_by_key: dict[int, list[DayUsage]] = defaultdict(list)
    months_by_key: dict[int, list[MonthUsage]] = defaultdict(list)
    for day in older.days:
        days_by_key[day.database_key].append(day)
    for month in older.months:
        months_by_key[month.database_key].append(month)

    drafts: list[Draft] = []
    for database_id, database_outcomes in by_database.items():
        state = workspace.databases.get(database_id)
        if state is None:
            continue
        draft = Draft.of(state, now, older.looked_up, days_by_key.get(state.key, ()), months_by_key.get(state.key, ()))
        for outcome in sorted(database_outcomes, key=_order):
            _post_outcome(draft, outcome)
        settle(draft, settle_after)
        reconcile(draft)
        check(draft)
        drafts.append(draft)
    return _update(drafts)


def older_days(
    workspace: WorkspaceState, outcomes: Iterable[UsageReading | ReadingFailure]
) -> frozenset[tuple[int, date]]:
    """Return the (database key, day) of every day read whose row, if there is one, is not in the state."""
    wanted = set()
    for outcome in outcomes:
        state = workspace.databases.get(outcome.database_id)
        if state is None or outcome.window.kind is not WindowKind.DAY or isinstance(outcome, ReadingFailure):
            continue
        day = outcome.window.start_at.date()
        if day <= state.known_until and all(row.day != day for row in state.recent_days):
            wanted.add((state.key, day))
    return frozenset(wanted)


def apply(workspace: WorkspaceState, update: LedgerUpdate, *, generation: int) -> WorkspaceState:
    """Return the state after `update` was written as `generation`."""
    changed = {state.database.id: state for state in update.after}
    return replace(workspace, generation=generation, databases={**workspace.databases, **changed})


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
            post_rolling(draft, outcome)


def _post_failure(draft: Draft, failure: ReadingFailure) -> None:
    """A database is failing while its open day is: another window that fails says nothing of the rest."""
    if not failure.window.is_open_day(failure.failed_at):
        return
    if draft.last_success_at is not None and failure.failed_at < draft.last_success_at:
        return
    draft.failing_since_at = draft.failing_since_at or failure.failed_at
    draft.failure_reason = failure.reason


def _post_success(draft: Draft, reading: UsageReading) -> None:
    if draft.last_success_at is None or reading.read_at >= draft.last_success_at:
        draft.last_success_at = reading.read_at
        if reading.window.is_open_day(reading.read_at):
            draft.failing_since_at = None
            draft.failure_reason = None
    if draft.newest_at is None or reading.read_at > draft.newest_at:
        draft.newest_at = reading.read_at
    # The vendor sets an end in the future to the end of its day: nobody knows that time yet.
    reaches_at = min(reading.period_end_at, reading.read_at)
    if draft.usage_at is None or reaches_at > draft.usage_at:
        draft.usage_at = reaches_at


def _update(drafts: Iterable[Draft]) -> LedgerUpdate:
    before: list[DatabaseState] = []
    after: list[DatabaseState] = []
    other_days: list[DayUsage] = []
    other_months: list[MonthUsage] = []
    drafts = tuple(drafts)
    for draft in drafts:
        state, days, months = draft.close()
        other_days.extend(days)
        other_months.extend(months)
        if state != draft.state:
            before.append(draft.state)
            after.append(state)
    return LedgerUpdate(
        before=tuple(before),
        after=tuple(after),
        other_days=tuple(other_days),
        other_months=tuple(other_months),
        readings=tuple(chain.from_iterable(draft.readings for draft in drafts)),
        revisions=tuple(chain.from_iterable(draft.revisions for draft in drafts)),
    )
