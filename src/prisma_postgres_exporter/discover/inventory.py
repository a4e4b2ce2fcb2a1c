"""Read what exists: each credential's workspace, its projects and its databases."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prisma_postgres_exporter import api
from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.errors import ApiError, MalformedAnswer, NotFound
from prisma_postgres_exporter.model import Database, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialReport:
    """What one credential turned out to be. `workspace_id` is `None` where it could not say; then `error` tells why.

    A credential that knows its workspace can still have failed to list it.
    """

    name: str
    workspace_id: str | None = None
    error: ApiError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All databases of one workspace: a complete list."""

    workspace: Workspace
    databases: tuple[Database, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """One look at everything. `readers` is, by workspace id, the name of the credential that reads it."""

    credentials: tuple[CredentialReport, ...]
    inventories: tuple[Inventory, ...]
    readers: Mapping[str, str]


async def discover(clients: Mapping[str, ManagementApi]) -> Discovery:
    """Read what the clients (by credential name) can see.

    Never raises for what the vendor answers: a credential that fails is a report with its error. A
    workspace that several credentials see is read once, by the first of them that can.
    """
    identified = await asyncio.gather(*(_identify(name, client) for name, client in clients.items()))
    by_workspace: dict[str, list[str]] = defaultdict(list)
    workspaces: dict[str, Workspace] = {}
    reports: dict[str, CredentialReport] = {}
    for name, workspace, error in identified:
        reports[name] = CredentialReport(name=name, workspace_id=workspace.id if workspace else None, error=error)
        if workspace is not None:
            workspaces[workspace.id] = workspace
            by_workspace[workspace.id].append(name)

    inventories: dict[str, Inventory] = {}
    readers: dict[str, str] = {}

    async def read_workspace(workspace: Workspace) -> None:
        for name in by_workspace[workspace.id]:
            try:
                read = await _read_inventories(clients[name], workspace)
            except ApiError as error:
                reports[name] = CredentialReport(name=name, workspace_id=workspace.id, error=error)
                continue
            for inventory in read:
                inventories.setdefault(inventory.workspace.id, inventory)
                readers.setdefault(inventory.workspace.id, name)
            return

    await asyncio.gather(*(read_workspace(workspace) for workspace in workspaces.values()))
    return Discovery(
        credentials=tuple(reports[name] for name in clients),
        inventories=tuple(inventories[id_] for id_ in sorted(inventories)),
        readers=readers,
    )


async def read_subscriptions(
    clients: Mapping[str, ManagementApi], workspaces: Mapping[str, Workspace]
) -> tuple[tuple[Workspace, ...], Mapping[str, ApiError]]:
    """Read plan and block of each workspace, `clients` by workspace id.

    Returns the workspaces with their newest plan, and the errors of those that failed, by id.
    """
    errors: dict[str, ApiError] = {}

    async def read(workspace: Workspace, client: ManagementApi) -> Workspace | None:
        try:
            subscription = await client.subscription(workspace.id)
        except ApiError as error:
            errors[workspace.id] = error
            return None
        return Workspace(
            id=workspace.id,
            name=workspace.name,
            plan=subscription.plan_name,
            usage_blocked=subscription.usage_blocked,
        )

    read_all = await asyncio.gather(*(read(workspaces[id_], client) for id_, client in clients.items()))
    return tuple(workspace for workspace in read_all if workspace is not None), errors


async def _identify(name: str, client: ManagementApi) -> tuple[str, Workspace | None, ApiError | None]:
    try:
        me = await client.me()
        if me.workspace is not None:
            return name, Workspace(id=me.workspace.id, name=me.workspace.name), None
        async for workspace in client.workspaces():
            return name, Workspace(id=workspace.id, name=workspace.name), None
    except ApiError as error:
        return name, None, error
    return name, None, MalformedAnswer("the credential belongs to no workspace", reason="no_workspace")


async def _read_inventories(client: ManagementApi, own: Workspace) -> tuple[Inventory, ...]:
    """Read what one credential sees: its own workspace and, should its projects name another, that one."""
    projects = {project.id: project async for project in client.projects()}
    listed = [database async for database in client.databases()]
    for project_id in {database.project.id for database in listed} - projects.keys():
        try:
            projects[project_id] = await client.project(project_id)
        except NotFound:
            continue  # It went between the two lists; the database still names it.
    workspaces = {own.id: own}
    databases: dict[str, list[Database]] = {own.id: []}
    for database in listed:
        project = projects.get(database.project.id)
        workspace = Workspace(id=project.workspace.id, name=project.workspace.name) if project else own
        workspaces.setdefault(workspace.id, workspace)
        databases.setdefault(workspace.id, []).append(_join(database, project, workspace))
    return tuple(
        Inventory(workspace=workspace, databases=tuple(databases[id_])) for id_, workspace in workspaces.items()
    )


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
