"""What a diagnosis rests on: what the API just said, what the store holds, and how it is configured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prisma_postgres_exporter.config import Difference, Lack, PollConfig, format_duration
from prisma_postgres_exporter.cost import NOTHING, Usage, WorkspaceCost
from prisma_postgres_exporter.diagnosis.findings import Reason
from prisma_postgres_exporter.errors import (
    ApiError,
    ConfigurationError,
    CredentialRefused,
    MalformedAnswer,
    NotAllowed,
    NotFound,
    PlanLimitReached,
    RequestRefused,
    Unavailable,
)
from prisma_postgres_exporter.ledger.plan import ROUND_SPAN
from prisma_postgres_exporter.model import Database, DatabaseState, DayUsage, Event, Revision, Workspace
from prisma_postgres_exporter.reasons import meaning_of

ROUNDS_MISSED = 3
NOT_THE_API = (
    "what answers there is not the Management API: set `api_url` (--api-url, PRISMA_POSTGRES_API_URL) to "
    "https://api.prisma.io, or look for a proxy that answers in its place"
)
FIRST_CALL = "me"
"""Every service of whatever kind that is the Management API answers it for a good token, and with 401 for another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service is configured, as far as it explains what is shown when."""

    poll: PollConfig
    discovery_interval: timedelta

    @property
    def read_every(self) -> str:
        """How often a database is read, for people."""
        within = format_duration(self.poll.read_within)
        return within if self.poll.read_within == self.poll.interval else f"{within} at least"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that failed: why, in words, what to do, and for how long the API asks to be left alone, if it does."""

    reason: Reason
    message: str
    advice: str = ""
    retry_after_seconds: float | None = None

    @classmethod
    def of(cls, error: ApiError | ConfigurationError) -> Failure:
        """Tell an error apart by what it means for a diagnosis."""
        if isinstance(error, ConfigurationError):
            return cls(reason=Reason.CONFIGURATION_WRONG, message=str(error))
        reason = next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.API_REFUSED)
        message = f"{error}{f' ({error.hint})' if error.hint else ''}"
        advice = meaning_of(error.reason) or ""
        if error.operation == FIRST_CALL and isinstance(error, (MalformedAnswer, NotFound, RequestRefused)):
            reason, advice = Reason.NOT_THE_API, NOT_THE_API
        elif isinstance(error, CredentialRefused) and error.code is None:
            advice += "; or the address is not the Management API's, which says more with a 401: check `api_url`"
        return cls(reason=reason, message=message, advice=advice, retry_after_seconds=error.retry_after_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """The store. `failure` is why it cannot be used; `written_at` when it was last written to, if ever.

    `databases` are known to it, the newest reading of any of them is of `newest_reading_at`; `cost_warnings` say what
    of the costs cannot be computed, or fits nothing.

    `collectors` are the names of the processes that share it, `collected_by` the one of each workspace, by its id;
    `None` where it is for one process. `differences` are settings that they should have in common, `lacks`
    workspaces of which only some have a token.
    """

    url: str
    failure: Failure | None = None
    collectors: tuple[str, ...] | None = None
    collected_by: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    lacks: tuple[Lack, ...] = ()
    generation: int = 0
    written_at: datetime | None = None
    newest_reading_at: datetime | None = None
    databases: int = 0
    cost_warnings: tuple[str, ...] = ()

    def is_kept(self, settings: Settings, now: datetime) -> bool:
        """Whether it was written lately. A service that runs writes in every round, also where nothing is used."""
        age = None if self.written_at is None else now - self.written_at
        return age is not None and age <= settings.poll.silent_for(ROUNDS_MISSED) + ROUNDS_MISSED * ROUND_SPAN


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenFacts:
    """An address to listen on: who listens there already, if anybody does, or why nobody can.

    `is_on_this_store`: it is a service of ours on the store that was looked at; `None` where nobody can tell.
    `unhealthy` is why the service there says that it is not healthy, if it does.
    """

    address: str
    holder: str | None = None
    is_ours: bool = False
    is_on_this_store: bool | None = None
    unhealthy: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFacts:
    """A target of push, its address without secrets, and why it did not take an empty request just now, if so.

    `is_wrong`: nothing but a correction of the configuration helps.
    """

    name: str
    url: str
    every: timedelta
    problem: str | None = None
    is_wrong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFacts:
    """The web configuration file, `None` without one: who gets in by it, or why it cannot be used.

    `not_in_force` is why a service does not use it.
    `notes` are what a person should know, with a file or without.
    """

    path: str | None
    access: str = ""
    not_in_force: str | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFacts:
    """What was read: how many credentials, the API's address, the way there, and what is odd."""

    credentials: int
    api_url: str
    way: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """One credential: the workspace it told, or why it could not tell it or list what is in it.

    `workspace` is what the API said, or else what the token says of itself, unverified. `skew_seconds` is how far this
    machine's clock is ahead of the API's, below zero where it is behind.
    """

    name: str
    workspace: str | None
    failure: Failure | None
    expires_at: datetime | None
    databases: int | None = None
    skew_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceFacts:
    """One workspace. `failure` is why it was not listed just now, `None` where it was. `is_known`: to the store.

    `gone_at` is since when no credential lists it, where that is so. `refused` is how many records of its lists cannot
    be used, by reason. `cost` is what this month costs, if the store says it, `usage` what was used. `period` is the
    rhythm by which its numbers moved in the last day, as far as stored readings tell.
    """

    workspace: Workspace
    failure: Failure | None
    is_known: bool
    gone_at: datetime | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    cost: WorkspaceCost | None = None
    usage: Usage = NOTHING
    period: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFacts:
    """What the API just said about a database's month to date; `None` where it left a number out."""

    period_start_at: datetime
    period_end_at: datetime
    operations: int | None
    storage_bytes: int | None
    generated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """One database.

    `is_listed` says whether the API lists it just now, `None` where its workspace could not be
    listed. `state` is what the store holds, `deleted_at` when it noticed that the database was gone.
    `filtered_by` is the filter that leaves it out, `gone_at` since when no credential lists its workspace. Of a
    database that was asked for by name there is more: `usage`, or why there is none, and its `days` (of this and the
    previous month), `revisions` of those and `events`; they are `None` for others. `backfill` is how one into the
    same ledger begins in a shell.
    """

    database: Database
    is_listed: bool | None
    backfill: str
    state: DatabaseState | None = None
    deleted_at: datetime | None = None
    filtered_by: str | None = None
    gone_at: datetime | None = None
    usage: UsageFacts | Failure | None = None
    days: tuple[DayUsage, ...] | None = None
    revisions: tuple[Revision, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def is_followed(self) -> bool:
        """Whether it ought to be read."""
        return self.filtered_by is None and self.deleted_at is None and self.gone_at is None

    @property
    def is_named(self) -> bool:
        """Whether it was asked for by name."""
        return self.days is not None

    @property
    def next_reads(self) -> str:
        """When what is due will be read."""
        if self.is_listed is None:
            return "when its workspace can be listed again"
        is_failing = self.state is not None and self.state.failing_since_at is not None
        return "when it answers again" if is_failing else "in the next rounds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything, as of `now` (aware, UTC, whole seconds).

    `is_quick`: it is asked whether a service could run here, not what one did; `configuration` is `None`, and what is
    around a service left out, where a part was asked for by name.
    """

    now: datetime
    settings: Settings
    store: StoreFacts
    credentials: tuple[CredentialFacts, ...]
    workspaces: tuple[WorkspaceFacts, ...] = ()
    databases: tuple[DatabaseFacts, ...] = ()
    configuration: ConfigurationFacts | None = None
    listens: tuple[ListenFacts, ...] = ()
    pushes: tuple[PushFacts, ...] = ()
    web: WebFacts | None = None
    is_quick: bool = False


_REASONS = (
    (CredentialRefused, Reason.UNAUTHORISED),
    (NotAllowed, Reason.NOT_ALLOWED),
    (PlanLimitReached, Reason.BLOCKED),
    (Unavailable, Reason.API_UNREACHABLE),
)
