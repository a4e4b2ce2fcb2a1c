"""Rules of single rows: the store's state, databases, their positions, and events."""

from __future__ import annotations

from sqlalchemy import and_, exists, not_, or_

from prisma_postgres_exporter.model import EventKind
from prisma_postgres_exporter.store.invariants.rule import (
    DAY_SECONDS,
    NOW,
    REMOVE,
    REMOVE_COSTS,
    RESTORE,
    TODAY,
    WAIT,
    Invariant,
)
from prisma_postgres_exporter.store.tables import cost_configuration, databases, days, events, positions, workspaces

SUBJECT_INVARIANTS: tuple[Invariant, ...] = (
    Invariant(
        name="generation-counts-writes",
        table=workspaces,
        broken=workspaces.c.generation < 0,
        shows=(workspaces.c.generation,),
        must_hold="generation >= 0",
        reason="a writer compares the generation with the one it loaded: two writers must not both believe theirs",
        advice=RESTORE,
    ),
    Invariant(
        name="costs-are-a-document",
        table=cost_configuration,
        broken=not_(and_(cost_configuration.c.key == 1, cost_configuration.c.document.like('{%"version"%}'))),
        must_hold="there is one row, with key 1, and its document is an object of JSON with a version",
        reason="reports charge by it",
        advice=REMOVE_COSTS,
    ),
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
        name="database-in-a-workspace",
        table=databases,
        broken=workspaces.c.key.is_(None),
        shows=(databases.c.workspace_key,),
        must_hold="workspace_key is the key of a workspace",
        reason="its usage is billed to that workspace",
        advice=RESTORE,
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
        name="state-of-a-database",
        table=positions,
        broken=databases.c.key.is_(None),
        must_hold="database_key is the key of a database",
        reason="nobody could say whose counter it is",
        advice=REMOVE,
    ),
    Invariant(
        name="counters-not-negative",
        table=positions,
        broken=or_(positions.c.operations_total < 0, positions.c.revisions_up < 0, positions.c.revisions_down < 0),
        shows=(positions.c.operations_total, positions.c.revisions_up, positions.c.revisions_down),
        must_hold="operations_total, revisions_up and revisions_down are >= 0",
        reason="a counter begins at 0 and only grows",
        advice=RESTORE,
    ),
    Invariant(
        name="storage-level-with-its-time",
        table=positions,
        broken=or_(
            positions.c.storage_bytes.is_(None) != positions.c.storage_at.is_(None), positions.c.storage_bytes < 0
        ),
        shows=(positions.c.storage_bytes, positions.c.storage_at),
        must_hold="storage_bytes (>= 0) and storage_at are both known or both not",
        reason="a level is held from the time at which it was read",
        advice="the next reading corrects it; if it does not, report it",
    ),
    Invariant(
        name="failure-with-its-time",
        table=positions,
        broken=positions.c.failing_since_at.is_(None) != positions.c.failure_reason.is_(None),
        shows=(positions.c.failing_since_at, positions.c.failure_reason),
        must_hold="failing_since_at and failure_reason are both known or both not",
        reason="a failure has a reason, and began at some time",
        advice="the next reading corrects it; if it does not, report it",
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
    Invariant(
        name="checked-only-what-is-known",
        table=positions,
        broken=positions.c.checked_until > positions.c.known_until,
        shows=(positions.c.checked_until, positions.c.known_until),
        must_hold="checked_until is not after known_until",
        reason="a day must be known before it can be read once more",
        advice=RESTORE,
    ),
    Invariant(
        name="event-of-a-kind",
        table=events,
        broken=or_(
            not_(events.c.kind.in_([kind.value for kind in EventKind])),
            not_(events.c.subject.in_(["workspace", "project", "database"])),
        ),
        must_hold="kind and subject are among those that there are",
        reason="others cannot be read back",
        advice=REMOVE,
    ),
)
