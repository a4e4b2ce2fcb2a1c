"""A bound on series: never exceeded, totals as they were, counters that never fall, absent where nothing is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from expose_views import A_DATABASE, A_WORKSPACE, NOW, Samples, is_own, parsed, plain, tell_everything
from hypothesis import given, settings
from hypothesis import strategies as st

from prisma_postgres_exporter.cost import Bill
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, SeriesCap, room
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot

WINDOWS = 3
REASONS = ("timeout", "connect_timeout", "unreachable", "tls", "disconnected", "http_401", "http_404", "http_408",
    "http_429", "http_500", "http_502", "http_503", "http_504", "plan_limit_reached", "wrong_shape", "absurd_number",
    "other_period", "clock_skew", "not_json", "too_large")  # fmt: skip
IDS = ("wksp_a", "wksp_b")
SUMMED = {
    "operations_total", "window_operations", "day_to_date_operations", "previous_day_operations",
    "month_to_date_operations", "previous_month_operations", "storage_bytes", "revisions_total",
    "reconciliation_difference_operations", "month_to_date_cost_usd",
}  # fmt: skip
COUNTERS = {"prisma_postgres_database_operations_total", "prisma_postgres_database_revisions_total"}
Totals = dict[tuple[str, frozenset[tuple[str, str]]], float]


def snapshot_of(databases: Sequence[DatabaseView]) -> Snapshot:
    ordered = sorted(databases, key=lambda view: (view.workspace_id, view.project_id, view.database_id))
    views = tuple(replace(A_WORKSPACE, workspace_id=id_) for id_ in IDS)
    return Snapshot(taken_at=NOW, workspaces=views, databases=tuple(ordered))


def bound_for(kept: int, *, databases: int = 10**6) -> int:
    """The smallest bound that keeps so many databases."""
    share = room(10**9, workspaces=len(IDS), databases=databases, windows=WINDOWS)
    return share.least + kept * share.each


def samples_of(snapshot: Snapshot) -> Samples:
    exposition = Exposition(ExporterHealth())
    exposition.render(snapshot)
    return {key: value for key, value in parsed(plain(exposition), Format.TEXT).items() if not is_own(key[0])}


def by_workspace(samples: Samples) -> Totals:
    """`sum without (project_id, database_id)` of what can be summed."""
    totals: Totals = defaultdict(float)
    for (name, labels), value in samples.items():
        if name.removeprefix("prisma_postgres_database_") in SUMMED:
            kept = frozenset(label for label in labels if label[0] not in {"project_id", "database_id"})
            totals[name, kept] += value
    return dict(totals)


_counts = st.none() | st.integers(0, 2**20)


@st.composite
def histories(draw: st.DrawFn) -> list[Snapshot]:
    """Snapshots one after the other: databases grow, are not known for a while, come and go."""
    held: dict[str, DatabaseView] = {}
    totals: dict[str, int] = {}
    revised: dict[str, int] = {}
    history = []
    for _ in range(draw(st.integers(2, 6))):
        for number in range(6):
            id_ = f"db_{number}"
            match draw(st.sampled_from(["stay", "live", "live", "live", "unknown", "gone"])):
                case "live":
                    totals[id_] = totals.get(id_, 0) + draw(st.integers(0, 2**20))
                    revised[id_] = revised.get(id_, 0) + draw(st.integers(0, 2))
                    usd = st.none() | st.decimals(0, 99, places=2)
                    held[id_] = replace(
                        A_DATABASE,
                        workspace_id=IDS[number % 2],
                        database_id=id_,
                        operations_total=totals[id_],
                        revisions_up=revised[id_],
                        day_to_date_operations=draw(_counts),
                        previous_day_operations=draw(_counts),
                        month_to_date_operations=draw(_counts),
                        previous_month_operations=draw(_counts),
                        storage_bytes=draw(_counts),
                        reconciliation_difference_operations=draw(st.none() | st.integers(-9, 9)),
                        rolling=tuple(
                            (name, draw(st.integers(0, 9)))
                            for name in draw(st.sampled_from([("24h", "7d"), ("7d",), ()]))
                        ),
                        cost=draw(
                            st.none()
                            | st.builds(Bill, fee=usd, operations=usd, storage=usd, are_operations_known=st.booleans())
                        ),
                    )
                case "unknown" if id_ in held:
                    held[id_] = replace(held[id_], operations_total=None, month_to_date_operations=None, rolling=())
                case "gone":
                    held.pop(id_, None)
                case _:
                    pass
        history.append(snapshot_of(list(held.values())))
    return history


@settings(max_examples=15)
@given(history=histories(), kept=st.integers(0, 4))
def test_totals_by_workspace_are_as_without_the_cap_and_unknown_is_not_zero(history: list[Snapshot], kept: int) -> None:
    cap = SeriesCap(bound_for(kept))
    for snapshot in history:
        whole, capped = (
            by_workspace(samples_of(snapshot)),
            by_workspace(samples_of(cap.apply(snapshot, windows=WINDOWS))),
        )
        assert capped.keys() == whole.keys()
        for key in whole.keys() if cap.summed else ():
            if key[0] not in COUNTERS:
                assert capped[key] == pytest.approx(whole[key], abs=1e-6)


@pytest.mark.parametrize("restarts", [0, 2])
def test_a_sum_counts_since_its_process_began_whoever_is_in_it(restarts: int) -> None:
    began_at = NOW
    for _ in range(restarts + 1):
        cap = SeriesCap(bound_for(1))
        for number in range(3):
            now = began_at + number * timedelta(minutes=1)
            views = [
                replace(A_DATABASE, database_id=f"db_{place}", counting_since_at=NOW - timedelta(days=place + number))
                for place in range(4)
            ]
            capped = cap.apply(replace(snapshot_of(views), taken_at=now), windows=WINDOWS)
            began = {view.database_id: view.counting_since_at for view in capped.databases}
            assert began["other"] == began_at
            assert sorted(began) == ["db_0", "other"]
        began_at += timedelta(hours=1)


@settings(max_examples=15)
@given(history=histories(), kept=st.integers(0, 4))
def test_a_sums_counters_never_fall_and_no_operation_is_counted_twice(history: list[Snapshot], kept: int) -> None:
    cap = SeriesCap(bound_for(kept))
    shown = [samples_of(cap.apply(snapshot, windows=WINDOWS)) for snapshot in history]
    highest: Samples = {}
    for samples in shown:
        for key, value in samples.items():
            if key[0] in COUNTERS and ("database_id", "other") in key[1]:
                assert value >= highest.get(key, 0.0)
                highest[key] = value
    # As Prometheus' increase(): of each series what it grew since it was shown last, the first sample counts nothing.
    last: Samples = {}
    for step, ((before, after), (old, new)) in enumerate(zip(pairwise(shown), pairwise(history), strict=True)):
        # A sum that was not shown may have counted for a step before.
        there = {view.database_id for view in old.databases}
        last = {key: value for key, value in last.items() if dict(key[1]).get("database_id") in there} | before
        for id_ in IDS:
            counted = sum(
                after[key] - last[key]
                for key in after.keys() & last.keys()
                if key[0] == "prisma_postgres_database_operations_total" and ("workspace_id", id_) in key[1]
            )
            assert counted <= _came(history[: step + 2], id_)
            has_sum = all(
                any(
                    ("database_id", "other") in labels
                    and ("workspace_id", id_) in labels
                    and name == "prisma_postgres_database_operations_total"
                    for name, labels in samples
                )
                for samples in (before, after)
            )
            if has_sum and _are_all_known(old, new, id_):
                assert counted == _came([old, new], id_)


@settings(max_examples=15)
@given(history=histories(), bounds=st.lists(st.integers(0, 6), min_size=6, max_size=6))
def test_whoever_adds_up_all_counters_counts_no_operation_twice(history: list[Snapshot], bounds: list[int]) -> None:
    """However places change: where a series goes on after a gap, and where it is taken to begin at 0."""
    cap = SeriesCap(bound_for(bounds[0]))
    capped, whole = [], []
    for snapshot, kept in zip(history, bounds, strict=False):
        cap._most = bound_for(kept)
        capped.append(samples_of(cap.apply(snapshot, windows=WINDOWS)))
        whole.append(samples_of(snapshot))
    for from_zero in (False, True):
        for key, value in _increases(capped, from_zero=from_zero).items():
            assert value <= _increases(whole, from_zero=from_zero)[key]


def _increases(shown: Sequence[Samples], *, from_zero: bool) -> dict[tuple[str, str | None], float]:
    """What each counter of a workspace grew, over all its series: from its first sample on, or from 0."""
    first: Samples = {}
    last: Samples = {}
    for samples in shown:
        for key, value in samples.items():
            if key[0] in COUNTERS:
                first.setdefault(key, 0.0 if from_zero else value)
                last[key] = value
    grown: dict[tuple[str, str | None], float] = defaultdict(float)
    for key, value in last.items():
        assert value >= first[key]
        grown[key[0], dict(key[1]).get("workspace_id")] += value - first[key]
    return grown


def test_one_that_was_summed_up_and_comes_back_goes_on_where_it_was() -> None:
    """X uses 200 while it is summed up and 1,000 as it comes back: 1,200 in all, by the sum's series.

    Its own was away: a window that begins after its end sees no step in it.
    """

    def of(x: int, month: int) -> Snapshot:
        others = [(f"db_{number}", 500, 9 if number else 1_000) for number in range(5)]
        return snapshot_of(
            [
                replace(
                    A_DATABASE,
                    database_id=id_,
                    operations_total=total,
                    month_to_date_operations=in_month,
                    previous_month_operations=None,
                )
                for id_, total, in_month in (*others, ("db_x", x, month))
            ]
        )

    cap = SeriesCap(bound_for(1))
    shown = [
        samples_of(cap.apply(snapshot, windows=WINDOWS))
        for snapshot in (of(3_000, 5_000), of(3_000, 10), of(3_200, 10), of(4_200, 9_000))
    ]

    def operations(samples: Samples) -> dict[str, float]:
        return {
            dict(labels)["database_id"]: value
            for (name, labels), value in samples.items()
            if name == "prisma_postgres_database_operations_total"
        }

    assert list(map(operations, shown)) == [
        {"db_x": 3_000, "other": 0},
        {"db_0": 500, "other": 0},
        {"db_0": 500, "other": 200},
        {"db_x": 3_000, "other": 1_200},
    ]


def test_all_operations_of_a_database_that_is_created_meanwhile_are_in_the_sum_once() -> None:
    """Its counter was 0 when the sum's was there already; one that was only not read yet counts from then on."""
    old = [
        replace(A_DATABASE, database_id=f"db_{number}", operations_total=500, month_to_date_operations=900)
        for number in range(4)
    ]
    new = replace(A_DATABASE, database_id="db_new", counting_since_at=NOW + timedelta(seconds=5), operations_total=None)
    late = replace(new, database_id="db_late", counting_since_at=NOW - timedelta(days=9))

    def of(*databases: DatabaseView) -> Snapshot:
        return snapshot_of([*old, *databases])

    steps = [
        of(),
        of(new, late),
        of(replace(new, operations_total=7), replace(late, operations_total=3_000)),
        of(replace(new, operations_total=12), replace(late, operations_total=3_000)),
        of(),  # not listed for a moment
        of(replace(new, operations_total=12), replace(late, operations_total=3_000)),
        of(replace(new, operations_total=15, month_to_date_operations=9_999)),
    ]
    cap = SeriesCap(bound_for(1))
    found = []
    for step in steps:
        shown = {view.database_id: view.operations_total for view in cap.apply(step, windows=WINDOWS).databases}
        found.append((shown["other"], shown.get("db_new")))

    assert found == [(0, None), (0, None), (7, None), (12, None), (12, None), (12, None), (15, 0)]


