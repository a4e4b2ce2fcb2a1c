"""What the schema refuses of a single row, whoever writes it; what a row may refer to is said in `tables`.

Each is named as `store check` names it, with `_` for `-`. Migration 0007 holds the same as text.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ColumnElement, and_, cast, literal, or_

from prisma_postgres_exporter.model import EventKind
from prisma_postgres_exporter.store.tables import (
    cost_configuration,
    days,
    events,
    metadata,
    months,
    positions,
    readings,
    revisions,
    rolling,
    workspaces,
)

DAY_SECONDS = cast(literal(86_400), BigInteger)
"""A day's number times this does not fit 32 bits from 2038 on."""

_CHECKS: dict[str, ColumnElement[bool]] = {
    "generation_counts_writes": workspaces.c.generation >= 0,
    "costs_are_a_document": and_(cost_configuration.c.key == 1, cost_configuration.c.document.like('{%"version"%}')),
    "counters_not_negative": and_(
        positions.c.operations_total >= 0, positions.c.revisions_up >= 0, positions.c.revisions_down >= 0
    ),
    "storage_level_with_its_time": and_(
        positions.c.storage_bytes.is_(None) == positions.c.storage_at.is_(None),
        or_(positions.c.storage_bytes.is_(None), positions.c.storage_bytes >= 0),
    ),
    "failure_with_its_time": positions.c.failing_since_at.is_(None) == positions.c.failure_reason.is_(None),
    "checked_only_what_is_known": positions.c.checked_until <= positions.c.known_until,
    "day_read_after_it_began": and_(days.c.day >= 0, days.c.read_at >= days.c.day * DAY_SECONDS),
    "operations_not_negative": days.c.operations >= 0,
    "highest_not_below_the_newest": days.c.operations_fallen >= 0,
    "storage_of_a_day_not_negative": and_(
        days.c.storage_bytes >= 0,
        days.c.storage_byte_seconds >= 0,
        or_(days.c.storage_seconds != 0, days.c.storage_byte_seconds == 0),
    ),
    "day_of_24_hours": days.c.storage_seconds.between(0, 86_400),
    "closed_when_unchanged": and_(
        days.c.unchanged_seconds >= 0,
        days.c.read_at - days.c.unchanged_seconds >= (days.c.day + 1) * DAY_SECONDS,
    ),
    "settled_after_unchanged": or_(
        days.c.settled_seconds.is_(None),
        and_(days.c.unchanged_seconds.is_not(None), days.c.settled_seconds.between(0, days.c.unchanged_seconds)),
    ),
    "month_read_whole": and_(
        months.c.operations.is_(None) == months.c.read_at.is_(None),
        months.c.operations.is_(None) == months.c.period_end_at.is_(None),
        or_(months.c.operations.is_not(None), months.c.difference_operations.is_(None)),
        or_(months.c.operations.is_(None), months.c.operations >= 0),
    ),
    "window_over_some_time": and_(rolling.c.operations >= 0, rolling.c.period_end_at > rolling.c.period_start_at),
    "reading_not_negative": and_(
        or_(readings.c.operations.is_(None), readings.c.operations >= 0),
        or_(readings.c.storage_bytes.is_(None), readings.c.storage_bytes >= 0),
    ),
    "revision_is_a_change": and_(
        revisions.c.operations_before >= 0,
        revisions.c.operations_after >= 0,
        revisions.c.operations_before != revisions.c.operations_after,
        revisions.c.revised_at >= revisions.c.day * DAY_SECONDS,
    ),
    "event_of_a_kind": and_(
        events.c.subject.in_(["workspace", "project", "database"]),
        events.c.kind.in_([kind.value for kind in EventKind]),
    ),
}

for _name, _condition in _CHECKS.items():
    # It finds its table by the columns.
    CheckConstraint(_condition, name=_name)

CHECKED = metadata
"""The tables with all that is refused."""
