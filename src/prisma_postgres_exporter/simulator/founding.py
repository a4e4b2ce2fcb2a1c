"""Makes workspaces, projects and databases: their ids, names and sizes, drawn from the seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from prisma_postgres_exporter.simulator import names
from prisma_postgres_exporter.simulator.chance import draw, identifier, is_hit, spread
from prisma_postgres_exporter.simulator.records import DatabaseRecord, History, ProjectRecord, WorkspaceRecord
from prisma_postgres_exporter.simulator.registry import Registry
from prisma_postgres_exporter.simulator.shape import WorldShape

REGIONS: Final = ("us-east-1", "us-west-1", "eu-west-3", "eu-central-1", "ap-northeast-1", "ap-southeast-1")

_KINDS: Final = ("wksp_", "proj_", "db_")


class Founder:
    """Makes things and puts them into a registry.

    Everything is drawn from (`seed`, `row`, kind, how many of the kind were made before): two founders with
    different rows never make the same thing, and more of one kind changes nothing of another.
    """

    def __init__(self, seed: int, row: int, shape: WorldShape, registry: Registry) -> None:
        self._seed = seed
        self._row = row
        self._shape = shape
        self._registry = registry
        self._made: Counter[str] = Counter()

    def workspace(self, created_ms: int) -> WorkspaceRecord:
        """Found the next workspace."""
        position, key = self._next("wksp_")
        shape = self._shape
        workspace = WorkspaceRecord(
            id=identifier("wksp_", key),
            token=f"simulator-token-{position + 1}",
            created_ms=created_ms,
            plan=shape.plans[position % len(shape.plans)],
            busy_permille=round(shape.busyness[position % len(shape.busyness)] * 1_000),
            names=History(created_ms, names.workspace_name(position)),
            blocked=History(created_ms, position >= shape.workspaces - shape.blocked_workspaces),
        )
        self._registry.add_workspace(workspace)
        return workspace

    def project(
        self,
        workspace_id: str,
        created_ms: int,
        *,
        name: str | None = None,
        logical_id: str | None = None,
        default_region: str | None = None,
    ) -> ProjectRecord:
        """Add a project to a workspace; without a `name` it gets one."""
        position, key = self._next("proj_")
        project = ProjectRecord(
            id=identifier("proj_", key),
            created_ms=created_ms,
            names=History(created_ms, self._name(draw(key, 1), names.project_name(position)) if name is None else name),
            workspace_ids=History(created_ms, workspace_id),
            logical_id=logical_id,
            default_region=default_region,
        )
        self._registry.add_project(project)
        return project

    def database(
        self,
        project: ProjectRecord,
        created_ms: int,
        *,
        is_default: bool = False,
        name: str | None = None,
        branch_name: str | None = None,
        region: str | None = None,
        logical_id: str | None = None,
        source: Mapping[str, str] | None = None,
        is_remote: bool = False,
    ) -> DatabaseRecord:
        """Add a database to a project; without a `name` or `region` it gets one."""
        _, key = self._next("db_")
        bits = draw(key, 1)
        workspace = self._registry.workspaces[project.workspace_ids.at(created_ms)]
        is_idle = is_hit(self._shape.idle_share, bits)
        is_regionless = is_hit(self._shape.regionless_share, draw(key, 6))
        operations_a_day = spread(*self._shape.operations_per_day, draw(key, 2)) * workspace.busy_permille // 1_000
        database = DatabaseRecord(
            id=identifier("db_", key),
            key=key,
            project_id=project.id,
            created_ms=created_ms,
            deleted_ms=None,
            is_default=is_default,
            region=region or (None if is_regionless else REGIONS[(bits >> 24) % len(REGIONS)]),
            branch_name=branch_name,
            names=History(
                created_ms, self._name(draw(key, 7), names.database_name(bits >> 32)) if name is None else name
            ),
            operations_a_day=0 if is_idle else operations_a_day,
            first_storage_bytes=spread(*self._shape.storage_bytes, draw(key, 3)),
            logical_id=logical_id,
            source=source,
            is_remote=is_remote,
        )
        self._registry.add_database(database)
        return database

    def _next(self, kind: str) -> tuple[int, int]:
        position = self._made[kind]
        self._made[kind] += 1
        return position, draw(self._seed, self._row, _KINDS.index(kind), position)

    def _name(self, bits: int, plain: str) -> str:
        if not is_hit(self._shape.awkward_share, bits):
            return plain
        return names.AWKWARD[(bits >> 32) % len(names.AWKWARD)]
