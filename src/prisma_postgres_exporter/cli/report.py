"""`report`: one month, everything, as a document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from prisma_postgres_exporter.cli.files import write_atomically
from prisma_postgres_exporter.cli.months import (
    MonthOption,
    documents_csv,
    parse_month,
    reading_store,
    utc_now,
    with_costs_in_force,
)
from prisma_postgres_exporter.cli.options import ConfigOption, StoreUrlOption, open_configuration
from prisma_postgres_exporter.cost import CostRow
from prisma_postgres_exporter.expose import report_page
from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.report import (
    Beside,
    MonthReport,
    WorkspaceReport,
    cost_document,
    day_level,
    report_markdown,
    report_month,
    usd_text,
)
from prisma_postgres_exporter.service import read_month


class Format(StrEnum):
    """What kind of document."""

    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


def report(
    month: MonthOption = None,
    format_: Annotated[Format, typer.Option("--format", help="What kind of document.")] = Format.MARKDOWN,
    databases: Annotated[
        int,
        typer.Option(
            help="List so many databases of each workspace, the most expensive ones; CSV and JSON have all.", min=0
        ),
    ] = 100,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write to FILE, whole or not at all. Default: standard output.", metavar="FILE"
        ),
    ] = None,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Write a month's report: each workspace, project and database, days, budgets, and what happened; asks nobody.

    Days and months are UTC, amounts USD. HTML has plots and needs nothing else: it can be mailed. Costs
    and budgets are those of the service, from the store, unless --config has a `cost` section.

    Examples: `prisma-postgres-exporter report --month 2026-10 --format html -o october.html` ·
    `prisma-postgres-exporter report > november.md`
    """
    loaded = open_configuration(config, store_url)
    now = utc_now()
    until = parse_month(month, "--month", now) if month is not None else now
    with reading_store(loaded) as store:
        read = read_month(store, with_costs_in_force(store, loaded), until, now, with_previous=True)
        whole = report_month(
            read,
            store.revisions(from_day=read.month, to_day=until.date()),
            store.events(month_start(until), read.ends_at),
            now,
        )
    parts = (part.encode() for part in _parts(whole, format_, databases))
    if output is None:
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
    else:
        write_atomically(output, parts, option="--output")
        Console(stderr=True, highlight=False).print(
            f"The report of {whole.name} is in {output}", markup=False, soft_wrap=True
        )


def _parts(whole: MonthReport, format_: Format, databases: int) -> Iterable[str]:
    if format_ is Format.MARKDOWN:
        return report_markdown(whole, most_databases=databases)
    if format_ is Format.HTML:
        return report_page(whole, most_databases=databases)
    return documents_csv(_levels(whole)) if format_ is Format.CSV else (json.dumps(_document(whole), indent=2) + "\n",)


def _levels(whole: MonthReport) -> Iterator[dict[str, object]]:
    """One document for each workspace, project and database; `level` says which."""
    for workspace in whole.workspaces:
        levels = (("workspace", (workspace.total,)), ("project", workspace.projects), ("database", workspace.databases))
        for level, rows in levels:
            for row in rows:
                shared = cost_document(row, is_over=whole.is_over, beside=whole.besides[row.place])
                yield {"level": level, **shared.model_dump(mode="json")}


def _document(whole: MonthReport) -> dict[str, object]:
    return {
        "month": whole.name,
        "until": whole.until.isoformat(),
        "is_over": whole.is_over,
        "made_at": whole.made_at.isoformat(),
        **_total(whole),
        "workspaces": [_workspace(whole, workspace) for workspace in whole.workspaces],
        "budgets": [
            {
                "name": budget.name,
                "limit_usd": usd_text(budget.limit_usd),
                "spent_usd": usd_text(budget.spent_usd),
                "is_complete": budget.is_complete,
                "expected_usd": usd_text(budget.expected_usd),
            }
            for budget in whole.budgets
        ],
    }


def _total(whole: MonthReport) -> dict[str, object]:
    usage, bill = whole.total
    missing = whole.missing
    return {
        "operations": usage.operations,
        "days_known": usage.days_known,
        "days": usage.days,
        "storage_covered_ratio": usage.storage_covered_ratio,
        "is_complete": usage.is_complete and bill.total is not None,
        "total_usd": usd_text(bill.total),
        "known_usd": usd_text(bill.known),
        "last_month_usd": usd_text(whole.beside.last_month_usd),
        "change_usd": usd_text(whole.beside.change_usd),
        "change_percent": whole.beside.change_percent,
        "change_split_usd": _split(whole.beside),
        "missing": None
        if missing is None
        else {"from": f"{missing.first_day}", "to": f"{missing.last_day}", "requests": missing.requests},
    }


def _split(entry: Beside) -> dict[str, str | None] | None:
    if entry.split is None:
        return None
    return {name.replace(" ", "_"): usd_text(amount) for name, amount in entry.split.items()}


def _workspace(whole: MonthReport, workspace: WorkspaceReport) -> dict[str, object]:
    cost = workspace.total.cost

    def documents(rows: Iterable[CostRow]) -> list[dict[str, object]]:
        return [
            cost_document(row, is_over=whole.is_over, beside=whole.besides[row.place]).model_dump(mode="json")
            for row in rows
        ]

    return {
        **cost_document(workspace.total, is_over=whole.is_over, beside=workspace.beside).model_dump(mode="json"),
        "change_split_usd": _split(workspace.beside),
        "included_operations": cost.included_operations if cost else None,
        "included_storage_bytes": cost.included_storage_bytes if cost else None,
        "difference_operations": workspace.difference_operations,
        "revised_days": workspace.revised_days,
        "revised_operations": workspace.revised_operations,
        "by_day": [
            {
                "day": day.day.isoformat(),
                "operations": day.operations,
                "mean_storage_bytes": day_level(day),
            }
            for day in workspace.days
        ],
        "events": [{**asdict(event), "at": event.at.isoformat()} for event in workspace.events],
        "projects": documents(workspace.projects),
        "databases": documents(workspace.databases),
    }
