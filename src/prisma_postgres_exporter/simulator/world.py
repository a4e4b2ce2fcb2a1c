"""The simulated world: workspaces, projects and databases as functions of time, drawn from a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prisma_postgres_exporter.simulator.draws import cuid, draw, share
from prisma_postgres_exporter.simulator.traffic import Traffic, make_traffic

REGIONS = ("us-east-1", "us-west-1", "eu-west-3", "eu-central-1", "ap-northeast-1", "ap-southeast-1")
PLANS = ("Starter", "Pro", "Business", "Free")
AWKWARD_NAMES = (
    'quo"ted',
    "back\\slash\\",
    "line\nbreak",
    "emoji 🐘🔥",
    "ünïcödé 数据库",
    "<script>alert(1)</script>",
    '{braces="1"} # HELP',
    "long " + "x" * 9_995,
    " ",
    "tab\tand \u202eright to left",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldShape:
    """How large the world is, and what it is like.

    `databases` is the number in all. The shares are of databases: never used, without a region,
    named awkwardly. `churn_per_day` databases a day are created, and as many deleted, renamed or
    short-lived, from 30 days before the world begins to 365 days after it; `moved_projects` move to
    the next workspace, one a day from the day after the world begins. `blocked_workspaces` of the
    workspaces (the last ones) say that their usage is blocked.
    """

    workspaces: int = 3
    projects_per_workspace: int = 3
    databases: int = 40
    idle_share: float = 0.2
    regionless_share: float = 0.05
    awkward_share: float = 0.0
    churn_per_day: float = 0.0
    moved_projects: int = 0
    blocked_workspaces: int = 0
    operations_per_day: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimWorkspace:
    """A workspace; ids are without their prefix here."""

    id: str
    name: str
    plan: str
    is_blocked: bool
    token: str
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class SimProject:
    """A project; `moves` are the instants at which it went to another workspace, in order."""

    id: str
    name: str
    workspace_id: str
    created_at: datetime
    moves: list[tuple[datetime, str]] = field(default_factory=list)

    def workspace_at(self, at: datetime) -> str:
        """Return the id of the workspace that holds the project."""
        held = self.workspace_id
        for moved_at, workspace_id in self.moves:
            if moved_at <= at:
                held = workspace_id
        return held


@dataclass(slots=True, kw_only=True)
class SimDatabase:
    """A database; it exists from `created_at` until `deleted_at`, and has its last name by then."""

    id: str
    names: list[tuple[datetime, str]]
    project: SimProject
    region: str | None
    is_default: bool
    created_at: datetime
    deleted_at: datetime | None
    traffic: Traffic

    def name_at(self, at: datetime) -> str:
        """Return the name it has."""
        return next((name for since_at, name in reversed(self.names) if since_at <= at), self.names[0][1])

    def exists_at(self, at: datetime) -> bool:
        """Whether it is there."""
        return self.created_at <= at and (self.deleted_at is None or at < self.deleted_at)

    def operations(self, starts_at: datetime, ends_at: datetime) -> int:
        """Count the operations between two instants: the truth."""
        ends_at = min(ends_at, self.deleted_at) if self.deleted_at is not None else ends_at
        return self.traffic.operations(max(starts_at, self.created_at), ends_at)


class World:
    """Everything that exists, ever; the same for the same seed and shape.

    `begins_at` (UTC) is the instant that the world is made for: its databases have a history before
    it, and its changes come after it. `add`, `delete` and `move` change it at run time.
    """

    def __init__(self, *, seed: int = 1, shape: WorldShape | None = None, begins_at: datetime) -> None:
        self.seed = seed
        self.shape = shape or WorldShape()
        self.begins_at = begins_at
        self.workspaces: dict[str, SimWorkspace] = {}
        self.projects: dict[str, SimProject] = {}
        self.databases: dict[str, SimDatabase] = {}
        self._by_project: dict[str, list[SimDatabase]] = defaultdict(list)
        self._make()

    @property
    def tokens(self) -> dict[str, str]:
        """Every token with the id of its workspace."""
        return {workspace.token: workspace.id for workspace in self.workspaces.values()}

    def projects_of(self, workspace_id: str, at: datetime) -> list[SimProject]:
        """Return the projects that a workspace holds, by id."""
        held = [p for p in self.projects.values() if p.created_at <= at and p.workspace_at(at) == workspace_id]
        return sorted(held, key=lambda project: project.id)

    def databases_of(self, project: SimProject, at: datetime) -> list[SimDatabase]:
        """Return the databases that a project holds, by id."""
        held = [database for database in self._by_project[project.id] if database.exists_at(at)]
        return sorted(held, key=lambda database: database.id)

    def operations(self, database_id: str, starts_at: datetime, ends_at: datetime) -> int:
        """Count the operations of a database between two instants: the truth."""
        return self.databases[database_id].operations(starts_at, ends_at)

    def add(self, database: SimDatabase) -> None:
        """Put a database into the world."""
        self.databases[database.id] = database
        self._by_project[database.project.id].append(database)

    def delete(self, database_id: str, at: datetime) -> None:
        """Delete a database at `at`."""
        self.databases[database_id].deleted_at = at

    def rename(self, database_id: str, name: str, at: datetime) -> None:
        """Rename a database at `at`."""
        self.databases[database_id].names.append((at, name))

    def move(self, project_id: str, workspace_id: str, at: datetime) -> None:
        """Transfer a project with its databases to another workspace at `at`."""
        self.projects[project_id].moves.append((at, workspace_id))

    # Making it ----------------------------------------------------------------------------------
    def _make(self) -> None:
        seed, shape, begins_at = self.seed, self.shape, self.begins_at
        for number in range(shape.workspaces):
            workspace = SimWorkspace(
                id=cuid(seed, 1, number),
                name=f"workspace-{number + 1}",
                plan=PLANS[number % len(PLANS)],
                is_blocked=number >= shape.workspaces - shape.blocked_workspaces,
                token=f"simulator-token-{number + 1}",
                created_at=begins_at - timedelta(days=500),
            )
            self.workspaces[workspace.id] = workspace
            for index in range(shape.projects_per_workspace):
                project = SimProject(
                    id=cuid(seed, 2, number, index),
                    name=f"project-{number + 1}-{index + 1}",
                    workspace_id=workspace.id,
                    created_at=begins_at - timedelta(days=450),
                )
                self.projects[project.id] = project
        projects = list(self.projects.values())
        for number in range(shape.databases):
            age = timedelta(days=int(1 + 399 * share(seed, 3, number)))
            self.add(self._draw(number, projects[number % len(projects)], begins_at - age, None))
        for number, (created_at, deleted_at) in enumerate(self._churn()):
            project = projects[draw(seed, 4, number) % len(projects)]
            self.add(self._draw(shape.databases + number, project, created_at, deleted_at))
        workspace_ids = list(self.workspaces)
        for number, project in enumerate(projects[: shape.moved_projects]):
            place = workspace_ids.index(project.workspace_id)
            target = workspace_ids[(place + 1) % len(workspace_ids)]
            project.moves.append((begins_at + timedelta(days=number + 1, hours=9), target))

    def _churn(self) -> Iterator[tuple[datetime, datetime | None]]:
        for day in range(-30, 365):
            for number in range(
                int(self.shape.churn_per_day * (day + 31)) - int(self.shape.churn_per_day * (day + 30))
            ):
                created_at = self.begins_at + timedelta(days=day, hours=23 * share(self.seed, 5, day, number))
                kind = draw(self.seed, 6, day, number) % 3
                life = timedelta(hours=1 + 20 * share(self.seed, 7, day, number)) * (1 if kind == 0 else 24)
                yield (
                    created_at.replace(microsecond=0),
                    None if kind == 2 else (created_at + life).replace(microsecond=0),
                )

    def _draw(self, number: int, project: SimProject, created_at: datetime, deleted_at: datetime | None) -> SimDatabase:
        seed, shape = self.seed, self.shape
        name = f"database-{number + 1}"
        if share(seed, 8, number) < shape.awkward_share:
            name = AWKWARD_NAMES[number % len(AWKWARD_NAMES)]
        return SimDatabase(
            id=cuid(seed, 9, number),
            names=[(created_at, name)],
            project=project,
            region=None if share(seed, 10, number) < shape.regionless_share else REGIONS[draw(seed, 11, number) % 6],
            is_default=number < len(self.projects),
            created_at=created_at,
            deleted_at=deleted_at,
            traffic=make_traffic(
                draw(seed, 12, number),
                since=created_at,
                is_idle=share(seed, 13, number) < shape.idle_share,
                per_day=shape.operations_per_day,
            ),
        )
