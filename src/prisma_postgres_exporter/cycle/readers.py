"""Which credential reads which workspace, and what is known of each credential."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from prisma_postgres_exporter.api import ManagementApi
from prisma_postgres_exporter.discover import Discovery
from prisma_postgres_exporter.errors import ApiError, CredentialRefused
from prisma_postgres_exporter.expose import ExporterHealth

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialState:
    """What is known of one credential. `error` is why the API did not accept it the last time, and since when."""

    workspace_id: str | None
    error: ApiError | None
    failing_since_at: datetime | None
    expires_at: datetime | None


class Readers:
    """The clients by workspace; keeps a workspace's reader while the vendor is down.

    `credentials` are by name, `workspace_failures` by workspace id: why it cannot be read, `None` where it can.
    """

    def __init__(self, health: ExporterHealth, clock: Callable[[], datetime]) -> None:
        self.credentials: dict[str, CredentialState] = {}
        self.workspace_failures: dict[str, str | None] = {}
        self.clients: Mapping[str, ManagementApi] = {}
        self._health = health
        self._clock = clock
        self._expiries: Mapping[str, datetime] = {}
        self._names: dict[str, str] = {}

    @property
    def by_workspace(self) -> dict[str, ManagementApi]:
        """The client that reads each workspace, by workspace id."""
        return {id_: self.clients[name] for id_, name in self._names.items()}

    def use(self, clients: Mapping[str, ManagementApi], expiries: Mapping[str, datetime]) -> None:
        """Read with these clients from now on; clients and their tokens' ends by credential name."""
        for name in self.clients.keys() - clients.keys():
            self._health.credential_gone(name)
        self.clients = dict(clients)
        self._expiries = dict(expiries)
        self._names = {id_: name for id_, name in self._names.items() if name in clients}

    def note_discovery(self, discovery: Discovery, known_workspaces: Collection[str]) -> None:
        """Note what a discovery found of each credential, and choose who reads each workspace."""
        self.credentials = {name: state for name, state in self.credentials.items() if name in self.clients}
        for report in discovery.credentials:
            self._note_credential(report.name, report.workspace_id, report.error)
        self._choose(discovery, known_workspaces)

    def note_read(self, workspace_ids: Collection[str], errors: Mapping[str, ApiError]) -> None:
        """Note that these workspaces were read, and which failed as a whole."""
        for workspace_id in workspace_ids - errors.keys():
            self.workspace_failures[workspace_id] = None
        for workspace_id, error in errors.items():
            self._note_failure(workspace_id, error)

    def _note_failure(self, workspace_id: str, error: ApiError) -> None:
        if self.workspace_failures.get(workspace_id) != error.reason:
            log.warning("workspace failing", workspace_id=workspace_id, reason=error.reason, error=str(error))
        self.workspace_failures[workspace_id] = error.reason
        if isinstance(error, CredentialRefused):
            name = self._names.pop(workspace_id, None)
            if name is not None:
                self._note_credential(name, workspace_id, error)

    def _note_credential(self, name: str, workspace_id: str | None, error: ApiError | None) -> None:
        before = self.credentials.get(name)
        was_failing = before is not None and before.error is not None
        if error is not None and (before is None or before.error is None or before.error.reason != error.reason):
            log.warning("credential failing", credential=name, reason=error.reason, error=str(error))
        if error is None and was_failing:
            log.info("credential recovered", credential=name)
        failing_since_at = before.failing_since_at if before is not None and was_failing else self._clock()
        self.credentials[name] = CredentialState(
            workspace_id=workspace_id or (before.workspace_id if before else None),
            error=error,
            failing_since_at=failing_since_at if error else None,
            expires_at=self._expiries.get(name),
        )
        self._health.credential_seen(name, error is None, self._expiries.get(name))

    def _choose(self, discovery: Discovery, known_workspaces: Collection[str]) -> None:
        """A workspace keeps its reader while the vendor is down, and loses it when the vendor refuses it."""
        refused = {report.name for report in discovery.credentials if isinstance(report.error, CredentialRefused)}
        kept = {id_: name for id_, name in self._names.items() if name not in refused}
        self._names = {**kept, **discovery.readers}
        errors = [report.error for report in discovery.credentials if report.error is not None]
        for id_ in {*known_workspaces, *discovery.readers}:
            if id_ in discovery.readers:
                self.workspace_failures[id_] = None
            else:
                own = [
                    report.error.reason
                    for report in discovery.credentials
                    if report.workspace_id == id_ and report.error is not None
                ]
                self.workspace_failures[id_] = next(iter([*own, *(error.reason for error in errors)]), "no_credential")
