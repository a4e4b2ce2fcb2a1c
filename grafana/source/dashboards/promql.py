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


def own(metric: str, *more: str, wrap: str = "{}") -> str:
    """Return one of the exporter's own metrics, `metric` without their prefix: the highest of all replicas."""
    return _subject(f"prisma_postgres_exporter_{metric}", "job", OWN, more, wrap, "")


def own_hourly(metric: str, *by: str) -> str:
    """Return by how much one of the exporter's own counters grew in an hour: each replica counts what it does itself.

    Rounds are minutes apart, and between them nothing happens: a rate over minutes would jump up and down.
    """
    grown = f"increase(prisma_postgres_exporter_{metric}{{{OWN}}}[1h])"
    return f"sum by ({', '.join(by)}) ({grown})" if by else f"sum({grown})"


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
