"""`simulator`: the Management API in a box."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.errors import ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.simulator import Simulator

HISTORY_DAYS = 100
CREATION_TAKES = timedelta(seconds=3)


def simulator(
    port: Annotated[int, typer.Option(help="Port on this machine; 0 is any free one.", min=0, max=65_535)] = 9479,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 1,
    workspaces: Annotated[int, typer.Option(help="How many workspaces, each with a token.", min=1)] = 3,
    databases: Annotated[int, typer.Option(help="How many databases in all.", min=0)] = 40,
    idle_share: Annotated[float, typer.Option(help="Share of the databases that nobody uses.", min=0, max=1)] = 0.1,
    revised_share: Annotated[
        float, typer.Option(help="Share of the closed days that are told wrongly for some hours.", min=0, max=1)
    ] = 0.1,
    widens: Annotated[bool, typer.Option(help="Answer for whole UTC days, whatever window is asked for.")] = False,
) -> None:
    """Answer as the vendor's Management API does, for a made-up world, until Ctrl-C.

    Prints its address, its tokens, and for each workspace the environment in which the vendor's own command line works
    against it. Under /simulator/ is its remote control, JSON without a token:

    GET world, truth?database=ID&from=INSTANT&to=INSTANT, requests, clock, faults: what exists, what was really used,
    how often it was asked, when it is, and which faults are in force.

    POST faults: let calls fail, such as {"kind": "throttled", "call": "usage", "times": 3, "retry_after": "60"}. Also
    token, database_id, probability, status and seconds say which calls, how often and how; an unknown kind is answered
    with those that there are. DELETE faults, or faults/NUMBER, ends them.

    POST usage: have operations made, such as {"database": "db_…", "operations": 1000}. POST status: have a database
    be `failure`, `provisioning`, `recovering` or `ready`, such as {"database": "db_…", "status": "failure"}. DELETE
    requests counts anew.
    """
    from prisma_postgres_exporter.simulator import Simulator, VendorBehaviour, World, WorldShape, system_clock

    world = World(
        seed=seed,
        shape=WorldShape(
            workspaces=workspaces,
            databases=databases,
            idle_share=idle_share,
            awkward_share=0.1,
            churn_per_day=0.5,
        ),
        begins_at=datetime.now(UTC) - timedelta(days=HISTORY_DAYS),
    )
    behaviour = VendorBehaviour(revised_share=revised_share, widens=widens, creation_takes=CREATION_TAKES)
    asyncio.run(_run(Simulator(world, system_clock, behaviour=behaviour), port))


async def _run(vendor: Simulator, port: int) -> None:
    from prisma_postgres_exporter.simulator import serve_simulator

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with serve_simulator(vendor.app, port=port) as url:
            typer.echo(f"Management API at {url}")
            typer.echo(f"tokens: {','.join(vendor.world.tokens)}")
            for workspace in vendor.world.workspaces(vendor.clock()):
                token = vendor.world.service_token(workspace.id)
                typer.echo(f"{workspace.name}: PRISMA_MANAGEMENT_API_URL={url} PRISMA_SERVICE_TOKEN={token}")
            await stop.wait()
    except OSError as error:
        raise ConfigurationError([f"--port {port}: cannot be listened on: {error.strerror}"]) from error
