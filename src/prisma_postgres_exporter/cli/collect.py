"""`collect`: one round, and what is known then as a table, JSON, or a file for node_exporter."""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer

from prisma_postgres_exporter.cli.files import write_whole
from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    JsonOption,
    LogFormatOption,
    StoreUrlOption,
    WideOption,
    configuration,
)
from prisma_postgres_exporter.cli.printing import Form, form, print_document, print_table
from prisma_postgres_exporter.cli.table import NONE, Field, Role
from prisma_postgres_exporter.cli.terminal import harmless, say
from prisma_postgres_exporter.config import secrets_of
from prisma_postgres_exporter.documents import collect_answer
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot

GIB = 2**30


def collect(
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    as_json: JsonOption = False,
    is_wide: WideOption = False,
    textfile: Annotated[
        Path | None,
        typer.Option(
            help="Also write the metrics to this file, whole or not at all, for node_exporter's textfile collector.",
            metavar="PATH",
        ),
    ] = None,
    log_format: LogFormatOption = "console",
) -> None:
    """Read everything that is due, once, store it, and print what is known.

    A `cost` section of the configuration is left in the store for reports; without one the costs there stay in force.

    Exits with 1 if a credential or a reading failed; what could be read is stored and shown all the same.
    """
    from prisma_postgres_exporter.service import collect_once

    chosen = form(as_json=as_json, is_wide=is_wide)
    loaded = configuration(config, api_url, store_url)()
    configure_logs(log_format, secrets=secrets_of(loaded))
    collected = asyncio.run(collect_once(loaded))
    if textfile is not None:
        write_whole(textfile, [collected.metrics], option="--textfile")
    if chosen is Form.JSON:
        print_document(collect_answer(collected.snapshot).model_dump_json(indent=2))
    else:
        _print_table(collected.snapshot, chosen)
    for problem in collected.problems:
        say(f"failed: {problem}", style="red")
    if collected.problems:
        raise typer.Exit(1)


def _print_table(snapshot: Snapshot, chosen: Form) -> None:
    views = snapshot.databases
    fields = (
        Field(heading="workspace", cells=[harmless(view.workspace_name) for view in views], role=Role.NAME, weight=1),
        Field(heading="project", cells=[harmless(view.project_name) for view in views], role=Role.NAME, weight=2),
        Field(heading="database", cells=[harmless(view.database_name) for view in views], role=Role.NAME, weight=9),
        Field(heading="database id", cells=[view.database_id for view in views], role=Role.ID, is_reserve=True),
        Field(heading="today", cells=[_number(view.day_to_date_operations) for view in views], is_right=True, weight=5),
        Field(
            heading="month to date",
            cells=[_number(view.month_to_date_operations) for view in views],
            is_right=True,
            weight=6,
        ),
        Field(heading="GiB now", cells=[_gib(view.storage_bytes) for view in views], is_right=True, weight=4),
        Field(heading="state", cells=[_state(view) for view in views], weight=7),
    )
    title = f"Prisma Postgres usage, {snapshot.taken_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    print_table(fields, chosen, what="databases", title=title)


def _state(view: DatabaseView) -> str:
    if view.is_up is False:
        return harmless(view.failure_reason or "down")
    return "ok" if view.is_up else "not read yet"


def _number(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def _gib(value: int | None) -> str:
    return NONE if value is None else f"{value / GIB:,.3f}"
