"""What a world begins with, and what changes in it: counts, ids, names, tokens and sizes, all drawn from its seed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from prisma_postgres_exporter.simulator.chance import between, draw, identifier, is_hit, spread
from prisma_postgres_exporter.simulator.clock import DAY_MS, HOUR_MS
from prisma_postgres_exporter.simulator.registry import (
    DatabaseRecord,
    History,
    IntegrationRecord,
    ProjectRecord,
    Registry,
    TokenRecord,
    WorkspaceRecord,
)

REGIONS: Final = {
    "us-east-1": "US East (N. Virginia)",
    "us-west-1": "US West (N. California)",
    "eu-west-3": "EU West (Paris)",
    "eu-central-1": "EU Central (Frankfurt)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
}

_REGION_IDS: Final = tuple(REGIONS)
_KINDS: Final = ("wksp_", "proj_", "db_", "itgr_", "token_")
_INTEGRATIONS: Final = ("Vercel", "GitHub Actions")
_SIGNING_KEY: Final = b"a simulator's tokens open nothing but a simulator"
_AWKWARD: Final = (
    'the "main" one',
    "two\nlines",
    "back\\slash\\",
    "\N{FOX FACE} café \N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}",
    "n" * 10_000,
    '{a="b"} 1',
    " spaces around ",
    "\N{RIGHT-TO-LEFT OVERRIDE}backwards",
    "carriage\r\nreturn\tand tab",
    "'; DROP TABLE databases; --",
    "<script>alert(1)</script>",
    "#comment",
)

_WORKSPACES: Final = ("Acme", "Globex", "Initech", "Umbrella", "Hooli", "Stark", "Wayne", "Wonka")
_PROJECTS: Final = ("webshop", "billing", "accounts", "search", "analytics", "mobile", "portal", "intranet")
_DATABASES: Final = ("orders", "users", "events", "catalogue", "sessions", "invoices", "mail", "metrics", "jobs")
_STAGES: Final = ("production", "staging", "test", "demo", "eu", "us", "archive")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldShape:
    """What a world holds when it begins, and how lively it is.

    `databases` are in all, dealt out evenly over the projects; the first of a project is its default one.
    The shares (0 to 1) are of databases: without any operations, without a region, with an awkward name.
    `plans` and `busyness` are dealt out to the workspaces in turn: the plan's name, and how busy the
    workspace is (1: as `operations_per_day` says). The last `blocked_workspaces` begin blocked.

    A database that is not idle makes `operations_per_day` (least, most) when it is new, each doubling as
    likely as the next, and holds `storage_bytes` (least, most).

    When the world is `quiet_days` old, `churn_per_day` lifecycle changes of all kinds begin to happen, and the first
    `moved_projects` go to the next workspace, one at each day's end. Moves take effect at 00:00 UTC, so
    that every day belongs to one workspace.

    Raises:
        ValueError: a count, share or range that makes no world.
    """

    workspaces: int = 3
    projects_per_workspace: int = 3
    databases: int = 40
    idle_share: float = 0.1
    regionless_share: float = 0.05
    awkward_share: float = 0.0
    plans: tuple[str, ...] = ("Starter", "Pro", "Free")
    busyness: tuple[float, ...] = (1.0,)
    blocked_workspaces: int = 0
    operations_per_day: tuple[int, int] = (100, 2_000_000)
    storage_bytes: tuple[int, int] = (8 * 2**20, 20 * 2**30)
    churn_per_day: float = 0.0
    quiet_days: int = 0
    moved_projects: int = 0

    def __post_init__(self) -> None:
        counts = (
            self.databases,
            self.blocked_workspaces,
            self.churn_per_day,
            self.quiet_days,
            self.moved_projects,
        )
        if self.workspaces < 1 or min(self.projects_per_workspace, *counts) < 0:
            raise ValueError("a world has at least one workspace, and no negative counts")
        if not self.projects_per_workspace and (self.databases or self.churn_per_day):
            raise ValueError("databases and changes need at least one project in each workspace")
        if not self.plans or not self.busyness or min(self.busyness) < 0:
            raise ValueError("plans and busyness need at least one entry, none negative")
        if not all(0 <= share <= 1 for share in (self.idle_share, self.regionless_share, self.awkward_share)):
            raise ValueError("a share is from 0 to 1")
        for least, most in (self.operations_per_day, self.storage_bytes):
            if not 0 < least <= most:
                raise ValueError("a range goes from a number above zero to one that is not smaller")


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
            created_ms=created_ms,
            plan=shape.plans[position % len(shape.plans)],
            busy_permille=round(shape.busyness[position % len(shape.busyness)] * 1_000),
            names=History(created_ms, _workspace_name(position)),
            blocked=History(created_ms, position >= shape.workspaces - shape.blocked_workspaces),
        )
        self._registry.add_workspace(workspace)
        self.token(workspace.id, "exporter", created_ms, alias=f"simulator-token-{position + 1}")
        for client_name in _INTEGRATIONS:
            _, key = self._next("itgr_")
            integration = IntegrationRecord(
                id=identifier("itgr_", key),
                workspace_id=workspace.id,
                client_id=identifier("", draw(key, 1)),
                client_name=client_name,
                created_ms=created_ms,
            )
            self._registry.integrations[integration.id] = integration
        return workspace

    def token(self, workspace_id: str, name: str, created_ms: int, *, alias: str | None = None) -> TokenRecord:
        """Add a service token to a workspace."""
        _, key = self._next("token_")
        id_ = identifier("", key)
        token = TokenRecord(
            id=id_,
            workspace_id=workspace_id,
            name=name,
            value=_signed({"sub": f"workspace:{workspace_id.removeprefix('wksp_')}", "jti": id_}),
            created_ms=created_ms,
            alias=alias,
        )
        self._registry.add_token(token)
        return token

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
            names=History(created_ms, self._name(draw(key, 1), project_name(position)) if name is None else name),
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
        branch_id: str | None = None,
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
            region=region or (None if is_regionless else _REGION_IDS[(bits >> 24) % len(_REGION_IDS)]),
            branch_id=branch_id,
            names=History(created_ms, self._name(draw(key, 7), database_name(bits >> 32)) if name is None else name),
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
        return _AWKWARD[(bits >> 32) % len(_AWKWARD)]


def _workspace_name(position: int) -> str:
    """`Acme`, later `Acme 2`."""
    return _numbered(_WORKSPACES, position, " ")


def project_name(position: int) -> str:
    """`webshop`, later `webshop-2`."""
    return _numbered(_PROJECTS, position, "-")


def database_name(bits: int) -> str:
    """`orders-production`: not unique, as in life."""
    return f"{_DATABASES[bits % len(_DATABASES)]}-{_STAGES[bits // 16 % len(_STAGES)]}"


def branch_name(bits: int) -> str:
    """`feature/1f3a`: the git branch that a preview database is made for."""
    return f"feature/{bits % 2**16:04x}"


def _numbered(names: tuple[str, ...], position: int, joint: str) -> str:
    turn, place = divmod(position, len(names))
    return f"{names[place]}{joint}{turn + 1}" if turn else names[place]


def _signed(claims: Mapping[str, str]) -> str:
    """A JWT: the vendor's own tools read from it which workspace a token opens."""
    signed = b".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signature = hmac.digest(_SIGNING_KEY, signed, hashlib.sha256)
    return (signed + b"." + _encoded(signature)).decode()


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


