"""`api connections …`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_connection, find_database
from prisma_postgres_exporter.cli.api.listing import listed, print_listed
from prisma_postgres_exporter.cli.api.making import print_made
from prisma_postgres_exporter.cli.api.options import (
    AllOption,
    DatabaseOption,
    LimitOption,
    OwnerDatabaseOption,
    RevealOption,
    YesOption,
)
from prisma_postgres_exporter.cli.api.rows import CONNECTION, new_connection
from prisma_postgres_exporter.cli.api.running import Session, changing, look_with, say_rest
from prisma_postgres_exporter.cli.options import examples
from prisma_postgres_exporter.cli.printing import Form, keys, print_one
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.errors import ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import CreatedConnection

app = typer.Typer(help="Connections: list, get, create, rotate, delete.", no_args_is_help=True, rich_markup_mode=None)

NameArgument = Annotated[str, typer.Argument(help="The connection, by id or name.", metavar="NAME", show_default=False)]


@app.command("list", epilog=keys(CONNECTION))
@command(Prints.LIST)
def list_(
    chosen: Form,
    database: DatabaseOption = None,
    is_all: AllOption = False,
    limit: LimitOption = 100,
) -> Work:
    """List connections. All that the credentials can see, or those of one database."""

    async def work(session: Session) -> None:
        what = "connections"
        if database is None:
            found, has_more = await listed(
                session, lambda api, page: api.connections(limit=page), limit=limit, is_all=is_all
            )
        else:
            owner = await find_database(session, database)
            what = f"connections of {owner.thing.name}"
            found, has_more = await listed(
                session.of(owner.api),
                lambda api, page: api.database_connections(owner.thing.id, limit=page),
                limit=limit,
                is_all=is_all,
            )
        print_listed(session, [one.thing for one in found], CONNECTION, chosen, what=what, has_more=has_more)

    return work


@app.command(epilog=keys(CONNECTION))
@command(Prints.ONE)
def get(
    chosen: Form,
    name: NameArgument,
    database: DatabaseOption = None,
) -> Work:
    """Show one connection. Without its connection strings: the API shows them once."""

    async def work(session: Session) -> None:
        print_one((await find_connection(session, name, database=database)).thing, CONNECTION, chosen)

    return work


@app.command(
    epilog=keys(new_connection(is_revealed=True))
    + examples("api connections create application --database orders --reveal")
)
@command(Prints.ONE)
def create(
    chosen: Form,
    name: Annotated[str, typer.Argument(help="Its name: 3 to 65 characters.", metavar="NAME", show_default=False)],
    database: OwnerDatabaseOption,
    reveal: RevealOption = False,
) -> Work:
    """Create a connection to a database. The API shows its strings this once, so --reveal is required."""
    _require_reveal(reveal)

    async def work(session: Session) -> None:
        owner = await find_database(session, database)
        with changing(look_with(f"api connections list --database {owner.thing.id}")):
            made = await owner.api.create_connection(owner.thing.id, name)
        _print_new(made, chosen, done=f"connection {name!r} ({made.id}) was created")

    return work


@app.command(epilog=keys(new_connection(is_revealed=True)) + examples("api connections rotate application --reveal"))
@command(Prints.ONE)
def rotate(
    chosen: Form,
    name: NameArgument,
    database: DatabaseOption = None,
    reveal: RevealOption = False,
    yes: YesOption = False,
) -> Work:
    """Give a connection new credentials. The old ones are revoked, as far as the vendor can.

    The API shows the new connection strings this once, so --reveal is required.
    """
    _require_reveal(reveal)

    async def work(session: Session) -> None:
        found = await find_connection(session, name, database=database)
        connection = found.thing
        loss = f"the credentials of connection {connection.name!r} ({connection.id}) to {connection.database.name!r}"
        ask(f"Rotate connection {connection.name!r}?", [loss], is_answered=yes)
        advice = (
            f"The old credentials may be revoked: rotate again (`api connections rotate {connection.id} --reveal`)."
        )
        with changing(advice):
            made = await found.api.rotate_connection(connection.id)
        done = f"connection {connection.name!r} ({connection.id}) was rotated, its old credentials are revoked"
        _print_new(made, chosen, done=done)

    return work


@app.command(epilog=examples("api connections delete application --database orders"))
@command()
def delete(
    name: NameArgument,
    database: DatabaseOption = None,
    yes: YesOption = False,
) -> Work:
    """Delete a connection: whoever uses it is cut off."""

    async def work(session: Session) -> None:
        found = await find_connection(session, name, database=database)
        connection = found.thing
        loss = f"connection {connection.name!r} ({connection.id}) to {connection.database.name!r}, and its credentials"
        ask(f"Delete connection {connection.name!r}?", [loss], is_answered=yes)
        with changing(look_with(f"api connections get {connection.id}")):
            await found.api.delete_connection(connection.id)
        say(f"Deleted connection {connection.name!r} ({connection.id}).")

    return work


def _print_new(made: CreatedConnection, chosen: Form, *, done: str) -> None:
    elsewhere = f"`api connections rotate {made.id} --reveal` makes new ones"
    print_made(made, new_connection(is_revealed=True), chosen, done=done, reveal=True, elsewhere=elsewhere)
    say_rest(made, reveal=True)


def _require_reveal(reveal: bool) -> None:
    if not reveal:
        raise ConfigurationError(
            ["--reveal: required, because the API shows the connection strings this once; nothing was changed"]
        )
