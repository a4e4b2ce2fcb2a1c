"""`cost`: what a month costs so far and will cost, and what another plan or other usage would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated

import typer

from prisma_postgres_exporter import service
from prisma_postgres_exporter.cli.months import (
    MonthOption,
    parse_month,
    reading_store,
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
from prisma_postgres_exporter.cli.printing import CSV, Form, form, print_document, print_table
from prisma_postgres_exporter.cli.table import Field, Role
from prisma_postgres_exporter.cli.terminal import harmless, pour, say, sentence, show
from prisma_postgres_exporter.cost import (
    By,
    CostRow,
    Offer,
    Usage,
    added,
    compare_plans,
    parse_what_if,
    suppose,
    total_of,
    total_row,
)
from prisma_postgres_exporter.diagnosis import Subject, find_subjects, nearest_subjects
from prisma_postgres_exporter.documents import CostDocument, cost_rows_answer, documents_csv, supposed_answer
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.model import LedgerState, next_month_start
from prisma_postgres_exporter.report import (
    LEFT_OUT,
    NO_PROJECT,
    NONE,
    TOTAL,
    Beside,
    LedgerMonth,
    Place,
    about,
    absence_sentences,
    assumed_sentence,
    beside,
    budget_sentence,
    change_sentence,
    changed_money,
    database_name,
    expected_bounds,
    expected_cost,
    failing_sentences,
    gap_sentences,
    gone_sentence,
    how_whole,
    incomplete_sentence,
    knowledge,
    last_month,
    ledger_month,
    limit_sentences,
    missing_sentence,
    money,
    previous_sentences,
    share_head,
    so_far,
    use,
    workspace_name,
)

NAMES = {By.WORKSPACE: "workspace", By.PROJECT: "project", By.DATABASE: "database"}
"""The column that is always there: the total is named in it."""
EXAMPLES = examples(
    "cost --by database",
    "cost --month 2026-10 --csv",
    "cost --workspace Acme --what-if plan=pro --what-if operations=x2",
)


def cost(
    by: Annotated[By, typer.Option(help="What a line is about.")] = By.WORKSPACE,
    month: MonthOption = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="Only this workspace, by name or id.", metavar="NAME")
    ] = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(help="plan=pro, operations=x2 or storage=x0.5; may be given several times.", metavar="WHAT"),
    ] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
    is_raw: RawOption = False,
    is_wide: WideOption = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Print what a month costs, from the ledger, the price table and the configuration; reads only the local ledger.

    Costs are those of the service, which leaves its `cost` section in the store; a --config with such a section wins.
    The store may be one that this user can only read.

    Days and months are UTC, amounts USD. A workspace without a known price has no cost; one whose usage is incomplete
    costs "at least" what is known, and what is missing is printed with the command that reads it.
    """
    chosen = form(as_json=as_json, as_csv=as_csv, is_raw=is_raw, is_wide=is_wide)
    loaded = open_configuration(config, store_url)
    real_now = utc_now()
    now = parse_month(month, "--month", real_now) if month is not None else real_now
    with reading_store(loaded) as store:
        in_force = with_costs_in_force(store, loaded)
        supposed = parse_what_if(what_if or (), in_force)
        read = service.read_month(store, in_force, now, real_now, with_previous=True)
    if workspace is not None:
        read = read.of_workspaces({_workspace_id(workspace, read.ledger_state)})
    if what_if:
        read = ledger_month(
            *suppose(read.ledger_state, in_force, read.days, supposed),
            now,
            real_now,
            read.previous,
            read.earlier,
            is_supposed=True,
        )
    plans = compare_plans(read.ledger_state, read.config, read.days, now, is_over=read.is_over) if what_if else {}
    besides = beside(read, by)
    if chosen is Form.JSON and what_if:
        print_document(supposed_answer(read, read.rows(by), besides, plans).model_dump_json(indent=2))
    elif chosen is Form.JSON:
        print_document(cost_rows_answer(read, read.rows(by), besides).model_dump_json(indent=2))
    elif chosen in CSV:
        pour(
            documents_csv(CostDocument, cost_rows_answer(read, read.rows(by), besides).data, is_raw=chosen is Form.RAW)
        )
    else:
        _print(read, plans, besides, by, chosen, is_supposed=bool(what_if))
    # No row says so, in no form.
    for absence in absence_sentences(read):
        say(absence, style="yellow")


