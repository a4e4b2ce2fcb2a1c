"""Run one `api` command: clients for every credential, errors as messages, and an exit code that says what helps."""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from pydantic import SecretStr

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import configuration
from prisma_postgres_exporter.cli.printing import Column, Columns, Form, print_list
from prisma_postgres_exporter.cli.terminal import NotWritten, is_output_closed, let_go, say
from prisma_postgres_exporter.config import Config, Credential, format_duration, read_tokens
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, CredentialRefused, NotFound, Unavailable
from prisma_postgres_exporter.words import counted

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import Created, ManagementApi

EXIT_REFUSED = 1
EXIT_WRONG_USAGE = 2
EXIT_UNKNOWN = 3
EXIT_TRY_AGAIN = 75

EXIT_CODES = (
    "Exit status: 0 done; 1 refused by the API or by your answer, or there is no such thing: trying again will not "
    "help; 2 wrong usage or configuration, a refused token included; 3 it was or may have been done, or goes on, and "
    "not all of it is shown: look before trying again; 75 nothing was done, try again later; 130 ended by Ctrl-C or "
    "SIGTERM."
)

WHERE_TOKENS_ARE = (
    "PRISMA_POSTGRES_TOKEN (several with commas between them), PRISMA_POSTGRES_TOKEN_FILE, PRISMA_SERVICE_TOKEN or "
    "`credentials` of the configuration"
)

REST = "The answer has one more secret, which --reveal would have shown."


OF_THE_CALLER = frozenset({"invalid_id", "invalid_argument"})
"""The reasons of errors that are found before there is a call, and are the same for every credential."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What one credential reaches: its workspace."""

    credential: str
    api: ManagementApi


@dataclass(slots=True)
class Session:
    """The credentials that a command may use, what went wrong with some of them, and a client for one more token."""

    reaches: tuple[Reach, ...]
    client: Callable[[SecretStr, str], ManagementApi]
    failures: list[ApiError] = field(default_factory=list)

    def of(self, api: ManagementApi) -> Session:
        """The same with one client alone."""
        return replace(self, reaches=(Reach("", api),))

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
    if reveal and is_output_closed():
        raise ConfigurationError(["standard output is closed: secrets would be lost; nothing was changed"])
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
    for error in failures:
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
            await work(session if workspace is None else await _in_workspace(session, workspace))
        except asyncio.CancelledError as ended:
            for note in getattr(ended, "__notes__", ()):
                say(f"\n{note.removesuffix('.')}.")
            raise
        except ApiError as error:
            return [*(failure for failure in session.failures if failure is not error), error]
        return session.failures


@asynccontextmanager
async def _session(config: Config, credentials: tuple[Credential, ...]) -> AsyncIterator[Session]:
    from prisma_postgres_exporter.api import ManagementApi
    from prisma_postgres_exporter.service import limits_of

    limits = limits_of(config)

    def client(token: SecretStr, name: str) -> ManagementApi:
        return ManagementApi(token, base_url=config.api_url, limits=limits, name=name)

    async with AsyncExitStack() as stack:
        reaches = []
        for credential in credentials:
            api = client(credential.token, credential.name)
            reaches.append(Reach(credential.name, await stack.enter_async_context(api)))
        yield Session(tuple(reaches), client)


async def _in_workspace(session: Session, wanted: str) -> Session:
    """The same with the credentials of one workspace only."""
    found: dict[str, Reach] = {}
    known, failed = [], []
    for reach in session.reaches:
        try:
            workspace = (await reach.api.me()).workspace
        except ApiError as error:
            failed.append(error)
            continue
        if workspace is not None:
            known.append(f"{workspace.name!r} ({workspace.id})")
            if wanted in (workspace.id, workspace.id.removeprefix("wksp_"), workspace.name):
                found.setdefault(workspace.id, reach)
    if len(found) > 1:
        raise ConfigurationError([f"--workspace {wanted}: {len(found)} have that name; give an id: {', '.join(found)}"])
    if found:
        warn_unused(failed)
        return replace(session, reaches=tuple(found.values()))
    session.failures += failed
    if failed:
        raise failed[-1]
    raise NotFound(
        f"--workspace {wanted}: no credential opens it; they open {', '.join(known)}", reason="http_404", status=404
    )


