"""A picture drawn on top of an earlier one is byte for byte the picture drawn alone."""

from __future__ import annotations

import gzip
from dataclasses import replace

from expose_views import A_DATABASE, A_SNAPSHOT, database_views, exposition_of, gzipped, snapshot_of
from hypothesis import given, settings
from hypothesis import strategies as st

from prisma_postgres_exporter.expose import ExporterHealth, Exposition, Format
from prisma_postgres_exporter.expose.families import DATABASES
from prisma_postgres_exporter.expose.sheet import empty_sheet, redraw
from prisma_postgres_exporter.snapshot import DatabaseView

_IDS = [f"db_{number}" for number in range(8)]


@st.composite
def pictures(draw: st.DrawFn) -> list[tuple[DatabaseView, ...]]:
    """Pictures one after the other: databases stay, change, move, come, go, and change their places."""
    held: dict[str, DatabaseView] = {}
    sequence = []
    for _ in range(draw(st.integers(2, 5))):
        for database_id in _IDS:
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


@settings(max_examples=150, deadline=None)
@given(sequence=pictures())
def test_rendering_again_gives_what_rendering_alone_gives(sequence: list[tuple[DatabaseView, ...]]) -> None:
    exposition = Exposition(ExporterHealth())
    for databases in sequence:
        exposition.render(snapshot_of(databases))
        assert exposition.picture_text() == exposition_of(snapshot_of(databases)).picture_text()
        for exposition_format in Format:
            body = exposition.body(exposition_format, is_gzip=False).joined()
            assert gzip.decompress(gzipped(exposition, exposition_format)) == body


def test_a_family_in_which_no_value_changed_keeps_its_bytes() -> None:
    views = tuple(replace(A_DATABASE, database_id=f"db_{number}") for number in range(20))
    first = redraw(empty_sheet(DATABASES), views)
    second = redraw(first, (*views[:10], replace(views[10], day_to_date_operations=7), *views[11:]))
    changed = {
        family.name
        for family, before, after in zip(DATABASES.families, first.columns, second.columns, strict=True)
        if before is not after
    }
    assert changed == {"prisma_postgres_database_day_to_date_operations"}


def test_views_that_are_equal_and_not_the_same_keep_every_family() -> None:
    first = redraw(empty_sheet(DATABASES), A_SNAPSHOT.databases)
    second = redraw(first, tuple(replace(view) for view in A_SNAPSHOT.databases))
    assert all(before is after for before, after in zip(first.columns, second.columns, strict=True))


def test_a_database_that_moved_to_another_project_changes_its_labels_everywhere() -> None:
    exposition = exposition_of(A_SNAPSHOT)
    moved = tuple(replace(view, project_id="proj_z") for view in A_SNAPSHOT.databases)
    exposition.render(replace(A_SNAPSHOT, databases=moved))
    assert b"proj_a" not in exposition.picture_text()
