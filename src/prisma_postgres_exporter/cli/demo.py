"""`demo`: a simulated vendor and the service in one process, without an account."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import ListenOption, LogFormatOption
from prisma_postgres_exporter.config import Config, load_config
from prisma_postgres_exporter.service import Service
from prisma_postgres_exporter.simulator import (
    Fault,
    FaultKind,
    Faults,
    Simulator,
    VendorBehaviour,
    World,
    WorldShape,
    serve_simulator,
    system_clock,
)

POLL_INTERVAL = "5s"
REQUESTS_PER_SECOND = 200.0


def demo(listen: ListenOption = "127.0.0.1:9478", log_format: LogFormatOption = "console") -> None:
    """Run against a simulated vendor with three workspaces and forty databases: no account, no network.

    The store is a temporary file that goes with the demo.
    """
    configure_logs(log_format)
    with tempfile.TemporaryDirectory(prefix="prisma-postgres-exporter-demo-") as folder:
        asyncio.run(_demo(listen or "127.0.0.1:9478", Path(folder)))


async def _demo(listen: str, folder: Path) -> None:
    vendor = _vendor()
    async with serve_simulator(vendor.app) as url:
        config = _config(url, listen, folder, vendor)
        service = Service(config, load=lambda: config)
        await service.run(_announce)


def _vendor() -> Simulator:
    """A vendor whose numbers move, with a database that fails and days that are revised."""
    world = World(
        seed=7,
        shape=WorldShape(workspaces=3, databases=40, awkward_share=0.1, churn_per_day=0.5),
        begins_at=datetime.now(UTC),
    )
    failing = next(iter(world.databases))
    return Simulator(
        world,
        system_clock,
        behaviour=VendorBehaviour(revised_share=0.1),
        faults=Faults([Fault(kind=FaultKind.SERVER_ERROR, call="usage", database_id=failing)]),
    )


def _config(url: str, listen: str, folder: Path, vendor: Simulator) -> Config:
    config = load_config(
        api_url=url,
        store_url=f"sqlite:///{folder / 'demo.db'}",
        listen=listen,
        environ={
            "PRISMA_POSTGRES_TOKEN": ",".join(vendor.world.tokens),
            "PRISMA_POSTGRES_POLL_INTERVAL": POLL_INTERVAL,
        },
    )
    poll = config.poll.model_copy(update={"requests_per_second": REQUESTS_PER_SECOND})
    return config.model_copy(update={"poll": poll})


def _announce(url: str) -> None:
    typer.echo(f"\n  metrics      {url}/metrics\n  status page  {url}/\n\n  Ctrl-C ends the demo.\n")
