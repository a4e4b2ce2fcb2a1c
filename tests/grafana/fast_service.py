"""The service before a simulated vendor, both on a clock that is moved by hand: months of it in a minute."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import yaml

from prisma_postgres_exporter.config import Config, load_config
from prisma_postgres_exporter.service import Service
from prisma_postgres_exporter.simulator import Simulator, serve_simulator

STORE = "fast.db"


class FastService:
    """A running service that makes its rounds when it is told to."""

    def __init__(self, service: Service, client: httpx.AsyncClient) -> None:
        self._service = service
        self._client = client

    async def round(self) -> None:
        """Discover, and read everything that is due at the clock's time."""
        collector = self._service.collector
        await collector.run_discovery()
        await collector.run_subscriptions()
        await collector.run_cycles(asyncio.Event())

    async def scrape(self) -> str:
        """Return what /metrics shows, in text 0.0.4."""
        self._service.exposition.refresh_health()
        return (await self._client.get("/metrics")).text


@asynccontextmanager
async def fast_service(simulator: Simulator, folder: Path, cost: Mapping[str, object]) -> AsyncIterator[FastService]:
    """Run the service with a store in the folder and this configuration of cost, on the simulator's clock."""
    async with serve_simulator(simulator.app) as vendor:
        config = _config(vendor, simulator, folder, cost)
        service = Service(config, load=lambda: config, clock=simulator.clock)
        listening: asyncio.Queue[str] = asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(service.run(listening.put_nowait))
            try:
                async with httpx.AsyncClient(base_url=await listening.get()) as client:
                    yield FastService(service, client)
            finally:
                service.stop()


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
