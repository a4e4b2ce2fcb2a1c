"""The rules of Grafana's dashboard-linter (github.com/grafana/dashboard-linter, docs/rules), in own words.

Those for Prometheus. Each yields what breaks it. Panels without queries of their own (rows) are no subject of any.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import promql_parser
from board_files import Json, Query, panels, queries
from grafana_foundation_sdk.models import units
from promql_parser import Call, Expr, MatchOp, MatrixSelector, VectorSelector

Rule = Callable[[Json], Iterator[str]]
SOURCE_UIDS = {"$datasource", "${datasource}"}
COUNTING = {"rate", "irate", "increase"}
RATE_INTERVAL_SECONDS = 86_399
"""Stands for $__rate_interval where ranges are looked at: no query asks for such a span."""


def has_data_source_variable(board: Json) -> Iterator[str]:
    """template-datasource-rule: exactly one variable of data sources, `datasource`, labelled "Data source"."""
    found = [variable for variable in _variables(board) if variable["type"] == "datasource"]
    if [(variable["name"], variable["label"], variable["query"]) for variable in found] != [
        ("datasource", "Data source", "prometheus")
    ]:
        yield f"data source variables: {found}"


def has_job_and_instance(board: Json) -> Iterator[str]:
    """template-job-rule, template-instance-rule: both are variables with several values, all of them `.+`."""
    by_name = {variable["name"]: variable for variable in _variables(board)}
    for name in ("job", "instance"):
        variable = by_name.get(name)
        if variable is None:
            yield f"no variable {name}"
            continue
        if variable["type"] != "query" or variable["datasource"]["uid"] not in SOURCE_UIDS:
            yield f"{name} does not ask the chosen data source"
        if variable["label"] != name.title() or not variable["multi"] or variable["allValue"] != ".+":
            yield f"{name} is not labelled {name.title()} with several values, .+ for all"


def has_valid_variables(board: Json) -> Iterator[str]:
    """template-label-promql-rule, template-on-time-change-reload-rule: PromQL that is asked when the time changes."""
    for variable in _variables(board):
        if variable["type"] == "query" and variable["refresh"] != 2:
            yield f"{variable['name']} is not asked again when the time changes"
    for query in queries(board):
        if query.place.startswith("variable "):
            yield from _problem_of(query)


def uses_chosen_source(board: Json) -> Iterator[str]:
    """panel-datasource-rule: panels and their queries ask the chosen data source."""
    for panel in panels(board):
        for asking in (panel, *panel["targets"]):
            if asking["datasource"]["uid"] not in SOURCE_UIDS:
                yield f"{panel['title']}: {asking['datasource']}"


def has_title_and_description(board: Json) -> Iterator[str]:
    """panel-title-description-rule."""
    for panel in panels(board):
        if not panel.get("title") or not panel.get("description"):
            yield f"{panel['id']} {panel.get('title')}"


def has_unit(board: Json) -> Iterator[str]:
    """panel-units-rule: a unit of Grafana's, or mappings of values."""
    known = {value for value in vars(units).values() if isinstance(value, str)}
    for panel in panels(board):
        defaults = panel["fieldConfig"]["defaults"]
        given = [defaults.get("unit")]
        for override in panel["fieldConfig"]["overrides"]:
            given += [entry["value"] for entry in override["properties"] if entry["id"] == "unit"]
        wrong = [unit for unit in given if unit not in known]
        if wrong and not defaults.get("mappings"):
            yield f"{panel['title']}: {wrong}"


def has_targets(board: Json) -> Iterator[str]:
    """panel-no-targets-rule."""
    for panel in panels(board):
        if not panel.get("targets"):
            yield panel["title"]


def is_valid_promql(board: Json) -> Iterator[str]:
    """target-promql-rule."""
    for query in _targets(board):
        yield from _problem_of(query)


def matches_job_and_instance(board: Json) -> Iterator[str]:
    """target-job-rule, target-instance-rule: every selector has `job=~"$job"` and `instance=~"$instance"`."""
    for query in _targets(board):
        for selector, _ in selectors(query):
            matchers = {(m.name, m.value) for m in selector.matchers.matchers if m.op == MatchOp.Re}
            if not {("job", "$job"), ("instance", "$instance")} <= matchers:
                yield f"{query}: {selector}"


def rates_over_rate_interval(board: Json) -> Iterator[str]:
    """target-rate-interval-rule: `rate` and `irate` look back $__rate_interval, and nothing else does."""
    for query in _targets(board):
        for function, matrix in _ranges(query):
            is_rate_interval = matrix.range == timedelta(seconds=RATE_INTERVAL_SECONDS)
            if is_rate_interval != (function in {"rate", "irate"}):
                yield f"{query}: {function} of {matrix}"


def counts_with_rates(board: Json) -> Iterator[str]:
    """target-counter-agg-rule: a counter is never shown as it stands."""
    for query in _targets(board):
        for selector, function in selectors(query):
            if (selector.name or "").endswith("_total") and function not in COUNTING:
                yield f"{query}: {selector}"


def is_not_editable(board: Json) -> Iterator[str]:
    """uneditable-dashboard: a dashboard that is made from source would lose what is changed by hand."""
    if board.get("editable", True):
        yield "editable"


RULES: tuple[Rule, ...] = (
    has_data_source_variable,
    has_job_and_instance,
    has_valid_variables,
    uses_chosen_source,
    has_title_and_description,
    has_unit,
    has_targets,
    is_valid_promql,
    matches_job_and_instance,
    rates_over_rate_interval,
    counts_with_rates,
    is_not_editable,
)


def parsed(query: Query) -> Expr:
    """Return a query's syntax tree, with Grafana's own variables of time put in and ours left as they are.

    Raises:
        ValueError: it is no PromQL.
    """
    text = query.expression.replace("$__rate_interval", f"{RATE_INTERVAL_SECONDS}s").replace("$__range", "604800s")
    text = text.replace("$__interval_ms", "300000").replace("$__interval", "300s")
    return promql_parser.parse(re.sub(r"\$\{__from:date:seconds\}", "1700000000", text))


def selectors(query: Query) -> Iterator[tuple[VectorSelector, str | None]]:
    """Yield every selector of a query with the function that is called on its range, `None` without a range."""
    in_ranges = []
    for function, matrix in _ranges(query):
        in_ranges.append(str(matrix.vector_selector))
        yield matrix.vector_selector, function
    for node in _nodes(parsed(query)):
        if isinstance(node, VectorSelector) and str(node) not in in_ranges:
            yield node, None


def _ranges(query: Query) -> Iterator[tuple[str, MatrixSelector]]:
    for node in _nodes(parsed(query)):
        if isinstance(node, Call):
            for argument in node.args:
                if isinstance(argument, MatrixSelector):
                    yield node.func.name, argument


def _nodes(expr: Expr) -> list[Expr]:
    found: list[Expr] = []

    def keep(node: Expr) -> bool:
        found.append(node)
        return True

    promql_parser.walk(expr, keep)
    return found


def _problem_of(query: Query) -> Iterator[str]:
    try:
        parsed(query)
    except ValueError as error:
        yield f"{query}: {error}"


def _targets(board: Json) -> Iterator[Query]:
    return (query for query in queries(board) if not query.place.startswith(("variable ", "annotation ")))


def _variables(board: Json) -> list[Json]:
    found: list[Json] = board["templating"]["list"]
    return found
