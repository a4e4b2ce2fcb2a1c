"""What a creation or rotation answered, on standard output, and where its secrets are to be had if not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from prisma_postgres_exporter.cli.api.running import printed
from prisma_postgres_exporter.cli.printing import Columns, Form, print_one
from prisma_postgres_exporter.cli.terminal import say

T = TypeVar("T")


def new_strings(database_id: str | None) -> str:
    """Where there are connection strings for a database, other ones than those that are shown once."""
    database = "" if database_id is None else f" NAME --database {database_id} --reveal"
    return f"`api connections create{database}` makes new ones"


def print_made(thing: T, columns: Columns[T], chosen: Form, *, done: str, reveal: bool, elsewhere: str) -> None:
    """Print a thing with its connection strings, or say how to get them: `elsewhere`.

    `done` is what is said where it cannot be printed.
    """
    with printed(f"{done} with connection strings" if reveal else done, f"{elsewhere[0].upper()}{elsewhere[1:]}."):
        print_one(thing, columns, chosen)
    if not reveal:
        say(f"The connection strings are not shown; {elsewhere}.")
    elif not any(_strings(thing, columns)):
        say(f"The answer has no connection strings; {elsewhere}.")


def print_changed(thing: T, columns: Columns[T], chosen: Form, *, done: str, look: str) -> None:
    """Print a thing as a change has left it; where it cannot be printed, say what was `done`, and where to `look`."""
    with printed(done, f"Look with `{look}`."):
        print_one(thing, columns, chosen)


def _strings(thing: T, columns: Columns[T]) -> Iterator[object]:
    return (column.value(thing) for column in columns if column.key.endswith("_connection_string"))
