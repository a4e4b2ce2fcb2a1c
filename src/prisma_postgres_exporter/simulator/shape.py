"""How a simulated world is made up: counts, shares and ranges."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldShape:
    """What a world holds when it begins, and how lively it is.

    `databases` are in all, dealt out evenly over the projects; the first of a project is its default one.
    The shares (0 to 1) are of databases: without any operations, without a region, with an awkward name.
    `plans` and `busyness` are dealt out to the workspaces in turn: the plan's name, and how busy the
    workspace is (1: as `operations_per_day` says). The last `blocked_workspaces` begin blocked.

    A database that is not idle makes `operations_per_day` (least, most) when it is new, each doubling as
    likely as the next, and holds `storage_bytes` (least, most).

    Once the world has begun, `churn_per_day` lifecycle changes of all kinds happen, and the first
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
    moved_projects: int = 0

    def __post_init__(self) -> None:
        counts = (self.databases, self.blocked_workspaces, self.churn_per_day, self.moved_projects)
        if self.workspaces < 1 or self.projects_per_workspace < 1 or min(counts) < 0:
            raise ValueError("a world has at least one workspace with a project, and no negative counts")
        if not self.plans or not self.busyness or min(self.busyness) < 0:
            raise ValueError("plans and busyness need at least one entry, none negative")
        if not all(0 <= share <= 1 for share in (self.idle_share, self.regionless_share, self.awkward_share)):
            raise ValueError("a share is from 0 to 1")
        for least, most in (self.operations_per_day, self.storage_bytes):
            if not 0 < least <= most:
                raise ValueError("a range goes from a number above zero to one that is not smaller")
