"""A month's report as one HTML document that needs nothing else: to be opened, printed or mailed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prisma_postgres_exporter.cost import CostRow, total_of
from prisma_postgres_exporter.expose.markup import Markup, element, table
from prisma_postgres_exporter.expose.plots import PLOT_STYLE, bars
from prisma_postgres_exporter.report import (
    LEFT_OUT,
    NO_PROJECT,
    MonthReport,
    WorkspaceReport,
    at_least,
    budget_cells,
    cost_sentences,
    count,
    database_path,
    day_level,
    event_sentence,
    gib,
    quality_sentences,
    total_rows,
    total_sentences,
    until_sentence,
    use,
    workspace_name,
)

USE_HEADS = ("Operations", "GiB", "Fee USD", "Operations USD", "Storage USD", "USD")
ROW_HEADS = (*USE_HEADS, "% of all", "Last month USD", "Change USD")
STYLE = Markup(
    """
:root { color-scheme: light dark; --line: #8884; --plot: #2f6fde }
@media (prefers-color-scheme: dark) { :root { --plot: #7fb0ff } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line); white-space: nowrap }
tr > :first-child { text-align: left; min-width: 8rem; overflow-wrap: break-word; white-space: normal }
@media print { body { max-width: none } .wide { overflow: visible } }
"""
    + PLOT_STYLE
)


def report_page(report: MonthReport, *, most_databases: int) -> Iterator[str]:
    """Yield the document in parts; of each workspace the `most_databases` most expensive databases are listed."""
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        element("title", f"Prisma Postgres in {report.name}"),
        element("style", STYLE),
    )
    yield f'<!doctype html>\n<html lang="en">{head}<body><main>'
    yield element("h1", f"Prisma Postgres in {report.name}")
    yield element("p", f"{until_sentence(report)} {LEFT_OUT}")
    yield table(
        ("Workspace", *ROW_HEADS),
        total_rows(report),
        label="Workspaces",
    )
    yield from (element("p", sentence) for sentence in total_sentences(report))
    if report.budgets:
        yield element("h2", "Budgets")
        yield table(
            ("Budget", "Limit USD", "Spent USD", "Expected USD"),
            ((row.name, *budget_cells(row)) for row in report.budgets),
            label="Budgets",
        )
    for workspace in report.workspaces:
        yield from _workspace(report, workspace, most_databases)
    yield "</main></body></html>\n"


def _workspace(report: MonthReport, workspace: WorkspaceReport, most_databases: int) -> Iterator[Markup]:
    name = workspace_name(workspace.total)
    yield element("h2", name)
    events = (event_sentence(event, report.names) for event in workspace.events)
    sentences = (*cost_sentences(workspace), *quality_sentences(workspace), *events)
    yield element("ul", *(element("li", sentence) for sentence in sentences))
    operations = [(f"{day}", read.operations if read else None) for day, read in workspace.days]
    storage = [(f"{day}", day_level(read)) for day, read in workspace.days]
    if workspace.days:
        yield bars(operations, label=f"Operations of {name} a day (UTC)", shown=count)
        yield bars(
            storage,
            label=f"Storage of {name} in GiB, mean of each day (UTC)",
            shown=gib,
        )
    if workspace.projects:
        yield element("h3", "Projects")
        yield _rows(workspace.projects, "Project", lambda row: row.project_name or NO_PROJECT, f"Projects of {name}")
    if workspace.databases:
        listed, rest = workspace.databases[:most_databases], workspace.databases[most_databases:]
        yield element("h3", "Databases")
        yield _rows(listed, "Project / database", database_path, f"Databases of {name}")
        if rest:
            usage, bill = total_of(rest)
            together = at_least(bill.known, is_complete=bill.total is not None)
            yield element(
                "p", f"And {len(rest):,} more: {usage.known_operations:,} operations, {together} USD together."
            )


def _rows(rows: Iterable[CostRow], head: str, named: Callable[[CostRow], str], label: str) -> Markup:
    body = ((named(row), *use(row.usage, row.bill, row)) for row in rows)
    return table((head, *USE_HEADS), body, label=label)
