"""`api usage`"""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_database, find_project
from prisma_postgres_exporter.cli.api.listing import Found, listed, print_listed
from prisma_postgres_exporter.cli.api.options import ProjectOption
from prisma_postgres_exporter.cli.api.rows import USAGE, Named
from prisma_postgres_exporter.cli.api.running import Session
from prisma_postgres_exporter.cli.printing import Form
from prisma_postgres_exporter.errors import ApiError, ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import Database, Usage

LAST_MOMENT = time(23, 59, 59, 999_000)


@command(Prints.LIST)
def usage(
    chosen: Form,
    name: Annotated[
        str | None,
        typer.Argument(help="The database, by id or name; every database without it.", metavar="NAME"),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", help="From this day or date-time (UTC). (default: the 1st)", metavar="INSTANT"),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="Until this day, included, or date-time (UTC). (default: now)", metavar="INSTANT"),
    ] = None,
    project: ProjectOption = None,
) -> Work:
    """Show what the vendor says was used.

    By one database or by each, this month or in a span. `from` and `to` are the span that the vendor really answered
    for.
    """
    start_at, end_at = _instant("--from", from_, time.min), _instant("--to", to, LAST_MOMENT)
    if start_at is not None and end_at is not None and start_at > end_at:
        raise ConfigurationError([f"--from {from_} is after --to {to}: give the earlier one first"])
    if start_at is not None and start_at > datetime.now(UTC):
        raise ConfigurationError([f"--from {from_}: is in the future"])

    async def work(session: Session) -> None:
        if name is not None:
            found = await find_database(session, name, project=project)
            answer = await found.api.usage(found.thing.id, start_at=start_at, end_at=end_at)
            print_listed(session, [Named(found.thing, answer)], USAGE, chosen, what="usage")
            return
        read = await _read(session, await _asked(session, project), start_at, end_at)
        print_listed(session, read, USAGE, chosen, what="databases with usage")

    return work


async def _asked(session: Session, project: str | None) -> list[Found[Database]]:
    if project is None:
        asked, _ = await listed(session, lambda api, page: api.databases(limit=page))
        return asked
    owner = await find_project(session, project)
    within = session.of(owner.api)
    asked, _ = await listed(within, lambda api, page: api.project_databases(owner.thing.id, limit=page))
    return asked


async def _read(
    session: Session, asked: list[Found[Database]], start_at: datetime | None, end_at: datetime | None
) -> list[Named[Usage]]:
    """The usage of each database that answers, in their order; the session keeps one error of each reason."""
    failures: dict[str, ApiError] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("databases", total=len(asked))

        async def read(found: Found[Database]) -> Named[Usage] | None:
            try:
                answer = await found.api.usage(found.thing.id, start_at=start_at, end_at=end_at)
                return Named(found.thing, answer)
            except ApiError as error:
                failures.setdefault(error.reason, error)
                return None
            finally:
                progress.advance(task)

        readings = await asyncio.gather(*map(read, asked))
    session.failures += failures.values()
    return [reading for reading in readings if reading is not None]


def _instant(option: str, text: str | None, time_of_day: time) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) <= len("2026-11-01"):
            return datetime.combine(date.fromisoformat(text), time_of_day, UTC)
        instant = datetime.fromisoformat(text)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    except ValueError:
        raise ConfigurationError(
            [f"{option} {text}: neither a day nor a date-time; write it like 2026-11-01 or 2026-11-01T12:00:00Z"]
        ) from None
