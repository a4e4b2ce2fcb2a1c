"""Lists over every credential, as much of them as is wanted, and whether that is all there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from prisma_postgres_exporter.cli.api.running import Session
from prisma_postgres_exporter.cli.printing import Columns, Form, print_list
from prisma_postgres_exporter.errors import ApiError, MalformedAnswer
from prisma_postgres_exporter.words import counted

if TYPE_CHECKING:
    from prisma_postgres_exporter.api import Listing, ManagementApi, Refused

T = TypeVar("T")

PAGE = 100
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A thing, and the client that reaches it."""

    thing: T
    api: ManagementApi


async def listed(
    session: Session, listing: Callable[[ManagementApi, int], Listing[T]], *, limit: int = PAGE, is_all: bool = True
) -> tuple[list[Found[T]], bool]:
    """The `listing` of each client, with pages of a size: `limit` of it, or all; and whether there is more to be had.

    A list that fails, or a record that cannot be read, leaves the others; the session keeps the error.

    Raises:
        ApiError: no list began.
    """
    found: list[Found[T]] = []
    failed: list[ApiError] = []
    for reach in session.reaches:
        entries = listing(reach.api, PAGE if is_all else min(limit, PAGE))
        try:
            async for entry in entries:
                if len(found) == limit and not is_all:
                    session.failures += failed
                    return found, True
                found.append(Found(entry, reach.api))
        except ApiError as error:
            failed.append(error)
        finally:
            note_unread(session, entries.refused)
    session.failures += failed
    if len(failed) == len(session.reaches) and not found:
        raise failed[-1]
    return found, False


def note_unread(session: Session, refused: Sequence[Refused]) -> None:
    """Let the session end by saying which records of a list could not be read."""
    if not refused:
        return
    which = ", ".join(f"{record.id or 'without an id'} ({record.reason})" for record in refused[:SHOWN])
    more = f" and {len(refused) - SHOWN} more" if len(refused) > SHOWN else ""
    records = counted(len(refused), "record")
    session.failures.append(
        MalformedAnswer(f"the list is not complete: {records} could not be read: {which}{more}", reason="wrong_shape")
    )


def print_listed(
    session: Session, things: Sequence[T], columns: Columns[T], chosen: Form, *, has_more: bool = False, **rest: Any
) -> None:
    """Print a list, as `print_list` does; it is complete if there is no more, and nothing failed on the way to it."""
    if any(error.reason == "list_cut" for error in session.failures):
        has_more, rest["how_to_see_more"] = True, "the API gave no way to it"
    print_list(things, columns, chosen, has_more=has_more, is_complete=not (has_more or session.failures), **rest)
