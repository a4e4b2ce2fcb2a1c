"""What databases use that come and go while nobody looks is in no sum: so no such month is called whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from lives import backfill

from prisma_postgres_exporter.config import Credential
from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.documents import cost_rows_answer, month_document
from prisma_postgres_exporter.report import absence_sentences, ledger_month
from prisma_postgres_exporter.service.once import read_all
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, Vendor, VendorBehaviour, World, WorldShape
from prisma_postgres_exporter.store import Store
from rounds_bench import Bench, bench, configuration, tokens_of

CASES = int(os.environ.get("LEDGER_CASES", "3"))
BEGINS_AT = datetime(2026, 10, 30, 14, 0, tzinfo=UTC)
MONTHS = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
LONG = timedelta(hours=2)
NOTED = timedelta(minutes=30)
"""So much earlier may a look be told to have been."""


@dataclass(frozen=True)
class Look:
    """So long after the one before somebody looks again; meanwhile a database perhaps came and went."""

    after: timedelta
    is_visited: bool = False


looks = st.builds(
    Look,
    after=st.one_of(
        st.integers(1, 12).map(lambda count: timedelta(minutes=10 * count)),
        st.integers(1, 400).map(lambda count: timedelta(hours=count)),
    ),
    is_visited=st.booleans(),
)
# Every ten minutes, but for three days in which a database came and went.
A_PAUSE = [Look(timedelta(days=4)), *[Look(timedelta(minutes=10))] * 6, Look(timedelta(hours=67), is_visited=True)]
# A restart takes an hour and a half; the month before ends an hour after somebody looked last.
A_RESTART = [*[Look(timedelta(minutes=90))] * 24, Look(timedelta(hours=30))]
NIGHTLY = [Look(timedelta(days=1)) for _ in range(5)]


@settings(max_examples=CASES, derandomize=True, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(script=st.lists(looks, min_size=1, max_size=6), is_service=st.booleans())
@example(script=A_PAUSE, is_service=True)
@example(script=A_PAUSE, is_service=False)
@example(script=A_RESTART, is_service=False)
@example(script=NIGHTLY, is_service=False)
def test_a_month_is_whole_only_where_somebody_looked_often_enough(script: Sequence[Look], is_service: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(Life(f"sqlite:///{Path(folder) / 'store.db'}").live(script, is_service=is_service))


@dataclass
class Life:
    """A workspace that databases come to and leave, and who looks at it: a service, or commands one after the other."""

    store_url: str
    clock: ManualClock = field(default_factory=lambda: ManualClock(BEGINS_AT))
    looked_at: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = WorldShape(workspaces=1, projects_per_workspace=1, databases=1, idle_share=0.0)
        self.world = World(seed=7, shape=shape, begins_at=BEGINS_AT - timedelta(days=60))
        self.vendor = Vendor(self.world, VendorBehaviour())
        self.visits: list[tuple[datetime, datetime]] = []

    async def live(self, script: Sequence[Look], *, is_service: bool) -> None:
        script = [Look(timedelta(0)), *script]
        if is_service:
            async with self._running() as running:
                for look in script:
                    self._pass(look)
                    await running.round()
        else:
            for look in script:
                self._pass(look)
                async with self._running() as running:
                    await read_all(running.collector)
        async with self._running() as running:
            await backfill(running, MONTHS[0].date())
            assert (await running.stored()).workspaces == running.ledger_state.workspaces
            # Days of before that are asked for by themselves, too.
            gaps = await running.collector.in_store(lambda store: store.discovery_gaps(MONTHS[0]))
            for id_, row in running.ledger_state.workspaces.items():
                assert tuple(gaps.get(id_, ())) == row.discovery_gaps
            # Right after a look, and when nobody has looked for long.
            for now in (self.clock.now, self.clock.now + timedelta(days=2)):
                for month, ends_at in pairwise(MONTHS):
                    if month < now:
                        await self._check(running, month, min(ends_at, now), now)

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[Bench]:
        def make(credential: Credential, *_: object) -> DirectApi:
            return DirectApi(self.vendor, self.clock, credential.token.get_secret_value())

        async with bench(configuration(self.store_url), self.clock, tokens_of(self.world), make_api=make) as running:
            await running.identify()
            yield running

    def _pass(self, look: Look) -> None:
        came_at, went_at = self.clock.now + look.after / 4, self.clock.now + look.after / 2
        if look.is_visited:
            [project] = self.world.projects(self.clock.now)
            self.world.delete_database(self.world.add_database(project.id, at=came_at), at=went_at)
            self.visits.append((came_at, went_at))
        self.clock.advance(look.after)
        self.looked_at.append(self.clock.now)

    async def _check(self, running: Bench, month: datetime, ends_at: datetime, now: datetime) -> None:
        until = ends_at - timedelta(seconds=1) if ends_at < now else now
        held = await running.collector.in_store(partial(Store.load, now=until))
        days = await running.collector.in_store(lambda store: store.workspace_days(month.date()))
        told = ledger_month(held, running.collector.config, days, until, now)
        [row] = told.rows(By.WORKSPACE)
        document = month_document(row, is_over=told.is_over)
        answer = cost_rows_answer(told, (), {})
        sentences = [sentence for sentence in absence_sentences(told) if "nobody looked" in sentence]

        blind = max(self._unwatched(month, ends_at), default=timedelta(0))
        is_told = "discovery_gap" in document.usage_missing
        assert is_told or blind <= LONG, (month, blind)
        assert not is_told or blind > LONG - NOTED, (month, blind)
        assert len(sentences) == is_told == bool(answer.discovery_gaps)
        if is_told:
            assert not document.is_usage_complete
            assert document.is_complete == (row.cost is not None and row.cost.plan == "Free")
        for gap in answer.discovery_gaps:
            before = max(at for at in self.looked_at if gap.to_at is None or at < gap.to_at)
            assert before - NOTED <= gap.from_at <= before
            assert gap.to_at is None or gap.to_at in self.looked_at
        truth = self.world.workspace_operations(row.workspace_id, month, ends_at)
        assert (document.operations or 0) <= truth
        if document.is_usage_complete and all(went <= month or came >= ends_at for came, went in self.visits):
            assert document.operations == truth

    def _unwatched(self, month: datetime, ends_at: datetime) -> Sequence[timedelta]:
        """How long nobody looked in a month, each time, since it was first looked at."""
        ends = [*self.looked_at[1:], ends_at]
        spans = zip(self.looked_at, ends, strict=True)
        return [min(to, ends_at) - max(begun, month) for begun, to in spans]
