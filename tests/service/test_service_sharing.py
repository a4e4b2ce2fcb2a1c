"""Services that share a store on a server: what each collects, shows and lets go of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import pytest

from ports import free_port
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.model import EventKind, WorkspaceState
from prisma_postgres_exporter.service import Service, collect_once, leasing
from prisma_postgres_exporter.simulator import ManualClock, serve_simulator, system_clock
from prisma_postgres_exporter.store import Store
from rounds_bench import configuration, small_vendor

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

    @property
    def workspaces(self) -> Mapping[str, WorkspaceState]:
        return self.service.running.collector.ledger_state.workspaces

    async def use_tokens(self, *tokens: str) -> None:
        """Reload with other tokens."""
        self.config = with_tokens(self.config, *tokens)
        assert (await self.service.reload()).problem is None


def with_tokens(config: Config, *tokens: str) -> Config:
    credentials = [{"name": f"token-{number}", "token": token} for number, token in enumerate(tokens)]
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
async def vendor() -> AsyncIterator[tuple[Mapping[str, str], str]]:
    """The tokens of a vendor, each with its workspace, and its address."""
    simulator = small_vendor(ManualClock(system_clock()))
    simulator = type(simulator)(simulator.world, system_clock)
    async with serve_simulator(simulator.app) as url:
        yield simulator.world.tokens, url


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - what runs has no event for it
            await asyncio.sleep(0.02)


async def until_shared(one: Member, two: Member) -> None:
    """Wait until each holds one of the two workspaces, and each knows both."""
    await until(lambda: len(one.own) == len(two.own) == 1 and len(one.workspaces) == len(two.workspaces) == 2)


async def test_a_workspace_that_is_followed_no_more_has_no_lease(
    postgres_url: str, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    async with serving(postgres_url, url, *tokens) as one, serving(postgres_url, url, *tokens) as two:
        await until_shared(one, two)
        both = one.own | two.own
        await until(lambda: one.lease.keys() == two.lease.keys() == both)
        await one.use_tokens(list(tokens)[0])
        await two.use_tokens(list(tokens)[0])
        await until(lambda: len(one.lease) == len(two.lease) == 1)
        await one.use_tokens(*tokens)
        await two.use_tokens(*tokens)
        await until_shared(one, two)
        assert one.own | two.own == both


async def test_a_workspace_goes_to_whoever_has_a_token_that_is_not_refused(
    postgres_url: str, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    async with serving(postgres_url, url, *tokens) as one, serving(postgres_url, url, *tokens) as two:
        await until_shared(one, two)
        lost = next(iter(one.own))
        await one.use_tokens(*(token if id_ != lost else "of-before" for token, id_ in tokens.items()))
        await until(lambda: lost in two.own and len(one.own) == 0)
        # It was the only one that it could read: what is left to it is what is refused everywhere.
        await two.use_tokens(*(token if id_ != lost else "of-before" for token, id_ in tokens.items()))
        await until(lambda: one.own | two.own == set(tokens.values()) and len(one.own) == 1)
        assert not any(row.is_gone for row in one.workspaces.values())


async def test_a_command_with_fewer_tokens_leaves_the_other_workspaces_to_the_services(
    postgres_url: str, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    async with serving(postgres_url, url, *tokens) as one:
        await until(lambda: len(one.own) == len(one.workspaces) == 2)
        await collect_once(with_tokens(one.config, list(tokens)[0]))
        with closing(Store.open_to_read(postgres_url)) as store:
            events = list(store.events(subject_id=tokens[list(tokens)[1]]))
        assert [event.kind for event in events] == [EventKind.FOUND]
    # Alone it is for it to say.
    collected = await collect_once(with_tokens(one.config, list(tokens)[0]))
    assert len(collected.snapshot.workspaces) == 1
