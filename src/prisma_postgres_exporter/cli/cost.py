"""`cost`: what a month costs so far and will cost, and what another plan or other usage would."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prisma_postgres_exporter.cli.months import (
    MonthOption,
    documents_csv,
    parse_month,
    reading_store,
    utc_now,
    with_costs_in_force,
)
from prisma_postgres_exporter.cli.options import ConfigOption, StoreUrlOption, open_configuration
from prisma_postgres_exporter.cost import HISTORY, By, CostRow, Costs, compare_plans, parse_what_if, suppose
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.model import LedgerState
from prisma_postgres_exporter.report import LEFT_OUT, cost_document, expected_bounds, ledger_month, usd_text

GIB = 2**30
HEADS = {
    By.WORKSPACE: ("workspace",),
    By.PROJECT: ("workspace", "project"),
    By.DATABASE: ("workspace", "project", "database"),
}
PIPE_WIDTH = 200


def cost(
    by: Annotated[By, typer.Option(help="What a line is about.")] = By.WORKSPACE,
    month: MonthOption = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(help="plan=pro, operations=x2 or storage=x0.5; may be given several times.", metavar="WHAT"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Print what a month costs, from the ledger, the price table and the configuration; asks nobody.

    Costs are those of the service, which leaves its `cost` section in the store; a --config with such a section wins.
    The store may be one that this user can only read.

    Days and months are UTC, amounts USD. A workspace whose price is not known has no cost, and the reason is printed.

    Examples: `prisma-postgres-exporter cost --by database` · `prisma-postgres-exporter cost --month 2026-10 --csv` ·
    `prisma-postgres-exporter cost --what-if plan=pro --what-if operations=x2`
    """
    if as_json and as_csv:
        raise ConfigurationError(["--json and --csv: give one of them"])
    loaded = open_configuration(config, store_url)
    real_now = utc_now()
    now = parse_month(month, "--month", real_now) if month is not None else real_now
    with reading_store(loaded) as store:
        in_force = with_costs_in_force(store, loaded)
        supposed = parse_what_if(what_if or (), in_force)
        ledger_state, days = store.load(now), store.workspace_days((now - HISTORY).date())
    read = ledger_month(*suppose(ledger_state, in_force, days, supposed), now, real_now)
    rows, is_over = read.rows(by), read.is_over
    plans = compare_plans(read.ledger_state, read.config, read.days, now) if what_if else {}
    if as_json:
        typer.echo(json.dumps([_document(row, plans, now, is_over=is_over) for row in rows], indent=2))
    elif as_csv:
        for line in documents_csv(_document(row, {}, now, is_over=is_over) for row in rows):
            typer.echo(line, nl=False)
    else:
        _print(rows, read.ledger_state, read.costs, plans, by, now, is_over=is_over)


def _document(
    row: CostRow, plans: Mapping[str, Mapping[str, Decimal]], now: datetime, *, is_over: bool
) -> dict[str, object]:
    document = cost_document(row, now, is_over=is_over)
    if row.project_id is None and row.workspace_id in plans:
        document["by_plan_usd"] = {plan: usd_text(amount) for plan, amount in plans[row.workspace_id].items()}
    return document


def _print(
    rows: Iterable[CostRow],
    ledger_state: LedgerState,
    costs: Costs,
    plans: Mapping[str, Mapping[str, Decimal]],
    by: By,
    now: datetime,
    *,
    is_over: bool,
) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    until = f"until {now:%Y-%m-%d %H:%M} UTC" if not is_over else "the whole month"
    table = Table(title=f"Cost of {now:%Y-%m} in USD, {until}", title_justify="left")
    for name in HEADS[by]:
        table.add_column(name, overflow="fold", min_width=10)
    if by is By.WORKSPACE:
        table.add_column("plan")
    for name in ("operations", "GiB", "fee", "usage", "storage", "cost"):
        table.add_column(name, justify="right", no_wrap=True)
    if not is_over:
        head = "expected (low - high)" if by is By.WORKSPACE else "expected"
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row, by, now, is_over=is_over))
    console.print(table)
    say = Console(stderr=True, highlight=False)
    for id_, cost_of in costs.workspaces.items():
        if cost_of.unpriced is not None:
            name = ledger_state.workspaces[id_].workspace.name
            say.print(f"{name}: {cost_of.unpriced}", style="yellow", markup=False, soft_wrap=True)
    for id_, by_plan in plans.items():
        offers = ", ".join(f"{plan} {amount}" for plan, amount in by_plan.items())
        name = ledger_state.workspaces[id_].workspace.name
        console.print(f"{name}, the whole month by plan, cheapest first: {offers}", markup=False, soft_wrap=True)
    console.print(LEFT_OUT, style="dim", soft_wrap=True)


def _cells(row: CostRow, by: By, now: datetime, *, is_over: bool) -> Iterable[Text]:
    yield Text(row.workspace_name)
    if by is not By.WORKSPACE:
        yield Text(row.project_name or "")
    if by is By.DATABASE:
        yield Text(f"{row.database_name} (deleted)" if row.is_deleted else row.database_name or "")
    if by is By.WORKSPACE:
        yield Text((row.cost.plan if row.cost else None) or "?")
    yield Text(f"{row.operations:,}")
    yield Text(f"{row.mean_storage_bytes(now) / GIB:,.2f}")
    for amount in (*row.share, row.total):
        yield Text(usd_text(amount) or "–")
    if not is_over:
        low, high = expected_bounds(row, is_over=is_over) if by is By.WORKSPACE else (None, None)
        expected = usd_text(row.expected_usd) or "–"
        yield Text(f"{expected} ({low} - {high})" if low is not None else expected)
