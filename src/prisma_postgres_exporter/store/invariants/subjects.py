"""Rules of single rows: the store's state, databases, their positions, and events."""

from __future__ import annotations

from sqlalchemy import and_, exists

from prisma_postgres_exporter.store.invariants.rule import (
    DAY_SECONDS,
    NOW,
    RESTORE,
    TODAY,
    WAIT,
    Invariant,
)
from prisma_postgres_exporter.store.tables import cost_configuration, databases, days, positions

SUBJECT_INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        name="costs-written-in-the-past",
        table=cost_configuration,
        broken=cost_configuration.c.written_at > NOW,
        shows=(cost_configuration.c.written_at,),
        must_hold="written_at is in the past",
        reason="reports say since when it is in force",
        advice=WAIT,
    ),
    Invariant(
        name="database-has-a-state",
        table=databases,
        broken=positions.c.database_key.is_(None),
        must_hold="a row of positions has its key",
        reason="without one it is neither polled nor shown",
        advice=RESTORE,
    ),
    Invariant(
        name="counted-from-a-day-that-was",
        table=databases,
        broken=and_(
            databases.c.counted_from < databases.c.created_at // DAY_SECONDS,
            databases.c.counted_from < databases.c.first_seen_at // DAY_SECONDS,
            # The vendor may correct created_at to a later one, before that day was read: nothing was counted then.
            positions.c.known_until >= databases.c.counted_from,
            # Or after it: what was counted stays so.
            ~exists().where(
                days.c.day == databases.c.counted_from, days.c.database_key == databases.c.key, days.c.is_counted
            ),
        ),
        shows=(databases.c.counted_from, databases.c.created_at, databases.c.first_seen_at),
        must_hold="counted_from is not before its creation and its first sight, or a counted day, or not read yet",
        reason="the counter begins with the day on which a database was first seen, or made",
        advice=RESTORE,
    ),
    Invariant(
        name="known-until-today-at-most",
        table=positions,
        broken=positions.c.known_until > TODAY,
        shows=(positions.c.known_until,),
        must_hold="known_until is today or earlier",
        reason="nothing is known of a day that has not begun: the clock was wrong",
        advice=WAIT,
    ),
)
