"""What a Prometheus may ask for: the workspaces of a part, and the targets that `/sd` gives for http_sd."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from prisma_postgres_exporter.expose.lines import showable
from prisma_postgres_exporter.expose.selection import NO_WORKSPACE
from prisma_postgres_exporter.expose.visible import Seen

PARAMETER = "workspace"
META = "__meta_prisma_postgres_workspace"
SHOWN_CHARACTERS = 100


def chosen_workspaces(asked: QueryParams, shown: Collection[str], mine: Seen = None) -> frozenset[str] | None:
    """The workspaces that a request names, `None` where it names none and wants the whole.

    Of a user who may see `mine` alone, these are what there is: such a user is never given `None`.

    Raises:
        HTTPException: 400 for a parameter that is not known, 404 for a workspace that is not shown.
    """
    for name in asked:
        if name != PARAMETER:
            raise HTTPException(
                400,
                f"there is no parameter {name[:SHOWN_CHARACTERS]!r}; accepted: {PARAMETER}, once for each workspace",
            )
    chosen = frozenset(asked.getlist(PARAMETER))
    for workspace in sorted(chosen):
        if not _is_shown(workspace, shown, mine):
            raise HTTPException(
                404,
                f"no workspace {workspace[:SHOWN_CHARACTERS]!r} is shown here; /sd lists those that are, and "
                f"{NO_WORKSPACE!r} is what belongs to no workspace",
            )
    if chosen or mine is None:
        return chosen or None
    return frozenset(workspace for workspace in mine if _is_shown(workspace, shown, mine))


def _is_shown(workspace: str, shown: Collection[str], mine: Seen) -> bool:
    return (workspace == NO_WORKSPACE or workspace in shown) and (mine is None or workspace in mine)


def target_groups(
    shown: Mapping[str, str], chosen: Collection[str] | None, address: str
) -> list[dict[str, list[str] | dict[str, str]]]:
    """One target group for each chosen workspace (`None`: for each, and for what belongs to none), by id.

    `shown` are the workspaces' names by id, `address` is where this exporter is asked.
    The label `workspace` tells the targets apart: they have the same `instance`.
    """
    wanted = [*sorted(shown), NO_WORKSPACE] if chosen is None else sorted(chosen)
    groups: list[dict[str, list[str] | dict[str, str]]] = []
    for workspace in wanted:
        labels = {f"__param_{PARAMETER}": workspace}
        if workspace in shown:
            labels |= {PARAMETER: workspace, f"{META}_id": workspace, f"{META}_name": showable(shown[workspace])}
        groups.append({"targets": [address], "labels": labels})
    return groups
