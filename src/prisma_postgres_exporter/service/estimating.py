"""What a configuration will cost before it runs: requests, time to the first numbers, age, series, memory and store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import charge
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, SeriesCap, room
from prisma_postgres_exporter.ledger.rehearsal import (
    Steady,
    Vendor,
    at_every_reading,
    rehearse_day,
    rehearse_start,
)
from prisma_postgres_exporter.model import LedgerState
from prisma_postgres_exporter.snapshot import INTERVALS_MISSED, Snapshot, take_snapshot
from prisma_postgres_exporter.store import first_days

LISTED_AT_ONCE = 100
"""The API returns at most so many projects or databases at once."""

OWN_SERIES = 60
OWN_SERIES_EACH = 4
"""What the exporter shows of itself when all is well, and as much more for each workspace."""

RESIDENT_BYTES = 118 * 2**20
RESIDENT_BYTES_EACH = 9_800
"""Measured: tests/benchmarks/test_against_others.py prints the line through what is resident of each size after one
round, and services of 40, 100 and 300 databases came to 116, 120 and 132 MiB at most in 45 minutes.
"""

POSTGRES_RESIDENT_BYTES = 14 * 2**20
"""As much more where the store is on a server: the driver, and what its connections hold.

Measured: `serve` of 20, 60 and 300 databases, beside the same with SQLite, took 12, 12 and 10 MiB more after ten
minutes.
"""

CPU_SECONDS_A_REQUEST = 0.0013
"""Measured at 10,000 and 50,000 databases, all included but scrapes: the same table."""

STORE_BYTES = 90_000
DATABASE_BYTES = 900
DAY_BYTES = 52
READING_BYTES = 37
"""Measured in SQLite: an empty store, and what a row takes with its indexes."""

STORE_DAYS = 30

ADAPTIVE_LATER = 0.1
"""Of an interval: so much later, on average, is news seen that comes up to an interval late (see requests.md)."""

CROWDED = 0.8
SLOW_PACE = 1 / 15
UNSURE = 1.5
"""With so much of the pace in use, or so few requests a second, the longest ages of two days differ so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An ordinary day in the middle of a month, and the start at an instant with an empty store.

    The requests are between `least_…` and `most_requests_per_hour` whatever the vendor does, where it is not known how
    often it publishes. `mean_delay_is_at_most` that: an adaptive plan's hangs on the instants of publication;
    `longest_age_is_at_most` that where reads wait for each other, as it hangs on which of them fall due together.

    `largest_capacity_ratio` is the part of its pace that the largest workspace needs: from 1 on numbers become older.
    The ages and the times of the start are that one's; `None`: not within two days. `databases_with_series` are those
    that `web.max_series` leaves series of their own. The store is that of SQLite after `STORE_DAYS` days.
    """

    workspaces: int
    databases: int
    requests_per_hour: float
    least_requests_per_hour: float
    most_requests_per_hour: float
    usage_requests_per_hour: float
    largest_capacity_ratio: float
    mean_age_seconds: float
    longest_age_seconds: float
    longest_age_is_at_most: bool
    mean_delay_seconds: float
    mean_delay_is_at_most: bool
    first_numbers_seconds: float | None
    filled_seconds: float | None
    series: int
    databases_with_series: int
    resident_bytes: int
    cpu_cores: float
    store_bytes: int


def estimate(config: Config, sizes: Sequence[int], vendor: Vendor, *, now: datetime, projects: int = 1) -> Estimate:
    """Estimate for workspaces with so many databases each (`sizes`), in so many `projects` each.

    The plan without what a budget learns: it can only ask less.
    """
    sizes = [size for size in sizes if size] or [0]
    largest, databases = max(sizes), sum(sizes)
    polled = max(largest, 1)
    day = rehearse_day(config.poll, vendor, databases=polled, now=now)
    _, known_until = first_days(now.replace(year=now.year - 1, day=1), now, now)
    start = rehearse_start(config.poll, vendor, databases=polled, known_until=known_until, now=now)
    pace = config.poll.requests_per_second
    capacity = 3_600 * min(pace, config.poll.concurrency / max(vendor.latency.total_seconds(), 1e-9))
    each = rehearse_day(config.poll, vendor, databases=1, now=now).reads_per_hour
    usage = sum(min(size * each, capacity) if size < largest else day.reads_per_hour for size in sizes if size)
    discovery = sum(_discovery_per_hour(config, size, projects) for size in sizes)
    bounds = [usage, usage]
    if vendor.is_assumed:
        for index, changes in enumerate((0.0, at_every_reading(config.poll))):
            other = replace(vendor, changes_per_day=changes)
            one = rehearse_day(config.poll, other, databases=1, now=now).reads_per_hour
            bounds[index] = sum(min(size * one, capacity) for size in sizes)
    # Whoever publishes at any instant waits as long as the newest reading then is old.
    delay = day.mean_age_seconds
    if config.poll.adaptive:
        steady = config.poll.model_copy(update={"adaptive": False})
        later = config.poll.interval.total_seconds() * ADAPTIVE_LATER
        delay = rehearse_day(steady, vendor, databases=polled, now=now).mean_age_seconds + later
    requests_per_hour = usage + discovery
    waits_long = largest * each >= CROWDED * capacity or pace < SLOW_PACE
    series, with_series = series_of(config, day, len(sizes), databases)
    return Estimate(
        workspaces=len(sizes),
        databases=databases,
        requests_per_hour=requests_per_hour,
        least_requests_per_hour=min(bounds[0], usage) + discovery,
        most_requests_per_hour=max(bounds[1], usage) + discovery,
        usage_requests_per_hour=usage,
        largest_capacity_ratio=largest * each / capacity,
        mean_age_seconds=day.mean_age_seconds,
        longest_age_seconds=day.longest_age_seconds * (UNSURE if waits_long else 1.0),
        longest_age_is_at_most=waits_long,
        mean_delay_seconds=delay,
        mean_delay_is_at_most=config.poll.adaptive,
        first_numbers_seconds=start.first_numbers_seconds,
        filled_seconds=start.filled_seconds,
        series=series,
        databases_with_series=with_series,
        resident_bytes=_resident_bytes(config, databases),
        cpu_cores=requests_per_hour / 3_600 * CPU_SECONDS_A_REQUEST,
        store_bytes=_store_bytes(config, day, databases),
    )


def _discovery_per_hour(config: Config, databases: int, projects: int) -> float:
    """Who the token is, the lists of projects and databases page by page, and the subscription."""
    pages = max(1, math.ceil(projects / LISTED_AT_ONCE)) + max(1, math.ceil(databases / LISTED_AT_ONCE))
    every, subscription_every = config.discovery.interval, config.discovery.subscription_interval
    return 3_600 / every.total_seconds() * (1 + pages) + 3_600 / subscription_every.total_seconds()


def _resident_bytes(config: Config, databases: int) -> int:
    of_the_store = 0 if config.store.url.startswith("sqlite:") else POSTGRES_RESIDENT_BYTES
    return RESIDENT_BYTES + of_the_store + databases * RESIDENT_BYTES_EACH


def series_of(config: Config, day: Steady, workspaces: int, databases: int) -> tuple[int, int]:
    """How many samples all will show, and how many databases have their own: drawn from what the rehearsal knows."""
    drawn = day.workspace
    state = LedgerState(workspaces={drawn.workspace.id: drawn})
    now = max(row.last_success_at for row in drawn.databases.values() if row.last_success_at is not None)
    snapshot = take_snapshot(
        state,
        followed=drawn.databases.keys(),
        workspace_failures={drawn.workspace.id: None},
        silent_after=config.poll.silent_for(INTERVALS_MISSED),
        keep_last_value=config.poll.keep_last_value,
        window_names=[window.name for window in config.poll.windows],
        now=now,
        costs=charge(state, config, (), now),
    )
    windows = len(config.poll.windows)
    of_databases, of_workspace = _drawn(snapshot)
    fixed = OWN_SERIES + workspaces * (OWN_SERIES_EACH + of_workspace)
    whole = fixed + round(databases * of_databases / len(drawn.databases))
    most = config.web.max_series
    if most is None:
        return whole, databases
    shared = room(most, workspaces=workspaces, databases=databases, windows=windows)
    if shared.kept == databases:
        return whole, databases
    of_sum, _ = _drawn(SeriesCap(0).apply(snapshot, windows=windows))
    return fixed + shared.kept * of_databases // len(drawn.databases) + workspaces * of_sum, shared.kept


def _drawn(snapshot: Snapshot) -> tuple[int, int]:
    """How many samples databases have, and what is not of one."""
    exposition = Exposition(ExporterHealth())
    exposition.render(snapshot)
    lines = [line for line in exposition.snapshot_text().splitlines() if not line.startswith(b"#")]
    of_databases = sum(b"database_id=" in line for line in lines)
    return of_databases, len(lines) - of_databases


def _store_bytes(config: Config, day: Steady, databases: int) -> int:
    kept_days = min(STORE_DAYS, config.store.keep_readings / timedelta(days=1))
    return size_of_store(
        databases=databases,
        days=databases * STORE_DAYS,
        readings=round(databases * kept_days * day.readings_per_day),
    )


def size_of_store(*, databases: int, days: int, readings: int) -> int:
    """The bytes of a SQLite store with so many rows."""
    return STORE_BYTES + databases * DATABASE_BYTES + days * DAY_BYTES + readings * READING_BYTES
