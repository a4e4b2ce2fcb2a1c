"""The exporter before a simulated vendor, both on a clock that is moved by hand: months of it in a minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from prisma_postgres_exporter.api import Clock, ManagementApi
from prisma_postgres_exporter.config import Config, Credential, load_config
from prisma_postgres_exporter.expose import ExporterHealth, Format
from prisma_postgres_exporter.service import Opened, limits_of, opened
from prisma_postgres_exporter.simulator import Simulator, serve_simulator

STORE = "fast.db"
ROUNDS_AT_ONCE = 20
"""At most so many rounds of a workspace at one instant: days of the past are due all together."""


class FastService:
    """What the service runs, without its schedule: it makes its rounds when it is told to."""

    def __init__(self, running: Opened, health: ExporterHealth, simulator: Simulator) -> None:
        self._running = running
        self._health = health
        self._clock = simulator.clock

    async def round(self) -> None:
        """Discover, and read everything that is due at the clock's time."""
        collector = self._running.collector
        self._health.config_reloaded(True, self._clock())
        await asyncio.gather(*map(collector.identify, collector.readers.unidentified))
        await asyncio.gather(*map(self._round, sorted(collector.readers.workspace_ids)))

    async def scrape(self) -> str:
        """Return what /metrics shows, in text 0.0.4."""
        await self._running.display.refresh()
        self._running.exposition.refresh_health()
        return self._running.exposition.body(Format.TEXT, is_gzip=False).joined().decode()

    async def _round(self, workspace_id: str) -> None:
        collector = self._running.collector
        for _ in range(ROUNDS_AT_ONCE):
            report = await collector.round(workspace_id)
            if report.next_at > collector.now():
                return


@asynccontextmanager
async def fast_service(simulator: Simulator, folder: Path, cost: Mapping[str, object]) -> AsyncIterator[FastService]:
    """Open the exporter with a store in the folder and this configuration of cost, on the simulator's clock."""
    health = ExporterHealth()

    def make_api(credential: Credential, config: Config, _: int) -> ManagementApi:
        return ManagementApi(
            credential.token.get_secret_value(),
            base_url=config.api_url,
            limits=limits_of(config),
            observer=health,
            clock=Clock(now=simulator.clock),
        )

    async with serve_simulator(simulator.app) as vendor:
        config = _config(vendor, simulator, folder, cost)
        async with opened(config, clock=simulator.clock, make_api=make_api, health=health) as running:
            yield FastService(running, health, simulator)


def stamped(text: str, milliseconds: int, job: str, instance: str) -> str:
    """Return the samples of a scrape with the labels that Prometheus adds and a timestamp."""
    labels = f'job="{job}",instance="{instance}"'
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return "".join([f"{_labelled(line, labels)} {milliseconds}\n" for line in lines])


def _config(vendor: str, simulator: Simulator, folder: Path, cost: Mapping[str, object]) -> Config:
    settings = folder / "config.yaml"
    settings.write_text(yaml.safe_dump({"cost": dict(cost)}))
    config = load_config(
        config_path=str(settings),
        api_url=vendor,
        store_url=f"sqlite:///{folder / STORE}",
        listen="127.0.0.1:0",
        environ={"PRISMA_POSTGRES_TOKEN": ",".join(simulator.world.tokens), "PRISMA_POSTGRES_POLL_INTERVAL": "1s"},
    )
    return config.model_copy(update={"poll": config.poll.model_copy(update={"requests_per_second": 2000.0})})


def _labelled(line: str, labels: str) -> str:
    name, brace, rest = line.partition("{")
    if brace:
        return f"{name}{{{labels},{rest}"
    name, _, value = line.partition(" ")
    return f"{name}{{{labels}}} {value}"
