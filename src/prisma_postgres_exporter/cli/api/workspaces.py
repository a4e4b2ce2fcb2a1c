"""`api workspaces …`, `api service-tokens …`, `api regions` and `api me`"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.command import Prints, Work, command
from prisma_postgres_exporter.cli.api.finding import find_service_token, find_workspace, one_workspace, with_any
from prisma_postgres_exporter.cli.api.listing import listed, note_unread, print_listed
from prisma_postgres_exporter.cli.api.making import print_changed
from prisma_postgres_exporter.cli.api.options import AllOption, LimitOption, RevealOption, WorkspaceOption, YesOption
from prisma_postgres_exporter.cli.api.rows import (
    IDENTITY,
    REGION,
    SERVICE_TOKEN,
    SUBSCRIPTION,
    WORKSPACE,
    Held,
    Identity,
    new_service_token,
)
from prisma_postgres_exporter.cli.api.running import EXIT_UNKNOWN, Session, changing, look_with, printed, say_rest
from prisma_postgres_exporter.cli.options import examples
from prisma_postgres_exporter.cli.printing import Form, keys, print_one
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.errors import ApiError, ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import ManagementApi, Page, Region

app = typer.Typer(help="Workspaces: list, get, create, subscription.", no_args_is_help=True, rich_markup_mode=None)
service_tokens = typer.Typer(
    help="Service tokens of a workspace: list, create, delete.", no_args_is_help=True, rich_markup_mode=None
)

NameArgument = Annotated[
    str | None,
    typer.Argument(help="The workspace, by id or name; the credential's own without it.", metavar="NAME"),
]


class Product(StrEnum):
    """What has regions."""

    POSTGRES = "postgres"
    ACCELERATE = "accelerate"


@app.command("list", epilog=keys(WORKSPACE))
@command(Prints.LIST, of_workspace=False)
def list_(
    chosen: Form,
    is_all: AllOption = False,
    limit: LimitOption = 100,
) -> Work:
    """List the workspaces that the credentials open. Each opens one."""

    async def work(session: Session) -> None:
        found, has_more = await listed(
            session, lambda api, page: api.workspaces(limit=page), limit=limit, is_all=is_all
        )
        print_listed(session, [one.thing for one in found], WORKSPACE, chosen, what="workspaces", has_more=has_more)

    return work


@app.command(epilog=keys(WORKSPACE))
@command(Prints.ONE, of_workspace=False)
def get(
    chosen: Form,
    name: NameArgument = None,
) -> Work:
    """Show one workspace."""

    async def work(session: Session) -> None:
        found = await find_workspace(session, name)
        print_one(await found.api.workspace(found.thing.id), WORKSPACE, chosen)

    return work


@app.command(epilog=keys(WORKSPACE) + examples("api workspaces create Acme"))
@command(Prints.ONE)
def create(
    chosen: Form,
    name: Annotated[
        str | None,
        typer.Argument(help="Its name. (default: the vendor makes one up)", metavar="NAME", show_default=False),
    ] = None,
) -> Work:
    """Create a workspace. The API refuses service tokens here: it takes the token of a person."""

    async def work(session: Session) -> None:
        api = session.only("--workspace: say whose credential creates it").api
        with changing(look_with("api workspaces list")):
            made = await api.create_workspace(display_name=name)
        look = f"api workspaces get {made.id}"
        print_changed(made, WORKSPACE, chosen, done=f"workspace {made.id} was created", look=look)

    return work


@app.command(epilog=keys(SUBSCRIPTION))
@command(Prints.LIST, of_workspace=False)
def subscription(
    chosen: Form,
    name: NameArgument = None,
) -> Work:
    """Show a workspace's plan, and whether it is blocked."""

    async def work(session: Session) -> None:
        found = await find_workspace(session, name)
        print_one(Held(found.thing, await found.api.subscription(found.thing.id)), SUBSCRIPTION, chosen)

    return work


