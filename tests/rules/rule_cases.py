"""Cases for the shipped rules, and how `promtool test rules` runs them on several deployments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from longer import spread

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULE_FILES = (FOLDER / "rules" / "records.yaml", FOLDER / "rules" / "alerts.yaml")
RUNBOOK_URL = "https://github.com/prisma-postgres-exporter/prisma-postgres-exporter/blob/main/deploy/runbook.md"
UP = "up"
BUILD_INFO = 'prisma_postgres_exporter_build_info{version="1"}'
MINUTE, HOUR, DAY = 60, 3600, 86400
RESTART_EVERY, RESTART_AT, RESTART_TAKES = DAY, 6 * HOUR + 20 * MINUTE, 10 * MINUTE

Course = Callable[[float], float | None]
"""The value of a series so many seconds after 1970-01-01 00:00 UTC; `None` while there is none."""


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires: its name and its labels without `severity`."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """One target's life: what it shows begins at `since` and ends before `until`, `late` seconds behind the others."""

    instance: str
    since: float = 0
    until: float = float("inf")
    late: float = 0


Deployment = Callable[[float, int], tuple[Scraped, ...]]
"""The targets of a case that lasts so many seconds and has such a step."""


def one_replica(_seconds: float, _step_seconds: int) -> tuple[Scraped, ...]:
    """One target, always there."""
    return (Scraped(instance="a:9478"),)


def two_replicas(_seconds: float, step_seconds: int) -> tuple[Scraped, ...]:
    """Two targets that show one store, one of them later than the other."""
    return Scraped(instance="a:9478"), Scraped(instance="b:9478", late=step_seconds)


def daily_restarts(seconds: float, _step_seconds: int) -> tuple[Scraped, ...]:
    """One target that is replaced each day at 06:20, by one of another name, and missing for ten minutes then."""
    starts = [0.0, *(float(start) for start in range(RESTART_AT, int(seconds), RESTART_EVERY))]
    ends = [*starts[1:], float("inf")]
    return tuple(
        Scraped(instance=f"pod-{number}:9478", since=start + (RESTART_TAKES if number else 0), until=end)
        for number, (start, end) in enumerate(zip(starts, ends, strict=True))
    )


DEPLOYMENTS: tuple[Deployment, ...] = (two_replicas, daily_restarts)
"""Until its first restart the second is a single replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the exporter shows, and every alert that fires then, by time (`"75m"`, `"31d"`).

    `says` is summary and description of the last of the alerts that fire at a time. `records` are values of recorded
    series by time and series. `series` are the exporter's, without the labels of a scrape; samples and evaluations
    are a `step_seconds` apart. `own_series` stand as they are, whatever the deployment.
    """

    name: str
    series: Mapping[str, Course] = field(default_factory=dict)
    own_series: Mapping[str, Course] = field(default_factory=dict)
    firing: Mapping[str, Sequence[Firing]]
    says: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    records: Mapping[tuple[str, str], float] = field(default_factory=dict)
    deployments: tuple[Deployment, ...] = DEPLOYMENTS
    step_seconds: int = 5 * MINUTE


def needs_program(name: str) -> pytest.MarkDecorator:
    """Skip, by name, where a program is missing; where CI is set the test runs and fails instead."""
    is_missing = shutil.which(name) is None and "CI" not in os.environ
    return pytest.mark.skipif(is_missing, reason=f"{name} is missing")


NEEDS_PROMTOOL = needs_program("promtool")
NEEDS_ALERTMANAGER = needs_program("amtool")


def over(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """Run a test for each case, on one of its deployments, and in the longer run on each of them."""
    return pytest.mark.parametrize(
        ("case", "deployment"),
        [
            pytest.param(case, deployment, id=f"{case.name}-{deployment.__name__}", marks=marks)
            for case, deployment, marks in spread((case, case.deployments) for case in cases)
        ],
    )


def fires(name: str, **labels: str) -> Firing:
    """An alert that fires with these labels."""
    return Firing(name, labels)


def level(value: float | None, **changes: float | None) -> Course:
    """A level that changes: `level(5, h12=7, d3=None)` is 5, then 7 after 12 hours, then nothing after 3 days."""
    steps = sorted((_seconds(f"{name[1:]}{name[0]}"), changed) for name, changed in changes.items())

    def course(at: float) -> float | None:
        return next((changed for since, changed in reversed(steps) if since <= at), value)

    return course


def per_hour(amount: float, *, until: str = "9999d", start: float = 0) -> Course:
    """What grows evenly, until it stops."""
    return lambda at: start + amount * min(at, _seconds(until)) // HOUR


def groups() -> Iterator[Mapping[str, Any]]:
    """Every group of rules that is shipped, in the order of evaluation."""
    for path in RULE_FILES:
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]


