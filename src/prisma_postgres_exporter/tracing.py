"""Spans of the exporter's own work: nothing at all, until a tracer takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Protocol

Value = str | int | float | bool


class Span(Protocol):
    """What is under way; attributes hold templates, ids, counts and reasons, never a secret."""

    def set(self, name: str, value: Value) -> None:
        """Say something of it."""

    def fail(self, reason: str) -> None:
        """Say that it failed, by the constant of metrics and logs."""


class Tracer(Protocol):
    """Takes spans; those that begin in another one are a part of it."""

    def span(self, name: str, attributes: Mapping[str, Value], *, is_request: bool) -> AbstractContextManager[Span]:
        """A span that lasts as long as the context."""


class _Nothing:
    """The span where nobody traces, one for all."""

    def set(self, name: str, value: Value) -> None:
        pass

    def fail(self, reason: str) -> None:
        pass

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


_NOTHING = _Nothing()
_NO_ATTRIBUTES: Mapping[str, Value] = {}
_tracers: list[Tracer] = []


def span(
    name: str, attributes: Mapping[str, Value] = _NO_ATTRIBUTES, *, is_request: bool = False
) -> AbstractContextManager[Span]:
    """A span of what is done in the context; `is_request` where another program is asked."""
    return _tracers[-1].span(name, attributes, is_request=is_request) if _tracers else _NOTHING


@contextmanager
def traced_by(tracer: Tracer) -> Iterator[None]:
    """Give every span of this process to `tracer`."""
    _tracers.append(tracer)
    try:
        yield
    finally:
        _tracers.remove(tracer)
