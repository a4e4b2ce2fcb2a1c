"""What a round asks of the Management API: so that rounds run against the client, and against a world in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Protocol, TypeVar

from prisma_postgres_exporter.api import Database, Me, Page, Project, Subscription, Usage
from prisma_postgres_exporter.config import Config, Credential

T = TypeVar("T")


class Pages(Protocol[T]):
    """A list, page by page."""

    def pages(self) -> AsyncIterator[Page[T]]:
        """Read it page after page."""


class VendorApi(Protocol):
    """The calls of one credential; each may raise an `ApiError`."""

    @property
    def skew_seconds(self) -> float | None:
        """This machine's clock less the vendor's, at the newest answer that told a time."""

    async def me(self) -> Me:
        """Whose token it is."""

    def projects(self) -> Pages[Project]:
        """Every project that the token sees."""

    def databases(self) -> Pages[Database]:
        """Every database that the token sees."""

    async def subscription(self, workspace_id: str) -> Subscription:
        """A workspace's plan and block."""

    async def usage(
        self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
    ) -> Usage:
        """One database's usage, both ends included; without them of the month to date."""

    async def retire(self) -> None:
        """Take no new call, and close when those under way have ended."""


MakeApi = Callable[[Credential, Config, int], VendorApi]
"""Makes the client of one credential, where there are so many.

Raises:
    ConfigurationError: a token or an address that cannot be used.
"""
