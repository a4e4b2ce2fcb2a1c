"""`demo`: a simulated vendor and the service in one process, without an account."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import ListenOption, LogFormatOption, PublishEveryOption
from prisma_postgres_exporter.config import BudgetConfig, Config, CostConfig, PollConfig, WorkspaceConfig, load_config

if TYPE_CHECKING:
    from prisma_postgres_exporter.simulator import Simulator

POLL_INTERVAL = "5s"
REQUESTS_PER_SECOND = 200.0
MOST_REQUESTS_PER_SECOND = 1_000.0


def demo(
    listen: ListenOption = None,
    log_format: LogFormatOption = "console",
    publish_every: PublishEveryOption = None,
) -> None:
    """Run against a simulated vendor with three workspaces and about forty databases: no account, no network.

    The store is a temporary file that goes with the demo. With --publish-every `poll.adaptive` is on.
    """
    configure_logs(log_format)
    with tempfile.TemporaryDirectory(prefix="prisma-postgres-exporter-demo-") as folder:
        asyncio.run(_demo(listen or ["127.0.0.1:9478"], Path(folder), publish_every))


async def _demo(listen: list[str], folder: Path, publish_every: timedelta | None) -> None:
    from prisma_postgres_exporter.service import Service, live_through_the_past
    from prisma_postgres_exporter.simulator import demo_simulator, serve_simulator

    vendor = demo_simulator(published_every=publish_every or timedelta(0))
    async with serve_simulator(vendor.app) as api_url:
        config = _config(api_url, listen, folder, vendor, adaptive=publish_every is not None)
        past = config.model_copy(update={"poll": PollConfig(requests_per_second=MOST_REQUESTS_PER_SECOND)})
        await live_through_the_past(vendor.vendor, past, now=vendor.clock())
        service = Service(config, load=lambda: config)
        environment = {
            "PRISMA_POSTGRES_API_URL": api_url,
            "PRISMA_POSTGRES_TOKEN": ",".join(map(vendor.world.service_token, vendor.world.tokens.values())),
            "PRISMA_POSTGRES_STORE_URL": config.store.url,
        }
        await service.run(partial(_announce, environment))


def _config(url: str, listen: list[str], folder: Path, vendor: Simulator, *, adaptive: bool) -> Config:
    config = load_config(
        api_url=url,
        store_url=_store_url(folder),
        listen=listen,
        environ={
            "PRISMA_POSTGRES_TOKEN": ",".join(vendor.world.tokens),
            "PRISMA_POSTGRES_POLL_INTERVAL": POLL_INTERVAL,
        },
    )
    poll = config.poll.model_copy(update={"requests_per_second": REQUESTS_PER_SECOND, "adaptive": adaptive})
    return config.model_copy(update={"poll": poll, "cost": _cost(vendor)})


def _cost(vendor: Simulator) -> CostConfig:
    """Budgets for everything and for one project, and a spend limit that one workspace will reach this month."""
    now = vendor.clock()
    project = vendor.world.projects(now)[0]
    limited = next(row for row in vendor.world.workspaces(now) if row.plan == "Starter")
    return CostConfig(
        budgets=(
            BudgetConfig(name="everything", monthly_usd=Decimal(600)),
            BudgetConfig(name=project.name, monthly_usd=Decimal(20), projects=(re.compile(f"^{project.id}$"),)),
        ),
        workspaces=(WorkspaceConfig(workspace=limited.id, spend_limit_usd=Decimal(300)),),
    )


def _store_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'demo.db'}"


def _announce(environment: Mapping[str, str], url: str) -> None:
    exports = "".join(f"    export {name}={value}\n" for name, value in environment.items())
    typer.echo(
        f"\n  metrics      {url}/metrics\n  status page  {url}/\n\n"
        f"  To try top, cost, check, doctor, backfill and api on it, in another terminal:\n{exports}\n"
        "  Ctrl-C ends the demo.\n"
    )
