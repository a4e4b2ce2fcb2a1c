from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulated import BEGINS_AT, NOW, instants, seeds

from prisma_postgres_exporter.simulator import (
    REALISTIC,
    PeriodRefused,
    StorageMeaning,
    Vendor,
    VendorBehaviour,
    World,
    WorldShape,
    from_ms,
)

SHAPE = WorldShape(
    workspaces=1, projects_per_workspace=1, databases=3, idle_share=0, operations_per_day=(50_000, 500_000)
)
DAY = timedelta(days=1)
MILLISECOND = timedelta(milliseconds=1)

behaviours = st.builds(
    VendorBehaviour,
    known_after=st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=30)),
    known_every=st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=5)),
    published_every=st.sampled_from((timedelta(0), timedelta(minutes=15), timedelta(hours=6))),
    revised_share=st.sampled_from((0.0, 0.3, 1.0)),
    revised_by=st.sampled_from((0.01, 0.5, 1.0)),
    revised_for=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=6)),
)


def vendor(behaviour: VendorBehaviour, *, seed: int = 1) -> Vendor:
    return Vendor(World(seed=seed, shape=SHAPE, begins_at=BEGINS_AT), behaviour)


def day_answer(told_by: Vendor, database_id: str, day: datetime, now: datetime) -> int:
    return told_by.usage(database_id, now=now, start_at=day, end_at=day + DAY - MILLISECOND).operations


@given(seed=seeds, behaviour=behaviours)
def test_once_final_days_sum_to_the_month_and_to_the_truth(seed: int, behaviour: VendorBehaviour) -> None:
    told_by = vendor(behaviour, seed=seed)
    start_at, end_at = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    now = told_by.final_at(datetime(2026, 10, 31, tzinfo=UTC).date())
    for database in told_by.world.databases(NOW):
        days = [day_answer(told_by, database.id, start_at + DAY * day, now) for day in range(31)]
        month = told_by.usage(database.id, now=now, start_at=start_at, end_at=end_at - MILLISECOND).operations
        assert sum(days) == month == told_by.world.operations(database.id, start_at, end_at)


@given(seed=seeds, behaviour=behaviours, now=instants)
def test_at_any_instant_days_sum_to_the_month_to_date(seed: int, behaviour: VendorBehaviour, now: datetime) -> None:
    told_by = vendor(behaviour, seed=seed)
    month_starts_at = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for database in told_by.world.databases(now):
        days = [day_answer(told_by, database.id, month_starts_at + DAY * day, now) for day in range(now.day)]
        assert min(days) >= 0
        assert sum(days) == told_by.usage(database.id, now=now).operations


@given(seed=seeds, now=instants, cuts=st.lists(instants, min_size=2, max_size=5, unique=True))
def test_parts_of_days_that_are_told_wrong_add_up_too(seed: int, now: datetime, cuts: list[datetime]) -> None:
    told_by = vendor(VendorBehaviour(revised_share=1.0, revised_by=1.0, revised_for=timedelta(days=5)), seed=seed)
    database_id = told_by.world.databases(BEGINS_AT)[0].id
    cuts = sorted(min(cut, now) for cut in cuts)
    parts = [
        told_by.usage(database_id, now=now, start_at=start, end_at=end - MILLISECOND).operations
        for start, end in pairwise(cuts)
        if start < end
    ]
    if cuts[0] < cuts[-1]:
        whole = told_by.usage(database_id, now=now, start_at=cuts[0], end_at=cuts[-1] - MILLISECOND)
        assert sum(parts) == whole.operations


def test_days_are_revised_up_and_down_and_then_no_more() -> None:
    told_by = vendor(VendorBehaviour(revised_share=1.0, revised_by=0.2, revised_for=timedelta(days=3)))
    database_id = told_by.world.databases(BEGINS_AT)[0].id
    steps = []
    for number in range(40):
        day = BEGINS_AT + DAY * number
        told = [day_answer(told_by, database_id, day, day + DAY + timedelta(hours=3 * step)) for step in range(40)]
        steps += [after - before for before, after in pairwise(told) if after != before]
        assert 1 < len(set(told)) <= 4
        final = told_by.world.operations(database_id, day, day + DAY)
        assert set(told[24:]) == {final}
        assert all(abs(word - final) <= final * 0.21 for word in told)
    assert min(steps) < 0 < max(steps)


def test_numbers_become_known_late_and_in_steps() -> None:
    told_by = vendor(VendorBehaviour(known_after=timedelta(minutes=40), known_every=timedelta(minutes=10)))
    database_id = told_by.world.databases(BEGINS_AT)[0].id
    day = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    for minute in range(24 * 60):
        now = day + timedelta(minutes=minute)
        known_until = told_by.known_until(now)
        assert timedelta(minutes=40) <= now - known_until < timedelta(minutes=50)
        expected = told_by.world.operations(database_id, day, max(day, known_until))
        assert day_answer(told_by, database_id, day, now) == expected


