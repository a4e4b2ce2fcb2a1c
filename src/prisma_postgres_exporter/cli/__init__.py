"""The command line: commands, exit codes, printing."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.cli.terminal import harmless, prepare_streams, say, told_if_not_written
from prisma_postgres_exporter.descriptors import raise_limit
from prisma_postgres_exporter.errors import ConfigurationError, ExporterError
from prisma_postgres_exporter.words import plainly

COMMANDS = {
    "serve": "Collect usage and serve it on /metrics until told to stop.",
    "demo": "Run against a simulated vendor: no account, no network.",
    "collect": "Read everything that is due, once, and print what is known.",
    "top": "Print who uses, stores, costs or grows most in a month.",
    "cost": "Print what a month costs so far and is expected to cost.",
    "report": "Write a month's report as Markdown, HTML, CSV or JSON.",
    "compare": "Print what changed between two months, and why.",
    "export": "Write rows of the ledger as CSV, JSON lines or Parquet.",
    "backfill": "Read days of the past into the ledger.",
    "plan": "Say what a configuration will ask and take, before it runs.",
    "check": "Check configuration, credentials, store and clock.",
    "doctor": "Say why a number is missing, step by step.",
    "simulator": "Answer as the Management API does, for a made-up world.",
    "store": "Check, repair and back up the store, or see what is in it.",
    "api": "Projects, databases, connections, backups: the whole API.",
}
"""In the order of the help, each with its line there: a function or a Typer application of the module of its name."""
CANNOT_BE_WRITTEN = frozenset({errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS})
EXIT_FAILED = 1
EXIT_WRONG_USAGE = 2
EXIT_INTERRUPTED = 130


class Commands(Mapping[str, Any]):
    """Every command by its name; its module is imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = import_module(f"{__name__}.{name}")
        if hasattr(module, "app"):
            command = _group(module.app)
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(name, epilog=getattr(module, "EXAMPLES", None))(getattr(module, name))
            command = typer.main.get_command(alone)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@cache
def _group(application: typer.Typer) -> Any:
    """The commands of an application: it takes longest to make them."""
    return typer.main.get_group(application)


class CommandLine(TyperGroup):
    """The group of all commands: its help and the shell's completion need none of their modules."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Commands()  # type: ignore[assignment]  # read only: nothing is added later

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:
        """Stand in for a command in lists; `resolve_command` loads the one that runs."""
        return TyperCommand(cmd_name, short_help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that the arguments begin with."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, name and self.commands[name], rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Click would take a broken pipe of whatever kind for standard output's, and end in silence.

        Raises:
            ExporterError: something else than standard output cannot be written.
            BadParameter: an option has no such value, in words without Python's.
        """
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            found: list[Any] = getattr(error.__cause__, "errors", list)()
            error.message = harmless(plainly(found[0])) if found else error.message
            raise
        except OSError as error:
            if error.errno not in CANNOT_BE_WRITTEN:
                raise
            what = f"{error.filename}: " if error.filename is not None else ""
            raise ExporterError(f"{what}{error.strerror}") from error


app = typer.Typer(
    rich_markup_mode=None,
    cls=CommandLine,
    name="prisma-postgres-exporter",
    help="Prisma Postgres usage as Prometheus metrics: every database of every workspace.\n\n"
    "Put a service token into PRISMA_POSTGRES_TOKEN and run `serve`, or try `demo`, which needs no account. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 ended by Ctrl-C or SIGTERM; `api` has two more, "
    "3 and 75.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"prisma-postgres-exporter {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    raise_limit()
    prepare_streams()
    try:
        with told_if_not_written():
            app()
    except ConfigurationError as error:
        for problem in error.problems:
            say(f"error: {problem}", style="red")
        sys.exit(EXIT_WRONG_USAGE)
    except ExporterError as error:
        say(f"error: {error}", style="red")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
