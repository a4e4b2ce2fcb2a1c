"""The status page: what runs, what was found, what it costs, what failed and why, for a person with a browser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import quote, urlencode

from prisma_postgres_exporter.cost import BudgetState, WorkspaceCost, likely_block
from prisma_postgres_exporter.expose.markup import Markup, duration, element, facts, instant, joined, table
from prisma_postgres_exporter.expose.month import month_section
from prisma_postgres_exporter.expose.page import NONE, bad, count, document, gib, good
from prisma_postgres_exporter.expose.plots import bars
from prisma_postgres_exporter.expose.status import PushStatus, ServiceStatus
from prisma_postgres_exporter.model import next_month_start
from prisma_postgres_exporter.reasons import reason_in_words
from prisma_postgres_exporter.report import LIMIT_NAMES, MonthCosts, at_least, bill_sentence
from prisma_postgres_exporter.snapshot import DatabaseView, WorkspaceView

GIB = 2**30
ROWS_SHOWN = 100
WORKSPACES_DRAWN = 20
DATABASES_SHOWN = 50
NOT_BLOCKED = "by our estimate; the vendor blocks the databases then, and has not said so yet"
NOT_DOCUMENTED = "what the vendor does then is not documented"


def status_page(status: ServiceStatus, costs: MonthCosts | str | None, *, search: str = "", page: int = 1) -> str:
    """A whole HTML document.

    `costs` are those of this month, or why they cannot be had, `None` while they are read; `search` chooses databases
    by name or id, `page` which of them are listed.
    """
    return document("prisma-postgres-exporter", *_sections(status, costs, search, page))


def _sections(status: ServiceStatus, costs: MonthCosts | str | None, search: str, page: int) -> Iterator[Markup]:
    yield element("h1", "prisma-postgres-exporter")
    yield _standing(status)
    if status.reload_error is not None:
        yield _reload_failure(status.reload_error, status)
    yield from (element("p", note) for note in status.notes)
    yield _facts(status)
    taken = status.snapshot
    if taken is not None:
        yield from month_section(costs)
        yield element("h2", "Workspaces")
        yield from _workspaces(taken.workspaces, status)
        if taken.budgets:
            yield element("h2", "Budgets of this month")
            yield _budgets(taken.budgets)
        yield element("h2", "Failing databases")
        yield _failing(taken.databases, status)
        yield element("h2", "Databases", id="databases")
        yield from _databases(taken.databases, status, search, page)
    yield element("h2", "Credentials")
    yield _credentials(status)
    yield element("h2", "For programs")
    yield _links()


def _standing(status: ServiceStatus) -> Markup:
    if status.unhealthy_reason is not None:
        return element("p", bad("Not healthy"), ": ", status.unhealthy_reason)
    if status.not_ready_reason is not None:
        return element("p", bad("Not ready"), ": ", status.not_ready_reason)
    return element("p", good("Ready"))


def _facts(status: ServiceStatus) -> Markup:
    return facts(
        [
            ("Version", status.version),
            ("Running since", instant(status.started_at, status.now_at)),
            ("Management API", status.api_url),
            ("Store", status.store_url if status.store_error is None else _store_failure(status)),
            *([] if status.sharing is None else [("Processes", _sharing(status.sharing))]),
            *[(f"Push to {push.target}", _push(push, status.now_at)) for push in status.pushes],
            ("Databases", _database_numbers(status)),
            ("As of", instant(status.snapshot.taken_at, status.now_at) if status.snapshot else "not yet"),
            ("Last round", _last_round(status)),
            ("Next round", _next_round(status)),
            ("Widened windows", _widened_windows(status)),
        ]
    )


def _sharing(workspaces: Mapping[str, int]) -> str:
    own, *others = (f"{name} collects {count:,} workspace(s)" for name, count in workspaces.items())
    return "; ".join([f"{own} (this one)", *others])


def _push(push: PushStatus, now: datetime) -> Markup:
    last = ["last ", instant(push.last_success_at, now)] if push.last_success_at else ["nothing taken yet"]
    if push.failing_since_at is None:
        return joined([push.url, ", ", *last])
    waits = [", what waits is from ", instant(push.waiting_since_at, now)] if push.waiting_since_at else []
    since = instant(push.failing_since_at, now)
    return joined([push.url, " ", bad("failing"), " since ", since, f": {push.problem}; ", *last, *waits])


def _store_failure(status: ServiceStatus) -> Markup:
    return joined([status.store_url, " ", bad("failing"), f": {status.store_error}"])


def _reload_failure(error: str, status: ServiceStatus) -> Markup:
    failing_since_at = status.reload_failing_since_at
    since = joined([" since ", instant(failing_since_at, status.now_at)]) if failing_since_at else Markup("")
    return element("p", bad("Configuration not reloaded"), since, f", the one before is in force: {error}")


def _database_numbers(status: ServiceStatus) -> Markup:
    if status.snapshot is None:
        return joined(["none yet"])
    failing = sum(map(_is_failing, status.snapshot.databases))
    return joined(
        [
            f"{len(status.snapshot.databases):,} shown, ",
            bad(f"{failing:,} failing") if failing else "none failing",
            f", {status.snapshot.filtered:,} left out by configuration",
        ]
    )


def _last_round(status: ServiceStatus) -> Markup:
    if not status.rounds:
        return joined(["none has finished yet"])
    last = max(status.rounds, key=lambda row: row.finished_at)
    took = f"{last.seconds:.1f} s" if last.seconds < 120 else duration(timedelta(seconds=last.seconds))
    failed = bad(f"{last.failed:,} failed") if last.failed else "no reading failed"
    finished = instant(last.finished_at, status.now_at)
    return joined([last.workspace_name, ", ", finished, f": {last.readings:,} readings in {took}, ", failed])


def _next_round(status: ServiceStatus) -> Markup:
    planned = [(row.next_at, row.workspace_name) for row in status.rounds if row.next_at is not None]
    if not planned:
        return joined(["under way" if status.rounds else "not planned"])
    at, name = min(planned)
    return joined([name, ", ", instant(at, status.now_at)])


def _widened_windows(status: ServiceStatus) -> str:
    if not status.widened_windows:
        return "none"
    names = ", ".join(f"{name} of {count:,} database(s)" for name, count in status.widened_windows.items())
    return f"{names}: the API answers for more time than was asked for"


def _credentials(status: ServiceStatus) -> Markup:
    if not status.credentials:
        return element("p", "None is configured.")
    body = [
        (
            credential.name,
            credential.workspace_name or "not known yet",
            good("up") if credential.is_up else bad("down"),
            "" if credential.is_up else _why(credential.reason, "not tried yet"),
            instant(credential.failing_since_at, status.now_at) if credential.failing_since_at else "",
            instant(credential.expires_at, status.now_at) if credential.expires_at else "",
        )
        for credential in status.credentials
    ]
    return table(("Name", "Workspace", "State", "Reason", "Since", "Expires"), body, label="Credentials")


# Workspaces ---------------------------------------------------------------------------------------
def _workspaces(views: tuple[WorkspaceView, ...], status: ServiceStatus) -> Iterator[Markup]:
    if not views:
        yield element("p", "None was found yet.")
    yield from (_workspace(view, status) for view in views[:WORKSPACES_DRAWN])
    if len(views) > WORKSPACES_DRAWN:
        yield element("p", f"And {len(views) - WORKSPACES_DRAWN:,} more, in the metrics.")


def _workspace(view: WorkspaceView, status: ServiceStatus) -> Markup:
    cost = view.cost
    shown = facts(
        [
            ("Id", view.workspace_id),
            ("Plan", view.plan or "not known"),
            ("State", _state(view, status.collected_by.get(view.workspace_id))),
            ("Databases", f"{view.databases:,}"),
            (
                f"Operations in {view.period_start_at:%Y-%m}",
                joined(
                    [
                        "at least " if view.usage.days_known < view.usage.days else "",
                        _of(view.month_to_date_operations, cost.included_operations if cost else None, count),
                    ]
                ),
            ),
            ("Storage, mean of the month so far", _mean_storage(view)),
            ("Storage billed so far, GiB-months", _billed_storage(view)),
            (f"Cost{_until(status)}", _cost(cost)),
            ("Expected cost of the month", _expected(cost)),
            *_limits(view, status),
        ]
    )
    days = status.workspace_days.get(view.workspace_id, ())
    label = f"Operations of {view.workspace_name} a day (UTC)"
    plot = bars([(f"{day.day}", day.operations) for day in days], label=label, shown=count) if days else Markup("")
    return element("article", element("h3", view.workspace_name), shown, plot)


def _state(view: WorkspaceView, collected_by: str | None) -> Markup:
    # Whoever collects it knows whether it can be reached.
    state = _standing_of(view) if collected_by is None else f"collected by {collected_by}"
    if view.failure_reason:
        state = joined([state, f" {_why(view.failure_reason, '')}"])
    return (
        joined([state, ", ", bad("blocked"), f": {likely_block(view.plan, view.cost)}"])
        if view.is_usage_blocked
        else joined([state])
    )


def _why(reason: str | None, otherwise: str) -> str:
    """A reason's constant, which is that of the metrics and logs, and what it means."""
    return otherwise if reason is None else reason_in_words(reason)


