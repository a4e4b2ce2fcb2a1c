"""A collector with a vendor and a clock that is moved by hand: over HTTP with the real client, or without a network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import SecretStr

from prisma_postgres_exporter.api import Clock, ManagementApi
from prisma_postgres_exporter.config import Config, Credential, Tokens, load_config
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format
from prisma_postgres_exporter.model import DatabaseState, DayUsage, Event, LedgerState
from prisma_postgres_exporter.rounds import Collector, MakeApi, VendorApi
from prisma_postgres_exporter.service import limits_of, opened
from prisma_postgres_exporter.service.display import Display
from prisma_postgres_exporter.simulator import (
    Faults,
    ManualClock,
    Simulator,
    VendorBehaviour,
    World,
    WorldShape,
    serve_simulator,
)
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot

MOST_ROUNDS = 200


async def no_wait(seconds: float) -> None:
    """Wait for nothing: the retries' pauses are not what is tried."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A collector with what it shows, and the clock that it lives by."""

    collector: Collector
    display: Display
    exposition: Exposition
    clock: ManualClock

    @property
    def ledger_state(self) -> LedgerState:
        return self.collector.ledger_state

    @property
    def databases(self) -> Mapping[str, DatabaseState]:
        return self.collector.ledger_state.databases

    @property
    def snapshot(self) -> Snapshot:
        return self.display.snapshot

    @property
    def views(self) -> Mapping[str, DatabaseView]:
        return {view.database_id: view for view in self.display.snapshot.databases}

    async def stored(self) -> LedgerState:
        """What a restart would load now."""
        now = self.collector.now()
        return await self.collector.in_store(lambda store: store.load(now))

    async def days(self, database_id: str | None = None) -> list[DayUsage]:
        return await self.collector.in_store(lambda store: list(store.days(database_id)))

    async def events(self) -> list[Event]:
        return await self.collector.in_store(lambda store: list(store.events()))

    async def identify(self) -> None:
        await asyncio.gather(*map(self.collector.identify, self.collector.readers.unidentified))

    async def discover(self) -> None:
        await self.identify()
        for id_ in self._collected():
            await self.collector.discover(id_)

    async def rounds(self) -> None:
        """Rounds of every workspace until nothing is due at this instant, and what is known then is shown."""
        await self.identify()
        await asyncio.gather(*map(self._rounds_of, self._collected()))
        await self.display.refresh()

    async def live(self, span: timedelta, *, every: timedelta) -> None:
        """Let time pass step by step."""
        until = self.clock.now + span
        while self.clock.now < until:
            self.clock.advance(every)
            await self.rounds()

    async def round(self, *, discover: bool = True) -> None:
        """Discover everything now, and read all that is due."""
        if discover:
            await self.discover()
        await self.rounds()

    def text(self) -> str:
        self.exposition.refresh_health()
        return self.exposition.body(Format.TEXT, is_gzip=False).joined().decode()

    def _collected(self) -> list[str]:
        return sorted(id_ for id_, turn in self.collector.turns.items() if not turn.is_gone)

    async def _rounds_of(self, workspace_id: str) -> None:
        for _ in range(MOST_ROUNDS):
            report = await self.collector.round(workspace_id)
            if report.next_at > self.collector.now():
                return
        turn = self.collector.turns[workspace_id]
        due = (await self.collector._plan(turn, budget=None)).reads
        raise AssertionError(f"{workspace_id} never comes to rest at {self.clock.now}: {report}, due are {due}")


def configuration(store_url: str, *, api_url: str = "https://api.prisma.io", **poll: object) -> Config:
    config = load_config(api_url=api_url, store_url=store_url, environ={})
    changes = {"requests_per_second": 1_000.0, **poll}
    return config.model_copy(update={"poll": config.poll.model_copy(update=changes)})


def tokens_of(world: World) -> Tokens:
    return Tokens(
        credentials=tuple(
            Credential(name=f"token-{number}", token=SecretStr(token)) for number, token in enumerate(world.tokens, 1)
        )
    )


def http_maker(clock: Callable[[], datetime], health: ExporterHealth) -> MakeApi:
    """Clients as the service has them, without the pauses between retries."""

    def make(credential: Credential, config: Config, _: int) -> VendorApi:
        return ManagementApi(
            credential.token.get_secret_value(),
            base_url=config.api_url,
            limits=limits_of(config),
            observer=health,
            clock=Clock(sleep=no_wait, now=clock),
        )

    return make


@contextlib.asynccontextmanager
async def bench(
    config: Config, clock: ManualClock, tokens: Tokens, *, make_api: MakeApi | None = None
) -> AsyncIterator[Bench]:
    health = ExporterHealth()
    make = make_api or http_maker(clock, health)
    async with opened(config, clock=clock, make_api=make, health=health, tokens=tokens) as running:
        yield Bench(running.collector, running.display, running.exposition, clock)


@contextlib.asynccontextmanager
async def http_bench(store_url: str, vendor: Simulator, clock: ManualClock, **poll: object) -> AsyncIterator[Bench]:
    async with (
        serve_simulator(vendor.app) as url,
        bench(configuration(store_url, api_url=url, **poll), clock, tokens_of(vendor.world)) as running,
    ):
        yield running


def small_vendor(
    clock: ManualClock,
    *,
    behaviour: VendorBehaviour | None = None,
    workspaces: int = 2,
    databases: int = 4,
    seed: int = 3,
) -> Simulator:
    world = World(
        seed=seed,
        shape=WorldShape(workspaces=workspaces, projects_per_workspace=2, databases=databases, idle_share=0.0),
        begins_at=clock.now - timedelta(days=60),
    )
    return Simulator(world, clock, behaviour=behaviour, faults=Faults())
