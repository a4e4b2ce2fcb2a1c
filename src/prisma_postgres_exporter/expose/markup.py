"""HTML from Python values: every text is escaped, only what `element` made is markup."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from html import escape

from prisma_postgres_exporter.expose.lines import showable

VOID = frozenset({"input"})
"""Elements that have no end."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str) -> Markup:
    """`<name attribute="…">children</name>`; a child that is no `Markup` is escaped."""
    opened = "".join([f' {key.rstrip("_")}="{_escaped(value)}"' for key, value in attributes.items()])
    if name in VOID:
        return Markup(f"<{name}{opened}>")
    return Markup(f"<{name}{opened}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Markup:
    """The children after each other, escaped where they are no `Markup`."""
    return Markup("".join([child if isinstance(child, Markup) else _escaped(child) for child in children]))


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """A list of names and values."""
    return element("dl", *[element("div", element("dt", name), element("dd", value)) for name, value in pairs])


def table(heads: Iterable[str], body: Iterable[Iterable[str]], *, label: str) -> Markup:
    """A table with a head row, that scrolls by itself where it is too wide; the first cell of a row is its head."""
    head = element("tr", *[element("th", text, scope="col") for text in heads])
    lines = [
        element("tr", element("th", first, scope="row"), *[element("td", cell) for cell in rest])
        for first, *rest in body
    ]
    whole = element("table", element("thead", head), element("tbody", *lines))
    return element("div", whole, class_="wide", role="region", tabindex="0", **{"aria-label": label})


def instant(at: datetime, now_at: datetime) -> Markup:
    """An instant in UTC with its distance from now."""
    distance = duration(abs(now_at - at))
    words = f"{at:%Y-%m-%d %H:%M:%S} UTC, " + (f"{distance} ago" if at <= now_at else f"in {distance}")
    return element("time", words, datetime=at.isoformat())


def duration(span: timedelta) -> str:
    """A span in its largest whole unit: `42 s`, `5 min`, `3 h`, `12 days`."""
    seconds = int(span.total_seconds())
    for unit_seconds, unit in ((2 * 86400, "days"), (2 * 3600, "h"), (120, "min")):
        if seconds >= unit_seconds:
            return f"{seconds // (unit_seconds // 2)} {unit}"
    return f"{seconds} s"


def _escaped(text: str) -> str:
    return escape(showable(text))
