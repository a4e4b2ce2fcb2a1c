"""The metric families of cost: estimates from the vendor's prices and the ledger."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from prisma_postgres_exporter.cost import Bill, BudgetState, Usage, WorkspaceCost
from prisma_postgres_exporter.expose.lines import Family, Row, flag, rows, single
from prisma_postgres_exporter.forecast import Forecast
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView

ESTIMATE = (
    "An estimate from the Prisma Management API's usage at prisma_postgres_exporter_costs_timestamp_seconds and the "
    "price table, cached; Postgres only, before tax."
)
ABSENT = (
    "A component is absent if its price is not known, or if it is 0 so far and some of the workspace's usage was not "
    "read."
)
NO_RANGE = "Low and high are absent where not all of the month so far is known: expected is about so much then."
BOUNDS = ("low", "expected", "high")
COMPONENTS = ("fee", "operations", "storage")
LIMITS = ("free_operations", "free_storage", "spend_limit")

Read = Callable[[WorkspaceCost], object]


def database_families(labels: tuple[str, ...]) -> tuple[Family[DatabaseView], ...]:
    """What a database shows of cost."""
    return (
        rows(
            "prisma_postgres_database_month_to_date_cost_usd",
            "gauge",
            labels,
            "The database's share of the cost of the workspace that holds it, of the current calendar month (UTC) so "
            "far: operations by operations, storage by byte-seconds, the fee as configured, each of what was used "
            "there while usage is charged. Of usage that is not known whole it is a share of what is known, perhaps "
            "too high or too low; deleted and moved databases keep theirs, which are not shown here. "
            f"{ABSENT} {ESTIMATE}",
            lambda view: shown_components(view.cost),
            own_labels=("component",),
            most_rows=len(COMPONENTS),
            is_summed=True,
        ),
    )


def workspace_families(labels: tuple[str, ...]) -> tuple[Family[WorkspaceView], ...]:
    """What a workspace shows of cost."""

    def value(name: str, help_text: str, read: Read, show: Callable[[object], str] = str) -> Family[WorkspaceView]:
        return single(
            name,
            "gauge",
            labels,
            help_text,
            lambda view: None if view.cost is None else read(view.cost),
            show=show,
        )

    def table(
        name: str,
        help_text: str,
        read: Callable[[WorkspaceCost, Usage], tuple[Row, ...]],
        label: str,
        values: tuple[str, ...],
    ) -> Family[WorkspaceView]:
        return rows(
            name,
            "gauge",
            labels,
            help_text,
            lambda view: () if view.cost is None else read(view.cost, view.usage),
            own_labels=(label,),
            most_rows=len(values),
        )

    return (
        value(
            "prisma_postgres_workspace_unpriced",
            "Whether the price of the workspace's plan, or a part of it, is not known (1): there is no whole cost. "
            "The plan comes from the Prisma Management API; cached.",
            lambda cost: cost.unpriced is not None,
            lambda is_unpriced: flag(bool(is_unpriced)),
        ),
        value(
            "prisma_postgres_workspace_included_operations",
            "Operations that the workspace's price includes in a calendar month (UTC), for all databases together, "
            "from the price table and the plan that the Prisma Management API said; cached.",
            lambda cost: cost.included_operations,
        ),
        value(
            "prisma_postgres_workspace_included_storage_bytes",
            "Storage that the workspace's price includes, as the month's average over all databases together, from "
            "the price table and the plan that the Prisma Management API said; cached.",
            lambda cost: cost.included_storage_bytes,
        ),
        table(
            "prisma_postgres_workspace_month_to_date_cost_usd",
            f"The workspace's cost of the current calendar month (UTC) so far, deleted databases included; where a "
            f"part of its usage is not known, it is at least so much. {ABSENT} {ESTIMATE}",
            lambda cost, _: shown_components(cost.bill),
            "component",
            COMPONENTS,
        ),
        value(
            "prisma_postgres_workspace_usage_charges_usd",
            "What is charged for usage in the current calendar month (UTC) so far, without the fee; where a part of it "
            f"is not known, it is at least so much. {ESTIMATE}",
            lambda cost: None if cost.bill is None else cost.bill.known_charges,
        ),
        table(
            "prisma_postgres_workspace_forecast_month_operations",
            "Operations that the workspace will have made at the end of the current calendar month (UTC); the truth "
            f"should lie between low and high four times out of five. {NO_RANGE} From the Prisma Management API's "
            "days; cached.",
            lambda cost, usage: _bounds(cost.expected_operations, is_known=usage.are_operations_known),
            "bound",
            BOUNDS,
        ),
        table(
            "prisma_postgres_workspace_forecast_month_average_storage_bytes",
            f"The workspace's mean storage of the whole current calendar month (UTC), as it will be billed. {NO_RANGE} "
            "Made from what the Prisma Management API said; cached.",
            lambda cost, usage: _bounds(cost.expected_storage_bytes, is_known=usage.is_storage_known),
            "bound",
            BOUNDS,
        ),
        table(
            "prisma_postgres_workspace_forecast_month_cost_usd",
            f"What the workspace's current calendar month (UTC) will cost, the fee included. Low and high are "
            "absent where expected is about so much: there was, or may have been, a database that may cost something, "
            f"of which nothing was read. {ESTIMATE}",
            lambda cost, _: _expected_totals(cost),
            "bound",
            BOUNDS,
        ),
        value(
            "prisma_postgres_workspace_spend_limit_usd",
            "The vendor's limit on usage charges in a calendar month, configured: the Prisma Management API does not "
            "say it. At the limit the databases are blocked.",
            lambda cost: None if cost.spend_limit is None else cost.spend_limit.usd,
        ),
        value(
            "prisma_postgres_workspace_spend_limit_counted_usd",
            "What counts against the limit on usage charges in the current calendar month (UTC) so far: the charges, "
            "what the configuration says a month of other usage costs, all of it from the first day on, and tax; where "
            "a part of the usage is not known, it is at least so much. From the Prisma Management API; cached.",
            _counted,
        ),
        table(
            "prisma_postgres_workspace_limit_reached_timestamp_seconds",
            "When a limit at which the vendor blocks the databases will be reached in this month at the expected pace; "
            f"not later than now where it is reached. Absent where it is not reached. {ESTIMATE}",
            lambda cost, _: tuple(((name,), int(at.timestamp())) for name, at in cost.limits),
            "limit",
            LIMITS,
        ),
    )


def budget_families(labels: tuple[str, ...]) -> tuple[Family[BudgetState], ...]:
    """What a budget shows."""
    return (
        single(
            "prisma_postgres_budget_limit_usd",
            "gauge",
            labels,
            "The amount of a budget for a calendar month (UTC), as configured, not from the Prisma Management API.",
            lambda budget: budget.limit_usd,
        ),
        single(
            "prisma_postgres_budget_spent_usd",
            "gauge",
            labels,
            f"What a budget's databases cost in the current calendar month (UTC) so far. {ESTIMATE}",
            lambda budget: budget.spent_usd,
        ),
        single(
            "prisma_postgres_budget_spent_covered_ratio",
            "gauge",
            labels,
            "The part (0 to 1) of what a budget is for that is in its spent amount, in the current calendar month "
            "(UTC): of its databases' days, or of their time with a storage level if that is less, what was read from "
            "the Prisma Management API and has a price. Below 1 at least the spent amount was spent. Cached.",
            lambda budget: budget.spent_covered_ratio,
        ),
        single(
            "prisma_postgres_budget_forecast_usd",
            "gauge",
            labels,
            "What a budget's databases are expected to cost in the current calendar month (UTC); one without a "
            f"forecast yet counts with what it cost so far; absent where a workspace has none. {ESTIMATE}",
            lambda budget: budget.expected_usd,
        ),
        rows(
            "prisma_postgres_budget_threshold_ratio",
            "gauge",
            labels,
            "A threshold of a budget, a part of its amount, as configured, not from the Prisma Management API.",
            lambda budget: tuple(((f"{value:g}",), value) for value in budget.thresholds),
            own_labels=("threshold",),
            most_rows=None,
        ),
    )


def shown_components(bill: Bill | None) -> tuple[Row, ...]:
    """What is known of each part: `known_fee_usd` and so on of the JSON form."""
    if bill is None:
        return ()
    return tuple(
        ((component,), known)
        for component, known in zip(COMPONENTS, bill.known_parts, strict=True)
        if known is not None
    )


def _bounds(forecast: Forecast | None, *, is_known: bool) -> tuple[Row, ...]:
    """A forecast; of a month that is not known whole no range is known, as on a page."""
    if forecast is None:
        return ()
    return tuple(((bound,), getattr(forecast, bound)) for bound in (BOUNDS if is_known else ("expected",)))


def _counted(cost: WorkspaceCost) -> Decimal | None:
    charges = cost.bill.known_charges if cost.bill is not None else None
    if cost.spend_limit is None or charges is None:
        return None
    return round(cost.spend_limit.counted(charges), 2)


def _expected_totals(cost: WorkspaceCost) -> tuple[Row, ...]:
    (low, high), expected = cost.expected_bounds, cost.expected_bill.total if cost.expected_bill is not None else None
    totals = (low, expected, high)
    return tuple(((bound,), total) for bound, total in zip(BOUNDS, totals, strict=True) if total is not None)
