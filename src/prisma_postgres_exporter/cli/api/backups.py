"""`api backups …`"""

from __future__ import annotations

from typing import Annotated

import typer

from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_database
from prisma_postgres_exporter.cli.api.listing import note_unread, print_listed
from prisma_postgres_exporter.cli.api.options import DatabaseArgument, ProjectOption
from prisma_postgres_exporter.cli.api.rows import BACKUP, Named
from prisma_postgres_exporter.cli.api.running import Session
from prisma_postgres_exporter.cli.printing import Form, keys
from prisma_postgres_exporter.cli.terminal import say

MOST_BACKUPS = 100

app = typer.Typer(help="Backups of a database: list.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list", epilog=keys(BACKUP))
@command(Prints.LIST)
def list_(
    chosen: Form,
    name: DatabaseArgument,
    project: ProjectOption = None,
    limit: Annotated[
        int,
        typer.Option("--limit", help="Print at most this many; the API returns at most 100.", min=1, max=MOST_BACKUPS),
    ] = MOST_BACKUPS,
) -> Work:
    """List a database's backups, and how long they are kept. The unit of `size` is not documented."""

    async def work(session: Session) -> None:
        found = await find_database(session, name, project=project)
        answer = await found.api.backups(found.thing.id, limit=limit)
        note_unread(session, answer.refused)
        entries = [Named(found.thing, backup) for backup in answer.entries]
        print_listed(
            session,
            entries,
            BACKUP,
            chosen,
            what=f"backups of {found.thing.name}",
            has_more=answer.has_more,
            how_to_see_more="the API does not return it" if limit == MOST_BACKUPS else "a higher --limit shows it",
            retention_days=answer.retention_days,
        )
        if answer.retention_days is not None:
            say(f"Backups are kept for {answer.retention_days} days.")

    return work
