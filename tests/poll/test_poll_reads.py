"""Reads against the simulated vendor: what an answer is worth, and when to stop asking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from prisma_postgres_exporter.api import Clockwork, ManagementApi, Usage
from prisma_postgres_exporter.errors import CredentialRefused, PlanLimitReached
from prisma_postgres_exporter.model import ReadingFailure, UsageReading, Window, WindowKind
from prisma_postgres_exporter.plan import NEVER, PlannedRead, Rank
from prisma_postgres_exporter.poll import PollResult, interpret, poll
from prisma_postgres_exporter.poll.workers import HOPELESS_AFTER
from prisma_postgres_exporter.simulator import (
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    World,
    WorldShape,
    serve_simulator,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = Window(kind=WindowKind.DAY, name="day", start_at=datetime(2026, 11, 23, tzinfo=UTC), end_at=NOW)
ROLLING = Window(kind=WindowKind.ROLLING, name="24h", start_at=NOW - timedelta(days=1), end_at=NOW)
OLD = NOW - timedelta(days=100)
MILLISECOND = timedelta(milliseconds=1)


async def no_wait(seconds: float) -> None:
    """Wait for nothing: the retries' pauses are not what is tried here."""


def planned(database_id: str, *windows: Window, created_at: datetime = OLD) -> PlannedRead:
    return PlannedRead(
        database_id=database_id,
        workspace_id="wksp_a",
        created_at=created_at,
        windows=windows or (DAY,),
        due_at=NEVER,
        rank=Rank.DAY,
    )


# What an answer is worth --------------------------------------------------------------------------
def interpreted(
    window: Window, starts_at: datetime, ends_at: datetime, *, created_at: datetime = OLD
) -> UsageReading | ReadingFailure:
    usage = Usage(period_start_at=starts_at, period_end_at=ends_at, operations=5, storage_bytes=7, generated_at=NOW)
    (outcome,) = interpret(planned("db_a", window, created_at=created_at), usage, read_at=NOW)
    return outcome


def test_the_vendors_inclusive_end_becomes_the_first_instant_after_it() -> None:
    outcome = interpreted(DAY, DAY.start_at, datetime(2026, 11, 23, 23, 59, 59, 999_000, tzinfo=UTC))

    assert isinstance(outcome, UsageReading)
    assert outcome.period_end_at == datetime(2026, 11, 24, tzinfo=UTC)
    assert not outcome.is_widened


def test_a_window_may_be_widened_to_whole_days_and_says_so() -> None:
    outcome = interpreted(ROLLING, datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC) - MILLISECOND)

    assert isinstance(outcome, UsageReading)
    assert outcome.is_widened


def test_a_day_may_begin_where_its_database_was_created() -> None:
    created_at = DAY.start_at + timedelta(hours=3)

    assert isinstance(interpreted(DAY, created_at, NOW, created_at=created_at), UsageReading)


@pytest.mark.parametrize(
    ("window", "starts_at", "ends_at"),
    [
        (DAY, DAY.start_at - timedelta(days=1), NOW),
        (DAY, DAY.start_at + timedelta(hours=3), NOW),
        (DAY, DAY.start_at, NOW + timedelta(days=2)),
        (ROLLING, ROLLING.start_at - timedelta(days=2), NOW),
        (ROLLING, ROLLING.start_at - timedelta(hours=5), ROLLING.start_at - timedelta(hours=1)),
    ],
)
def test_a_period_outside_the_question_is_a_failure(window: Window, starts_at: datetime, ends_at: datetime) -> None:
    outcome = interpreted(window, starts_at, ends_at)

    assert isinstance(outcome, ReadingFailure)
    assert outcome.reason == "wrong_period"


def test_one_answer_serves_every_window_it_was_asked_for() -> None:
    usage = Usage(period_start_at=DAY.start_at, period_end_at=NOW, operations=5, storage_bytes=7, generated_at=NOW)
    month = Window(kind=WindowKind.MONTH, name="month", start_at=DAY.start_at, end_at=NOW)

    outcomes = list(interpret(planned("db_a", DAY, month), usage, read_at=NOW))

    assert [outcome.window.name for outcome in outcomes] == ["day", "month"]


# When to stop asking ------------------------------------------------------------------------------
def vendor_with(databases: int) -> Simulator:
    world = World(
        seed=2, shape=WorldShape(workspaces=1, databases=databases, idle_share=0.0), begins_at=NOW - timedelta(days=40)
    )
    return Simulator(world, ManualClock(NOW))


async def polled(
    vendor: Simulator, reads: Sequence[PlannedRead], *, span_seconds: float = 60.0, stop: asyncio.Event | None = None
) -> PollResult:
    async with serve_simulator(vendor.app) as url:
        clockwork = Clockwork(sleep=no_wait)
        async with ManagementApi("simulator-token-1", base_url=url, clockwork=clockwork) as client:
            return await poll(
                reads,
                {"wksp_a": client},
                concurrency=4,
                clock=lambda: NOW,
                span_seconds=span_seconds,
                stop=stop or asyncio.Event(),
            )


