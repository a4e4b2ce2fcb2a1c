"""Services that share a store on a server: what each collects, shows and lets go of."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from ports import free_port
from prisma_postgres_exporter.config import Config, differences
from prisma_postgres_exporter.expose import ExporterHealth
from prisma_postgres_exporter.model import EventKind, WorkspaceState
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service import Service, collect_once, leasing, service
from prisma_postgres_exporter.simulator import ManualClock, serve_simulator, system_clock
from prisma_postgres_exporter.store import Claims, Store
from rounds_bench import configuration, small_vendor

SHARING_LOCK = 0x7070657A
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
    def epochs(self) -> dict[str, int]:
        assert self.service.running.leases is not None
        return {id_: lease.epoch for id_, lease in self.service.running.leases.shares.held.items()}

    @property
    def processes(self) -> tuple[str, ...]:
        assert self.service.running.leases is not None
        return self.service.running.leases.shares.processes

    @property
    def notes(self) -> tuple[str, ...]:
        return self.service._describe().notes

    @property
    def session_id(self) -> str:
        assert self.service.running.leases is not None
        session = self.service.running.leases._session
        assert session is not None
        return session.id

    @property
    def workspaces(self) -> Mapping[str, WorkspaceState]:
        return self.service.running.collector.ledger_state.workspaces

    @property
    def is_at_rest(self) -> bool:
        """Whether every workspace had a round that found nothing to read."""
        turns = self.service.running.collector.turns.values()
        return all(turn.report is not None and turn.report.reads == 0 for turn in turns)

    async def use_tokens(self, *tokens: str) -> None:
        """Reload with other tokens."""
        self.config = with_tokens(self.config, *tokens)
        assert (await self.service.reload()).problem is None


def with_tokens(config: Config, *tokens: str) -> Config:
    credentials = [{"name": f"token-{number}", "token": token} for number, token in enumerate(tokens)]
    return Config.model_validate({**dict(config), "credentials": credentials})


@contextlib.asynccontextmanager
async def serving(
    store_url: str, api_url: str, *tokens: str, interval: timedelta = timedelta(minutes=5)
) -> AsyncIterator[Member]:
    """Run a service."""
    config = configuration(store_url, api_url=api_url, interval=interval)
    discovery = config.discovery.model_copy(update={"interval": timedelta(seconds=1)})
    web = config.web.model_copy(update={"listen": (f"127.0.0.1:{free_port()}",)})
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
        await one.use_tokens(next(iter(tokens)))
        await two.use_tokens(next(iter(tokens)))
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
        [lost], [other] = one.own, two.own
        refused = [token if id_ != lost else "of-before" for token, id_ in tokens.items()]
        await one.use_tokens(*refused)
        # And it takes the one that it can read in exchange.
        await until(lambda: (one.own, two.own) == ({other}, {lost}))
        # Refused everywhere it is no workspace without a credential.
        await two.use_tokens(*refused)
        await until(lambda: two.service.running.collector.readers.refused_workspace_ids == {lost})
        assert not any(row.is_gone for row in two.workspaces.values())


async def test_a_command_with_fewer_tokens_leaves_the_other_workspaces_to_the_services(
    postgres_url: str, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    async with serving(postgres_url, url, *tokens) as one:
        await until(lambda: len(one.own) == len(one.workspaces) == 2 and one.is_at_rest)
        await collect_once(with_tokens(one.config, next(iter(tokens))))
        with closing(Store.open_to_read(postgres_url)) as store:
            events = list(store.events(subject_id=tokens[list(tokens)[1]]))
        assert [event.kind for event in events] == [EventKind.FOUND]
    # Alone it may still be one of several that take turns, each with tokens of its own.
    collected = await collect_once(with_tokens(one.config, next(iter(tokens))))
    assert len(collected.snapshot.workspaces) == 2
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE positions SET last_success_at = last_success_at - 2 * 86400 - 600")
    collected = await collect_once(with_tokens(one.config, next(iter(tokens))))
    assert len(collected.snapshot.workspaces) == 1


async def test_a_command_beside_a_service_on_sqlite_leaves_it_its_workspaces(
    tmp_path: Path, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    async with serving(f"sqlite:///{tmp_path / 'ledger.db'}", url, *tokens) as one:
        await until(lambda: len(one.workspaces) == 2 and one.is_at_rest)
        collected = await collect_once(with_tokens(one.config, next(iter(tokens))))
        assert len(collected.snapshot.workspaces) == 2
        # A service of its own knows what it is to follow.
        await one.use_tokens(next(iter(tokens)))
        await until(lambda: sum(row.is_gone for row in one.workspaces.values()) == 1)


async def test_a_workspace_of_which_only_one_process_has_a_token_waits_for_it_to_come_back(
    postgres_url: str, vendor: tuple[Mapping[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, url = vendor
    first, second = tokens
    async with serving(postgres_url, url, first) as one:
        async with serving(postgres_url, url, second) as two:
            await until(lambda: len(one.workspaces) == len(two.workspaces) == 2 and two.own == {tokens[second]})
        # The other holds its lease by now, and could note that it is gone.
        await until(lambda: tokens[second] in one.epochs)
        await until(lambda: one.lease.get(tokens[second]) == 0.0)
        assert not any(row.is_gone for row in one.workspaces.values())
        async with serving(postgres_url, url, second) as two:
            await until(lambda: two.own == {tokens[second]})
            assert not any(row.is_gone for row in two.workspaces.values())
        await until(lambda: tokens[second] in one.epochs)
        monkeypatch.setattr(leasing, "UNCLAIMED_SECONDS", 0.5)
        await until(lambda: one.workspaces[tokens[second]].is_gone)
        assert not one.workspaces[tokens[first]].is_gone


async def test_processes_with_different_settings_are_named_with_them(
    postgres_url: str, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    async with (
        serving(postgres_url, url, *tokens) as one,
        serving(postgres_url, url, *tokens, interval=timedelta(minutes=4)) as two,
    ):
        for member in (one, two):
            await until(lambda: any("have different poll.interval:" in note for note in member.notes))  # noqa: B023
        with closing(Store.open_to_read(postgres_url)) as store:
            [difference] = differences(store.shares().settings)
        assert difference.settings == ("poll.interval",)
        two.config = two.config.model_copy(update={"poll": one.config.poll})
        assert (await two.service.reload()).problem is None
        for member in (one, two):
            await until(lambda: not any("have different" in note for note in member.notes))  # noqa: B023


async def test_a_process_without_a_token_that_another_has_is_named_with_the_workspace(
    postgres_url: str, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    *others, last = tokens
    said = f" has no token of {tokens[last]}, though another process that shares the store has"
    async with serving(postgres_url, url, *tokens) as one, serving(postgres_url, url, *others) as two:
        for member in (one, two):
            await until(lambda: any(said in note for note in member.notes))  # noqa: B023
            assert not any(token in note for note in member.notes for token in tokens)
        with closing(Store.open_to_read(postgres_url)) as store:
            [lack] = store.shares().lacks
        assert lack.workspaces == (tokens[last],)
        assert len(lack.processes) == 1
    async with serving(postgres_url, url, *tokens) as one, serving(postgres_url, url, *tokens) as two:
        for member in (one, two):
            await until(lambda: len(member.workspaces) == len(tokens))  # noqa: B023
            assert not any("has no token of" in note for note in member.notes)


async def test_one_that_was_turned_away_asks_again_soon(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "RENEWED_EVERY_SECONDS", 3600.0)
    with closing(Store.open(postgres_url)) as store, psycopg.connect(postgres_url) as another:
        another.execute("SELECT pg_advisory_xact_lock(%s)", [SHARING_LOCK])
        keeper = leasing.LeaseKeeper(store, ExporterHealth(), on_change=lambda: None)
        keeper.claim(Claims(workspaces=frozenset({"wksp_1"})))
        await until(lambda: keeper.shares.is_turned_away)
        another.rollback()
        await until(lambda: keeper.holds("wksp_1"))
        await keeper.stop()


@pytest.mark.slow
async def test_a_lease_that_took_long_to_be_renewed_is_renewed_again_before_it_is_over(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "RENEWED_EVERY_SECONDS", 5.0)
    with closing(Store.open(postgres_url)) as store:
        with psycopg.connect(postgres_url) as another:
            another.execute("LOCK TABLE sessions")
            keeper = leasing.LeaseKeeper(store, ExporterHealth(), on_change=lambda: None)
            await asyncio.sleep(5.0)
        await until(lambda: keeper.seconds_left > 0)
        while keeper.seconds_left < 8.0:
            assert keeper.seconds_left > 0
            await asyncio.sleep(0.02)
        await keeper.stop()


@pytest.mark.slow
async def test_one_of_them_removes_old_readings(
    postgres_url: str, vendor: tuple[Mapping[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, url = vendor
    pruning: list[Collector] = []

    async def prune(self: Collector) -> None:
        pruning.append(self)

    monkeypatch.setattr(Collector, "prune", prune)
    async with serving(postgres_url, url, *tokens) as one, serving(postgres_url, url, *tokens) as two:
        for member, name in ((one, "host:1"), (two, "host:2")):
            # As if in two processes.
            assert member.service.running.leases is not None
            member.service.running.leases.name = name
            with psycopg.connect(postgres_url) as connection:
                connection.execute("UPDATE sessions SET name = %s WHERE id = %s", [name, member.session_id])
        await until(lambda: one.processes == two.processes == ("host:1", "host:2"))
        for member in (two, one, two):
            await member.service._retain()
        assert pruning == [one.service.running.collector]


async def test_leases_change_hands_while_a_write_hangs(
    postgres_url: str, vendor: tuple[Mapping[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, url = vendor
    hanging = asyncio.Event()

    async def hang(self: Collector) -> None:
        hanging.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Collector, "let_unclaimed_go", hang)
    async with serving(postgres_url, url, *tokens) as one:
        await until(lambda: len(one.own) == len(one.workspaces) == 2)
        await one.use_tokens(next(iter(tokens)))
        await hanging.wait()
        async with serving(postgres_url, url, *tokens) as two:
            await until_shared(one, two)


async def test_a_fault_in_handing_over_is_counted_and_ends_no_service(
    postgres_url: str, vendor: tuple[Mapping[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, url = vendor

    async def broken(self: Collector, workspace_id: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Collector, "hand_over", broken)
    async with serving(postgres_url, url, *tokens) as one:
        await until(lambda: len(one.own) == len(one.workspaces) == 2)
        async with serving(postgres_url, url, *tokens) as two:
            await until_shared(one, two)
        faults = one.service.health._registry.get_sample_value(
            "prisma_postgres_exporter_faults_total", {"part": "leases"}
        )
        assert faults == 1


async def test_leases_that_were_lost_and_taken_again_by_the_same_process_are_written_under(
    postgres_url: str, vendor: tuple[Mapping[str, str], str]
) -> None:
    tokens, url = vendor
    async with serving(postgres_url, url, *tokens, interval=timedelta(seconds=1)) as one:
        for epoch in range(1, 4):
            await until(lambda: len(one.epochs) == 2 and set(one.epochs.values()) == {epoch})  # noqa: B023
            before = {id_: row.generation for id_, row in one.workspaces.items()}
            await until(lambda: all(row.generation > before.get(id_, 0) for id_, row in one.workspaces.items()))  # noqa: B023
            with psycopg.connect(postgres_url) as connection:
                connection.execute("UPDATE sessions SET expires_at_ms = 0")
        assert one.service._describe().unhealthy_reason is None


async def test_a_fault_in_looking_what_others_wrote_ends_no_service(
    postgres_url: str, vendor: tuple[Mapping[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens, url = vendor
    monkeypatch.setattr(service, "OTHERS_LOOKED_AT_EVERY_SECONDS", 0.01)
    async with serving(postgres_url, url, *tokens) as one:
        await until(lambda: one.is_at_rest)
        looked = 0

        async def broken() -> None:
            nonlocal looked
            looked += 1
            raise ZeroDivisionError

        monkeypatch.setattr(one.service.running.collector, "catch_up", broken)
        await until(lambda: looked > 3)
