"""The exposition, read back by prometheus-client's own parsers, says what the snapshot says."""

from __future__ import annotations

import gzip
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from expose_views import (
    A_DATABASE,
    A_SNAPSHOT,
    A_WORKSPACE,
    database_views,
    expected_samples,
    exposition_of,
    gzipped,
    is_own,
    parsed,
    parsed_families,
    plain,
    snapshot_of,
    workspace_views,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import GaugeMetricFamily

from prisma_postgres_exporter.cost import Bill, Usage, WorkspaceCost
from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format, describe, parts, render
from prisma_postgres_exporter.expose.own import HealthText, own_family
from prisma_postgres_exporter.expose.parts import Part
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView

both_formats = pytest.mark.parametrize("exposition_format", Format)


@both_formats
@settings(max_examples=15)
@given(
    databases=st.tuples(database_views("db_a"), database_views("db_b"), database_views("db_c")),
    workspaces=st.tuples(workspace_views("wksp_a"), workspace_views("wksp_b")),
)
def test_whatever_is_in_a_snapshot_comes_out_as_it_is(
    exposition_format: Format,
    databases: tuple[DatabaseView, ...],
    workspaces: tuple[WorkspaceView, ...],
) -> None:
    snapshot = snapshot_of(databases, workspaces)
    text = plain(exposition_of(snapshot), exposition_format)
    found = {key: value for key, value in parsed(text, exposition_format).items() if not is_own(key[0])}
    assert found == expected_samples(snapshot)


@both_formats
def test_a_name_of_ten_thousand_characters_comes_out_whole(exposition_format: Format) -> None:
    snapshot = snapshot_of([replace(A_DATABASE, database_name='a"\\\n🐘' * 2000)])
    text = plain(exposition_of(snapshot), exposition_format)
    assert expected_samples(snapshot).items() <= parsed(text, exposition_format).items()


@both_formats
def test_nothing_is_ever_nan_and_counters_are_the_only_totals(exposition_format: Format) -> None:
    for family in parsed_families(plain(exposition_of(A_SNAPSHOT), exposition_format), exposition_format):
        for sample in family.samples:
            assert not math.isnan(sample.value)
            assert sample.name.endswith("_total") == (family.type == "counter")


@both_formats
def test_an_exposition_without_a_snapshot_shows_the_exporter_itself(exposition_format: Format) -> None:
    found = parsed(plain(exposition_of(snapshot_of([])), exposition_format), exposition_format)
    assert found
    assert all(is_own(name) for name, _ in found)


@both_formats
def test_series_counts_every_sample_of_the_exposition(exposition_format: Format) -> None:
    exposition = exposition_of(A_SNAPSHOT)
    found = parsed(plain(exposition, exposition_format), exposition_format)
    assert found["prisma_postgres_exporter_series", frozenset()] == len(found)


def test_a_vanished_database_leaves_at_once() -> None:
    exposition = exposition_of(A_SNAPSHOT)
    exposition.render(replace(A_SNAPSHOT, databases=A_SNAPSHOT.databases[:1]))
    assert b"db_b" not in plain(exposition)


@st.composite
def snapshots(draw: st.DrawFn) -> list[tuple[DatabaseView, ...]]:
    """Snapshots one after the other: databases stay, change, move, come, go, and change their places."""
    held: dict[str, DatabaseView] = {}
    sequence = []
    for _ in range(draw(st.integers(2, 5))):
        for database_id in (f"db_{number}" for number in range(8)):
            match draw(st.sampled_from(["stay", "stay", "change", "little", "gone"])):
                case "change":
                    held[database_id] = draw(database_views(database_id))
                case "little" if database_id in held:
                    operations = draw(st.integers(0, 1000))
                    held[database_id] = replace(held[database_id], month_to_date_operations=operations)
                case "gone":
                    held.pop(database_id, None)
                case _:
                    pass
        views = list(held.values())
        if draw(st.booleans()):
            views = draw(st.permutations(views))
        sequence.append(tuple(views))
    return sequence


@settings(max_examples=15)
@given(sequence=snapshots())
def test_rendering_again_gives_the_bytes_that_a_new_exposition_gives(
    sequence: list[tuple[DatabaseView, ...]],
) -> None:
    health = UnmovedHealth()
    exposition = Exposition(health)
    for databases in sequence:
        new = Exposition(health)
        for rendered in (exposition, new):
            rendered.render(snapshot_of(databases))
        assert exposition.snapshot_text() == new.snapshot_text()
        for exposition_format in Format:
            assert plain(exposition, exposition_format) == plain(new, exposition_format)
            assert gzipped(exposition, exposition_format) == gzipped(new, exposition_format)
            assert gzip.decompress(gzipped(exposition, exposition_format)) == plain(exposition, exposition_format)


class UnmovedHealth(ExporterHealth):
    """The exporter's own families without the process's, which are others at every look."""

    def text(self, other_samples: int) -> HealthText:
        series = own_family(GaugeMetricFamily("series", "Samples.", value=other_samples), {})
        return HealthText(families=(series,), samples=1)


def test_a_family_in_which_no_value_changed_is_not_compressed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    exposition = exposition_of(A_SNAPSHOT)
    compressed: list[bytes] = []

    def make_part(text: bytes) -> Part:
        compressed.append(text)
        return parts.make_part(text)

    monkeypatch.setattr(render, "make_part", make_part)
    first, second = A_SNAPSHOT.databases
    exposition.render(replace(A_SNAPSHOT, databases=(replace(first, day_to_date_operations=7), second)))

    changed = {text.partition(b"{")[0] for text in compressed if text.startswith(b"prisma_postgres_database_")}
    assert changed == {b"prisma_postgres_database_day_to_date_operations"}


def test_a_database_that_moved_to_another_project_changes_its_labels_everywhere() -> None:
    exposition = exposition_of(A_SNAPSHOT)
    moved = tuple(replace(view, project_id="proj_z") for view in A_SNAPSHOT.databases)
    exposition.render(replace(A_SNAPSHOT, databases=moved))
    assert b"proj_a" not in exposition.snapshot_text()


def test_whole_numbers_keep_every_digit_and_instants_their_fraction() -> None:
    view = replace(A_DATABASE, operations_total=2**53 - 1, usage_at=datetime(2026, 1, 1, 0, 0, 0, 125000, tzinfo=UTC))
    lines = plain(exposition_of(snapshot_of([view]))).decode().splitlines()
    ids = '{workspace_id="wksp_a",project_id="proj_a",database_id="db_a"}'
    assert f"prisma_postgres_database_operations_total{ids} 9007199254740991" in lines
    assert f"prisma_postgres_database_usage_timestamp_seconds{ids} 1767225600.125" in lines


def test_the_snapshot_alone_has_nothing_of_the_exporter() -> None:
    names = {name for name, _ in parsed(exposition_of(A_SNAPSHOT).snapshot_text(), Format.TEXT)}
    assert names
    assert not any(is_own(name) for name in names)


@both_formats
def test_every_exposed_family_is_described_as_it_is(exposition_format: Format) -> None:
    described = {family.name: family for family in describe()}
    text = plain(exposition_of(A_SNAPSHOT), exposition_format)
    for family in parsed_families(text, exposition_format):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("process_"):
            continue
        assert family.type == described[name].kind
        assert family.documentation == described[name].help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(described[name].labels)


def test_the_description_is_complete_and_has_every_name_once() -> None:
    described = [family.name for family in describe()]
    assert len(described) == len(set(described))
    names = {name for name, _ in expected_samples(snapshot_of([A_DATABASE], [A_WORKSPACE]))}
    assert names <= set(described)


def test_help_needs_no_escaping_and_says_where_data_comes_from() -> None:
    for family in describe():
        assert not set(family.help) & {"\\", "\n", '"'}
        assert family.help.endswith(".")
        if not is_own(family.name):
            assert "Prisma Management API" in family.help


@pytest.mark.parametrize("is_known", [True, False])
def test_a_forecast_has_low_and_high_where_pages_show_a_range(is_known: bool) -> None:
    """A page said "about 2 M", and the metric that the truth lies between 1 and 3 million."""
    month = Usage(
        known_operations=1, days=2, days_known=2, storage_seconds=2 * 86_400, storage_seconds_known=2 * 86_400
    )
    in_part = replace(month, days_known=1, storage_seconds_known=86_400)
    bill = Bill(fee=Decimal(1), operations=Decimal(0), storage=Decimal(0))
    ahead = Forecast(low=1, expected=2, high=3)
    cost = WorkspaceCost(
        low_bill=bill,
        expected_bill=bill,
        high_bill=bill,
        is_expected_complete=is_known,
        expected_operations=ahead,
        expected_storage_bytes=ahead,
    )
    view = replace(A_WORKSPACE, usage=month if is_known else in_part, cost=cost)
    text = plain(exposition_of(snapshot_of([A_DATABASE], [view]))).decode()

    for what in ("operations", "average_storage_bytes", "cost_usd"):
        found = re.findall(rf'^prisma_postgres_workspace_forecast_month_{what}{{.*bound="(.*)"}}', text, re.MULTILINE)
        assert found == (["low", "expected", "high"] if is_known else ["expected"])
