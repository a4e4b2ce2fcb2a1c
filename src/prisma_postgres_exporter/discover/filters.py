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
    subjects = {
        "workspaces": (workspace_name, database.workspace_id),
        "projects": (database.project_name, database.project_id),
        "databases": (database.name, database.id),
        "regions": (database.region,) if database.region is not None else (),
    }
    is_included = all(
        not patterns or _matches(patterns, subjects[kind]) for kind, patterns in _by_kind(discovery.include)
    )
    is_excluded = any(_matches(patterns, subjects[kind]) for kind, patterns in _by_kind(discovery.exclude))
    return is_included and not is_excluded


def _by_kind(wanted: Filter) -> tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]:
    return (
        ("workspaces", wanted.workspaces),
        ("projects", wanted.projects),
        ("databases", wanted.databases),
        ("regions", wanted.regions),
    )


def _matches(patterns: Iterable[re.Pattern[str]], texts: tuple[str, ...]) -> bool:
    return any(pattern.search(text) for pattern in patterns for text in texts)
