"""What a world begins with, and what changes in it from day to day, all drawn from its seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prisma_postgres_exporter.simulator.chance import between, draw
from prisma_postgres_exporter.simulator.clock import DAY_MS, HOUR_MS
from prisma_postgres_exporter.simulator.founding import Founder, WorldShape, branch_name, database_name, project_name
from prisma_postgres_exporter.simulator.records import ProjectRecord
from prisma_postgres_exporter.simulator.registry import Registry

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
        before, until = (int(self._shape.churn_per_day * days) for days in (age_days, age_days + 1))
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