@pytest.mark.parametrize(
    ("start_at", "end_at", "period"),
    [
        (None, None, ("2026-11-01T00:00:00.000", "2026-11-17T13:37:11.250")),
        ("2026-11-03T04:05:06.789", "2026-11-05T07:08:09.123", ("2026-11-03T04:05:06.789", "2026-11-05T07:08:09.123")),
        ("2026-11-17T00:00:00", "2026-11-17T13:37:12", ("2026-11-17T00:00:00.000", "2026-11-17T23:59:59.999")),
        ("2026-11-17T00:00:00", "2026-12-24T18:00:00", ("2026-11-17T00:00:00.000", "2026-12-24T23:59:59.999")),
        ("2026-11-16T00:00:00", "2026-11-16T23:59:59.999", ("2026-11-16T00:00:00.000", "2026-11-16T23:59:59.999")),
        ("2026-11-20T00:00:00", None, ("2026-11-20T00:00:00.000", "2026-11-20T23:59:59.999")),
    ],
)
def test_the_period_is_what_the_vendor_documents(
    start_at: str | None, end_at: str | None, period: tuple[str, str]
) -> None:
    told_by = vendor(VendorBehaviour())
    database_id = told_by.world.databases(NOW)[0].id
    asked = {
        name: datetime.fromisoformat(f"{text}+00:00")
        for name, text in (("start_at", start_at), ("end_at", end_at))
        if text is not None
    }
    told = told_by.usage(database_id, now=NOW, **asked)
    said = tuple(
        from_ms(ms).isoformat(timespec="milliseconds").removesuffix("+00:00") for ms in (told.start_ms, told.end_ms)
    )
    assert said == period
    used_until = min(from_ms(told.end_ms) + MILLISECOND, NOW)
    expected = told_by.world.operations(database_id, from_ms(told.start_ms), max(used_until, from_ms(told.start_ms)))
    assert told.operations == expected


def test_both_ends_belong_to_the_period() -> None:
    told_by = vendor(VendorBehaviour())
    database_id = told_by.world.databases(BEGINS_AT)[0].id
    day = BEGINS_AT + 5 * DAY
    inclusive = told_by.usage(database_id, now=NOW, start_at=day, end_at=day + DAY).operations
    assert inclusive == told_by.world.operations(database_id, day, day + DAY + MILLISECOND)


def test_a_vendor_may_answer_for_whole_days() -> None:
    told_by = vendor(VendorBehaviour(widens=True))
    database_id = told_by.world.databases(NOW)[0].id
    told = told_by.usage(database_id, now=NOW, start_at=NOW - timedelta(hours=30), end_at=NOW - timedelta(hours=20))
    starts_at = datetime(2026, 11, 16, tzinfo=UTC)
    assert (from_ms(told.start_ms), from_ms(told.end_ms + 1)) == (starts_at, starts_at + DAY)
    assert told.operations == told_by.world.operations(database_id, starts_at, starts_at + DAY)


def test_a_vendor_may_begin_at_creation() -> None:
    told_by = vendor(VendorBehaviour(begins_at_creation=True))
    world = told_by.world
    created_at = NOW - timedelta(days=2)
    database_id = world.add_database(world.projects(NOW)[0].id, at=created_at)
    told = told_by.usage(database_id, now=NOW)
    assert from_ms(told.start_ms) == created_at
    before = told_by.usage(database_id, now=NOW, start_at=BEGINS_AT, end_at=BEGINS_AT + DAY)
    assert (before.operations, before.start_ms) == (0, before.end_ms)


def test_periods_that_no_vendor_answers_are_refused() -> None:
    told_by = vendor(VendorBehaviour(longest_period=timedelta(days=31)))
    database_id = told_by.world.databases(NOW)[0].id
    with pytest.raises(PeriodRefused, match="before"):
        told_by.usage(database_id, now=NOW, start_at=NOW, end_at=NOW - MILLISECOND)
    with pytest.raises(PeriodRefused, match="too long"):
        told_by.usage(database_id, now=NOW, start_at=NOW - timedelta(days=40), end_at=NOW)


@pytest.mark.parametrize("meaning", StorageMeaning)
def test_storage_means_what_the_behaviour_says(meaning: StorageMeaning) -> None:
    told_by = vendor(VendorBehaviour(storage=meaning))
    world, database_id = told_by.world, told_by.world.databases(NOW)[0].id
    day = BEGINS_AT + 10 * DAY
    levels = [world.storage_bytes(database_id, day + timedelta(hours=hour)) for hour in range(24)]
    expected = {
        StorageMeaning.PERIOD_END: world.storage_bytes(database_id, day + DAY - MILLISECOND),
        StorageMeaning.NOW: world.storage_bytes(database_id, NOW),
        StorageMeaning.MEAN: sum(levels) // 24,
        StorageMeaning.MOST: max(levels),
    }[meaning]
    told = told_by.usage(database_id, now=NOW, start_at=day, end_at=day + DAY - MILLISECOND)
    assert told.storage_bytes == expected


def test_what_is_asked_twice_is_answered_the_same() -> None:
    told_by, other = vendor(REALISTIC), vendor(REALISTIC)
    for database in told_by.world.databases(NOW):
        assert (
            told_by.usage(database.id, now=NOW)
            == told_by.usage(database.id, now=NOW)
            == other.usage(database.id, now=NOW)
        )


def test_numbers_move_with_publications_alone_and_say_so() -> None:
    told_by = vendor(VendorBehaviour(published_every=timedelta(hours=1), revised_share=1.0))
    database_id = told_by.world.databases(NOW)[0].id
    day = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    for minute in range(0, 24 * 60, 7):
        now = day + timedelta(minutes=minute)
        published_at = now.replace(minute=0)
        told = told_by.usage(database_id, now=now, start_at=day)
        at_once = told_by.usage(database_id, now=published_at, start_at=day)
        assert (told.operations, told.storage_bytes) == (at_once.operations, at_once.storage_bytes)
        assert from_ms(told.generated_ms) == published_at
        assert from_ms(told.end_ms) == now
        assert told_by.known_until(now) == published_at
