"""`api branches …`"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_branch, find_project
from prisma_postgres_exporter.cli.api.listing import Found, listed, print_listed
from prisma_postgres_exporter.cli.api.making import print_changed
from prisma_postgres_exporter.cli.api.options import AllOption, LimitOption, OwnerOption, ProjectOption, YesOption
from prisma_postgres_exporter.cli.api.rows import BRANCH, Placed
from prisma_postgres_exporter.cli.api.running import Session, changing, look_with
from prisma_postgres_exporter.cli.options import examples
from prisma_postgres_exporter.cli.printing import Form, keys, print_one
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.errors import ApiError, ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import Database, ManagementApi

MOST_PROJECTS = 20

app = typer.Typer(
    help="Branches of a project: list, get, create, update, delete.", no_args_is_help=True, rich_markup_mode=None
)

NameArgument = Annotated[
    str, typer.Argument(help="The branch, by id, or by git name with --project.", metavar="NAME", show_default=False)
]


@app.command("list", epilog=keys(BRANCH))
@command(Prints.LIST)
def list_(
    chosen: Form,
    project: OwnerOption,
    contains: Annotated[str | None, typer.Option("--contains", help="Only those with this text in the name.")] = None,
    is_all: AllOption = False,
    limit: LimitOption = 100,
) -> Work:
    """List the branches of a project."""

    async def work(session: Session) -> None:
        owner = await find_project(session, project)
        found, has_more = await listed(
            session.of(owner.api),
            lambda api, page: api.branches(owner.thing.id, git_name_contains=contains, limit=page),
            limit=limit,
            is_all=is_all,
        )
        print_listed(
            session,
            [one.thing for one in found],
            BRANCH,
            chosen,
            what=f"branches of {owner.thing.name}",
            has_more=has_more,
        )

    return work


@app.command(epilog=keys(BRANCH))
@command(Prints.ONE)
def get(
    chosen: Form,
    name: NameArgument,
    project: ProjectOption = None,
) -> Work:
    """Show one branch."""

    async def work(session: Session) -> None:
        found = await find_branch(session, name, project=project)
        print_one(await found.api.branch(found.thing.id), BRANCH, chosen)

    return work


@app.command(epilog=keys(BRANCH) + examples("api branches create feature/cart --project shop"))
@command(Prints.ONE)
def create(
    chosen: Form,
    name: Annotated[str, typer.Argument(help="Its git name.", metavar="GIT-NAME", show_default=False)],
    project: OwnerOption,
    is_default: Annotated[bool, typer.Option("--default", help="As the project's default branch.")] = False,
) -> Work:
    """Create a branch. The first one of a project becomes its production and default branch."""

    async def work(session: Session) -> None:
        owner = await find_project(session, project)
        with changing(look_with(f"api branches list --project {owner.thing.id}")):
            made = await owner.api.create_branch(owner.thing.id, name, is_default=is_default or None)
        look = f"api branches get {made.id}"
        print_changed(made, BRANCH, chosen, done=f"branch {name!r} ({made.id}) was created", look=look)

    return work


@app.command(epilog=keys(BRANCH) + examples("api branches update main --project shop --default"))
@command(Prints.ONE)
def update(
    chosen: Form,
    name: NameArgument,
    is_default: Annotated[bool, typer.Option("--default", help="Make it the project's default branch.")] = False,
    project: ProjectOption = None,
) -> Work:
    """Make a branch its project's default. The API changes nothing else of it."""
    if not is_default:
        raise ConfigurationError(["nothing to change: give --default"])

    async def work(session: Session) -> None:
        found = await find_branch(session, name, project=project)
        look = f"api branches get {found.thing.id}"
        with changing(look_with(look)):
            changed = await found.api.update_branch(found.thing.id, is_default=True)
        print_changed(changed, BRANCH, chosen, done=f"branch {found.thing.id} was changed", look=look)

    return work


@app.command(epilog=examples("api branches delete feature/cart --project shop"))
@command()
def delete(
    name: NameArgument,
    project: ProjectOption = None,
    yes: YesOption = False,
) -> Work:
    """Delete a branch. The API refuses it while databases are on it, and for the default and the production branch."""

    async def work(session: Session) -> None:
        found = await find_branch(session, name, project=project)
        branch = found.thing
        loss = f"branch {branch.git_name!r} ({branch.id}) of project {branch.project.name!r}"
        ask(f"Delete branch {branch.git_name!r}?", [loss], is_answered=yes)
        with changing(look_with(f"api branches get {branch.id}")):
            await found.api.delete_branch(branch.id)
        say(f"Deleted branch {branch.git_name!r} ({branch.id}).")

    return work


async def placed(databases: Sequence[Found[Database]]) -> list[Placed[Database]]:
    """Each database with the name of its branch, as far as a call for each of a few projects tells."""
    owners = {found.thing.project.id: found.api for found in databases if found.thing.branch_id is not None}
    names: dict[str, str] = {}

    async def read(project_id: str, api: ManagementApi) -> None:
        try:
            names.update({branch.id: branch.git_name async for branch in api.branches(project_id)})
        except ApiError as error:
            say(f"The names of branches are not known: {error}")

    if len(owners) <= MOST_PROJECTS:
        await asyncio.gather(*(read(project_id, api) for project_id, api in owners.items()))
    else:
        say(f"The names of branches are shown for up to {MOST_PROJECTS} projects: add --project.")
    return [Placed(found.thing, names.get(found.thing.branch_id or "")) for found in databases]