def _standing_of(view: WorkspaceView | DatabaseView) -> str:
    if view.is_up is None:
        return "not read yet"
    return good("up") if view.is_up else bad("down")


def _of(used: int | None, included: int | None, shown: Callable[[int | None], str]) -> Markup:
    """What was used, and how much of what is included."""
    if used is None or not included:
        return joined([shown(used)])
    percent = f"{used / included:.0%}"
    return joined([f"{shown(used)} of {shown(included)} included ({percent}) ", _meter(used / included)])


def _mean_storage(view: WorkspaceView) -> str:
    """Each database at its own mean of the time that is known, which is said where it is not all."""
    mean, usage = view.month_average_storage_bytes, view.usage
    if mean is None or usage.is_storage_known:
        return gib(mean)
    said = "" if usage.is_mean_storage_known else "at least "
    return (
        f"{said}{gib(mean)} ({math.floor((usage.storage_covered_ratio or 0) * 100)} % of the storage's time is known)"
    )


def _billed_storage(view: WorkspaceView) -> Markup:
    """Over the whole month, as it is included and billed: a high level of a few days is little of it."""
    starts_at = view.period_start_at
    billed = view.usage.gib_months(int((next_month_start(starts_at) - starts_at).total_seconds()))
    included = view.cost.included_storage_bytes if view.cost else None
    said = "" if billed is None or view.usage.is_storage_known else "at least "
    return joined([said, _of(None if billed is None else round(billed * GIB), included, gib)])


