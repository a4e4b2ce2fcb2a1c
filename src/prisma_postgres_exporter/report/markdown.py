"""A month's report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from prisma_postgres_exporter.cost import total_of
from prisma_postgres_exporter.report.sentences import (
    LEFT_OUT,
    NO_PROJECT,
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
from prisma_postgres_exporter.report.whole import MonthReport, WorkspaceReport

USE_HEADS = ("Operations", "GiB", "Fee", "Usage", "Storage", "USD")
ROW_HEADS = (*USE_HEADS, "% of all", "Last month", "Change")


def report_markdown(report: MonthReport, *, most_databases: int) -> Iterator[str]:
    """Yield the report in parts; of each workspace the `most_databases` most expensive databases are listed."""
    yield f"# Prisma Postgres in {report.name}\n\n{until_sentence(report)} {LEFT_OUT}\n\n"
    yield from _table(("Workspace", *ROW_HEADS), total_rows(report))
    for sentence in total_sentences(report):
        yield f"\n{_text(sentence)}\n"
    if report.budgets:
        yield "\n## Budgets\n\n"
        budgets = [(budget.name, *budget_cells(budget)) for budget in report.budgets]
        yield from _table(("Budget", "Limit", "Spent", "Expected"), budgets)
    for workspace in report.workspaces:
        yield from _workspace(report, workspace, most_databases)


def _workspace(report: MonthReport, workspace: WorkspaceReport, most_databases: int) -> Iterator[str]:
    yield f"\n## {_text(workspace_name(workspace.total))}\n\n"
    events = (event_sentence(event, report.names) for event in workspace.events)
    sentences = (*cost_sentences(workspace), *quality_sentences(workspace), *events)
    yield from (f"- {_text(sentence)}\n" for sentence in sentences)
    if workspace.projects:
        yield "\n### Projects\n\n"
        projects = ((row.project_name or NO_PROJECT, *use(row.usage, row.bill, row)) for row in workspace.projects)
        yield from _table(("Project", *USE_HEADS), projects)
    if workspace.databases:
        yield "\n### Databases\n\n"
        listed, rest = workspace.databases[:most_databases], workspace.databases[most_databases:]
        databases = ((database_path(row), *use(row.usage, row.bill, row)) for row in listed)
        yield from _table(("Project / database", *USE_HEADS), databases)
        if rest:
            usage, bill = total_of(rest)
            together = at_least(bill.known, is_complete=bill.total is not None)
            yield f"\nAnd {len(rest):,} more: {usage.known_operations:,} operations, {together} USD together.\n"
    if workspace.days:
        yield "\n### Days\n\n"
        days = (
            (f"{day}", count(read.operations if read else None), gib(day_level(read))) for day, read in workspace.days
        )
        yield from _table(("Day (UTC)", "Operations", "GiB"), days)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose first column is text and whose others are numbers."""
    yield f"| {' | '.join(heads)} |\n| :-- |{' --: |' * (len(heads) - 1)}\n"
    for first, *numbers in rows:
        yield f"| {_text(first)} | {' | '.join(numbers)} |\n"


def _text(text: str) -> str:
    """Anybody can give a database a name: what Markdown or HTML would read as markup, and new lines, are escaped."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", plain)
