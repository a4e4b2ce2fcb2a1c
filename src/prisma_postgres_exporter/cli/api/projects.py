"""`api projects …`"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_project
from prisma_postgres_exporter.cli.api.listing import listed, print_listed
from prisma_postgres_exporter.cli.api.making import new_strings, print_changed, print_made
from prisma_postgres_exporter.cli.api.options import (
    AllOption,
    LimitOption,
    LogicalIdOption,
    MadeUpNameArgument,
    RegionOption,
    RevealOption,
    WithLogicalIdOption,
    YesOption,
)
from prisma_postgres_exporter.cli.api.regions import require_region
from prisma_postgres_exporter.cli.api.rows import PROJECT, new_project
from prisma_postgres_exporter.cli.api.running import Session, changing, look_with, say_rest
from prisma_postgres_exporter.cli.api.waiting import TimeoutOption, WaitOption, ready, seconds_of
from prisma_postgres_exporter.cli.options import examples
from prisma_postgres_exporter.cli.printing import Form, keys, print_one
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.errors import ConfigurationError, CredentialRefused

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import CreatedProject, Database, Json

app = typer.Typer(
    help="Projects: list, get, create, update, delete, transfer.", no_args_is_help=True, rich_markup_mode=None
)

NameArgument = Annotated[str, typer.Argument(help="The project, by id or name.", metavar="NAME", show_default=False)]


@app.command("list", epilog=keys(PROJECT))
@command(Prints.LIST)
def list_(
    chosen: Form,
    logical_id: WithLogicalIdOption = None,
    is_all: AllOption = False,
    limit: LimitOption = 100,
) -> Work:
    """List the projects that the credentials can see."""

    async def work(session: Session) -> None:
        found, has_more = await listed(
            session,
            lambda api, page: api.projects(logical_id=logical_id, limit=page),
            limit=limit,
            is_all=is_all,
        )
        print_listed(session, [one.thing for one in found], PROJECT, chosen, what="projects", has_more=has_more)

    return work


@app.command(epilog=keys(PROJECT))
@command(Prints.ONE)
def get(
    chosen: Form,
    name: NameArgument,
) -> Work:
    """Show one project."""

    async def work(session: Session) -> None:
        print_one((await find_project(session, name)).thing, PROJECT, chosen)

    return work


@app.command(epilog=keys(new_project(is_revealed=True)) + examples("api projects create shop --region eu-central-1"))
@command(Prints.ONE)
def create(
    chosen: Form,
    name: MadeUpNameArgument = None,
    region: RegionOption = None,
    no_database: Annotated[bool, typer.Option("--no-database", help="Begin without a database.")] = False,
    logical_id: LogicalIdOption = None,
    wait: WaitOption = False,
    timeout: TimeoutOption = "1h",
    reveal: RevealOption = False,
) -> Work:
    """Create a project. With a default database unless that is not wanted.

    Its region is that of its first database; `api databases create` takes it for the next ones.
    """
    timeout_seconds = seconds_of(timeout)

    async def work(session: Session) -> None:
        api = session.only("--workspace: say which one the project shall be in").api
        await require_region(api, region)
        with changing(look_with("api projects list")):
            project: CreatedProject = await api.create_project(
                name=name, region=region, create_database=not no_database, logical_id=logical_id
            )
        done = f"project {project.name!r} ({project.id}) was created"
        # Printed before the wait: whatever happens in it, the strings are shown this once.
        if no_database:
            look = f"api projects get {project.id}"
            print_changed(project, new_project(is_revealed=False), chosen, done=done, look=look)
        else:
            elsewhere = new_strings(project.database.id if project.database else None)
            print_made(project, new_project(is_revealed=reveal), chosen, done=done, reveal=reveal, elsewhere=elsewhere)
        say_rest(project, reveal=reveal)
        if wait and project.database is not None and project.database.id is not None:
            await ready(api, project.database.id, timeout_seconds)

    return work


@app.command(epilog=keys(PROJECT) + examples("api projects update shop --name store"))
@command(Prints.ONE)
def update(
    chosen: Form,
    name: NameArgument,
    new_name: Annotated[str | None, typer.Option("--name", help="Its new name: 1 to 256 characters.")] = None,
    settings: Annotated[
        str | None, typer.Option("--settings", help="Its new settings: a JSON object as the vendor defines it.")
    ] = None,
) -> Work:
    """Rename a project, or change its settings."""
    if new_name is None and settings is None:
        raise ConfigurationError(["nothing to change: give --name or --settings"])
    document = None if settings is None else _settings(settings)

    async def work(session: Session) -> None:
        found = await find_project(session, name)
        look = f"api projects get {found.thing.id}"
        with changing(look_with(look)):
            changed = await found.api.update_project(found.thing.id, name=new_name, settings=document)
        print_changed(changed, PROJECT, chosen, done=f"project {found.thing.id} was changed", look=look)

    return work


@app.command(epilog=examples("api projects delete shop"))
@command()
def delete(
    name: NameArgument,
    yes: YesOption = False,
) -> Work:
    """Delete a project, with what is in it. It is for the API to say what must be deleted before."""

    async def work(session: Session) -> None:
        found = await find_project(session, name)
        project = found.thing
        held = [database async for database in found.api.project_databases(project.id)]
        losses = [f"project {project.name!r} ({project.id})", *map(_loss, held)]
        ask(f"Delete project {project.name!r}?", losses, is_answered=yes)
        with changing(look_with(f"api projects get {project.id}")):
            await found.api.delete_project(project.id)
        say(f"Deleted project {project.name!r} ({project.id}).")

    return work


@app.command(epilog=examples("api projects transfer shop --recipient-token-file recipient.token"))
@command()
def transfer(
    name: NameArgument,
    recipient_token_file: Annotated[
        Path,
        typer.Option(
            "--recipient-token-file",
            help="A file with an access token of the workspace that shall have it; - is standard input.",
            metavar="FILE",
        ),
    ],
    yes: YesOption = False,
) -> Work:
    """Give a project to another workspace. Its databases go with it, and keep their ids."""
    token = _token(recipient_token_file)

    async def work(session: Session) -> None:
        found = await find_project(session, name)
        project = found.thing
        held = [database async for database in found.api.project_databases(project.id)]
        recipient_id, recipient = await _recipient(session, token, recipient_token_file)
        if recipient_id == project.workspace.id:
            raise ConfigurationError([f"project {project.name!r} ({project.id}) is in workspace {recipient} already"])
        losses = [f"access to project {project.name!r} ({project.id})", *(f"access to {_loss(one)}" for one in held)]
        ask(f"Give project {project.name!r} to workspace {recipient}?", losses, is_answered=yes)
        with changing(look_with(f"api projects get {project.id}")):
            await found.api.transfer_project(project.id, token)
        say(f"Transferred project {project.name!r} ({project.id}) to workspace {recipient}.")

    return work


async def _recipient(session: Session, token: SecretStr, path: Path) -> tuple[str | None, str]:
    """The id of the workspace that a token opens, `None` where the API does not tell, and what it is called."""
    try:
        async with session.client(token, "recipient") as theirs:
            workspace = (await theirs.me()).workspace
    except (ConfigurationError, CredentialRefused) as error:
        raise ConfigurationError([f"--recipient-token-file {path}: {error}"]) from error
    return (None, "of that token") if workspace is None else (workspace.id, f"{workspace.name!r} ({workspace.id})")


def _loss(database: Database) -> str:
    role = "default database" if database.is_default else "database"
    return f"{role} {database.name!r} ({database.id}) and everything in it"


def _settings(text: str) -> dict[str, Json]:
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise ConfigurationError([f'--settings: not JSON: {error}; write it like {{"key": "value"}}']) from error
    if not isinstance(settings, dict):
        raise ConfigurationError(['--settings: must be a JSON object, like {"key": "value"}'])
    return settings


def _token(path: Path) -> SecretStr:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigurationError([f"--recipient-token-file {path}: cannot be read: {error.strerror}"]) from error
    if not text.strip():
        raise ConfigurationError([f"--recipient-token-file {path}: is empty"])
    return SecretStr(text.strip())
