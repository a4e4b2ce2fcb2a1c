"""The dashboards' JSON: made from the source, of the published schema, after the linter's rules, linked, in UTC."""

from __future__ import annotations

import json
import re
from itertools import combinations

import pytest
from board_files import FILES, Json, boards, panels, queries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as schema
from linter_rules import RULES, Rule

from dashboards import render_all

BOARDS = [pytest.param(board, id=board["uid"]) for board in boards()]
UIDS = {
    "prisma-postgres-overview",
    "prisma-postgres-cost",
    "prisma-postgres-database",
    "prisma-postgres-exporter",
}


def test_the_files_are_what_the_source_says() -> None:
    assert {file.name: file.read_text(encoding="utf-8") for file in FILES} == render_all()


def test_the_uids_stay_so_that_links_and_bookmarks_live() -> None:
    assert {board["uid"] for board in boards()} == UIDS
    assert {file.stem for file in FILES} == UIDS


@pytest.mark.parametrize("board", BOARDS)
def test_the_published_schema_knows_every_key(board: Json) -> None:
    register_default_plugins()

    read = json.loads(json.dumps(schema.Dashboard.from_json(board), cls=JSONEncoder))

    # The schema's default puts links into a menu; a file without it leaves them where they are seen.
    for link in read["links"]:
        link.pop("placement")
    assert read == board


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("board", BOARDS)
def test_a_rule_of_the_linter_is_kept(board: Json, rule: Rule) -> None:
    assert list(rule(board)) == []


@pytest.mark.parametrize("board", BOARDS)
def test_it_is_shown_in_utc_and_links_keep_time_and_variables(board: Json) -> None:
    assert board["timezone"] == "utc"
    assert [(link["keepTime"], link["includeVars"], link["tags"]) for link in board["links"]] == [
        (True, True, ["prisma-postgres"])
    ]
    assert "prisma-postgres" in board["tags"]
    for url in _urls(board):
        target = url.partition("?")[0].removeprefix("/d/")
        assert target in UIDS
        assert "${__url_time_range}" in url
        assert "${datasource:queryparam}" in url


@pytest.mark.parametrize("board", BOARDS)
def test_a_link_of_a_row_uses_fields_that_the_table_has(board: Json) -> None:
    for panel in panels(board):
        if panel["type"] != "table":
            continue
        known = " ".join(target["expr"] for target in panel["targets"])
        for field in set(re.findall(r"\$\{__data\.fields\.(\w+)\}", json.dumps(panel))):
            assert re.search(rf"\b{field}\b", known), f"{panel['title']}: {field}"


@pytest.mark.parametrize("board", BOARDS)
def test_variables_chain_from_the_source_down_to_the_database(board: Json) -> None:
    order = ["datasource", "job", "instance", "workspace", "project", "database"]
    names = [variable["name"] for variable in board["templating"]["list"]]

    assert names == order[: len(names)]
    for variable in board["templating"]["list"][1:]:
        upper = names[1 : names.index(variable["name"])]
        assert all(f'=~"${name}"' in variable["query"] for name in upper if name != "project" or "database" in names)


@pytest.mark.parametrize("board", BOARDS)
def test_it_says_once_and_in_its_first_row_until_when_its_data_reaches(board: Json) -> None:
    places = [panel["gridPos"]["y"] for panel in panels(board) if panel["title"].startswith("Data until")]
    rows = [panel["gridPos"]["y"] for panel in board["panels"] if panel["type"] == "row"]

    assert len(places) == 1
    assert places[0] < rows[1]
    assert "Data until" not in json.dumps([panel["fieldConfig"]["overrides"] for panel in panels(board)])


@pytest.mark.parametrize("board", BOARDS)
def test_what_an_empty_table_says_is_not_in_its_empty_cells(board: Json) -> None:
    for panel in panels(board):
        if panel["type"] == "table" and "noValue" in panel["fieldConfig"]["defaults"]:
            last = panel["fieldConfig"]["overrides"][-1]
            assert last["matcher"] == {"id": "byRegexp", "options": ".+"}, panel["title"]
            assert last["properties"] == [{"id": "noValue", "value": ""}], panel["title"]


@pytest.mark.parametrize("board", BOARDS)
def test_a_percentage_of_what_a_plan_includes_is_for_free_plans(board: Json) -> None:
    for query in queries(board):
        if re.search(r"/ \(max by \(workspace_id\) \(prisma_postgres_workspace_included", query.expression):
            assert 'plan=~"(?i:free)"' in query.expression, str(query)


@pytest.mark.parametrize("board", BOARDS)
def test_no_panel_lies_on_another_and_each_line_is_full(board: Json) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]

    assert len({panel["id"] for panel in board["panels"]}) == len(places)
    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_below, (one, other)
    for y in {place["y"] for place in places}:
        assert sum(place["w"] for place in places if place["y"] == y) == 24


@pytest.mark.parametrize("board", BOARDS)
def test_events_and_alerts_are_marked(board: Json) -> None:
    names = {annotation["name"] for annotation in board["annotations"]["list"]}

    assert "Alerts" in names
    assert board["uid"] == "prisma-postgres-exporter" or {"Created", "Gone", "Renamed"} <= names


def test_no_query_writes_a_limit_of_money_or_usage_as_a_number() -> None:
    compared = re.compile(r"(?:_usd|_operations|_bytes|_ratio)\{[^}]*\}\)?\s*[<>]=?\s*(?:bool\s+)?[1-9]")

    assert [str(query) for board in boards() for query in queries(board) if compared.search(query.expression)] == []


def _urls(board: Json) -> list[str]:
    return [
        link["url"]
        for panel in panels(board)
        for override in panel["fieldConfig"]["overrides"]
        for entry in override["properties"]
        if entry["id"] == "links"
        for link in entry["value"]
    ]


def test_every_amount_of_a_budget_has_beside_it_how_much_of_the_usage_is_known() -> None:
    tables = [
        panel
        for board in boards()
        for panel in panels(board)
        if panel["type"] == "table" and "prisma_postgres_budget_spent_usd" in json.dumps(panel)
    ]

    assert tables
    for panel in tables:
        assert "prisma_postgres_budget_spent_covered_ratio" in json.dumps(panel["targets"])
