"""`report`: one month, everything, as a document."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter import service
from prisma_postgres_exporter.cli.files import write_whole
from prisma_postgres_exporter.cli.months import (
    MonthOption,
    parse_month,
    reading_store,
    utc_now,
    with_costs_in_force,
)
from prisma_postgres_exporter.cli.options import ConfigOption, RawOption, StoreUrlOption, examples, open_configuration
from prisma_postgres_exporter.cli.terminal import pour, say
from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.documents import LevelDocument, documents_csv, level_documents, report_answer
from prisma_postgres_exporter.model import month_start
from prisma_postgres_exporter.report import (
    Chosen,
    LedgerMonth,
    MonthReport,
    Owners,
    UsageRow,
    report_markdown,
    report_month,
    usage_by_day,
)

if TYPE_CHECKING:
    from prisma_postgres_exporter.store import Store


class Format(StrEnum):
    """What kind of document."""

    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


EXAMPLES = examples(
    "report --month 2026-10 --format html -o october.html",
    "report > november.md",
)


def report(
    month: MonthOption = None,
    format_: Annotated[Format, typer.Option("--format", help="What kind of document.")] = Format.MARKDOWN,
    databases: Annotated[
        int,
        typer.Option(
            help="How many databases of each workspace to list, the most expensive first; CSV and JSON have all.", min=0
        ),
    ] = 100,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write to FILE, whole or not at all. Default: standard output.", metavar="FILE"
        ),
    ] = None,
    is_raw: RawOption = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Write a month's report: each workspace, project and database, days, budgets, and what happened.

    Reads only the local ledger. Days and months are UTC, amounts USD. HTML has plots and needs nothing else: it can
    be mailed. Costs and budgets are those of the service, from the store, unless --config has a `cost` section.
    """
    loaded = open_configuration(config, store_url)
    now = utc_now()
    until = parse_month(month, "--month", now) if month is not None else now
    with reading_store(loaded) as store:
        read = service.read_month(store, with_costs_in_force(store, loaded), until, now, with_previous=True)
        whole = report_month(
            read,
            store.revisions(from_day=read.month, to_day=until.date()),
            store.events(month_start(until), read.ends_at),
            _days(store, read, now),
            now,
        )
    parts = _parts(whole, format_, databases, is_raw=is_raw)
    if output is None:
        pour(parts)
    else:
        write_whole(output, parts, option="--output")
        say(f"The report of {whole.name} is in {output}")


def _parts(whole: MonthReport, format_: Format, databases: int, *, is_raw: bool) -> Iterable[bytes]:
    if format_ is Format.CSV:
        return documents_csv(LevelDocument, level_documents(whole), is_raw=is_raw)
    if format_ is Format.MARKDOWN:
        texts: Iterable[str] = report_markdown(whole, most_databases=databases)
    elif format_ is Format.HTML:
        from prisma_postgres_exporter.expose import report_page

        texts = report_page(whole, most_databases=databases)
    else:
        texts = (report_answer(whole).model_dump_json(indent=2), "\n")
    return (text.encode() for text in texts)


def _days(store: Store, month: LedgerMonth, now: datetime) -> Sequence[UsageRow]:
    """The workspaces' days of a month."""
    span = month.month, month.until.date()
    owners = Owners.of(tuple(store.databases()), month.ledger_state)
    days = store.days(from_day=span[0], to_day=span[1])
    return usage_by_day(days, owners, By.WORKSPACE, Chosen(), span, most_rows=sys.maxsize, now=now)[0]
