"""What readings mean: days, counters, revisions, months and storage levels, as rows to write.

Pure. The rules, each with its reason:

- A day's `operations` is the vendor's latest word; `operations_high` only grows, and the counter
  `operations_total` grows by what the highs of the counted days grow. So it never falls, a
  downward revision adds nothing, and nothing is counted twice.
- A change of a day that had been read after its end is a revision, and so is any fall.
- A closed day settles when its number has not changed for `settle_after` and every day before it is
  known; a revision opens it again. Days of a month that is no longer watched settle at once.
- A settled day is read again once its month is over, and when the vendor's month is not the sum of
  the days: all of them once for each such difference.
- A storage level holds from the reading that gave it until the next one, at most `STORAGE_HOLD`.
  A closed day of which no level is known at all takes the vendor's number for the day.
- A reading that is not newer than what is known changes nothing, so doing anything twice
  changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain

from prisma_postgres_exporter.model import (
    Book,
    DayUsage,
    LedgerRows,
    MonthUsage,
    Position,
    Posting,
    ReadingFailure,
    Revision,
    RollingUsage,
    StoredReading,
    UsageReading,
    WindowKind,
    day_start,
    previous_month_start,
    recheck_bound_at,
)

STORAGE_HOLD = timedelta(days=1)
"""How long a storage level is taken to last when no newer one was read."""

PERIOD_END_SLACK = timedelta(seconds=1)
"""The vendor's days end at 23:59:59.999, both ends inclusive."""

ONE_DAY = timedelta(days=1)
DAY_SECONDS = 86_400


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
        draft = _Draft.of(
            position, rows.looked_up, days_by_key.get(position.key, ()), months_by_key.get(position.key, ())
        )
        for outcome in sorted(database_outcomes, key=_order):
            _post_outcome(draft, outcome)
        _settle(draft, settle_after)
        _reconcile(draft)
        _check(draft)
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


@dataclass(slots=True)
class _Draft:
    """One database's position while its readings are being posted."""

    position: Position
    looked_up: frozenset[tuple[int, date]]
    known_until: date
    checked_until: date
    recheck_at: datetime | None
    days_before: dict[date, DayUsage]
    days: dict[date, DayUsage]
    months_before: dict[tuple[date, int], MonthUsage]
    months: dict[tuple[date, int], MonthUsage]
    rolling: dict[str, RollingUsage]
    operations_total: int
    revisions_up: int
    revisions_down: int
    storage_bytes: int | None
    storage_at: datetime | None
    usage_at: datetime | None
    last_success_at: datetime | None
    failing_since_at: datetime | None
    failure_reason: str | None
    newest_at: datetime | None = None
    readings: list[StoredReading] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)
    months_read: dict[date, datetime] = field(default_factory=dict)
    days_read: dict[date, datetime] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        position: Position,
        looked_up: frozenset[tuple[int, date]],
        days: Sequence[DayUsage],
        months: Sequence[MonthUsage],
    ) -> _Draft:
        days_before = {row.day: row for row in chain(days, position.recent_days)}
        months_before = {(row.month, row.workspace_key): row for row in chain(months, position.months)}
        return cls(
            position=position,
            looked_up=looked_up,
            known_until=position.known_until,
            checked_until=position.checked_until,
            recheck_at=position.recheck_at,
            days_before=days_before,
            days=dict(days_before),
            months_before=months_before,
            months=dict(months_before),
            rolling={row.window_name: row for row in position.rolling},
            operations_total=position.operations_total,
            revisions_up=position.revisions_up,
            revisions_down=position.revisions_down,
            storage_bytes=position.storage_bytes,
            storage_at=position.storage_at,
            usage_at=position.usage_at,
            last_success_at=position.last_success_at,
            failing_since_at=position.failing_since_at,
            failure_reason=position.failure_reason,
        )

    def close(self) -> tuple[Position, list[DayUsage], list[MonthUsage]]:
        """Return the new position, and the changed days and months that it does not carry any more."""
        known_until = self.known_until
        today = self.newest_at.date() if self.newest_at else known_until
        recent = {
            day: row for day, row in sorted(self.days.items()) if row.settled_at is None or day >= today - ONE_DAY
        }
        floor = _month_floor(today, known_until, recent)
        carried_months = {key: row for key, row in sorted(self.months.items()) if row.month >= floor}
        after = replace(
            self.position,
            known_until=known_until,
            checked_until=self.checked_until,
            recheck_at=self.recheck_at,
            operations_total=self.operations_total,
            revisions_up=self.revisions_up,
            revisions_down=self.revisions_down,
            storage_bytes=self.storage_bytes,
            storage_at=self.storage_at,
            usage_at=self.usage_at,
            last_success_at=self.last_success_at,
            failing_since_at=self.failing_since_at,
            failure_reason=self.failure_reason,
            recent_days=tuple(recent.values()),
            months=tuple(carried_months.values()),
            rolling=tuple(self.rolling[name] for name in sorted(self.rolling)),
        )
        other_days = [row for day, row in self.days.items() if day not in recent and self.days_before.get(day) != row]
        other_months = [
            row for key, row in self.months.items() if key not in carried_months and self.months_before.get(key) != row
        ]
        return after, other_days, other_months


