"""The lines of all views of one subject, family by family, redrawn only where a view changed.

A sheet keeps, for each family, one piece of text and the size of every view's lines in it. A redraw
copies the runs of lines whose views are the same objects as before and draws the others; a family in
which no value changed keeps its piece, and with it the compressed form.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

from prisma_postgres_exporter.expose.families import Subject
from prisma_postgres_exporter.expose.lines import Family, opened_labels
from prisma_postgres_exporter.expose.parts import Part, make_part

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Column:
    """One family: its lines as one part, and the bytes that each view has in it, in the order of the views."""

    part: Part
    sizes: array[int]
    samples: int


@dataclass(frozen=True, slots=True)
class Sheet(Generic[V]):
    """Every family's column over the same views; `opened` are their labels, shared by all families."""

    subject: Subject[V]
    views: Sequence[V]
    opened: Sequence[str]
    columns: tuple[Column, ...]


def empty_sheet(subject: Subject[V]) -> Sheet[V]:
    """A sheet without views."""
    nothing = Column(make_part(b""), array("I"), 0)
    return Sheet(subject, (), (), (nothing,) * len(subject.families))


def redraw(sheet: Sheet[V], views: Sequence[V]) -> Sheet[V]:
    """The sheet of `views`; what it shows depends on nothing else, only the work does."""
    changes = _compare(sheet, views)
    columns = tuple(
        _redraw_column(family, column, changes)
        for family, column in zip(sheet.subject.families, sheet.columns, strict=True)
    )
    return Sheet(sheet.subject, views, changes.opened, columns)


class _Step(NamedTuple):
    """Old lines from `start` to before `stop`; `touched` is the place in `_Changes.after` of a view to look at, or -1.

    A touched view has its old lines there, none where it is new.
    """

    start: int
    stop: int
    touched: int


@dataclass(frozen=True, slots=True)
class _Changes(Generic[V]):
    """How the new views follow from the old ones: `steps` in the order of the new views.

    `opened` are the labels of all new views. `before` and `after` are the touched views (`None`
    before: a new one) and `opened_after` their labels. `is_same_layout`: each view is where it was.
    """

    opened: list[str]
    steps: list[_Step]
    before: list[V | None]
    after: list[V]
    opened_after: list[str]
    is_same_layout: bool


def _compare(sheet: Sheet[V], views: Sequence[V]) -> _Changes[V]:
    identities = list(map(sheet.subject.identify, views))
    places = _old_places(sheet, views, identities)
    opened = [
        sheet.opened[place] if place >= 0 else opened_labels(sheet.subject.labels, identity)
        for place, identity in zip(places, identities, strict=True)
    ]
    steps: list[_Step] = []
    touched: list[int] = []
    run_start = run_stop = 0
    for here, place in enumerate(places):
        is_kept = place >= 0 and sheet.views[place] is views[here]
        if is_kept and place == run_stop:
            run_stop += 1
            continue
        if run_start < run_stop:
            steps.append(_Step(run_start, run_stop, -1))
        if is_kept:
            run_start, run_stop = place, place + 1
            continue
        run_start = run_stop = place + 1
        steps.append(_Step(max(place, 0), place + 1, len(touched)))
        touched.append(here)
    if run_start < run_stop:
        steps.append(_Step(run_start, run_stop, -1))
    return _Changes(
        opened=opened,
        steps=steps,
        before=[sheet.views[places[here]] if places[here] >= 0 else None for here in touched],
        after=[views[here] for here in touched],
        opened_after=[opened[here] for here in touched],
        is_same_layout=places == list(range(len(sheet.views))),
    )


def _old_places(sheet: Sheet[V], views: Sequence[V], identities: list[tuple[str, ...]]) -> list[int]:
    """Where each view was in the old sheet, -1 for a new one."""
    if len(views) == len(sheet.views) and identities == list(map(sheet.subject.identify, sheet.views)):
        return list(range(len(views)))
    places = {sheet.subject.identify(view): place for place, view in enumerate(sheet.views)}
    return [places.get(identity, -1) for identity in identities]


def _redraw_column(family: Family[V], column: Column, changes: _Changes[V]) -> Column:
    read = family.read
    changed = [
        place
        for place, (before, after) in enumerate(zip(changes.before, changes.after, strict=True))
        if before is None or read(before) != read(after)
    ]
    if not changed and changes.is_same_layout:
        return column
    lines = family.draw([changes.after[place] for place in changed], [changes.opened_after[place] for place in changed])
    if len(lines) == len(changes.opened):
        return _column_of(lines)
    return _column_with(column, changes.steps, dict(zip(changed, map(str.encode, lines), strict=True)))


def _column_of(lines: list[str]) -> Column:
    text = "".join(lines)
    if text.isascii():
        return _column(text.encode(), array("I", map(len, lines)))
    encoded = [line.encode() for line in lines]
    return _column(b"".join(encoded), array("I", map(len, encoded)))


def _column_with(column: Column, steps: list[_Step], drawn: dict[int, bytes]) -> Column:
    old = memoryview(column.part.plain)
    ends = [0, *accumulate(column.sizes)]
    pieces: list[bytes | memoryview] = []
    sizes: array[int] = array("I")
    for step in steps:
        lines = drawn.get(step.touched)
        if lines is None:
            pieces.append(old[ends[step.start] : ends[step.stop]])
            sizes.extend(column.sizes[step.start : step.stop])
        else:
            pieces.append(lines)
            sizes.append(len(lines))
    return _column(b"".join(pieces), sizes)


def _column(plain: bytes, sizes: array[int]) -> Column:
    return Column(make_part(plain), sizes, plain.count(b"\n"))
