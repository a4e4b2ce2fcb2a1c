"""A store that the real plan and the real ledger have filled for a month: days revised, a move, a deletion."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from store_values import DAY, concerned, database, discovered, generations

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.plan import Planner
from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    Discovered,
    Event,
    EventKind,
    LedgerState,
    ReadingFailure,
    UsageReading,
    Window,
    WorkspaceState,
    day_start,
)
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


def live(store: Store, on_round: Callable[[LedgerState, datetime], None] = lambda state, now: None) -> None:
    """Fill the store from `BEGINS_AT` to `ENDS_AT`: what is due is read every few hours.

    `on_round` is told what is held after each round.
    """
    ledger_state, now = store.load(BEGINS_AT), BEGINS_AT
    while now <= ENDS_AT:
        ledger_state = carry(ledger_state, now)
        if now in CHANGES:
            ledger_state = live_discovery(store, ledger_state, CHANGES[now])
        ledger_state = live_round(store, ledger_state, now)
        on_round(ledger_state, now)
        now += STEP


def carry(ledger_state: LedgerState, now: datetime) -> LedgerState:
    """Let go of what is not held any more at `now`."""
    return ledger_state.with_workspaces(
        *(ledger.carry_workspace(workspace, now) for workspace in ledger_state.workspaces.values())
    )


def live_discovery(store: Store, ledger_state: LedgerState, found: Discovered) -> LedgerState:
    """Write what was found, and read back the workspaces that this wrote to, and no other.

    Those are more than memory knows of where a database comes back elsewhere that memory has let go of.
    """
    before = generations(ledger_state)
    store.record_discovery(found, generations=concerned(ledger_state, found))
    written = {id_ for id_, generation in generations(store.load(found.at)).items() if before.get(id_) != generation}
    return ledger_state.with_workspaces(*store.load_workspaces(written, found.at).values())


def live_round(store: Store, ledger_state: LedgerState, now: datetime, poll: PollConfig = POLL) -> LedgerState:
    """Read what is due in each workspace, and write it."""
    return ledger_state.with_workspaces(
        *(
            live_reads(store, workspace, due_windows(workspace, now, poll), now, poll)
            for workspace in ledger_state.workspaces.values()
        )
    )


def due_windows(
    workspace: WorkspaceState, now: datetime, poll: PollConfig = POLL, *, budget: int = 1_000
) -> list[tuple[DatabaseState, Window]]:
    """Which windows of which databases are due."""
    plan = Planner(poll).plan(workspace, followed=workspace.databases, attempts={}, budget=budget, now=now)
    return [(workspace.databases[read.database_id], window) for read in plan.reads for window in read.windows]


def live_reads(
    store: Store,
    workspace: WorkspaceState,
    windows: Iterable[tuple[DatabaseState, Window]],
    now: datetime,
    poll: PollConfig = POLL,
    *,
    failed: Container[int] = (),
) -> WorkspaceState:
    """Read these windows, but for the `failed` ones (by their places), and write what that gives."""
    outcomes = [
        failure(state.database.id, window, now) if number in failed else reading(state.database, window, now)
        for number, (state, window) in enumerate(windows)
    ]
    older = store.ledger_rows(ledger.older_days(workspace, outcomes))
    update = ledger.post(workspace, outcomes, settle_after=poll.settle_after, now=now, older=older)
    generation = store.record(update, workspace_id=workspace.workspace.id, generation=workspace.generation, at=now)
    return ledger.apply(workspace, update, generation=generation)


def failure(database_id: str, window: Window, now: datetime) -> ReadingFailure:
    """A read that did not come."""
    return ReadingFailure(database_id=database_id, window=window, reason="timeout", message="", failed_at=now)


def reading(database: Database, window: Window, now: datetime) -> UsageReading:
    """What this vendor says: a few operations for each minute; the last day but one is corrected by and by."""
    begins_at = max(window.start_at, database.created_at)
    return UsageReading(
        database_id=database.id,
        window=window,
        period_start_at=window.start_at,
        period_end_at=window.end_at,
        operations=sum(
            told(database.id, day, max(begins_at, day_start(day)), min(window.end_at, day_start(day) + DAY), now)
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