def _month_floor(today: date, known_until: date, recent: Iterable[date]) -> date:
    """The first month that a position carries: the previous one, or that of the oldest day still to be read."""
    previous_month = (today.replace(day=1) - ONE_DAY).replace(day=1)
    return min(previous_month, (known_until + ONE_DAY).replace(day=1), *(day.replace(day=1) for day in recent))


def _order(outcome: UsageReading | ReadingFailure) -> tuple[datetime, bool, datetime]:
    """By time; a month after the days it holds, so that it is compared with all of them."""
    at = outcome.read_at if isinstance(outcome, UsageReading) else outcome.failed_at
    return at, outcome.window.kind is not WindowKind.DAY, outcome.window.start_at


def _post_outcome(draft: _Draft, outcome: UsageReading | ReadingFailure) -> None:
    if isinstance(outcome, ReadingFailure):
        _post_failure(draft, outcome)
        return
    _post_success(draft, outcome)
    match outcome.window.kind:
        case WindowKind.DAY:
            _post_day(draft, outcome)
        case WindowKind.MONTH:
            _post_month(draft, outcome)
        case WindowKind.ROLLING:
            _post_rolling(draft, outcome)


def _post_failure(draft: _Draft, failure: ReadingFailure) -> None:
    draft.failing_since_at = draft.failing_since_at or failure.failed_at
    draft.failure_reason = failure.reason


def _post_success(draft: _Draft, reading: UsageReading) -> None:
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


def _post_day(draft: _Draft, reading: UsageReading) -> None:
    day = reading.window.start_at.date()
    row = draft.days.get(day)
    if row is None and day <= draft.position.known_until and (draft.position.key, day) not in draft.looked_up:
        raise ValueError(f"the row of {day} was not given: it must not be taken for a new day")
    if row is not None and reading.read_at <= row.read_at:
        return
    is_closed = _is_closed(reading)
    if reading.operations is not None:
        updated = _read_day(draft, row, reading, reading.operations)
        if row is None or (row.operations, row.storage_bytes) != (updated.operations, updated.storage_bytes):
            _keep_reading(draft, reading)
        _replace_day(draft, row, updated)
        draft.days_read[day] = reading.window.end_at
    if reading.storage_bytes is None:
        return
    if is_closed:
        _fill_storage(draft, day, reading.storage_bytes)
    else:
        _hold_storage(draft, reading.storage_bytes, reading.read_at)


def _read_day(draft: _Draft, row: DayUsage | None, reading: UsageReading, operations: int) -> DayUsage:
    day = reading.window.start_at.date()
    is_closed = _is_closed(reading)
    if row is None:
        is_counted = day >= draft.position.counted_from
        draft.operations_total += operations if is_counted else 0
        return DayUsage(
            database_key=draft.position.key,
            day=day,
            workspace_key=draft.position.workspace_key,
            operations=operations,
            operations_high=operations,
            storage_bytes=reading.storage_bytes or 0,
            storage_byte_seconds=0,
            storage_seconds=0,
            read_at=reading.read_at,
            unchanged_since_at=reading.read_at if is_closed else None,
            settled_at=None,
            is_counted=is_counted,
        )
    if operations != row.operations:
        _note_revision(draft, row, operations, reading.read_at)
    high = max(row.operations_high, operations)
    draft.operations_total += high - row.operations_high if row.is_counted else 0
    is_unchanged = operations == row.operations and row.unchanged_since_at is not None
    unchanged_since_at = (row.unchanged_since_at if is_unchanged else reading.read_at) if is_closed else None
    return replace(
        row,
        # Each workspace keeps the days it had: only the open day follows a move.
        workspace_key=row.workspace_key if is_closed else draft.position.workspace_key,
        operations=operations,
        operations_high=high,
        storage_bytes=row.storage_bytes if reading.storage_bytes is None or is_closed else reading.storage_bytes,
        read_at=reading.read_at,
        unchanged_since_at=unchanged_since_at,
        settled_at=row.settled_at if is_unchanged and is_closed else None,
    )


