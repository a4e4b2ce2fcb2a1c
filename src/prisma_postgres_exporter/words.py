"""Things in sentences: how many, and which."""

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """A number of things for people: `no databases`, `1 database`, `1,200 databases`."""
    return f"{f'{count:,}' if count else 'no'} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Things one after the other: `operations, storage and tax`."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
