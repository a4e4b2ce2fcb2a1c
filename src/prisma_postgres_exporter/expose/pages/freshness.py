"""Until when databases are read, and when new ones are looked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from prisma_postgres_exporter.expose.pages.listing import is_failing
from prisma_postgres_exporter.expose.status import RoundStatus
from prisma_postgres_exporter.snapshot import DatabaseView


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """`until_at` is the oldest newest reading of those that are read; where all fail, the newest.

    Where one that fails was read last before it, that is `late`, by its name, until `late_at`.
    """

    until_at: datetime
    late: str = ""
    late_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """When the last of some workspaces was looked through for databases, and by when each will be again."""

    at: datetime
    next_at: datetime | None


def freshness(views: Sequence[DatabaseView]) -> Freshness | None:
    """Return until when these databases are read; `None` where none ever was."""
    read = [(view.usage_at, view) for view in views if view.usage_at is not None]
    if not read:
        return None
    until_at = min((at for at, view in read if not is_failing(view)), default=None) or max(at for at, _ in read)
    late_at, late = min(read, key=lambda one: one[0])
    if late_at == until_at:
        return Freshness(until_at=until_at)
    return Freshness(until_at=until_at, late=late.database_name or late.database_id, late_at=late_at)


def search(rounds: Iterable[RoundStatus]) -> Search | None:
    """Return when databases are looked for in the workspaces of these rounds; `None` where none was yet."""
    looks = [(round_.looked_at, round_.looks_at) for round_ in rounds if round_.looked_at is not None]
    if not looks:
        return None
    return Search(at=min(at for at, _ in looks), next_at=max((at for _, at in looks if at is not None), default=None))
