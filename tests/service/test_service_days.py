"""The days of a workspace, as its page has them: known where nothing that lived there is missing, as its rows are."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from prisma_postgres_exporter.api import Usage
from prisma_postgres_exporter.config import Credential
from prisma_postgres_exporter.cost import ABOUT, By
from prisma_postgres_exporter.errors import Unavailable
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.report import Chosen, days_of_rows
from prisma_postgres_exporter.service import LedgerReader
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor, World, WorldShape
from rounds_bench import Bench, bench, configuration, tokens_of

BEGINS_AT = datetime(2026, 11, 5, 9, 20, tzinfo=UTC)
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Step:
    """So long passes, and what happens to a database (by its place) before: it fails from then on, or not any more."""

    hours: int
    what: str = "nothing"
    place: int = 0


steps = st.builds(
    Step,
    hours=st.sampled_from([2, 6, 26, 38]),
    what=st.sampled_from(["nothing", "fails", "works", "deleted", "created", "moved", "unseen"]),
    place=st.integers(0, 3),
)
A_FAILURE = (Step(30), Step(50, "fails"), Step(30), Step(2, "works"))
IN_A_FIRST_ROUND = (Step(0, "fails"), Step(26))
LOST = (Step(30, "fails"), Step(40, "deleted"), Step(30))
ELSEWHERE = (Step(30, "moved"), Step(40), Step(30, "fails"), Step(30, "moved"))


class FailingApi(DirectApi):
    """Answers for no database that fails."""

    failing: ClassVar[set[str]] = set()

    async def usage(
        self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
    ) -> Usage:
        if database_id in self.failing:
            raise Unavailable("something went wrong", reason="http_500", status=500)
        return await super().usage(database_id, start_at=start_at, end_at=end_at)


@settings(max_examples=4, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(script=st.lists(steps, min_size=1, max_size=4))
@example(script=A_FAILURE)
@example(script=IN_A_FIRST_ROUND)
@example(script=LOST)
@example(script=ELSEWHERE)
def test_a_day_of_a_workspace_is_known_where_the_rows_of_its_databases_are(script: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_live(f"sqlite:///{Path(folder) / 'ledger.db'}", script))


async def _live(store_url: str, script: Sequence[Step]) -> None:
    clock = ManualClock(BEGINS_AT)
    shape = WorldShape(workspaces=2, projects_per_workspace=2, databases=4, idle_share=0.0)
    world = World(seed=3, shape=shape, begins_at=BEGINS_AT - timedelta(days=60))
    vendor, failing = Vendor(world), FailingApi.failing
    failing.clear()

    def make(credential: Credential, *_: object) -> FailingApi:
        return FailingApi(vendor, clock, credential.token.get_secret_value())

    async with bench(configuration(store_url), clock, tokens_of(world), make_api=make) as running:
        if script[0].hours:
            await running.round()
        for step in script:
            databases = sorted(world.databases(clock.now), key=lambda row: row.id)
            chosen = databases[step.place % len(databases)]
            if step.what == "fails":
                failing.add(chosen.id)
            elif step.what == "works":
                failing.clear()
            elif step.what == "deleted" and len(databases) > 2:
                world.delete_database(chosen.id, at=clock.now)
            elif step.what == "created":
                world.add_database(chosen.project_id, at=clock.now)
            elif step.what == "moved":
                [other] = [row.id for row in world.workspaces(clock.now) if row.id != chosen.workspace_id]
                world.move_project(chosen.project_id, other, at=clock.now)
            for _ in range(step.hours // 2):
                clock.advance(timedelta(hours=2))
                if step.what != "unseen":
                    await running.round()
        # Days are read again some seconds after news at the earliest.
        clock.advance(timedelta(minutes=1))
        await running.round()
        await _check(running, world, store_url)


async def _check(running: Bench, world: World, store_url: str) -> None:
    now, seen = running.clock.now, 0
    with closing(LedgerReader(lambda: running.collector.config, lambda: now)) as reader:
        for id_, shown in running.display.days_by_workspace.items():
            rows, _ = await reader.days(
                shown[0].day, now.date(), By.WORKSPACE, Chosen(workspace_id=id_), most_rows=1_000
            )
            by_rows = {day.day: day for day in days_of_rows(rows)}
            in_doubt = {row.period for row in rows if row.unplaced_databases}
            for day in shown:
                beside, ends_at = by_rows[day.day], day_start(day.day) + ONE_DAY
                assert day.are_operations_known == beside.are_operations_known
                truth = world.workspace_operations(id_, day_start(day.day), min(now, ends_at))
                assert (day.operations or 0) <= truth
                if f"{day.day}" not in in_doubt and ends_at <= now:
                    assert day.storage_bytes == pytest.approx(beside.storage_bytes, rel=1e-6)
                # A level of a database that may have been elsewhere can be known in part.
                is_weaker = f"{day.day}" in in_doubt and day.storage_qualifier == ABOUT
                assert day.storage_qualifier == beside.storage_qualifier or is_weaker, (id_, day, beside)
                # Those of today grow all the time, and are read again every few minutes.
                if ends_at <= now:
                    assert day.operations == beside.operations
                    assert not day.are_operations_known or day.operations == truth
                seen += 1
    assert seen