def _until(status: ServiceStatus) -> str:
    """Until when the costs are: the table of the month is worked out at another time."""
    costs_at = status.snapshot.costs_at if status.snapshot is not None else None
    return " so far" if costs_at is None else f" until {costs_at:%H:%M:%S} UTC"


def _meter(part: float) -> Markup:
    """A bar that turns yellow from 80 % and red from 100 % on."""
    levels = {"min": "0", "low": "0.8", "high": "0.999", "max": "1", "optimum": "0"}
    value = {"value": f"{min(1.0, part):.3f}", "aria-label": f"{part:.0%} used"}
    return element("meter", f"{part:.0%}", **levels, **value)


def _cost(cost: WorkspaceCost | None) -> str:
    if cost is None:
        return "not known yet"
    if cost.bill is None or cost.bill.known is None:
        return f"not known: {cost.unpriced}"
    return bill_sentence(cost.bill)


def _expected(cost: WorkspaceCost | None) -> str:
    bills = (cost.low_bill, cost.expected_bill, cost.high_bill) if cost is not None else ()
    totals = [bill.total for bill in bills if bill is not None and bill.total is not None]
    if len(totals) != 3:
        return NONE
    low, expected, high = totals
    without = f"; {cost.forecast_missing}" if cost is not None and cost.forecast_missing is not None else ""
    said = "" if cost is None or cost.is_expected_complete else "at least "
    return f"{said}{_usd(expected)}, between {_usd(low)} and {_usd(high)}{without}"


def _limits(view: WorkspaceView, status: ServiceStatus) -> Iterator[tuple[str, Markup]]:
    cost = view.cost
    if cost is None:
        return
    limit = cost.spend_limit
    if limit is not None:
        left_out = f"; {' and '.join(limit.not_counted)} not counted" if limit.not_counted else ""
        bill = cost.bill
        counted = ""
        if bill is not None and bill.known_charges is not None:
            counted = f"{at_least(limit.counted(bill.known_charges), is_complete=bill.are_charges_known)} USD of "
        yield "Spend limit", joined([f"{counted}{_usd(limit.usd)}{left_out}"])
    for name, at in cost.limits:
        named = LIMIT_NAMES.get(name, name)
        # What happens over the storage of the Free plan is not documented.
        blocks = name != "free_storage"
        if at <= status.now_at:
            blocked = "the vendor blocks the databases" if view.is_usage_blocked else NOT_BLOCKED
            yield f"{named}: reached", bad(blocked if blocks else NOT_DOCUMENTED)
        else:
            then = "and the databases blocked" if blocks else NOT_DOCUMENTED
            yield f"{named}: will be reached, {then}", instant(at, status.now_at)


def _budgets(budgets: Sequence[BudgetState]) -> Markup:
    body = [
        (
            budget.name,
            at_least(budget.spent_usd, is_complete=budget.is_complete),
            _usd(budget.limit_usd),
            _spent(budget),
            at_least(budget.expected_usd, is_complete=budget.is_expected_complete),
        )
        for budget in budgets[:ROWS_SHOWN]
    ]
    return table(("Name", "Spent", "Limit", "Used", "Expected"), body, label="Budgets")


def _spent(budget: BudgetState) -> Markup:
    if budget.spent_usd is None or not budget.limit_usd:
        return joined([NONE])
    part = float(budget.spent_usd / budget.limit_usd)
    text = bad(f"{part:.0%}") if part >= 1 else joined([f"{part:.0%}"])
    return joined([text, " ", _meter(part)])


