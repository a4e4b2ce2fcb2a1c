"""`api backups …`"""

from __future__ import annotations

from typing import Annotated

import typer

from prisma_postgres_exporter.cli.api.finding import find_database
from prisma_postgres_exporter.cli.api.options import ProjectOption, WorkspaceOption
from prisma_postgres_exporter.cli.api.rows import BACKUP, Named
from prisma_postgres_exporter.cli.api.running import Session, run
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    CsvOption,
    JsonOption,
    RawOption,
    WideOption,
)
from prisma_postgres_exporter.cli.printing import form, keys, print_list
from prisma_postgres_exporter.cli.terminal import say

MOST_BACKUPS = 100

app = typer.Typer(help="Backups of a database: list.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(help="The database, by id or name.", metavar="NAME", show_default=False)]


@app.command("list", epilog=keys(BACKUP))
def list_(
    name: NameArgument,
    project: ProjectOption = None,
    limit: Annotated[
        int,
        typer.Option("--limit", help="Print at most this many; the API returns at most 100.", min=1, max=MOST_BACKUPS),
    ] = MOST_BACKUPS,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """List a database's backups, and how long they are kept; the unit of `size` is not documented."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)

    async def work(session: Session) -> None:
        found = await find_database(session, name, project=project)
        answer = await found.api.backups(found.thing.id, limit=limit)
        entries = [Named(found.thing, backup) for backup in answer.entries]
        print_list(
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

    run(work, config=config, api_url=api_url, workspace=workspace)
