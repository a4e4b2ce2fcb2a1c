"""Every query of the dashboards, against what the exporter shows and in a Prometheus that has scraped it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from board_files import Json, Query, boards, panels, queries
from board_labels import labels_of
from lived_world import NOW, RENAMED, REPLICA, scrapes, with_timestamps
from stored_history import Prometheus, prometheus_with
from test_prometheus import needs_program

from between_workers import made_once
from ports import free_port

DAY_SECONDS = 86_400
WEEK_SECONDS = 7 * DAY_SECONDS
UNTIL = NOW.timestamp()
QUERIES = [query for board in boards() for query in queries(board)]
PARAMETERS = [pytest.param(query, id=str(query)) for query in QUERIES]
OVER_TIME = [
    pytest.param(query, id=str(query))
    for query in QUERIES
    if query.step > 0 and not query.place.startswith("annotation")
]
pytestmark = pytest.mark.slow

MAY_BE_EMPTY: Mapping[str, str] = {
    "annotation Alerts": "Prometheus writes ALERTS itself when it evaluates rules, which tests/rules tries",
    "prisma-postgres-database: annotation Created": "the chosen database is older than the week that is asked for",
    "prisma-postgres-database: annotation Gone": "the chosen database exists",
    "prisma-postgres-exporter: Rounds that failed A": "no round fails unless the exporter has a fault",
    "prisma-postgres-exporter: Records left out A": "this vendor lists nothing that cannot be used",
    "prisma-postgres-exporter: Rhythm, by workspace A": "this service reads every open day in every interval",
    "prisma-postgres-exporter: Longest age that is allowed, by workspace A": "as before: without poll.adaptive",
    "prisma-postgres-exporter: Readings of open days A": "as before: without poll.adaptive",
    "prisma-postgres-exporter: Replicas C": "this ledger is in a file, which is for one process: there are no leases",
    "prisma-postgres-exporter: Credentials B": "the simulator's tokens do not say when they expire",
}
"""Queries that give nothing in the lived world, and why that is right."""

COUNTS_REPLICAS = re.compile(
    r"by \((?:job, )?instance|sum\((?:rate|increase)\(|sum by \([^)]*\) \((?:rate|increase)\(|Replicas seen"
)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped nine days of a simulated world, the last hours of them from two replicas."""

    def live(folder: Path) -> None:
        (folder / "samples.txt").write_text("".join(with_timestamps(scrapes())), encoding="utf-8")

    text = (made_once(tmp_path_factory, "lived-world", live) / "samples.txt").read_bytes()
    with prometheus_with(text, UNTIL, tmp_path_factory.mktemp("prometheus"), free_port()) as running:
        yield running


@pytest.fixture(scope="module")
def chosen(prometheus: Prometheus) -> str:
    """The id of the database that was renamed."""
    found = prometheus.instant(f'prisma_postgres_database_info{{database_name="{RENAMED}"}}', UNTIL)
    database_id: str = found[0]["metric"]["database_id"]
    return database_id


@pytest.mark.parametrize("query", PARAMETERS)
def test_the_exposition_has_every_metric_and_label(query: Query) -> None:
    assert labels_of(query) is not None


@pytest.mark.parametrize("board", [pytest.param(board, id=board["uid"]) for board in boards()])
def test_a_legend_and_a_column_show_labels_that_the_query_gives(board: Json) -> None:
    labels = {(query.place, query.letter): labels_of(query) or frozenset() for query in queries(board)}
    for panel in panels(board):
        given = {target["refId"]: labels[panel["title"], target["refId"]] for target in panel["targets"]}
        for target in panel["targets"]:
            wanted = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert wanted <= given[target["refId"]], f"{panel['title']}: {wanted}"
        if panel["type"] == "table":
            letters = {"Value"} if len(given) == 1 else {f"Value #{letter}" for letter in given}
            shown = set(panel["transformations"][-1]["options"]["indexByName"])
            assert shown <= letters | frozenset.union(*given.values()), panel["title"]
            assert letters <= shown, panel["title"]


@needs_program("prometheus")
@pytest.mark.parametrize("query", PARAMETERS)
def test_a_query_gives_rows(query: Query, prometheus: Prometheus, chosen: str) -> None:
    found = _ask(prometheus, query, chosen)

    is_expected = not any(str(query).strip().endswith(name) for name in MAY_BE_EMPTY)
    assert bool(found) == is_expected, query.filled(since=UNTIL - WEEK_SECONDS, until=UNTIL, chosen=chosen)


@needs_program("prometheus")
@pytest.mark.parametrize("query", OVER_TIME)
def test_a_panel_shows_something_whatever_time_is_shown(query: Query, prometheus: Prometheus, chosen: str) -> None:
    is_expected = not any(str(query).strip().endswith(name) for name in MAY_BE_EMPTY)
    for seconds in (DAY_SECONDS / 24, DAY_SECONDS, 30 * DAY_SECONDS, 90 * DAY_SECONDS, 365 * DAY_SECONDS):
        since = UNTIL - seconds
        expression = query.filled(since=since, until=UNTIL, chosen=chosen)
        found = prometheus.range(expression, since, UNTIL, query.step_of(seconds))
        assert bool(found) == is_expected, f"{seconds:.0f} s: {expression}"