def _are_all_known(old: Snapshot, new: Snapshot, workspace_id: str) -> bool:
    views = [view for view in (*old.databases, *new.databases) if view.workspace_id == workspace_id]
    return all(view.operations_total is not None for view in views)


def _came(history: Sequence[Snapshot], workspace_id: str) -> int:
    """The operations of a workspace that came in the last step: of each database since it was known, if it was."""
    came = 0
    for view in history[-1].databases:
        if view.workspace_id != workspace_id or view.operations_total is None:
            continue
        for snapshot in reversed(history[:-1]):
            earlier = next((row for row in snapshot.databases if row.database_id == view.database_id), None)
            if earlier is None:
                break
            if earlier.operations_total is not None:
                came += view.operations_total - earlier.operations_total
                break
    return came


@settings(max_examples=15)
@given(history=histories(), kept=st.integers(0, 4))
def test_the_largest_are_kept_and_nothing_is_shown_of_a_sum_that_is_none(history: list[Snapshot], kept: int) -> None:
    cap = SeriesCap(bound_for(kept))
    for snapshot in history:
        capped = cap.apply(snapshot, windows=WINDOWS)
        own = {view.database_id for view in capped.databases if not view.is_sum}
        sizes = {
            view.database_id: (view.month_to_date_operations or 0) + (view.previous_month_operations or 0)
            for view in snapshot.databases
        }
        rest = sizes.keys() - own
        assert cap.summed == len(rest)
        assert len(own) >= min(kept, len(sizes))
        # Of two that are less than a factor of two apart the id decides, so that they seldom take turns.
        assert all(2 * max(sizes[id_], 1) > sizes[other] for id_ in own for other in rest)
        for name, labels in samples_of(capped):
            if ("database_id", "other") in labels:
                assert name.removeprefix("prisma_postgres_database_") in SUMMED


