"""`demo`: a simulated vendor and the service in one process, without an account."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import secrets
import shlex
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import ListenOption, LogFormatOption, PublishEveryOption, own_command
from prisma_postgres_exporter.config import (
    BudgetConfig,
    Config,
    CostConfig,
    PollConfig,
    PriceRow,
    WorkspaceConfig,
    load_config,
)
from prisma_postgres_exporter.ending import EXIT_INTERRUPTED, end_at_once, removed_at_the_end

if TYPE_CHECKING:
    from prisma_postgres_exporter.simulator import Simulator

POLL_INTERVAL = "5s"
REQUESTS_PER_SECOND = 200.0
MOST_REQUESTS_PER_SECOND = 1_000.0
BUDGET_USD = Decimal(200)
PROJECT = "storefront"
PROJECT_BUDGET_USD = Decimal(60)
SPEND_LIMIT_USD = Decimal(120)


def demo(
    listen: ListenOption = None,
    log_format: LogFormatOption = "console",
    publish_every: PublishEveryOption = None,
) -> None:
    """Run against a simulated vendor with three workspaces and about twenty databases: no account, no network.

    The store is a temporary file that goes with the demo. With --publish-every `poll.adaptive` is on.
    """
    _end_on_signals(EXIT_INTERRUPTED)
    from prisma_postgres_exporter.service import require_listenable

    addresses = load_config(listen=listen or ["127.0.0.1:9478"], environ={}).web.listen
    require_listenable(addresses)
    typer.echo("\n  Making three workspaces with three months of history: a few seconds.")
    configure_logs(log_format, level=logging.ERROR)
    with _temporary_folder() as folder:
        asyncio.run(_demo(addresses, log_format, folder, publish_every))


def _end_on_signals(code: int) -> None:
    """End at once from now on, at whatever moment: nothing that a demo knows is worth storing."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # With `nohup` it goes on when its terminal is closed.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: end_at_once(code))


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A folder that goes with the process; its name is known before it is made, for a signal in between."""
    folder = Path(tempfile.gettempdir(), f"prisma-postgres-exporter-demo-{secrets.token_hex(8)}")
    with removed_at_the_end(folder):
        folder.mkdir(mode=0o700)
        yield folder


async def _demo(listen: Sequence[str], log_format: str, folder: Path, publish_every: timedelta | None) -> None:
    # What is loaded and made until the service runs stays: to look for garbage in it takes a tenth of the time.
    gc.disable()
    from prisma_postgres_exporter.service import Service, live_through_the_past
    from prisma_postgres_exporter.simulator import demo_simulator, history_begins_at, serve_simulator

    vendor = demo_simulator(published_every=publish_every or timedelta(0))
    now = vendor.clock()
    async with serve_simulator(vendor.app) as api_url:
        config = _config(api_url, listen, folder, vendor, adaptive=publish_every is not None)
        past = config.model_copy(update={"poll": PollConfig(requests_per_second=MOST_REQUESTS_PER_SECOND)})
        await live_through_the_past(vendor.vendor, past, since=history_begins_at(now), now=now)
        gc.enable()
        configure_logs(log_format)
        service = Service(config, load=lambda: config)
        environment = {
            "PRISMA_POSTGRES_API_URL": api_url,
            "PRISMA_POSTGRES_TOKEN": ",".join(vendor.world.tokens),
            "PRISMA_POSTGRES_STORE_URL": config.store.url,
        }

        def announce(url: str) -> None:
            typer.echo(_announcement(url, vendor, environment))
            _end_on_signals(0)

        await service.run(announce, takes_signals=False)


def _config(url: str, listen: Sequence[str], folder: Path, vendor: Simulator, *, adaptive: bool) -> Config:
    config = load_config(
        api_url=url,
        store_url=f"sqlite:///{folder / 'demo.db'}",
        listen=listen,
        environ={
            "PRISMA_POSTGRES_TOKEN": ",".join(vendor.world.tokens),
            "PRISMA_POSTGRES_POLL_INTERVAL": POLL_INTERVAL,
        },
        program=own_command(),
    )
    poll = config.poll.model_copy(update={"requests_per_second": REQUESTS_PER_SECOND, "adaptive": adaptive})
    # Prices that are not the package's, as from a file: a command beside it leaves them in the store.
    cost = cost_of(vendor).model_copy(update={"prices_file": folder / "prices"})
    return config.model_copy(update={"poll": poll, "cost": cost, "prices": _prices_of_now(config)})


def _prices_of_now(config: Config) -> tuple[PriceRow, ...]:
    """The prices of now, for every month: of earlier ones not everything is known."""
    return tuple(row.model_copy(update={"from_": None}) for row in config.prices if row.until is None)


def cost_of(vendor: Simulator) -> CostConfig:
    """Budgets for everything and for one project, and a spend limit, all of them not far above what is used."""
    now = vendor.clock()
    project = next(row for row in vendor.world.projects(now) if row.name == PROJECT)
    return CostConfig(
        budgets=(
            BudgetConfig(name="everything", monthly_usd=BUDGET_USD),
            BudgetConfig(name=PROJECT, monthly_usd=PROJECT_BUDGET_USD, projects=(re.compile(f"^{project.id}$"),)),
        ),
        workspaces=(WorkspaceConfig(workspace=project.workspace_id, spend_limit_usd=SPEND_LIMIT_USD),),
    )


def _announcement(url: str, vendor: Simulator, environment: Mapping[str, str]) -> str:
    """What to look at, in which order, and what to try."""
    now = vendor.clock()
    workspaces = {row.plan: row for row in vendor.world.workspaces(now)}
    [failing] = (row for row in vendor.world.databases(now) if row.id in vendor.vendor.behaviour.broken_since)
    free, starter = workspaces["Free"], workspaces["Starter"]
    command = own_command()
    exports = "".join(f"    export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    return f"""
  Look, in this order:
    1. {url}/
       what this month costs, what will be blocked and when, what fails
    2. {url}/workspaces/{free.id}
       {free.name}: why it will be blocked
    3. {url}/workspaces/{starter.id}
       {starter.name}: what another plan would cost
    4. {url}/metrics
       what Prometheus reads

  Then try, in another terminal:
{exports}
    {command} cost
    {command} top --sort growth
    {command} doctor {failing.name}

  Ctrl-C ends the demo and leaves nothing behind.
"""