@needs_program("prometheus")
@pytest.mark.parametrize("query", PARAMETERS)
def test_a_second_replica_changes_nothing(query: Query, prometheus: Prometheus, chosen: str) -> None:
    both = _ask(prometheus, query, chosen)
    one = _ask(prometheus, query, chosen, instance=REPLICA)

    assert both == one or COUNTS_REPLICAS.search(f"{query} {query.expression}")


@needs_program("prometheus")
@pytest.mark.parametrize("query", PARAMETERS)
def test_a_renamed_database_stays_one_line(query: Query, prometheus: Prometheus, chosen: str) -> None:
    if not re.search(r"group_left \((?:database|workspace)_name", query.expression):
        return
    ids = []
    for series in _ask(prometheus, query, chosen):
        labels = {name: value for name, value in series["metric"].items() if not name.endswith("_name")}
        assert labels not in ids
        ids.append(labels)


@needs_program("prometheus")
def test_a_month_to_date_does_not_begin_with_the_sum_of_the_month_before(prometheus: Prometheus, chosen: str) -> None:
    midnight = NOW.replace(day=1, hour=0, minute=0).timestamp()
    old = prometheus.instant("sum(prisma_postgres_workspace_month_to_date_cost_usd)", midnight)
    asked = [query for query in QUERIES if query.step >= 60 and not query.place.startswith("annotation")]
    ends = re.compile("month_to_date|previous_month|forecast|average_storage|budget|included")
    lines = [query for query in asked if ends.search(query.expression) and "rate(" not in query.expression]

    assert old
    assert len(lines) > 9
    for query in lines:
        is_limit = re.search("threshold_ratio|workspace_included", query.expression) is not None
        shown = prometheus.instant(query.filled(since=midnight, until=UNTIL, chosen=chosen), midnight)
        assert is_limit or shown == [], str(query)


@needs_program("prometheus")
def test_last_month_is_what_its_last_hour_said(prometheus: Prometheus, chosen: str) -> None:
    (asking,) = [query for query in QUERIES if "[62d:1h]" in query.expression]
    cost = "sum by (workspace_id) (max by (workspace_id, component) (prisma_postgres_workspace_month_to_date_cost_usd))"
    last_hour = NOW.replace(day=1, hour=0, minute=0).timestamp() - 3_600

    def amounts(expression: str, at: float) -> dict[str, float]:
        return {row["metric"]["workspace_id"]: float(row["value"][1]) for row in prometheus.instant(expression, at)}

    shown = amounts(asking.filled(since=UNTIL - WEEK_SECONDS, until=UNTIL, chosen=chosen), UNTIL)
    assert len(shown) == 3
    assert shown == pytest.approx(amounts(cost, last_hour))


@needs_program("prometheus")
def test_a_variable_shows_names_and_keeps_ids(prometheus: Prometheus, chosen: str) -> None:
    found = {}
    for board in boards():
        asked = {query.place: query for query in queries(board)}
        for variable in board["templating"]["list"]:
            if variable.get("regex"):
                options = _ask(prometheus, asked[f"variable {variable['name']}"], chosen)
                read = [_chosen(variable["regex"], option["metric"]) for option in options]
                found[variable["name"]] = dict(read)
                assert len(read) == len(options)

    assert found["workspace"].keys() == {"Acme", "Globex", "Initech"}
    assert all(id_.startswith("wksp_") for id_ in found["workspace"].values())
    assert all(id_.startswith("proj_") for id_ in found["project"].values())
    assert [path for path in found["database"] if path.endswith(f" / {RENAMED}")]
    assert all(id_.startswith("db_") for id_ in found["database"].values())


def _chosen(regex: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """Text and value that Grafana takes from a row of `query_result`: the labels by name, the value, the time."""
    shown = "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "} 1 1700000000000"
    matched = re.search(regex.strip("/").replace("(?<", "(?P<"), shown)
    assert matched is not None, (regex, shown)
    return matched["text"], matched["value"]


def _ask(prometheus: Prometheus, query: Query, chosen: str, instance: str = ".+") -> list[dict[str, Any]]:
    since = UNTIL - WEEK_SECONDS
    expression = query.filled(since=since, until=UNTIL, chosen=chosen)
    if instance != ".+":
        expression = expression.replace('instance=~".+"', f'instance="{instance}"')
    found = (
        prometheus.range(expression, since, UNTIL, query.step_of(WEEK_SECONDS))
        if query.step
        else prometheus.instant(expression, UNTIL)
    )
    return sorted(found, key=lambda series: sorted(series["metric"].items()))
