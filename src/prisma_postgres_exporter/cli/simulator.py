"""`simulator`: the Management API in a box."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.options import PublishEveryOption
from prisma_postgres_exporter.errors import ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.simulator import Simulator

HISTORY_DAYS = 100
CREATION_TAKES = timedelta(seconds=3)
EXAMPLES = """\b
Remote control, below /simulator/, JSON without a token:
  GET    world                what there is
  GET    truth                what was really used:
                              ?database=ID&from=INSTANT&to=INSTANT
  GET    requests             how often it was asked; DELETE counts anew
  GET    clock                what time it is
  GET    faults               the faults in force; DELETE ends them
  DELETE faults/NUMBER        ends one
  POST   faults               let calls fail:
                              {"kind": "throttled", "call": "usage",
                              "times": 3, "retry_after": "60"}
  POST   usage                have operations made:
                              {"database": "db_...", "operations": 1000}
  POST   status               have a database be `failure`, `provisioning`,
                              `recovering` or `ready`:
                              {"database": "db_...", "status": "failure"}

A fault may also say token, database_id, probability, status and seconds: which calls it hits, how often and how. An
unknown kind or call is answered with those that there are. What a 4xx refuses is not carried out; what a 5xx, a
reset or half a body hides was.
"""


def simulator(
    port: Annotated[int, typer.Option(help="Port; 0: a free one.", metavar="PORT", min=0, max=65_535)] = 9479,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.", metavar="N")] = 1,
    workspaces: Annotated[int, typer.Option(help="Workspaces, each with a token.", metavar="N", min=1)] = 3,
    databases: Annotated[int, typer.Option(help="Databases at the start.", metavar="N", min=0)] = 40,
    idle_share: Annotated[float, typer.Option(help="Databases that are idle.", metavar="SHARE", min=0, max=1)] = 0.1,
    revised_share: Annotated[
        float, typer.Option(help="Days told wrongly at first.", metavar="SHARE", min=0, max=1)
    ] = 0.1,
    widens: Annotated[bool, typer.Option(help="Answer for whole UTC days.")] = False,
    publish_every: PublishEveryOption = None,
) -> None:
    """Answer as the vendor's Management API does, for a made-up world, until Ctrl-C.

    Prints its address, its tokens, and for each workspace the environment in which the vendor's own command line works
    against it.
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
            quiet_days=HISTORY_DAYS + 1,  # as many databases as are asked for: others come and go from tomorrow on
        ),
        begins_at=datetime.now(UTC) - timedelta(days=HISTORY_DAYS),
    )
    behaviour = VendorBehaviour(
        revised_share=revised_share,
        widens=widens,
        published_every=publish_every or timedelta(0),
        creation_takes=CREATION_TAKES,
    )
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
