"""`cost`: what a month costs so far and will cost, and what another plan or other usage would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from prisma_postgres_exporter.cli.months import (
    MonthOption,
    parse_month,
    reading_store,
    utc_now,
    with_costs_in_force,
)
from prisma_postgres_exporter.cli.options import ConfigOption, StoreUrlOption, open_configuration
from prisma_postgres_exporter.cost import (
    Bill,
    By,
    CostRow,
    Usage,
    added,
    compare_plans,
    parse_what_if,
    suppose,
    total_of,
)
from prisma_postgres_exporter.documents import CostDocument, cost_rows_answer, documents_csv, supposed_answer
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.report import (
    LEFT_OUT,
    NONE,
    TOTAL,
    Beside,
    LedgerMonth,
    Place,
    beside,
    change_sentence,
    database_name,
    expected_bounds,
    knowledge,
    ledger_month,
    missing_sentence,
    money,
    use,
)
from prisma_postgres_exporter.service import read_month

HEADS = {
    By.WORKSPACE: ("workspace",),
    By.PROJECT: ("workspace", "project"),
    By.DATABASE: ("workspace", "project", "database"),
}
PIPE_WIDTH = 200
NAMED = 5
"""Up to so many databases that are not known whole are named."""


def cost(
    by: Annotated[By, typer.Option(help="What a line is about.")] = By.WORKSPACE,
    month: MonthOption = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(help="plan=pro, operations=x2 or storage=x0.5; may be given several times.", metavar="WHAT"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help='Print JSON: `{"version": 1, "data": […]}`.')] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Print what a month costs, from the ledger, the price table and the configuration; asks nobody.

    Costs are those of the service, which leaves its `cost` section in the store; a --config with such a section wins.
    The store may be one that this user can only read.

    Days and months are UTC, amounts USD. What is not known is no number: a workspace whose price is not known has no
    cost, one whose usage is not known whole costs at least so much, and what is missing is printed with the command
    that gets it.

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
        read = read_month(store, in_force, now, real_now, with_previous=True)
    if what_if:
        read = ledger_month(*suppose(read.ledger_state, in_force, read.days, supposed), now, real_now, read.previous)
    plans = compare_plans(read.ledger_state, read.config, read.days, now) if what_if else {}
    besides = beside(read, by)
    if as_json and what_if:
        typer.echo(supposed_answer(read, read.rows(by), besides, plans).model_dump_json(indent=2))
    elif as_json:
        typer.echo(cost_rows_answer(read, read.rows(by), besides).model_dump_json(indent=2))
    elif as_csv:
        for part in documents_csv(CostDocument, cost_rows_answer(read, read.rows(by), besides).data):
            typer.echo(part, nl=False)
    else:
        _print(read, plans, besides, by, is_supposed=bool(what_if))


def _print(
    month: LedgerMonth,
    plans: Mapping[str, Mapping[str, Decimal]],
    besides: Mapping[Place, Beside],
    by: By,
    *,
    is_supposed: bool,
) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPE_WIDTH)
    rows = month.rows(by)
    usage, bill = total_of(rows)
    whole = "the whole month" if usage.is_complete else "what is known of the month"
    until = whole if month.is_over else f"until {month.until:%Y-%m-%d %H:%M} UTC"
    table = Table(title=f"Cost of {month.name} in USD, {until}", title_justify="left")
    for name in HEADS[by]:
        table.add_column(name, overflow="fold", min_width=10)
    if by is By.WORKSPACE:
        table.add_column("plan")
    for name in ("operations", "GiB", "fee", "usage", "storage", "cost", "%"):
        table.add_column(name, justify="right", no_wrap=True)
    if not month.is_over:
        head = "expected (low - high)" if by is By.WORKSPACE else "expected"
        table.add_column(head, justify="right", no_wrap=True)
    for name in ("last month", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, _cells(row, besides[row.place], by, is_over=month.is_over)))
    if len(rows) > 1:
        table.add_section()
        table.add_row(*map(Text, _total_cells(rows, usage, bill, besides[TOTAL], by, is_over=month.is_over)))
    console.print(table)
    _say_what_is_missing(month, usage)
    for line in _sentences(month, plans, besides, by, is_supposed=is_supposed):
        console.print(line, markup=False, soft_wrap=True)
    console.print(LEFT_OUT, style="dim", soft_wrap=True)


def _say_what_is_missing(month: LedgerMonth, usage: Usage) -> None:
    say = Console(stderr=True, highlight=False)
    for id_, cost_of in month.costs.workspaces.items():
        if cost_of.unpriced is not None:
            name = month.ledger_state.workspaces[id_].workspace.name
            say.print(f"{name}: {cost_of.unpriced}", style="yellow", markup=False, soft_wrap=True)
        if cost_of.forecast_missing is not None and not month.is_over:
            name = month.ledger_state.workspaces[id_].workspace.name
            say.print(f"{name}, forecast: {cost_of.forecast_missing}", style="yellow", markup=False, soft_wrap=True)
    missing = missing_sentence(usage, month.missing, month.config.poll.requests_per_second)
    if missing is not None:
        say.print(missing, style="yellow", markup=False, soft_wrap=True)
    partly = [row for row in month.rows(By.DATABASE) if not row.usage.is_complete]
    if 0 < len(partly) <= NAMED:
        named = (f"{row.workspace_name} / {database_name(row)} ({knowledge(row.usage)})" for row in partly)
        say.print(f"Not known whole: {'; '.join(named)}", style="yellow", markup=False, soft_wrap=True)


def _sentences(
    month: LedgerMonth,
    plans: Mapping[str, Mapping[str, Decimal]],
    besides: Mapping[Place, Beside],
    by: By,
    *,
    is_supposed: bool,
) -> Iterator[str]:
    names = {id_: row.workspace.name for id_, row in month.ledger_state.workspaces.items()}
    for id_, by_plan in plans.items():
        offers = ", ".join(f"{plan} {amount}" for plan, amount in by_plan.items())
        yield f"{names[id_]}, the whole month by plan, cheapest first: {offers}"
    for id_, cost_of in month.costs.workspaces.items() if is_supposed else ():
        for name, at in cost_of.limits:
            if name == "free_operations":
                yield f"{names[id_]} on {cost_of.plan}: the vendor stops its databases on {at:%Y-%m-%d}, until the 1st"
    if is_supposed:
        return
    for place, entry in besides.items():
        sentence = change_sentence(entry, is_over=month.is_over) if by is By.WORKSPACE else None
        if sentence is not None and place != TOTAL:
            yield f"{names[place[0]]}: {sentence}"


def _cells(row: CostRow, entry: Beside, by: By, *, is_over: bool) -> Iterator[str]:
    yield row.workspace_name
    if by is not By.WORKSPACE:
        yield row.project_name or ("" if row.database_id else "fee (no database)")
    if by is By.DATABASE:
        yield database_name(row) if row.database_id is not None else ""
    if by is By.WORKSPACE:
        yield (row.cost.plan if row.cost else None) or "?"
    yield from use(row.usage, row.bill, row)
    yield _percent(entry)
    if not is_over:
        low, high = expected_bounds(row, is_over=is_over) if by is By.WORKSPACE else (None, None)
        expected = money(row.expected_usd)
        yield f"{expected} ({money(low)} - {money(high)})" if low is not None else expected
    yield money(entry.last_month_usd)
    yield _change(entry)


def _total_cells(
    rows: Sequence[CostRow], usage: Usage, bill: Bill, entry: Beside, by: By, *, is_over: bool
) -> Iterator[str]:
    yield "total"
    yield from ("",) * (1 if by is By.PROJECT else 2 if by is By.DATABASE else 1)
    yield from use(usage, bill)
    yield _percent(entry)
    if not is_over:
        yield money(added(row.expected_usd for row in rows))
    yield money(entry.last_month_usd)
    yield _change(entry)


def _percent(entry: Beside) -> str:
    return NONE if entry.share_percent is None else f"{entry.share_percent:.1f}"


def _change(entry: Beside) -> str:
    return NONE if entry.change_usd is None else f"{entry.change_usd:+,.2f}"
