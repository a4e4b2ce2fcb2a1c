"""The credentials: which of them reads which workspace, and what is known of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from prisma_postgres_exporter.config import Config, Credential, Tokens, claims
from prisma_postgres_exporter.descriptors import for_client
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, CredentialRefused, MalformedAnswer, NotAllowed
from prisma_postgres_exporter.model import Workspace
from prisma_postgres_exporter.reasons import meaning_of
from prisma_postgres_exporter.rounds.health import Health
from prisma_postgres_exporter.rounds.interpret import LARGEST_SKEW
from prisma_postgres_exporter.rounds.vendor import MakeApi, VendorApi

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialState:
    """What is known of one credential.

    `workspace_id` is what the API said, until then what the token itself says, or the one that it replaced; `None` if
    nobody said it. `is_identified` says that it was the API. `reason` and `problem` are what is wrong with it, a
    constant and a line for people: the newest call for it failed, or there is no token; `failing_since_at` since when.
    Only what `is_refused`, by the API or as it has no usable token, is out of use until the API accepts it.
    """

    name: str
    workspace_id: str | None = None
    is_identified: bool = False
    is_refused: bool = False
    reason: str | None = None
    problem: str | None = None
    failing_since_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """A credential with its client: what reads a workspace now."""

    name: str
    api: VendorApi


class Readers:
    """The clients of all credentials. A workspace is read by the first of its credentials in use that has no problem.

    Where each has one, the first reads it. A credential goes on reading while the API is down, and no longer when the
    API refuses it; also then it is known whose it is.
    """

    def __init__(self, make: MakeApi, health: Health, clock: Callable[[], datetime]) -> None:
        self.states: dict[str, CredentialState] = {}
        self._make = make
        self._health = health
        self._clock = clock
        self._made: dict[str, tuple[Credential, tuple[object, ...], VendorApi]] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    async def use(self, config: Config, tokens: Tokens) -> tuple[str, ...]:
        """Read with these tokens from now on; returns the names of those that are new or changed and can be used.

        Clients of a token that is gone or changed, or of other settings, end when their calls under way have ended.
        """
        clients = len(tokens.credentials)
        settings = (config.api_url, config.poll, for_client(clients, config.poll.most_calls))
        made: dict[str, tuple[Credential, tuple[object, ...], VendorApi]] = {}
        problems: dict[str, tuple[str, str]] = {
            problem.name: (problem.reason, problem.text) for problem in tokens.problems
        }
        changed = []
        for credential in tokens.credentials:
            known = self._made.get(credential.name)
            if known is not None and known[:2] == (credential, settings):
                made[credential.name] = known
                continue
            try:
                made[credential.name] = credential, settings, self._make(credential, config, clients)
            except ConfigurationError as error:
                problems[credential.name] = "malformed", str(error)
                continue
            if known is None or known[0] != credential:
                changed.append(credential.name)
        before, self._made = self._made, made
        for name, (_, _, api) in before.items():
            if name not in made or made[name][2] is not api:
                self._retire(api)
        self._note_tokens(changed, problems)
        return tuple(changed)

    async def identify(self, name: str) -> Workspace | None:
        """Ask the API whose this credential is; `None` where it did not say, and then its state says why, or is gone.

        A client that was replaced meanwhile says nothing: the new one is asked.
        """
        while (reader := self._reader(name)) is not None:
            try:
                me = await reader.api.me()
                if me.workspace is None:
                    raise MalformedAnswer("the credential belongs to no workspace", reason="no_workspace")
            except ApiError as error:
                if self.is_current(reader):
                    self.note_error(reader, error)
                    return None
                continue
            if self.is_current(reader):
                self._accept(name, me.workspace.id)
                return Workspace(id=me.workspace.id, name=me.workspace.name)
        return None

    def reader(self, workspace_id: str) -> Reader | None:
        """What reads this workspace now; `None` where no credential in use is known to be its."""
        own = [state for state in self.states.values() if state.workspace_id == workspace_id and self._is_usable(state)]
        # One that had no trouble goes before.
        own.sort(key=lambda state: state.problem is not None)
        return next((reader for state in own if (reader := self._reader(state.name)) is not None), None)

    def is_current(self, reader: Reader) -> bool:
        """Whether this client is still the one of its credential: what an older one learns counts no more."""
        return reader == self._reader(reader.name)

    def note_error(self, reader: Reader, error: ApiError) -> None:
        """Note that a call for the credential itself, or for its whole workspace, failed; only a 401 refuses it."""
        state = self.states.get(reader.name)
        if state is None or not self.is_current(reader):
            return
        is_refused = state.is_refused or isinstance(error, CredentialRefused)
        self._fail(state, error.reason, str(error), is_refused=is_refused)
        if isinstance(error, NotAllowed):
            self._health.credential_seen(reader.name, is_up=False)

    def note_success(self, reader: Reader) -> None:
        """Note that the API accepts the credential."""
        state = self.states.get(reader.name)
        if state is not None and state.problem is not None and self.is_current(reader):
            self._accept(reader.name, state.workspace_id)

    def why_unread(self, workspace_id: str) -> str:
        """Why there is no reader of this workspace: a reason constant."""
        own = [state for state in self.states.values() if state.workspace_id == workspace_id]
        unknown = [state for state in self.states.values() if state.workspace_id is None]
        return next((state.reason for state in (*own, *unknown) if state.reason is not None), "no_credential")

    @property
    def unidentified(self) -> tuple[str, ...]:
        """The credentials in use of which the API has not said yet whose they are, or which it refused."""
        return tuple(name for name, state in self.states.items() if name in self._made and not self._is_usable(state))

    @property
    def are_asking(self) -> bool:
        """Whether a credential was not tried yet: it may be any workspace's."""
        return any(not state.is_identified and state.reason is None for state in self.states.values())

    @property
    def workspace_ids(self) -> frozenset[str]:
        """The workspaces of which a credential is known."""
        return frozenset(state.workspace_id for state in self.states.values() if state.workspace_id is not None)

    @property
    def refused_workspace_ids(self) -> frozenset[str]:
        """Those of them of which every credential is refused."""
        return self.workspace_ids - {state.workspace_id for state in self.states.values() if not state.is_refused}

    @property
    def problems(self) -> Iterator[str]:
        """What is wrong with credentials and what to do, a line each."""
        for state in self.states.values():
            if state.problem is not None:
                meaning = meaning_of(state.reason or "")
                yield f"credential {state.name}: {state.problem}{f'; {meaning}' if meaning else ''}"

    @property
    def are_all_known(self) -> bool:
        """Whether it is known of each credential whose it is: then the other workspaces have none."""
        return all(state.workspace_id is not None for state in self.states.values())

    @property
    def skew_seconds(self) -> float | None:
        """This machine's clock less the vendor's: the middle one of what the clients saw last, `None` if none did."""
        known = sorted(skew for _, _, api in self._made.values() if (skew := api.skew_seconds) is not None)
        return known[len(known) // 2] if known else None

    @property
    def is_clock_right(self) -> bool:
        """Whether this machine's clock agrees with the vendor's, as far as that is known."""
        return _is_right(self.skew_seconds)

    def compare_clock(self, reader: Reader) -> bool:
        """Whether this machine's clock agrees with the one that this client saw last, as far as it saw any."""
        if self.skew_seconds is not None:
            self._health.clock_compared(self.skew_seconds)
        return _is_right(reader.api.skew_seconds)

    async def close(self) -> None:
        """Close every client, when its calls under way have ended."""
        for _, _, api in self._made.values():
            self._retire(api)
        self._made = {}
        await asyncio.gather(*self._retiring)

    def _reader(self, name: str) -> Reader | None:
        made = self._made.get(name)
        return None if made is None else Reader(name, made[2])

    def _is_usable(self, state: CredentialState) -> bool:
        return state.is_identified and not state.is_refused

    def _retire(self, api: VendorApi) -> None:
        task = asyncio.create_task(api.retire())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def _note_tokens(self, changed: Iterable[str], problems: dict[str, tuple[str, str]]) -> None:
        for name in self.states.keys() - self._made.keys() - problems.keys():
            del self.states[name]
            self._health.credential_gone(name)
        for name, (credential, _, _) in self._made.items():
            if name in self.states and name not in changed:
                continue
            said = claims(credential.token)
            before = self.states.get(name)
            # Until the API says: of a token that was replaced it is most likely the same.
            workspace_id = said.workspace_id or (before.workspace_id if before else None)
            self.states[name] = CredentialState(name=name, workspace_id=workspace_id, expires_at=said.expires_at)
            self._health.credential_belongs(name, workspace_id)
            self._health.credential_expires(name, said.expires_at)
        for name, (reason, text) in problems.items():
            state = self.states.get(name) or CredentialState(name=name)
            self._fail(replace(state, is_identified=False), reason, text, is_refused=True)
        self.states = {name: self.states[name] for name in (*self._made, *problems)}

    def _accept(self, name: str, workspace_id: str | None) -> None:
        state = self.states[name]
        if state.problem is not None:
            log.info("credential recovered", credential=name)
        self.states[name] = CredentialState(
            name=name, workspace_id=workspace_id, is_identified=True, expires_at=state.expires_at
        )
        self._health.credential_belongs(name, workspace_id)
        self._health.credential_seen(name, is_up=True)

    def _fail(self, state: CredentialState, reason: str, problem: str, *, is_refused: bool) -> None:
        if (state.reason, state.problem) != (reason, problem):
            log.warning(
                "credential failing", credential=state.name, reason=reason, error=problem, advice=meaning_of(reason)
            )
        self.states[state.name] = replace(
            state,
            is_refused=is_refused,
            reason=reason,
            problem=problem,
            failing_since_at=state.failing_since_at or self._clock(),
        )
        if is_refused:
            self._health.credential_seen(state.name, is_up=False)


def _is_right(skew_seconds: float | None) -> bool:
    return skew_seconds is None or abs(skew_seconds) <= LARGEST_SKEW.total_seconds()