@service_tokens.command("list", epilog=keys(SERVICE_TOKEN))
@command(Prints.LIST, of_workspace=False)
def list_service_tokens(
    chosen: Form,
    name: NameArgument = None,
    is_all: AllOption = False,
    limit: LimitOption = 100,
    workspace: WorkspaceOption = None,
) -> Work:
    """List the service tokens of a workspace, and when they expire."""
    wanted = one_workspace(name, workspace)

    async def work(session: Session) -> None:
        found = await find_workspace(session, wanted)
        tokens, has_more = await listed(
            session.of(found.api),
            lambda api, page: api.service_tokens(found.thing.id, limit=page),
            limit=limit,
            is_all=is_all,
        )
        rows = [Held(found.thing, token.thing) for token in tokens]
        print_listed(
            session, rows, SERVICE_TOKEN, chosen, what=f"service tokens of {found.thing.name}", has_more=has_more
        )

    return work


@service_tokens.command(
    "create",
    epilog=keys(new_service_token(is_revealed=True)) + examples("api service-tokens create grafana --reveal"),
)
@command(Prints.LIST, of_workspace=False)
def create_service_token(
    chosen: Form,
    name: Annotated[str, typer.Argument(help="Its name: 1 to 256 characters.", metavar="NAME", show_default=False)],
    workspace: WorkspaceOption = None,
    reveal: RevealOption = False,
) -> Work:
    """Create a service token. The API shows its value this once, so --reveal is required."""
    if not reveal:
        raise ConfigurationError(["--reveal: required, because the API shows the token this once; nothing was changed"])

    async def work(session: Session) -> None:
        found = await find_workspace(session, workspace)
        with changing(look_with(f"api service-tokens list {found.thing.id}")):
            made = await found.api.create_service_token(found.thing.id, name)
        advice = f"Delete it (`api service-tokens delete {made.id}`), and create another."
        with printed(f"service token {name!r} ({made.id}) was created with its value", advice):
            print_one(Held(found.thing, made), new_service_token(is_revealed=True), chosen)
        say_rest(made, reveal=True)
        if made.value is None and not made.shown_once:
            say(
                "error: the token was created, and the answer does not have its value, which nobody can ask for again",
                style="red",
            )
            say(advice)
            raise typer.Exit(EXIT_UNKNOWN)

    return work


@service_tokens.command("delete", epilog=examples("api service-tokens delete grafana"))
@command(of_workspace=False)
def delete_service_token(
    name: Annotated[str, typer.Argument(help="The token, by id or name.", metavar="NAME", show_default=False)],
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
) -> Work:
    """Delete a service token: whoever uses it is cut off. The exporter too, if it is the exporter's own."""

    async def work(session: Session) -> None:
        found = await find_workspace(session, workspace)
        token = await find_service_token(found, name)
        loss = f"service token {token.name!r} ({token.id}, {token.value_hint}) of workspace {found.thing.name!r}"
        credential = (await found.api.me()).credential
        if credential is not None and credential.id == token.id:
            loss += ": this is the token you are using now"
        ask(f"Delete service token {token.name!r}?", [loss], is_answered=yes)
        with changing(look_with(f"api service-tokens list {found.thing.id}")):
            await found.api.delete_service_token(found.thing.id, token.id)
        say(f"Deleted service token {token.name!r} ({token.id}).")

    return work


@command(Prints.LIST, of_workspace=False)
def regions(
    chosen: Form,
    product: Annotated[Product | None, typer.Argument(help="Only those of this product.", show_default=False)] = None,
) -> Work:
    """List the regions, and whether they are available."""

    async def work(session: Session) -> None:
        # They are the same for everybody.
        found = (await with_any(session, _REGIONS[product])).thing
        note_unread(session, found.refused)
        print_listed(session, found.entries, REGION, chosen, what="regions")

    return work


_REGIONS: dict[Product | None, Callable[[ManagementApi], Coroutine[Any, Any, Page[Region]]]] = {
    None: lambda api: api.regions(),
    Product.POSTGRES: lambda api: api.postgres_regions(),
    Product.ACCELERATE: lambda api: api.accelerate_regions(),
}


@command(Prints.LIST)
def me(
    chosen: Form,
) -> Work:
    """Show whose credentials these are. One line for each, never a token."""

    async def work(session: Session) -> None:
        identities: list[Identity] = []
        for reach in session.reaches:
            try:
                identities.append(Identity(reach.credential, await reach.api.me()))
            except ApiError as error:
                session.failures.append(error)
        if not identities and session.failures:
            raise session.failures[-1]
        print_listed(session, identities, IDENTITY, chosen, what="credentials that work")

    return work
