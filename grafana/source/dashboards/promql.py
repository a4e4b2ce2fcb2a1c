"""Pieces of PromQL: who is asked for, one value where replicas show several, and names beside the ids.

Every selector carries `job` and `instance`, so that two installations in one Prometheus can be told apart.
Replicas show the same series: `max by` the ids comes before everything else. Names are on the `_info` metrics
alone: they are joined last, as they are at the end of the range, so that a renamed database stays one line.
"""

from __future__ import annotations

OWN = 'job=~"$job", instance=~"$instance"'
WORKSPACE = f'{OWN}, workspace_id=~"$workspace"'
PROJECT = f'{WORKSPACE}, project_id=~"$project"'
DATABASE = f'{PROJECT}, database_id=~"$database"'

WORKSPACE_IDS = "workspace_id"
DATABASE_IDS = "workspace_id, project_id, database_id"
WORKSPACE_NAMES = "workspace_name"
DATABASE_NAMES = "database_name, project_name, workspace_name"

# Names of what is gone are looked for once an hour: reading every sample of a month would be slow.
PAST_NAMES = "[$__range:1h] @ end()"


def one(metric: str, by: str, scope: str, *, wrap: str = "{}", at: str = "") -> str:
    """Return the metric with one value for each `by`, whatever the number of replicas.

    `wrap` is what is done to each series first (`increase({}[1h])`), `at` a modifier of the selector (`@ end()`).
    """
    selector = f"{metric}{{{scope}}}{at and ' '}{at}"
    return f"max by ({by}) ({wrap.format(selector)})"


def workspace(metric: str, *more: str, wrap: str = "{}", at: str = "") -> str:
    """Return a workspace metric; `more` are the labels it has beside the id, or matchers like `bound="low"`."""
    return _subject(metric, WORKSPACE_IDS, WORKSPACE, more, wrap, at)


def project_database(metric: str, *more: str, wrap: str = "{}", at: str = "") -> str:
    """Return a database metric for every database of the chosen workspaces and projects."""
    return _subject(metric, DATABASE_IDS, PROJECT, more, wrap, at)


def chosen_database(metric: str, *more: str, wrap: str = "{}", at: str = "") -> str:
    """Return a database metric for the chosen database."""
    return _subject(metric, DATABASE_IDS, DATABASE, more, wrap, at)


def of_this_month(expression: str) -> str:
    """Leave out what still belongs to the month before: at 00:00 on the 1st the newest sample is a minute old."""
    period = f"month(max(prisma_postgres_usage_period_start_timestamp_seconds{{{OWN}}}))"
    return f"({expression})\nand on () ({period} == month())"


def of_last_month(expression: str) -> str:
    """Return an amount of a month so far as it was at the end of the month before this one, once an hour looked at."""
    period = f"prisma_postgres_usage_period_start_timestamp_seconds{{{OWN}}}"
    last = f"month(max({period} @ end()) - 86400)"
    return f"max_over_time((({expression})\nand on () (month(max({period})) == {last}))[62d:1h])"


def on_plan(plan: str) -> str:
    """Return the workspaces that are on a plan, by its name in letters of any size."""
    return f'max by ({WORKSPACE_IDS}) (prisma_postgres_workspace_info{{{WORKSPACE}, plan=~"(?i:{plan})"}})'


def own(metric: str, *more: str, wrap: str = "{}") -> str:
    """Return one of the exporter's own metrics, `metric` without their prefix: the highest of all replicas."""
    return _subject(f"prisma_postgres_exporter_{metric}", "job", OWN, more, wrap, "")


PER_SECOND = "rate({}[$__rate_interval])"
"""What is done to a counter. The span is a step and a scrape: every sample counts, and once, however long a step is."""


AHEAD = "rate({}[$__rate_interval] offset -$__interval)"
"""The same of the step that begins, as a bar is drawn; of the last one, what there is of it so far."""


def grown(expression: str) -> str:
    """Turn a rate into how much there was in each step: bars of any width add up to the same."""
    return f"{expression} * $__interval_ms / 1000"


def an_hour(expression: str) -> str:
    """Turn a rate into an amount an hour: the average where a step is longer."""
    return f"3600 * {expression}"


def own_rate(metric: str, *by: str, wrap: str = PER_SECOND) -> str:
    """Return the rate of one of the exporter's own counters: each replica counts what it does itself.

    Panels of it have steps of an hour at least. Rounds are minutes apart, and between them nothing happens: a rate
    over minutes would jump up and down.
    """
    rate = wrap.format(f"prisma_postgres_exporter_{metric}{{{OWN}}}")
    return f"sum by ({', '.join(by)}) ({rate})" if by else f"sum({rate})"


def own_grown(metric: str, *by: str) -> str:
    """Return by how much one of the exporter's own counters grew in each step, for bars."""
    return grown(own_rate(metric, *by, wrap=AHEAD))


def worst(metric: str, *more: str) -> str:
    """Return the highest that one of the exporter's own gauges was since the step before; `more` as for `own`."""
    return own(metric, *more, wrap="max_over_time({}[$__interval])")


def with_workspace_name(expression: str) -> str:
    """Give each workspace its name."""
    names = _names("prisma_postgres_workspace_info", WORKSPACE_IDS, WORKSPACE_NAMES, WORKSPACE)
    return _joined(expression, WORKSPACE_IDS, WORKSPACE_NAMES, names)


def with_database_names(expression: str, scope: str = PROJECT) -> str:
    """Give each database its name, and those of its project and workspace."""
    names = _names("prisma_postgres_database_info", DATABASE_IDS, DATABASE_NAMES, scope)
    return _joined(expression, DATABASE_IDS, DATABASE_NAMES, names)


def largest(expression: str, rank: str, count: int = 10) -> str:
    """Return only the databases that lead in `rank`, which must be the same all over the range (`@ end()`)."""
    return f"({expression})\nand on ({DATABASE_IDS})\ntopk({count}, {rank})"


def labelled(expression: str, label: str, value: str) -> str:
    """Give every series one label."""
    return f'label_replace(\n{expression},\n"{label}", "{value}", "", ""\n)'


def _subject(metric: str, ids: str, scope: str, more: tuple[str, ...], wrap: str, at: str) -> str:
    labels = [label for label in more if "=" not in label]
    matchers = [matcher for matcher in more if "=" in matcher]
    return one(metric, ", ".join([ids, *labels]), ", ".join([scope, *matchers]), wrap=wrap, at=at)


def _joined(expression: str, ids: str, names: str, info: str) -> str:
    return f"({expression})\n* on ({ids}) group_left ({names})\n({info})"


def _names(metric: str, ids: str, names: str, scope: str) -> str:
    """The info metric with one series for each subject: its name now, or where it is gone, a name it had."""
    now = one(metric, f"{ids}, {names}", scope, at="@ end()")
    before = f"max by ({ids}, {names}) (last_over_time({metric}{{{scope}}}{PAST_NAMES}))"
    return f"topk by ({ids}) (1, 2 * {now} or {before}) > bool 0"
