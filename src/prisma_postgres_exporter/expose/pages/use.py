"""How much of what a plan includes a workspace uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from prisma_postgres_exporter.expose.pages.drawing import short, size
from prisma_postgres_exporter.report import in_unit_of, percent
from prisma_postgres_exporter.snapshot import WorkspaceView

NEAR = 0.8
"""The part of what a plan that stops includes, from which on it is time to do something."""

STOPS = "free"
"""The plan that charges nothing over what it includes, and stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A bar of what is used of what is included: `fill` and `over` are parts of it (0 to 1), `tone` how bad it is."""

    used: str
    included: str
    percent: str
    fill: float
    over: float
    tone: str


def stops(view: WorkspaceView) -> bool:
    """Whether its plan stops at what it includes, and charges nothing over it."""
    return (view.plan or "").lower() == STOPS


def allowances(views: Iterable[WorkspaceView]) -> Mapping[str, int | None]:
    """The storage that plans include, in bytes by workspace id."""
    return {view.workspace_id: view.cost.included_storage_bytes if view.cost else None for view in views}


def meters(view: WorkspaceView) -> tuple[Meter | None, Meter | None]:
    """How much of what is included is used of operations, and of storage as its mean since the 1st.

    A month's average is billed: what is there for the rest of the month brings the mean so far to it.
    """
    cost, usage = view.cost, view.usage
    included = (cost.included_operations, cost.included_storage_bytes) if cost else (None, None)
    used = (view.month_to_date_operations, view.month_average_storage_bytes)
    is_stopping = stops(view)
    write_storage = partial(in_unit_of, included[1]) if included[1] else size
    return (
        _meter(used[0], included[0], short, usage.operations_qualifier, is_stopping=is_stopping),
        _meter(used[1], included[1], write_storage, usage.mean_storage_qualifier, is_stopping=is_stopping),
    )


def _meter(
    used: int | None, included: int | None, write: Callable[[int], str], qualifier: str, *, is_stopping: bool
) -> Meter | None:
    if used is None:
        return None
    said = f"{qualifier}{write(used)}"
    if not included:
        return Meter(used=said, included="", percent="", fill=0, over=0, tone="")
    part = used / included
    tone = "" if part < NEAR or not is_stopping else "bad" if part >= 1 else "warn"
    return Meter(
        used=said,
        included=write(included),
        percent=f"{qualifier}{percent(part)}",
        fill=min(part, 1 / part) if part else 0,
        over=max(0.0, 1 - 1 / part) if part else 0,
        tone=tone,
    )
