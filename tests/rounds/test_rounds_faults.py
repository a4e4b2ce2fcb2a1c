"""Faults of a workspace, the store, the clock and the configuration: where they stay, and that they end."""

from __future__ import annotations

import asyncio
import contextlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from longer import BOTH_ENGINES
from prisma_postgres_exporter.config import (
    Credential,
    CredentialProblem,
    DiscoveryConfig,
    Filter,
    Tokens,
)
from prisma_postgres_exporter.config.values import rolling_windows
from prisma_postgres_exporter.errors import StoreGone, StoreUnavailable, Unavailable
from prisma_postgres_exporter.expose import ServiceStatus
from prisma_postgres_exporter.ledger.plan import Plan
from prisma_postgres_exporter.model import LedgerUpdate, day_start
from prisma_postgres_exporter.reasons import meaning_of
from prisma_postgres_exporter.rounds import Turn
from prisma_postgres_exporter.service.status import describe
from prisma_postgres_exporter.service.summary import Summary
from prisma_postgres_exporter.simulator import (
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    VendorBehaviour,
    serve_simulator,
)
from rounds_bench import Bench, bench, configuration, http_bench, small_vendor, tokens_of

BEGINS_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
INTERVAL = timedelta(minutes=5)


@pytest.fixture(params=BOTH_ENGINES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGINS_AT)


@pytest.fixture
def vendor(clock: ManualClock) -> Simulator:
    return small_vendor(clock)


def token_of(vendor: Simulator, number: int) -> str:
    return list(vendor.world.tokens)[number]


def workspace_of(vendor: Simulator, number: int) -> str:
    return list(vendor.world.tokens.values())[number]


def unhealthy_reason(running: Bench) -> str | None:
    return status_of(running).unhealthy_reason


def status_of(running: Bench) -> ServiceStatus:
    return describe(
        running.collector,
        running.display,
        started_at=BEGINS_AT,
        is_ready=True,
        now=running.clock.now,
        time=asyncio.get_running_loop().time(),
    )


def store_error(running: Bench) -> str | None:
    failure = running.collector.ledger.failure
    return None if failure is None else str(failure)


