"""Read what exists in one workspace: its projects and its databases."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from prisma_postgres_exporter import api
from prisma_postgres_exporter.model import Database, Workspace
from prisma_postgres_exporter.rounds.vendor import Pages, VendorApi

T = TypeVar("T")

UNREADABLE = "outside_the_contract"
OTHER_WORKSPACE = "other_workspace"
LIST_CUT = "list_cut"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The databases of one workspace.

    `unclear_ids` are listed as well, in a way that cannot be used: nothing is known of them but that they are there.
    `is_complete` says that nothing is missing but what is in neither. `refused` counts the records that were left out,
    by reason.
    """

    workspace: Workspace
    databases: tuple[Database, ...]
    unclear_ids: frozenset[str] = frozenset()
    is_complete: bool = True
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def listed_ids(self) -> frozenset[str]:
        """Every id that was listed, usable or not."""
        return self.unclear_ids.union(database.id for database in self.databases)


async def read_inventory(
    client: VendorApi, workspace: Workspace, *, on_page: Callable[[], None] = lambda: None
) -> Inventory:
    """List the projects and databases that the credential of `workspace` sees.

    A record outside the contract is left out and counted, and so is a database whose project says that it belongs to
    another workspace: a token sees one workspace only. What is listed twice counts once, as it was listed last.
    `on_page` is called at each page.

    Raises:
        ApiError: a list could not be read to its end.
    """
    refused: Counter[str] = Counter()
    projects: dict[str, api.Project] = {}
    async for project_page in _pages(client.projects()):
        on_page()
        refused[UNREADABLE] += len(project_page.refused)
        projects.update((project.id, project) for project in project_page.entries)
    databases: dict[str, Database] = {}
    unclear: set[str] = set()
    is_complete = True
    async for page in _pages(client.databases()):
        on_page()
        refused[UNREADABLE] += len(page.refused)
        refused[LIST_CUT] += page.is_cut  # at least one
        unclear.update(record.id for record in page.refused if record.id is not None)
        is_complete = is_complete and not page.is_cut and all(record.id is not None for record in page.refused)
        for listed in page.entries:
            project = projects.get(listed.project.id)
            if project is not None and project.workspace.id != workspace.id:
                refused[OTHER_WORKSPACE] += 1
                unclear.add(listed.id)
                continue
            databases[listed.id] = _join(listed, project, workspace)
    return Inventory(
        workspace=workspace,
        databases=tuple(databases.values()),
        unclear_ids=frozenset(unclear - databases.keys()),
        is_complete=is_complete,
        refused={reason: count for reason, count in refused.items() if count},
    )


def _pages(listing: Pages[T]) -> AsyncIterator[api.Page[T]]:
    return listing.pages()


def _join(database: api.Database, project: api.Project | None, workspace: Workspace) -> Database:
    return Database(
        id=database.id,
        name=database.name,
        project_id=database.project.id,
        project_name=project.name if project else database.project.name,
        workspace_id=workspace.id,
        region=database.region.id if database.region else None,
        status=database.status,
        is_default=database.is_default,
        created_at=database.created_at.replace(microsecond=0),
    )
