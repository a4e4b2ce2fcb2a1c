"""What `plan` says before, held against what the shipped rounds do on simulated time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from prisma_postgres_exporter import api
from prisma_postgres_exporter.config import Config, PollConfig
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format
from prisma_postgres_exporter.ledger.rehearsal import Vendor, at_every_reading, rehearse_day
from prisma_postgres_exporter.model import day_start
from prisma_postgres_exporter.rounds import Collector
from prisma_postgres_exporter.service.display import Display
from prisma_postgres_exporter.service.estimating import estimate, series_of, size_of_store
from prisma_postgres_exporter.service.looking import stored_changes_per_day
from prisma_postgres_exporter.simulator import DirectApi, ManualClock, VendorBehaviour
from prisma_postgres_exporter.simulator.direct import Listed
from prisma_postgres_exporter.store import Store
from rounds_bench import configuration, small_vendor, tokens_of
from virtual_time import InlineExecutor, run_virtually

BEGINS_AT = datetime(2026, 11, 14, 9, 0, tzinfo=UTC)
LATENCY = timedelta(milliseconds=200)
ONE_HOUR = 3_600.0
TEN, FIVE = timedelta(seconds=10), timedelta(minutes=5)


@dataclass(kw_only=True)
class Lived:
    """What the vendor saw, in seconds since the start, and what was shown and stored at the end."""

    asked: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    open_days: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    answered: dict[str, float] = field(default_factory=dict)
    filled: float | None = None
    series: int = 0


async def lived(config: Config, *, databases: int, hours: float, known_every: timedelta) -> Lived:
    """The shipped rounds of one workspace, at the pace of its credential, for so many hours."""
    loop = asyncio.get_running_loop()
    behaviour = VendorBehaviour(known_every=known_every)
    vendor = small_vendor(ManualClock(BEGINS_AT), behaviour=behaviour, workspaces=1, databases=databases)
    seen = Lived()
    free_at = 0.0

    def clock() -> datetime:
        return BEGINS_AT + timedelta(seconds=loop.time())

    class PacedApi(DirectApi):
        async def usage(
            self, database_id: str, *, start_at: datetime | None = None, end_at: datetime | None = None
        ) -> api.Usage:
            nonlocal free_at
            # As the client's own: whoever comes after a pause is not held up.
            asks_at = max(free_at, loop.time())
            free_at = asks_at + 1 / config.poll.requests_per_second
            await asyncio.sleep(asks_at - loop.time())
            seen.asked.append(loop.time())
            await asyncio.sleep(LATENCY.total_seconds())
            seen.answered.setdefault(database_id, loop.time())
            if start_at == day_start(clock().date()):
                seen.open_days[database_id].append(loop.time())
            return await super().usage(database_id, start_at=start_at, end_at=end_at)

        async def me(self) -> api.Me:
            seen.others.append(loop.time())
            return await super().me()

        def projects(self) -> Listed[api.Project]:
            seen.others.append(loop.time())
            return super().projects()

        def databases(self) -> Listed[api.Database]:
            seen.others.append(loop.time())
            return super().databases()

        async def subscription(self, workspace_id: str) -> api.Subscription:
            seen.others.append(loop.time())
            return await super().subscription(workspace_id)

    store = Store.open(config.store.url)
    health = ExporterHealth()
    collector = Collector(
        config=config,
        store=store,
        health=health,
        clock=clock,
        store_threads=InlineExecutor(),
        make_api=lambda credential, *_: PacedApi(vendor.vendor, clock, credential.token.get_secret_value()),
    )
    await collector.open()
    await collector.use_tokens(tokens_of(vendor.world))
    workspace_id = await collector.identify("token-1")
    assert workspace_id is not None
    while loop.time() < hours * ONE_HOUR:
        report = await collector.round(workspace_id)
        states = collector.ledger_state.databases.values()
        yesterday = clock().date() - timedelta(days=1)
        if seen.filled is None and all(
            state.known_until >= yesterday and len(state.rolling) == len(config.poll.windows) for state in states
        ):
            seen.filled = loop.time()
        await asyncio.sleep(max(0.001, (report.next_at - clock()).total_seconds()))
    exposition = Exposition(health)
    display = Display(collector, exposition, health, clock)
    await display.refresh()
    text = exposition.body(Format.TEXT, is_gzip=False).joined()
    seen.series = sum(not line.startswith(b"#") for line in text.splitlines())
    await collector.close()
    store.close()
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("known_every", [timedelta(hours=3), timedelta(minutes=5)])
def test_a_day_asks_what_was_planned_and_its_numbers_are_as_old(tmp_path: Path, known_every: timedelta) -> None:
    config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", requests_per_second=10.0)
    happened = run_virtually(lived(config, databases=4, hours=40.0, known_every=known_every))

    vendor = Vendor(changes_per_day=timedelta(days=1) / known_every, latency=LATENCY)
    planned = estimate(config, [4], vendor, now=BEGINS_AT)
    changes = stored_changes_per_day(config, now=BEGINS_AT + timedelta(hours=40))
    assert changes is not None
    told = estimate(config, [4], Vendor(changes_per_day=changes, latency=LATENCY), now=BEGINS_AT)
    assumed = estimate(config, [4], Vendor(is_assumed=True, latency=LATENCY), now=BEGINS_AT)

    begins = 16 * ONE_HOUR
    usage = sum(at >= begins for at in happened.asked) / 24
    assert planned.usage_requests_per_hour == pytest.approx(usage, rel=0.1)
    others = sum(at >= begins for at in happened.others) / 24
    assert planned.requests_per_hour == pytest.approx(usage + others, rel=0.1)
    # The store tells the same, and what is said without it holds whatever the vendor does.
    assert told.usage_requests_per_hour == pytest.approx(usage, rel=0.1)
    assert (planned.least_requests_per_hour, planned.most_requests_per_hour) == (planned.requests_per_hour,) * 2
    assert 0.9 * assumed.least_requests_per_hour < usage + others < 1.1 * assumed.most_requests_per_hour
    gaps = [
        later - earlier
        for instants in happened.open_days.values()
        for earlier, later in pairwise(at for at in instants if at >= begins)
    ]
    assert planned.mean_age_seconds == pytest.approx(sum(gap**2 for gap in gaps) / sum(gaps) / 2, rel=0.1)
    assert planned.longest_age_seconds == pytest.approx(max(gaps), rel=0.1)
    # A few publications, each somewhere in an interval: within a tenth of one.
    assert planned.mean_delay_seconds == pytest.approx(_mean_delay(happened, known_every), abs=30.0)


@pytest.mark.slow
def test_an_adaptive_day_asks_what_was_planned(tmp_path: Path) -> None:
    config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", requests_per_second=10.0)
    config = config.model_copy(update={"poll": config.poll.model_copy(update={"adaptive": True})})
    happened = run_virtually(lived(config, databases=4, hours=40.0, known_every=timedelta(hours=3)))
    planned = estimate(config, [4], Vendor(changes_per_day=8, latency=LATENCY), now=BEGINS_AT)

    usage = sum(at >= 16 * ONE_HOUR for at in happened.asked) / 24
    assert planned.usage_requests_per_hour == pytest.approx(usage, rel=0.1)
    # The delay hangs on the instants of publication: a bound is what can be promised.
    assert planned.mean_delay_is_at_most
    assert _mean_delay(happened, timedelta(hours=3)) <= planned.mean_delay_seconds <= 0.6 * config.poll.interval.seconds


@pytest.mark.slow
@pytest.mark.parametrize(
    ("databases", "pace"),
    [(2, 0.02), (12, 0.03)],
)
def test_a_slow_pace_asks_what_was_planned_and_nothing_twice(tmp_path: Path, databases: int, pace: float) -> None:
    config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", requests_per_second=pace)
    happened = run_virtually(lived(config, databases=databases, hours=36.0, known_every=timedelta(hours=3)))
    planned = estimate(config, [databases], Vendor(latency=LATENCY), now=BEGINS_AT)

    begins = 12 * ONE_HOUR
    usage = sum(at >= begins for at in happened.asked) / 24
    assert planned.usage_requests_per_hour == pytest.approx(usage, rel=0.1)
    gaps = [
        later - earlier
        for instants in happened.open_days.values()
        for earlier, later in pairwise(at for at in instants if at >= begins)
    ]
    assert planned.mean_age_seconds == pytest.approx(sum(gap**2 for gap in gaps) / sum(gaps) / 2, rel=0.1)
    assert planned.longest_age_is_at_most
    assert max(gaps) <= planned.longest_age_seconds <= 2.5 * max(gaps)
    # Once in an interval, and not again because an answer came between two rounds, or beside another one's.
    assert len(gaps) <= databases * (24 * ONE_HOUR / config.poll.interval.seconds + 1)


def _mean_delay(happened: Lived, known_every: timedelta) -> float:
    """From each publication of the last day to the first answer after it."""
    origin, every = BEGINS_AT.timestamp(), known_every.total_seconds()
    published = [
        number * every - origin for number in range(int(origin // every), int((origin + 40 * ONE_HOUR) // every))
    ]
    delays = [
        min(at for at in instants if at >= began) - began
        for instants in happened.open_days.values()
        for began in published
        if 16 * ONE_HOUR <= began < instants[-1]
    ]
    return sum(delays) / len(delays)


@pytest.mark.slow
@pytest.mark.parametrize(("databases", "pace"), [(30, 1.0), (30, 0.4)])
def test_the_start_takes_as_long_as_was_planned(tmp_path: Path, databases: int, pace: float) -> None:
    config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}", requests_per_second=pace)
    happened = run_virtually(lived(config, databases=databases, hours=3.0, known_every=timedelta(hours=3)))

    planned = estimate(config, [databases], Vendor(latency=LATENCY), now=BEGINS_AT)

    assert happened.filled is not None
    assert planned.filled_seconds == pytest.approx(happened.filled, rel=0.1)
    assert planned.first_numbers_seconds == pytest.approx(max(happened.answered.values()), rel=0.1)
    assert planned.series == pytest.approx(happened.series, rel=0.1)
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("databases", "days", "readings")
        }
    assert size_of_store(**counts) == pytest.approx(path.stat().st_size, rel=0.1)


def test_a_short_interval_keeps_and_shows_what_a_long_one_does() -> None:
    """One database, a publication in three hours: it is read more often, and told no more."""
    usual, short = (
        rehearse_day(PollConfig(interval=every), Vendor(), databases=1, now=BEGINS_AT) for every in (FIVE, TEN)
    )

    assert usual.readings_per_day > 2 * Vendor().changes_per_day
    assert short.readings_per_day == pytest.approx(usual.readings_per_day, rel=0.1)
    assert short.reads_per_hour == pytest.approx(360, rel=0.1)
    [before], [now] = usual.workspace.databases.values(), short.workspace.databases.values()
    assert len(now.months) == len(before.months)
    assert {row.window_name for row in now.rolling} == {row.window_name for row in before.rolling}


def test_a_short_interval_asks_more_where_there_is_news() -> None:
    poll = PollConfig(interval=timedelta(seconds=45))
    quiet, usual, hourly = (
        rehearse_day(poll, Vendor(changes_per_day=changes), databases=1, now=BEGINS_AT).reads_per_hour
        for changes in (0, 8, 24)
    )

    # With each publication the month is read too.
    assert usual - quiet == pytest.approx(8 / 24)
    assert hourly - quiet == pytest.approx(1.0)


def test_news_once_a_second_is_news_for_every_reading() -> None:
    poll = PollConfig(interval=timedelta(seconds=20))
    every, said = (
        rehearse_day(poll, Vendor(changes_per_day=changes), databases=1, now=BEGINS_AT)
        for changes in (at_every_reading(poll), 86_400)
    )

    assert said.reads_per_hour == pytest.approx(every.reads_per_hour, rel=0.01)
    assert said.readings_per_day == pytest.approx(every.readings_per_day, rel=0.01)
    assert said.readings_per_day > 86_400 / 20


def test_a_bound_on_series_that_all_sums_exceed_is_told_by_what_is_shown(tmp_path: Path) -> None:
    config = configuration(f"sqlite:///{tmp_path / 'ledger.db'}")

    def planned(most: int | None) -> tuple[int, int]:
        capped = config.model_copy(update={"web": config.web.model_copy(update={"max_series": most})})
        day = rehearse_day(config.poll, Vendor(), databases=1, now=BEGINS_AT)
        return series_of(capped, day, 30, 300)

    whole, of_whole = planned(None)
    summed, of_summed = planned(1_000)
    assert (of_whole, of_summed) == (300, 0)
    # One sum has fewer series than ten databases, but what each workspace has stays.
    assert 1_000 < summed < whole / 3
