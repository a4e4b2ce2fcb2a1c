"""Rules of instants: whatever this program noticed or read lies in the past."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, or_

from prisma_postgres_exporter.store.constraints import DAY_SECONDS
from prisma_postgres_exporter.store.invariants.rule import NOW, TODAY, WAIT, Invariant
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


def _in_the_past(
    name: str,
    *columns: Column[Any],
    must_hold: str,
    reason: str,
    or_broken: tuple[ColumnElement[bool], ...] = (),
    shows: tuple[Column[Any], ...] = (),
) -> Invariant:
    """No instant of these columns is in the future; they are shown with `shows`, unless the row is named by them."""
    return Invariant(
        name=name,
        table=columns[0].table,
        broken=or_(*(column > NOW for column in columns), *or_broken),
        shows=(*(column for column in columns if not column.primary_key), *shows),
        must_hold=must_hold,
        reason=reason,
        advice=WAIT,
    )


INSTANT_INVARIANTS: tuple[Invariant, ...] = (
    _in_the_past(
        "nothing-written-in-the-future",
        workspaces.c.written_at,
        must_hold="the workspace was written in the past",
        reason="this machine's clock, or the writer's, was wrong: readings are passed over until it has caught up",
    ),
    _in_the_past(
        "workspace-seen-in-the-past",
        workspaces.c.first_seen_at,
        workspaces.c.gone_at,
        must_hold="first_seen_at and gone_at are in the past",
        reason="databases made after first_seen_at are counted from their first day",
    ),
    _in_the_past(
        "plan-seen-in-the-past",
        plans.c.at,
        shows=(plans.c.plan,),
        must_hold="the plan was seen in the past",
        reason="a month is charged by the plans that were seen until its end",
    ),
    _in_the_past(
        "database-seen-in-the-past",
        databases.c.first_seen_at,
        databases.c.deleted_at,
        or_broken=(databases.c.counted_from > TODAY,),
        shows=(databases.c.counted_from,),
        must_hold="first_seen_at and deleted_at are in the past, and counted_from is today or earlier",
        reason="until counted_from nothing moves the counter",
    ),
    _in_the_past(
        "state-in-the-past",
        positions.c.storage_at,
        positions.c.usage_at,
        positions.c.last_success_at,
        positions.c.failing_since_at,
        positions.c.recheck_at,
        or_broken=(positions.c.checked_until >= TODAY,),
        shows=(positions.c.checked_until,),
        must_hold="every instant of it is in the past, and checked_until is before today",
        reason="a reading that is not newer than what is known is passed over",
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
    _in_the_past(
        "window-read-in-the-past",
        rolling.c.read_at,
        must_hold="the window was read in the past",
        reason="a reading that is not newer than what is known is passed over",
    ),
    _in_the_past(
        "reading-in-the-past",
        readings.c.read_at,
        must_hold="it was read in the past",
        reason="the answer is not of that time",
    ),
    _in_the_past(
        "revision-in-the-past",
        revisions.c.revised_at,
        must_hold="it was noticed in the past",
        reason="nobody knows what the vendor will revise",
    ),
    _in_the_past(
        "event-in-the-past",
        events.c.at,
        must_hold="it was noticed in the past",
        reason="nobody knows what will happen",
    ),
)
