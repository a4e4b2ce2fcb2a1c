"""What rounds tell of themselves: the counters and gauges that someone shows."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from prisma_postgres_exporter.ledger.attention import Learned


class Health(Protocol):
    """Is told what happens; every failure has a reason."""

    def credential_seen(self, name: str, *, is_up: bool) -> None:
        """The API accepted a credential or refused it, or it has no usable token."""

    def credential_expires(self, name: str, at: datetime | None) -> None:
        """When a credential expires, `None` where it does not say."""

    def credential_belongs(self, name: str, workspace_id: str | None) -> None:
        """Whose a credential is, `None` where that is not known."""

    def credential_gone(self, name: str) -> None:
        """A credential is no longer configured."""

    def round_finished(self, workspace_id: str, seconds: float, lag_seconds: float | None, at: datetime) -> None:
        """A round that took `seconds` ended at `at`; it had begun so much after its time, if it had one."""

    def learned(self, workspace_id: str, learned: Learned | None, *, made: int, saved: int) -> None:
        """What the adaptive plan of a workspace knows, if it has one; what it read and saved since the last call."""

    def round_failed(self, workspace_id: str) -> None:
        """A round ended by an exception that nobody foresaw."""

    def workspace_gone(self, workspace_id: str) -> None:
        """A workspace is not collected any more."""

    def reading_failed(self, reason: str) -> None:
        """A reading did not come, or said something that cannot be."""

    def discovery_failed(self, reason: str) -> None:
        """What a workspace holds, or its subscription, could not be found out."""

    def record_refused(self, reason: str, count: int) -> None:
        """A discovery left out so many records."""

    def event_noticed(self, subject: str, kind: str) -> None:
        """A discovery noticed that something was created, found, renamed, moved, deleted or returned."""

    def clock_compared(self, skew_seconds: float) -> None:
        """This machine's clock less the vendor's."""

    def store_failed(self) -> None:
        """The store could not be read or written."""
