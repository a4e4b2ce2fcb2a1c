"""Services that share a store on a server: what each collects, shows and lets go of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from psycopg import AsyncConnection

from ports import free_port
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.service import Service, leasing
from prisma_postgres_exporter.simulator import ManualClock, Simulator, serve_simulator, system_clock
from rounds_bench import configuration, small_vendor, tokens_of

LEASE = "prisma_postgres_exporter_lease"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are looked at many times a second."""
    monkeypatch.setattr(leasing, "RENEWED_EVERY_SECONDS", 0.1)


@dataclass(slots=True)
class Member:
    """One service, and the configuration that it reads when it is told to."""

    service: Service
    config: Config

    @property
    def lease(self) -> dict[str, float]:
        """What is shown of the leases, by workspace."""
        return {
            sample.labels["workspace_id"]: sample.value
            for metric in self.service.health._registry.collect()
            for sample in metric.samples
            if sample.name == LEASE
        }

    @property
    def own(self) -> set[str]:
        return set(self.service._own)

    async def use_tokens(self, *tokens: str) -> None:
        """Reload with other tokens."""
        self.config = with_tokens(self.config, *tokens)
        assert (await self.service.reload()).problem is None


def with_tokens(config: Config, *tokens: str) -> Config:
    credentials = [{"name": f"token-{token[-4:]}", "token": token} for token in tokens]
    return Config.model_validate({**dict(config), "credentials": credentials})


@contextlib.asynccontextmanager
async def serving(store_url: str, api_url: str, *tokens: str) -> AsyncIterator[Member]:
    """Run a service."""
    config = configuration(store_url, api_url=api_url, interval=timedelta(seconds=1))
    discovery = config.discovery.model_copy(update={"interval": timedelta(seconds=1)})
    web = config.web.model_copy(update={"listen": f"127.0.0.1:{free_port()}"})
    config = with_tokens(config.model_copy(update={"web": web, "discovery": discovery}), *tokens)
    member = Member(Service(config, load=lambda: member.config), config)
    listening = asyncio.Event()
    running = asyncio.create_task(member.service.run(lambda _: listening.set()))
    waiting = asyncio.create_task(listening.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield member
    finally:
        member.service.stop()
        await running


@pytest.fixture
async def vendor() -> AsyncIterator[tuple[Simulator, str]]:
    """A vendor with two workspaces."""
    simulator = small_vendor(ManualClock(system_clock()))
    simulator = type(simulator)(simulator.world, system_clock)
    async with serve_simulator(simulator.app) as url:
        yield simulator, url


async def until(what: str, is_so: object) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # type: ignore[operator]  # noqa: ASYNC110 - what runs has no event for it
            await asyncio.sleep(0.02)


async def test_a_workspace_that_is_followed_no_more_has_no_lease(
    postgres_url: str, vendor: tuple[Simulator, str]
) -> None:
    simulator, url = vendor
    tokens = [row.token.get_secret_value() for row in tokens_of(simulator.world).credentials]
    async with serving(postgres_url, url, *tokens) as one, serving(postgres_url, url, *tokens) as two:
        await until("each has one", lambda: len(one.own) == len(two.own) == 1)
        both = one.own | two.own
        await until("shown", lambda: one.lease.keys() == two.lease.keys() == both)
        await until("known", lambda: len(one.service.running.collector.ledger_state.workspaces) == 2)
        await one.use_tokens(tokens[0])
        await two.use_tokens(tokens[0])
        await until("one is left", lambda: len(one.lease) == len(two.lease) == 1)
        await one.use_tokens(*tokens)
        await two.use_tokens(*tokens)
        await until("shared again", lambda: len(one.own) == len(two.own) == 1)
        assert one.own | two.own == both
