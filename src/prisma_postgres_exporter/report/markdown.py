"""A month's report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from prisma_postgres_exporter.cost import CostRow
from prisma_postgres_exporter.report.sentences import (
    LEFT_OUT,
    cost_sentences,
    database_name,
    event_sentence,
    gib,
    money,
    quality_sentences,
    until_sentence,
)
from prisma_postgres_exporter.report.whole import MonthReport, WorkspaceReport

DAY_SECONDS = int(timedelta(days=1).total_seconds())
USE_HEADS = ("Operations", "GiB", "Fee", "Usage", "Storage", "USD")


def report_markdown(report: MonthReport, *, most_databases: int) -> Iterator[str]:
    """Yield the report in parts; of each workspace the `most_databases` most expensive databases are listed."""
    yield f"# Prisma Postgres in {report.name}\n\n{until_sentence(report)} {LEFT_OUT}\n\n"
    totals = [
        (workspace.total.workspace_name, *_use(workspace.total, workspace.storage_bytes))
        for workspace in report.workspaces
    ]
    yield from _table(("Workspace", *USE_HEADS), totals)
    if report.budgets:
        yield "\n## Budgets\n\n"
        budgets = [
            (budget.name, money(budget.limit_usd), money(budget.spent_usd), money(budget.expected_usd))
            for budget in report.budgets
        ]
        yield from _table(("Budget", "Limit", "Spent", "Expected"), budgets)
    for workspace in report.workspaces:
        yield from _workspace(report, workspace, most_databases)


def _workspace(report: MonthReport, workspace: WorkspaceReport, most_databases: int) -> Iterator[str]:
    yield f"\n## {_text(workspace.total.workspace_name)}\n\n"
    events = (event_sentence(event, report.names) for event in workspace.events)
    sentences = (*cost_sentences(workspace), *quality_sentences(workspace), *events)
    yield from (f"- {_text(sentence)}\n" for sentence in sentences)
    if workspace.projects:
        yield "\n### Projects\n\n"
        projects = ((row.project_name or "", *_use_of(report, row)) for row in workspace.projects)
        yield from _table(("Project", *USE_HEADS), projects)
    if workspace.databases:
        yield "\n### Databases\n\n"
        listed, rest = workspace.databases[:most_databases], workspace.databases[most_databases:]
        databases = ((f"{row.project_name} / {database_name(row)}", *_use_of(report, row)) for row in listed)
        yield from _table(("Project / database", *USE_HEADS), databases)
        if rest:
            operations = sum(row.operations for row in rest)
            yield f"\nAnd {len(rest):,} more with {operations:,} operations together.\n"
    if workspace.days:
        yield "\n### Days\n\n"
        days = (
            (f"{day.day}", f"{day.operations:,}", gib(day.storage_byte_seconds // DAY_SECONDS))
            for day in workspace.days
        )
        yield from _table(("Day (UTC)", "Operations", "GiB"), days)


def _use_of(report: MonthReport, row: CostRow) -> tuple[str, ...]:
    return _use(row, row.mean_storage_bytes(report.until))


def _use(row: CostRow, storage_bytes: int) -> tuple[str, ...]:
    return (f"{row.operations:,}", gib(storage_bytes), *map(money, row.share), money(row.total))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table whose first column is text and whose others are numbers."""
    yield f"| {' | '.join(heads)} |\n| :-- |{' --: |' * (len(heads) - 1)}\n"
    for first, *numbers in rows:
        yield f"| {_text(first)} | {' | '.join(numbers)} |\n"


def _text(text: str) -> str:
    """Anybody can give a database a name: what Markdown or HTML would read as markup, and new lines, are escaped."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", plain)
