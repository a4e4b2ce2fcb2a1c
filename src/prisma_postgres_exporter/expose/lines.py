"""How one metric family becomes lines of exposition text, the same lines in text 0.0.4 and OpenMetrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Generic, Literal, TypeVar

V = TypeVar("V")
T = TypeVar("T")

Kind = Literal["gauge", "counter", "histogram"]
Row = tuple[tuple[str, ...], int | float | Decimal]

# Prometheus ends its input at a NUL, and a lone surrogate has no UTF-8 form.
_NOT_SHOWABLE = re.compile("[\x00\ud800-\udfff]")
_NOT_PLAIN = re.compile('[\x00\ud800-\udfff\\\\\n"]')


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Generic[V]):
    """One metric family over views of one type.

    `labels` are all label names, the subject's first. `draw` takes the views and, in the same order, their opened
    labels; it gives one string for each view, made of whole lines and empty where the value is not reported. A view has
    at most `most_rows` lines, with `None` as many as are configured. `is_summed` says that the numbers of several views
    add up to one that means the same.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    draw: Callable[[Sequence[V], Sequence[str]], list[str]]
    most_rows: int | None = 1
    is_summed: bool = False

    def header(self, *, is_openmetrics: bool) -> bytes:
        """HELP and TYPE. OpenMetrics names a counter's family without its `_total`."""
        name = self.name.removesuffix("_total") if is_openmetrics and self.kind == "counter" else self.name
        return f"# HELP {name} {self.help}\n# TYPE {name} {self.kind}\n".encode()


def single(
    name: str,
    kind: Kind,
    labels: tuple[str, ...],
    help_text: str,
    read: Callable[[V], T | None],
    *,
    show: Callable[[T], str] = str,
    is_summed: bool = False,
) -> Family[V]:
    """A family with one sample for each subject, or none where `read` gives `None`."""

    def draw(views: Sequence[V], opened: Sequence[str]) -> list[str]:
        return [
            "" if value is None else f"{name}{start}}} {show(value)}\n"
            for start, value in zip(opened, map(read, views), strict=True)
        ]

    return Family(name=name, kind=kind, labels=labels, help=help_text, draw=draw, is_summed=is_summed)


def rows(
    name: str,
    kind: Kind,
    labels: tuple[str, ...],
    help_text: str,
    read: Callable[[V], tuple[Row, ...]],
    *,
    own_labels: tuple[str, ...],
    most_rows: int | None,
    is_summed: bool = False,
) -> Family[V]:
    """A family with labels of its own beside the subject's: `read` gives their values and the number, row by row."""

    def draw(views: Sequence[V], opened: Sequence[str]) -> list[str]:
        # Few values, in many rows: `direction` has two, `window` as many as are configured.
        closed: dict[tuple[str, ...], str] = {}
        drawn = []
        for start, view in zip(opened, views, strict=True):
            lines = ""
            for values, number in read(view):
                rest = closed.get(values)
                if rest is None:
                    rest = closed[values] = f",{pairs(own_labels, values)}}}"
                lines += f"{name}{start}{rest} {number}\n"
            drawn.append(lines)
        return drawn

    return Family(
        name=name,
        kind=kind,
        labels=labels + own_labels,
        help=help_text,
        draw=draw,
        most_rows=most_rows,
        is_summed=is_summed,
    )


def opened_labels(names: Iterable[str], values: Iterable[str]) -> str:
    """`{a="1",b="2"` without the closing brace, so that families can add labels of their own."""
    return "{" + pairs(names, values)


def pairs(names: Iterable[str], values: Iterable[str]) -> str:
    """`a="1",b="2"`, escaped."""
    return ",".join([f'{name}="{escaped(value)}"' for name, value in zip(names, values, strict=True)])


def escaped(value: str) -> str:
    """A label value as both formats write it."""
    if _NOT_PLAIN.search(value) is None:
        return value
    return showable(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def showable(text: str) -> str:
    """The text with U+FFFD for the characters that no exposition can carry: NUL and lone surrogates."""
    return _NOT_SHOWABLE.sub("\ufffd", text)


def flag(value: bool) -> str:
    """1 or 0."""
    return "1" if value else "0"


def unix_seconds(at: datetime) -> str:
    """An aware instant as seconds since 1970, with a fraction only where it has one."""
    seconds = at.timestamp()
    return str(int(seconds)) if seconds.is_integer() else repr(seconds)
