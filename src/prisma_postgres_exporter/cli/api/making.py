"""What a creation or rotation answered, on standard output, and where its secrets are to be had if not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from prisma_postgres_exporter.cli.printing import Columns, Form, print_one
from prisma_postgres_exporter.cli.terminal import say

T = TypeVar("T")

STRINGS_ELSEWHERE = "`api connections create` makes new ones"


def print_made(
    thing: T, columns: Columns[T], chosen: Form, *, reveal: bool, elsewhere: str = STRINGS_ELSEWHERE
) -> None:
    """Print a thing with its connection strings, or say how to get them: `elsewhere`."""
    print_one(thing, columns, chosen)
    if not reveal:
        say(f"The connection strings are not shown; {elsewhere}.")
    elif not any(_strings(thing, columns)):
        say(f"The answer has no connection strings; {elsewhere}.")


def _strings(thing: T, columns: Columns[T]) -> Iterator[object]:
    return (column.value(thing) for column in columns if column.key.endswith("_connection_string"))
