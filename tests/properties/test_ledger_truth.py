"""What must always hold of the ledger, on real stores and against a vendor that is late, revises and fails."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rounds import Ending, Fate, Rounds

from prisma_postgres_exporter.config import PollConfig
from prisma_postgres_exporter.config.values import rolling_windows
from prisma_postgres_exporter.simulator import Vendor, VendorBehaviour, World, WorldShape
from prisma_postgres_exporter.store import Store

CASES = int(os.environ.get("LEDGER_CASES", "40"))
POLL = PollConfig(windows=rolling_windows(("24h",)))
HOUR = timedelta(hours=1)

BEGINNINGS = (
    datetime(2026, 11, 23, 12, 0, tzinfo=UTC),
    datetime(2026, 11, 30, 20, 0, tzinfo=UTC),
    datetime(2026, 12, 31, 22, 30, tzinfo=UTC),
    datetime(2027, 2, 27, 23, 0, tzinfo=UTC),
    datetime(2028, 2, 28, 18, 0, tzinfo=UTC),
    datetime(2028, 3, 1, 0, 0, tzinfo=UTC),
)
ADVANCES = (timedelta(0), timedelta(minutes=5), HOUR, 7 * HOUR, 26 * HOUR, timedelta(days=4), timedelta(days=33))


@dataclass(frozen=True)
class Step:
    """Time passes, something happens, and a round runs."""

    advance: timedelta
    happens: str
    discovers: bool
    fates: Sequence[Fate]
    ending: Ending
    budget: int


steps = st.builds(
    Step,
    advance=st.sampled_from(ADVANCES),
    happens=st.sampled_from(["nothing"] * 6 + ["restart", "clock set back", "create", "rename", "delete"]),
    discovers=st.booleans(),
    fates=st.lists(st.sampled_from([Fate.ANSWERED] * 4 + list(Fate)), min_size=1, max_size=7),
    ending=st.sampled_from([Ending.STORED] * 3 + list(Ending)),
    budget=st.sampled_from([2, 11, 1_000]),
)
behaviours = st.builds(
    VendorBehaviour,
    known_after=st.sampled_from([timedelta(0), timedelta(minutes=50), 5 * HOUR]),
    known_every=st.sampled_from([timedelta(0), timedelta(minutes=30), 3 * HOUR]),
    revised_share=st.sampled_from([0.0, 0.3, 1.0]),
    revised_by=st.sampled_from([0.05, 0.5]),
    revised_for=st.sampled_from([5 * HOUR, timedelta(days=2), timedelta(days=3)]),
)


@pytest.fixture(scope="module")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "store.db"
    Store.open(f"sqlite:///{path}").close()
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Gives an empty store each time it is called."""
    numbers = count()
    opened: list[Store] = []

    def fresh_sqlite() -> Store:
        path = tmp_path / f"{next(numbers)}.db"
        shutil.copyfile(request.getfixturevalue("empty_sqlite"), path)
        while opened:
            opened.pop().close()
        opened.append(Store.open(f"sqlite:///{path}"))
        return opened[-1]

    def fresh_postgres() -> Store:
        url = request.getfixturevalue("postgres_url")
        if not opened:
            opened.append(Store.open(url))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "TRUNCATE plans, databases, workspaces, positions, days, months, windows, rolling, readings,"
                " revisions, events"
            )
            connection.execute("UPDATE store_state SET generation = 0, written_at = NULL")
        return opened[0]

    yield fresh_sqlite if request.param == "sqlite" else fresh_postgres
    for store in opened:
        store.close()


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    seed=st.integers(0, 10_000),
    begins_at=st.sampled_from(BEGINNINGS),
    behaviour=behaviours,
    script=st.lists(steps, min_size=1, max_size=14),
)
def test_whatever_happens_the_settled_ledger_is_the_truth(
    fresh_store: Callable[[], Store],
    seed: int,
    begins_at: datetime,
    behaviour: VendorBehaviour,
    script: Sequence[Step],
) -> None:
    world = World(
        seed=seed,
        shape=WorldShape(
            workspaces=2, projects_per_workspace=1, databases=3, idle_share=0.1, operations_per_day=(10, 50_000)
        ),
        begins_at=begins_at - timedelta(days=40),
    )
    rounds = Rounds(vendor=Vendor(world, behaviour), store=fresh_store(), poll=POLL, now=begins_at)
    rounds.discover()
    newest_at = begins_at
    for step in script:
        rounds.now += step.advance
        newest_at = max(newest_at, rounds.now)
        happen(rounds, step.happens, newest_at)
        if step.discovers:
            rounds.discover()
        rounds.round(step.fates, step.ending, budget=step.budget)
    rounds.check_book()

    until = newest_at.date()
    rounds.now = newest_at
    settled_at = rounds.vendor.final_at(until) + timedelta(days=3)
    rounds.settle(settled_at, every=13 * HOUR)
    rounds.check_book()
    # What a deleted database did after it was read last, nobody can know.
    rounds.check_truth(until=until, by_workspace=all(step.happens != "delete" for step in script))


def happen(rounds: Rounds, what: str, newest_at: datetime) -> None:
    world = rounds.vendor.world
    existing = world.databases(rounds.now)
    if what == "restart":
        rounds.restart()
    elif what == "clock set back":
        rounds.now -= 3 * HOUR
    elif rounds.now < newest_at:
        return  # the world's own past cannot be changed any more
    elif what == "create":
        world.add_database(existing[0].project_id, at=rounds.now)
    elif what == "rename":
        world.rename_database(existing[0].id, f"renamed at {rounds.now}", at=rounds.now)
    elif what == "delete" and len(existing) > 1:
        world.delete_database(existing[-1].id, at=rounds.now)
