"""Every metric family that shows the snapshot: the one source for the exposition, the guide's table and the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Generic, TypeVar

from prisma_postgres_exporter.cost import TODAY_READ_WITHIN, BudgetState
from prisma_postgres_exporter.expose.lines import Family, Row, flag, rows, single, unix_seconds
from prisma_postgres_exporter.expose.money import budget_families, database_families, workspace_families
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView

V = TypeVar("V")
ONE_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Generic[V]):
    """What a view is about: the labels all its families share, their values, and the families."""

    labels: tuple[str, ...]
    identify: Callable[[V], tuple[str, ...]]
    families: tuple[Family[V], ...]


_D = ("workspace_id", "project_id", "database_id")
_W = ("workspace_id",)
_BUDGET = ("budget",)


def _database_names(view: DatabaseView) -> tuple[Row, ...]:
    names = (
        view.database_name,
        view.project_name,
        view.workspace_name,
        view.region or "",
        view.status,
        "true" if view.is_default else "false",
    )
    return ((names, 1),)


def _rolling_windows(view: DatabaseView) -> tuple[Row, ...]:
    return tuple([((window,), operations) for window, operations in view.rolling])


def _revisions(view: DatabaseView) -> tuple[Row, ...]:
    return ((("up",), view.revisions_up), (("down",), view.revisions_down))


def _workspace_names(view: WorkspaceView) -> tuple[Row, ...]:
    return (((view.workspace_name, view.plan or ""), 1),)


_DATABASE_FAMILIES: tuple[Family[DatabaseView], ...] = (
    rows(
        "prisma_postgres_database_info",
        "gauge",
        _D,
        "Always 1: the names, region and status of a database, from the Prisma Management API, "
        "cached since the last discovery.",
        _database_names,
        own_labels=("database_name", "project_name", "workspace_name", "db_region", "db_status", "is_default"),
        most_rows=1,
    ),
    single(
        "prisma_postgres_database_created_timestamp_seconds",
        "gauge",
        _D,
        "When the database was created, from the Prisma Management API.",
        attrgetter("created_at"),
        show=unix_seconds,
    ),
    single(
        "prisma_postgres_database_up",
        "gauge",
        _D,
        "Whether the database's usage is read from the Prisma Management API (1), or the last reading of its open day "
        "failed, or none came when it was due (0).",
        attrgetter("is_up"),
        show=flag,
    ),
    single(
        "prisma_postgres_database_operations_total",
        "counter",
        _D,
        "Operations since the exporter began to count, made by it from the days the Prisma Management API reports; "
        "cached, never falls, survives restarts and months.",
        attrgetter("operations_total"),
        is_summed=True,
    ),
    rows(
        "prisma_postgres_database_window_operations",
        "gauge",
        _D,
        "Operations in a rolling window, as the Prisma Management API reported them; cached. "
        "Windows overlap: do not sum over window.",
        _rolling_windows,
        own_labels=("window",),
        most_rows=None,
        is_summed=True,
    ),
    single(
        "prisma_postgres_database_day_to_date_operations",
        "gauge",
        _D,
        "Operations of the current day (UTC) so far, as the Prisma Management API reported them; cached.",
        attrgetter("day_to_date_operations"),
        is_summed=True,
    ),
    single(
        "prisma_postgres_database_previous_day_operations",
        "gauge",
        _D,
        "Operations of the day before (UTC), as the Prisma Management API last reported them; cached.",
        attrgetter("previous_day_operations"),
        is_summed=True,
    ),
    single(
        "prisma_postgres_database_month_to_date_operations",
        "gauge",
        _D,
        "Operations of the current calendar month (UTC) so far, exactly as the Prisma Management API reported them; "
        "cached.",
        attrgetter("month_to_date_operations"),
        is_summed=True,
    ),
    single(
        "prisma_postgres_database_previous_month_operations",
        "gauge",
        _D,
        "Operations of the calendar month before (UTC), as the Prisma Management API last reported them; cached.",
        attrgetter("previous_month_operations"),
        is_summed=True,
    ),
    single(
        "prisma_postgres_database_storage_bytes",
        "gauge",
        _D,
        "Storage of the database, as the Prisma Management API last reported it (1 GiB is 2^30 bytes); cached.",
        attrgetter("storage_bytes"),
        is_summed=True,
    ),
    single(
        "prisma_postgres_database_usage_timestamp_seconds",
        "gauge",
        _D,
        "The end of the time that the newest usage covers, from the Prisma Management API; cached.",
        attrgetter("usage_at"),
        show=unix_seconds,
    ),
    single(
        "prisma_postgres_database_last_success_timestamp_seconds",
        "gauge",
        _D,
        "When the exporter last read the database's usage from the Prisma Management API: "
        "the age of the cached values.",
        attrgetter("last_success_at"),
        show=unix_seconds,
    ),
    rows(
        "prisma_postgres_database_revisions_total",
        "counter",
        _D,
        "How often the Prisma Management API changed a day's number that should have been final, or that fell.",
        _revisions,
        own_labels=("direction",),
        most_rows=2,
        is_summed=True,
    ),
    single(
        "prisma_postgres_database_reconciliation_difference_operations",
        "gauge",
        _D,
        "The Prisma Management API's number for the current month less the sum of the days in the ledger, both until "
        "the same instant; 0 when they agree. Cached.",
        attrgetter("reconciliation_difference_operations"),
        is_summed=True,
    ),
)

_WORKSPACE_FAMILIES: tuple[Family[WorkspaceView], ...] = (
    rows(
        "prisma_postgres_workspace_info",
        "gauge",
        _W,
        "Always 1: the name and plan of a workspace, from the Prisma Management API, cached since the last discovery.",
        _workspace_names,
        own_labels=("workspace_name", "plan"),
        most_rows=1,
    ),
    single(
        "prisma_postgres_workspace_up",
        "gauge",
        _W,
        "Whether the last discovery of the workspace through the Prisma Management API succeeded (1) or not (0).",
        attrgetter("is_up"),
        show=flag,
    ),
    single(
        "prisma_postgres_workspace_usage_blocked",
        "gauge",
        _W,
        "Whether the workspace's databases are blocked (1) or not (0): its subscription in the Prisma Management API "
        "says so, or the API refuses to list or read them for that (`plan_limit_reached`); cached.",
        attrgetter("is_usage_blocked"),
        show=flag,
    ),
    single(
        "prisma_postgres_workspace_databases",
        "gauge",
        _W,
        "Databases of the workspace that exist now, from the Prisma Management API, cached since the last discovery.",
        attrgetter("databases"),
    ),
    single(
        "prisma_postgres_workspace_month_to_date_operations",
        "gauge",
        _W,
        "Operations of the current calendar month (UTC) so far, summed over the workspace's databases, deleted ones "
        "included, from the Prisma Management API; cached.",
        attrgetter("month_to_date_operations"),
    ),
    single(
        "prisma_postgres_workspace_storage_bytes",
        "gauge",
        _W,
        "Storage of the workspace's databases now, summed from what the Prisma Management API last reported; cached.",
        attrgetter("storage_bytes"),
    ),
    single(
        "prisma_postgres_workspace_month_average_storage_bytes",
        "gauge",
        _W,
        "Storage of the workspace averaged over the current calendar month (UTC), deleted databases included, from "
        "what the Prisma Management API reported; cached.",
        attrgetter("month_average_storage_bytes"),
    ),
    single(
        "prisma_postgres_workspace_month_storage_covered_ratio",
        "gauge",
        _W,
        "The part (0 to 1) of the databases' time in the current calendar month (UTC) of which a storage level from "
        "the Prisma Management API is known; the rest takes each database's own mean in the average, or nothing "
        "beside a database without any level, and nothing in the cost. Cached.",
        attrgetter("storage_covered_ratio"),
    ),
    single(
        "prisma_postgres_workspace_month_operations_covered_ratio",
        "gauge",
        _W,
        "The part (0 to 1) of the databases' days in the current calendar month (UTC) whose operations were read from "
        "the Prisma Management API: of each database the days that are over, and today where it was read. Today counts "
        f"as read for {TODAY_READ_WITHIN // ONE_HOUR} hours after the last reading (or a hundredth of the database's "
        "time in the month, if that is longer), also of one that fails. Cached.",
        attrgetter("operations_covered_ratio"),
    ),
    single(
        "prisma_postgres_workspace_month_usage_complete",
        "gauge",
        _W,
        "Whether nothing of the workspace's usage in the current calendar month (UTC) is missing (1); if it is 0, the "
        "cost is at least so much. It is 0 also if the workspace was first followed after the month began: the Prisma "
        "Management API does not list databases that were deleted before, so no covered ratio counts them. Cached.",
        lambda view: view.usage.is_complete,
        show=flag,
    ),
    single(
        "prisma_postgres_workspace_reconciliation_difference_operations",
        "gauge",
        _W,
        "The Prisma Management API's own numbers for the current month less the sums of the days in the ledger, both "
        "until the same instant, added up over the databases; 0 when they agree. Cached.",
        attrgetter("reconciliation_difference_operations"),
    ),
    single(
        "prisma_postgres_usage_period_start_timestamp_seconds",
        "gauge",
        _W,
        "The start of the calendar month (UTC) that the month to date values from the Prisma Management API belong to.",
        attrgetter("period_start_at"),
        show=unix_seconds,
    ),
)

DATABASES: Subject[DatabaseView] = Subject(
    labels=_D,
    identify=attrgetter("workspace_id", "project_id", "database_id"),
    families=_DATABASE_FAMILIES + database_families(_D),
)
WORKSPACES: Subject[WorkspaceView] = Subject(
    labels=_W,
    identify=lambda view: (view.workspace_id,),
    families=_WORKSPACE_FAMILIES + workspace_families(_W),
)
BUDGETS: Subject[BudgetState] = Subject(
    labels=_BUDGET, identify=lambda budget: (budget.name,), families=budget_families(_BUDGET)
)
