"""`api databases restore`: overwrite a database with a backup, and wait until it is ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.api.asking import ask, refuse
from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_database
from prisma_postgres_exporter.cli.api.making import print_changed
from prisma_postgres_exporter.cli.api.options import ProjectOption, YesOption
from prisma_postgres_exporter.cli.api.rows import DATABASE, Placed
from prisma_postgres_exporter.cli.api.running import EXIT_TRY_AGAIN, Session, changing, look_with
from prisma_postgres_exporter.cli.api.waiting import TimeoutOption, print_when_ready, seconds_of
from prisma_postgres_exporter.cli.printing import Form
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.errors import ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import AnyDatabase, Backup, Database, ManagementApi

LATEST = "latest"


@command(Prints.ONE)
def restore(
    chosen: Form,
    name: Annotated[
        str, typer.Argument(help="The database to overwrite, by id or name.", metavar="NAME", show_default=False)
    ],
    backup: Annotated[
        str, typer.Option(help="The backup's id (`api backups list`), or `latest`: the newest completed one.")
    ],
    from_: Annotated[
        str | None,
        typer.Option("--from", help="The database that it is a backup of. (default: the same)", metavar="NAME"),
    ] = None,
    project: ProjectOption = None,
    overwrite_default: Annotated[
        bool, typer.Option("--overwrite-default", help="Even though it is its project's default database.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the database is ready.")] = True,
    timeout: TimeoutOption = "1h",
    yes: YesOption = False,
) -> Work:
    """Overwrite a database with a backup. Its connections stay; a project's default database is refused.

    Ctrl-C ends the waiting, not the restoring. Exits with status 3 if the database is not ready in time.
    """
    from prisma_postgres_exporter.api import BackupSource

    timeout_seconds = seconds_of(timeout)

    async def work(session: Session) -> None:
        found = await find_database(session, name, project=project)
        target, api = found.thing, found.api
        _require_target(target, overwrite_default=overwrite_default)
        source = target if from_ is None else (await find_database(session, from_)).thing
        picked = await _backup(api, source, backup)
        ask(
            f"Overwrite database {target.name!r} with the backup of {picked.created_at:%Y-%m-%d %H:%M:%S} UTC?",
            _losses(target, source, picked),
            is_answered=yes,
        )
        look = f"api databases get {target.id}"
        with changing(look_with(look)):
            restored: AnyDatabase = await api.restore_database(
                target.id, BackupSource(database_id=source.id, backup_id=picked.id)
            )

        def print_it(status: str | None = None) -> None:
            known = restored if status is None else restored.model_copy(update={"status": status})
            print_changed(Placed(known), DATABASE, chosen, done=f"the restore of {target.id} has begun", look=look)

        if wait:
            await print_when_ready(api, target.id, timeout_seconds, print_it)
        else:
            print_it()

    return work


def _require_target(target: Database, *, overwrite_default: bool) -> None:
    if target.is_default and not overwrite_default:
        raise refuse(
            f"{target.name!r} ({target.id}) is the default database of project {target.project.name!r}",
            "Restore into another one (`api databases create … --source`), or say --overwrite-default.",
        )
    if target.status in {"recovering", "provisioning"}:
        say(f"refused: {target.name!r} ({target.id}) is {target.status}")
        say("Try again later.")
        raise typer.Exit(EXIT_TRY_AGAIN)


async def _backup(api: ManagementApi, source: Database, wanted: str) -> Backup:
    known = await api.backups(source.id, limit=100)
    completed = sorted(
        (backup for backup in known.entries if backup.status == "completed"),
        key=lambda backup: backup.created_at,
        reverse=True,
    )
    if wanted == LATEST and completed:
        return completed[0]
    for backup in known.entries:
        if backup.id == wanted and backup in completed:
            return backup
        if backup.id == wanted:
            raise ConfigurationError([f"--backup {wanted}: is {backup.status}, not completed{_nearest(completed)}"])
    raise ConfigurationError(
        [f"--backup {wanted}: {source.name!r} ({source.id}) has no such backup{_nearest(completed)}"]
    )


def _nearest(completed: Sequence[Backup]) -> str:
    if not completed:
        return "; it has none that is completed"
    return f"; the newest completed one is {completed[0].id} of {completed[0].created_at:%Y-%m-%d %H:%M:%S} UTC"


def _losses(target: Database, source: Database, backup: Backup) -> Iterator[str]:
    if source.id == target.id:
        yield (f"everything written to {target.name!r} ({target.id}) since {backup.created_at:%Y-%m-%d %H:%M:%S} UTC")
    else:
        yield f"everything in {target.name!r} ({target.id}): it becomes what {source.name!r} ({source.id}) was"
