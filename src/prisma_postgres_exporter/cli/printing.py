"""Things as a table, JSON or CSV on standard output."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from prisma_postgres_exporter.cli.table import NONE, Field, Role, draw
from prisma_postgres_exporter.cli.terminal import harmless, is_unicode, pour, say, sentence, show
from prisma_postgres_exporter.errors import ConfigurationError

if TYPE_CHECKING:
    from prisma_postgres_exporter.documents import Comparison, Ranking

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
Value = str | int | float | bool | None
Shown = Value | datetime | Decimal

UNBOUNDED = 10_000
"""The width of a table that no terminal shows: whatever reads it from a pipe finds each thing on one line."""

LONGEST_NAME_WIDE = 120
NAMES_WEIGHT = 10
"""Names and ids without a weight of their own stay longer than what is told of them."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T_contra]):
    """One key. `heading` is its column in a table, `None` for what only programs want.

    An `is_for_people` one is in tables alone: an amount in words, set to the right like numbers. Where a table is too
    narrow, the columns of the smallest `weight` are left out first.
    """

    key: str
    value: Callable[[T_contra], Shown]
    heading: str | None = None
    is_for_people: bool = False
    weight: int = 0

    def plain(self, thing: T_contra) -> Value:
        """The value as JSON has it: instants as ISO texts in UTC, money as the exact text."""
        value = self.value(thing)
        if isinstance(value, datetime):
            return value.isoformat()
        return str(value) if isinstance(value, Decimal) else value

    def field(self, things: Sequence[T_contra]) -> Field:
        """Its column of a table."""
        values = [self.value(thing) for thing in things]
        decimals = max(map(_decimals, values), default=0)
        # Where nothing is known in any row it is a number: texts that no row has are left out.
        is_number = all(value is None or _is_number(value) for value in values)
        return Field(
            heading=self.key.replace("_", " ") if self.heading is None else self.heading,
            cells=[_shown(value, decimals) for value in values],
            role=self._role,
            is_right=self.is_for_people or is_number,
            weight=self.weight or (NAMES_WEIGHT if self._role is not Role.VALUE else 0),
            is_reserve=self.heading is None,
        )

    @property
    def is_in_tables(self) -> bool:
        """Whether a table has it, if only to tell apart what has one name."""
        return self.heading is not None or self._role is Role.ID

    @property
    def _role(self) -> Role:
        if self.key.endswith("name"):
            return Role.NAME
        return Role.ID if self.key == "id" or self.key.endswith("_id") else Role.VALUE


Columns = Sequence[Column[T]]


class Form(Enum):
    """How things are printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    CSV = "csv"
    RAW = "csv --raw"


CSV = frozenset({Form.CSV, Form.RAW})
TABLES = frozenset({Form.TABLE, Form.WIDE})


def form(*, as_json: bool, as_csv: bool = False, is_raw: bool = False, is_wide: bool = False) -> Form:
    """The form that the flags ask for.

    Raises:
        ConfigurationError: more than one of them, or `--raw` without `--csv`.
    """
    asked = {Form.JSON: as_json, Form.CSV: as_csv, Form.WIDE: is_wide}
    given = [form for form, is_asked in asked.items() if is_asked]
    if len(given) > 1:
        raise ConfigurationError([f"{' and '.join(f'--{form.value}' for form in given)}: give one of them"])
    if is_raw and not as_csv:
        raise ConfigurationError(["--raw: says how CSV is written; add --csv"])
    return Form.RAW if is_raw else given[0] if given else Form.TABLE


def keys(columns: Columns[T]) -> str:
    """The epilogue of a command's help: which keys it prints."""
    return f"Keys of JSON and CSV: {', '.join(column.key for column in _for_programs(columns))}."


def print_list(
    things: Sequence[T],
    columns: Columns[T],
    chosen: Form,
    *,
    what: str,
    has_more: bool,
    is_complete: bool,
    how_to_see_more: str = "--all prints everything",
    **beside: Value,
) -> None:
    """Print a list of `what`: in JSON `{"version": 1, "data": […], "has_more": …, "is_complete": …}`, and `beside`."""
    if chosen is Form.JSON:
        rows = [{column.key: column.plain(thing) for column in _for_programs(columns)} for thing in things]
        print_answer({"data": rows, "has_more": has_more, "is_complete": is_complete, **beside})
    elif chosen in CSV:
        _print_csv(things, columns, chosen)
    elif things or is_complete:
        _print_table(things, columns, chosen, what)
    if has_more:
        say(f"There is more: {how_to_see_more}.")


