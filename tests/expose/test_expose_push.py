"""What is pushed is what /metrics shows, number for number, in both formats."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from expose_views import (
    A_DATABASE,
    A_SNAPSHOT,
    A_WORKSPACE,
    NOW,
    Samples,
    exposition_of,
    is_own,
    parsed,
    parsed_families,
    plain,
    tell_everything,
)
from hypothesis import given
from hypothesis import strategies as st
from otlp_reader import Points, read_export_request
from remote_write_reader import Series, read_write_request

from prisma_postgres_exporter.cost import BudgetState
from prisma_postgres_exporter.expose import (
    ExporterHealth,
    Exposition,
    Format,
    Scrape,
    otlp,
    remote_write,
    scrape,
    take_scrape,
    write_history,
)
from prisma_postgres_exporter.expose.lines import showable
from prisma_postgres_exporter.model import Database, DayUsage
from prisma_postgres_exporter.snapshot import Snapshot

BEGAN_AT = NOW - timedelta(days=3)
OWN_BEGAN_AT = NOW - timedelta(hours=1)
LABELS = {"job": "prisma", "instance": "here:9478", "cluster": "eu"}
OPERATIONS = "prisma_postgres_database_operations_total"
STALE_BITS = 0x7FF0000000000002

COUNTED = replace(A_DATABASE, counting_since_at=BEGAN_AT)
SHOWN = replace(A_SNAPSHOT, databases=(COUNTED, *A_SNAPSHOT.databases[1:]))


A_NAMED = Database(
    id="db_a",
    name="orders",
    workspace_id="wksp_a",
    project_id="proj_a",
    project_name="shop",
    region="eu-central-1",
    status="ready",
    is_default=True,
    created_at=BEGAN_AT,
)


def every(_workspace_id: str) -> bool:
    return True


def taken(
    snapshot: Snapshot,
    *,
    at: datetime = NOW,
    before: Scrape | None = None,
    holds: Callable[[str], bool] = every,
    exposition: Exposition | None = None,
) -> Scrape:
    text = plain(exposition or exposition_of(snapshot))
    return take_scrape((text,), snapshot, at=at, own_started_at=OWN_BEGAN_AT, holds=holds, before=before)


def written(found: Scrape) -> Series:
    """Everything that goes by remote write."""
    requests = remote_write.make_requests(LABELS)
    series: Series = {}
    for chunk in range(found.chunks):
        read = read_write_request(requests.make(found, chunk))
        assert not series.keys() & read.keys()
        series |= read
    return series


def exported(found: Scrape) -> Points:
    """Everything that goes by OTLP."""
    requests = otlp.make_requests(LABELS)
    points: Points = {}
    for chunk in range(found.chunks):
        resource, read = read_export_request(requests.make(found, chunk))
        assert resource == {"service.name": "prisma", "service.instance.id": "here:9478", "cluster": "eu"}
        assert not points.keys() & read.keys()
        points |= read
    return points


def as_shown(series: Series) -> Samples:
    """Series as samples of a scrape, without the labels that go with all."""
    shown: Samples = {}
    for labels, samples in series.items():
        assert list(labels) == sorted(labels)
        own = dict(labels)
        assert {name: own.pop(name) for name in LABELS} == LABELS
        ((_, value),) = samples
        shown[own.pop("__name__"), frozenset(own.items())] = value
    return shown


@pytest.fixture
def told() -> Exposition:
    health = ExporterHealth()
    tell_everything(health)
    health.attempt_finished("GET /v1/me", 3.0, None)
    exposition = Exposition(health)
    exposition.render(SHOWN)
    return exposition


def test_remote_write_carries_every_number_of_metrics_under_its_name(told: Exposition) -> None:
    shown = parsed(plain(told), Format.TEXT)
    assert len(shown) > 60
    series = written(taken(SHOWN, exposition=told))
    assert as_shown(series) == shown
    assert {at for samples in series.values() for at, _ in samples} == {int(NOW.timestamp() * 1000)}


def test_otlp_carries_every_number_of_metrics_under_its_name(told: Exposition) -> None:
    shown = parsed(plain(told), Format.TEXT)
    points = exported(taken(SHOWN, exposition=told))
    assert {key: point.value for key, point in points.items()} == shown
    assert {point.at_seconds for point in points.values()} == {NOW.timestamp()}


def test_otlp_says_since_when_each_counter_counts(told: Exposition) -> None:
    points = exported(taken(SHOWN, exposition=told))
    starts = {name: {point.start_seconds for (own, _), point in points.items() if own == name} for name, _ in points}
    assert starts[OPERATIONS] == {BEGAN_AT.timestamp()}
    assert starts["prisma_postgres_exporter_rounds_total"] == {OWN_BEGAN_AT.timestamp()}
    assert starts["prisma_postgres_exporter_api_request_duration_seconds_sum"] == {OWN_BEGAN_AT.timestamp()}
    assert starts["prisma_postgres_database_storage_bytes"] == {0}
    assert {point.kind for (name, _), point in points.items() if name.endswith("_total")} == {"counter"}


@pytest.mark.parametrize("most", [1, 2, 7, 40])
def test_however_small_requests_are_nothing_is_missing_and_no_histogram_is_cut(
    told: Exposition, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = taken(SHOWN, exposition=told)
    monkeypatch.setattr(scrape, "MOST_SAMPLES", most)
    cut = taken(SHOWN, exposition=told)
    assert cut.chunks > len(whole.keys) // most // 2
    assert sum(map(cut.samples_of, range(cut.chunks))) == len(whole.keys)
    assert exported(cut) == exported(whole)
    assert written(cut) == written(whole)


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_wherever_the_text_is_cut_it_is_read_the_same(told: Exposition, size: int) -> None:
    text = plain(told)
    whole = taken(SHOWN, exposition=told)
    messages = [memoryview(text)[start : start + size] for start in range(0, len(text), size)]
    assert take_scrape(messages, SHOWN, at=NOW, own_started_at=OWN_BEGAN_AT, holds=every) == whole


def test_a_series_that_is_shown_no_more_ends_at_once(told: Exposition) -> None:
    first = taken(SHOWN)
    second = taken(replace(SHOWN, databases=SHOWN.databases[1:]), at=NOW + timedelta(minutes=1), before=first)
    third = taken(replace(SHOWN, databases=SHOWN.databases[1:]), at=NOW + timedelta(minutes=2), before=second)

    def ended(series: Series) -> set[str]:
        return {
            dict(labels)["database_id"]
            for labels, ((_, value),) in series.items()
            if struct.unpack("<Q", struct.pack("<d", value))[0] == STALE_BITS
        }

    assert not any(math.isnan(value) for samples in written(first).values() for _, value in samples)
    assert ended(written(second)) == {COUNTED.database_id}
    gone = {key for key, point in exported(second).items() if point.value is None}
    assert {dict(labels)["database_id"] for _, labels in gone} == {COUNTED.database_id}
    assert len(gone) == sum(("database_id", COUNTED.database_id) in labels for _, labels in exported(first))
    assert not gone & exported(third).keys()
    assert ended(written(third)) == set()


def test_the_counter_of_a_new_database_begins_at_0() -> None:
    later = NOW + timedelta(minutes=1)
    new = replace(COUNTED, database_id="db_new", counting_since_at=NOW + timedelta(seconds=20), operations_total=7)
    old = replace(COUNTED, database_id="db_old")
    first = taken(SHOWN)
    second = taken(replace(SHOWN, databases=(*SHOWN.databases, new, old)), at=later, before=first)
    samples = {
        dict(labels)["database_id"]: found
        for labels, found in written(second).items()
        if dict(labels)["__name__"] == OPERATIONS
    }
    began_ms, later_ms = int((NOW + timedelta(seconds=20)).timestamp() * 1000), int(later.timestamp() * 1000)
    assert samples["db_new"] == [(began_ms, 0), (later_ms, 7)]
    assert len(samples["db_old"]) == 1, "it counted long before"
    assert len(samples[COUNTED.database_id]) == 1


def test_a_counter_that_comes_back_goes_on_and_does_not_begin_again() -> None:
    """A series that `web.max_series` leaves out for a while: Prometheus refuses a whole request for one old sample."""
    new = replace(COUNTED, database_id="db_new", counting_since_at=NOW + timedelta(seconds=20), operations_total=7)
    found = taken(SHOWN)
    values = []
    for minute, databases in enumerate([(new,), (), (), (new,), (), (new,)], start=1):
        shown = replace(SHOWN, databases=(*SHOWN.databases, *databases))
        found = taken(shown, at=NOW + timedelta(minutes=minute), before=found)
        values += [
            sample
            for labels, samples in written(found).items()
            for sample in samples
            if ("database_id", "db_new") in labels and ("__name__", OPERATIONS) in labels
        ]
    assert [at for at, _ in values] == sorted({at for at, _ in values})
    assert [value for _, value in values if not math.isnan(value)] == [0, 7, 7, 7]
    # What is too old to begin at 0 is not held.
    assert taken(SHOWN, at=NOW + timedelta(hours=1), before=found).young == {}


def test_a_database_that_was_created_before_this_process_does_not_begin_at_0() -> None:
    """The process before may have sent that, and its series have ended since."""
    new = replace(COUNTED, database_id="db_new", counting_since_at=NOW - timedelta(minutes=2), operations_total=7)
    shown = replace(SHOWN, databases=(*SHOWN.databases, new))

    def values(started_at: datetime) -> list[float]:
        first, second = (plain(exposition_of(snapshot)) for snapshot in (SHOWN, shown))
        before = take_scrape((first,), SHOWN, at=NOW, own_started_at=started_at, holds=every)
        at = NOW + timedelta(minutes=1)
        found = take_scrape((second,), shown, at=at, own_started_at=started_at, holds=every, before=before)
        return [
            value
            for labels, samples in written(found).items()
            for _, value in samples
            if ("database_id", "db_new") in labels and ("__name__", OPERATIONS) in labels
        ]

    assert values(NOW - timedelta(minutes=3)) == [0, 7]
    assert values(NOW - timedelta(minutes=1)) == [7]


@pytest.mark.parametrize("moved", [{"project_id": "proj_b"}, {"workspace_id": "wksp_b"}])
def test_the_counter_of_a_database_that_moved_does_not_begin_again_elsewhere(moved: dict[str, Any]) -> None:
    """What it counted was counted under its first labels."""
    new = replace(COUNTED, database_id="db_new", counting_since_at=NOW + timedelta(seconds=20), operations_total=7)
    shown = replace(SHOWN, workspaces=(A_WORKSPACE, replace(A_WORKSPACE, workspace_id="wksp_b")))
    found = taken(shown)
    values = []
    for minute, database in enumerate((new, replace(new, **moved)), start=1):
        found = taken(
            replace(shown, databases=(*SHOWN.databases, database)), at=NOW + timedelta(minutes=minute), before=found
        )
        values.append(
            [
                value
                for labels, samples in written(found).items()
                for _, value in samples
                if ("database_id", "db_new") in labels and ("__name__", OPERATIONS) in labels and not math.isnan(value)
            ]
        )
    assert values == [[0, 7], [7]]


def test_the_counter_of_the_first_database_of_a_workspace_begins_at_0_too() -> None:
    new = replace(COUNTED, counting_since_at=NOW, operations_total=7)
    first = taken(replace(SHOWN, databases=()))
    second = taken(replace(SHOWN, databases=(new,)), at=NOW + timedelta(minutes=1), before=first)
    (samples,) = [found for labels, found in written(second).items() if dict(labels)["__name__"] == OPERATIONS]
    assert [value for _, value in samples] == [0, 7]


def test_the_counters_of_a_workspace_that_was_taken_over_go_on_where_they_were() -> None:
    just_now = replace(COUNTED, workspace_id="wksp_b", counting_since_at=NOW, operations_total=9)
    shown = replace(
        SHOWN,
        workspaces=(A_WORKSPACE, replace(A_WORKSPACE, workspace_id="wksp_b")),
        databases=(*SHOWN.databases, just_now),
    )
    first = taken(shown, holds=lambda id_: id_ == "wksp_a")
    second = taken(shown, at=NOW + timedelta(minutes=1), before=first)
    assert {len(samples) for samples in written(second).values()} == {1}


def test_of_two_that_share_a_store_each_pushes_its_own_workspaces_and_one_the_budgets() -> None:
    budget = BudgetState(
        name="all", limit_usd=Decimal(5), thresholds=(1.0,), databases=3, spent_usd=Decimal(1), expected_usd=None
    )
    shown = replace(
        SHOWN,
        workspaces=(A_WORKSPACE, replace(A_WORKSPACE, workspace_id="wksp_b")),
        databases=(*SHOWN.databases, replace(COUNTED, workspace_id="wksp_b", database_id="db_b")),
        budgets=(budget,),
    )

    def data(holds: Callable[[str], bool]) -> set[str]:
        return {key for key in taken(shown, holds=holds).keys if not is_own(key.partition("{")[0])}

    first, second = data(lambda id_: id_ == "wksp_a"), data(lambda id_: id_ == "wksp_b")
    assert first | second == data(every)
    assert not first & second
    assert all('workspace_id="wksp_b"' in key for key in second)
    assert any('budget="all"' in key for key in first)
    assert data(lambda _: False) == set()


def test_many_that_wait_share_the_texts_of_their_series() -> None:
    first = taken(SHOWN)
    same = taken(SHOWN, at=NOW + timedelta(minutes=1), before=first)
    more = taken(replace(SHOWN, databases=(*SHOWN.databases, replace(COUNTED, database_id="db_z"))), before=same)
    assert same.keys is first.keys
    known = {id(key) for key in first.keys}
    assert sum(id(key) not in known for key in more.keys) == len(more.keys) - len(first.keys)


NAMES = st.text(max_size=20) | st.sampled_from(['a"b', "a\\", "\\n", 'x\\"', "a\nb", '",b="', "} 1", "# HELP x y"])


@given(NAMES, NAMES)
def test_names_arrive_as_they_are(database_name: str, project_name: str) -> None:
    named = replace(COUNTED, database_name=database_name, project_name=project_name)
    points = exported(taken(replace(SHOWN, databases=(named,))))
    (labels,) = [dict(labels) for name, labels in points if name == "prisma_postgres_database_info"]
    assert labels.get("database_name", "") == showable(database_name)
    assert labels.get("project_name", "") == showable(project_name)


A_DAY = DayUsage(
    database_key=1,
    day=date(2026, 11, 1),
    workspace_key=1,
    operations=500,
    operations_high=500,
    storage_bytes=2**30,
    storage_byte_seconds=0,
    storage_seconds=0,
    read_at=NOW,
    unchanged_since_at=NOW,
    settled_at=NOW,
    is_counted=False,
)


@pytest.mark.parametrize("most", [1, 10, 5_000])
def test_history_arrives_as_the_file_has_it(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_write, "MOST_HISTORY_SAMPLES", most)
    days = [replace(A_DAY, day=date(2026, 11, number), operations=100 * number) for number in (1, 2, 3)]
    databases = [replace(A_NAMED, id=id_) for id_ in ("db_a", "db_b")]
    file = list(write_history(databases, lambda _: days, step=timedelta(hours=6)))
    series: Series = {}
    counted = 0
    for body, samples in remote_write.history_requests(file, {"cluster": "eu"}):
        read = read_write_request(body)
        assert samples == sum(map(len, read.values())) <= most
        counted += samples
        for labels, found in read.items():
            series.setdefault(labels, []).extend(found)
    sent: dict[tuple[str, frozenset[tuple[str, str]], int], float] = {}
    for labels, found in series.items():
        own = dict(labels)
        assert own.pop("cluster") == "eu"
        assert found == sorted(found)
        sent |= {(own["__name__"], frozenset(own.items()) - {("__name__", own["__name__"])}, at): v for at, v in found}
    shown = {
        (sample.name, frozenset(sample.labels.items()), int(float(str(sample.timestamp)) * 1000)): sample.value
        for family in parsed_families("".join(file).encode(), Format.OPENMETRICS)
        for sample in family.samples
    }
    assert sent == shown
    assert counted == len(shown) == 2 * (13 + 12 + 12)


def test_openmetrics_says_since_when_counters_count_where_it_is_asked_for() -> None:
    exposition = Exposition(ExporterHealth(), has_created=True)
    exposition.render(SHOWN)
    without = exposition_of(SHOWN)
    shown = parsed(plain(exposition, Format.OPENMETRICS), Format.OPENMETRICS)
    created = {key: value for key, value in shown.items() if key[0].endswith("_created")}
    ids = frozenset(
        {
            "workspace_id": COUNTED.workspace_id,
            "project_id": COUNTED.project_id,
            "database_id": COUNTED.database_id,
        }.items()
    )
    assert created == {
        ("prisma_postgres_database_operations_created", ids): BEGAN_AT.timestamp(),
        **{
            ("prisma_postgres_database_revisions_created", ids | {("direction", direction)}): BEGAN_AT.timestamp()
            for direction in ("up", "down")
        },
    }
    data = {key for key in shown if not is_own(key[0])} - created.keys()
    assert data == {key for key in parsed(plain(without, Format.OPENMETRICS), Format.OPENMETRICS) if not is_own(key[0])}
    assert b"_created{" not in plain(exposition)
    assert b"_created{" not in plain(without, Format.OPENMETRICS)
