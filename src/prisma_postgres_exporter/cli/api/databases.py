"""`api databases …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.api.asking import ask, refuse
from prisma_postgres_exporter.cli.api.branches import placed
from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_branch, find_database, find_project
from prisma_postgres_exporter.cli.api.listing import Found, listed, print_listed
from prisma_postgres_exporter.cli.api.making import new_strings, print_changed, print_made
from prisma_postgres_exporter.cli.api.options import (
    INHERIT,
    AllOption,
    DatabaseArgument,
    DatabaseRegionOption,
    LimitOption,
    LogicalIdOption,
    MadeUpNameArgument,
    OwnerOption,
    ProjectOption,
    RevealOption,
    WithLogicalIdOption,
    YesOption,
)
from prisma_postgres_exporter.cli.api.regions import require_region
from prisma_postgres_exporter.cli.api.restoring import restore
from prisma_postgres_exporter.cli.api.rows import DATABASE, Placed, new_database
from prisma_postgres_exporter.cli.api.running import Session, changing, look_with, say_rest
from prisma_postgres_exporter.cli.api.waiting import TimeoutOption, WaitOption, print_when_ready, seconds_of
from prisma_postgres_exporter.cli.options import examples
from prisma_postgres_exporter.cli.printing import Form, keys, print_one
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.errors import ApiError, ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import Database, Listing, ManagementApi

GIB = 2**30

app = typer.Typer(
    help="Databases: list, get, create, update, delete, restore.", no_args_is_help=True, rich_markup_mode=None
)

BranchOption = Annotated[str | None, typer.Option("--branch", help="A git branch, by name.", metavar="GIT-NAME")]
BranchIdOption = Annotated[str | None, typer.Option("--branch-id", help="A branch, by id.", metavar="ID")]


@app.command("list", epilog=keys(DATABASE))
@command(Prints.LIST)
def list_(
    chosen: Form,
    project: ProjectOption = None,
    logical_id: WithLogicalIdOption = None,
    branch: BranchOption = None,
    branch_id: BranchIdOption = None,
    is_all: AllOption = False,
    limit: LimitOption = 100,
) -> Work:
    """List databases. All that the credentials can see, or those of one project or branch."""
    _require_one_branch(branch, branch_id)

    async def work(session: Session) -> None:
        within, asked = None, session
        if project is not None:
            owner = await find_project(session, project)
            within, asked = owner.thing.id, session.of(owner.api)

        def entries(api: ManagementApi, page: int) -> Listing[Database]:
            if within is not None and logical_id is None and branch is None and branch_id is None:
                return api.project_databases(within, limit=page)
            return api.databases(within, logical_id=logical_id, branch_git_name=branch, branch_id=branch_id, limit=page)

        found, has_more = await listed(asked, entries, limit=limit, is_all=is_all)
        rows = await placed(found)
        print_listed(session, rows, DATABASE, chosen, what="databases", has_more=has_more)

    return work


@app.command(epilog=keys(DATABASE))
@command(Prints.ONE)
def get(
    chosen: Form,
    name: DatabaseArgument,
    project: ProjectOption = None,
) -> Work:
    """Show one database."""

    async def work(session: Session) -> None:
        found = await find_database(session, name, project=project)
        print_one((await placed([found]))[0], DATABASE, chosen)

    return work


@app.command(
    epilog=keys(new_database(is_revealed=True))
    + examples("api databases create orders --project shop --region eu-central-1")
)
@command(Prints.ONE)
def create(
    chosen: Form,
    project: OwnerOption,
    name: MadeUpNameArgument = None,
    region: DatabaseRegionOption = INHERIT,
    is_default: Annotated[bool, typer.Option("--default", help="As the project's default database.")] = False,
    source: Annotated[
        str | None, typer.Option("--source", help="Fill it with this database, by id or name.", metavar="NAME")
    ] = None,
    source_backup: Annotated[
        str | None, typer.Option("--source-backup", help="Fill it with this backup of --source.", metavar="ID")
    ] = None,
    branch: BranchOption = None,
    branch_id: BranchIdOption = None,
    logical_id: LogicalIdOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    reveal: RevealOption = False,
) -> Work:
    """Create a database in a project. In its region, empty or filled with another database or a backup.

    A branch that does not exist is created with the database, unless --logical-id is given.
    """
    from prisma_postgres_exporter.api import BackupSource, DatabaseSource

    timeout_seconds = seconds_of(timeout)
    _require_one_branch(branch, branch_id)
    if source_backup is not None and source is None:
        raise ConfigurationError(["--source-backup: give the database that it is a backup of, with --source"])

    async def work(session: Session) -> None:
        owner = await find_project(session, project)
        await require_region(owner.api, region, may_inherit=True)
        filled_with = None
        if source is not None:
            origin = (await find_database(session, source)).thing
            filled_with = (
                DatabaseSource(database_id=origin.id)
                if source_backup is None
                else BackupSource(database_id=origin.id, backup_id=source_backup)
            )
        its_branch = await _branch_id(session, branch, owner.thing.id) if branch and logical_id else branch_id
        with changing(look_with(f"api databases list --project {owner.thing.id}")):
            made = await owner.api.create_database(
                owner.thing.id,
                name=name,
                region=region,
                is_default=is_default or None,
                source=filled_with,
                # The API takes no name of a branch together with a logical id.
                branch_git_name=branch if logical_id is None else None,
                branch_id=its_branch,
                logical_id=logical_id,
            )

        def print_it(status: str | None = None) -> None:
            known = made if status is None else made.model_copy(update={"status": status})
            print_made(
                Placed(known, branch),
                new_database(is_revealed=reveal),
                chosen,
                done=f"database {made.name!r} ({made.id}) was created",
                reveal=reveal,
                elsewhere=new_strings(made.id),
            )
            say_rest(made, reveal=reveal)

        if wait:
            await print_when_ready(owner.api, made.id, timeout_seconds, print_it)
        else:
            print_it()

    return work


@app.command(epilog=keys(DATABASE) + examples("api databases update orders --name bills"))
@command(Prints.ONE)
def update(
    chosen: Form,
    name: DatabaseArgument,
    new_name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    branch: BranchOption = None,
    branch_id: BranchIdOption = None,
    logical_id: LogicalIdOption = None,
    project: ProjectOption = None,
) -> Work:
    """Rename a database, or give it another branch or logical id."""
    _require_one_branch(branch, branch_id)
    if new_name is None and branch is None and branch_id is None and logical_id is None:
        raise ConfigurationError(["nothing to change: give --name, --branch, --branch-id or --logical-id"])

    async def work(session: Session) -> None:
        found = await find_database(session, name, project=project)
        api, changed, look = found.api, found.thing, f"api databases get {found.thing.id}"
        with changing(look_with(look)):
            if new_name is not None or branch is not None or branch_id is not None:
                changed = await api.update_database(
                    changed.id, name=new_name, branch_git_name=branch, branch_id=branch_id
                )
            if logical_id is not None:
                # The API takes a branch and a logical id in two calls only.
                changed = await api.update_database(changed.id, logical_id=logical_id)
        (row,) = await placed([Found(changed, api)])
        print_changed(row, DATABASE, chosen, done=f"database {changed.id} was changed", look=look)

    return work


@app.command(epilog=examples("api databases delete orders --project shop"))
@command()
def delete(
    name: DatabaseArgument,
    project: ProjectOption = None,
    yes: YesOption = False,
) -> Work:
    """Delete a database and everything in it. A project's default database is refused."""

    async def work(session: Session) -> None:
        found = await find_database(session, name, project=project)
        database = found.thing
        if database.is_default:
            raise refuse(
                f"{database.name!r} ({database.id}) is the default database of project {database.project.name!r}",
                "It goes with its project only: `api projects delete`.",
            )
        ask(f"Delete database {database.name!r}?", await _losses(found), is_answered=yes)
        with changing(look_with(f"api databases get {database.id}")):
            await found.api.delete_database(database.id)
        say(f"Deleted database {database.name!r} ({database.id}).")

    return work


app.command(
    epilog=examples(
        "api databases restore orders --backup latest", "api databases restore copy --from orders --backup ID --yes"
    )
)(restore)


async def _branch_id(session: Session, git_name: str, project_id: str) -> str:
    return (await find_branch(session, git_name, project=project_id)).thing.id


def _require_one_branch(branch: str | None, branch_id: str | None) -> None:
    if branch is not None and branch_id is not None:
        raise ConfigurationError(["--branch --branch-id: give one of them"])


async def _losses(found: Found[Database]) -> list[str]:
    """What goes with a database, as far as the API says."""
    database = found.thing
    losses = [f"database {database.name!r} ({database.id}) in project {database.project.name!r}, and everything in it"]
    try:
        usage = await found.api.usage(database.id)
    except ApiError as error:
        return [*losses, f"how much that is, is not known: {error}"]
    if usage.storage_bytes is not None:
        losses.append(f"{usage.storage_bytes / GIB:,.3f} GiB stored")
    if usage.operations:
        losses.append(f"it is in use: {usage.operations:,} operations since {usage.period_start_at:%Y-%m-%d}")
    return losses
