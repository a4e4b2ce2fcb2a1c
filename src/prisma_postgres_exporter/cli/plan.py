"""`plan`: what a configuration will ask the vendor and take of the machine, before it runs."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    JsonOption,
    configuration,
    examples,
)
from prisma_postgres_exporter.cli.printing import Form, form, print_document, print_table
from prisma_postgres_exporter.cli.table import Field
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.documents import PlanAnswer, PlanDocument
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.ledger.rehearsal import Vendor
from prisma_postgres_exporter.report import percent
from prisma_postgres_exporter.words import counted

if TYPE_CHECKING:
    from prisma_postgres_exporter.service import Found

LATENCY = timedelta(milliseconds=200)
MOST_CHANGES = 86_400
MIB = 2**20
SOURCES = {
    "given": "as given",
    "stored": "as readings in the store tell",
    "assumed": "assumed: --changes-a-day says it, or a store",
}

EXAMPLES = examples("plan", "plan --databases 5000 --workspaces 5", "plan --databases 50 --changes-a-day 24 --json")


def plan(
    databases: Annotated[
        int | None,
        typer.Option(help="Plan for so many databases that need not exist; asks nobody.", min=1, max=1_000_000),
    ] = None,
    workspaces: Annotated[
        int, typer.Option(help="With --databases: in so many workspaces of one size.", min=1, max=100_000)
    ] = 1,
    changes_a_day: Annotated[
        float | None,
        typer.Option(
            help="How often a day the vendor publishes news of a database (default: as the store tells, or 8); "
            f"{MOST_CHANGES}, once a second, has news for every reading of any interval.",
            min=0,
            max=MOST_CHANGES,
        ),
    ] = None,
    latency_ms: Annotated[
        int | None,
        typer.Option(help="How long the API takes to answer (default: measured, or 200).", min=1, max=30_000),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
) -> None:
    """Say what a configuration will ask of the API and take of this machine, before it runs.

    Without --databases it asks the API what exists with the configured tokens (a few requests each); it writes nothing.
    The numbers come from the rules of polling themselves, run on simulated time. An ordinary day is one in the middle
    of a month; on its first days more is read. Sizes are those of SQLite.
    """
    chosen = form(as_json=as_json)
    configure_logs("console", level=logging.CRITICAL)
    loaded = configuration(config, api_url, None, needs_credentials=databases is None)()
    latency = timedelta(milliseconds=latency_ms) if latency_ms is not None else None
    if databases is not None:
        if workspaces > databases:
            raise ConfigurationError([f"--workspaces {workspaces}: more than there are databases ({databases})"])
        sizes = [databases // workspaces + (number < databases % workspaces) for number in range(workspaces)]
        projects = 1
    else:
        from prisma_postgres_exporter.service import look

        found = asyncio.run(look(loaded))
        sizes, projects = [seen.databases for seen in found], max((seen.projects for seen in found), default=1)
        latency = latency or _measured(found)
    document = _document(loaded, sizes, projects, changes_a_day, latency or LATENCY)
    if chosen is Form.JSON:
        print_document(PlanAnswer(data=document).model_dump_json(indent=2))
    else:
        _print(document, loaded)


def _measured(found: tuple[Found, ...]) -> timedelta | None:
    measured = [seen.latency for seen in found if seen.latency is not None]
    return timedelta(seconds=median(latency.total_seconds() for latency in measured)) if measured else None


def _document(
    config: Config, sizes: list[int], projects: int, changes_a_day: float | None, latency: timedelta
) -> PlanDocument:
    from prisma_postgres_exporter.service import estimate, stored_changes_per_day

    now = datetime.now(UTC)
    stored = stored_changes_per_day(config, now=now) if changes_a_day is None else None
    known = changes_a_day if changes_a_day is not None else stored
    vendor = Vendor(latency=latency, is_assumed=True)
    if known is not None:
        vendor = Vendor(latency=latency, changes_per_day=known)
    if sys.stderr.isatty():
        say("Rehearsing days of polling on simulated time…")
    planned = asdict(estimate(config, sizes, vendor, now=now, projects=projects))
    return PlanDocument(
        workspace_count=planned.pop("workspaces"),
        database_count=planned.pop("databases"),
        changes_per_day=vendor.changes_per_day,
        changes_source="assumed" if known is None else "given" if stored is None else "stored",
        latency_seconds=vendor.latency.total_seconds(),
        **planned,
    )


def _print(plan: PlanDocument, config: Config) -> None:
    lines = [
        ("databases", f"{plan.database_count:,} in {counted(plan.workspace_count, 'workspace')}"),
        ("requests an hour", _requests(plan)),
        ("of the pace", f"{percent(plan.largest_capacity_ratio)} in the largest workspace"),
        ("every database shows something", f"after {_span(plan.first_numbers_seconds)}"),
        ("every day of the month is read", f"after {_span(plan.filled_seconds)}"),
        ("age of a number", f"{_span(plan.mean_age_seconds)} on average, {_span(plan.longest_age_seconds)} at most"),
        ("news is seen", f"{_delay(plan)} after the vendor publishes it, on average"),
        ("series", f"{plan.series:,}{_capped(plan)}"),
        ("memory", f"about {plan.resident_bytes / MIB:,.0f} MiB, an estimate"),
        ("CPU", f"{plan.cpu_cores:.2f} of a core, and what scrapes take"),
        ("store after 30 days", f"{plan.store_bytes / MIB:,.1f} MiB"),
    ]
    title = (
        f"An ordinary day, for a vendor that publishes {_times(plan.changes_per_day)} a day "
        f"({SOURCES[plan.changes_source]}) and answers in {plan.latency_seconds * 1000:.0f} ms"
    )
    fields = (
        Field(heading="what", cells=[what for what, _ in lines], weight=2),
        Field(heading="how much", cells=[much for _, much in lines], weight=1),
    )
    print_table(fields, Form.TABLE, what="lines", title=title)
    most = config.web.max_series
    if most is not None and plan.series > most:
        say(
            f"web.max_series is too small with {most:,}: about {plan.series:,} series are shown all the same.",
            style="yellow",
        )
    if plan.largest_capacity_ratio >= 1:
        say(
            f"The largest workspace needs more than {config.poll.requests_per_second:g} requests/s: raise "
            "poll.requests_per_second or poll.interval, or its numbers become older.",
            style="yellow",
        )


def _requests(plan: PlanDocument) -> str:
    if plan.changes_source != "assumed":
        return f"{plan.requests_per_hour:,.0f}, {plan.usage_requests_per_hour:,.0f} of them for usage"
    return (
        f"{plan.requests_per_hour:,.0f}; {plan.least_requests_per_hour:,.0f} if numbers never move, "
        f"{plan.most_requests_per_hour:,.0f} if every reading has news"
    )


def _times(changes: float) -> str:
    return f"{changes:,.0f} times" if changes >= 100 else f"{changes:.3g} times"


def _delay(plan: PlanDocument) -> str:
    return f"{'at most ' if plan.mean_delay_is_at_most else ''}{_span(plan.mean_delay_seconds)}"


def _capped(plan: PlanDocument) -> str:
    summed = plan.database_count - plan.databases_with_series
    return f"; {summed:,} databases are summed up by web.max_series" if summed else ""


def _span(seconds: float | None) -> str:
    if seconds is None:
        return "more than 2 days"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
