"""`doctor`: why a number is there or is not, step by step from the token to the series."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    StoreUrlOption,
    WebConfigFileOption,
    configuration,
    examples,
)
from prisma_postgres_exporter.cli.printing import print_document
from prisma_postgres_exporter.cli.terminal import Style, mark, sentence, show
from prisma_postgres_exporter.config import secrets_of
from prisma_postgres_exporter.diagnosis import Finding, Level, walk, worst_of

if TYPE_CHECKING:
    from prisma_postgres_exporter.service import Examination

INDENT = "  "
MARKS: Mapping[Level, tuple[str, Style]] = {
    Level.OK: ("ok", "green"),
    Level.NOTE: ("note", "yellow"),
    Level.MISSING: ("missing", "red"),
}

EXAMPLES = examples(
    "doctor",
    'doctor "my database"',
    "doctor db_… --json",
)


def doctor(
    name: Annotated[
        str | None,
        typer.Argument(help="Id or name of a workspace, project or database; everything without it.", metavar="NAME"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a tree.")] = False,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    web_config_file: WebConfigFileOption = None,
) -> None:
    """Say at each step from token to series what is to be seen, and where something is missing, why.

    Changes nothing, and works beside a running service: it reads the store, and asks the API what a discovery
    asks, and for a database given by NAME its usage once. Of such a database it also shows recent revisions
    and events, and explains why the vendor's month is not the sum of its days.

    Exits with 0 if nothing is missing, 1 if something is, 2 if the configuration or NAME has to be corrected.
    """
    from prisma_postgres_exporter.service import examine

    loaded = configuration(config, api_url, store_url, web_config_file=web_config_file)()
    configure_logs("console", level=logging.CRITICAL, secrets=secrets_of(loaded))
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
    is_whole = examination.subject is None or examination.subject.kind != "database"
    title = str(examination.subject) if examination.subject else "everything"
    show(f"{sentence(title)}, {examination.examined_at:%Y-%m-%d %H:%M:%S} UTC", style="bold")
    _print_findings(examination.findings, INDENT, is_short=is_whole)
    counts = [finding.level for finding in walk(examination.findings)]
    missing, notes = counts.count(Level.MISSING), counts.count(Level.NOTE)
    summary = f"{missing} finding(s) of something missing" if missing else "nothing is missing"
    show(f"{summary}, {notes} note(s)", style=MARKS[worst][1])


def _print_findings(findings: Iterable[Finding], indent: str, *, is_short: bool) -> None:
    """Print each finding; where it is to be short, databases that are well are only counted."""
    well = 0
    for finding in findings:
        if is_short and finding.step == "database" and finding.worst is Level.OK:
            well += 1
            continue
        if is_short and finding.step in ("usage", "ledger", "series") and finding.worst is Level.OK:
            continue
        is_ok = finding.level is Level.OK
        reason = f" [{finding.reason.value}]" if finding.reason is not None and not is_ok else ""
        word, style = MARKS[finding.level]
        first, *further = _lines(
            f"{finding.step} {finding.subject}: {finding.text}{reason}", len(indent) + len(word) + 2
        )
        mark(word, style, first, indent=indent)
        for line in further:
            show(f"{indent}{INDENT}{INDENT}{line}")
        if not (is_short and is_ok):
            for line in finding.lines:
                for part in _lines(line, len(indent) + 2 * len(INDENT)):
                    show(f"{indent}{INDENT}{INDENT}{part}")
        _print_findings(finding.children, indent + INDENT, is_short=is_short)
    if well:
        mark("ok", "green", f"{well} database(s) are well", indent=indent)


def _lines(text: str, indented: int) -> list[str]:
    """A text in lines that fit the terminal, broken between words alone: ids and names of series are copied whole."""
    if not sys.stdout.isatty():
        return [sentence(text)]
    width = max(shutil.get_terminal_size().columns - indented, 1)
    return textwrap.wrap(sentence(text), width, break_long_words=False, break_on_hyphens=False) or [""]
