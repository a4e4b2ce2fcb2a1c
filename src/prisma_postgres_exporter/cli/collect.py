"""`collect`: one round, and what is known then as a table, JSON, or a file for node_exporter."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prisma_postgres_exporter.cli.files import write_atomically
from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    LogFormatOption,
    StoreUrlOption,
    configuration,
)
from prisma_postgres_exporter.config import read_tokens
from prisma_postgres_exporter.snapshot import DatabaseView, Snapshot

GIB = 2**30


def collect(
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
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

    Leaves with 1 when a credential or a reading failed; what could be read is stored and shown all the same.
    """
    from prisma_postgres_exporter.service import collect_once

    loaded = configuration(config, api_url, store_url)()
    configure_logs(
        log_format, secrets=[credential.token.get_secret_value() for credential in read_tokens(loaded).credentials]
    )
    collected = asyncio.run(collect_once(loaded))
    if textfile is not None:
        write_atomically(textfile, [collected.metrics], option="--textfile")
    if as_json:
        typer.echo(json.dumps(_document(collected.snapshot), indent=2))
    else:
        _print_table(collected.snapshot)
    if collected.problems:
        console = Console(stderr=True, highlight=False)
        for problem in collected.problems:
            console.print(f"failed: {problem}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _document(snapshot: Snapshot) -> dict[str, object]:
    return {
        "taken_at": snapshot.taken_at.isoformat(),
        "filtered": snapshot.filtered,
        "workspaces": [
            {
                "workspace_id": view.workspace_id,
                "workspace_name": view.workspace_name,
                "plan": view.plan,
                "up": view.is_up,
                "usage_blocked": view.is_usage_blocked,
                "databases": view.databases,
                "month_to_date_operations": view.month_to_date_operations,
                "storage_bytes": view.storage_bytes,
                "month_average_storage_bytes": view.month_average_storage_bytes,
                "storage_covered_ratio": view.storage_covered_ratio,
                "reconciliation_difference_operations": view.reconciliation_difference_operations,
                "failure_reason": view.failure_reason,
            }
            for view in snapshot.workspaces
        ],
        "databases": [_database_document(view) for view in snapshot.databases],
    }


def _database_document(view: DatabaseView) -> dict[str, object]:
    return {
        "workspace_id": view.workspace_id,
        "project_id": view.project_id,
        "database_id": view.database_id,
        "database_name": view.database_name,
        "project_name": view.project_name,
        "region": view.region,
        "status": view.status,
        "up": view.is_up,
        "operations_total": view.operations_total,
        "day_to_date_operations": view.day_to_date_operations,
        "previous_day_operations": view.previous_day_operations,
        "month_to_date_operations": view.month_to_date_operations,
        "previous_month_operations": view.previous_month_operations,
        "windows": dict(view.rolling),
        "storage_bytes": view.storage_bytes,
        "usage_at": _iso(view.usage_at),
        "last_success_at": _iso(view.last_success_at),
        "failing_since_at": _iso(view.failing_since_at),
        "failure_reason": view.failure_reason,
    }


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _print_table(snapshot: Snapshot) -> None:
    table = Table(title=f"Prisma Postgres usage, {snapshot.taken_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")
    for name in ("workspace", "project", "database"):
        table.add_column(name, overflow="fold")
    for name in ("today", "month to date", "storage"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state")
    for view in snapshot.databases:
        table.add_row(
            Text(view.workspace_name),
            Text(view.project_name),
            Text(view.database_name),
            _number(view.day_to_date_operations),
            _number(view.month_to_date_operations),
            _storage(view.storage_bytes),
            Text(view.failure_reason or "", style="red") if view.is_up is False else _known(view),
        )
    Console().print(table)


def _known(view: DatabaseView) -> str:
    return "ok" if view.is_up else "not read yet"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _storage(value: int | None) -> str:
    if value is None:
        return "–"
    return f"{value / GIB:,.2f} GiB" if value >= GIB / 10 else f"{value / 2**20:,.1f} MiB"
