"""Which databases are followed: include and exclude by regular expression on names and ids."""

from __future__ import annotations

import re
from collections.abc import Iterable

from prisma_postgres_exporter.config import DiscoveryConfig, Filter
from prisma_postgres_exporter.model import Database


def is_followed(database: Database, *, workspace_name: str, discovery: DiscoveryConfig) -> bool:
    """Whether the configuration wants `database` polled and shown.

    Every kind that `include` names must match (no pattern: everything does), and nothing that
    `exclude` names may. A pattern is searched for in the name and in the id; a database without a
    region matches no region pattern.
    """
    return why_left_out(database, workspace_name=workspace_name, discovery=discovery) is None


def why_left_out(database: Database, *, workspace_name: str, discovery: DiscoveryConfig) -> str | None:
    """Name the filter that leaves `database` out, as a key of the configuration; `None` where it is followed."""
    subjects = {
        "workspaces": (workspace_name, database.workspace_id),
        "projects": (database.project_name, database.project_id),
        "databases": (database.name, database.id),
        "regions": (database.region,) if database.region is not None else (),
    }
    for kind, patterns in _by_kind(discovery.include):
        if patterns and _matching(patterns, subjects[kind]) is None:
            wanted = ", ".join(repr(pattern.pattern) for pattern in patterns)
            return f"discovery.include.{kind}: nothing of it matches {wanted}"
    for kind, patterns in _by_kind(discovery.exclude):
        pattern = _matching(patterns, subjects[kind])
        if pattern is not None:
            return f"discovery.exclude.{kind}: it matches {pattern.pattern!r}"
    return None


def _by_kind(wanted: Filter) -> tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]:
    return (
        ("workspaces", wanted.workspaces),
        ("projects", wanted.projects),
        ("databases", wanted.databases),
        ("regions", wanted.regions),
    )


def _matching(patterns: Iterable[re.Pattern[str]], texts: tuple[str, ...]) -> re.Pattern[str] | None:
    return next((pattern for pattern in patterns for text in texts if pattern.search(text)), None)
