"""A table for a terminal of any width: numbers and ids are never cut, and every row can be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from rich.cells import cell_len

NONE = "–"
"""A cell in which nothing is known."""
GAP = "  "
CUT = "…"
SHORTEST_NAME = 10
LONGEST_NAME = 40
"""A name is cut to this width however much room there is: one of 50,000 letters makes no table."""

KEPT_VALUES = 3
"""So many of the weightiest values stay while names are cut; the others go before that."""


class Role(Enum):
    """What a column is to its rows."""

    NAME = "name"
    """Tells rows apart as far as names do; a long one is cut in the middle."""
    ID = "id"
    """Tells rows apart; never cut."""
    VALUE = "value"
    """Never cut: a number without its last digits is another number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """One column, with a text for each row.

    Where the table is too narrow, the columns of the smallest `weight` are left out first, of equal ones the last. A
    `is_reserve` one is there only where the others do not tell the rows apart.
    """

    heading: str
    cells: Sequence[str]
    role: Role = Role.VALUE
    is_right: bool = False
    weight: int = 0
    is_reserve: bool = False

    longest: int = LONGEST_NAME

    @property
    def is_blank(self) -> bool:
        """Whether it carries nothing: no row has anything in it, which is worth a column for weighty values alone.

        Those are numbers mostly, and that one is not known is an answer.
        """
        is_needed = self.role is Role.VALUE and self.weight > 0
        return not is_needed and all(cell in ("", NONE) for cell in self.cells)

    @property
    def natural(self) -> int:
        """The width that its longest cell takes, or the longest name that is shown."""
        width = max(map(cell_len, (self.heading, *self.cells)))
        return min(width, self.longest) if self.role is Role.NAME else width

    @property
    def least(self) -> int:
        """The width below which it is left out."""
        return min(self.natural, SHORTEST_NAME) if self.role is Role.NAME else self.natural


@dataclass(frozen=True, slots=True)
class Drawn:
    """A heading and the rows, a line each without spaces at its end; and the headings of what is left out."""

    heading: str
    rows: tuple[str, ...]
    left_out: tuple[str, ...]


def draw(fields: Sequence[Field], width: int, *, told_apart: int | None = None, cut: str = CUT) -> Drawn:
    """Draw a table at most `width` characters wide.

    `told_apart` is how many of the first rows must differ: a total at the end need not. The weightiest column of names
    or ids is always there, also where it alone is wider than `width`. `cut` stands where a name is cut.
    """
    ordinary = [field for field in fields if not field.is_reserve]
    names = [field for field in fields if field.role is not Role.VALUE]
    first = max((field for field in names if not field.is_reserve), key=lambda field: field.weight, default=ordinary[0])
    shown = _fitting(ordinary, width, kept=[first])
    if not _tell_apart(shown, width, told_apart, cut):
        candidates = [
            _fitting([field for field in fields if not field.is_reserve or field is further], width, kept=kept)
            for further in names
            for kept in ([further, first], [first, further])
        ]
        telling = [candidate for candidate in candidates if _tell_apart(candidate, width, told_apart, cut)]
        # Of the ways to tell rows apart the one that leaves most room for what is told of them.
        shown = max(telling, key=_told, default=shown)
    left_out = tuple(field.heading for field in ordinary if field not in shown and field.heading)
    return _drawn(shown, _widths(shown, width), left_out, cut)


def cut_name(name: str, width: int, cut: str = CUT) -> str:
    """A name in at most `width` columns of a terminal, cut in the middle: both its ends tell most."""
    if cell_len(name) <= width:
        return name
    room = width - cell_len(cut)
    front = _taken(name, (room + 1) // 2)
    back = _taken(name[::-1], room // 2)[::-1]
    return f"{front}{cut}{back}"


def _taken(text: str, width: int) -> str:
    """As many letters from its start as `width` columns hold: some take two columns, some none."""
    taken = 0
    for at, letter in enumerate(text):
        taken += cell_len(letter)
        if taken > width:
            return text[:at]
    return text


def _fitting(fields: Sequence[Field], width: int, *, kept: Sequence[Field]) -> list[Field]:
    """What is left when the least important are gone, one by one, until the rest has its least width.

    What is secondary goes before a name is cut. Those `kept` go after all others, the last one first.
    """
    shown = list(fields)
    others = sorted((field for field in fields if field not in kept), key=_worth, reverse=True)
    values = [field for field in others if field.role is Role.VALUE]
    secondary = [field for field in others if field in values[KEPT_VALUES:] or not _worth(field)]
    while sum(field.natural for field in shown) + _gaps(shown) > width and secondary:
        shown.remove(secondary.pop())
    droppable = [field for field in (*kept[1:], *others) if field in shown]
    while _taking(shown) > width and droppable:
        shown.remove(droppable.pop())
    return shown


def _worth(field: Field) -> int:
    """Its weight; a name that is the same in every row tells nothing."""
    is_one_name = field.role is Role.NAME and len(field.cells) > 1 and len(set(field.cells)) == 1
    return 0 if is_one_name else field.weight


def _told(fields: Sequence[Field]) -> int:
    return sum(field.weight for field in fields if field.role is Role.VALUE)


def _taking(fields: Sequence[Field]) -> int:
    return sum(field.least for field in fields) + _gaps(fields)


def _gaps(fields: Sequence[Field]) -> int:
    return len(GAP) * (len(fields) - 1)


def _widths(fields: Sequence[Field], width: int) -> list[int]:
    """Their least widths, and what is over for the names that need it, the neediest last."""
    widths = [field.least for field in fields]
    spare = width - _taking(fields)
    while spare > 0:
        needy = [at for at, field in enumerate(fields) if widths[at] < field.natural]
        if not needy:
            break
        widths[min(needy, key=lambda at: widths[at])] += 1
        spare -= 1
    return widths


def _tell_apart(fields: Sequence[Field], width: int, told_apart: int | None, cut: str) -> bool:
    telling = [
        [cut_name(cell, given, cut) for cell in field.cells[:told_apart]]
        for field, given in zip(fields, _widths(fields, width), strict=True)
        if field.role is not Role.VALUE
    ]
    rows = list(zip(*telling, strict=True))
    return not telling or len(set(rows)) == len(rows)


def _drawn(fields: Sequence[Field], widths: Sequence[int], left_out: tuple[str, ...], cut: str) -> Drawn:
    columns = [
        [field.heading, *field.cells]
        if field.role is not Role.NAME
        else [cut_name(cell, width, cut) for cell in (field.heading, *field.cells)]
        for field, width in zip(fields, widths, strict=True)
    ]
    heading, *rows = _lines(fields, widths, columns)
    return Drawn(heading, tuple(rows), left_out)


def _lines(fields: Sequence[Field], widths: Sequence[int], columns: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in zip(*columns, strict=True):
        padded = []
        for field, width, cell in zip(fields, widths, cells, strict=True):
            space = " " * (width - cell_len(cell))
            padded.append(space + cell if field.is_right else cell + space)
        yield GAP.join(padded).rstrip()
