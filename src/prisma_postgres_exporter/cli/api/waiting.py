"""Waiting until a database is ready, in sight of a person."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.config import parse_duration
from prisma_postgres_exporter.errors import ApiError, ConfigurationError, DatabaseFailed

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import Database, ManagementApi

LOOK_EVERY_SECONDS = 1.0

WaitOption = Annotated[
    bool, typer.Option("--wait", help="Wait until the database is ready; exits with status 3 if it is not in time.")
]
TimeoutOption = Annotated[str, typer.Option("--timeout", help="How long to wait.", metavar="DURATION")]


async def ready(api: ManagementApi, database_id: str, timeout_seconds: float) -> Database:
    """The database, once it is ready; on the way its status is shown.

    Raises:
        DatabaseFailed: its status is `failure`.
        ApiError: it was not ready in time, or could not be looked at: `is_outcome_unknown`, and a note says where to.
    """
    goes_on = f"It goes on: look with `api databases get {database_id}`."
    try:
        with _progress(database_id) as show:
            return await api.wait_until_ready(
                database_id,
                every_seconds=LOOK_EVERY_SECONDS,
                timeout_seconds=timeout_seconds,
                on_look=lambda database: show(database.status),
            )
    except DatabaseFailed:
        raise
    except ApiError as error:
        error.is_outcome_unknown = True
        error.add_note(goes_on)
        raise
    except asyncio.CancelledError as ended:
        ended.add_note(goes_on)
        raise


async def print_when_ready(
    api: ManagementApi, database_id: str, timeout_seconds: float, print_it: Callable[[str | None], None]
) -> None:
    """Wait, and print with the status at the end, also where the waiting fails: some secrets are shown this once.

    The status is `None` where it was not to be had.

    Raises:
        DatabaseFailed, ApiError: as `ready`.
    """
    status = None
    try:
        status = (await ready(api, database_id, timeout_seconds)).status
    except DatabaseFailed:
        status = "failure"
        raise
    finally:
        print_it(status)


def seconds_of(text: str) -> float:
    """The seconds of `--timeout`.

    Raises:
        ConfigurationError: it is not a duration.
    """
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise ConfigurationError([f"--timeout {error}"]) from error


@contextmanager
def _progress(database_id: str) -> Iterator[Callable[[str], None]]:
    """A running clock in a terminal, else a line for each new status."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("asked")
            yield lambda status: progress.update(task, description=f"{database_id} {status}")
        return
    seen: list[str] = []

    def show(status: str) -> None:
        if status not in seen[-1:]:
            seen.append(status)
            say(f"{database_id} {status}")

    yield show
