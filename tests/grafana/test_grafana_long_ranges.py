"""Every panel and mark whatever time is shown, with the steps that Grafana takes for it: nothing falls between two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from board_files import Query, boards, queries
from long_history import DAY, JUMP, SECOND_EXPECTED_AT, SECOND_WORKSPACE_AT, UNTIL, counted, long_history
from stored_history import Prometheus
from test_prometheus import needs_program

from ports import free_port

RANGES = {"1h": 3_600, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY, "1y": 365 * DAY}
MARKS = {"Gone": 2, "Renamed": 1}
"""How often each is seen in all."""
QUERIES = [query for board in boards() for query in queries(board)]
AMOUNTS = [query for query in QUERIES if re.search(r"\$__interval_ms|^3600 \*|\n?\(3600 \*", query.expression)]
SHARES = re.compile(r"histogram_quantile|throttled|process_cpu_seconds")
"""Rates that are shown as they are, or as parts of each other: they add up to nothing."""
pytestmark = [pytest.mark.slow, needs_program("prometheus")]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with long_history(tmp_path_factory.mktemp("long"), free_port()) as running:
        yield running


def test_every_counter_that_is_shown_is_looked_at() -> None:
    counting = [query for query in QUERIES if "rate(" in query.expression and "offset 1w" not in query.expression]

    assert len(AMOUNTS) >= 10
    assert [str(query) for query in counting if query not in AMOUNTS and not SHARES.search(query.expression)] == []
    assert [str(query) for query in QUERIES if "increase(" in query.expression] == []


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("query", [pytest.param(query, id=str(query)) for query in AMOUNTS])
def test_what_is_shown_adds_up_to_what_was_counted(query: Query, name: str, prometheus: Prometheus) -> None:
    if "offset 1w" in query.expression:
        assert _asked(prometheus, query, RANGES[name]) or RANGES[name] < DAY
        return
    points = _asked(prometheus, query, RANGES[name])
    step = query.step_of(RANGES[name])
    times = [float(at) for at, _ in points]
    shown = sum(float(value) for _, value in points)
    amount = shown if "$__interval_ms" in query.expression else shown * step / 3_600

    begins, ends = (0, step) if "offset -" in query.expression else (-step, 0)
    grown = counted(min(max(times) + ends, UNTIL)) - counted(min(times) + begins)
    assert grown >= JUMP
    assert amount == pytest.approx(grown, rel=0.02, abs=JUMP)


@pytest.mark.parametrize("name", ["30d", "90d", "1y"])
@pytest.mark.parametrize("mark", ["Alerts", "Blocked", "Created", "Gone", "Renamed", "Revised"])
def test_what_happened_in_the_shown_time_is_marked(mark: str, name: str, prometheus: Prometheus) -> None:
    asking = [query for query in QUERIES if query.place == f"annotation {mark}"]

    assert asking
    for query in asking:
        chosen = "db_.+"
        points = _asked(prometheus, query, RANGES[name], chosen=chosen)
        assert len(points) == MARKS.get(mark, len(points)), query
        assert points, query


def test_a_whole_month_is_expected_of_all_chosen_workspaces_or_not_told(prometheus: Prometheus) -> None:
    forecast = "sum(max by (workspace_id) (prisma_postgres_workspace_forecast_month_cost_usd"
    sums = [query for query in QUERIES if forecast in query.expression]
    one, not_all, both = SECOND_WORKSPACE_AT - DAY, SECOND_EXPECTED_AT - DAY, SECOND_EXPECTED_AT + DAY

    assert len(sums) == 9
    for query in sums:
        expression = query.filled(since=UNTIL - 30 * DAY, until=UNTIL)
        told = [[series["value"][1] for series in prometheus.instant(expression, at)] for at in (one, not_all, both)]
        assert told == [["5"], [], ["10"]], query


def _asked(prometheus: Prometheus, query: Query, seconds: int, chosen: str = "db_a") -> list[tuple[Any, Any]]:
    """Every point of every series."""
    expression = query.filled(since=UNTIL - seconds, until=UNTIL, chosen=chosen)
    found = prometheus.range(expression, UNTIL - seconds, UNTIL, query.step_of(seconds))
    return [(at, value) for series in found for at, value in series["values"]]
