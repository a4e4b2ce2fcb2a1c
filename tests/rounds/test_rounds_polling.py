"""Reads against the simulated vendor: what an answer is worth, and when to stop asking."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from prisma_postgres_exporter.api import Clock, Limits, ManagementApi, Usage
from prisma_postgres_exporter.errors import ApiError, CredentialRefused
from prisma_postgres_exporter.ledger.plan import NEVER, PlannedRead, Rank
from prisma_postgres_exporter.model import ReadingFailure, UsageReading, Window, WindowKind
from prisma_postgres_exporter.rounds import CLOCK_SKEW, Reader, interpret
from prisma_postgres_exporter.rounds import polling as polling_module
from prisma_postgres_exporter.rounds.polling import HOPELESS_AFTER, Outcome, Polling, poll
from prisma_postgres_exporter.simulator import (
    DirectApi,
    Fault,
    FaultKind,
    ManualClock,
    Simulator,
    World,
    WorldShape,
    serve_simulator,
)
from rounds_bench import no_wait

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY = Window(kind=WindowKind.DAY, name="day", start_at=datetime(2026, 11, 23, tzinfo=UTC), end_at=NOW)
ROLLING = Window(kind=WindowKind.ROLLING, name="24h", start_at=NOW - timedelta(days=1), end_at=NOW)
OLD = NOW - timedelta(days=100)
MILLISECOND = timedelta(milliseconds=1)


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


@pytest.mark.parametrize(
    ("answered_at", "generated_at", "is_refused"),
    [
        (NOW - timedelta(minutes=4), None, False),
        (NOW - timedelta(minutes=6), None, True),
        (NOW + timedelta(minutes=6), None, True),
        (None, NOW - timedelta(hours=3), False),  # worked out some time ago
        (None, NOW + timedelta(minutes=6), True),
        (NOW, NOW + timedelta(days=2), False),  # the answer's own time says more
        (None, None, False),
    ],
)
def test_an_answer_of_another_time_than_our_clocks_is_refused(
    answered_at: datetime | None, generated_at: datetime | None, is_refused: bool
) -> None:
    usage = Usage(
        period_start_at=DAY.start_at,
        period_end_at=NOW,
        operations=5,
        storage_bytes=7,
        generated_at=generated_at,
        answered_at=answered_at,
    )

    (outcome,) = interpret(planned("db_a"), usage, read_at=NOW)

    assert isinstance(outcome, ReadingFailure) is is_refused
    if isinstance(outcome, ReadingFailure):
        assert outcome.reason == CLOCK_SKEW


# When to stop asking ------------------------------------------------------------------------------
@dataclass
class Result:
    """What came of some reads. `batches` is how they came."""

    batches: list[list[Outcome]] = field(default_factory=list)
    error: ApiError | None = None
    lagging: set[str] = field(default_factory=set)

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for batch in self.batches for outcome in batch]


def vendor_with(databases: int) -> Simulator:
    world = World(
        seed=2, shape=WorldShape(workspaces=1, databases=databases, idle_share=0.0), begins_at=NOW - timedelta(days=40)
    )
    return Simulator(world, ManualClock(NOW))


def asked(
    polling: Polling,
    groups: Sequence[Sequence[PlannedRead]],
    *,
    hung: Collection[str] = (),
    concurrency: int = 2,
    seconds: float = 60.0,
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[list[Outcome], None]:
    return poll(
        polling,
        [tuple(group) for group in groups],
        hung=hung,
        concurrency=concurrency,
        seconds=seconds,
        stop=stop or asyncio.Event(),
    )


async def polled(
    vendor: Simulator,
    reads: Sequence[PlannedRead],
    *,
    stop: asyncio.Event | None = None,
    hung: Collection[str] = (),
    token: str = "simulator-token-1",
    concurrency: int = 4,
) -> Result:
    result = Result()
    async with serve_simulator(vendor.app) as url:
        limits = Limits(requests_per_second=1_000.0, longest_wait_seconds=5.0)
        async with ManagementApi(token, base_url=url, limits=limits, clock=Clock(sleep=no_wait)) as client:
            reader = Reader("token-1", client)
            polling = Polling(lambda: reader, lambda: NOW)
            async for batch in asked(
                polling, [(read,) for read in reads], hung=hung, concurrency=concurrency, stop=stop
            ):
                result.batches.append(batch)
            result.error = polling.error
            result.lagging = set(polling.busy)
            await polling.give_up()
    return result


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


async def test_the_days_and_the_month_of_a_database_come_together() -> None:
    vendor = vendor_with(3)
    month = Window(kind=WindowKind.MONTH, name="month", start_at=datetime(2026, 11, 1, tzinfo=UTC), end_at=NOW)
    client = DirectApi(vendor.vendor, vendor.clock, "simulator-token-1")
    reader = Reader("token-1", client)
    groups = [(planned(row.id, month), planned(row.id, DAY)) for row in vendor.world.databases(NOW)]

    batches = [batch async for batch in asked(Polling(lambda: reader, lambda: NOW), groups)]

    for batch in batches:
        by_database = Counter(outcome.database_id for outcome in batch)
        assert set(by_database.values()) <= {2}


async def test_a_refused_credential_ends_the_reads_and_blames_no_database() -> None:
    vendor = vendor_with(60)

    result = await polled(vendor, reads_of(vendor), token="simulator-token-99")

    assert result.outcomes == []
    assert isinstance(result.error, CredentialRefused)
    assert vendor.requests["usage"] <= 8


@pytest.mark.parametrize(
    "kind", [FaultKind.UNAUTHORIZED, FaultKind.PLAN_LIMIT, FaultKind.THROTTLED, FaultKind.FORBIDDEN]
)
async def test_one_database_that_is_told_refused_or_blocked_hurts_no_other(kind: FaultKind) -> None:
    vendor = vendor_with(30)
    odd = vendor.world.databases(NOW)[3].id
    vendor.faults.add(Fault(kind=kind, call="usage", database_id=odd))

    result = await polled(vendor, reads_of(vendor))

    assert [outcome.database_id for outcome in result.outcomes if isinstance(outcome, ReadingFailure)] == [odd]
    assert result.error is None


@pytest.mark.parametrize(
    ("kind", "reason"), [(FaultKind.SERVER_ERROR, "http_500"), (FaultKind.PLAN_LIMIT, "plan_limit_reached")]
)
async def test_a_vendor_that_is_down_or_blocks_everyone_is_given_up_and_the_rest_waits(
    kind: FaultKind, reason: str
) -> None:
    vendor = vendor_with(100)
    vendor.faults.add(Fault(kind=kind, call="usage"))

    result = await polled(vendor, reads_of(vendor))

    assert HOPELESS_AFTER <= len(result.outcomes) <= HOPELESS_AFTER + 4
    assert result.error is not None
    assert result.error.reason == reason


async def test_one_failing_database_leaves_the_others_exact() -> None:
    vendor = vendor_with(30)
    failing = vendor.world.databases(NOW)[3].id
    vendor.faults.add(Fault(kind=FaultKind.SERVER_ERROR, call="usage", database_id=failing))

    result = await polled(vendor, reads_of(vendor))

    failed = [outcome.database_id for outcome in result.outcomes if isinstance(outcome, ReadingFailure)]
    assert failed == [failing]
    assert result.error is None


async def test_databases_that_hang_hold_up_nobody_though_they_are_as_many_as_the_workers() -> None:
    vendor = vendor_with(24)
    hanging = [database.id for database in vendor.world.databases(NOW)[:8]]
    for database_id in hanging:
        vendor.faults.add(Fault(kind=FaultKind.SLOW, call="usage", database_id=database_id, seconds=3_600))
    stop = asyncio.Event()

    async def stop_when_the_others_are_read() -> None:
        while vendor.requests["usage"] < 16 + 2:  # noqa: ASYNC110 - the vendor has no event for its calls
            await asyncio.sleep(0.01)
        stop.set()

    stopping = asyncio.create_task(stop_when_the_others_are_read())
    result = await polled(vendor, reads_of(vendor), hung=hanging, stop=stop, concurrency=8)
    await stopping

    read = {outcome.database_id for outcome in result.outcomes if isinstance(outcome, UsageReading)}
    assert read == {database.id for database in vendor.world.databases(NOW)} - set(hanging)


async def test_a_wait_that_the_vendor_asks_for_ends_the_attempt_and_is_kept_by_the_next_plan() -> None:
    vendor = vendor_with(2)
    asking = vendor.world.databases(NOW)[0].id
    vendor.faults.add(Fault(kind=FaultKind.UNAVAILABLE, call="usage", database_id=asking, retry_after="1800"))

    result = await polled(vendor, reads_of(vendor))

    (failed,) = [outcome for outcome in result.outcomes if isinstance(outcome, ReadingFailure)]
    assert failed.database_id == asking
    assert failed.retry_at == NOW + timedelta(minutes=30)
    assert vendor.requests["usage"] == 2


async def test_a_fault_of_ours_in_one_answer_is_a_failure_of_that_database() -> None:
    vendor = vendor_with(4)
    odd = vendor.world.databases(NOW)[1].id

    class Broken(DirectApi):
        async def usage(
            self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
        ) -> Usage:
            said = await super().usage(database_id, start_at=start_at, end_at=end_at)
            return replace(said, period_start_at="nonsense") if database_id == odd else said  # type: ignore[arg-type]

    reader = Reader("token-1", Broken(vendor.vendor, vendor.clock, "simulator-token-1"))
    batches = asked(Polling(lambda: reader, lambda: NOW), [(read,) for read in reads_of(vendor)])
    outcomes = [outcome async for batch in batches for outcome in batch]

    failed = [outcome for outcome in outcomes if isinstance(outcome, ReadingFailure)]
    assert [(row.database_id, row.reason) for row in failed] == [(odd, "unforeseen")]
    assert len(outcomes) == 4


async def test_a_late_refusal_of_a_token_that_was_replaced_is_asked_again_with_the_new_one() -> None:
    vendor = vendor_with(3)
    old = Reader("token-1", DirectApi(vendor.vendor, vendor.clock, "simulator-token-99"))
    new = Reader("token-1", DirectApi(vendor.vendor, vendor.clock, "simulator-token-1"))
    readers = iter([old])
    polling = Polling(lambda: next(readers, new), lambda: NOW)

    batches = asked(polling, [(read,) for read in reads_of(vendor)], concurrency=1)
    outcomes = [outcome async for batch in batches for outcome in batch]

    assert polling.error is None
    assert [isinstance(outcome, UsageReading) for outcome in outcomes] == [True, True, True]


async def test_a_late_refusal_while_nobody_knows_yet_whose_the_new_token_is_blames_no_database() -> None:
    vendor = vendor_with(3)
    old = Reader("token-1", DirectApi(vendor.vendor, vendor.clock, "simulator-token-99"))
    readers = iter([old])
    polling = Polling(lambda: next(readers, None), lambda: NOW)

    outcomes = [outcome async for batch in asked(polling, [(read,) for read in reads_of(vendor)]) for outcome in batch]

    assert (outcomes, polling.error) == ([], None)


async def test_who_hangs_is_waited_for_by_no_plan_and_told_of_by_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling_module, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(polling_module, "FIRST_BATCH_SECONDS", 0.01)
    monkeypatch.setattr(polling_module, "BATCH_SECONDS", 0.01)
    vendor = vendor_with(3)
    hanging = vendor.world.databases(NOW)[0].id
    released = asyncio.Event()

    class Hanging(DirectApi):
        async def usage(
            self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
        ) -> Usage:
            if database_id == hanging:
                await released.wait()
            return await super().usage(database_id, start_at=start_at, end_at=end_at)

    reader = Reader("token-1", Hanging(vendor.vendor, vendor.clock, "simulator-token-1"))
    polling = Polling(lambda: reader, lambda: NOW)
    reads = [(read,) for read in reads_of(vendor)]

    first = [outcome async for batch in asked(polling, reads) for outcome in batch]
    assert hanging not in {outcome.database_id for outcome in first}
    assert set(polling.busy) == {hanging}

    others = [group for group in reads if group[0].database_id != hanging]
    again = [outcome async for batch in asked(polling, others) for outcome in batch]
    assert {outcome.database_id for outcome in again} == {group[0].database_id for group in others}

    released.set()
    late = [outcome async for batch in asked(polling, []) for outcome in batch]
    assert {outcome.database_id for outcome in (*late, *polling.take())} <= {hanging}
    assert polling.busy_since == {}
    await polling.give_up()


async def test_a_cancellation_that_is_nobodys_is_a_fault_and_no_silent_end() -> None:
    vendor = vendor_with(2)

    class Cancelled(DirectApi):
        async def usage(
            self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
        ) -> Usage:
            raise asyncio.CancelledError

    reader = Reader("token-1", Cancelled(vendor.vendor, vendor.clock, "simulator-token-1"))
    with pytest.raises(RuntimeError, match="cancelled"):
        async for _ in asked(Polling(lambda: reader, lambda: NOW), [(read,) for read in reads_of(vendor)]):
            pass


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
