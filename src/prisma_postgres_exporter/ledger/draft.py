"""One database while its readings are posted: its position, and the rows that they change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import chain

from prisma_postgres_exporter.model import (
    DayUsage,
    MonthUsage,
    Position,
    Revision,
    RollingUsage,
    StoredReading,
    UsageReading,
)

ONE_DAY = timedelta(days=1)


@dataclass(slots=True)
class Draft:
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
    ) -> Draft:
        """Begin with a position and the older rows that were looked up for it."""
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
        database_key=draft.position.key, month=month, workspace_key=workspace_key
    )


def keep_reading(draft: Draft, reading: UsageReading) -> None:
    """Keep a raw reading that says something new."""
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
