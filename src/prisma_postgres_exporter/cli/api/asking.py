"""Asking before something is lost."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer

from prisma_postgres_exporter.cli.terminal import harmless, say
from prisma_postgres_exporter.errors import ConfigurationError

EXIT_REFUSED = 1
EXIT_INTERRUPTED = 130


def ask(question: str, losses: Iterable[str], *, is_answered: bool) -> None:
    """Show what will be lost, and ask; with `--yes` it is only shown.

    Raises:
        ConfigurationError: there is nobody to ask.
        typer.Exit: the answer is no, or there was none: Ctrl-C.
    """
    say("This will be lost:")
    for loss in losses:
        say(f"  {loss}")
    if is_answered:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError([f"{question} There is nobody to ask: add --yes"])
    try:
        with _interrupted_at_once():
            is_wanted = typer.confirm(harmless(question), err=True)
    except (typer.Abort, KeyboardInterrupt):
        say("\nNothing was changed.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if not is_wanted:
        say("Nothing was changed.")
        raise typer.Exit(EXIT_REFUSED)


def refuse(reason: str, advice: str) -> typer.Exit:
    """What ends a command that is not carried out, because no call could succeed or none should be made."""
    say(f"refused: {reason}", style="red")
    say(advice)
    return typer.Exit(EXIT_REFUSED)


@contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Let Ctrl-C end the question: asyncio's own handler waits until it is answered."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
