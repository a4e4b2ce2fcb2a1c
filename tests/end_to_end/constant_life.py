"""A store whose databases are used and filled at one pace for ever, and commands that look at it by a moved clock."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from lived_store import carry, due_windows, live_discovery
from typer.testing import CliRunner

from prisma_postgres_exporter import ledger
from prisma_postgres_exporter.cli import app
from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.ledger.backfill import plan_backfill
from prisma_postgres_exporter.model import (
    Database,
    DatabaseState,
    Discovered,
    LedgerState,
    UsageReading,
    Window,
    WindowKind,
    Workspace,
    WorkspaceState,
    day_start,
)
from prisma_postgres_exporter.store import Store

POLL = PollConfig()
DAY_SECONDS = 86_400
BEGINS_AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the vendor has: operations a day and bytes, always the same, of a workspace on Pro."""

    per_day: Callable[[date], int]
    storage_bytes: Sequence[int]

    def found(self, at: datetime) -> Discovered:
        return Discovered(
            at=at,
            workspaces=(Workspace(id="wksp_1", name="Acme", plan="Pro", usage_blocked=False),),
            databases=tuple(
                Database(
                    id=f"db_{number}",
                    name=f"database {number}",
                    project_id="proj_1",
                    project_name="shop",
                    workspace_id="wksp_1",
                    region="eu-west-3",
                    status="ready",
                    is_default=number == 1,
                    created_at=BEGINS_AT,
                )
                for number in range(1, len(self.storage_bytes) + 1)
            ),
        )

    def reading(self, database_id: str, window: Window, now: datetime) -> UsageReading:
        number = int(database_id.removeprefix("db_"))
        return UsageReading(
            database_id=database_id,
            window=window,
            period_start_at=window.start_at,
            period_end_at=window.end_at,
            operations=self._until(window.end_at) - self._until(window.start_at),
            storage_bytes=self.storage_bytes[number - 1],
            generated_at=now,
            read_at=now,
        )

    def _until(self, at: datetime) -> int:
        """Operations of a database since the beginning."""
        days = (at - BEGINS_AT).days
        whole = sum(self.per_day(BEGINS_AT.date() + timedelta(days=day)) for day in range(days))
        return whole + self.per_day(at.date()) * (at - day_start(at.date())).seconds // DAY_SECONDS


def follow(url: str, given: Given, instants: Iterable[datetime], *, days_from: date = date.min) -> None:
    """Read what is due at each instant, discovered at the first one; no day before `days_from` is answered."""
    store = Store.open(url)
    state: LedgerState | None = None
    for now in instants:
        if state is None:
            state = live_discovery(store, store.load(now), given.found(now))
        state = carry(state, now)
        state = state.with_workspaces(
            *(
                _read(store, row, [due for due in due_windows(row, now) if _is_answered(due[1], days_from)], given, now)
                for row in state.workspaces.values()
            )
        )
    store.close()


def _is_answered(window: Window, days_from: date) -> bool:
    return window.kind is not WindowKind.DAY or window.start_at.date() >= days_from


def backfill(url: str, given: Given, from_day: date, to_day: date, now: datetime) -> int:
    """Read the days that are missing, and return how many requests that took."""
    store = Store.open(url)
    (workspace,) = store.load(now).workspaces.values()
    known = {
        (row.database_key, row.day)
        for row in store.days(from_day=from_day, to_day=to_day)
        if row.unchanged_since_at is not None
    }
    reads = plan_backfill(workspace.databases.values(), from_day=from_day, to_day=to_day, earlier=known).reads
    windows = [(workspace.databases[read.database_id], window) for read in reads for window in read.windows]
    _read(store, workspace, windows, given, now)
    store.close()
    return len(windows)


def _read(
    store: Store,
    workspace: WorkspaceState,
    windows: Iterable[tuple[DatabaseState, Window]],
    given: Given,
    now: datetime,
) -> WorkspaceState:
    outcomes = [given.reading(state.database.id, window, now) for state, window in windows]
    older = store.ledger_rows(ledger.older_days(workspace, outcomes))
    update = ledger.post(workspace, outcomes, settle_after=POLL.settle_after, now=now, older=older)
    generation = store.record(update, workspace_id=workspace.workspace.id, generation=workspace.generation, at=now)
    return ledger.apply(workspace, update, generation=generation)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed."""

    output: str
    errors: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.output)


@contextmanager
def clock_at(at: datetime) -> Iterator[None]:
    """Let commands take this instant for now."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # a moved clock has no zone to choose
            return at

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prisma_postgres_exporter.cli.months.datetime", Moved)
        yield


def say(at: datetime, *arguments: str) -> Said:
    """Run a command at an instant."""
    with clock_at(at):
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Said(result.stdout, result.stderr, result.exit_code)