def _is_closed(reading: UsageReading) -> bool:
    """Whether the whole day was asked for and answered, so that the number should be the day's last word."""
    ends_at = day_start(reading.window.start_at.date()) + ONE_DAY
    return reading.window.end_at >= ends_at and reading.period_end_at >= ends_at - PERIOD_END_SLACK


def _note_revision(draft: _Draft, row: DayUsage, operations: int, revised_at: datetime) -> None:
    was_final = row.unchanged_since_at is not None
    if not was_final and operations > row.operations:
        return
    if operations > row.operations:
        draft.revisions_up += 1
    else:
        draft.revisions_down += 1
    draft.revisions.append(
        Revision(
            database_key=row.database_key,
            day=row.day,
            revised_at=revised_at,
            operations_before=row.operations,
            operations_after=operations,
        )
    )


def _replace_day(draft: _Draft, before: DayUsage | None, after: DayUsage) -> None:
    """Put `after` in its place, and move its month's sums along."""
    draft.days[after.day] = after
    if before is not None:
        _add_to_month(draft, before, sign=-1)
    _add_to_month(draft, after, sign=1)


def _add_to_month(draft: _Draft, row: DayUsage, *, sign: int) -> None:
    month = _month_row(draft, row.day.replace(day=1), row.workspace_key)
    draft.months[month.month, month.workspace_key] = replace(
        month,
        days=month.days + sign,
        days_operations=month.days_operations + sign * row.operations,
        storage_byte_seconds=month.storage_byte_seconds + sign * row.storage_byte_seconds,
        storage_seconds=month.storage_seconds + sign * row.storage_seconds,
    )


def _month_row(draft: _Draft, month: date, workspace_key: int) -> MonthUsage:
    return draft.months.get((month, workspace_key)) or MonthUsage(
        database_key=draft.position.key, month=month, workspace_key=workspace_key
    )


def _hold_storage(draft: _Draft, storage_bytes: int, read_at: datetime) -> None:
    """Credit the time since the last level to the days it lies in, then take the new level."""
    if draft.storage_at is not None and read_at <= draft.storage_at:
        return
    if draft.storage_bytes is not None and draft.storage_at is not None:
        held_until_at = min(read_at, draft.storage_at + STORAGE_HOLD)
        for day, seconds in _seconds_by_day(draft.storage_at, held_until_at):
            row = draft.days.get(day)
            if row is not None:
                _credit_storage(draft, row, draft.storage_bytes, seconds)
    draft.storage_bytes = storage_bytes
    draft.storage_at = read_at


def _fill_storage(draft: _Draft, day: date, storage_bytes: int) -> None:
    row = draft.days.get(day)
    if row is None or row.storage_seconds > 0:
        return
    _credit_storage(draft, row, storage_bytes, DAY_SECONDS)


def _credit_storage(draft: _Draft, row: DayUsage, storage_bytes: int, seconds: int) -> None:
    begins_at = max(day_start(row.day), draft.position.database.created_at)
    life_seconds = int((day_start(row.day) + ONE_DAY - begins_at).total_seconds())
    # A day that took the vendor's number for all of it has no time left.
    seconds = min(seconds, life_seconds - row.storage_seconds)
    if seconds <= 0:
        return
    credited = replace(
        row,
        storage_byte_seconds=row.storage_byte_seconds + storage_bytes * seconds,
        storage_seconds=row.storage_seconds + seconds,
    )
    _replace_day(draft, row, credited)


def _seconds_by_day(begins_at: datetime, ends_at: datetime) -> Iterable[tuple[date, int]]:
    while begins_at < ends_at:
        day = begins_at.date()
        day_ends_at = min(day_start(day) + ONE_DAY, ends_at)
        yield day, int((day_ends_at - begins_at).total_seconds())
        begins_at = day_ends_at


