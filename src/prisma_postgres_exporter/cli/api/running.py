"""Run one `api` command: clients for every credential, errors as messages, and an exit code that says what helps."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import configuration
from prisma_postgres_exporter.cli.printing import Column, Columns, Form, print_list
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.config import Config, Credential, format_duration, read_tokens
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, CredentialRefused, Unavailable

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import Created, ManagementApi

EXIT_REFUSED = 1
EXIT_WRONG_USAGE = 2
EXIT_UNKNOWN = 3
EXIT_TRY_AGAIN = 75

EXIT_CODES = (
    "Exit status: 0 done; 1 refused, trying again will not help; 2 wrong usage or configuration, a refused token "
    "included; 3 it may have been done, or goes on: look before trying again; 75 nothing was done, try again later; "
    "130 ended by Ctrl-C."
)

REST = "The answer has one more secret, which --reveal would have shown."


class GoesOn(ApiError):
    """A wait ended before what was begun, and that goes on; `look` is the command that shows it."""

    def __init__(self, error: ApiError, *, look: str) -> None:
        super().__init__(
            str(error),
            reason=error.reason,
            operation=error.operation,
            endpoint=error.endpoint,
            status=error.status,
            request_id=error.request_id,
            code=error.code,
            hint=error.hint,
            is_outcome_unknown=True,
        )
        self.credential = error.credential
        self.look = look


_OF_THE_CALLER = frozenset({"invalid_id", "invalid_argument"})


@dataclass(frozen=True, slots=True)
class Reach:
    """What one credential reaches: its workspace."""

    credential: str
    api: ManagementApi


@dataclass(slots=True)
class Session:
    """The credentials that a command may use, and what went wrong with some of them on the way."""

    reaches: tuple[Reach, ...]
    failures: list[ApiError] = field(default_factory=list)

    def forgive(self, error: ApiError, *, has_results: bool = False) -> None:
        """Go on with the results there are, or with the other credentials, if there are any.

        Raises:
            ApiError: there are none.
        """
        if len(self.reaches) == 1 and not has_results:
            raise error
        self.failures.append(error)

    def of(self, api: ManagementApi) -> Session:
        """The same with one client alone."""
        return Session((Reach("", api),), self.failures)

    def only(self, advice: str) -> Reach:
        """The one credential there is.

        Raises:
            ConfigurationError: there are several; `advice` is what to do.
        """
        if len(self.reaches) > 1:
            raise ConfigurationError([f"{advice}: there are {len(self.reaches)} credentials (`api workspaces list`)"])
        return self.reaches[0]


def run(
    work: Callable[[Session], Awaitable[None]],
    *,
    config: Path | None,
    api_url: str | None,
    workspace: str | None,
    reveal: bool = False,
    chosen: Form = Form.JSON,
) -> None:
    """Do `work` with the configured credentials, those of one workspace if it is named.

    With `reveal` the secrets of an answer that could not be read are printed in the `chosen` form: they are shown
    this once.

    Raises:
        ConfigurationError: what has to be corrected.
        typer.Exit: the API refused or failed; it was printed why.
    """
    loaded = configuration(config, api_url, None)()
    tokens = read_tokens(loaded)
    if tokens.problems:
        # Without one of its credentials a command could list too little, or write to another workspace.
        raise ConfigurationError([str(problem) for problem in tokens.problems])
    secrets = [credential.token.get_secret_value() for credential in tokens.credentials]
    configure_logs("console", level=logging.CRITICAL, secrets=secrets)
    failures = asyncio.run(_run(work, loaded, tokens.credentials, workspace))
    for error in failures:
        _print(error, is_one_of_several=len(tokens.credentials) > 1)
        _print_secrets(error, reveal=reveal, chosen=chosen)
    if failures:
        raise typer.Exit(max(map(_exit_code, failures), key=_URGENCY.index))


async def _run(
    work: Callable[[Session], Awaitable[None]],
    config: Config,
    credentials: tuple[Credential, ...],
    workspace: str | None,
) -> list[ApiError]:
    async with _session(config, credentials) as session:
        try:
            chosen = session if workspace is None else await _in_workspace(session, workspace)
            await work(chosen)
        except asyncio.CancelledError as ended:
            for note in getattr(ended, "__notes__", ()):
                say(f"\n{note}.")
                say(_ADVICE[EXIT_UNKNOWN])
            raise
        except ApiError as error:
            return [error]
        return chosen.failures


@asynccontextmanager
async def _session(config: Config, credentials: tuple[Credential, ...]) -> AsyncIterator[Session]:
    from prisma_postgres_exporter.api import ManagementApi
    from prisma_postgres_exporter.service import limits_of

    limits = limits_of(config)
    async with AsyncExitStack() as stack:
        reaches = []
        for credential in credentials:
            client = ManagementApi(credential.token, base_url=config.api_url, limits=limits, name=credential.name)
            reaches.append(Reach(credential.name, await stack.enter_async_context(client)))
        yield Session(tuple(reaches))


async def _in_workspace(session: Session, wanted: str) -> Session:
    """The same with the credentials of one workspace only."""
    found: dict[str, Reach] = {}
    known = []
    for reach in session.reaches:
        try:
            workspace = (await reach.api.me()).workspace
        except ApiError as error:
            session.forgive(error)
            continue
        if workspace is not None:
            known.append(f"{workspace.name!r} ({workspace.id})")
            if wanted in (workspace.id, workspace.id.removeprefix("wksp_"), workspace.name):
                found.setdefault(workspace.id, reach)
    if not found and session.failures:
        raise session.failures.pop()
    if not found:
        raise ConfigurationError([f"--workspace {wanted}: no credential opens it; they open {', '.join(known)}"])
    if len(found) > 1:
        raise ConfigurationError([f"--workspace {wanted}: {len(found)} have that name; give an id: {', '.join(found)}"])
    return Session(tuple(found.values()), session.failures)


def _exit_code(error: ApiError) -> int:
    if error.is_outcome_unknown:
        return EXIT_UNKNOWN
    if isinstance(error, Unavailable):
        return EXIT_TRY_AGAIN
    is_to_correct = isinstance(error, CredentialRefused) or error.reason in _OF_THE_CALLER
    return EXIT_WRONG_USAGE if is_to_correct else EXIT_REFUSED


_URGENCY = (EXIT_TRY_AGAIN, EXIT_WRONG_USAGE, EXIT_REFUSED, EXIT_UNKNOWN)


def _print(error: ApiError, *, is_one_of_several: bool) -> None:
    whose = f"credential {error.credential}: " if is_one_of_several and error.credential else ""
    say(f"error: {whose}{error}", style="red")
    if error.hint:
        say(f"hint: {error.hint}")
    if error.request_id:
        say(f"request id: {error.request_id}")
    say(_advice(error))


def say_rest(made: Created, *, reveal: bool) -> None:
    """Print the secrets of a creation that no column has, on standard error: the API shows them this once."""
    for secret in made.shown_once:
        say(f"also shown this once: {secret.get_secret_value()}" if reveal else REST)


def _print_secrets(error: ApiError, *, reveal: bool, chosen: Form) -> None:
    if not error.shown_once:
        return
    secrets = [secret.get_secret_value() for secret in error.shown_once]
    if reveal:
        pairs = [(kind_of_secret(secret), secret) for secret in secrets]
        print_list(pairs, _SECRETS, chosen, what="secrets", has_more=False, is_complete=False)
    else:
        say(f"The answer has {len(error.shown_once)} connection strings or tokens, which --reveal would have shown.")


def kind_of_secret(secret: str) -> str:
    """`direct`, `pooled`, `accelerate` or `token`, as far as the secret itself shows it."""
    if secret.startswith(("prisma:", "prisma+postgres:")):
        return "accelerate"
    if not secret.startswith(("postgres:", "postgresql:")):
        return "token"
    return "pooled" if "@pooled." in secret or "-pooler." in secret else "direct"


_SECRETS: Columns[tuple[str, str]] = (
    Column("kind", lambda pair: pair[0], "kind"),
    Column("shown_once", lambda pair: pair[1], "shown once"),
)


def _advice(error: ApiError) -> str:
    code = _exit_code(error)
    if isinstance(error, GoesOn):
        return f"It goes on: look with `{error.look}`."
    if code == EXIT_TRY_AGAIN and error.retry_after_seconds:
        return f"Try again in {format_duration(timedelta(seconds=math.ceil(error.retry_after_seconds)))}."
    return _ADVICE[code]


_ADVICE = {
    EXIT_REFUSED: "Trying again will not help.",
    EXIT_WRONG_USAGE: "Correct that, then try again.",
    EXIT_UNKNOWN: "It may have been done all the same: look before trying again.",
    EXIT_TRY_AGAIN: "Try again later.",
}
