"""Which workspaces this process collects, where several share a store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
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

    def is_unclaimed(self, workspace_id: str, unread: timedelta | None) -> bool:
        """Whether a workspace of which this process has no credential is nobody else's either, as far as is known.

        `unread` is for how long nothing was read of it; `None`: nothing ever was.
        """


@dataclass(frozen=True, slots=True)
class Unshared:
    """Everything is this process's: a store of its own, or a command that somebody runs.

    A command may have fewer credentials than a service or another command: it takes a workspace for nobody's only where
    nothing was read of it for `unread_for`, and where that is `None` never.
    """

    unread_for: timedelta | None = timedelta(0)

    def holds(self, workspace_id: str) -> bool:
        """Yes."""
        return True

    def lease(self, workspace_id: str) -> Lease | None:
        """None."""
        return None

    def is_unclaimed(self, workspace_id: str, unread: timedelta | None) -> bool:
        """Whether somebody else would have read it."""
        if not self.unread_for:
            return self.unread_for is not None
        return unread is not None and unread >= self.unread_for
