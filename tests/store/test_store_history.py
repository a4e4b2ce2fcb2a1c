from __future__ import annotations

import random
from datetime import date
from itertools import islice

from store_values import DAY, NOW, TODAY, day_usage, known, month_usage, post, settled_day, update_of

from prisma_postgres_exporter.model import DayUsage, LedgerRows, LedgerUpdate
from prisma_postgres_exporter.store import Store


def filled(store: Store, databases: int = 3, days: int = 700) -> list[DayUsage]:
    """A ledger with holes, in the order in which it is to be read."""
    known(store, databases=databases, workspaces=2)
    chance = random.Random(7)
    ledger = [
        settled_day(key, TODAY - back * DAY, operations=chance.randrange(1_000), operations_high=2_000)
        for back in range(days, 0, -1)
        for key in range(1, databases + 1)
        if chance.random() < 0.8
    ]
    shuffled = chance.sample(ledger, len(ledger))
    post(store, LedgerUpdate(other_days=tuple(shuffled)))
    return ledger


def test_days_are_read_by_day_and_then_database(store: Store) -> None:
    ledger = filled(store)
    assert list(store.days()) == ledger
    from_day, to_day = TODAY - 30 * DAY, TODAY - 20 * DAY
    assert list(store.days(None, from_day, to_day)) == [row for row in ledger if from_day <= row.day <= to_day]


def test_days_of_one_database_skip_those_of_all_others(store: Store) -> None:
    ledger = [row for row in filled(store) if row.database_key == 2]
    assert list(store.days("db_2")) == ledger
    assert list(store.days("db_2", date(1, 1, 1), date(9999, 12, 31))) == ledger
    assert list(store.days("db_2", ledger[3].day, ledger[9].day)) == ledger[3:10]
    assert list(store.days("db_9")) == []


def test_an_empty_ledger_has_no_days(store: Store) -> None:
    known(store)
    assert list(store.days()) == list(store.days("db_1")) == []


def test_writing_goes_on_while_days_are_read_and_they_stay_as_they_were(store: Store) -> None:
    ledger = filled(store)
    reading = store.days()
    first = list(islice(reading, 10))
    ledger_state = store.load(NOW)
    post(store, update_of(ledger_state.databases["db_1"], recent_days=(day_usage(),)))
    assert first + list(reading) == ledger
    assert list(store.days()) == [*ledger, day_usage()]


def test_an_abandoned_iteration_holds_nothing_back(store: Store) -> None:
    ledger = filled(store, days=20)
    for _ in range(20):
        assert next(store.days()) == ledger[0]
    assert list(store.days()) == ledger


def test_ledger_rows_are_the_days_that_exist_and_their_months_in_every_workspace(store: Store) -> None:
    ledger = filled(store)
    months = tuple(
        month_usage(key, month, workspace_key=workspace_key)
        for month in (date(2026, 5, 1), date(2026, 6, 1))
        for key in (1, 2)
        for workspace_key in (1, 2)
    )
    post(store, LedgerUpdate(other_months=months))
    wanted = [(2, date(2026, 5, day)) for day in range(1, 32)]
    found = store.ledger_rows(iter(wanted))
    assert list(found.days) == [row for row in ledger if (row.database_key, row.day) in wanted]
    assert list(found.months) == [row for row in months if row.database_key == 2 and row.month == date(2026, 5, 1)]
    assert found.looked_up == frozenset(wanted)
    assert store.ledger_rows([]) == LedgerRows()


def test_thousands_of_ledger_rows_can_be_asked_for_at_once(store: Store) -> None:
    ledger = filled(store)
    found = store.ledger_rows((key, TODAY - back * DAY) for key in (1, 2, 3, 4) for back in range(700, 0, -1))
    assert list(found.days) == ledger
