"""The page of one database: what its metrics show, its days, and why something is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from prisma_postgres_exporter.expose.markup import Markup, element, facts, instant, joined, table
from prisma_postgres_exporter.expose.page import NONE, bad, count, document, gib, good
from prisma_postgres_exporter.expose.plots import bars
from prisma_postgres_exporter.reasons import reason_in_words
from prisma_postgres_exporter.report import UsageRow, bill_sentence
from prisma_postgres_exporter.snapshot import DatabaseView


def database_page(
    view: DatabaseView,
    days: Sequence[UsageRow],
    problem: str | None,
    now_at: datetime,
    *,
    wait_until: datetime | None = None,
) -> str:
    """A whole HTML document.

    `days` are its days of the ledger, oldest first; `problem` says why there are none. `wait_until` is the instant
    before which the vendor asked not to be asked for it again.
    """
    title = f"{view.database_name} – prisma-postgres-exporter"
    return document(title, *_sections(view, days, problem, now_at, wait_until))


def missing_page(database_id: str) -> str:
    """A whole HTML document for a database that is not there."""
    return document(
        "No such database – prisma-postgres-exporter",
        element("h1", "No such database"),
        element(
            "p",
            "There is no database ",
            element("code", database_id),
            " now: it was deleted, is left out by the configuration, or never was. ",
            element("a", "All databases", href="/#databases"),
        ),
    )


def _sections(
    view: DatabaseView, days: Sequence[UsageRow], problem: str | None, now_at: datetime, wait_until: datetime | None
) -> Iterator[Markup]:
    yield element("h1", view.database_name or view.database_id)
    yield _standing(view, now_at)
    if wait_until is not None:
        yield element("p", f"Not asked before {wait_until:%H:%M} UTC, as the vendor asked.")
    yield _facts(view, now_at)
    yield element("h2", "Days (UTC)")
    if problem is not None:
        yield element("p", bad("The ledger cannot be read now"), f": {problem}")
    elif all(row.operations is None for row in days):
        yield element("p", "The ledger holds no day of it yet.")
    else:
        yield bars([(row.period, row.operations) for row in days], label="Operations a day", shown=count)
        yield bars([(row.period, row.mean_storage_bytes) for row in days], label="Storage, mean of a day", shown=gib)
        body = [(row.period, count(row.operations), gib(row.mean_storage_bytes)) for row in reversed(days)]
        summary = element("summary", "The same as a table")
        yield element("details", summary, table(("Day", "Operations", "Storage"), body, label="Days"))
    yield element("h2", "Rolling windows")
    rolling = [(name, count(operations)) for name, operations in view.rolling]
    yield table(("Until now", "Operations"), rolling, label="Rolling windows") if rolling else element("p", "None yet.")


def _standing(view: DatabaseView, now_at: datetime) -> Markup:
    if view.failing_since_at is not None:
        reason = reason_in_words(view.failure_reason) if view.failure_reason else "not known"
        return element("p", bad("Failing"), " since ", instant(view.failing_since_at, now_at), f": {reason}")
    if view.is_up is None:
        return element("p", "Not read yet.")
    return element("p", good("Up") if view.is_up else bad("Down"))


def _month(view: DatabaseView) -> str:
    """The vendor's number, and of one that moved the part that its cost here is of."""
    here, all_of_it = view.usage.operations, view.month_to_date_operations
    if here is None or all_of_it is None or here >= all_of_it:
        return count(all_of_it)
    return f"{count(all_of_it)}, of which {count(here)} are known of this workspace"


def _facts(view: DatabaseView, now_at: datetime) -> Markup:
    difference = view.reconciliation_difference_operations
    return facts(
        [
            ("Id", view.database_id),
            ("Project", joined([view.project_name, f" ({view.project_id})"])),
            ("Workspace", joined([view.workspace_name, f" ({view.workspace_id})"])),
            ("Region", view.region or "not known"),
            ("Status", view.status),
            ("Created", instant(view.created_at, now_at)),
            ("Data until", instant(view.usage_at, now_at) if view.usage_at else NONE),
            ("Last success", instant(view.last_success_at, now_at) if view.last_success_at else "never"),
            ("Operations today", count(view.day_to_date_operations)),
            ("Operations yesterday", count(view.previous_day_operations)),
            ("Operations this month", _month(view)),
            ("Operations last month", count(view.previous_month_operations)),
            ("Operations counted since the beginning", count(view.operations_total)),
            ("Storage", gib(view.storage_bytes)),
            ("Its share of this month's cost", bill_sentence(view.cost) if view.cost is not None else NONE),
            ("Revisions by the vendor", f"{view.revisions_up:,} up, {view.revisions_down:,} down"),
            ("Vendor's month less our days", NONE if difference is None else f"{difference:+,}"),
        ]
    )
