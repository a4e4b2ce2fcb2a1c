"""Lists, page by page: a cursor names the last entry of a page, so that nothing that comes or goes shifts the rest."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, Protocol, TypeVar

from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.questions import Question, Refused, invalid


class Listed(Protocol):
    """Something that a list holds."""

    id: str


T = TypeVar("T", bound=Listed)

_CURSOR: Final = "after:"
FIRST_PAGE_CURSOR: Final = base64.urlsafe_b64encode(_CURSOR.encode()).decode()
"""A cursor that leads back to the beginning."""


def page(
    question: Question,
    following: Callable[[str | None], Iterable[T]],
    body: Callable[[T, Question], bodies.Json],
    *,
    largest: int,
) -> bytes:
    """One page: what comes after the entry that the cursor names, `largest` entries at most."""
    limit = min(question.limit(), largest)
    cursor = question.parameters().get("cursor")
    shown = list(islice(following(_after(cursor) if cursor else None), limit + 1))
    next_cursor = _cursor_after(shown[limit - 1].id) if len(shown) > limit else None
    return bodies.page([body(record, question) for record in shown[:limit]], next_cursor)


def rest(entries: Iterable[T], after: str | None) -> Iterable[T]:
    """The entries that come after the one with the id `after`."""
    if after is None:
        return entries
    listed = list(entries)
    place = next((place for place, entry in enumerate(listed, start=1) if entry.id == after), None)
    if place is None:
        raise bad_cursor()
    return listed[place:]


def bad_cursor() -> Refused:
    """A cursor that is not from here."""
    return invalid("cursor is not one of ours")


def _cursor_after(id_: str) -> str:
    return base64.urlsafe_b64encode(f"{_CURSOR}{id_}".encode()).decode()


def _after(cursor: str) -> str | None:
    try:
        mark, _, id_ = base64.urlsafe_b64decode(cursor).decode().rpartition(_CURSOR)
    except (binascii.Error, ValueError) as exc:
        raise bad_cursor() from exc
    if mark:
        raise bad_cursor()
    return id_ or None
