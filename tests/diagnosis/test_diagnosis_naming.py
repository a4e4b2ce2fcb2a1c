"""What a name means."""

from __future__ import annotations

import pytest

from prisma_postgres_exporter.diagnosis import Subject, find_subjects, nearest_subjects

SUBJECTS = (
    Subject(kind="workspace", id="wksp_1", name="Acme"),
    Subject(kind="project", id="proj_1", name="shop", path="Acme"),
    Subject(kind="project", id="proj_2", name="blog", path="Acme"),
    Subject(kind="database", id="db_1", name="orders-production", path="Acme / shop"),
    Subject(kind="database", id="db_2", name="orders-staging", path="Acme / shop"),
    Subject(kind="database", id="db_3", name="shop", path="Acme / shop"),
    Subject(kind="database", id="db_4", name="Blog", path="Acme / blog"),
)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("db_1", ["db_1"]),
        ("proj_2", ["proj_2"]),
        ("2", ["db_2", "proj_2"]),
        ("orders-staging", ["db_2"]),
        ("ORDERS-staging", ["db_2"]),
        ("acme", ["wksp_1"]),
        ("shop", ["db_3", "proj_1"]),
        ("blog", ["proj_2"]),
        ("Blog", ["db_4"]),
        ("BLOG", ["db_4", "proj_2"]),
        ("orders", []),
        ("", []),
    ],
)
def test_an_id_is_surer_than_a_name_and_an_exact_name_than_another(name: str, ids: list[str]) -> None:
    assert [subject.id for subject in find_subjects(name, (*SUBJECTS, *SUBJECTS))] == ids


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("orders", ["db_1", "db_2"]),
        ("oders-stagng", ["db_2"]),
        ("ACMEE", ["wksp_1"]),
        ("sho", ["db_3", "proj_1"]),
        ("nothing like it at all", []),
    ],
)
def test_the_nearest_names_are_found(name: str, ids: list[str]) -> None:
    assert [subject.id for subject in nearest_subjects(name, SUBJECTS)][: len(ids) or None] == ids


def test_a_subject_says_what_it_is_and_where() -> None:
    assert str(SUBJECTS[3]) == "database 'orders-production' (db_1) in Acme / shop"
    assert str(SUBJECTS[0]) == "workspace 'Acme' (wksp_1)"
