"""The options that several commands share, and the configuration they lead to."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.config import Config, load_config, parse_duration, read_tokens, require_credentials
from prisma_postgres_exporter.config.reading import is_pipe
from prisma_postgres_exporter.errors import ConfigurationError


def _duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file with the configuration (env: PRISMA_POSTGRES_CONFIG).", metavar="FILE"),
]
ApiUrlOption = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        help="Where the Management API is (env: PRISMA_POSTGRES_API_URL or PRISMA_MANAGEMENT_API_URL; default: https://api.prisma.io).",
        metavar="URL",
    ),
]
StoreUrlOption = Annotated[
    str | None,
    typer.Option(
        "--store-url",
        help="Where the ledger is kept: sqlite:///FILE or postgresql://… "
        "(env: PRISMA_POSTGRES_STORE_URL; default: sqlite:///prisma-postgres-exporter.db).",
        metavar="URL",
    ),
]
ListenOption = Annotated[
    list[str] | None,
    typer.Option(
        "--listen",
        help="Address and port to serve on, unix:FILE, or systemd for the sockets that it passes on; repeatable "
        "(env: PRISMA_POSTGRES_LISTEN; default: :9478).",
        metavar="HOST:PORT",
    ),
]
WebConfigFileOption = Annotated[
    Path | None,
    typer.Option(
        "--web-config-file",
        "--web.config.file",
        help="TLS and users, in the format of Prometheus' exporter-toolkit (env: PRISMA_POSTGRES_WEB_CONFIG_FILE).",
        metavar="FILE",
    ),
]
PublishEveryOption = Annotated[
    timedelta | None,
    typer.Option(
        "--publish-every",
        help="Let the vendor's numbers move at whole multiples of this alone (15m, 1h, 6h), as one that publishes by a "
        "rhythm does.",
        metavar="DURATION",
        parser=_duration,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help='Print JSON: `{"version": 1, "data": […]}`.')]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV (RFC 4180) with a header, the keys of the JSON.")]
RawOption = Annotated[
    bool,
    typer.Option("--raw", help="CSV: leave texts as they are, those that a spreadsheet takes for a formula too."),
]
WideOption = Annotated[
    bool, typer.Option("--wide", help="Print every column of the table, with ids, however narrow the terminal is.")
]
LogFormatOption = Annotated[
    str, typer.Option("--log-format", help="`console` lines for people or `json` for machines.", metavar="FORMAT")
]


def own_command() -> str:
    """How this program was started, as a shell takes it in any folder."""
    started = sys.argv[0]
    if Path(started).suffix == ".py":
        return f"{shlex.quote(sys.executable)} -m {__name__.partition('.')[0]}"
    name = Path(started).name
    return name if shutil.which(name) == started else shlex.quote(str(Path(started).absolute()))


def examples(*commands: str) -> str:
    """The end of a command's help: commands to type, one to a line."""
    lines = "".join(f"  prisma-postgres-exporter {command}\n" for command in commands)
    return f"\n\n\b\n{'Examples' if len(commands) > 1 else 'Example'}:\n{lines}"


def configuration(
    config: Path | None,
    api_url: str | None,
    store_url: str | None,
    listen: list[str] | None = None,
    web_config_file: Path | None = None,
    *,
    needs_credentials: bool = True,
) -> Callable[[], Config]:
    """Return what reads the configuration, now and again at a reload: flags over environment over file.

    The returned function raises `ConfigurationError` with every problem, and where there is no credential
    though one is needed, and at a reload where there is a pipe in the file's place: nobody would wait for its writer.
    """
    path = str(config) if config else os.environ.get("PRISMA_POSTGRES_CONFIG") or None
    is_read = False

    def load() -> Config:
        nonlocal is_read
        if is_read and path is not None and is_pipe(path):
            raise ConfigurationError([f"{path}: is a pipe, which can be read once; write a file to reload it"])
        is_read = True
        loaded = load_config(
            config_path=str(config) if config else None,
            api_url=api_url,
            store_url=store_url,
            listen=listen,
            web_config_file=str(web_config_file) if web_config_file else None,
            environ=os.environ,
            look_beside=_problems_beside,
            program=own_command(),
        )
        if needs_credentials:
            try:
                require_credentials(loaded)
            except ConfigurationError as error:
                raise ConfigurationError([*error.problems, *_problems_beside(loaded)]) from None
        return loaded

    return load


def _problems_beside(config: Config) -> Iterator[str]:
    """What is wrong with the tokens and the web configuration file that a configuration names."""
    from prisma_postgres_exporter.service.web_lock import read_lock

    yield from map(str, read_tokens(config).problems)
    if config.web.config_file is not None:
        try:
            read_lock(config.web.config_file, config.web.users)
        except ConfigurationError as error:
            yield from error.problems


def open_configuration(config: Path | None, store_url: str | None) -> Config:
    """Read the configuration for a command that asks no vendor: without any credential too.

    It needs the store and the costs: what else is wrong is a warning on standard error.

    Raises:
        ConfigurationError: with every problem of those.
    """
    path = str(config) if config else None
    loaded = load_config(config_path=path, store_url=store_url, environ=os.environ, needed=("store", "cost"))
    for warning in loaded.warnings:
        say(f"warning: {warning}", style="yellow")
    return loaded
