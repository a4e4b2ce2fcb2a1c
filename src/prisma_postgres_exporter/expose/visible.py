"""What a user sees who may see some workspaces alone: the same values, without what is of others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from starlette.types import Scope

from prisma_postgres_exporter.config import Sources
from prisma_postgres_exporter.cost import By, Outlook
from prisma_postgres_exporter.errors import StoreError, StoreUnavailable, TooBusy
from prisma_postgres_exporter.expose.selection import NO_WORKSPACE
from prisma_postgres_exporter.expose.status import ServiceStatus
from prisma_postgres_exporter.model import Event, EventKind, Happened
from prisma_postgres_exporter.report import Chosen, LedgerMonth, MonthCosts, UsageRow, month_costs
from prisma_postgres_exporter.snapshot import Snapshot

if TYPE_CHECKING:
    from prisma_postgres_exporter.expose.ledger import Ledger

USER = "prisma_postgres_exporter.user"
SEEN = "prisma_postgres_exporter.workspaces"
"""Keys of a request's scope: who asks, and the workspaces that this user may see."""

Seen = frozenset[str] | None
"""Ids of workspaces, and `none` for what belongs to none; `None`: everything."""

NOT_SHOWN = "not shown to this user"


def seen(scope: Scope) -> Seen:
    """The workspaces that whoever asks may see."""
    found: Seen = scope.get(SEEN)
    return found


def visible_snapshot(taken: Snapshot | None, workspaces: Seen) -> Snapshot | None:
    """The part of a snapshot that may be seen."""
    if taken is None or workspaces is None:
        return taken
    return replace(
        taken,
        workspaces=tuple(view for view in taken.workspaces if view.workspace_id in workspaces),
        databases=tuple(view for view in taken.databases if view.workspace_id in workspaces),
        budgets=taken.budgets if NO_WORKSPACE in workspaces else (),
        filtered=0,
    )


def visible_status(status: ServiceStatus, workspaces: Seen) -> ServiceStatus:
    """The part of a status that may be seen: nothing of how the service runs, which may name what is of others."""
    if workspaces is None:
        return status
    taken = visible_snapshot(status.snapshot, workspaces)
    databases = {view.database_id for view in taken.databases} if taken else set()
    return ServiceStatus(
        is_part=True,
        version=NOT_SHOWN,
        now_at=status.now_at,
        started_at=status.started_at,
        api_url=NOT_SHOWN,
        store_url=NOT_SHOWN,
        store_error=None if status.store_error is None else NOT_SHOWN,
        not_ready_reason=None if status.not_ready_reason is None else NOT_SHOWN,
        unhealthy_reason=None if status.unhealthy_reason is None else NOT_SHOWN,
        credentials=tuple(row for row in status.credentials if (row.workspace_id or NO_WORKSPACE) in workspaces),
        snapshot=taken,
        workspace_days={id_: days for id_, days in status.workspace_days.items() if id_ in workspaces},
        waits={id_: at for id_, at in status.waits.items() if id_ in databases},
        rounds=tuple(row for row in status.rounds if row.workspace_id in workspaces),
        collected_by={id_: name for id_, name in status.collected_by.items() if id_ in workspaces},
    )


def visible_ledger(ledger: Ledger, workspaces: Seen) -> Ledger:
    """A ledger that knows of these workspaces alone."""
    return ledger if workspaces is None else _VisibleLedger(ledger, workspaces)


class _VisibleLedger:
    def __init__(self, ledger: Ledger, workspaces: frozenset[str]) -> None:
        self._ledger = ledger
        self._workspaces = workspaces

    def now(self) -> datetime:
        return self._ledger.now()

    async def month(self, until: datetime) -> LedgerMonth:
        with _without_the_store():
            return _visible_month(await self._ledger.month(until), self._workspaces)

    async def this_month(self) -> LedgerMonth:
        with _without_the_store():
            return _visible_month(await self._ledger.this_month(), self._workspaces)

    async def costs(self) -> MonthCosts | str | None:
        try:
            return month_costs(await self.this_month())
        except (StoreError, TooBusy) as error:
            return str(error)

    async def unknown(self, chosen: Chosen) -> tuple[str, ...]:
        with _without_the_store():
            return await self._ledger.unknown(replace(chosen, workspaces=self._workspaces))

    async def days(
        self, from_day: date, to_day: date, by: By, chosen: Chosen, *, most_rows: int
    ) -> tuple[list[UsageRow], date | None]:
        mine = replace(chosen, workspaces=self._workspaces)
        with _without_the_store():
            return await self._ledger.days(from_day, to_day, by, mine, most_rows=most_rows)

    async def outlook(self, chosen: Chosen) -> Outlook:
        with _without_the_store():
            return await self._ledger.outlook(replace(chosen, workspaces=self._workspaces))

    async def newest(self, chosen: Chosen, from_day: date, *, most: int) -> Happened:
        with _without_the_store():
            happened = await self._ledger.newest(chosen, from_day, most=most)
        return replace(happened, events=tuple(event for event in happened.events if self._may_see(event)))

    def _may_see(self, event: Event) -> bool:
        """Not where a database moved from or to a workspace of others."""
        between = {event.before, event.after} if event.kind is EventKind.MOVED else set()
        return {event.workspace_id, *between} - {None} <= self._workspaces


@contextmanager
def _without_the_store() -> Iterator[None]:
    """A failure's text has the store's path or host, and what its operator is to do."""
    try:
        yield
    except StoreError:
        raise StoreUnavailable(NOT_SHOWN) from None


def _visible_month(month: LedgerMonth, workspaces: Collection[str]) -> LedgerMonth:
    mine = month.of_workspaces(workspaces)
    budgets = month.costs.budgets if NO_WORKSPACE in workspaces else ()
    # Flags may name the store.
    config = month.config.model_copy(update={"sources": Sources()})
    previous = mine.previous and replace(mine.previous, config=config)
    return replace(mine, costs=replace(mine.costs, budgets=budgets), config=config, previous=previous)