def _workspace_id(name: str, ledger_state: LedgerState) -> str:
    subjects = [
        Subject(kind="workspace", id=id_, name=row.workspace.name) for id_, row in ledger_state.workspaces.items()
    ]
    found = find_subjects(name, subjects)
    if len(found) == 1:
        return found[0].id
    if found:
        raise ConfigurationError(
            [f"--workspace {name!r} is the name of {len(found)}; give the id of one: {', '.join(map(str, found))}"]
        )
    missing = f"--workspace: no workspace of the ledger is called {name!r}, nor has it as its id"
    nearest = nearest_subjects(name, subjects)
    meant = f"did you mean {' or '.join(map(str, nearest))}?" if nearest else "`cost` names them all"
    raise ConfigurationError([f"{missing}; {meant}"])


def _print(
    month: LedgerMonth,
    plans: Mapping[str, Mapping[str, Offer]],
    besides: Mapping[Place, Beside],
    by: By,
    chosen: Form,
    *,
    is_supposed: bool,
) -> None:
    rows, workspaces = month.rows(by), month.rows(By.WORKSPACE)
    usage, bill = total_of(workspaces)
    until = how_whole(month, usage) if month.is_over else so_far(month)
    lines = [_cells(row, besides[row.place], by, is_over=month.is_over) for row in rows]
    if len(rows) > 1:
        expected = about(
            added(row.expected_usd for row in workspaces),
            is_complete=all(row.is_expected_complete for row in workspaces),
        )
        total = _numbers(use(total_row(workspaces, By.WORKSPACE)), besides[TOTAL], expected, is_over=month.is_over)
        lines.append(total | {NAMES[by]: "total"} | _bounds(workspaces, by, is_over=month.is_over))
    share = share_head(is_whole=bill.total is not None)
    fields = [
        replace(field, heading=share if heading == "%" else heading, cells=[line.get(heading, "") for line in lines])
        for heading, field in _FIELDS.items()
        if any(heading in line for line in lines)
    ]
    print_table(
        fields, chosen, what=f"{by}s in this month", title=f"Cost of {month.name} in USD, {until}", told_apart=len(rows)
    )
    for line in _expected_sentence(workspaces) if not month.is_over else ():
        show(sentence(line))
    _say_what_is_missing(month, usage)
    assumed = assumed_sentence(month.rows(By.WORKSPACE))
    if assumed is not None:
        show(sentence(assumed))
    for line in _sentences(month, plans, besides, by, is_supposed=is_supposed):
        show(sentence(line))
    show(LEFT_OUT)


def _say_what_is_missing(month: LedgerMonth, usage: Usage) -> None:
    placed = {row.workspace_id: place for place, row in enumerate(month.rows(By.WORKSPACE))}
    for id_, cost_of in sorted(month.costs.workspaces.items(), key=lambda one: placed.get(one[0], len(placed))):
        name = month.ledger_state.workspaces[id_].workspace.name
        if cost_of.unpriced is not None:
            say(f"{name}: {cost_of.unpriced}", style="yellow")
        for limit in limit_sentences(cost_of, month.until):
            show(sentence(f"{name}: {limit}"))
        if cost_of.forecast_missing is not None and not month.is_over:
            say(f"{name}, forecast: {cost_of.forecast_missing}", style="yellow")
    sentences = (
        missing_sentence(usage, month.missing, tuple(gap_sentences(month))),
        incomplete_sentence(month.rows(By.DATABASE)),
        *failing_sentences(month),
        *previous_sentences(month.previous),
    )
    for line in sentences:
        if line is not None:
            say(line, style="yellow")


def _sentences(
    month: LedgerMonth,
    plans: Mapping[str, Mapping[str, Offer]],
    besides: Mapping[Place, Beside],
    by: By,
    *,
    is_supposed: bool,
) -> Iterator[str]:
    names = {id_: row.workspace.name for id_, row in month.ledger_state.workspaces.items()}
    used = {row.workspace_id: row.usage for row in month.rows(By.WORKSPACE)}
    for id_, by_plan in plans.items():
        if by_plan:
            yield offers_sentence(names[id_], by_plan)
        elif id_ in used and not used[id_].is_complete:
            why = f"its usage is incomplete ({knowledge(used[id_])})"
            yet = "" if used[id_].listed.is_complete else " yet"
            yield f"{names[id_]}: what other plans would cost in the whole month is not known{yet}, {why}"
    for id_, cost_of in month.costs.workspaces.items() if is_supposed else ():
        for name, at in cost_of.limits:
            # Days that the ledger lacks may have passed it earlier.
            is_dated = at > month.until or (id_ in used and used[id_].days_held >= used[id_].days)
            on = "on" if is_dated else "on or before"
            if name == "free_operations":
                yield (
                    f"{names[id_]} on {cost_of.plan}: the vendor stops its databases {on} {at:%Y-%m-%d}, "
                    f"until {next_month_start(month.until):%Y-%m-%d}"
                )
    gone = gone_sentence(month, by)
    if gone is not None:
        yield gone
    if is_supposed:
        yield "Last month's cost is the real one: the change is from it to what is supposed"
        return
    for budget in month.costs.budgets:
        yield budget_sentence(budget, is_over=month.is_over)
    for place, entry in besides.items():
        sentence = change_sentence(entry, month.until, is_over=month.is_over) if by is By.WORKSPACE else None
        if sentence is not None and place != TOTAL:
            yield f"{names[place[0]]}: {sentence}"


