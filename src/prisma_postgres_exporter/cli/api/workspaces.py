"""`api workspaces …`, `api service-tokens …`, `api regions` and `api me`"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from prisma_postgres_exporter.api import ServiceToken
from prisma_postgres_exporter.cli.api.finding import find_workspace
from prisma_postgres_exporter.cli.api.listing import PAGE, listed
from prisma_postgres_exporter.cli.api.options import AllOption, CsvOption, JsonOption, LimitOption, WorkspaceOption
from prisma_postgres_exporter.cli.api.rows import (
    IDENTITY,
    REGION,
    SERVICE_TOKEN,
    SUBSCRIPTION,
    WORKSPACE,
    Held,
    Identity,
)
from prisma_postgres_exporter.cli.api.running import Session, run
from prisma_postgres_exporter.cli.options import ApiUrlOption, ConfigOption
from prisma_postgres_exporter.cli.printing import form, keys, print_list, print_one
from prisma_postgres_exporter.errors import ApiError

app = typer.Typer(help="Workspaces: list, get, subscription.", no_args_is_help=True)
service_tokens = typer.Typer(help="Service tokens of a workspace, without their values.", no_args_is_help=True)

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
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """List the workspaces that the credentials open: each opens one."""
    chosen = form(as_json=as_json, as_csv=as_csv)

    async def work(session: Session) -> None:
        found, has_more = await listed(
            session, lambda api, page: api.workspaces(limit=page), limit=limit, is_all=is_all
        )
        print_list(found, WORKSPACE, chosen, has_more=has_more)

    run(work, config=config, api_url=api_url, workspace=None)


@app.command(epilog=keys(WORKSPACE))
def get(
    name: NameArgument = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Show one workspace."""
    chosen = form(as_json=as_json, as_csv=as_csv)

    async def work(session: Session) -> None:
        found = await find_workspace(session, name)
        print_one(await found.api.workspace(found.thing.id), WORKSPACE, chosen)

    run(work, config=config, api_url=api_url, workspace=None)


@app.command(epilog=keys(SUBSCRIPTION))
def subscription(
    name: NameArgument = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Show a workspace's plan, and whether its databases are blocked."""
    chosen = form(as_json=as_json, as_csv=as_csv)

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
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """List the service tokens of a workspace, and when they expire."""
    chosen = form(as_json=as_json, as_csv=as_csv)

    async def work(session: Session) -> None:
        found = await find_workspace(session, name)
        tokens: list[Held[ServiceToken]] = []
        has_more = False
        async for token in found.api.service_tokens(found.thing.id, limit=PAGE if is_all else min(limit, PAGE)):
            if len(tokens) == limit and not is_all:
                has_more = True
                break
            tokens.append(Held(found.thing, token))
        print_list(tokens, SERVICE_TOKEN, chosen, has_more=has_more)

    run(work, config=config, api_url=api_url, workspace=None)


def regions(
    product: Annotated[Product | None, typer.Argument(help="Only those of this product.", show_default=False)] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """List the regions, and whether they are available."""
    chosen = form(as_json=as_json, as_csv=as_csv)

    async def work(session: Session) -> None:
        api = session.reaches[0].api
        is_postgres = product is Product.POSTGRES
        found = await (api.postgres_regions() if is_postgres else api.regions(product=product and product.value))
        print_list(found, REGION, chosen)

    run(work, config=config, api_url=api_url, workspace=None)


def me(
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Show whose credentials these are: one line for each, never a token."""
    chosen = form(as_json=as_json, as_csv=as_csv)

    async def work(session: Session) -> None:
        identities = []
        for reach in session.reaches:
            try:
                identities.append(Identity(reach.credential, await reach.api.me()))
            except ApiError as error:
                session.forgive(error)
        print_list(identities, IDENTITY, chosen)

    run(work, config=config, api_url=api_url, workspace=workspace)
