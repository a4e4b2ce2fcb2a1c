"""`doctor`: why a number is there or is not, step by step from the token to the series."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import ApiUrlOption, ConfigOption, StoreUrlOption, configuration
from prisma_postgres_exporter.cli.printing import print_document
from prisma_postgres_exporter.cli.terminal import harmless
from prisma_postgres_exporter.config import read_tokens
from prisma_postgres_exporter.diagnosis import Finding, Level, walk, worst_of

if TYPE_CHECKING:
    from prisma_postgres_exporter.service import Examination

PIPE_WIDTH = 10_000
MARKS: Mapping[Level, tuple[str, str]] = {
    Level.OK: ("ok", "green"),
    Level.NOTE: ("note", "yellow"),
    Level.MISSING: ("missing", "red"),
}


def doctor(
    name: Annotated[
        str | None,
        typer.Argument(help="Id or name of a workspace, project or database; everything without it.", metavar="NAME"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a tree.")] = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Say at each step from token to series what is to be seen, and where something is missing, why.

    Changes nothing, and works beside a running service: it reads the store, and asks the API what a discovery
    asks, and for a database given by NAME its usage once. Of such a database it also shows recent revisions
    and events, and explains why the vendor's month is not the sum of its days.

    Leaves with 0 when nothing is missing, 1 when something is, 2 when the configuration or NAME has to be corrected.

    Examples: `prisma-postgres-exporter doctor` · `prisma-postgres-exporter doctor "my database"` ·
    `prisma-postgres-exporter doctor db_… --json`
    """
    from prisma_postgres_exporter.service import examine

    loaded = configuration(config, api_url, store_url)()
    secrets = [credential.token.get_secret_value() for credential in read_tokens(loaded).credentials]
    configure_logs("console", level=logging.CRITICAL, secrets=secrets)
    examination = asyncio.run(examine(loaded, name))
    worst = worst_of(finding.worst for finding in examination.findings)
    if as_json:
        print_document(json.dumps(_document(examination, worst), indent=2))
    else:
        _print(examination, worst)
    if worst is Level.MISSING:
        raise typer.Exit(1)


def _document(examination: Examination, worst: Level) -> dict[str, object]:
    return {
        "examined_at": examination.examined_at.isoformat(),
        "subject": asdict(examination.subject) if examination.subject else None,
        "level": worst.value,
        "findings": [_finding_document(finding) for finding in examination.findings],
    }


def _finding_document(finding: Finding) -> dict[str, object]:
    return {
        "step": finding.step,
        "subject": finding.subject,
        "level": finding.level.value,
        "reason": finding.reason.value if finding.reason else None,
        "text": finding.text,
        "lines": list(finding.lines),
        "facts": dict(finding.facts),
        "findings": [_finding_document(child) for child in finding.children],
    }


def _print(examination: Examination, worst: Level) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        # Whatever reads it from a pipe finds each finding on one line.
        console.width = PIPE_WIDTH
    is_whole = examination.subject is None or examination.subject.kind != "database"
    title = str(examination.subject) if examination.subject else "everything"
    tree = Tree(Text(f"{harmless(title)}, {examination.examined_at:%Y-%m-%d %H:%M:%S} UTC", style="bold"))
    _grow(tree, examination.findings, is_short=is_whole)
    console.print(tree)
    counts = [finding.level for finding in walk(examination.findings)]
    missing, notes = counts.count(Level.MISSING), counts.count(Level.NOTE)
    summary = f"{missing} finding(s) of something missing" if missing else "nothing is missing"
    console.print(f"{summary}, {notes} note(s)", style=MARKS[worst][1])


def _grow(tree: Tree, findings: Iterable[Finding], *, is_short: bool) -> None:
    """Add a branch for each finding; where it is to be short, databases that are well are only counted."""
    well = 0
    for finding in findings:
        if is_short and finding.step == "database" and finding.worst is Level.OK:
            well += 1
            continue
        if is_short and finding.step in ("usage", "ledger", "series") and finding.worst is Level.OK:
            continue
        mark, style = MARKS[finding.level]
        label = Text.assemble(
            (mark, style),
            "  ",
            (finding.step, "bold"),
            f" {harmless(finding.subject)}",
            (": ", "dim"),
            harmless(finding.text),
        )
        if finding.reason is not None and finding.level is not Level.OK:
            label.append(f" [{finding.reason.value}]", style="dim")
        branch = tree.add(label)
        if not is_short or finding.level is not Level.OK:
            for line in finding.lines:
                branch.add(Text(harmless(line), style="dim"))
        _grow(branch, finding.children, is_short=is_short)
    if well:
        tree.add(Text.assemble(("ok", "green"), f"  {well} database(s) are well"))