def warn_unused(failed: Iterable[ApiError]) -> None:
    """Say which credentials could not be asked, where another one was the right one."""
    for error in failed:
        say(f"warning: credential {error.credential} was not used: {error}", style="yellow")


@contextmanager
def changing(advice: str) -> Iterator[None]:
    """Let a change that may have been done, though it failed or was ended, say `advice` instead of the general one."""
    try:
        yield
    except ApiError as error:
        if error.is_outcome_unknown:
            error.add_note(advice)
        raise
    except asyncio.CancelledError as ended:
        if hasattr(ended, "__notes__"):  # the client's own: it was under way
            ended.add_note(advice)
        raise


def look_with(command: str) -> str:
    """What to do where a change may have been done: see it by `command`."""
    return f"It may have been done all the same: look before trying again, with `{command}`."


@contextmanager
def printed(done: str, advice: str) -> Iterator[None]:
    """Print what a change answered; where standard output takes no more, say what was done, and `advice`.

    Raises:
        typer.Exit: with 3, if not all was written.
    """
    try:
        yield
        sys.stdout.flush()
    except NotWritten as error:
        let_go()
        say(f"error: {done}, and that could not be printed: standard output cannot be written: {error}", style="red")
        say(advice)
        raise typer.Exit(EXIT_UNKNOWN) from None


def _exit_code(error: ApiError) -> int:
    if error.is_outcome_unknown:
        return EXIT_UNKNOWN
    if isinstance(error, Unavailable):
        return EXIT_TRY_AGAIN
    is_to_correct = isinstance(error, CredentialRefused) or error.reason in OF_THE_CALLER
    return EXIT_WRONG_USAGE if is_to_correct else EXIT_REFUSED


_URGENCY = (EXIT_TRY_AGAIN, EXIT_WRONG_USAGE, EXIT_REFUSED, EXIT_UNKNOWN)


def _print(error: ApiError, *, is_one_of_several: bool) -> None:
    whose = f"credential {error.credential}: " if is_one_of_several and error.credential else ""
    say(f"error: {whose}{error}", style="red")
    if error.hint:
        say(f"hint: {error.hint}")
    if error.request_id:
        say(f"request id: {error.request_id}")
    for line in _advice(error):
        say(line)


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
        advice = "They are lost: look for what was made, and have new ones made."
        with printed("the answer has secrets that are shown this once", advice):
            print_list(pairs, _SECRETS, chosen, what="secrets", has_more=False, is_complete=False)
    else:
        count = len(error.shown_once)
        held = counted(count, "secret")
        say(f"The answer has {held} (connection strings or tokens), which --reveal would have shown.")


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


def _advice(error: ApiError) -> list[str]:
    code, notes = _exit_code(error), list(getattr(error, "__notes__", ()))
    if code == EXIT_UNKNOWN and notes:
        return notes
    if code == EXIT_TRY_AGAIN and error.retry_after_seconds:
        wait = format_duration(timedelta(seconds=math.ceil(error.retry_after_seconds)))
        return [*notes, f"Try again in {wait}."]
    if isinstance(error, CredentialRefused):
        notes.append(f"Tokens come from {WHERE_TOKENS_ARE}.")
    return [*notes, _ADVICE[code]]


_ADVICE = {
    EXIT_REFUSED: "Trying again will not help.",
    EXIT_WRONG_USAGE: "Correct that, then try again.",
    EXIT_UNKNOWN: "It may have been done all the same: look before trying again.",
    EXIT_TRY_AGAIN: "Try again later.",
}