def _usd(amount: Decimal | None) -> str:
    return NONE if amount is None else f"{amount:,.2f} USD"


# Databases ----------------------------------------------------------------------------------------
def _databases(views: Sequence[DatabaseView], status: ServiceStatus, search: str, page: int) -> Iterator[Markup]:
    wanted = search.casefold()
    found = [view for view in views if not wanted or wanted in _searched(view)]
    found.sort(key=lambda view: (-(_operations(view) or 0), view.database_name, view.database_id))
    pages = max(1, -(-len(found) // DATABASES_SHOWN))
    place = min(max(1, page), pages)
    first = (place - 1) * DATABASES_SHOWN
    yield element(
        "form",
        element("label", "Name or id ", element("input", type="search", name="q", value=search)),
        element("button", "Search", type="submit"),
        action="/",
        method="get",
        role="search",
    )
    if not found:
        yield element("p", f"No database has {search!r} in its name or id." if search else "None was found yet.")
        return
    heads = (
        "Name",
        "Project",
        "Workspace",
        "Operations, month",
        "Today",
        "Storage",
        "USD, month",
        "Data until",
        "State",
    )
    body = (_database(view, status) for view in found[first : first + DATABASES_SHOWN])
    yield table(heads, body, label="Databases, the most used first")
    yield _pager(len(found), place, pages, search)


def _searched(view: DatabaseView) -> str:
    names = (view.database_name, view.database_id, view.project_name, view.project_id)
    return "\n".join((*names, view.workspace_name, view.workspace_id)).casefold()


def _database(view: DatabaseView, status: ServiceStatus) -> Iterable[str]:
    return (
        element("a", view.database_name or view.database_id, href=_path(view)),
        view.project_name,
        view.workspace_name,
        count(_operations(view)),
        count(view.day_to_date_operations),
        gib(view.storage_bytes),
        at_least(view.cost.known, is_complete=view.cost.total is not None) if view.cost else NONE,
        instant(view.usage_at, status.now_at) if view.usage_at else NONE,
        bad("failing") if view.failing_since_at else _standing_of(view),
    )


def _operations(view: DatabaseView) -> int | None:
    """Those of the month in the workspace that holds it, as beside them its cost is; none where they are too old."""
    return None if view.month_to_date_operations is None else view.usage.operations


def _path(view: DatabaseView) -> str:
    return f"/databases/{quote(view.database_id, safe='')}"


def _pager(found: int, place: int, pages: int, search: str) -> Markup:
    links: list[str] = [f"{found:,} found, page {place:,} of {pages:,}. "]
    for name, number in (("Previous", place - 1), ("Next", place + 1)):
        if 1 <= number <= pages:
            query = urlencode({"q": search, "page": number})
            links += [element("a", f"{name} page", href=f"/?{query}#databases"), " "]
    return element("p", *links)


def _failing(views: tuple[DatabaseView, ...], status: ServiceStatus) -> Markup:
    failing = [(_down_since(view), view) for view in views if _is_failing(view)]
    if not failing:
        return element("p", "None.")
    failing.sort(key=lambda since_and_view: since_and_view[0])
    body = [
        (
            element("a", view.database_name or view.database_id, href=_path(view)),
            view.database_id,
            view.workspace_name,
            _why_failing(view, status.waits.get(view.database_id)),
            instant(since, status.now_at),
            instant(view.last_success_at, status.now_at) if view.last_success_at else "never",
        )
        for since, view in failing[:ROWS_SHOWN]
    ]
    heads = ("Name", "Id", "Workspace", "Reason", "Since", "Last success")
    return joined([table(heads, body, label="Failing databases"), _rest(len(failing))])


def _why_failing(view: DatabaseView, wait_until: datetime | None) -> str:
    why = _why(view.failure_reason, "not read when it should have been")
    return why if wait_until is None else f"{why}; not asked before {wait_until:%H:%M} UTC, as the vendor asked"


def _rest(total: int) -> Markup:
    hidden = total - ROWS_SHOWN
    return element("p", f"And {hidden:,} more, in the metrics.") if hidden > 0 else Markup("")


def _links() -> Markup:
    paths = ("/metrics", "/api/v1/openapi.json", "/-/healthy", "/-/ready")
    return element("ul", *[element("li", element("a", path, href=path)) for path in paths])


def _is_failing(view: DatabaseView) -> bool:
    return view.is_up is False or view.failing_since_at is not None


def _down_since(view: DatabaseView) -> datetime:
    """When its open day failed first, or when it was read last, if at all."""
    return view.failing_since_at or view.last_success_at or view.created_at