def full(number: int, workspace_id: str) -> DatabaseView:
    """A database with every series that one can have."""
    bill = Bill(fee=Decimal(1), operations=Decimal(2), storage=Decimal(3))
    rolling = (("24h", 1), ("7d", 2), ("30d", 3))
    return replace(A_DATABASE, workspace_id=workspace_id, database_id=f"db_{number:05}", rolling=rolling, cost=bill)


@pytest.mark.parametrize("kept", [0, 1, 40])
@pytest.mark.parametrize("exposition_format", Format)
def test_a_scrape_never_has_more_samples_than_the_cap_its_own_included(kept: int, exposition_format: Format) -> None:
    databases = [full(number, IDS[number % 2]) for number in range(100)]
    most = bound_for(kept)
    cap = SeriesCap(most)
    exposition = Exposition(health := ExporterHealth())
    tell_everything(health)
    # Everything that polling can tell of itself, in every way that it can fail.
    for endpoint in ("me", "projects", "databases", "usage", "subscription"):
        for reason in REASONS:
            health.attempt_finished(f"GET /v1/{endpoint}", 1.0, reason)
            health.reading_failed(reason)
    for id_ in IDS:
        health.round_finished(id_, 1.0, 1.0, NOW)
        health.round_failed(id_)
        health.leases_held({id_: True})
        health.credential_seen(id_, is_up=True)
        health.credential_expires(id_, NOW)

    capped = cap.apply(snapshot_of(databases), windows=WINDOWS)
    exposition.render(capped)

    assert sum(not view.is_sum for view in capped.databases) == kept
    found = parsed(plain(exposition, exposition_format), exposition_format)
    assert len(found) <= most
    assert sum("database_id" in dict(labels) for _, labels in found) == kept * cap.room.each + 2 * cap.room.other


def test_without_need_nothing_is_summed_up_and_a_bound_below_what_stays_sums_all_up() -> None:
    databases = [full(number, IDS[number % 2]) for number in range(10)]
    snapshot = snapshot_of(databases)
    enough = room(10**9, workspaces=2, databases=10, windows=WINDOWS)
    most = enough.fixed + 10 * enough.each

    cap = SeriesCap(most)
    assert cap.apply(snapshot, windows=WINDOWS) is snapshot
    assert cap.summed == 0
    cap = SeriesCap(most - 1)
    cap.apply(snapshot, windows=WINDOWS)
    assert cap.summed > 0
    cap = SeriesCap(enough.least - 1)
    cap.apply(snapshot, windows=WINDOWS)
    assert cap.summed == 10
