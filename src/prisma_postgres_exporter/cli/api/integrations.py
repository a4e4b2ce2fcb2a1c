"""`api integrations …`"""

from __future__ import annotations

from typing import Annotated

import typer

from prisma_postgres_exporter.cli.api.asking import ask
from prisma_postgres_exporter.cli.api.finding import find_integration, find_workspace, one_workspace
from prisma_postgres_exporter.cli.api.listing import listed
from prisma_postgres_exporter.cli.api.options import AllOption, LimitOption, WorkspaceOption, YesOption
from prisma_postgres_exporter.cli.api.rows import INTEGRATION
from prisma_postgres_exporter.cli.api.running import Reach, Session, run
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

app = typer.Typer(
    rich_markup_mode=None,
    help="Integrations: the programs that people allowed into a workspace. List, get, delete.",
    no_args_is_help=True,
)

IdArgument = Annotated[str, typer.Argument(help="The integration, by id.", metavar="ID", show_default=False)]


@app.command("list", epilog=keys(INTEGRATION))
def list_(
    name: Annotated[
        str | None,
        typer.Argument(help="The workspace, by id or name. (default: the credential's own)", metavar="WORKSPACE"),
    ] = None,
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
    """List the programs that may use a workspace, with their scopes and who allowed them."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)
    wanted = one_workspace(name, workspace)

    async def work(session: Session) -> None:
        owner = await find_workspace(session, wanted)
        found, has_more = await listed(
            Session((Reach("", owner.api),)),
            lambda api, page: api.integrations(owner.thing.id, limit=page),
            limit=limit,
            is_all=is_all,
        )
        print_list(found, INTEGRATION, chosen, what=f"integrations of {owner.thing.name}", has_more=has_more)

    run(work, config=config, api_url=api_url, workspace=None)


@app.command(epilog=keys(INTEGRATION))
def get(
    integration_id: IdArgument,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Show one integration."""
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw)

    async def work(session: Session) -> None:
        print_one((await find_integration(session, integration_id)).thing, INTEGRATION, chosen)

    run(work, config=config, api_url=api_url, workspace=workspace)


@app.command(epilog=examples("api integrations delete itgr_…"))
def delete(
    integration_id: IdArgument,
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Revoke what a program may do: it is cut off at once."""

    async def work(session: Session) -> None:
        found = await find_integration(session, integration_id)
        program = found.thing.client.name if found.thing.client else None
        loss = f"the access of {program!r} ({found.thing.id})"
        ask(f"Revoke integration {found.thing.id}?", [loss], is_answered=yes)
        await found.api.delete_integration(found.thing.id)
        say(f"Revoked integration {found.thing.id}.")

    run(work, config=config, api_url=api_url, workspace=workspace)