def offers_sentence(name: str, by_plan: Mapping[str, Offer]) -> str:
    """What a workspace's whole month would cost on each plan."""
    offers = (f"{plan} {about(offer.usd, is_complete=offer.is_complete)}" for plan, offer in by_plan.items())
    return f"{name}, the whole month by plan, cheapest first: {', '.join(offers)}"


def _cells(row: CostRow, entry: Beside, by: By, *, is_over: bool) -> dict[str, str]:
    """The cells of one line by their column's heading."""
    cells = {"workspace": workspace_name(row), "workspace id": row.workspace_id}
    if by is By.WORKSPACE:
        cells["plan"] = (row.cost.plan if row.cost else None) or NONE
        cells |= _bounds((row,), by, is_over=is_over)
    else:
        cells["project"] = row.project_name or ("" if row.database_id else NO_PROJECT)
        cells["project id"] = row.project_id or ""
    if by is By.DATABASE:
        cells["database"] = database_name(row) if row.database_id is not None else ""
        cells["database id"] = row.database_id or ""
    cells |= _numbers(use(row), entry, expected_cost(row), is_over=is_over)
    return {heading: harmless(cell) for heading, cell in cells.items()}


def _bounds(rows: Sequence[CostRow], by: By, *, is_over: bool) -> dict[str, str]:
    """The cell of where a month is meant to end, of workspaces alone."""
    if by is not By.WORKSPACE or is_over:
        return {}
    low, high = _bounds_of(rows)
    return {"low - high": NONE if low is None or high is None else f"{money(low)} - {money(high)}"}


def _bounds_of(rows: Sequence[CostRow]) -> tuple[Decimal | None, Decimal | None]:
    """Where the month that runs is meant to end, of these workspaces together."""
    bounds = [expected_bounds(row, is_over=False) for row in rows]
    return added(low for low, _ in bounds), added(high for _, high in bounds)


def _expected_sentence(workspaces: Sequence[CostRow]) -> Iterator[str]:
    """What is expected of all workspaces, for a table without room for it."""
    low, high = _bounds_of(workspaces)
    expected = added(row.expected_usd for row in workspaces)
    if len(workspaces) > 1 and None not in (low, high):
        yield f"Expected of the whole month: {money(expected)} USD ({money(low)} to {money(high)})"


def _numbers(used: Sequence[str], entry: Beside, expected: str, *, is_over: bool) -> dict[str, str]:
    numbers = dict(zip(("operations", "mean GiB", "fee", "usage", "storage", "cost"), used, strict=True))
    numbers["%"] = NONE if entry.share_percent is None else f"{entry.share_percent:.1f}"
    if not is_over:
        numbers["expected"] = expected
    numbers["last month"] = last_month(entry)
    numbers["change"] = changed_money(entry.change_usd, is_complete=entry.is_change_complete)
    change = entry.change_percent
    numbers["change %"] = NONE if change is None else f"{change:+,.1f}" if change else "0.0"
    return numbers


def _field(weight: int, role: Role = Role.VALUE, *, is_right: bool = False, is_reserve: bool = False) -> Field:
    return Field(heading="", cells=(), role=role, weight=weight, is_right=is_right, is_reserve=is_reserve)


_FIELDS: Mapping[str, Field] = {
    "workspace": _field(20, Role.NAME),
    "workspace id": _field(0, Role.ID, is_reserve=True),
    "project": _field(21, Role.NAME),
    "project id": _field(0, Role.ID, is_reserve=True),
    "database": _field(22, Role.NAME),
    "database id": _field(0, Role.ID, is_reserve=True),
    "plan": _field(8),
    "operations": _field(9, is_right=True),
    "mean GiB": _field(4, is_right=True),
    "fee": _field(1, is_right=True),
    "usage": _field(2, is_right=True),
    "storage": _field(2, is_right=True),
    "cost": _field(30, is_right=True),
    "%": _field(5, is_right=True),
    "expected": _field(10, is_right=True),
    "low - high": _field(3, is_right=True),
    "last month": _field(7, is_right=True),
    "change": _field(6, is_right=True),
    "change %": _field(0, is_right=True),
}
"""The columns of a table; a low weight is left out first where the terminal is narrow."""