def _post_month(draft: _Draft, reading: UsageReading) -> None:
    newest_at = draft.last_success_at or reading.read_at
    if reading.operations is None or reading.window.start_at < previous_month_start(newest_at):
        return  # of a month that is so long over, the book has no sums any more
    row = _month_row(draft, reading.window.start_at.date(), draft.position.workspace_key)
    if row.read_at is not None and reading.read_at <= row.read_at:
        return
    if row.operations != reading.operations:
        _keep_reading(draft, reading)
    draft.months[row.month, row.workspace_key] = replace(
        row, operations=reading.operations, period_end_at=reading.period_end_at, read_at=reading.read_at
    )
    draft.months_read[row.month] = reading.window.end_at


def _settle(draft: _Draft, settle_after: timedelta) -> None:
    """Move `known_until` on, and settle what is final; days after a gap wait, so that they stay in the book."""
    while draft.known_until + ONE_DAY in draft.days:
        draft.known_until += ONE_DAY
    for day, row in draft.days.items():
        if row.settled_at is None and day <= draft.known_until and row.is_final(settle_after):
            draft.days[day] = replace(row, settled_at=row.read_at)


def _check(draft: _Draft) -> None:
    """Note which settled days were read once more."""
    if draft.newest_at is None:
        return
    bound_at = recheck_bound_at(draft.recheck_at, draft.newest_at)
    while (row := draft.days.get(draft.checked_until + ONE_DAY)) is not None and row.day < bound_at.date():
        if row.settled_at is not None and row.read_at < bound_at:
            return
        draft.checked_until += ONE_DAY


def _reconcile(draft: _Draft) -> None:
    """Compare the vendor's month with the sum of our days, once every day of it so far is in the ledger.

    Numbers that became known between two readings look like a difference and are none: one is
    believed only where each day is settled or was read together with the month.
    """
    for month, end_at in draft.months_read.items():
        rows = [row for row in draft.months.values() if row.month == month]
        first_day = max(month, draft.position.database.created_at.date())
        last_day = (end_at - timedelta(microseconds=1)).date()
        vendor = draft.months[month, draft.position.workspace_key]
        if vendor.operations is None or sum(row.days for row in rows) < (last_day - first_day).days + 1:
            continue
        difference = vendor.operations - sum(row.days_operations for row in rows)
        unsettled = [day for day, row in draft.days.items() if day.replace(day=1) == month and row.settled_at is None]
        if difference == 0 or all(_was_read_with(draft, day, end_at) for day in unsettled):
            vendor = replace(vendor, difference_operations=difference)
            draft.months[month, vendor.workspace_key] = _recheck(draft, vendor, difference, first_day)


def _recheck(draft: _Draft, vendor: MonthUsage, difference: int, first_day: date) -> MonthUsage:
    """Have the settled days of a month read again, once for a difference: one of them must have been revised."""
    if difference == 0:
        return replace(vendor, rechecked_difference_operations=None)
    read_at = vendor.read_at
    if read_at is None or difference == vendor.rechecked_difference_operations or _is_rechecking(draft, read_at):
        return vendor
    draft.recheck_at = read_at
    draft.checked_until = min(draft.checked_until, first_day - ONE_DAY)
    return replace(vendor, rechecked_difference_operations=difference)


def _was_read_with(draft: _Draft, day: date, end_at: datetime) -> bool:
    read_until_at = draft.days_read.get(day)
    return read_until_at is not None and read_until_at == min(day_start(day) + ONE_DAY, end_at)


def _is_rechecking(draft: _Draft, now: datetime) -> bool:
    """Whether settled days are still to be read once more: another round begins when this one is over."""
    last_day = recheck_bound_at(draft.recheck_at, now).date() - ONE_DAY
    return draft.checked_until < min(last_day, draft.known_until)


def _post_rolling(draft: _Draft, reading: UsageReading) -> None:
    if reading.operations is None:
        return
    name = reading.window.name
    row = draft.rolling.get(name)
    if row is not None and reading.read_at <= row.read_at:
        return
    if row is None or row.operations != reading.operations:
        _keep_reading(draft, reading)
    draft.rolling[name] = RollingUsage(
        window_name=name,
        operations=reading.operations,
        period_start_at=reading.period_start_at,
        period_end_at=reading.period_end_at,
        read_at=reading.read_at,
    )


def _keep_reading(draft: _Draft, reading: UsageReading) -> None:
    draft.readings.append(
        StoredReading(
            database_key=draft.position.key,
            read_at=reading.read_at,
            window_name=reading.window.name,
            period_start_at=reading.period_start_at,
            period_end_at=reading.period_end_at,
            operations=reading.operations,
            storage_bytes=reading.storage_bytes,
        )
    )
