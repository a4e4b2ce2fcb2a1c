"""What the service says about itself to people: the content of the status page and of the health checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prisma_postgres_exporter.config import PROGRAM
from prisma_postgres_exporter.ledger.attention import Learned
from prisma_postgres_exporter.report import Day
from prisma_postgres_exporter.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialStatus:
    """One credential by its configured name, never its token. `reason` says why it is down, `code` in short."""

    name: str
    is_up: bool
    workspace_id: str | None = None
    workspace_name: str | None = None
    reason: str | None = None
    code: str | None = None
    failing_since_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStatus:
    """One workspace's last round: readings that came, and that did not. `next_at` is when the next one begins.

    `first_ended_at` is when the first round of this process ended that found out what exists and what the plan is: what
    is shown since was made after one; `None` until then.
    `looked_at` is when databases were looked for last, `looks_at` when they will be next. `learned` is what
    `poll.adaptive` knows of the workspace, if it is on.
    """

    workspace_id: str
    workspace_name: str
    first_ended_at: datetime | None
    finished_at: datetime
    seconds: float
    readings: int
    failed: int
    next_at: datetime | None
    learned: Learned | None = None
    looked_at: datetime | None = None
    looks_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushStatus:
    """A target of push: `problem` says why it does not take everything; `waiting_since_at` is of the oldest that waits.

    `url` has no secret in it.
    """

    target: str
    url: str
    last_success_at: datetime | None
    failing_since_at: datetime | None
    problem: str | None
    waiting_since_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """What became of a reload: `problem` says why it was refused, `note` what a person should know of a good one."""

    problem: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """The service at `now_at`. All instants are aware UTC.

    `not_ready_reason` is `None` when the service is ready, `unhealthy_reason` when it is healthy
    (a service that waits for the vendor is both). `store_url` has no password; `store_error` says
    why the last write or read failed. `workspace_days` are the newest days of the ledger, oldest first, by
    workspace id. `widened_windows` are the windows for which the vendor answers for more time than was asked for, with
    the number of databases. `waits` are the instants before which the vendor asked not to be asked again, by database
    id. `reload_error` says why the configuration is not the one that was read last, `reload_failing_since_at` since
    when. `sharing` is how many workspaces each process collects, by its name and this one's first, where several share
    the store, and `collected_by` the other one that collects a workspace, by its id. `pushes` are what is pushed where.
    `notes` are lines a person should read first. `program` is how this one is started in a shell, `store_flag` what
    brings a command to this store. With `is_part` it is what a user may see of it who sees some
    workspaces alone: nothing of how the service runs.
    """

    version: str
    now_at: datetime
    started_at: datetime
    api_url: str
    store_url: str
    store_error: str | None = None
    not_ready_reason: str | None = None
    unhealthy_reason: str | None = None
    credentials: tuple[CredentialStatus, ...] = ()
    snapshot: Snapshot | None = None
    workspace_days: Mapping[str, Sequence[Day]] = field(default_factory=dict)
    widened_windows: Mapping[str, int] = field(default_factory=dict)
    waits: Mapping[str, datetime] = field(default_factory=dict)
    reload_error: str | None = None
    reload_failing_since_at: datetime | None = None
    rounds: tuple[RoundStatus, ...] = ()
    sharing: Mapping[str, int] | None = None
    collected_by: Mapping[str, str] = field(default_factory=dict)
    pushes: tuple[PushStatus, ...] = ()
    notes: tuple[str, ...] = ()
    program: str = PROGRAM
    store_flag: str = ""
    is_part: bool = False
