"""What every dashboard has in common: data source, variables that chain, links, annotations, UTC."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models

from dashboards.promql import DATABASE, DATABASE_IDS, DATABASE_NAMES, OWN, PROJECT, WORKSPACE

TAG = "prisma-postgres"
SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
OVERVIEW = "prisma-postgres-overview"
COST = "prisma-postgres-cost"
DATABASE_UID = "prisma-postgres-database"
EXPORTER = "prisma-postgres-exporter"

_INFO = "prisma_postgres_database_info"
_RECENT = "[15m]"
"""How far back a variable looks for names: far enough to bridge a restart of the exporter."""


def dashboard(uid: str, title: str, description: str, *, since: str, until: str = "now") -> build.Dashboard:
    """Return an empty dashboard that shows `since` to `until` in UTC."""
    return (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("utc")
        .readonly()
        .time(since, until)
        .refresh("5m")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            build.DashboardLink("Prisma Postgres")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(False)
            .keep_time(True)
            .include_vars(True)
        )
    )


def add_sources(board: build.Dashboard, *, shows_instance: bool = False) -> None:
    """Add the data source, and job and instance of the exporter in it."""
    board.with_variable(build.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    job = "label_values(prisma_postgres_exporter_build_info, job)"
    board.with_variable(_choice("job", "Job", job).multi(True).include_all(True).all_value(".+"))
    instance = 'label_values(prisma_postgres_exporter_build_info{job=~"$job"}, instance)'
    hidden = models.VariableHide.DONT_HIDE if shows_instance else models.VariableHide.HIDE_VARIABLE
    board.with_variable(
        _choice("instance", "Instance", instance).multi(True).include_all(True).all_value(".+").hide(hidden)
    )


def add_workspace(board: build.Dashboard) -> None:
    """Add the choice of workspaces: ids, shown by their names."""
    query = f"max by (workspace_id, workspace_name) (last_over_time(prisma_postgres_workspace_info{{{OWN}}}{_RECENT}))"
    board.with_variable(_named("workspace", "Workspace", query, value="workspace_id", text="workspace_name"))


def add_project(board: build.Dashboard) -> None:
    """Add the choice of projects of the chosen workspaces."""
    query = f"max by (project_id, project_name) (last_over_time({_INFO}{{{WORKSPACE}}}{_RECENT}))"
    board.with_variable(_named("project", "Project", query, value="project_id", text="project_name"))


def add_database(board: build.Dashboard) -> None:
    """Add the choice of one database of the chosen projects; projects often have databases of the same name."""
    path = f'label_join({_INFO}{{{PROJECT}}}, "path", " / ", "project_name", "database_name")'
    query = f"max by (database_id, path) ({path})"
    choice = _named("database", "Database", query, value="database_id", text="path")
    board.with_variable(choice.multi(False).include_all(False))


def add_alerts(board: build.Dashboard) -> None:
    """Mark when an alert of `deploy/prometheus/rules` fired."""
    expression = 'last_over_time(ALERTS{alertname=~"PrismaPostgres.+", alertstate="firing"}[$__interval])'
    board.annotation(_annotation("Alerts", "red", expression, "{{alertname}}", "{{severity}} {{budget}} {{limit}}"))


def add_blocks(board: build.Dashboard) -> None:
    """Mark when the vendor blocked a workspace."""
    blocked = f"max_over_time(prisma_postgres_workspace_usage_blocked{{{WORKSPACE}}}[$__interval])"
    expression = f"max by (workspace_id) ({blocked}) == 1"
    board.annotation(_annotation("Blocked", "dark-red", expression, "Databases are blocked", "{{workspace_id}}"))


def add_lifecycle(board: build.Dashboard, scope: str = PROJECT) -> None:
    """Mark when a database was created, renamed, or gone (deleted, moved away, or not collected any more).

    However long a step is: what was there at the step before, or at any time since, is held against what is there now.
    """
    names = f"{DATABASE_IDS}, {DATABASE_NAMES}"
    info = f"{_INFO}{{{scope}}}"
    since = f"last_over_time({info}[$__interval])"
    before = f"max by ({names}) ({since} or {info} offset $__interval)"
    creation = f"last_over_time(prisma_postgres_database_created_timestamp_seconds{{{scope}}}[$__interval])"
    created = f"max by ({DATABASE_IDS}) ({creation})"
    named = f"topk by ({DATABASE_IDS}) (1, max by ({names}) ({since}))"
    shown = "{{workspace_name}} / {{project_name}} / {{database_name}}"
    board.annotation(
        _annotation(
            "Created",
            "green",
            f"1000 * (({created}) >= ${{__from:date:seconds}})\n"
            f"* on ({DATABASE_IDS}) group_left ({DATABASE_NAMES}) {named}",
            "Database created",
            shown,
            step="1h",
        ).use_value_for_time(True)
    )
    # Without the exporter every database would look gone.
    is_there = f"and on () count(prisma_postgres_exporter_build_info{{{OWN}}})"
    gone = f"{before}\nunless on (database_id) {info}\n{is_there}"
    board.annotation(_annotation("Gone", "orange", gone, "Database gone", shown, step="10m"))
    renamed = f"{before}\nunless on (database_id, database_name) {info}\nand on (database_id) {info}"
    board.annotation(_annotation("Renamed", "blue", renamed, "Database renamed, was", shown, step="10m"))


def add_revisions(board: build.Dashboard) -> None:
    """Mark when the vendor changed a past day of the chosen database."""
    counter = f"prisma_postgres_database_revisions_total{{{DATABASE}}}"
    expression = f"max by (database_id, direction) ({counter} - {counter} offset $__interval) > 0"
    board.annotation(
        _annotation("Revised", "purple", expression, "Day revised {{direction}}", "by the vendor", step="1h")
    )


def _choice(name: str, label: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .definition(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )


def _named(name: str, label: str, query: str, *, value: str, text: str) -> build.QueryVariable:
    # Prometheus gives labels in the order of their names, and a name may hold any character.
    first, last = sorted([value, text])
    groups = {value: f'{value}="(?<value>[^"]+)"', text: f'{text}="(?<text>[\\s\\S]*)"'}
    regex = f"/{groups[first]},{groups[last]}[}}]/"
    choice = _choice(name, label, f"query_result({query})").regex(regex)
    return choice.multi(True).include_all(True).all_value(".+")


def _annotation(
    name: str, colour: str, expression: str, title: str, text: str, *, step: str = "5m"
) -> build.AnnotationQuery:
    return (
        build.AnnotationQuery()
        .name(name)
        .datasource(SOURCE)
        .enable(True)
        .hide(False)
        .icon_color(colour)
        .expr(expression)
        .step(step)
        .title_format(title)
        .text_format(text)
        .target(prometheus.Dataquery().expr(expression).ref_id(f"Annotation{name}"))
    )
