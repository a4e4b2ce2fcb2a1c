"""Whether a region is one."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from prisma_postgres_exporter.cli.api.options import INHERIT
from prisma_postgres_exporter.errors import ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import ManagementApi


async def require_region(api: ManagementApi, region: str | None, *, may_inherit: bool = False) -> None:
    """Ask the API which regions there are; `inherit` is one where a project has a region already.

    Raises:
        ConfigurationError: `region` is not one of them, or takes no databases now.
    """
    if region is None or (may_inherit and region == INHERIT):
        return
    known = {found.id: found.status for found in await api.postgres_regions()}
    free = sorted(name for name, status in known.items() if status != "unavailable")
    if region in free:
        return
    problem = "is unavailable" if region in known else "no such region"
    near = get_close_matches(region, free, n=1)
    nearest = f"; did you mean {near[0]}?" if near else ""
    raise ConfigurationError([f"--region {region}: {problem}; there are {', '.join(free)}{nearest}"])
