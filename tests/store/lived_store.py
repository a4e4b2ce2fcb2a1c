"""A store that the real plan and the real ledger have filled for a month: days revised, a move, a deletion."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from store_values import DAY, database, discovered

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.model import Book, Discovered, Event, EventKind, UsageReading, Window, day_start
from prisma_postgres_exporter.plan import make_plan
from prisma_postgres_exporter.store import Store

BEGINS_AT = datetime(2026, 10, 28, 12, 0, tzinfo=UTC)
ENDS_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STEP = timedelta(hours=4)
CREATED_AT = datetime(2026, 11, 5, 8, 0, tzinfo=UTC)
MOVED_AT = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)
DELETED_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
GIB = 2**30
POLL = PollConfig()


def event(at: datetime, kind: EventKind, id_: str) -> Event:
    return Event(at=at, kind=kind, subject="database", subject_id=id_, workspace_id="wksp_1")


CHANGES = {
    BEGINS_AT: discovered(3, workspaces=2, at=BEGINS_AT),
    CREATED_AT: Discovered(at=CREATED_AT, databases=(database(4, created_at=CREATED_AT - timedelta(minutes=9)),)),
    MOVED_AT: Discovered(
        at=MOVED_AT, databases=(database(3, workspace=2),), events=(event(MOVED_AT, EventKind.MOVED, "db_3"),)
    ),
    DELETED_AT: Discovered(
        at=DELETED_AT, deleted_database_ids=("db_1",), events=(event(DELETED_AT, EventKind.DELETED, "db_1"),)
    ),
}


def live(store: Store) -> None:
    """Fill the store from `BEGINS_AT` to `ENDS_AT`: what is due is read every few hours."""
    book, now = store.load(BEGINS_AT), BEGINS_AT
    while now <= ENDS_AT:
        if now in CHANGES:
            store.record_discovery(CHANGES[now], generation=book.generation)
            book = store.load(now)
        book = live_round(store, book, now)
        now += STEP


def live_round(store: Store, book: Book, now: datetime, poll: PollConfig = POLL) -> Book:
    """Read what is due, and write it."""
    plan = make_plan(
        book,
        followed=book.positions,
        readable_workspaces=book.workspaces,
        attempts={},
        poll=poll,
        budget=1_000,
        now=now,
    )
    outcomes = [
        reading(read.database_id, window, read.created_at, now) for read in plan.reads for window in read.windows
    ]
    older = store.ledger_rows(ledger.older_days(book, outcomes))
    posting = ledger.post(book, outcomes, settle_after=poll.settle_after, older=older)
    return ledger.apply(book, posting, generation=store.record(posting, at=now, generation=book.generation))


def reading(database_id: str, window: Window, created_at: datetime, now: datetime) -> UsageReading:
    """What this vendor says: a few operations for each minute; the last day but one is corrected by and by."""
    begins_at = max(window.start_at, created_at)
    return UsageReading(
        database_id=database_id,
        window=window,
        period_start_at=window.start_at,
        period_end_at=window.end_at,
        operations=sum(
            told(database_id, day, max(begins_at, day_start(day)), min(window.end_at, day_start(day) + DAY), now)
            for day in days(begins_at, window.end_at)
        ),
        storage_bytes=5 * GIB + int((now - BEGINS_AT).total_seconds()),
        generated_at=now,
        read_at=now,
    )


def told(database_id: str, day: date, begins_at: datetime, ends_at: datetime, now: datetime) -> int:
    """Operations of a part of a day: on some days too many or too few until ten hours after the day."""
    number = int(database_id[-1])
    operations = number * int((ends_at - begins_at).total_seconds()) // 60
    is_early = now < day_start(day) + DAY + timedelta(hours=10)
    wrong = {0: 7, 1: -5}.get((day.toordinal() + number) % 4, 0)
    return max(0, operations + (wrong if is_early and now >= day_start(day) + DAY else 0))


def days(begins_at: datetime, ends_at: datetime) -> Iterator[date]:
    """The days that a span touches."""
    day = begins_at.date()
    while day_start(day) < ends_at:
        yield day
        day += DAY
