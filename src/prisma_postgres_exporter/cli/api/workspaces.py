"""`api workspaces …`, `api service-tokens …`, `api regions` and `api me`"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.finding import find_service_token, find_workspace, one_workspace
from prisma_postgres_exporter.cli.api.listing import PAGE, listed
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
from prisma_postgres_exporter.cli.api.running import Session, run, say_rest
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    CsvOption,
    JsonOption,
    RawOption,
    WideOption,
    examples,
)
from prisma_postgres_exporter.cli.printing import form, keys, print_list, print_one
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.errors import ApiError, ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import ServiceToken

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
def list_(
    is_all: AllOption = False,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """List the workspaces that the credentials open: each opens one."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)

    async def work(session: Session) -> None:
        found, has_more = await listed(
            session, lambda api, page: api.workspaces(limit=page), limit=limit, is_all=is_all
        )
        print_list(found, WORKSPACE, chosen, what="workspaces", has_more=has_more)

    run(work, config=config, api_url=api_url, workspace=None)


@app.command(epilog=keys(WORKSPACE))
def get(
    name: NameArgument = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Show one workspace."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw)

    async def work(session: Session) -> None:
        found = await find_workspace(session, name)
        print_one(await found.api.workspace(found.thing.id), WORKSPACE, chosen)

    run(work, config=config, api_url=api_url, workspace=None)


@app.command(epilog=keys(WORKSPACE) + examples("api workspaces create Acme"))
def create(
    name: Annotated[
        str | None,
        typer.Argument(help="Its name. (default: the vendor makes one up)", metavar="NAME", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Create a workspace. The API refuses service tokens here: it takes the token of a person."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw)

    async def work(session: Session) -> None:
        api = session.only("--workspace: say whose credential creates it").api
        print_one(await api.create_workspace(display_name=name), WORKSPACE, chosen)

    run(work, config=config, api_url=api_url, workspace=workspace)


@app.command(epilog=keys(SUBSCRIPTION))
def subscription(
    name: NameArgument = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Show a workspace's plan, and whether its databases are blocked."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)

    async def work(session: Session) -> None:
        found = await find_workspace(session, name)
        print_one(Held(found.thing, await found.api.subscription(found.thing.id)), SUBSCRIPTION, chosen)

    run(work, config=config, api_url=api_url, workspace=None)


@service_tokens.command("list", epilog=keys(SERVICE_TOKEN))
def list_service_tokens(
    name: NameArgument = None,
    is_all: AllOption = False,
    limit: LimitOption = 100,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """List the service tokens of a workspace, and when they expire."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)
    wanted = one_workspace(name, workspace)

    async def work(session: Session) -> None:
        found = await find_workspace(session, wanted)
        tokens: list[Held[ServiceToken]] = []
        has_more = False
        async for token in found.api.service_tokens(found.thing.id, limit=PAGE if is_all else min(limit, PAGE)):
            if len(tokens) == limit and not is_all:
                has_more = True
                break
            tokens.append(Held(found.thing, token))
        print_list(tokens, SERVICE_TOKEN, chosen, what=f"service tokens of {found.thing.name}", has_more=has_more)

    run(work, config=config, api_url=api_url, workspace=None)


@service_tokens.command(
    "create",
    epilog=keys(new_service_token(is_revealed=True)) + examples("api service-tokens create grafana --reveal"),
)
def create_service_token(
    name: Annotated[str, typer.Argument(help="Its name: 1 to 256 characters.", metavar="NAME", show_default=False)],
    workspace: WorkspaceOption = None,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Create a service token. The API shows its value this once, so --reveal is required."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)
    if not reveal:
        raise ConfigurationError(["--reveal: required, because the API shows the token this once; nothing was changed"])

    async def work(session: Session) -> None:
        found = await find_workspace(session, workspace)
        made = await found.api.create_service_token(found.thing.id, name)
        print_one(Held(found.thing, made), new_service_token(is_revealed=True), chosen)
        say_rest(made, reveal=True)

    run(work, config=config, api_url=api_url, workspace=None, reveal=True, chosen=chosen)


@service_tokens.command("delete", epilog=examples("api service-tokens delete grafana"))
def delete_service_token(
    name: Annotated[str, typer.Argument(help="The token, by id or name.", metavar="NAME", show_default=False)],
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Delete a service token: whoever uses it is cut off. The exporter too, if it is the exporter's own."""

    async def work(session: Session) -> None:
        found = await find_workspace(session, workspace)
        token = await find_service_token(found, name)
        loss = f"service token {token.name!r} ({token.id}, {token.value_hint}) of workspace {found.thing.name!r}"
        credential = (await found.api.me()).credential
        if credential is not None and credential.id == token.id:
            loss += ": this is the token you are using now"
        ask(f"Delete service token {token.name!r}?", [loss], is_answered=yes)
        await found.api.delete_service_token(found.thing.id, token.id)
        say(f"Deleted service token {token.name!r} ({token.id}).")

    run(work, config=config, api_url=api_url, workspace=None)


def regions(
    product: Annotated[Product | None, typer.Argument(help="Only those of this product.", show_default=False)] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """List the regions, and whether they are available."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)

    async def work(session: Session) -> None:
        api = session.reaches[0].api
        if product is Product.POSTGRES:
            found = await api.postgres_regions()
        else:
            found = await (api.accelerate_regions() if product is Product.ACCELERATE else api.regions())
        print_list(found, REGION, chosen, what="regions")

    run(work, config=config, api_url=api_url, workspace=None)


def me(
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Show whose credentials these are: one line for each, never a token."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)

    async def work(session: Session) -> None:
        identities = []
        for reach in session.reaches:
            try:
                identities.append(Identity(reach.credential, await reach.api.me()))
            except ApiError as error:
                session.forgive(error)
        print_list(identities, IDENTITY, chosen, what="credentials that work")

    run(work, config=config, api_url=api_url, workspace=workspace)
