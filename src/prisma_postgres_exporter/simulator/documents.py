"""The JSON bodies of the Management API, as `API.md` in the vendor's words: pure."""

from __future__ import annotations

from datetime import datetime

from prisma_postgres_exporter.simulator.vendor import Answer
from prisma_postgres_exporter.simulator.world import REGIONS, SimDatabase, SimProject, SimWorkspace, World

Json = dict[str, object]


class Documents:
    """Writes bodies; without `has_prefixes` ids are written as the vendor once did."""

    def __init__(self, world: World, *, has_prefixes: bool = True) -> None:
        self._world = world
        self._has_prefixes = has_prefixes

    def me(self, workspace: SimWorkspace) -> Json:
        """GET /v1/me of a service token."""
        return {
            "user": None,
            "workspace": {"id": self._id("wksp", workspace.id), "name": workspace.name},
            "credential": {"type": "service_token", "id": self._id("itgr", workspace.id), "name": "simulated"},
        }

    def workspace(self, workspace: SimWorkspace) -> Json:
        """One workspace."""
        return {
            "id": self._id("wksp", workspace.id),
            "type": "workspace",
            "url": f"https://api.example/v1/workspaces/wksp_{workspace.id}",
            "name": workspace.name,
            "createdAt": iso(workspace.created_at),
        }

    def subscription(self, workspace: SimWorkspace) -> Json:
        """A workspace's plan."""
        return {
            "planName": workspace.plan,
            "usageBlocked": workspace.is_blocked,
            "upgradeUrl": "https://console.example/upgrade",
        }

    def project(self, project: SimProject, at: datetime) -> Json:
        """One project."""
        workspace = self._world.workspaces[project.workspace_at(at)]
        return {
            "id": self._id("proj", project.id),
            "type": "project",
            "url": f"https://api.example/v1/projects/proj_{project.id}",
            "name": project.name,
            "logicalId": None,
            "createdAt": iso(project.created_at),
            "defaultRegion": None,
            "workspace": {
                "id": self._id("wksp", workspace.id),
                "url": f"https://api.example/v1/workspaces/wksp_{workspace.id}",
                "name": workspace.name,
            },
        }

    def database(self, database: SimDatabase, at: datetime) -> Json:
        """One database, with a connection that has a secret in it, as the vendor's have."""
        project = database.project
        return {
            "id": self._id("db", database.id),
            "type": "database",
            "url": f"https://api.example/v1/databases/db_{database.id}",
            "name": database.name_at(at),
            "status": "ready",
            "createdAt": iso(database.created_at),
            "isDefault": database.is_default,
            "defaultConnectionId": None,
            "connections": [
                {
                    "id": self._id("con", database.id),
                    "type": "connection",
                    "name": "default",
                    "createdAt": iso(database.created_at),
                    "kind": "postgres",
                    "endpoints": {},
                    "directConnection": {"host": "db.example", "user": "simulated", "pass": "simulated-password"},
                }
            ],
            "project": {
                "id": self._id("proj", project.id),
                "url": f"https://api.example/v1/projects/proj_{project.id}",
                "name": project.name,
            },
            "region": {"id": database.region, "name": database.region} if database.region else None,
            "source": None,
            "branchId": None,
            "logicalId": None,
        }

    def regions(self) -> list[Json]:
        """Every region."""
        return [
            {"id": name, "type": "region", "name": name, "product": "postgres", "status": "available"}
            for name in REGIONS
        ]

    @staticmethod
    def usage(answer: Answer) -> Json:
        """A usage answer: the one body that is bare."""
        return {
            "period": {"start": iso(answer.starts_at), "end": iso(answer.ends_at)},
            "metrics": {
                "operations": {"used": answer.operations, "unit": "ops"},
                "storage": {"used": answer.storage_gib, "unit": "GiB"},
            },
            "generatedAt": iso(answer.generated_at),
        }

    def _id(self, prefix: str, bare: str) -> str:
        return f"{prefix}_{bare}" if self._has_prefixes else bare


def iso(instant: datetime) -> str:
    """Write an instant as the vendor does: UTC, milliseconds, Z."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
