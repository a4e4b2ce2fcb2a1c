"""`compare`: one month against another, with what changed and why."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import typer

from prisma_postgres_exporter import service
from prisma_postgres_exporter.cli.months import parse_month, reading_store, row_columns, utc_now, with_costs_in_force
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
from prisma_postgres_exporter.cli.terminal import say, sentence, show
from prisma_postgres_exporter.cost import ABOUT, By, CostRow, add_up
from prisma_postgres_exporter.documents import Comparison, change_document, of_month
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.model import month_start, previous_month_start
from prisma_postgres_exporter.report import (
    LEFT_OUT,
    NONE,
    Change,
    LedgerMonth,
    absence_sentences,
    assumed_sentence,
    changed_money,
    compare_months,
    cost_cell,
    expected_cost,
    gap_sentences,
    least_count,
    mean_gib,
    missing_sentence,
    money,
    same_days,
    so_far,
    total_change,
)
from prisma_postgres_exporter.words import counted

EXAMPLES = examples(
    "compare",
    "compare 2026-09 2026-10 --by database",
)


def compare(
    before: Annotated[
        str | None, typer.Argument(help="The earlier month, like 2026-09. Default: the one before.", metavar="MONTH")
    ] = None,
    after: Annotated[
        str | None, typer.Argument(help="The later month, like 2026-10. Default: this month.", metavar="MONTH")
    ] = None,
    by: Annotated[By, typer.Option(help="What a line is about.")] = By.WORKSPACE,
    limit: Annotated[int, typer.Option(help="Print at most this many.", min=1, max=100_000)] = 50,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Print what changed between two months, the largest change in cost first, and why; reads only the local ledger.

    Months are UTC, amounts USD. Of a month that still runs it is what there is so far: its change in operations is
    over the days that both months know, its change in cost what is expected of it against the earlier month. Costs are
    those of the service, from the store, unless --config has a `cost` section.
    """
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)
    loaded = open_configuration(config, store_url)
    now = utc_now()
    after_until = parse_month(after, "MONTH", now) if after is not None else now
    before_text = before or f"{previous_month_start(after_until):%Y-%m}"
    before_until = parse_month(before_text, "MONTH", now)
    if before_until >= month_start(after_until):
        raise ConfigurationError([f"{before_text} is not before {after_until:%Y-%m}: give the earlier month first"])
    with reading_store(loaded) as store:
        in_force = with_costs_in_force(store, loaded)
        earlier = service.read_month(store, in_force, before_until, now)
        later = service.read_month(store, in_force, after_until, now)
        events = store.events(month_start(before_until), later.ends_at)
        spans = same_days(earlier, later)
        days = store.days(from_day=spans[0], to_day=spans[2]) if spans is not None else ()
        changes = compare_months(earlier, later, by, events, days)
    is_partial = any(change.pair is not None and change.pair.days < change.pair.wanted for change in changes)
    if chosen in TABLES:
        until = "" if later.is_over else f" {so_far(later)}"
        show(f"{later.name}{until} against {earlier.name}, by {by}")
    answer = Comparison(
        **of_month(later),
        data=[change_document(change, is_over=later.is_over) for change in changes[:limit]],
        has_more=len(changes) > limit,
    )
    every = f"--limit {len(changes)} prints everything"
    print_documents(
        answer,
        changes[:limit],
        columns(by, earlier, later, is_partial=is_partial),
        chosen,
        what=f"{by}s in these months",
        how_to_see_more=every,
        total=total_change(changes, by, earlier, later) if len(changes) > 1 else None,
    )
    for read in (earlier, later):
        rows = read.rows(By.WORKSPACE)
        usage = add_up(row.usage for row in rows)
        missing = missing_sentence(usage, read.missing, tuple(gap_sentences(read)))
        for line in (missing, assumed_sentence(rows), *absence_sentences(read)):
            if line is not None:
                say(f"{read.name}: {line}")
    if chosen in TABLES:
        if spans is not None:
            show(_over((spans[2] - spans[1]).days + 1, is_partial=is_partial))
        if not later.is_over:
            show(f"USD change: what is expected of {later.name} against {earlier.name}.")
        _print_reasons(changes[:limit])


def _over(days: int, *, is_partial: bool) -> str:
    if not is_partial:
        return f"Operations change: over the same {counted(days, 'day')}."
    return f"Operations change: over those of the same {counted(days, 'day')} that both months know."


def _print_reasons(changes: Sequence[Change]) -> None:
    for change in changes:
        if change.reasons:
            row = change.row
            names = (row.workspace_name, row.project_name, row.database_name)
            # What a table tells apart by its columns is told apart here.
            name = " / ".join(filter(None, names)) if row.project_name else row.workspace_name
            show(sentence(f"{name}: {'; '.join(change.reasons)}"))
    show(LEFT_OUT)


def columns(by: By, before: LedgerMonth, after: LedgerMonth, *, is_partial: bool) -> Columns[Change]:
    """The columns of a comparison; `is_partial`: not all of the days that are compared are known."""
    partial = (Column("days", _days, "days compared", is_for_people=True, weight=5),) if is_partial else ()
    return (
        *row_columns(by, _row),
        Column(
            "operations_before",
            lambda change: _operations(change.before),
            f"operations {before.name}",
            is_for_people=True,
            weight=3,
        ),
        Column(
            "operations_after",
            lambda change: _operations(change.after),
            f"operations {after.name}",
            is_for_people=True,
            weight=4,
        ),
        Column("operations_change", _operations_change, "operations change", is_for_people=True, weight=5),
        *partial,
        Column(
            "gib_before", lambda change: _gib(change.before), f"mean GiB {before.name}", is_for_people=True, weight=1
        ),
        Column("gib_after", lambda change: _gib(change.after), f"mean GiB {after.name}", is_for_people=True, weight=2),
        Column(
            "cost_before",
            lambda change: _cost(change, change.before),
            f"USD {before.name}",
            is_for_people=True,
            weight=7,
        ),
        Column(
            "cost_after", lambda change: _cost(change, change.after), f"USD {after.name}", is_for_people=True, weight=8
        ),
        Column("change_usd", _change, "USD change", is_for_people=True, weight=9),
        *(() if after.is_over else (Column("expected_usd", _expected, "USD expected", is_for_people=True, weight=6),)),
    )


def _expected(change: Change) -> str:
    row = change.after
    return NONE if row is None else expected_cost(row)


def _operations(row: CostRow | None) -> int | str | None:
    if row is None or row.usage.are_operations_known:
        return None if row is None else row.operations
    return least_count(row.usage)


def _operations_change(change: Change) -> str:
    if change.operations_change is None:
        return NONE
    return f"{'' if change.is_operations_change_complete else ABOUT}{change.operations_change:+,}"


def _gib(row: CostRow | None) -> str:
    return NONE if row is None else mean_gib(row)


def _days(change: Change) -> str:
    """How many of the days that its operations are compared on are known."""
    pair = change.pair
    return NONE if pair is None else f"{pair.days:,} of {pair.wanted:,}"


def _cost(change: Change, row: CostRow | None) -> str:
    """What it cost: nothing where it was not there, as `cost` says; a dash where it was not read or not followed."""
    if row is None:
        return money(Decimal(0)) if change.is_followed else NONE
    return cost_cell(row)


def _change(change: Change) -> str:
    return changed_money(change.cost_change, is_complete=change.is_cost_change_complete)


def _row(change: Change) -> CostRow:
    return change.row
