"""The command line: commands, exit codes, printing."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from prisma_postgres_exporter import __version__
from prisma_postgres_exporter.cli.api import app as api_app
from prisma_postgres_exporter.cli.backfill import backfill
from prisma_postgres_exporter.cli.check import check
from prisma_postgres_exporter.cli.collect import collect
from prisma_postgres_exporter.cli.compare import compare
from prisma_postgres_exporter.cli.cost import cost
from prisma_postgres_exporter.cli.demo import demo
from prisma_postgres_exporter.cli.doctor import doctor
from prisma_postgres_exporter.cli.export import export
from prisma_postgres_exporter.cli.report import report
from prisma_postgres_exporter.cli.serve import serve
from prisma_postgres_exporter.cli.simulator import simulator
from prisma_postgres_exporter.cli.store import app as store_app
from prisma_postgres_exporter.cli.terminal import prepare_streams, say, told_if_not_written
from prisma_postgres_exporter.cli.top import top
from prisma_postgres_exporter.errors import ConfigurationError, ExporterError

EXIT_FAILED = 1
EXIT_WRONG_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="prisma-postgres-exporter",
    help="Prisma Postgres usage as Prometheus metrics: every database of every workspace.\n\n"
    "Put a service token into PRISMA_POSTGRES_TOKEN and run `serve`, or try `demo`, which needs no account. "
    "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration; `api` has two more.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (serve, demo, collect, top, cost, report, compare, export, backfill, check, doctor, simulator):
    app.command()(command)
app.add_typer(store_app, name="store")
app.add_typer(api_app, name="api")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"prisma-postgres-exporter {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


def main() -> None:
    """Run the command line and leave with its exit code."""
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
