"""`api integrations …`"""

from __future__ import annotations

from typing import Annotated

import typer

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_integration, find_workspace, one_workspace
from prisma_postgres_exporter.cli.api.listing import listed, print_listed
from prisma_postgres_exporter.cli.api.options import AllOption, LimitOption, WorkspaceOption, YesOption
from prisma_postgres_exporter.cli.api.rows import INTEGRATION
from prisma_postgres_exporter.cli.api.running import Session, changing, look_with
from prisma_postgres_exporter.cli.options import examples
from prisma_postgres_exporter.cli.printing import Form, keys, print_one
from prisma_postgres_exporter.cli.terminal import say

app = typer.Typer(
    rich_markup_mode=None,
    help="Integrations: list, get, delete. They are the programs that people allowed into a workspace.",
    no_args_is_help=True,
)

IdArgument = Annotated[str, typer.Argument(help="The integration, by id.", metavar="ID", show_default=False)]


@app.command("list", epilog=keys(INTEGRATION))
@command(Prints.LIST, of_workspace=False)
def list_(
    chosen: Form,
    name: Annotated[
        str | None,
        typer.Argument(help="The workspace, by id or name. (default: the credential's own)", metavar="WORKSPACE"),
    ] = None,
    is_all: AllOption = False,
    limit: LimitOption = 100,
    workspace: WorkspaceOption = None,
) -> Work:
    """List the programs that may use a workspace. With their scopes, and who allowed them."""
    wanted = one_workspace(name, workspace)

    async def work(session: Session) -> None:
        owner = await find_workspace(session, wanted)
        found, has_more = await listed(
            session.of(owner.api),
            lambda api, page: api.integrations(owner.thing.id, limit=page),
            limit=limit,
            is_all=is_all,
        )
        print_listed(
            session,
            [one.thing for one in found],
            INTEGRATION,
            chosen,
            what=f"integrations of {owner.thing.name}",
            has_more=has_more,
        )

    return work


@app.command(epilog=keys(INTEGRATION))
@command(Prints.ONE)
def get(
    chosen: Form,
    integration_id: IdArgument,
) -> Work:
    """Show one integration."""

    async def work(session: Session) -> None:
        print_one((await find_integration(session, integration_id)).thing, INTEGRATION, chosen)

    return work


@app.command(epilog=examples("api integrations delete itgr_…"))
@command()
def delete(
    integration_id: IdArgument,
    yes: YesOption = False,
) -> Work:
    """Revoke what a program may do: it is cut off at once."""

    async def work(session: Session) -> None:
        found = await find_integration(session, integration_id)
        program = found.thing.client.name if found.thing.client else None
        loss = f"the access of {program!r} ({found.thing.id})"
        ask(f"Revoke integration {found.thing.id}?", [loss], is_answered=yes)
        with changing(look_with(f"api integrations get {found.thing.id}")):
            await found.api.delete_integration(found.thing.id)
        say(f"Revoked integration {found.thing.id}.")

    return work