_AGES, _CHANGES = 1, 2  # the rows of random numbers that are drawn from here


class Lifecycle:
    """Fills a registry with the beginning, then day by day with changes.

    Days are lived in order, whatever is asked for first: that makes a world the same each time.
    A database that somebody else deleted meanwhile stays deleted, whatever is drawn for it later.
    """

    def __init__(self, seed: int, shape: WorldShape, registry: Registry, founder: Founder, *, begins_ms: int) -> None:
        self._seed = seed
        self._shape = shape
        self._registry = registry
        self._founder = founder
        self._begins_ms = begins_ms
        self._first_day = begins_ms // DAY_MS
        self._next_day = self._first_day
        self._project_ids: list[str] = []
        self._database_ids: list[str] = []
        self._deletable_ids: list[str] = []
        self._begin()
        self._workspace_ids = tuple(registry.workspaces)

    def live_until(self, at_ms: int) -> None:
        """Let every day up to the one of `at_ms` happen."""
        while self._next_day <= at_ms // DAY_MS:
            self._live(self._next_day)
            self._next_day += 1

    def _live(self, day: int) -> None:
        age_days = day - self._first_day
        lively_days = age_days - self._shape.quiet_days
        before, until = (int(self._shape.churn_per_day * max(0, days)) for days in (lively_days, lively_days + 1))
        for number in range(until - before):
            # Evenly over the day, so that changes come in order.
            into_day_ms = (number * DAY_MS + draw(self._seed, _CHANGES, day, number) % DAY_MS) // (until - before)
            self._change(draw(self._seed, _CHANGES, day, number, 1), day * DAY_MS + into_day_ms)
        if age_days < self._shape.moved_projects and age_days < len(self._project_ids):
            self._move(self._registry.projects[self._project_ids[age_days]], 0, day)

    def _begin(self) -> None:
        shape = self._shape
        workspaces = [self._founder.workspace(self._begins_ms - 900 * DAY_MS) for _ in range(shape.workspaces)]
        projects = []
        for position in range(shape.projects_per_workspace * shape.workspaces):
            age_ms = between(60, 800, draw(self._seed, _AGES, position)) * DAY_MS
            workspace = workspaces[position % shape.workspaces]
            projects.append(self._add_project(workspace.id, self._begins_ms - age_ms))
        for position in range(shape.databases):
            turn, place = divmod(position, len(projects))
            project = projects[place]
            later_ms = draw(self._seed, _AGES, turn, place) % (self._begins_ms - project.created_ms) if turn else 0
            self._add_database(project, project.created_ms + later_ms, is_default=not turn)

    def _change(self, bits: int, at_ms: int) -> None:
        change = next(change for below, change in _CHANGES_BY_CHANCE if bits % 100 < below)
        if at_ms >= self._begins_ms:
            change(self, draw(bits), at_ms)

    def _preview(self, bits: int, at_ms: int) -> None:
        project = self._some_project(bits)
        made_ms = max(at_ms, project.created_ms)
        if next(self._registry.branches_of(project.id, made_ms), None) is None:
            self._registry.add_branch(project.id, "main", made_ms)
        git_name = branch_name(bits)
        branch = self._registry.branch_named(project.id, git_name, made_ms)
        branch = branch or self._registry.add_branch(project.id, git_name, made_ms)
        preview = self._founder.database(project, made_ms, branch_id=branch.id)
        self._registry.delete_database(preview.id, preview.created_ms + between(1, 40, bits >> 16) * HOUR_MS)

    def _new_database(self, bits: int, at_ms: int) -> None:
        project = self._some_project(bits)
        self._add_database(project, max(at_ms, project.created_ms), is_default=False)

    def _new_project(self, bits: int, at_ms: int) -> None:
        project = self._add_project(self._workspace_ids[bits % len(self._workspace_ids)], at_ms)
        self._add_database(project, at_ms, is_default=True)

    def _rename_database(self, bits: int, at_ms: int) -> None:
        if self._database_ids:
            database = self._registry.databases[self._database_ids[bits % len(self._database_ids)]]
            database.names.change(max(at_ms, database.created_ms), database_name(bits >> 32))

    def _rename_project(self, bits: int, at_ms: int) -> None:
        self._some_project(bits).names.change(at_ms, project_name((bits >> 32) % 100))

    def _move_project(self, bits: int, at_ms: int) -> None:
        self._move(self._some_project(bits), bits >> 32, at_ms // DAY_MS)

    def _delete_database(self, bits: int, at_ms: int) -> None:
        if self._deletable_ids:
            place = bits % len(self._deletable_ids)
            self._deletable_ids[place], last = self._deletable_ids[-1], self._deletable_ids[place]
            self._deletable_ids.pop()
            self._registry.delete_database(last, at_ms)

    def _move(self, project: ProjectRecord, bits: int, day: int) -> None:
        """Move a project to another workspace at the end of a day; the next one for `bits` 0."""
        at_ms = (day + 1) * DAY_MS
        place = self._workspace_ids.index(project.workspace_ids.at(at_ms))
        others = self._workspace_ids[place + 1 :] + self._workspace_ids[:place]
        if others:
            self._registry.move_project(project.id, others[bits % len(others)], at_ms)

    def _add_project(self, workspace_id: str, created_ms: int) -> ProjectRecord:
        project = self._founder.project(workspace_id, created_ms)
        self._project_ids.append(project.id)
        return project

    def _add_database(self, project: ProjectRecord, created_ms: int, *, is_default: bool) -> None:
        database = self._founder.database(project, created_ms, is_default=is_default)
        self._database_ids.append(database.id)
        if not is_default:
            self._deletable_ids.append(database.id)

    def _some_project(self, bits: int) -> ProjectRecord:
        return self._registry.projects[self._project_ids[bits % len(self._project_ids)]]


_CHANGES_BY_CHANCE: Final[tuple[tuple[int, Callable[[Lifecycle, int, int], None]], ...]] = (
    (50, Lifecycle._preview),
    (63, Lifecycle._new_database),
    (66, Lifecycle._new_project),
    (78, Lifecycle._rename_database),
    (84, Lifecycle._rename_project),
    (88, Lifecycle._move_project),
    (100, Lifecycle._delete_database),
)
