"""What is known of a month, and what it costs at least, against the whole truth of worlds with gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from gap_worlds import (
    DAY,
    GIB,
    OPEN,
    SECOND,
    WHOLE,
    GivenDatabase,
    GivenWorkspace,
    Known,
    World,
    days_of,
    hours_of,
    known_of,
    ledger_of,
    midnight,
    true_bill,
    workspace_days,
    worlds,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builders import database, database_state, day_usage, month_usage, settled_day, workspace_state
from prisma_postgres_exporter.config import BudgetConfig, load_config
from prisma_postgres_exporter.cost import (
    By,
    Usage,
    add_up,
    charge,
    database_usage,
    total_of,
    used_in_month,
)
from prisma_postgres_exporter.documents import month_document
from prisma_postgres_exporter.model import DatabaseState, LedgerState, Move
from prisma_postgres_exporter.report import (
    FOCUS_COLUMNS,
    TOTAL,
    LedgerMonth,
    beside,
    focus_rows,
    ledger_month,
    left_out,
    mean_gib,
    report_month,
)

DEFAULTS = load_config(environ={})
CONFIG = DEFAULTS.model_copy(
    update={
        "cost": DEFAULTS.cost.model_copy(
            update={"budgets": (BudgetConfig.model_validate({"name": "all", "monthly_usd": 100}),)}
        )
    }
)


def numbers(usage: Usage) -> Known:
    return Known(
        operations=usage.known_operations,
        days=usage.days,
        days_known=usage.days_known,
        storage_seconds=usage.storage_seconds,
        storage_seconds_known=usage.storage_seconds_known,
        byte_seconds=usage.known_byte_seconds,
    )


def added(parts: Iterable[Known]) -> Known:
    listed = list(parts)
    return Known(**{name: sum(getattr(part, name) for part in listed) for name in Known.__slots__})


def month_of(world: World, *, with_previous: bool = True) -> LedgerMonth:
    previous = month_of(world.before(), with_previous=False) if with_previous else None
    now = world.until + timedelta(seconds=1) if world.is_over else world.until
    days = [*(workspace_days(world.before())), *workspace_days(world)]
    return ledger_month(ledger_of(world), CONFIG, days, world.until, now, previous)


@settings(max_examples=60)
@given(worlds())
def test_what_is_known_of_a_database_is_what_was_read_of_it(world: World) -> None:
    held = ledger_of(world)
    found = {(key, id_): usage for key, of in used_in_month(held, world.until).items() for id_, usage in of.items()}
    truth = {(key, row.id): known for row in world.databases for key, known in known_of(row, world).items()}

    assert {place: numbers(usage) for place, usage in found.items()} == truth
    for id_, state in held.databases.items():
        assert database_usage(state, world.until) == {key: found[key, id_] for key, of in found if of == id_}
    for place, usage in found.items():
        known = truth[place]
        is_anything = known.days_known > 0 or known.operations > 0
        assert (usage.operations is not None) == (is_anything or not known.storage_seconds)
        assert (usage.mean_storage_bytes(86_400) is None) == (not known.storage_seconds_known)
        assert (usage.gib_months(86_400) is None) == (not known.storage_seconds_known)


@settings(max_examples=40)
@given(worlds(), st.integers(-3, 40))
def test_a_workspace_that_is_gone_is_known_as_far_as_it_was_read_and_no_later_month_has_it(
    world: World, day: int
) -> None:
    gone_at = world.starts_at + timedelta(days=day)
    held = ledger_of(world)
    gone = held.with_workspaces(replace(held.workspaces["wksp_1"], gone_at=gone_at))
    found = {(key, id_): usage for key, of in used_in_month(gone, world.until).items() for id_, usage in of.items()}
    there = {
        (key, row.id): known
        for row in world.databases
        for key, known in known_of(row, world).items()
        if day > 0 or held.databases[row.id].workspace_key != 1
    }

    assert {place: numbers(usage) for place, usage in found.items()} == there
    assert [row.workspace.id for row in month_of(world).not_followed] == []
    month = ledger_month(gone, CONFIG, [], world.until, world.until)
    assert [row.workspace.id for row in month.not_followed] == (["wksp_1"] if day <= 0 else [])
    ids = [row.workspace_id for row in month.rows(By.WORKSPACE)]
    assert ids.count("wksp_1") == (day > 0)
    assert all(row.total is None for row in month.rows(By.WORKSPACE) if row.is_deleted)


@settings(max_examples=40)
@given(worlds())
def test_what_is_told_whole_is_the_truth_and_never_more_than_it(world: World) -> None:
    for row in world.databases:
        of = database_usage(ledger_of(world).databases[row.id], world.until) if row in world.there() else {}
        usage = add_up(of.values())
        if not of:
            continue
        true_operations = row.operations(world.starts_at, world.ends_at)
        assert usage.known_operations <= true_operations
        if usage.are_operations_known and _is_today_read(row, world):
            assert usage.known_operations == true_operations
        assert usage.storage_seconds == 3600 * row.lived(world.starts_at, world.ends_at)
        if usage.is_storage_known and not _is_bridged(row, world):
            assert usage.known_byte_seconds == row.byte_seconds(world.starts_at, world.ends_at)


@settings(max_examples=100)
@given(worlds())
def test_a_mean_level_is_at_least_so_much_only_where_that_is_so(world: World) -> None:
    """Where a database's own mean stands for time that nobody read, it is no lower bound."""
    elapsed = hours_of(world.starts_at, world.ends_at) * 3600
    for line in month_of(world, with_previous=False).rows(By.WORKSPACE):
        truth = bridged = Fraction(0)
        for row in world.there():
            known = known_of(row, world).get(int(line.workspace_id.removeprefix("wksp_")))
            if known is not None:
                days = days_of(world.starts_at, world.ends_at)
                here = [day for day in days if row.holder(day) == int(line.workspace_id.removeprefix("wksp_"))]
                spans = [(midnight(day), min(midnight(day) + DAY, world.ends_at)) for day in here]
                truth += Fraction(sum(row.byte_seconds(*span) for span in spans), elapsed)
                # An hour, or a hundredth of its time, counts as known at its own mean, in the cost too.
                bridged += Fraction(row.level * 6 * max(3600, known.storage_seconds // 100), elapsed)
        said = mean_gib(line)
        if said.startswith("at least "):
            assert Decimal(said.removeprefix("at least ").replace(",", "")) * GIB <= truth + bridged + GIB / 100


@settings(max_examples=40)
@given(worlds())
def test_knowledge_adds_up_from_databases_to_everything(world: World) -> None:
    month = month_of(world, with_previous=False)
    truth = added(known for row in world.databases for known in known_of(row, world).values())

    for by in By:
        rows = month.rows(by)
        assert numbers(add_up(row.usage for row in rows)) == truth
        assert len({row.place for row in rows}) == len(rows)
    by_project: dict[tuple[str, str], list[Known]] = defaultdict(list)
    by_workspace: dict[str, list[Known]] = defaultdict(list)
    for row in world.databases:
        for key, known in known_of(row, world).items():
            by_project[f"wksp_{key}", row.project_id].append(known)
            by_workspace[f"wksp_{key}"].append(known)
    for line in month.rows(By.PROJECT):
        assert numbers(line.usage) == added(by_project[line.workspace_id, line.project_id or ""])
    for line in month.rows(By.WORKSPACE):
        assert numbers(line.usage) == added(by_workspace[line.workspace_id])
        document = month_document(line, is_over=month.is_over)
        known = added(by_workspace[line.workspace_id])
        if known.storage_seconds and not (known.days_known or known.operations):
            assert document.operations is None
        if known.storage_seconds and not known.storage_seconds_known:
            assert (document.mean_storage_bytes, document.storage_gib_months) == (None, None)
            assert document.storage_usd is None
        assert document.is_complete == (_is_complete(known) and not line.usage.unplaced_databases)


def upgraded_on_the_2nd() -> World:
    """The first day, still on Free, was read at its noon; the vendor's month is known all the same."""
    november = date(2026, 11, 1)
    used = GivenDatabase(
        number=1,
        created_at=midnight(date(2026, 8, 22)),
        deleted_at=None,
        per_hour=10_000,
        level=0,
        home=1,
        next_home=1,
        moves_on=None,
        reads={november + timedelta(days=number): WHOLE if number else OPEN for number in range(30)},
        storage_halves=frozenset(),
        month_read_at={november: midnight(date(2026, 12, 1))},
    )
    plans = ((date.min, "free"), (date(2026, 11, 2), "starter"))
    until = midnight(date(2026, 12, 1)) - timedelta(seconds=1)
    return World(month=november, until=until, workspaces=(GivenWorkspace(number=1, plans=plans),), databases=(used,))


@settings(max_examples=60)
@given(worlds(plan_changes=True) | worlds())
@example(upgraded_on_the_2nd())
def test_a_bill_is_whole_only_where_all_is_known_and_never_above_the_truth(world: World) -> None:
    month = month_of(world, with_previous=False)
    knowns = [known_of(row, world) for row in world.databases]
    for workspace in world.workspaces:
        cost = month.costs.workspaces[workspace.id]
        own = added(of[workspace.number] for of in knowns if workspace.number in of)
        bill, truth = cost.bill, true_bill(world, workspace)

        assert bill is not None
        assert bill.fee == truth[0]
        assert bill.known is not None
        if not any(_is_bridged(row, world) for row in world.databases):
            assert bill.known <= sum(truth)
            if bill.total is not None and all(_is_today_read(row, world) for row in world.databases):
                assert (bill.fee, bill.operations, bill.storage) == truth
        if len(workspace.plans) == 1:
            # What is missing of a database that moved may be any holder's: none of them is whole then.
            is_placed = all(usage.unplaced_databases == 0 for usage in month.costs.used[workspace.id].values())
            assert (bill.total is not None) == (_is_complete(own) and is_placed)
        elif not _is_complete(own) and workspace.plan_on(world.until.date()) != "free":
            # What was gone before Free ended cannot cost.
            free_until = _free_until(workspace, world)
            lasting = [row for row in world.databases if row.deleted_at is None or row.deleted_at > free_until]
            rest = added(of[workspace.number] for row in lasting if workspace.number in (of := known_of(row, world)))
            assert _is_complete(rest) or bill.total is None


def _free_until(workspace: GivenWorkspace, world: World) -> datetime:
    """When usage began to be charged in the month: the midnight of the upgrade from Free, if there was one."""
    (_, before), (changes_on, _) = workspace.plans
    return midnight(changes_on) if before == "free" else world.starts_at


@settings(max_examples=40)
@given(worlds(plan_changes=True) | worlds())
def test_every_view_adds_up_to_the_bills(world: World) -> None:
    month = month_of(world)
    bills = [cost.bill for cost in month.costs.workspaces.values() if cost.bill is not None]
    known = sum((bill.known or Decimal(0) for bill in bills), Decimal(0))
    totals = [bill.total for bill in bills]
    total = None if None in totals else sum((amount for amount in totals if amount is not None), Decimal(0))

    assert len(bills) == len(world.workspaces), "one without a database has a fee all the same"
    for by in By:
        rows = month.rows(by)
        assert sum((row.known_usd or Decimal(0) for row in rows), Decimal(0)) == known
        assert (total_of(rows)[1].total, total_of(rows)[1].known) == (total, known)
        for workspace in world.workspaces:
            own = [row for row in rows if row.workspace_id == workspace.id]
            bill = month.costs.workspaces[workspace.id].bill
            assert bill is not None
            for name in ("fee", "operations", "storage", "known", "total"):
                parts = [getattr(row.bill, name) for row in own]
                if name == "total" and bill.total is not None and None in parts:
                    # Nobody knows whose part of the fee is how large, though what can cost is known.
                    assert not all(row.usage.is_complete for row in own)
                    continue
                assert (None if None in parts else sum(parts, Decimal(0))) == getattr(bill, name), name
    focus = [dict(zip(FOCUS_COLUMNS, values, strict=True)) for values in focus_rows(month)]
    left = list(left_out(month))
    for id_, amount in zip(month.costs.workspaces, totals, strict=True):
        billed = [Decimal(f"{row['BilledCost']}") for row in focus if row["BillingAccountId"] == id_]
        assert (sum(billed) if billed else None) == amount
        is_exact = all(row.total is not None for row in month.rows(By.DATABASE) if row.workspace_id == id_)
        assert sum(f"({id_})" in line for line in left) == (amount is None or not is_exact)
    (budget,) = month.costs.budgets
    assert (budget.spent_usd, budget.is_complete) == (known, total is not None)
    report = report_month(month, (), (), (), world.until)
    assert (report.total[1].total, report.total[1].known) == (total, known)
    assert len(report.workspaces) == len(world.workspaces)
    for of in report.workspaces:
        for rows in (of.projects, of.databases):
            assert sum((row.known_usd or Decimal(0) for row in rows), Decimal(0)) == of.total.known_usd


@settings(max_examples=40)
@given(worlds(plan_changes=True) | worlds())
def test_what_a_change_is_made_of_adds_up_to_it(world: World) -> None:
    month = month_of(world)
    for by in By:
        besides = beside(month, by)
        rows = {row.place: row for row in month.rows(by)}
        assert month.previous is not None
        before = {row.place: row for row in month.previous.rows(by)}
        for place, row in rows.items():
            entry = besides[place]
            last = before[place].total if place in before else Decimal(0)
            this = row.total if month.is_over else row.expected_usd
            assert entry.last_month_usd == last
            assert entry.change_usd == (None if this is None or last is None else this - last)
        for entry in besides.values():
            if entry.split is not None:
                assert entry.change_usd == sum(entry.split.values())
        lasts = [row.total for row in before.values()]
        assert besides[TOTAL].last_month_usd == (None if None in lasts else sum(filter(None, lasts), Decimal(0)))


def test_a_day_that_ended_with_its_database_is_known_only_to_its_last_reading() -> None:
    # Read at noon, deleted at 18:00 while nothing was read: six hours that nobody knows.
    row = a_database(deleted_at=datetime(2026, 11, 20, 18, tzinfo=UTC), reads={date(2026, 11, 20): OPEN})
    world = a_world(row)

    (usage,) = database_usage(ledger_of(world).databases[row.id], world.until).values()

    assert (usage.known_operations, usage.days_known, usage.days) == (9 * 3, 0, 20)


@pytest.mark.parametrize(("minutes", "is_whole"), [(15, True), (55, False)])
def test_what_an_hourly_look_misses_of_a_database_that_was_deleted_is_missed(minutes: int, *, is_whole: bool) -> None:
    """Deleted while nothing was read: what it used since is not known, and its storage may have ended any moment."""
    noon, day = datetime(2026, 11, 20, 12, tzinfo=UTC), date(2026, 11, 20)
    plain = database_state()
    state = replace(
        plain,
        database=replace(plain.database, created_at=midnight(day)),
        recent_days=(day_usage(day, 900, read_at=noon),),
        months=(
            month_usage(
                day.replace(day=1),
                days=1,
                days_operations=900,
                storage_seconds=12 * 3600,
                storage_byte_seconds=12 * 3600 * 7,
            ),
        ),
        usage_at=noon,
        deleted_at=noon + timedelta(minutes=minutes),
    )

    (usage,) = database_usage(state, noon + timedelta(days=3)).values()

    assert (usage.are_operations_known, usage.is_storage_known, usage.is_complete) == (is_whole,) * 3
    assert usage.storage_seconds - usage.storage_seconds_known == (0 if is_whole else minutes * 60)
    assert usage.known_byte_seconds == (12 * 3600 + (minutes * 60 if is_whole else 0)) * 7


def test_what_was_read_of_a_day_that_went_on_is_at_least_so_much_and_not_nothing() -> None:
    world = a_world(a_database(reads={date(2026, 11, 10): OPEN}))

    row = month_of(world, with_previous=False).rows(By.DATABASE)[0]

    assert (row.operations, row.usage.days_known) == (12 * 2, 0)
    assert not row.usage.are_operations_known


@pytest.mark.parametrize(
    ("before", "after", "day", "per_hour", "parts"),
    [
        # Three days of thirty of 10.00; the 500,000 since the 28th are within the million of Starter.
        ("free", "starter", 28, (3_000, 500_000 // 72), ("1.00", "0.00", "0.00")),
        # 72 hours of 20,000 are 1,440,000: 0.44 million over it at 8.00.
        ("free", "starter", 28, (3_000, 20_000), ("1.00", "3.52", "0.00")),
        # Half the month each: 5.00 + 24.50; 720 hours of 20,000 are 14.4 million, 4.4 over Pro's ten at 2.00.
        ("starter", "pro", 16, (20_000, 20_000), ("29.50", "8.80", "0.00")),
        # Nothing comes back of 49.00, and all counts at Starter: 13.4 million at 8.00.
        ("pro", "starter", 16, (20_000, 20_000), ("49.00", "8.80", "0.00")),
    ],
)
def test_a_plan_that_changed_is_charged_through_the_whole_way(
    before: str, after: str, day: int, per_hour: tuple[int, int], parts: tuple[str, str, str]
) -> None:
    # One database until the change and one from it on, each used evenly and read every day.
    changes_on, days = date(2026, 11, day), [date(2026, 11, number) for number in range(1, 31)]
    # 1 + day % 3 times as much on a day: twice on average of whole thirds of a month.
    rows = [
        replace(
            a_database(reads=dict.fromkeys(days, WHOLE), deleted_at=ends_at),
            number=number,
            created_at=begins_at,
            per_hour=pace // 2,
        )
        for number, pace, begins_at, ends_at in (
            (1, per_hour[0], midnight(days[0]), midnight(changes_on)),
            (2, per_hour[1], midnight(changes_on), None),
        )
    ]
    world = replace(
        a_world(*rows), workspaces=(GivenWorkspace(number=1, plans=((date.min, before), (changes_on, after))),)
    )

    bill = month_of(world, with_previous=False).costs.workspaces["wksp_1"].bill

    assert bill is not None
    assert bill.parts == tuple(map(Decimal, parts))
    (row,) = month_of(world, with_previous=False).rows(By.WORKSPACE)
    assert row.total == sum(map(Decimal, parts))


def test_a_month_before_a_database_came_is_not_its_new_workspaces() -> None:
    """After a move the vendor's October is read in the new workspace, which did not have a day of it."""
    until, seconds = datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), 31 * 86_400
    read_at = datetime(2026, 11, 27, tzinfo=UTC)
    told: dict[str, Any] = {"operations": 400, "read_at": read_at, "period_end_at": datetime(2026, 11, 1, tzinfo=UTC)}
    there = month_usage(
        date(2026, 10, 1), workspace_key=1, days=31, days_operations=400, storage_seconds=seconds, **told
    )
    here = month_usage(date(2026, 10, 1), workspace_key=2, **told)
    move = Move(at=read_at, from_key=1, to_key=2, last_there_at=read_at - timedelta(days=20))
    state = database_state(workspace_key=2, months=(there, here), known_until=date(2026, 11, 26), moves=(move,))

    # Whoever was asked, the number is of the old one's days: those that the ledger lacks are known by it.
    unread: dict[str, Any] = {"operations": None, "read_at": None, "period_end_at": None}
    for row in (there, replace(there, days=20, days_operations=250), replace(there, days=20, **unread)):
        found = database_usage(replace(state, months=(row, here)), until)
        told_of = {key: (usage.operations, usage.days_known, usage.days) for key, usage in found.items()}
        assert told_of == {1: (400, 31, 31)}
    # Where no event tells when it came, it may have been there in October too.
    found = database_usage(replace(state, moves=()), until)
    assert {key: usage.unplaced_operations for key, usage in found.items()} == {1: 1, 2: 1}


def test_a_gap_in_the_storage_of_a_database_that_moved_leaves_its_operations_known() -> None:
    until, moved_at = datetime(2026, 11, 11, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC)
    rows = [
        month_usage(
            date(2026, 11, 1), workspace_key=key, days=5, days_operations=50, storage_seconds=4 * 86_400, read_at=until
        )
        for key in (1, 2)
    ]
    # Both looked at midnight.
    move = Move(at=moved_at, from_key=1, to_key=2, last_there_at=moved_at)
    state = database_state(workspace_key=2, months=tuple(rows), known_until=date(2026, 11, 10), moves=(move,))

    found = database_usage(state, until)

    assert {key: usage.are_operations_known for key, usage in found.items()} == {1: True, 2: True}
    assert {key: usage.is_storage_known for key, usage in found.items()} == {1: False, 2: False}


NOVEMBER_OVER = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)


def moved_and_read(old_days: int, new_days: int, move: Move, *, in_doubt: int = 10) -> DatabaseState:
    """A database with so many days of November in both workspaces, ten operations each, and levels of all of them.

    Those that the move leaves in doubt have `in_doubt`.
    """
    first = date(2026, 11, 1)
    days = [
        settled_day(
            first + number * timedelta(days=1),
            in_doubt if move.leaves_in_doubt(first + number * timedelta(days=1)) else 10,
            workspace_key=1 if number < old_days else 2,
            storage_seconds=86_400,
        )
        for number in range(old_days + new_days)
    ]
    rows = tuple(
        month_usage(
            first,
            workspace_key=key,
            days=len(own),
            days_operations=sum(row.operations for row in own),
            storage_seconds=len(own) * 86_400,
            read_at=NOVEMBER_OVER,
        )
        for key in (1, 2)
        if (own := [row for row in days if row.workspace_key == key])
    )
    created_at = datetime(2026, 9, 1, tzinfo=UTC)
    return database_state(
        workspace_key=2,
        database=replace(database_state().database, created_at=created_at),
        recent_days=tuple(row for row in days if move.leaves_in_doubt(row.day)),
        months=rows,
        known_until=date(2026, 11, 30),
        moves=(move,),
    )


def test_a_day_that_may_be_of_either_workspace_is_in_neither_month_and_both_say_so() -> None:
    noticed_at = datetime(2026, 11, 11, 9, tzinfo=UTC)
    short = Move(at=noticed_at, from_key=1, to_key=2, last_there_at=noticed_at - timedelta(minutes=30))
    long = replace(short, last_there_at=noticed_at - timedelta(days=4))

    def told(*given: Any, **changes: Any) -> dict[int, tuple[Any, ...]]:
        found = database_usage(moved_and_read(*given, **changes), NOVEMBER_OVER)
        return {
            key: (usage.known_operations, usage.are_operations_known, usage.days_known, usage.days, usage.missing)
            for key, usage in found.items()
        }

    # Ten days and nineteen: the eleventh is of one of them, or of both.
    missing = ("days", "storage", "moved")
    assert told(10, 20, short) == {1: (100, False, 10, 11, missing), 2: (190, False, 19, 20, missing)}
    # Six days and nineteen: five are in doubt.
    assert told(7, 23, long) == {1: (60, False, 6, 11, missing), 2: (190, False, 19, 24, missing)}
    # Where nothing was used on them, it is no matter whose they are: only their storage is in doubt.
    assert told(7, 23, long, in_doubt=0) == {
        1: (60, True, 11, 11, ("storage", "moved")),
        2: (190, True, 24, 24, ("storage", "moved")),
    }
    # Where the new workspace's days were not read, it is not left out.
    assert told(10, 0, short)[2] == (0, False, 0, 20, missing)


def test_of_a_workspace_that_has_a_database_for_a_part_of_a_day_nothing_is_known_and_that_is_no_zero() -> None:
    noticed_at = datetime(2026, 11, 30, 9, tzinfo=UTC)
    move = Move(at=noticed_at, from_key=1, to_key=2, last_there_at=noticed_at - timedelta(minutes=30))

    new = database_usage(moved_and_read(29, 1, move), NOVEMBER_OVER)[2]

    assert (new.days_known, new.days, new.storage_seconds_known, new.storage_seconds) == (0, 1, 0, 86_400)
    assert (new.operations, new.gib_months(1), new.mean_storage_bytes(1)) == (None, None, None)
    assert (new.is_complete, new.missing) == (False, ("days", "storage", "moved"))


def test_a_month_before_a_move_is_of_the_workspace_that_held_the_database_then() -> None:
    later = datetime(2026, 12, 8, 9, tzinfo=UTC)
    move = Move(at=later, from_key=1, to_key=2, last_there_at=later)
    whole = moved_and_read(30, 0, move)
    # The vendor's month was read after the move too, in the new workspace.
    read_there = month_usage(date(2026, 11, 1), 300, workspace_key=2, read_at=later, period_end_at=NOVEMBER_OVER)

    assert database_usage(replace(whole, months=()), NOVEMBER_OVER).keys() == {1}
    for months in (whole.months, (*whole.months, read_there)):
        found = database_usage(replace(whole, months=months), NOVEMBER_OVER)
        assert {key: (usage.operations, usage.is_complete) for key, usage in found.items()} == {1: (300, True)}
    partly = replace(whole.months[0], days=20, days_operations=200)
    found = database_usage(replace(whole, months=(partly, read_there)), NOVEMBER_OVER)
    assert {key: (usage.operations, usage.days_known, usage.days) for key, usage in found.items()} == {1: (300, 30, 30)}


def test_a_budget_of_a_month_that_is_over_has_no_database_that_came_later() -> None:
    """One is made after it, one moves to another workspace after it."""
    later = datetime(2026, 12, 8, 9, tzinfo=UTC)
    moved = moved_and_read(30, 0, Move(at=later, from_key=1, to_key=2, last_there_at=later))
    made = database_state(key=2, database=replace(moved.database, id="db_new", created_at=later), first_seen_at=later)
    workspaces = [workspace_state(key=key, id_=f"wksp_{key}", plan="Starter") for key in (1, 2)]

    def told(*states: DatabaseState) -> tuple[int, Decimal | None, bool]:
        costs = charge(LedgerState.of(workspaces, states), CONFIG, (), NOVEMBER_OVER, is_over=True)
        (budget,) = costs.budgets
        return budget.databases, budget.spent_usd, budget.is_complete

    assert told(moved) == told(moved, made) == (1, Decimal("20.00"), True)


def a_database(*, reads: dict[date, str], deleted_at: datetime | None = None) -> GivenDatabase:
    """One with an operation an hour, two or three on some days, and no storage."""
    return GivenDatabase(
        number=1,
        created_at=datetime(2026, 9, 1, tzinfo=UTC),
        deleted_at=deleted_at,
        per_hour=1,
        level=0,
        home=1,
        next_home=1,
        moves_on=None,
        reads=reads,
        storage_halves=frozenset(),
        month_read_at={},
    )


def a_world(*databases: GivenDatabase) -> World:
    """November on Starter, looked at when it is over."""
    return World(
        month=date(2026, 11, 1),
        until=datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC),
        workspaces=(GivenWorkspace(number=1, plans=((date.min, "starter"),)),),
        databases=databases,
    )


def _is_complete(known: Known) -> bool:
    if known.storage_seconds and not (known.days_known or known.operations):
        return False
    return known.days_known >= known.days and known.storage_seconds_known >= known.storage_seconds


def _is_today_read(row: GivenDatabase, world: World) -> bool:
    """Whether the day that runs was read until now, or does not matter."""
    if world.is_over or world.ends_at == midnight(world.until.date()):
        return True
    read_at = row.month_read_at.get(world.month)
    if read_at is not None and midnight(world.until.date()) < read_at < world.until:
        # What came since that reading cannot be told from what days have that nobody read.
        days = (world.month + timedelta(days=number) for number in range((world.until.date() - world.month).days))
        if any(row.lived_on(day, world.until) and row.read_on(day, world.until) != WHOLE for day in days):
            return False
    return (
        row.read_on(world.until.date(), world.until) == WHOLE
        or read_at == world.until
        or not row.lived_on(world.until.date(), world.until)
    )


def _is_bridged(row: GivenDatabase, world: World) -> bool:
    """Whether a short gap of storage was filled with the mean, which is a guess."""
    knowns = known_of(row, world).values()
    read = sum(
        3600 * row.storage_hours_known(day, world.ends_at) for day in row.reads if day.replace(day=1) == world.month
    )
    return sum(known.storage_seconds_known for known in knowns) != read


@pytest.mark.parametrize(
    ("day", "unread", "is_known"),
    [
        (1, timedelta(hours=2), True),
        (1, timedelta(hours=2, seconds=1), False),
        (1, timedelta(hours=30), False),
        # One part in a hundred of 20 days and 12 hours.
        (21, timedelta(hours=4.92), True),
        (21, timedelta(hours=4.93), False),
    ],
)
def test_what_a_failing_database_used_today_is_not_known_for_long(
    day: int, unread: timedelta, *, is_known: bool
) -> None:
    now = datetime(2026, 10, day, 12, tzinfo=UTC)
    usage_at = now - unread
    created_at = datetime(2026, 9, 1, tzinfo=UTC)
    rows = [settled_day(date(2026, 10, number), 10) for number in range(1, usage_at.day if usage_at.month == 10 else 1)]
    read = [*rows, day_usage(usage_at.date(), 5, read_at=usage_at)] if usage_at.month == 10 else []
    month = month_usage(
        date(2026, 10, 1), days=len(read), days_operations=sum(row.operations for row in read), storage_byte_seconds=0
    )
    state = database_state(
        database=database("db_1", created_at=created_at),
        counted_from=created_at.date(),
        known_until=usage_at.date() - timedelta(days=1),
        usage_at=usage_at,
        recent_days=tuple(read[-2:]),
        months=(month,),
    )
    usage = database_usage(state, now)[state.workspace_key]

    assert usage.are_operations_known is is_known
    assert usage.days == day
    assert usage.days_known == (day if is_known else len(rows))


@pytest.mark.parametrize(("unread", "is_known"), [(timedelta(hours=2), True), (timedelta(hours=2, seconds=1), False)])
def test_a_level_holds_as_long_as_operations_are_known_without_a_new_reading(
    unread: timedelta, *, is_known: bool
) -> None:
    """On the first of a month two hours are more than a hundredth of it."""
    now = datetime(2026, 10, 1, 6, tzinfo=UTC)
    read_at = now - unread
    seconds = int((read_at - now.replace(hour=0)).total_seconds())
    row = replace(day_usage(now.date(), 5, read_at=read_at), storage_byte_seconds=7 * seconds, storage_seconds=seconds)
    month = month_usage(
        now.date(), days=1, days_operations=5, storage_byte_seconds=7 * seconds, storage_seconds=seconds
    )
    state = database_state(
        database=database("db_1", created_at=datetime(2026, 9, 1, tzinfo=UTC)),
        known_until=date(2026, 9, 30),
        usage_at=read_at,
        storage_at=read_at,
        storage_bytes=7,
        recent_days=(row,),
        months=(month,),
    )
    usage = database_usage(state, now)[state.workspace_key]

    assert usage.is_storage_known is is_known
    assert usage.are_operations_known is is_known
    assert usage.mean_storage_bytes(6 * 3600) == 7


@pytest.mark.parametrize(("minutes", "is_whole"), [(15, True), (16, False)])
def test_a_deletion_that_is_noticed_soon_after_midnight_leaves_the_month_whole(minutes: int, *, is_whole: bool) -> None:
    read_at = datetime(2026, 11, 20, 23, 53, tzinfo=UTC)
    begins_at = read_at.replace(hour=0, minute=0)
    plain = database_state()
    state = replace(
        plain,
        database=replace(plain.database, created_at=begins_at),
        recent_days=(day_usage(read_at.date(), 900, read_at=read_at),),
        months=(
            month_usage(
                read_at.date().replace(day=1),
                days=1,
                days_operations=900,
                storage_seconds=(read_at - begins_at) // SECOND,
                storage_byte_seconds=(read_at - begins_at) // SECOND * 7,
            ),
        ),
        usage_at=read_at,
        deleted_at=read_at + timedelta(minutes=minutes),
    )

    (usage,) = database_usage(state, read_at + timedelta(days=3)).values()

    assert usage.is_complete is is_whole
    assert usage.known_operations == 900