# One workspace ------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize("call", ["me", "projects", "databases", "subscription", "usage"])
async def test_a_workspace_that_hangs_in_any_call_is_waited_for_by_nobody(
    call: str, store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    hanging, other = workspace_of(vendor, 0), workspace_of(vendor, 1)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        vendor.faults.add(Fault(kind=FaultKind.SLOW, call=call, token=token_of(vendor, 0), seconds=3_600))
        clock.advance(timedelta(hours=2))
        before = vendor.requests[call]
        waiting = asyncio.create_task(running.collector.round(hanging))
        while vendor.requests[call] == before:  # noqa: ASYNC110 - the vendor has no event for its calls
            await asyncio.sleep(0.01)

        await running.collector.round(other)
        await running.display.refresh()

        ages = {view.workspace_id: view.last_success_at for view in running.snapshot.databases}
        assert not waiting.done()
        assert ages[other] == clock.now
        running.collector.stop()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.slow
async def test_a_list_that_is_never_read_to_its_end_keeps_no_usage_waiting_and_is_given_up(
    store_url: str, vendor: Simulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prisma_postgres_exporter.rounds.discovery.LOOK_SECONDS", 0.05)
    id_ = workspace_of(vendor, 0)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        turn = running.collector.turns[id_]
        number = vendor.faults.add(Fault(kind=FaultKind.SLOW, call="projects", token=token_of(vendor, 0), seconds=60))
        clock.advance(timedelta(minutes=11))
        report = await running.collector.round(id_)
        await running.display.refresh()

        assert turn.look is not None
        assert report.next_at - clock.now <= timedelta(seconds=5)
        assert {view.last_success_at for view in running.snapshot.databases if view.workspace_id == id_} == {clock.now}
        assert (turn.failure, vendor.requests["projects"]) == (None, 3)

        # It goes on beside the next rounds, which ask no second time.
        await running.collector.round(id_)
        assert vendor.requests["projects"] == 3
        vendor.faults.clear(number)
        await turn.look_no_more()

        monkeypatch.setattr("prisma_postgres_exporter.rounds.discovery.LONGEST_LOOK", timedelta(seconds=0.1))
        vendor.faults.add(Fault(kind=FaultKind.SLOW, call="projects", token=token_of(vendor, 0), seconds=60))
        clock.advance(timedelta(minutes=11))
        await running.collector.discover(id_)
        assert running.collector.turns[id_].look is None
        assert running.collector.workspace_failures[id_] == "endless_list"


async def test_databases_that_no_round_comes_to_are_told_though_none_fails(
    vendor: Simulator, clock: ManualClock, tmp_path: Path
) -> None:
    """A vendor that is slow, or few connections: nothing fails, and most is old."""
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", vendor, clock) as running:
        await running.round()
        with capture_logs() as logs:
            Summary().say(running.collector)
            clock.advance(timedelta(hours=1))
            Summary().say(running.collector)
    [in_time, late] = [line for line in logs if line["event"] == "collected"]

    assert "not_read_in_time" not in in_time
    assert late["not_read_in_time"] == late["databases"] > 0
    assert late["failing"] == 0


async def test_until_a_long_list_is_read_no_cost_is_called_incomplete(
    vendor: Simulator, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first round ends before the list does, and the plan is asked for after that."""
    monkeypatch.setattr("prisma_postgres_exporter.rounds.discovery.LOOK_SECONDS", 0.05)
    id_, token = workspace_of(vendor, 0), token_of(vendor, 0)
    with capture_logs() as logs:
        async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", vendor, clock) as running:
            number = vendor.faults.add(Fault(kind=FaultKind.SLOW, call="projects", token=token, seconds=60))
            await running.identify()
            await asyncio.gather(*map(running.collector.round, running.collector.turns))
            assert running.collector.turns[id_].look is not None
            await running.display.refresh()
            has_looked = [running.collector.has_looked_everywhere]

            vendor.faults.clear(number)
            vendor.faults.add(Fault(kind=FaultKind.FORBIDDEN, call="subscription", token=token))
            await running.collector.turns[id_].look_no_more()
            clock.advance(timedelta(minutes=11))
            await asyncio.gather(*map(running.collector.round, running.collector.turns))
            has_looked.append(running.collector.has_looked_everywhere)
            assert has_looked == [False, True]
            assert [line for line in logs if line["event"] == "cost incomplete"] == []
            await running.display.refresh()

    [told] = [line for line in logs if line["event"] == "cost incomplete"]
    assert "the API did not say its plan" in told["problem"]


@pytest.mark.slow
async def test_an_exception_that_nobody_foresaw_ends_one_round_is_told_and_the_next_round_runs(
    store_url: str, vendor: Simulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = workspace_of(vendor, 0), workspace_of(vendor, 1)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        plan = running.collector._plan
        with monkeypatch.context() as patched:

            async def broken_plan(turn: Turn, *, budget: int | None) -> Plan:
                if turn.workspace_id == broken:
                    raise ZeroDivisionError
                return await plan(turn, budget=budget)

            patched.setattr(running.collector, "_plan", broken_plan)
            for failed in range(3):
                assert unhealthy_reason(running) is None, failed
                clock.advance(INTERVAL)
                await running.rounds()

        assert f'round_failures_total{{workspace_id="{broken}"}} 3.0' in running.text()
        assert "3 rounds of workspace" in str(unhealthy_reason(running))
        fresh = {view.workspace_id: view.last_success_at == clock.now for view in running.snapshot.databases}
        assert fresh == {broken: False, other: True}

        clock.advance(INTERVAL)
        await running.rounds()
        assert unhealthy_reason(running) is None
        assert all(view.last_success_at == clock.now for view in running.snapshot.databases)


async def test_the_database_is_down_after_two_intervals_of_silence_also_after_a_restart_into_the_outage(
    store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with serve_simulator(vendor.app) as url:
        config, tokens = configuration(store_url, api_url=url), tokens_of(vendor.world)
        async with bench(config, clock, tokens) as running:
            await running.round()
            assert all(view.is_up for view in running.snapshot.databases)
    clock.advance(2 * INTERVAL + timedelta(seconds=1))
    async with bench(config, clock, tokens) as running:
        await running.rounds()

        assert {view.is_up for view in running.snapshot.databases} == {False}
        assert {row.is_up for row in running.snapshot.workspaces} <= {False, None}
        assert "credential_up{" not in running.text()  # nobody said anything about it
        assert all(view.operations_total is not None for view in running.snapshot.databases)


# The store ----------------------------------------------------------------------------------------
async def test_what_cannot_be_stored_is_kept_asked_for_no_more_and_stored_later(
    store_url: str, vendor: Simulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        before = {id_: state.operations_total for id_, state in running.databases.items()}
        clock.advance(timedelta(hours=1))

        def down(update: LedgerUpdate, **_: object) -> int:
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patched:
            patched.setattr(running.collector.ledger._store, "record", down)
            await running.rounds()
            asked = vendor.requests["usage"]
            clock.advance(timedelta(seconds=30))
            await running.rounds()
            assert vendor.requests["usage"] == asked
        assert store_error(running) == "the disk is full"
        assert {id_: state.operations_total for id_, state in running.databases.items()} == before
        read_at = clock.now - timedelta(seconds=30)

        clock.advance(timedelta(seconds=30))
        await running.rounds()

        assert store_error(running) is None
        for id_, state in running.databases.items():
            assert state.operations_total - before[id_] >= vendor.world.operations(id_, BEGINS_AT, read_at)


async def test_the_store_is_said_to_be_writable_again_only_when_something_was_written(
    store_url: str, vendor: Simulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(before: datetime) -> int:
        raise StoreUnavailable("the disk is full")

    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        ledger = running.collector.ledger
        with monkeypatch.context() as patched:
            patched.setattr(ledger._store, "prune", down)
            await running.collector.prune()
        with capture_logs() as logs:
            nothing = await ledger.record(workspace_of(vendor, 0), (), settle_after=timedelta(hours=6))
            assert nothing is not None
            assert nothing.is_empty
            assert store_error(running) == "the disk is full"
            assert logs == []

            clock.advance(INTERVAL)
            await running.rounds()

        assert store_error(running) is None
        assert [row["event"] for row in logs].count("store writable again") == 1


async def test_what_is_wrong_with_the_file_for_good_is_logged_where_something_else_was_first(
    store_url: str, vendor: Simulator, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = [StoreGone("emptied"), StoreGone("overwritten"), StoreGone("overwritten"), StoreUnavailable("locked")]

    async with http_bench(store_url, vendor, clock) as running:
        with monkeypatch.context() as patched, capture_logs() as logs:
            for reason in reasons:
                patched.setattr(running.collector.ledger._store, "prune", Mock(side_effect=reason))
                await running.collector.prune()

        assert [row["error"] for row in logs if row["event"] == "store not writable"] == ["emptied", "overwritten"]
        assert store_error(running) == "locked"


# The vendor ---------------------------------------------------------------------------------------
async def test_a_credential_is_not_blamed_for_a_vendor_that_is_down(store_url: str, clock: ManualClock) -> None:
    vendor = small_vendor(clock, workspaces=1, databases=8)
    async with http_bench(store_url, vendor, clock) as running:
        await running.discover()
        vendor.faults.add(Fault(kind=FaultKind.UNAVAILABLE, call="usage"))
        await running.rounds()

        ((_, turn),) = running.collector.turns.items()
        assert isinstance(turn.polling.error, Unavailable)
        assert [state.problem for state in running.collector.readers.states.values()] == [None]
        assert 'credential_up{credential="token-1"} 1.0' in running.text()


async def test_a_subscription_that_failed_is_asked_for_again_after_a_minute_and_not_at_once(
    store_url: str, clock: ManualClock
) -> None:
    vendor = small_vendor(clock, workspaces=1)
    vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="subscription"))
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        asked = vendor.requests["subscription"]
        assert asked
        ((_, turn),) = running.collector.turns.items()
        assert turn.next_at is not None
        assert clock.now < turn.next_at <= clock.now + timedelta(minutes=1)

        for seconds, is_asked in ((0, False), (59, False), (1, True)):
            clock.advance(timedelta(seconds=seconds))
            await running.rounds()
            assert (vendor.requests["subscription"] > asked) is is_asked, seconds


@pytest.mark.parametrize("is_refused", [True, False], ids=["readings are refused", "readings go on"])
async def test_a_block_and_its_end_are_known_soon_and_the_subscription_of_others_is_read_once_an_hour(
    store_url: str, clock: ManualClock, is_refused: bool
) -> None:
    """Both were known up to an hour later: the critical alert was silent, and then it was not over."""
    vendor = small_vendor(clock, behaviour=VendorBehaviour(refuses_blocked=is_refused))
    id_, other = (row.id for row in vendor.world.workspaces(clock.now))
    metric = f'workspace_usage_blocked{{workspace_id="{id_}"}}'
    async with http_bench(store_url, vendor, clock) as running:

        async def asked_in(span: timedelta) -> int:
            before = vendor.requests["subscription"]
            await running.live(span, every=timedelta(minutes=1))
            return vendor.requests["subscription"] - before

        await running.round()
        assert await asked_in(timedelta(minutes=30)) == 0
        vendor.world.block_workspace(id_, True, at=clock.now)
        if not is_refused:
            await running.live(timedelta(minutes=30), every=timedelta(minutes=1))
        assert 1 <= await asked_in(timedelta(minutes=20)) <= 10
        held = running.ledger_state.workspaces[id_]
        assert held.workspace.usage_blocked is True
        assert f"{metric} 1\n" in running.text()
        assert not running.ledger_state.workspaces[other].workspace.usage_blocked

        vendor.world.block_workspace(id_, False, at=clock.now)
        assert 1 <= await asked_in(timedelta(minutes=3)) <= 2
        assert f"{metric} 0\n" in running.text()
        assert all(view.is_up for view in running.views.values())
        assert await asked_in(timedelta(minutes=20)) <= 2


async def test_a_wait_that_the_vendor_asks_for_is_known_until_it_is_over(store_url: str, clock: ManualClock) -> None:
    vendor = small_vendor(clock)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        asking = next(iter(running.views))
        number = vendor.faults.add(
            Fault(kind=FaultKind.UNAVAILABLE, call="usage", database_id=asking, retry_after="3600")
        )
        clock.advance(INTERVAL)
        with capture_logs() as logged:
            await running.rounds()

        until = clock.now + timedelta(hours=1)
        assert running.collector.waits() == {asking: until}
        [said] = [line for line in logged if line["event"] == "database failing"]
        assert (said["database_id"], said["not_asked_before"]) == (asking, until.isoformat())
        assert status_of(running).waits == running.collector.waits()
        vendor.faults.clear(number)
        clock.advance(timedelta(hours=1))
        assert running.collector.waits() == {}
        await running.rounds()
        assert running.collector.waits() == {}


@pytest.mark.slow
async def test_reads_that_are_put_off_are_logged_when_it_begins_and_when_it_ends(
    store_url: str, clock: ManualClock
) -> None:
    vendor = small_vendor(clock, workspaces=1, databases=30)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        with capture_logs() as logged:
            number = vendor.faults.add(Fault(kind=FaultKind.PLAN_LIMIT, call="usage"))
            for _ in range(4):
                clock.advance(INTERVAL)
                await running.rounds()
            vendor.faults.clear(number)
            for _ in range(4):
                clock.advance(INTERVAL)
                await running.rounds()

    events = [line["event"] for line in logged if line["event"] in ("rest of the reads put off", "reads go on")]
    assert events == ["rest of the reads put off", "reads go on"]


@pytest.mark.parametrize("call", ["me", "databases"])
async def test_what_fails_on_the_way_to_the_api_is_logged_with_what_to_look_at(
    call: str, store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        vendor.faults.add(Fault(kind=FaultKind.RESET, call=call))
        with capture_logs() as logged:
            await running.rounds()

    said = [line for line in logged if line["event"] in ("credential failing", "workspace failing")]
    assert {line["reason"] for line in said} == {"disconnected"}
    assert {line["advice"] for line in said} == {meaning_of("disconnected")}


# The clock ----------------------------------------------------------------------------------------
async def test_a_clock_that_is_wrong_removes_no_old_readings(
    store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async def kept(running: Bench) -> int:
        return (await running.collector.in_store(lambda store: store.summary())).rows["readings"]

    own = ManualClock(BEGINS_AT)
    async with serve_simulator(vendor.app) as url:
        config = configuration(store_url, api_url=url)
        async with bench(config, own, tokens_of(vendor.world)) as running:
            await running.round()
            before = await kept(running)
            own.advance(config.store.keep_readings + timedelta(days=9))  # Postgres keeps up to a week more
            await running.rounds()
            await running.collector.prune()
            assert await kept(running) == before > 0

            own.advance(timedelta(hours=1))
            clock.now = own.now
            await running.rounds()
            before = await kept(running)
            await running.collector.prune()
            assert await kept(running) < before


@pytest.mark.parametrize("wrong", [timedelta(days=2), timedelta(days=-2), timedelta(minutes=6)], ids=str)
async def test_a_clock_that_is_wrong_for_a_while_writes_nothing_and_stops_nothing(
    wrong: timedelta, store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    own = ManualClock(BEGINS_AT)
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve_simulator(vendor.app))
        config = configuration(store_url, api_url=url)
        running = await stack.enter_async_context(bench(config, own, tokens_of(vendor.world)))
        await running.round()
        days = await running.days()
        clock.advance(INTERVAL)
        own.now = clock.now + wrong
        for _ in range(3):
            await running.rounds()
            clock.advance(timedelta(seconds=4))
            own.advance(timedelta(seconds=4))

        assert await running.days() == days
        assert "clock is" in str(unhealthy_reason(running))
        assert f"clock_skew_seconds {wrong.total_seconds():.1f}"[:22] in running.text()

        own.now = clock.now
        await running.rounds()

        assert unhealthy_reason(running) is None
        for view in running.snapshot.databases:
            operations = vendor.world.operations(view.database_id, day_start(clock.now.date()), clock.now)
            assert view.day_to_date_operations == operations
            assert view.last_success_at == clock.now
        found = await running.collector.in_store(lambda store: list(store.violations(clock.now)))
        assert found == []


async def test_at_midnight_nothing_of_the_old_month_is_shown_though_no_round_runs(
    store_url: str, clock: ManualClock
) -> None:
    clock.now = datetime(2026, 11, 30, 23, 59, 58, tzinfo=UTC)
    vendor = small_vendor(clock)
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        clock.advance(timedelta(seconds=1))
        await running.display.refresh()
        names = (
            r"database_month_to_date_operations\{",
            r"database_day_to_date_operations\{",
            r"workspace_month_to_date_operations\{",
            r'database_month_to_date_cost_usd\{.*component="(operations|storage)"',
        )
        charged = r'^prisma_postgres_workspace_month_to_date_cost_usd\{.*component="(?:operations|storage)".* (\S+)$'
        assert any(map(float, re.findall(charged, running.text(), re.MULTILINE)))
        for name in names:
            assert re.search(f"^prisma_postgres_{name}", running.text(), re.MULTILINE), name

        clock.advance(timedelta(seconds=1))
        await running.display.current()

        for name in names:
            assert not re.search(f"^prisma_postgres_{name}", running.text(), re.MULTILINE), name
        # Of a month without a second in it yet all is known: 0.
        assert not any(map(float, re.findall(charged, running.text(), re.MULTILINE)))
        assert "prisma_postgres_database_operations_total{" in running.text()
        assert {view.month_to_date_operations for view in running.snapshot.databases} == {None}


async def test_at_midnight_what_is_shown_waits_for_no_store(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = datetime(2026, 11, 30, 23, 59, 58, tzinfo=UTC)
    vendor = small_vendor(clock)
    async with http_bench(f"sqlite:///{tmp_path / 'ledger.db'}", vendor, clock) as running:
        await running.round()
        waiting: list[object] = []
        answers = asyncio.Event()

        async def silent(call: object) -> tuple[dict[str, object], dict[str, object]]:
            assert not waiting, "the store is asked by who must not wait for it"
            waiting.append(call)
            await answers.wait()
            return {}, {}

        monkeypatch.setattr(running.collector.ledger, "in_store", silent)
        clock.advance(timedelta(seconds=2))
        refreshing = asyncio.create_task(running.display.refresh())
        while not waiting:  # noqa: ASYNC110 - the store is asked in the task
            await asyncio.sleep(0)
        current = asyncio.create_task(running.display.current())
        async with asyncio.timeout(60):
            await current

        assert len(waiting) == 1
        assert not refreshing.done()
        assert "prisma_postgres_database_month_to_date_operations{" not in running.text()
        answers.set()
        await refreshing


# Reloads ------------------------------------------------------------------------------------------
@pytest.mark.slow
async def test_a_reload_in_the_middle_of_the_first_round_loses_nothing_and_counts_at_once(
    store_url: str, clock: ManualClock
) -> None:
    vendor = small_vendor(clock, workspaces=1, databases=12)
    async with http_bench(store_url, vendor, clock) as running:
        await running.identify()
        (id_,) = running.collector.turns
        vendor.faults.add(Fault(kind=FaultKind.SLOW, call="usage", seconds=0.05))
        first = asyncio.create_task(running.collector.round(id_))
        while vendor.requests["usage"] < 3:  # noqa: ASYNC110 - the vendor has no event for its calls
            await asyncio.sleep(0.01)
        config = running.collector.config
        windows = rolling_windows(("1h",))
        changed = config.model_copy(update={"poll": config.poll.model_copy(update={"windows": windows})})
        running.collector.reconfigure(changed)
        await running.collector.use_tokens(tokens_of(vendor.world))
        report = await first

        assert report.next_at == clock.now
        vendor.faults.clear()
        await running.rounds()
        assert len(running.views) == 12
        for view in running.snapshot.databases:
            assert view.day_to_date_operations is not None
            assert [name for name, _ in view.rolling] == ["1h"]


async def test_a_reload_while_it_is_asked_whose_a_credential_is_has_it_asked_again_at_once(
    store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        number = vendor.faults.add(Fault(kind=FaultKind.SLOW, call="me", token=token_of(vendor, 0), seconds=0.3))
        asking = asyncio.create_task(running.collector.identify("token-1"))
        while not vendor.requests["me"]:  # noqa: ASYNC110 - the vendor has no event for its calls
            await asyncio.sleep(0.01)
        config = running.collector.config
        other = config.poll.model_copy(update={"interval": timedelta(minutes=1)})
        running.collector.reconfigure(config.model_copy(update={"poll": other}))
        await running.collector.use_tokens(tokens_of(vendor.world))
        vendor.faults.clear(number)

        assert await asking == workspace_of(vendor, 0)
        assert vendor.requests["me"] == 2


async def test_a_reload_in_the_middle_of_the_first_discovery_is_followed_by_another_at_once(
    store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        await running.identify()
        id_ = workspace_of(vendor, 0)
        number = vendor.faults.add(Fault(kind=FaultKind.SLOW, call="databases", token=token_of(vendor, 0), seconds=0.2))
        first = asyncio.create_task(running.collector.round(id_))
        while not vendor.requests["databases"]:  # noqa: ASYNC110 - the vendor has no event for its calls
            await asyncio.sleep(0.01)
        running.collector.reconfigure(running.collector.config)
        vendor.faults.clear(number)
        report = await first
        assert report.next_at == clock.now
        assert id_ not in running.ledger_state.workspaces  # it began before the reload

        await running.rounds()
        assert {view.workspace_id for view in running.snapshot.databases} == set(vendor.world.tokens.values())


async def test_a_workspace_that_goes_while_its_round_runs_leaves_nothing_behind_and_comes_back_whole(
    store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        going = workspace_of(vendor, 0)
        both = tokens_of(vendor.world)
        clock.advance(timedelta(minutes=11))
        number = vendor.faults.add(Fault(kind=FaultKind.SLOW, token=token_of(vendor, 0), seconds=0.2))
        before = vendor.requests["me"]
        under_way = asyncio.create_task(running.collector.round(going))
        while vendor.requests["me"] == before:  # noqa: ASYNC110 - the vendor has no event for its calls
            await asyncio.sleep(0.01)
        await running.collector.use_tokens(Tokens(credentials=both.credentials[1:]))
        vendor.faults.clear(number)
        await under_way
        await running.rounds()

        assert f'last_round_timestamp_seconds{{workspace_id="{going}"}}' not in running.text()
        assert {row.workspace_id for row in running.snapshot.workspaces} == {workspace_of(vendor, 1)}
        assert running.ledger_state.workspaces[going].is_gone
        assert unhealthy_reason(running) is None

        await running.collector.use_tokens(both)
        clock.advance(INTERVAL)
        await running.rounds()
        assert all(view.last_success_at == clock.now for view in running.snapshot.databases)
        assert len(running.snapshot.workspaces) == 2
        stored = await running.stored()
        assert stored.workspaces == running.ledger_state.workspaces


async def test_a_filter_that_is_reloaded_counts_at_once(store_url: str, vendor: Simulator, clock: ManualClock) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        (chosen, *_) = running.views
        config = running.collector.config
        only = DiscoveryConfig(include=Filter.model_validate({"databases": [f"^{chosen}$"]}))
        running.collector.reconfigure(config.model_copy(update={"discovery": only}))
        await running.display.refresh()

        assert list(running.views) == [chosen]
        assert running.snapshot.filtered == 3


@pytest.mark.slow
async def test_a_token_that_is_replaced_is_used_at_once_and_one_that_cannot_be_used_says_why(
    store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        one, two = tokens_of(vendor.world).credentials
        wrong = Credential(name=one.name, token=SecretStr("simulator-token-99"))
        await running.collector.use_tokens(Tokens(credentials=(wrong, two)))
        clock.advance(timedelta(minutes=11))
        await running.rounds()
        assert f'credential_up{{credential="{one.name}"}} 0.0' in running.text()
        assert len(running.snapshot.workspaces) == 2  # the ledger knows it, and it may come back

        await running.collector.use_tokens(
            Tokens(
                credentials=(two,),
                problems=(CredentialProblem(name=one.name, reason="empty", text="the file is empty"),),
            )
        )
        await running.rounds()
        assert running.collector.readers.states[one.name].problem == "the file is empty"
        assert f'credential_up{{credential="{one.name}"}} 0.0' in running.text()

        await running.collector.use_tokens(Tokens(credentials=(one, two)))
        clock.advance(INTERVAL)
        await running.rounds()
        assert f'credential_up{{credential="{one.name}"}} 1.0' in running.text()
        assert all(view.last_success_at == clock.now for view in running.snapshot.databases)


@pytest.mark.parametrize("interval", [timedelta(seconds=1), timedelta(days=1)], ids=str)
async def test_one_round_of_everything_ends_whatever_the_interval(
    interval: timedelta, store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with http_bench(store_url, vendor, clock, interval=interval) as running:
        await running.identify()
        reports = [await running.collector.round(id_, is_only_one=True) for id_ in sorted(running.collector.turns)]
        await running.display.refresh()

        assert all(report.is_stored for report in reports)
        for view in running.snapshot.databases:
            assert view.day_to_date_operations is not None
            assert view.month_to_date_operations is not None
            assert len(view.rolling) == 3


async def test_a_database_that_fails_on_one_window_is_read_on_the_others_and_is_up(
    store_url: str, vendor: Simulator, clock: ManualClock
) -> None:
    async with http_bench(store_url, vendor, clock) as running:
        await running.round()
        odd = next(iter(running.views))
        poll = running.collector.readers
        for workspace_id in running.collector.turns:
            reader = poll.reader(workspace_id)
            assert reader is not None
            _refuse_long_windows(reader.api, odd)
        clock.advance(timedelta(hours=8))
        await running.rounds()

        view = running.views[odd]
        assert (view.is_up, view.last_success_at) == (True, clock.now)
        assert 'reading_failures_total{reason="http_400"}' in running.text()


def _refuse_long_windows(api: object, database_id: str) -> None:
    from prisma_postgres_exporter.api import Usage
    from prisma_postgres_exporter.errors import RequestRefused

    usage = api.usage  # type: ignore[attr-defined]  # a client

    async def refusing(id_: str, *, start_at: datetime, end_at: datetime) -> Usage:
        if id_ == database_id and end_at - start_at > timedelta(days=2):
            raise RequestRefused("too long", reason="http_400", status=400)
        said: Usage = await usage(id_, start_at=start_at, end_at=end_at)
        return said

    api.usage = refusing  # type: ignore[attr-defined]  # for this database only
