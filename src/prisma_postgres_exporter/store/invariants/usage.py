"""Rules of single rows: days, months, rolling windows, readings and revisions."""

from __future__ import annotations

from sqlalchemy import and_, case, exists, or_

from prisma_postgres_exporter.store.constraints import DAY_SECONDS
from prisma_postgres_exporter.store.invariants.rule import (
    NOW,
    READ_AGAIN,
    REMOVE,
    RESTORE,
    THIS_MONTH,
    TODAY,
    WAIT,
    Invariant,
)
from prisma_postgres_exporter.store.tables import (
    databases,
    days,
    months,
    positions,
    readings,
    windows,
)

_day_ends_at = (days.c.day + 1) * DAY_SECONDS
_earlier = days.alias("earlier")
# A creation that the vendor corrected to a later one says nothing of the days that were read before it.
_is_first_day = and_(
    databases.c.created_at > days.c.day * DAY_SECONDS,
    databases.c.created_at < _day_ends_at,
    databases.c.created_at <= databases.c.first_seen_at,
    ~exists()
    .where(_earlier.c.day < days.c.day, _earlier.c.database_key == days.c.database_key)
    .correlate(days, databases),
)
LONGEST_STORAGE_SECONDS = case((_is_first_day, _day_ends_at - databases.c.created_at), else_=DAY_SECONDS)
"""How much of a day can have storage."""


USAGE_INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        name="no-day-in-the-future",
        table=days,
        broken=or_(days.c.day > TODAY, days.c.read_at > NOW),
        shows=(days.c.read_at,),
        must_hold="the day has begun, and was read in the past",
        reason="nothing is known of a day that has not begun: the clock was wrong",
        advice=WAIT,
    ),
    Invariant(
        name="day-no-longer-than-itself",
        table=days,
        broken=or_(days.c.storage_seconds < 0, days.c.storage_seconds > LONGEST_STORAGE_SECONDS),
        shows=(days.c.storage_seconds, databases.c.created_at),
        must_hold="0 <= storage_seconds <= 86,400, or on the day of its creation what was left of it",
        reason="no second of storage is held, and billed, twice",
        advice=RESTORE,
    ),
    Invariant(
        name="settled-after-those-before",
        table=days,
        broken=and_(days.c.settled_seconds.is_not(None), days.c.day > positions.c.known_until),
        shows=(days.c.settled_seconds, positions.c.known_until),
        must_hold="a settled day is not after known_until",
        reason="days after a gap wait for it: they would be lost from sight once they settled",
        advice=READ_AGAIN,
    ),
    Invariant(
        name="counted-from-its-first-day",
        table=days,
        broken=days.c.is_counted != (days.c.day >= databases.c.counted_from),
        shows=(days.c.is_counted, databases.c.counted_from),
        must_hold="a day is counted if, and only if, it is counted_from or later",
        reason="the counter begins there: days before it were filled in afterwards and must not move it",
        advice=RESTORE,
    ),
    Invariant(
        name="no-month-in-the-future",
        table=months,
        broken=or_(months.c.month > THIS_MONTH, months.c.read_at > NOW),
        shows=(months.c.read_at,),
        must_hold="the month has begun, and was read in the past",
        reason="no month's number may be shown as another's",
        advice=WAIT,
    ),
    Invariant(
        name="reading-of-a-database",
        table=readings,
        broken=or_(databases.c.key.is_(None), windows.c.key.is_(None)),
        shows=(readings.c.window_key,),
        must_hold="database_key is the key of a database, window_key that of a window",
        reason="nobody could say what was read",
        advice=REMOVE,
    ),
)
