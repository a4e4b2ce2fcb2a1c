"""The shipped dashboards as they are in the JSON: their panels, variables, annotations, and every query in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "grafana" / "dashboards"
FILES = tuple(sorted(FOLDER.glob("*.json")))
SCRAPED_EVERY = 60
"""Seconds: the data source's scrape interval, as grafana/README.md says to set it."""
_ROUND = (
    *((900, 600), (1_050, 900), (1_500, 1_200), (2_700, 1_800), (5_400, 3_600), (9_000, 7_200), (16_200, 10_800)),
    *((32_400, 21_600), (86_400, 43_200), (604_800, 86_400), (1_814_400, 604_800)),
)
_ROUND_BELOW = ((15, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), *_ROUND)
"""Grafana's `roundInterval`: below the first number of seconds a step is the second."""
SCREEN_PIXELS = 1600
"""A screen's width, of which a panel has its part; a panel asks for as many points at most."""

_QUERY_FUNCTION = re.compile(r"(label_values|query_result)\((.+)\)", re.DOTALL)
_VALUE = re.compile(r"\$\{?(?:job|instance|workspace|project|database)\}?")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query of a dashboard. `place` is the panel, variable or annotation that asks, `letter` which of its own.

    `step` is the least distance of two points in seconds, 0 where the query asks for one instant; `pixels` is as wide
    as it is drawn.
    """

    board: str
    place: str
    letter: str
    expression: str
    step: int
    pixels: float = SCREEN_PIXELS

    def __str__(self) -> str:
        return f"{self.board}: {self.place} {self.letter}"

    def step_of(self, seconds: float) -> int:
        """Return the step that Grafana asks for where so long a time is shown."""
        wanted = seconds / self.pixels
        rounded = next((step for below, step in _ROUND_BELOW if wanted < below), 2_592_000)
        return max(rounded, self.step)

    def filled(self, *, since: float, until: float, chosen: str = ".+") -> str:
        """Return the expression as Grafana sends it: everything chosen, or a database by its id."""
        step = self.step_of(until - since)
        text = self.expression.replace("$__rate_interval", f"{max(step + SCRAPED_EVERY, 4 * SCRAPED_EVERY)}s")
        text = text.replace("$__interval_ms", f"{1000 * step}").replace("$__interval", f"{step}s")
        text = text.replace("${__from:date:seconds}", f"{since:.0f}")
        text = text.replace("$__range", f"{until - since:.0f}s")
        text = text.replace("$database", chosen)
        return _VALUE.sub(".+", text)


def boards() -> Iterator[Json]:
    """Yield each dashboard's JSON."""
    for file in FILES:
        yield json.loads(file.read_text(encoding="utf-8"))


def panels(board: Json) -> list[Json]:
    """Return the panels that show something, without the rows' headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(board: Json) -> Iterator[Query]:
    """Yield every query of a dashboard: of its panels, its variables and its annotations."""
    uid = board["uid"]
    for panel in panels(board):
        for target in panel["targets"]:
            step = 0 if target["instant"] else max(_seconds(panel.get("interval", "")), 60)
            yield Query(
                board=uid,
                place=panel["title"],
                letter=target["refId"],
                expression=target["expr"],
                step=step,
                pixels=SCREEN_PIXELS * panel["gridPos"]["w"] / 24,
            )
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(board=uid, place=f"variable {variable['name']}", letter="", expression=asked(variable), step=0)
    for annotation in board["annotations"]["list"]:
        yield Query(
            board=uid,
            place=f"annotation {annotation['name']}",
            letter="",
            expression=annotation["target"]["expr"],
            step=_seconds(annotation["step"]),
        )


def asked(variable: Json) -> str:
    """Return the PromQL of a variable, without the function of Grafana's around it.

    Raises:
        ValueError: no such function.
    """
    matched = _QUERY_FUNCTION.fullmatch(variable["query"])
    if matched is None:
        raise ValueError(f"{variable['name']}: {variable['query']}")
    function, argument = matched.groups()
    return argument.rpartition(",")[0] if function == "label_values" else argument


def _seconds(duration: str) -> int:
    if not duration:
        return 0
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[duration[-1]]
