"""The Management API of one workspace without a network: what the client would return, from the world itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from prisma_postgres_exporter import api
from prisma_postgres_exporter.errors import CredentialRefused, NotFound, RequestRefused, Unavailable
from prisma_postgres_exporter.model import Workspace
from prisma_postgres_exporter.simulator.clock import Clock, from_ms
from prisma_postgres_exporter.simulator.vendor import Broken, PeriodRefused, Vendor

T = TypeVar("T")


class Listed(Generic[T]):
    """A list of one page."""

    def __init__(self, entries: Sequence[T]) -> None:
        self.entries = tuple(entries)

    async def pages(self) -> AsyncIterator[api.Page[T]]:
        """The page."""
        yield api.Page(entries=self.entries, next_cursor=None)


class DirectApi:
    """What rounds ask, answered by a vendor at once; a token opens the workspace that it belongs to."""

    def __init__(self, vendor: Vendor, clock: Clock, token: str) -> None:
        self.vendor = vendor
        self.clock = clock
        self._workspace_id = vendor.world.tokens.get(token)

    @property
    def skew_seconds(self) -> float | None:
        """Both live by the same clock."""
        return 0.0

    async def me(self) -> api.Me:
        """Whose token it is."""
        workspace = self._workspace()
        return api.Me(workspace=api.WorkspaceReference(id=workspace.id, name=workspace.name))

    def projects(self) -> Listed[api.Project]:
        """Every project of the workspace."""
        workspace = self._workspace()
        owner = api.WorkspaceReference(id=workspace.id, name=workspace.name)
        return Listed(
            [
                api.Project(id=project.id, name=project.name, workspace=owner)
                for project in self.vendor.world.projects(self.clock())
                if project.workspace_id == workspace.id
            ]
        )

    def databases(self) -> Listed[api.Database]:
        """Every database of the workspace."""
        listed = self.vendor.world.databases(self.clock(), workspace_id=self._workspace().id)
        return Listed(
            [
                api.Database(
                    id=database.id,
                    name=database.name,
                    status=database.status,
                    created_at=database.created_at,
                    is_default=database.is_default,
                    project=api.ProjectReference(id=database.project_id, name=database.project_name),
                    region=api.RegionReference(id=database.region, name=database.region) if database.region else None,
                )
                for database in listed
            ]
        )

    async def subscription(self, workspace_id: str) -> api.Subscription:
        """A workspace's plan and block."""
        workspace = self._workspace()
        return api.Subscription(plan_name=workspace.plan, usage_blocked=workspace.usage_blocked)

    async def usage(
        self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
    ) -> api.Usage:
        """One database's usage as the vendor tells it now."""
        now = self.clock()
        database = self.vendor.world.database(database_id, now)
        if database is None or database.workspace_id != self._workspace().id:
            raise NotFound("no such database", reason="http_404", status=404)
        try:
            said = self.vendor.usage(database_id, now=now, start_at=start_at, end_at=end_at)
        except PeriodRefused as error:
            raise RequestRefused(str(error), reason="http_400", status=400) from error
        except Broken as error:
            raise Unavailable("something went wrong", reason="http_500", status=500) from error
        return api.Usage(
            period_start_at=from_ms(said.start_ms),
            period_end_at=from_ms(said.end_ms),
            operations=said.operations,
            storage_bytes=said.storage_bytes,
            generated_at=from_ms(said.generated_ms),
            answered_at=now,
        )

    async def retire(self) -> None:
        """There is nothing to close."""

    def _workspace(self) -> Workspace:
        if self._workspace_id is None:
            raise CredentialRefused("the token is not valid", reason="http_401", status=401)
        return self.vendor.world.workspace(self._workspace_id, self.clock())
