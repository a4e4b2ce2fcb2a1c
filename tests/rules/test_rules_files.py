"""What holds for every shipped rule: it is whole, tested, explained, and asks for nothing that is not exposed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import _jsonnet
import promql_parser
import pytest
import test_rules_collection
import test_rules_cost
import test_rules_limits
import test_rules_month_end
import test_rules_restart
import test_rules_usage
import yaml
from rule_cases import (
    FOLDER,
    NEEDS_ALERTMANAGER,
    NEEDS_PROMTOOL,
    RULE_FILES,
    RUNBOOK_URL,
    Case,
    check,
    groups,
    one_replica,
    rules,
)
from rule_labels import LabelFinder, LabelProblem, Labels

from prisma_postgres_exporter.expose import describe

CASES: tuple[Case, ...] = (
    *test_rules_cost.CASES,
    *test_rules_limits.CASES,
    *test_rules_month_end.CASES,
    *test_rules_restart.CASES,
    *test_rules_usage.CASES,
    *test_rules_collection.CASES,
)
ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDS = [rule for rule in rules() if "record" in rule]
NAMES = re.compile(r"prisma_postgres_(?:workspace|database)_info\{")
SECTION = re.compile(r"^## (\w+)$", re.MULTILINE)


def each(alerts: list[Mapping[str, Any]]) -> pytest.MarkDecorator:
    """Run a test for each alert."""
    return pytest.mark.parametrize("alert", [pytest.param(alert, id=alert["alert"]) for alert in alerts])


def runbook() -> str:
    """Return the text of the runbook."""
    return (FOLDER.parent / "runbook.md").read_text(encoding="utf-8")


@NEEDS_PROMTOOL
def test_the_rules_and_the_example_configuration_pass_promtool() -> None:
    for arguments in (
        ("check", "rules", "--lint=all", "--lint-fatal", *map(str, RULE_FILES)),
        ("check", "config", "--lint=all", "--lint-fatal", str(FOLDER / "prometheus.example.yml")),
    ):
        answer = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr


@NEEDS_ALERTMANAGER
def test_the_example_for_the_alertmanager_passes_amtool() -> None:
    path = str(FOLDER / "alertmanager.example.yml")
    answer = subprocess.run(["amtool", "check-config", path], capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_an_alert_silences_another_only_where_both_have_the_labels_that_must_be_equal() -> None:
    rules = yaml.safe_load((FOLDER / "alertmanager.example.yml").read_text(encoding="utf-8"))["inhibit_rules"]
    labels: dict[str, set[str]] = {}
    for firing in (firing for case in CASES for alerts in case.firing.values() for firing in alerts):
        labels.setdefault(firing.name, set(firing.labels)).intersection_update(firing.labels)

    assert rules
    for rule in rules:
        for side in ("source_matchers", "target_matchers"):
            names = _named(rule[side])
            assert names, rule
            assert rule.get("equal"), rule
            assert {name for name in names if not labels[name] >= set(rule["equal"])} == set(), rule


def _named(matchers: Iterable[str]) -> set[str]:
    """The alerts that matchers of the Alertmanager choose by name."""
    (pattern,) = [match[1] for text in matchers if (match := re.fullmatch(r'alertname=~?"(.+)"', text))]
    return {alert["alert"] for alert in ALERTS if re.fullmatch(pattern, alert["alert"])}


@each(ALERTS)
def test_an_alert_says_what_happened_how_bad_it_is_and_where_to_read_on(alert: Mapping[str, Any]) -> None:
    assert alert["alert"].startswith("PrismaPostgres")
    assert set(alert["labels"]) == {"severity"}
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOK_URL}#{alert['alert'].lower()}"
    assert alert["annotations"]["description"].rstrip().endswith(".")


def test_the_runbook_has_one_section_for_each_alert_in_their_order() -> None:
    assert SECTION.findall(runbook()) == [alert["alert"] for alert in ALERTS]


def test_every_link_within_the_runbook_leads_to_a_section() -> None:
    links = set(re.findall(r"\]\(#(\w+)\)", runbook()))

    assert links <= {section.lower() for section in SECTION.findall(runbook())}


def test_the_readme_lists_every_alert_with_its_severity_and_its_wait() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(PrismaPostgres\w+)` \| (\w+) \| .+ \| (.+) \|$", readme, re.MULTILINE)

    assert rows == [(alert["alert"], alert["labels"]["severity"], alert.get("for", "at once")) for alert in ALERTS]


@each(ALERTS)
def test_an_alert_has_a_case_in_which_it_fires_with_its_words_and_one_in_which_nothing_does(
    alert: Mapping[str, Any],
) -> None:
    name = alert["alert"]
    fired = {
        case.name for case in CASES for alerts in case.firing.values() if name in [firing.name for firing in alerts]
    }

    assert [case.name for case in CASES for time in case.says if case.firing[time][-1].name == name]
    assert [case.name for case in CASES if case.name not in fired and _is_about(case, alert)]


@pytest.mark.parametrize("record", [pytest.param(record, id=record["record"]) for record in RECORDS])
def test_a_recorded_series_has_a_case_that_says_its_value(record: Mapping[str, Any]) -> None:
    assert [case.name for case in CASES for _, series in case.records if series.partition("{")[0] == record["record"]]


@each(ALERTS)
def test_an_alert_says_no_length_of_time_that_may_be_below_zero_and_no_bare_number_with_a_fraction(
    alert: Mapping[str, Any],
) -> None:
    texts = " ".join(alert["annotations"].values())
    bare = re.findall(r"\{\{\s*\$value\s*\}\}", texts)

    assert "humanizeDuration" not in texts or "abs(" in alert["expr"]
    assert not bare or alert["expr"].startswith("count by")


def nameless(case: Case) -> Case:
    """A case in which no series says what a workspace or a database is called, and what its alerts say then."""
    series = {name: course for name, course in case.series.items() if not NAMES.match(name)}
    said = {
        time: (
            summary.replace("Acme", "wksp_a").replace("Database orders", "Database db_orders"),
            text.replace("Acme", "wksp_a").replace("Database orders", "Database db_orders"),
        )
        for time, (summary, text) in case.says.items()
    }
    return replace(case, series=series, says=said)


@NEEDS_PROMTOOL
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name) for case in CASES if case.says and any(map(NAMES.match, case.series))]
)
def test_an_alert_says_the_id_where_nothing_shows_the_name(case: Case, tmp_path: Path) -> None:
    check(nameless(case), one_replica, tmp_path)


def test_every_metric_and_label_that_the_rules_use_is_exposed() -> None:
    finder = LabelFinder(exposed())
    for record in RECORDS:
        labels = finder.labels_of(promql_parser.parse(record["expr"]))
        assert labels is not None
        finder.record(record["record"], labels)

    for alert in ALERTS:
        labels = finder.labels_of(promql_parser.parse(alert["expr"]))
        assert labels is not None
        for text in alert["annotations"].values():
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels, alert["alert"]
            for query, label in _lookups(text):
                asked = finder.labels_of(promql_parser.parse(query))
                assert asked is not None
                assert label in asked, alert["alert"]


def test_the_runbook_and_the_readme_name_only_series_that_there_are() -> None:
    texts = (runbook(), (FOLDER / "README.md").read_text(encoding="utf-8"))
    named = {name for text in texts for name in re.findall(r"(?:\w+:)?\bprisma_postgres_\w+(?::\w+)?", text)}

    assert named
    assert named <= exposed().keys() | {record["record"] for record in RECORDS}


def test_the_cases_show_only_what_is_exposed() -> None:
    finder = LabelFinder(exposed())

    for case in CASES:
        for series in (*case.series, *case.own_series):
            assert finder.labels_of(promql_parser.parse(series)) is not None


@pytest.mark.parametrize(
    "expression",
    [
        "max by (job) (prisma_postgres_no_such_metric)",
        "max by (nothing) (prisma_postgres_workspace_info)",
        'max by (job) (prisma_postgres_workspace_info{nothing="x"})',
        "sum(prisma_postgres_workspace_databases)",
        "sum without (instance) (prisma_postgres_workspace_databases)",
        "max by (workspace_id) (prisma_postgres_workspace_up) > max by (job) (prisma_postgres_workspace_up)",
        "prisma_postgres_workspace_up and on (nothing) prisma_postgres_workspace_up",
    ],
)
def test_an_expression_that_asks_for_what_is_not_exposed_is_found(expression: str) -> None:
    with pytest.raises(LabelProblem):
        LabelFinder(exposed()).labels_of(promql_parser.parse(expression))


def test_the_mixin_has_the_rules_of_the_files_with_the_runbook_where_it_is_wanted() -> None:
    wanted = "https://wiki.example.com/prisma-postgres"
    snippet = (
        f"local mixin = (import {json.dumps(str(FOLDER / 'mixin.libsonnet'))})"
        f" + {{ _config+:: {{ runbookURL: {json.dumps(wanted)} }} }};"
        " { groups: mixin.prometheusRules.groups + mixin.prometheusAlerts.groups }"
    )

    shown = json.loads(_jsonnet.evaluate_snippet("test", snippet))["groups"]

    text = json.dumps(list(groups())).replace(RUNBOOK_URL, wanted)
    assert shown == json.loads(text)


def exposed() -> Mapping[str, Labels]:
    """Return the labels of each metric of the exposition."""
    return {metric.name: frozenset(metric.labels) for metric in describe()}


def _is_about(case: Case, alert: Mapping[str, Any]) -> bool:
    """Whether a case shows a metric that the alert reads, or a recorded series of it."""
    texts = [alert["expr"], *(record["expr"] for record in RECORDS if record["record"] in alert["expr"])]
    shown = {series.partition("{")[0] for series in (*case.series, *case.own_series)}
    return any(re.search(rf"\b{name}\b", text) for name in shown - {"up"} for text in texts) or "up" in alert["expr"]


def _lookups(text: str) -> Iterator[tuple[str, str]]:
    """Each query of a template, and the label that is taken from its answer."""
    for query, label in re.findall(r'with printf "([^"]+)".*?\| label "(\w+)"', text, re.DOTALL):
        yield query.replace("%s", "x"), label
