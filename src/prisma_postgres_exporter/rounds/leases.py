"""Which workspaces this process collects, where several share a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from prisma_postgres_exporter.model import Lease


class Leases(Protocol):
    """Says, at any moment, what is surely this process's to collect."""

    def holds(self, workspace_id: str) -> bool:
        """Whether nobody else can be collecting this workspace now."""

    def lease(self, workspace_id: str) -> Lease | None:
        """What a write of this workspace has to show; `None` where none is needed.

        Raises:
            LeaseLost: it is not held.
        """

    def is_unclaimed(self, workspace_id: str) -> bool:
        """Whether a workspace of which this process has no credential is nobody else's either, as far as is known."""


@dataclass(frozen=True, slots=True)
class Unshared:
    """Everything is this process's: a store of its own, or a command that somebody runs beside the services.

    Such a command is not alone: it may have fewer credentials than they, and leaves it to them what nobody has one of.
    """

    is_alone: bool = True

    def holds(self, workspace_id: str) -> bool:
        """Yes."""
        return True

    def lease(self, workspace_id: str) -> Lease | None:
        """None."""
        return None

    def is_unclaimed(self, workspace_id: str) -> bool:
        """Whether there is nobody else."""
        return self.is_alone
