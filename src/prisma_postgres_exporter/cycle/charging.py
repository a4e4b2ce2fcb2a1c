"""When costs are worked out: seldom enough to be cheap, and at once where something is new."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta

import structlog

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import HISTORY, Costs, charge, cost_warnings
from prisma_postgres_exporter.model import Book, WorkspaceDay

log = structlog.get_logger(__name__)

COSTS_EVERY = timedelta(minutes=1)
DAYS_READ_EVERY = timedelta(hours=1)

ReadDays = Callable[[date], Awaitable[tuple[WorkspaceDay, ...] | None]]
"""Reads the workspaces' days from a day on; `None` where the store cannot be read now."""


class Charger:
    """Keeps the costs of the month; `warnings` are what a person should know of them.

    `days` are the workspaces' newest days of the ledger, by day.
    """

    def __init__(self, read_days: ReadDays) -> None:
        self.costs = Costs()
        self.warnings: tuple[str, ...] = ()
        self._read_days = read_days
        self.days: tuple[WorkspaceDay, ...] = ()
        self._days_read_at: datetime | None = None
        self._charged_with: tuple[object, ...] | None = None
        self._charged_at: datetime | None = None

    async def charge(self, book: Book, config: Config, now: datetime) -> Costs:
        """Return the costs, worked out at most once a minute unless something is new: they concern every database."""
        news = _news(book, config, now)
        is_fresh = self._charged_at is not None and timedelta(0) <= now - self._charged_at < COSTS_EVERY
        if news == self._charged_with and is_fresh:
            return self.costs
        await self._refresh_days(now, has_news=news != self._charged_with)
        self.costs = await asyncio.to_thread(charge, book, config, self.days, now)
        self._charged_with, self._charged_at = news, now
        self._warn(book, config)
        return self.costs

    async def _refresh_days(self, now: datetime, *, has_news: bool) -> None:
        """Read the workspaces' days: when days became known, else once an hour, as closed days seldom change."""
        if not has_news and self._days_read_at is not None and now - self._days_read_at < DAYS_READ_EVERY:
            return
        days = await self._read_days((now - HISTORY).date())
        if days is not None:
            self.days, self._days_read_at = days, now

    def _warn(self, book: Book, config: Config) -> None:
        warnings = tuple(cost_warnings(book, config, self.costs))
        for warning in warnings:
            if warning not in self.warnings:
                log.warning("cost not whole", problem=warning)
        self.warnings = warnings


def _news(book: Book, config: Config, now: datetime) -> tuple[object, ...]:
    """What makes costs anew at once: another day, configuration, workspace or plan, or days that became known."""
    known_days = sum([position.known_until.toordinal() for position in book.positions.values()])
    return now.date(), id(config), tuple(book.workspaces.values()), known_days
