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
        ConfigurationError: standard input is not a terminal.
        typer.Exit: with 1, the answer is no, or there is none (Ctrl-D); with 130, Ctrl-C.
    """
    say("This will be lost:")
    for loss in losses:
        say(f"  {loss}")
    if is_answered:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError([f"{question} Standard input is not a terminal: add --yes"])
    try:
        with _interrupted_at_once():
            is_wanted = typer.confirm(harmless(question), err=True)
    except typer.Abort:
        say("")
        is_wanted = False
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
    """Let Ctrl-C and SIGTERM end the question: asyncio's own handler waits until it is answered."""

    def end(*_: object) -> None:
        say("\nNothing was changed.")
        # Click takes a KeyboardInterrupt for a question that was left unanswered.
        raise typer.Exit(EXIT_INTERRUPTED)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
