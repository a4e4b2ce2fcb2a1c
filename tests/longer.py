"""What is tried in a few cases here, and in many in the longer run (`pytest -m slow`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")
Kind = TypeVar("Kind")

BOTH_ENGINES = ("sqlite", pytest.param("postgres", marks=pytest.mark.slow))
"""Parameters of what is tried on the default engine, and in the longer run on Postgres too."""


def examples(few: int, many: int) -> pytest.MarkDecorator:
    """Give a test the number of examples that it tries."""
    return pytest.mark.parametrize(
        "examples", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.slow)]
    )


def spread(cases: Iterable[tuple[T, Sequence[Kind]]]) -> Iterator[tuple[T, Kind, Sequence[pytest.MarkDecorator]]]:
    """Pair each case with each of its kinds, all but one of them, each in its turn, for the longer run."""
    for number, (case, kinds) in enumerate(cases):
        for place, kind in enumerate(kinds):
            yield case, kind, () if place == number % len(kinds) else (pytest.mark.slow,)