def reads_of(vendor: Simulator) -> list[PlannedRead]:
    return [planned(database.id) for database in vendor.world.databases(NOW)]


async def test_every_planned_read_has_one_outcome() -> None:
    vendor = vendor_with(30)

    result = await polled(vendor, reads_of(vendor))

    told = {outcome.database_id: outcome for outcome in result.outcomes}
    assert len(result.outcomes) == 30
    assert vendor.requests["usage"] == 30
    for database in vendor.world.databases(NOW):
        outcome = told[database.id]
        assert isinstance(outcome, UsageReading)
        assert outcome.operations == vendor.world.operations(database.id, DAY.start_at, NOW)


@pytest.mark.parametrize(
    ("kind", "error"), [(FaultKind.UNAUTHORIZED, CredentialRefused), (FaultKind.PLAN_LIMIT, PlanLimitReached)]
)
async def test_a_refused_credential_or_a_blocked_workspace_fails_the_rest_unasked(
    kind: FaultKind, error: type[Exception]
) -> None:
    vendor = vendor_with(60)
    vendor.faults.add(Fault(kind=kind, call="usage"))

    result = await polled(vendor, reads_of(vendor))

    assert len(result.outcomes) == 60
    assert all(isinstance(outcome, ReadingFailure) for outcome in result.outcomes)
    assert isinstance(result.errors["wksp_a"], error)
    assert vendor.requests["usage"] <= 8


async def test_a_vendor_that_is_down_is_given_up_and_the_rest_waits() -> None:
    vendor = vendor_with(100)
    vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="usage"))

    result = await polled(vendor, reads_of(vendor))

    assert HOPELESS_AFTER <= len(result.outcomes) <= HOPELESS_AFTER + 4
    assert result.errors["wksp_a"].reason == "http_500"


async def test_one_failing_database_leaves_the_others_exact() -> None:
    vendor = vendor_with(30)
    failing = vendor.world.databases(NOW)[3].id
    vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="usage", database_id=failing))

    result = await polled(vendor, reads_of(vendor))

    failed = [outcome.database_id for outcome in result.outcomes if isinstance(outcome, ReadingFailure)]
    assert failed == [failing]
    assert result.errors == {}


async def test_after_its_span_no_further_request_begins() -> None:
    vendor = vendor_with(30)

    result = await polled(vendor, reads_of(vendor), span_seconds=0.0)

    assert result.outcomes == ()
    assert vendor.requests["usage"] == 0


async def test_stop_ends_what_hangs_and_keeps_what_was_read() -> None:
    vendor = vendor_with(12)
    hanging = {database.id for database in vendor.world.databases(NOW)[-4:]}
    for database_id in hanging:
        vendor.faults.add(Fault(kind=FaultKind.SLOW, call="usage", database_id=database_id, seconds=3_600))
    stop = asyncio.Event()

    async def stop_when_only_the_hanging_are_left() -> None:
        while vendor.requests["usage"] < 12:  # noqa: ASYNC110 - the vendor has no event for its calls
            await asyncio.sleep(0.01)
        stop.set()

    stopping = asyncio.create_task(stop_when_only_the_hanging_are_left())
    result = await polled(vendor, sorted(reads_of(vendor), key=lambda read: read.database_id in hanging), stop=stop)
    await stopping

    read = {outcome.database_id for outcome in result.outcomes if isinstance(outcome, UsageReading)}
    assert read == {database.id for database in vendor.world.databases(NOW)} - hanging


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.NEGATIVE,
        FaultKind.NAN,
        FaultKind.HUGE,
        FaultKind.TEXT_NUMBER,
        FaultKind.WRONG_UNIT,
        FaultKind.OTHER_PERIOD,
        FaultKind.WRONG_JSON,
        FaultKind.NOT_JSON,
        FaultKind.HTML,
        FaultKind.EMPTY,
        FaultKind.REDIRECT,
        FaultKind.RESET,
        FaultKind.HALF_BODY,
        FaultKind.THROTTLED,
        FaultKind.UNAVAILABLE,
        FaultKind.FORBIDDEN,
        FaultKind.NOT_FOUND,
    ],
)
async def test_every_bad_answer_is_a_failure_with_a_reason(kind: FaultKind) -> None:
    vendor = vendor_with(1)
    vendor.faults.add(Fault(kind=kind, call="usage"))

    (outcome,) = (await polled(vendor, reads_of(vendor))).outcomes

    assert isinstance(outcome, ReadingFailure)
    assert outcome.reason


async def test_numbers_that_the_vendor_leaves_out_are_unknown_and_no_failure() -> None:
    vendor = vendor_with(1)
    vendor.faults.add(Fault(kind=FaultKind.ABSENT_METRICS, call="usage"))

    (outcome,) = (await polled(vendor, reads_of(vendor))).outcomes

    assert isinstance(outcome, UsageReading)
    assert (outcome.operations, outcome.storage_bytes) == (None, None)
