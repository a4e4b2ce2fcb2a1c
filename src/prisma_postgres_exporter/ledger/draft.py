"""One database while its readings are posted: the rows that they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import chain

from prisma_postgres_exporter.ledger.carry import carry
from prisma_postgres_exporter.model import (
    DatabaseState,
    DayUsage,
    MonthUsage,
    Revision,
    RollingUsage,
    StoredReading,
    UsageReading,
)


@dataclass(slots=True)
class Draft:
    """One database's state while its readings are being posted."""

    state: DatabaseState
    now: datetime
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
        state: DatabaseState,
        now: datetime,
        looked_up: frozenset[tuple[int, date]],
        days: Sequence[DayUsage],
        months: Sequence[MonthUsage],
    ) -> Draft:
        """Begin at `now` with a state and the older rows that were looked up for it."""
        days_before = {row.day: row for row in chain(days, state.recent_days)}
        months_before = {(row.month, row.workspace_key): row for row in chain(months, state.months)}
        return cls(
            state=state,
            now=now,
            looked_up=looked_up,
            known_until=state.known_until,
            checked_until=state.checked_until,
            recheck_at=state.recheck_at,
            days_before=days_before,
            days=dict(days_before),
            months_before=months_before,
            months=dict(months_before),
            rolling={row.window_name: row for row in state.rolling},
            operations_total=state.operations_total,
            revisions_up=state.revisions_up,
            revisions_down=state.revisions_down,
            storage_bytes=state.storage_bytes,
            storage_at=state.storage_at,
            usage_at=state.usage_at,
            last_success_at=state.last_success_at,
            failing_since_at=state.failing_since_at,
            failure_reason=state.failure_reason,
        )

    def close(self) -> tuple[DatabaseState, list[DayUsage], list[MonthUsage]]:
        """Return the new state, and the changed days and months that it does not carry any more."""
        carried = carry(
            self.days.values(),
            self.months.values(),
            moves=self.state.moves,
            known_until=self.known_until,
            today=self.now.date(),
        )
        after = replace(
            self.state,
            known_until=self.known_until,
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
            recent_days=carried.days,
            months=carried.months,
            rolling=tuple(self.rolling[name] for name in sorted(self.rolling)),
        )
        kept_days = {row.day for row in carried.days}
        kept_months = {(row.month, row.workspace_key) for row in carried.months}
        other_days = [
            row for day, row in self.days.items() if day not in kept_days and self.days_before.get(day) != row
        ]
        other_months = [
            row for key, row in self.months.items() if key not in kept_months and self.months_before.get(key) != row
        ]
        return after, other_days, other_months


def replace_day(draft: Draft, before: DayUsage | None, after: DayUsage) -> None:
    """Put `after` in its place, and move its month's sums along."""
    draft.days[after.day] = after
    if before is not None:
        _add_to_month(draft, before, sign=-1)
    _add_to_month(draft, after, sign=1)


def _add_to_month(draft: Draft, row: DayUsage, *, sign: int) -> None:
    month = month_row(draft, row.day.replace(day=1), row.workspace_key)
    draft.months[month.month, month.workspace_key] = replace(
        month,
        days=month.days + sign,
        days_operations=month.days_operations + sign * row.operations,
        storage_byte_seconds=month.storage_byte_seconds + sign * row.storage_byte_seconds,
        storage_seconds=month.storage_seconds + sign * row.storage_seconds,
    )


def month_row(draft: Draft, month: date, workspace_key: int) -> MonthUsage:
    """Return the sums of a month in a workspace, empty where there are none yet."""
    return draft.months.get((month, workspace_key)) or MonthUsage(
        database_key=draft.state.key, month=month, workspace_key=workspace_key
    )


def keep_reading(draft: Draft, reading: UsageReading) -> None:
    """Keep a raw reading that says something new."""
    draft.readings.append(
        StoredReading(
            database_key=draft.state.key,
            read_at=reading.read_at,
            window_name=reading.window.name,
            period_start_at=reading.period_start_at,
            period_end_at=reading.period_end_at,
            operations=reading.operations,
            storage_bytes=reading.storage_bytes,
        )
    )
