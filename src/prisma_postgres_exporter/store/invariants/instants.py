"""Rules of instants: whatever this program noticed or read lies in the past."""

from __future__ import annotations

from sqlalchemy import or_

from prisma_postgres_exporter.store.invariants.rule import DAY_SECONDS, NOW, TODAY, WAIT, Invariant
from prisma_postgres_exporter.store.tables import (
    databases,
    days,
    events,
    plans,
    positions,
    readings,
    revisions,
    rolling,
    workspaces,
)

_STATE_INSTANTS = (
    positions.c.storage_at,
    positions.c.usage_at,
    positions.c.last_success_at,
    positions.c.failing_since_at,
    positions.c.recheck_at,
)

INSTANT_INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        name="workspace-seen-in-the-past",
        table=workspaces,
        broken=or_(workspaces.c.first_seen_at > NOW, workspaces.c.gone_at > NOW),
        shows=(workspaces.c.first_seen_at, workspaces.c.gone_at),
        must_hold="first_seen_at and gone_at are in the past",
        reason="databases made after first_seen_at are counted from their first day",
        advice=WAIT,
    ),
    Invariant(
        name="plan-seen-in-the-past",
        table=plans,
        broken=plans.c.at > NOW,
        shows=(plans.c.plan,),
        must_hold="the plan was seen in the past",
        reason="a month is charged by the plans that were seen until its end",
        advice=WAIT,
    ),
    Invariant(
        name="database-seen-in-the-past",
        table=databases,
        broken=or_(databases.c.first_seen_at > NOW, databases.c.deleted_at > NOW, databases.c.counted_from > TODAY),
        shows=(databases.c.first_seen_at, databases.c.deleted_at, databases.c.counted_from),
        must_hold="first_seen_at and deleted_at are in the past, and counted_from is today or earlier",
        reason="until counted_from nothing moves the counter",
        advice=WAIT,
    ),
    Invariant(
        name="state-in-the-past",
        table=positions,
        broken=or_(*(column > NOW for column in _STATE_INSTANTS), positions.c.checked_until >= TODAY),
        shows=(*_STATE_INSTANTS, positions.c.checked_until),
        must_hold="every instant of it is in the past, and checked_until is before today",
        reason="a reading that is not newer than what is known is passed over",
        advice=WAIT,
    ),
    Invariant(
        name="storage-held-until-now",
        table=days,
        broken=days.c.storage_seconds > NOW - days.c.day * DAY_SECONDS,
        shows=(days.c.storage_seconds,),
        must_hold="storage_seconds are not more than have passed of the day",
        reason="storage is held, and billed, for time that has passed",
        advice=WAIT,
    ),
    Invariant(
        name="window-read-in-the-past",
        table=rolling,
        broken=rolling.c.read_at > NOW,
        shows=(rolling.c.read_at,),
        must_hold="the window was read in the past",
        reason="a reading that is not newer than what is known is passed over",
        advice=WAIT,
    ),
    Invariant(
        name="reading-in-the-past",
        table=readings,
        broken=readings.c.read_at > NOW,
        must_hold="it was read in the past",
        reason="the answer is not of that time",
        advice=WAIT,
    ),
    Invariant(
        name="revision-in-the-past",
        table=revisions,
        broken=revisions.c.revised_at > NOW,
        must_hold="it was noticed in the past",
        reason="nobody knows what the vendor will revise",
        advice=WAIT,
    ),
    Invariant(
        name="event-in-the-past",
        table=events,
        broken=events.c.at > NOW,
        must_hold="it was noticed in the past",
        reason="nobody knows what will happen",
        advice=WAIT,
    ),
)
