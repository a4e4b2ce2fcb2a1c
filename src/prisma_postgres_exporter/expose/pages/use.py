"""How much of what a plan includes a workspace uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from prisma_postgres_exporter.cost import Usage
from prisma_postgres_exporter.expose.pages.drawing import short, size
from prisma_postgres_exporter.report import in_unit_of, percent
from prisma_postgres_exporter.snapshot import WorkspaceView

NEAR = 0.8
"""The part of what a plan that stops includes, from which on it is time to do something."""

STOPS = "free"
"""The plan that charges nothing over what it includes, and stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A bar of what is used of what is included: `fill` and `over` are parts of it (0 to 1), `tone` how bad it is.

    After an upgrade from a plan that charges nothing only what was used since counts: `since_upgrade`, else empty.
    """

    used: str
    since_upgrade: str
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
    operations, mean = view.month_to_date_operations, view.month_average_storage_bytes
    charged = cost.charged(usage) if cost else usage
    charged_operations, charged_mean = operations, mean
    if charged != usage:
        charged_operations, charged_mean = charged.operations, _part_of(mean, charged, usage)
    meter = partial(_meter, is_stopping=stops(view))
    return (
        meter(
            (usage.operations_qualifier, operations),
            (charged.operations_qualifier, charged_operations),
            included[0],
            short,
        ),
        meter(
            (usage.mean_storage_qualifier, mean),
            (charged.mean_storage_qualifier, charged_mean),
            included[1],
            partial(in_unit_of, included[1]) if included[1] else size,
        ),
    )


def _part_of(mean: int | None, charged: Usage, usage: Usage) -> int | None:
    """What of a mean level is of what counts."""
    whole, part = usage.mean_storage_bytes(1), charged.mean_storage_bytes(1)
    return mean * part // whole if mean and part is not None and whole else mean


def _meter(
    used: tuple[str, int | None],
    charged: tuple[str, int | None],
    included: int | None,
    write: Callable[[int], str],
    *,
    is_stopping: bool,
) -> Meter | None:
    """A bar of what counts; each of both is what is said before an amount and the amount."""
    if used[1] is None:
        return None
    said, qualifier = f"{used[0]}{write(used[1])}", charged[0]
    if not included or charged[1] is None:
        return Meter(used=said, since_upgrade="", included="", percent="", fill=0, over=0, tone="")
    part = charged[1] / included
    tone = "" if part < NEAR or not is_stopping else "bad" if part >= 1 else "warn"
    return Meter(
        used=said,
        since_upgrade="" if charged[1] == used[1] else f"{qualifier}{write(charged[1])}",
        included=write(included),
        percent=f"{qualifier}{percent(part)}",
        fill=min(part, 1 / part) if part else 0,
        over=max(0.0, 1 - 1 / part) if part else 0,
        tone=tone,
    )
