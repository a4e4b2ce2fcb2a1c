"""Asking before something is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import typer
from rich.console import Console

from prisma_postgres_exporter.errors import ConfigurationError

EXIT_REFUSED = 1


def ask(question: str, losses: Iterable[str], *, is_answered: bool) -> None:
    """Show what will be lost, and ask; with `--yes` it is only shown.

    Raises:
        ConfigurationError: there is nobody to ask.
        typer.Exit: the answer is no.
    """
    say("This will be lost:")
    for loss in losses:
        say(f"  {loss}")
    if is_answered:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError([f"{question} There is nobody to ask: add --yes"])
    if not typer.confirm(question, err=True):
        say("Nothing was changed.")
        raise typer.Exit(EXIT_REFUSED)


def refuse(reason: str, advice: str) -> typer.Exit:
    """What ends a command that is not carried out, because no call could succeed or none should be made."""
    Console(stderr=True, highlight=False).print(f"refused: {reason}", style="red", markup=False, soft_wrap=True)
    say(advice)
    return typer.Exit(EXIT_REFUSED)


def say(text: str) -> None:
    """Tell a person, beside what is printed for programs."""
    Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)
