"""Let the ledger of a demo live through the past of a simulated world, without a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.api import Usage
from prisma_postgres_exporter.backfill import plan_backfill
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.discover import Inventory, find_changes
from prisma_postgres_exporter.model import Book, Discovered, ReadingFailure, UsageReading
from prisma_postgres_exporter.plan import PlannedRead, make_plan
from prisma_postgres_exporter.poll import interpret
from prisma_postgres_exporter.simulator import Vendor, World
from prisma_postgres_exporter.simulator.instants import from_ms
from prisma_postgres_exporter.store import Store

BACKFILLED_DAYS = timedelta(days=92)
LIVED = timedelta(days=4)
ROUND_EVERY = timedelta(hours=7)
LAST_ROUNDS = timedelta(hours=2)
ENDLESS = 1_000_000


def live_through_the_past(vendor: Vendor, store: Store, poll: PollConfig, *, now: datetime) -> None:
    """Fill an empty store as three months of running would have: days, revisions, settled days and events."""
    at = (now - LIVED).replace(microsecond=0)
    book = _discover(vendor.world, store, store.load(at), at)
    book = _backfill(vendor, store, poll, book, at)
    while at < now:
        book = _discover(vendor.world, store, book, at)
        book = _round(vendor, store, poll, book, at)
        # Then as often as in life, so that what was revised meanwhile is found and put right.
        at = max(at + poll.interval, min(at + ROUND_EVERY, now - LAST_ROUNDS))


def answer(vendor: Vendor, read: PlannedRead, now: datetime) -> Iterator[UsageReading | ReadingFailure]:
    """Yield what a planned read gives when the vendor answers it at once."""
    window = read.windows[0]
    said = vendor.usage(
        read.database_id, now=now, start_at=window.start_at, end_at=window.end_at - timedelta(milliseconds=1)
    )
    usage = Usage(
        period_start_at=from_ms(said.start_ms),
        period_end_at=from_ms(said.end_ms),
        operations=said.operations,
        storage_bytes=said.storage_bytes,
        generated_at=now,
    )
    return interpret(read, usage, read_at=now)


def discovered(world: World, book: Book, now: datetime) -> Discovered:
    """Return what a discovery of the whole world finds."""
    inventories = [
        Inventory(workspace=workspace, databases=world.databases(now, workspace_id=workspace.id))
        for workspace in world.workspaces(now)
    ]
    return find_changes(book, inventories, gone_workspace_ids=(), now=now)


def _discover(world: World, store: Store, book: Book, at: datetime) -> Book:
    found = discovered(world, book, at)
    if not (found.workspaces or found.databases or found.events):
        return book
    store.record_discovery(found, generation=book.generation)
    return store.load(at)


def _backfill(vendor: Vendor, store: Store, poll: PollConfig, book: Book, at: datetime) -> Book:
    todo = plan_backfill(
        book.positions.values(),
        from_day=(at - BACKFILLED_DAYS).date(),
        to_day=at.date() - timedelta(days=1),
        known=(),
    )
    return _read(vendor, store, poll, book, todo.reads, at)


def _round(vendor: Vendor, store: Store, poll: PollConfig, book: Book, at: datetime) -> Book:
    plan = make_plan(
        book,
        followed=book.positions.keys(),
        readable_workspaces=book.workspaces.keys(),
        attempts={},
        poll=poll,
        budget=ENDLESS,
        now=at,
    )
    return _read(vendor, store, poll, book, plan.reads, at)


def _read(
    vendor: Vendor, store: Store, poll: PollConfig, book: Book, reads: Iterable[PlannedRead], at: datetime
) -> Book:
    existing = {database.id for database in vendor.world.databases(at)}
    outcomes = [outcome for read in reads if read.database_id in existing for outcome in answer(vendor, read, at)]
    older = store.ledger_rows(ledger.older_days(book, outcomes))
    posting = ledger.post(book, outcomes, settle_after=poll.settle_after, older=older)
    generation = store.record(posting, at=at, generation=book.generation)
    return ledger.apply(book, posting, generation=generation)