def rules() -> Iterator[Mapping[str, Any]]:
    """Every rule that is shipped."""
    for group in groups():
        yield from group["rules"]


@cache
def severities() -> Mapping[str, str]:
    """The severity of each alert."""
    return {rule["alert"]: rule["labels"]["severity"] for rule in rules() if "alert" in rule}


def check(case: Case, deployment: Deployment, folder: Path) -> None:
    """Let promtool evaluate the shipped rules on a case, and compare."""
    times = {*case.firing, *case.says, *(time for time, _ in case.records)}
    seconds = max(map(_seconds, times)) + case.step_seconds
    targets = deployment(seconds, case.step_seconds)
    test = {
        "name": case.name,
        "interval": f"{case.step_seconds}s",
        "input_series": [*_inputs(case, targets, seconds)],
        "promql_expr_test": [*_expressions(case)],
        "alert_rule_test": [*_annotations(case)],
    }
    document = {
        "rule_files": [str(path) for path in RULE_FILES],
        "evaluation_interval": f"{case.step_seconds}s",
        # All of them: promtool shuffles those that are not named, also before the first.
        "group_eval_order": [group["name"] for group in groups()],
        "tests": [test],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    # It lives too briefly for collecting its garbage to be worth the time.
    environ = {**os.environ, "GOGC": "400"}
    command = ("promtool", "test", "rules", str(path))
    answer = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def _inputs(case: Case, targets: Iterable[Scraped], seconds: float) -> Iterator[dict[str, str]]:
    shown = {UP: level(1), BUILD_INFO: level(1), **case.series}
    for target in targets:
        labels = {"job": "prisma-postgres", "instance": target.instance}
        for series, course in shown.items():
            if series not in case.own_series:
                values = _values(_seen(series, course, target), seconds, case.step_seconds)
                yield {"series": _labelled(series, labels), "values": values}
    for series, course in case.own_series.items():
        yield {"series": series, "values": _values(course, seconds, case.step_seconds)}


def _seen(series: str, course: Course, target: Scraped) -> Course:
    """What Prometheus sees of a series at one target; the exporter counts what it does itself from its start on."""
    is_process_counter = series.startswith("prisma_postgres_exporter_") and "_total" in series

    def seen(at: float) -> float | None:
        if not target.since <= at < target.until:
            return None
        value = course(max(at - target.late, 0))
        if value is not None and is_process_counter:
            return value - (course(target.since) or 0)
        return value

    return seen


def _values(course: Course, seconds: float, step_seconds: int) -> str:
    values = [course(at) for at in range(0, int(seconds) + 1, step_seconds)]
    ended = [value is None and before is not None for before, value in zip([None, *values], values, strict=False)]
    # A failed scrape and a series that is shown no more leave a mark, and then nothing.
    return " ".join(
        "stale" if has_ended else "_" if value is None else repr(value)
        for value, has_ended in zip(values, ended, strict=True)
    )


def _expressions(case: Case) -> Iterator[dict[str, object]]:
    for time, alerts in case.firing.items():
        samples = [
            {"labels": _labelled("ALERTS", {**alert.labels, **_given(alert.name)}), "value": 1} for alert in alerts
        ]
        yield {"expr": 'ALERTS{alertstate="firing"}', "eval_time": time, "exp_samples": samples}
    for (time, series), value in case.records.items():
        yield {"expr": series, "eval_time": time, "exp_samples": [{"labels": series, "value": value}]}


def _given(name: str) -> Mapping[str, str]:
    return {"alertname": name, "alertstate": "firing", "severity": severities()[name]}


def _annotations(case: Case) -> Iterator[dict[str, object]]:
    for time, (summary, description) in case.says.items():
        alert = case.firing[time][-1]
        expected = {
            "exp_labels": {**alert.labels, "severity": severities()[alert.name]},
            "exp_annotations": {
                "summary": summary,
                "description": description,
                "runbook_url": f"{RUNBOOK_URL}#{alert.name.lower()}",
            },
        }
        yield {"alertname": alert.name, "eval_time": time, "exp_alerts": [expected]}


def _labelled(series: str, labels: Mapping[str, str]) -> str:
    name, _, own = series.rstrip("}").partition("{")
    added = [f'{label}="{value}"' for label, value in labels.items()]
    return f"{name}{{{','.join(filter(None, [own, *added]))}}}"


def _seconds(duration: str) -> float:
    units = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration))
