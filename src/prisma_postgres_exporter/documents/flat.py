"""Documents as rows with columns: the same keys, those of a document within another behind its own key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from prisma_postgres_exporter.documents.models import Document
from prisma_postgres_exporter.report import csv_parts


def documents_csv(kind: type[Document], documents: Iterable[Document], *, is_raw: bool = False) -> Iterator[bytes]:
    """Yield documents of one kind as `csv_parts` has rows; words are joined by `; `."""
    rows = (tuple(_values(kind, document.model_dump(mode="json"))) for document in documents)
    return csv_parts(_columns(kind), rows, is_raw=is_raw)


def _columns(kind: type[Document], before: str = "") -> Iterator[str]:
    for name, field in kind.model_fields.items():
        inner = _within(field.annotation)
        if inner is None:
            yield f"{before}{name}"
        else:
            yield from _columns(inner, f"{before}{name}_")


def _values(kind: type[Document], values: Mapping[str, object] | None) -> Iterator[object]:
    for name, field in kind.model_fields.items():
        value = values[name] if values is not None else None
        inner = _within(field.annotation)
        if inner is None:
            if isinstance(value, dict):
                value = [f"{key} {part}" for key, part in value.items()]
            yield "; ".join(map(str, value)) if isinstance(value, list) else value
        else:
            yield from _values(inner, value if isinstance(value, dict) else None)


def _within(annotation: object) -> type[Document] | None:
    """The kind of document that a key holds, if it holds one."""
    parts = (annotation, *get_args(annotation))
    return next((part for part in parts if isinstance(part, type) and issubclass(part, Document)), None)
