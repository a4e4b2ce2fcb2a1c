"""`cost`: what a month costs so far and will cost, and what another plan or other usage would."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prisma_postgres_exporter.cli.options import ConfigOption, StoreUrlOption, open_configuration
from prisma_postgres_exporter.cost import (
    HISTORY,
    By,
    CostRow,
    Costs,
    charge,
    compare_plans,
    cost_rows,
    parse_what_if,
    suppose,
)
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.model import Book, next_month_start
from prisma_postgres_exporter.store import Store

GIB = 2**30
HEADS = {
    By.WORKSPACE: ("workspace",),
    By.PROJECT: ("workspace", "project"),
    By.DATABASE: ("workspace", "project", "database"),
}
PIPE_WIDTH = 200
LEFT_OUT = "An estimate of the Postgres part of the invoice: Compute, Accelerate, tax and credit are not in it."


def cost(
    by: Annotated[By, typer.Option(help="What a line is about.")] = By.WORKSPACE,
    month: Annotated[
        str | None, typer.Option(help="A month of the ledger, like 2026-10. [default: this month]", metavar="MONTH")
    ] = None,
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

    Days and months are UTC, amounts USD. A workspace whose price is not known has no cost, and the reason is printed.

    Examples: `prisma-postgres-exporter cost --by database` · `prisma-postgres-exporter cost --month 2026-10 --csv` ·
    `prisma-postgres-exporter cost --what-if plan=pro --what-if operations=x2`
    """
    if as_json and as_csv:
        raise ConfigurationError(["--json and --csv: give one of them"])
    loaded = open_configuration(config, store_url)
    supposed = parse_what_if(what_if or (), loaded)
    now = _until(month)
    store = Store.open_to_read(loaded.store.url)
    try:
        book, days = store.load(now), store.workspace_days((now - HISTORY).date())
    finally:
        store.close()
    book, loaded, days = suppose(book, loaded, days, supposed)
    costs = charge(book, loaded, days, now)
    rows = cost_rows(book, costs, by, now)
    is_over = month is not None and now < datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    plans = compare_plans(book, loaded, days, now) if what_if else {}
    if as_json:
        typer.echo(json.dumps([_document(row, plans, now, is_over=is_over) for row in rows], indent=2))
    elif as_csv:
        _write_csv([_document(row, {}, now, is_over=is_over) for row in rows])
    else:
        _print(rows, book, costs, plans, by, now, is_over=is_over)


def _until(month: str | None) -> datetime:
    """The instant to work out: now, or the last second of a month that is over."""
    now = datetime.now(UTC).replace(microsecond=0)
    if month is None:
        return now
    try:
        starts_at = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigurationError([f"--month {month}: not a month; write it like {now:%Y-%m}"]) from None
    if starts_at > now:
        raise ConfigurationError([f"--month {month}: has not begun; this month is {now:%Y-%m}"])
    return min(now, next_month_start(starts_at) - timedelta(seconds=1))


def _document(
    row: CostRow, plans: Mapping[str, Mapping[str, Decimal]], now: datetime, *, is_over: bool
) -> dict[str, object]:
    fee, operations, storage = row.share
    document: dict[str, object] = {
        "month": f"{now:%Y-%m}",
        "workspace_id": row.workspace_id,
        "workspace_name": row.workspace_name,
        "project_id": row.project_id,
        "project_name": row.project_name,
        "database_id": row.database_id,
        "database_name": row.database_name,
        "is_deleted": row.is_deleted,
        "plan": row.cost.plan if row.cost else None,
        "price_version": row.cost.price_version if row.cost else None,
        "operations": row.operations,
        "mean_storage_bytes": row.mean_storage_bytes(now),
        "fee_usd": _text(fee),
        "operations_usd": _text(operations),
        "storage_usd": _text(storage),
        "total_usd": _text(row.total),
        "expected_usd": None if is_over else _text(row.expected_usd),
    }
    if row.project_name is None:
        low, high = _bounds(row, is_over=is_over)
        document |= {"low_usd": _text(low), "high_usd": _text(high)}
        document["unpriced"] = row.cost.unpriced if row.cost else None
        if row.workspace_id in plans:
            document["by_plan_usd"] = {plan: _text(amount) for plan, amount in plans[row.workspace_id].items()}
    return document


def _bounds(row: CostRow, *, is_over: bool) -> tuple[Decimal | None, Decimal | None]:
    """What a workspace's month will cost at least and at most."""
    cost = row.cost
    if cost is None or cost.low_bill is None or cost.high_bill is None or is_over:
        return None, None
    return cost.low_bill.total, cost.high_bill.total


def _write_csv(documents: list[dict[str, object]]) -> None:
    if documents:
        writer = csv.DictWriter(sys.stdout, fieldnames=list(documents[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(documents)


def _print(
    rows: Iterable[CostRow],
    book: Book,
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
            name = book.workspaces[id_].workspace.name
            say.print(f"{name}: {cost_of.unpriced}", style="yellow", markup=False, soft_wrap=True)
    for id_, by_plan in plans.items():
        offers = ", ".join(f"{plan} {amount}" for plan, amount in by_plan.items())
        name = book.workspaces[id_].workspace.name
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
        yield Text(_text(amount) or "–")
    if not is_over:
        low, high = _bounds(row, is_over=is_over) if by is By.WORKSPACE else (None, None)
        expected = _text(row.expected_usd) or "–"
        yield Text(f"{expected} ({low} - {high})" if low is not None else expected)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount}"