def print_documents(
    answer: Ranking | Comparison,
    lines: Sequence[T],
    columns: Columns[T],
    chosen: Form,
    *,
    what: str,
    how_to_see_more: str,
    total: T | None,
) -> None:
    """Print an answer's documents; a table has the `columns` of the `lines` that they were made from, and a `total`."""
    if chosen is Form.JSON:
        print_document(answer.model_dump_json(indent=2))
    elif chosen in CSV:
        from prisma_postgres_exporter.documents import ChangeDocument, RankedDocument, Ranking, documents_csv

        kind = RankedDocument if isinstance(answer, Ranking) else ChangeDocument
        pour(documents_csv(kind, answer.data, is_raw=chosen is Form.RAW))
    else:
        _print_table(lines, columns, chosen, what, total)
    if answer.has_more:
        say(f"There is more: {how_to_see_more}.")


def print_one(thing: T, columns: Columns[T], chosen: Form) -> None:
    """Print one thing: in JSON `{"version": 1, "data": {…}}`."""
    if chosen is Form.JSON:
        row = {column.key: column.plain(thing) for column in _for_programs(columns)}
        print_answer({"data": row})
    elif chosen in CSV:
        _print_csv([thing], columns, chosen)
    else:
        width = max(len(column.key) for column in columns)
        for column in columns:
            value = column.value(thing)
            if column.heading is not None or value is not None:
                heading = column.heading or column.key.replace("_", " ")
                show(f"{heading:<{width}}  {_shown(value, _decimals(value))}")


def print_answer(answer: Mapping[str, object]) -> None:
    """Print an answer as JSON, with the version of its form."""
    from prisma_postgres_exporter.documents import FORM_VERSION

    print_document(json.dumps({"version": FORM_VERSION, **answer}, indent=2, ensure_ascii=False))


def print_document(text: str) -> None:
    """Print what programs read, in UTF-8 whatever the locale."""
    pour([text.encode(errors="backslashreplace"), b"\n"])


def print_table(
    fields: Sequence[Field], chosen: Form, *, what: str, title: str | None = None, told_apart: int | None = None
) -> None:
    """Print a table of `what` as wide as the terminal, or as it gets in a pipe and for `Form.WIDE`.

    What is left out for want of room is named below it. Rows after the first `told_apart` are totals.
    """
    if title is not None:
        show(title)
    if not fields[0].cells:
        show(sentence(f"No {what}."))
        return
    width = shutil.get_terminal_size().columns if chosen is Form.TABLE and sys.stdout.isatty() else UNBOUNDED
    if width == UNBOUNDED:
        fields = [replace(field, longest=LONGEST_NAME_WIDE) for field in fields]
    if chosen is Form.WIDE:
        fields = [replace(field, is_reserve=False) for field in fields]
    else:
        fields = [field for field in fields if not field.is_blank]
    drawn = draw(fields, width, told_apart=told_apart, cut="…" if is_unicode() else "...")
    show(drawn.heading, style="bold")
    for number, line in enumerate(drawn.rows):
        show(line, style="bold" if told_apart is not None and number >= told_apart else None)
    if drawn.left_out:
        show(f"Not shown at {width} columns: {', '.join(drawn.left_out)}. --wide shows everything.")


def _print_csv(things: Sequence[T], columns: Columns[T], chosen: Form) -> None:
    from prisma_postgres_exporter.report import csv_parts

    told = _for_programs(columns)
    rows = (tuple(column.plain(thing) for column in told) for thing in things)
    pour(csv_parts([column.key for column in told], rows, is_raw=chosen is Form.RAW))


def _print_table(things: Sequence[T], columns: Columns[T], chosen: Form, what: str, total: T | None = None) -> None:
    every = [*things, *(() if total is None else (total,))]
    fields = [column.field(every) for column in columns if column.is_in_tables]
    print_table(fields, chosen, what=what, told_apart=len(things))


def _for_programs(columns: Columns[T]) -> Columns[T]:
    return [column for column in columns if not column.is_for_people]


def _is_number(value: Shown) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _shown(value: Shown, decimals: int) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, str):
        return harmless(value)
    # Not for whole numbers: a format with decimals makes a float of them.
    return f"{value:,.{decimals}f}" if decimals else f"{value:,}"


def _decimals(value: Shown) -> int:
    """How many decimals a number has; 0 for what is none."""
    if isinstance(value, float | Decimal):
        exponent = Decimal(str(value)).as_tuple().exponent
        return max(0, -exponent) if isinstance(exponent, int) else 0
    return 0
