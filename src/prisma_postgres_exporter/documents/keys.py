"""The table of keys in the guide, made from the models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from prisma_postgres_exporter.documents.models import ANSWERS, Document


def keys_table() -> str:
    """Return the table: every key once, with what it means and in which documents it stands."""
    rows = [f"| `{key}` | {meaning} |\n" for key, meaning in sorted(meanings().items())]
    return "| key | what it means |\n|---|---|\n" + "".join(rows)


def meanings() -> Mapping[str, str]:
    """What each key means.

    Raises:
        ValueError: one has two meanings, or none.
    """
    found: dict[str, str] = {}
    for kind in kinds():
        for name, field in kind.model_fields.items():
            if name == "data":
                continue
            meaning = field.description
            if not meaning or found.setdefault(name, meaning) != meaning:
                raise ValueError(f"{kind.__name__}.{name}: {meaning!r}, and elsewhere {found.get(name)!r}")
    return found


def kinds() -> frozenset[type[Document]]:
    """Every document that is in an answer, the answers included."""
    return frozenset(part for answer in ANSWERS for part in _inside(answer))


def _inside(kind: type[Document]) -> Iterator[type[Document]]:
    yield kind
    for field in kind.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, Document):
                yield from _inside(part)


def _parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
