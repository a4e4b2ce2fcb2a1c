"""The exposition, read back by prometheus-client's own parsers, says what the snapshot says."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from expose_views import (
    A_DATABASE,
    A_SNAPSHOT,
    A_WORKSPACE,
    database_views,
    expected_samples,
    exposition_of,
    is_own,
    parsed,
    parsed_families,
    plain,
    snapshot_of,
    workspace_views,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from prisma_postgres_exporter.expose import Format, describe
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView

both_formats = pytest.mark.parametrize("exposition_format", Format)


@both_formats
@settings(max_examples=60, deadline=None)
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
    picture = {key: value for key, value in parsed(text, exposition_format).items() if not is_own(key[0])}
    assert picture == expected_samples(snapshot)


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
def test_an_exposition_without_a_picture_shows_the_exporter_itself(exposition_format: Format) -> None:
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


def test_whole_numbers_keep_every_digit_and_instants_their_fraction() -> None:
    view = replace(A_DATABASE, operations_total=2**53 - 1, usage_at=datetime(2026, 1, 1, 0, 0, 0, 125000, tzinfo=UTC))
    lines = plain(exposition_of(snapshot_of([view]))).decode().splitlines()
    ids = '{workspace_id="wksp_a",project_id="proj_a",database_id="db_a"}'
    assert f"prisma_postgres_database_operations_total{ids} 9007199254740991" in lines
    assert f"prisma_postgres_database_usage_timestamp_seconds{ids} 1767225600.125" in lines


def test_the_picture_alone_has_nothing_of_the_exporter() -> None:
    names = {name for name, _ in parsed(exposition_of(A_SNAPSHOT).picture_text(), Format.TEXT)}
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
