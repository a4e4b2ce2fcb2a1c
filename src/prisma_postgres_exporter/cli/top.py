"""`top`: who uses, stores, costs and grows most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from prisma_postgres_exporter import service
from prisma_postgres_exporter.cli.months import (
    MonthOption,
    parse_month,
    reading_store,
    row_columns,
    utc_now,
    with_costs_in_force,
)
from prisma_postgres_exporter.cli.options import (
    ConfigOption,
    CsvOption,
    JsonOption,
    RawOption,
    StoreUrlOption,
    WideOption,
    examples,
    open_configuration,
)
from prisma_postgres_exporter.cli.printing import TABLES, Column, Columns, form, print_documents
from prisma_postgres_exporter.cli.terminal import say, show
from prisma_postgres_exporter.cost import By, CostRow, add_up
from prisma_postgres_exporter.documents import Ranking, of_month, percent, ranked_document
from prisma_postgres_exporter.report import (
    Key,
    LedgerMonth,
    Ranked,
    absence_sentences,
    cost_cell,
    gap_sentences,
    growth_days,
    how_whole,
    least_count,
    mean_gib,
    missing_sentence,
    rank,
    share_head,
    total_line,
)
from prisma_postgres_exporter.words import counted

SORTED_BY = {
    Key.OPERATIONS: "operations",
    Key.STORAGE: "mean_storage_gib",
    Key.COST: "cost",
    Key.GROWTH: "growth_operations",
}

EXAMPLES = examples(
    "top",
    "top --sort growth --days 1",
    "top --sort cost --by project --month 2026-10",
)


def top(
    sort: Annotated[Key, typer.Option(help="What decides who comes first.")] = Key.OPERATIONS,
    by: Annotated[By, typer.Option(help="What a line is about.")] = By.DATABASE,
    month: MonthOption = None,
    days: Annotated[
        int, typer.Option(help="Growth: how many whole days to compare with as many before them.", min=1, max=366)
    ] = 7,
    limit: Annotated[int, typer.Option(help="Print at most this many.", min=1, max=100_000)] = 10,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Print the databases, projects or workspaces that use, store, cost or grow most in a month.

    Reads only the local ledger. Operations, storage (the month's mean) and cost are those of the month so far;
    growth compares the last whole days (UTC) with the same weekdays before them, on the days that are known in
    both. Deleted databases are in it. Costs are those of the service, from the store, unless --config has a `cost`
    section.
    """
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)
    loaded = open_configuration(config, store_url)
    now = utc_now()
    until = parse_month(month, "--month", now) if month is not None else now
    with reading_store(loaded) as store:
        read = service.read_month(store, with_costs_in_force(store, loaded), until, now)
        spans = earlier_from, _, last = growth_days(read, days)
        lines = rank(read, by, sort, store.days(from_day=earlier_from, to_day=last), spans)
    usage = add_up(row.usage for row in read.rows(By.WORKSPACE))
    if chosen in TABLES:
        how_far = how_whole(read, usage) if read.is_over else f"until {read.until:%Y-%m-%d %H:%M} UTC"
        span = counted(days, "day")
        show(f"Top {by}s of {read.name} by {sort}, {how_far}; growth over {span} to {last}, same weekdays")
    answer = Ranking(
        **of_month(read),
        data=[ranked_document(line, is_over=read.is_over) for line in lines[:limit]],
        has_more=len(lines) > limit,
    )
    every = f"--limit {len(lines)} prints everything"
    print_documents(
        answer,
        lines[:limit],
        _columns(by, sort, days, is_whole=usage.are_operations_known),
        chosen,
        what=f"{by}s in this month",
        how_to_see_more=every,
        total=_total(lines, by, read, is_all_shown=len(lines) <= limit) if len(lines) > 1 else None,
    )
    if sort is Key.GROWTH and all(line.growth_operations is None for line in lines):
        say(f"No growth is known: no day of {earlier_from} to {last} was read in both spans; sorted by operations.")
    missing = missing_sentence(usage, read.missing, tuple(gap_sentences(read)))
    for sentence in (missing, *absence_sentences(read)):
        if sentence is not None:
            say(sentence)


def _total(lines: Sequence[Ranked], by: By, month: LedgerMonth, *, is_all_shown: bool) -> Ranked:
    """The line of all of them, which says so where not all are shown."""
    total = total_line(lines, by, month)
    if is_all_shown:
        return total
    said, row = f"all {len(lines):,}", total.row
    if by is By.WORKSPACE:
        return replace(total, row=replace(row, workspace_name=said))
    of_project = replace(row, project_name=said)
    return replace(total, row=of_project if by is By.PROJECT else replace(row, database_name=said))


def _columns(by: By, sort: Key, days: int, *, is_whole: bool) -> Columns[Ranked]:
    deleted = (Column("is_deleted", _is_deleted, "deleted"),) if by is By.DATABASE else ()
    columns: Columns[Ranked] = (
        Column("rank", lambda line: str(line.rank or ""), "", is_for_people=True),
        *row_columns(by, _row),
        *deleted,
        Column("operations", _operations, "operations", is_for_people=True, weight=7),
        Column(
            "operations_percent", lambda line: percent(line.operations_share), share_head(is_whole=is_whole), weight=4
        ),
        Column("mean_storage_gib", lambda line: mean_gib(line.row), "mean GiB", is_for_people=True, weight=5),
        Column("cost", _cost, "USD", is_for_people=True, weight=8),
        Column("recent_operations", lambda line: line.recent_operations, f"last {days} d", weight=2),
        Column("earlier_operations", lambda line: line.earlier_operations, "before", weight=1),
        Column("growth_operations", lambda line: line.growth_operations, "growth", weight=3),
        Column("growth_percent", lambda line: percent(line.growth_ratio), "growth %", weight=6),
    )
    # What decides who comes first stays as long as anything.
    return [replace(column, weight=50) if column.key == SORTED_BY[sort] else column for column in columns]


def _is_deleted(line: Ranked) -> bool | str:
    return line.row.is_deleted if line.rank else ""


def _operations(line: Ranked) -> int | str | None:
    usage = line.row.usage
    return usage.operations if usage.are_operations_known else least_count(usage)


def _cost(line: Ranked) -> str:
    return cost_cell(line.row)


def _row(line: Ranked) -> CostRow:
    return line.row
