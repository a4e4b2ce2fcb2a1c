"""`doctor`: why a number is there or is not, step by step from the configuration to the series."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping
from typing import Annotated

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    ListenOption,
    StoreUrlOption,
    WebConfigFileOption,
    configuration,
    examples,
)
from prisma_postgres_exporter.cli.printing import print_document
from prisma_postgres_exporter.cli.terminal import Style, mark, sentence, show
from prisma_postgres_exporter.config import Config, secrets_of
from prisma_postgres_exporter.diagnosis import EXIT_CODES, Examination, Level, wrong_configuration
from prisma_postgres_exporter.errors import ConfigurationError

STYLES: Mapping[Level, Style] = {
    Level.OK: "green",
    Level.NOTE: "yellow",
    Level.PROBLEM: "red",
    Level.WRONG: "red",
}

EXAMPLES = examples(
    "doctor",
    'doctor "my database"',
    "doctor db_… --json",
)
DoctorJsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a tree.")]


def doctor(
    name: Annotated[
        str | None,
        typer.Argument(help="Id or name of a workspace, project or database; everything without it.", metavar="NAME"),
    ] = None,
    as_json: DoctorJsonOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    listen: ListenOption = None,
    web_config_file: WebConfigFileOption = None,
) -> None:
    """Say at each step, from the configuration to the series, what is there, and if something is missing, why.

    Changes nothing, and works beside a running service: it reads the store, and asks the API what a discovery
    asks, and for a database given by NAME its usage once. Of such a database it also shows recent revisions
    and events, and explains why the vendor's month is not the sum of its days. `check` is its quick part.

    Exits with 0 if nothing is missing that should be there now (notes are of what is to come, or was never read),
    1 if something is, 2 if the configuration, a token or NAME has to be corrected.
    """
    diagnosed(configuration(config, api_url, store_url, listen, web_config_file), name=name, as_json=as_json)


def diagnosed(load: Callable[[], Config], *, name: str | None = None, as_json: bool, is_quick: bool = False) -> None:
    """Print the diagnosis, and leave with its exit code."""
    from prisma_postgres_exporter.service import examine
    from prisma_postgres_exporter.service.opening import utc_now

    try:
        loaded = load()
    except ConfigurationError as error:
        examination = Examination(examined_at=utc_now(), findings=wrong_configuration(error.problems))
    else:
        configure_logs("console", level=logging.CRITICAL, secrets=secrets_of(loaded))
        examination = asyncio.run(examine(loaded, name, is_quick=is_quick))
    if as_json:
        print_document(json.dumps(examination.document(), indent=2))
    else:
        _print(examination)
    if code := EXIT_CODES[examination.worst]:
        raise typer.Exit(code)


def _print(examination: Examination) -> None:
    title = str(examination.subject) if examination.subject else "prisma-postgres-exporter"
    show(f"{sentence(title)}, {examination.examined_at:%Y-%m-%d %H:%M:%S} UTC", style="bold")
    for line in examination.lines():
        if line.level is None:
            for part in _broken(line.text, len(line.indent)):
                show(f"{line.indent}{part}")
            continue
        word = f"{line.level.value:<7}"
        first, *further = _broken(line.text, len(line.indent) + len(word) + 2)
        mark(word, STYLES[line.level], first, indent=line.indent)
        for part in further:
            show(f"{line.indent}{' ' * len(word)}  {part}")
    show(examination.summary, style=STYLES[examination.worst])


def _broken(text: str, indented: int) -> list[str]:
    """A text in lines that fit the terminal, broken between words alone: ids and names of series are copied whole."""
    if not sys.stdout.isatty():
        return [sentence(text)]
    width = max(shutil.get_terminal_size().columns - indented, 1)
    return textwrap.wrap(sentence(text), width, break_long_words=False, break_on_hyphens=False) or [""]
