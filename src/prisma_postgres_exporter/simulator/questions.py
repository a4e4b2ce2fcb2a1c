"""What a call asks, and the words in which it is answered or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from prisma_postgres_exporter.simulator import bodies
from prisma_postgres_exporter.simulator.instants import parsed
from prisma_postgres_exporter.simulator.records import WorkspaceRecord

DEFAULT_PAGE: Final = 100
LARGEST_BODY_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, a JSON body (empty for 204) and further headers."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refused(Exception):
    """An answer with an error body."""

    def __init__(self, status: int, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.answer: Final = Answer(status=status, body=bodies.error(code, message, hint))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request by somebody whose token is good. `id` fills the path's `{id}`, with its prefix or without."""

    workspace: WorkspaceRecord
    now_ms: int
    id: str = ""
    query: str = ""
    body: bytes = field(default=b"", repr=False)

    def parameters(self) -> Mapping[str, str]:
        """The query, the last of equal names winning."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def instant(self, name: str) -> int | None:
        """A parameter that is an ISO date-time, in milliseconds."""
        parameters = self.parameters()
        if name not in parameters:
            return None
        instant_ms = parsed(parameters[name])
        if instant_ms is None:
            raise invalid(f"{name} must be an ISO date-time")
        return instant_ms

    def limit(self, *, default: int = DEFAULT_PAGE) -> int:
        """How many entries a page shall hold."""
        text = self.parameters().get("limit", str(default))
        if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
            raise invalid("limit must be a whole number above zero")
        return int(text)

    def document(self) -> Fields:
        """The JSON object in the body."""
        if len(self.body) > LARGEST_BODY_BYTES:
            raise Refused(413, "payloadTooLarge", "The body is too large")
        try:
            document = json.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise invalid("the body must be a JSON object")
        return Fields(document)


class Fields:
    """The fields of a JSON object, each taken as the kind it must be."""

    def __init__(self, document: Mapping[str, object]) -> None:
        self._document = document

    def text(self, name: str, *, least: int = 1, most: int = 256, status: int = 400) -> str | None:
        """A text, `None` where it was left out."""
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise invalid(f"{name} must be text of {least} to {most} characters", status=status)
        return value

    def needed(self, name: str, *, least: int = 1, most: int = 256, status: int = 400) -> str:
        """A text that must be there."""
        value = self.text(name, least=least, most=most, status=status)
        if value is None:
            raise invalid(f"{name} is missing", status=status)
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._document.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise invalid(f"{name} must be true or false")
        return value

    def fields(self, name: str, *, status: int = 400) -> Fields | None:
        """An object within, `None` where it was left out."""
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise invalid(f"{name} must be an object", status=status)
        return Fields(value)


def invalid(message: str, *, status: int = 400) -> Refused:
    """What was sent makes no sense."""
    return Refused(status, "invalidRequest", message)


def not_found(subject: str) -> Refused:
    """There is no such thing, or not for this token."""
    return Refused(404, "notFound", f"No such {subject}")
