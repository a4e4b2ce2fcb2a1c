"""Small plots, as the geometry of inline SVG and the words for those who do not see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from prisma_postgres_exporter.cost import ABOUT, AT_LEAST

WIDTH, HEIGHT = 1_000, 100
"""A plot's own units: it is stretched to the room there is, and its words stand outside of it."""

SPARK_WIDTH, SPARK_HEIGHT = 120, 24
N = TypeVar("N", int, float)
BAR = 0.8
"""How much of its place a bar takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar, and its name and value; one that `is_open` still grows, or is not known whole."""

    x: str
    y: str
    width: str
    height: str
    title: str
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One bar for each point of which something is known."""

    label: str
    first: str
    last: str
    lowest: str
    highest: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A month's sum so far as the `past` line, and where it is meant to end: in the `band`, most likely `expected`.

    Without `low` and `high` there is no band; without `expected` the line does not go on, and `rest` says why.
    """

    label: str
    past: str
    ahead: str
    band: str
    so_far: str
    low: str
    expected: str
    high: str
    rest: str = ""


def bars(
    points: Sequence[tuple[str, N | None]],
    label: str,
    shown: Callable[[N], str],
    *,
    qualified: Mapping[str, str] | None = None,
    still_open: str | None = None,
) -> Bars | None:
    """Return the bars of named values with a gap where one is not known; `None` where none is.

    `qualified` is what is said before a value that is not known whole; `still_open` is the one that is not over. Both
    are open.
    """
    known, qualified = [value for _, value in points if value is not None], qualified or {}
    if not known:
        return None
    step, scale = WIDTH / len(points), HEIGHT / (max(known) or 1)
    return Bars(
        label=label,
        first=points[0][0],
        last=points[-1][0],
        lowest=shown(min(known)),
        highest=shown(max(known)),
        bars=tuple(
            Bar(
                x=_number(step * (place + (1 - BAR) / 2)),
                y=_number(HEIGHT - value * scale),
                width=_number(step * BAR),
                height=_number(value * scale),
                title=f"{name}: {qualified.get(name, '')}{shown(value)}{' so far' if name == still_open else ''}",
                is_open=name == still_open or name in qualified,
            )
            for place, (name, value) in enumerate(points)
            if value is not None
        ),
    )


def bars_of_days(
    label: str, days: Sequence[tuple[str, int | None, str]], shown: Callable[[int], str], today: str | None = None
) -> Bars | None:
    """Return the bars of days, each with what is said before it; the label says how many are not known whole."""
    qualified = {day: qualifier for day, value, qualifier in days if value is not None and qualifier}
    # Of a day that is not over nobody expects the whole.
    label = label_of_days(label, ["" if day == today else said for day, value, said in days if value is not None])
    return bars([(day, value) for day, value, _ in days], label, shown, qualified=qualified, still_open=today)


def label_of_days(label: str, qualifiers: Sequence[str]) -> str:
    """Return what is drawn of days: of how many it is at least or about so much."""
    parts = [
        f"; {qualifier}so much on {number:,} of {len(qualifiers):,} days"
        for qualifier in (AT_LEAST, ABOUT)
        if (number := qualifiers.count(qualifier))
    ]
    return label + "".join(parts)


def sparkline(values: Sequence[int | None]) -> str:
    """Return the path of a line through values, broken where one is not known; empty where there is no line."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    step, scale = SPARK_WIDTH / (len(values) - 1), (SPARK_HEIGHT - 4) / (max(known) or 1)
    path, is_drawing = [], False
    for place, value in enumerate(values):
        if value is not None:
            path.append(
                f"{'L' if is_drawing else 'M'}{_number(place * step)} {_number(SPARK_HEIGHT - 2 - value * scale)}"
            )
        is_drawing = value is not None
    return "".join(path)


def band(
    sums: Sequence[float],
    days: int,
    ends: Sequence[float],
    label: str,
    shown: Callable[[float], str],
    *,
    qualifiers: tuple[str, str] = ("", ""),
    rest: str = "",
) -> Band:
    """Return a month of so many `days`: its sums at the end of each day so far, and where it ends.

    `ends` are the low, the expected and the high one, or the expected one alone, or none where nothing more is to come.
    `qualifiers` are said before the sum and what is expected, `rest` where nothing is.
    """
    step, scale = WIDTH / days, (HEIGHT - 2) / (max(*ends, *sums) or 1)
    so_far, ahead = qualifiers
    expected = ends[len(ends) // 2] if ends else None
    low, high = (ends[0], ends[-1]) if len(ends) > 1 else (None, None)

    def at(day: float, value: float) -> str:
        return f"{_number(day * step)},{_number(HEIGHT - 1 - value * scale)}"

    now = at(len(sums) - 1, sums[-1])
    return Band(
        label=label,
        past=" ".join(at(day, value) for day, value in enumerate(sums)),
        ahead="" if expected is None else f"{now} {at(days, expected)}",
        band="" if low is None or high is None else f"{now} {at(days, high)} {at(days, low)}",
        so_far=f"{so_far}{shown(sums[-1])}",
        low="" if low is None else shown(low),
        expected="" if expected is None else f"{ahead}{shown(expected)}",
        high="" if high is None else shown(high),
        rest=rest,
    )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
