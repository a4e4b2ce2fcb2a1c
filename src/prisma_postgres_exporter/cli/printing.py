"""Things as a table, JSON or CSV on standard output."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Generic, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prisma_postgres_exporter.cli.terminal import harmless
from prisma_postgres_exporter.documents import (
    FORM_VERSION,
    ChangeDocument,
    Comparison,
    RankedDocument,
    Ranking,
    documents_csv,
)
from prisma_postgres_exporter.errors import ConfigurationError

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
Value = str | int | float | bool | None
Shown = Value | datetime | Decimal

NONE = "–"
PIPE_WIDTH = 10_000


@dataclass(frozen=True, slots=True)
class Column(Generic[T_contra]):
    """One key. `heading` is its column in a table, `None` for what only programs want.

    An `is_for_people` one is in tables alone: an amount in words, set to the right like numbers.
    """

    key: str
    value: Callable[[T_contra], Shown]
    heading: str | None = None
    is_for_people: bool = False

    def plain(self, thing: T_contra) -> Value:
        """The value as JSON has it: instants as ISO texts in UTC, money as the exact text."""
        value = self.value(thing)
        if isinstance(value, datetime):
            return value.isoformat()
        return str(value) if isinstance(value, Decimal) else value


Columns = Sequence[Column[T]]


class Form(Enum):
    """How things are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def form(*, as_json: bool, as_csv: bool) -> Form:
    """The form that the flags ask for.

    Raises:
        ConfigurationError: both.
    """
    if as_json and as_csv:
        raise ConfigurationError(["--json --csv: give one of them"])
    return Form.JSON if as_json else Form.CSV if as_csv else Form.TABLE


def keys(columns: Columns[T]) -> str:
    """The epilogue of a command's help: which keys it prints."""
    return f"Keys of JSON and CSV: {', '.join(column.key for column in _for_programs(columns))}."


def print_list(
    things: Sequence[T],
    columns: Columns[T],
    chosen: Form,
    *,
    has_more: bool = False,
    how_to_see_more: str = "--all prints everything",
    **beside: Value,
) -> None:
    """Print a list: in JSON `{"version": 1, "data": […], "has_more": …}`, with whatever stands `beside` it."""
    if chosen is Form.JSON:
        rows = [{column.key: column.plain(thing) for column in _for_programs(columns)} for thing in things]
        answer = {"version": FORM_VERSION, "data": rows, "has_more": has_more, **beside}
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif chosen is Form.CSV:
        _print_csv(things, columns)
    else:
        _print_table(things, columns)
    if has_more:
        _say_that_there_is_more(how_to_see_more)


def print_documents(
    answer: Ranking | Comparison, lines: Sequence[T], columns: Columns[T], chosen: Form, *, how_to_see_more: str
) -> None:
    """Print an answer's documents; a table has the `columns` of the `lines` that they were made from."""
    if chosen is Form.JSON:
        typer.echo(answer.model_dump_json(indent=2))
    elif chosen is Form.CSV:
        kind = RankedDocument if isinstance(answer, Ranking) else ChangeDocument
        for part in documents_csv(kind, answer.data):
            typer.echo(part, nl=False)
    else:
        _print_table(lines, columns)
    if answer.has_more:
        _say_that_there_is_more(how_to_see_more)


def _say_that_there_is_more(how_to_see_more: str) -> None:
    Console(stderr=True, highlight=False).print(f"There is more: {how_to_see_more}.")


def print_one(thing: T, columns: Columns[T], chosen: Form) -> None:
    """Print one thing: in JSON `{"version": 1, "data": {…}}`."""
    if chosen is Form.JSON:
        row = {column.key: column.plain(thing) for column in _for_programs(columns)}
        typer.echo(json.dumps({"version": FORM_VERSION, "data": row}, indent=2, ensure_ascii=False))
    elif chosen is Form.CSV:
        _print_csv([thing], columns)
    else:
        width = max(len(column.key) for column in columns)
        for column in columns:
            value = column.value(thing)
            if column.heading is not None or value is not None:
                heading = column.heading or column.key.replace("_", " ")
                typer.echo(f"{heading:<{width}}  {_shown(value)}")


def _print_csv(things: Iterable[T], columns: Columns[T]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    told = _for_programs(columns)
    writer.writerow([column.key for column in told])
    for thing in things:
        writer.writerow([_cell(column, thing) for column in told])
    typer.echo(text.getvalue(), nl=False)


def _cell(column: Column[T], thing: T) -> Value:
    value = column.plain(thing)
    return str(value).lower() if isinstance(value, bool) else value


def _print_table(things: Iterable[T], columns: Columns[T]) -> None:
    table = Table(box=None, pad_edge=False)
    shown = [column for column in columns if column.heading is not None]
    for column in shown:
        # An id, an instant or a word of the vendor's that is cut is worth nothing; a name of any length is not.
        table.add_column(column.heading or "", overflow="fold", no_wrap=not column.key.endswith("name"))
    for thing in things:
        table.add_row(*(_aligned(column.value(thing), is_right=column.is_for_people) for column in shown))
    console = Console(highlight=False)
    if not console.is_terminal:
        # Whatever reads it from a pipe finds each thing on one line.
        console.width = PIPE_WIDTH
    console.print(table)


def _for_programs(columns: Columns[T]) -> Columns[T]:
    return [column for column in columns if not column.is_for_people]


def _aligned(value: Shown, *, is_right: bool = False) -> Text:
    is_number = is_right or (isinstance(value, int | float | Decimal) and not isinstance(value, bool))
    return Text(_shown(value), justify="right" if is_number else "left")


def _shown(value: Shown) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    return f"{value:,}" if isinstance(value, int | float | Decimal) else harmless(value)
