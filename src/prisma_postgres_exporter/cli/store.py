"""`store check`, `store repair`, `store backup` and `store info`: look after the ledger, beside a running service."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter import service
from prisma_postgres_exporter.cli.options import ConfigOption, StoreUrlOption, configuration, examples
from prisma_postgres_exporter.cli.printing import print_document
from prisma_postgres_exporter.cli.terminal import mark, say, sentence, show
from prisma_postgres_exporter.words import counted

if TYPE_CHECKING:
    from prisma_postgres_exporter.store import Change, Repair, Store, StoreSummary, Violation

EXIT_FAILED = 1
MIB = 2**20

app = typer.Typer(
    rich_markup_mode=None,
    help="Look after the store: check it, repair it, back it up, see what is in it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog=examples("store check", "store check --json | jq .broken"))
def check(config: ConfigOption = None, store_url: StoreUrlOption = None, as_json: JsonOption = False) -> None:
    """Verify every rule that the ledger keeps, on the whole store, and name each row that breaks one.

    Changes nothing, needs no right to write, and works beside a running service. Two years of days of 10,000 databases
    take about half a minute. Exits with 0 if every rule holds, 1 if a row breaks one or the store cannot be read.
    """
    with closing(_open(config, store_url)) as store:
        found = []
        for violation in store.violations(datetime.now(UTC)):
            found.append(violation)
            if not as_json:
                _print_violation(violation)
        if as_json:
            print_document(
                json.dumps({"ok": not found, "broken": [asdict(violation) for violation in found]}, indent=2)
            )
        elif not found:
            mark("ok", "green", f"every rule holds in the store at {store.url}")
    if found:
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog=examples("store repair", "store repair --apply", "store repair --json | jq .changes"))
def repair(
    apply: Annotated[bool, typer.Option("--apply", help="Make the changes, all of them or none.")] = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what has to change so that every rule of `store check` holds, and with --apply change it.

    Sets right what a wrong clock has stored: what is in the future of this machine's clock, so check that first.
    Numbers are computed from other rows, or read again by the service; the counter of operations does not fall.
    Take a backup before. A running service goes on with what was repaired, and waits while it is written.

    Exits with status 0 if nothing had to change or all of it was changed, 1 if changes are needed, if something
    cannot be repaired (it is named), or if the store cannot be read.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    with closing(_open(config, store_url, is_for_repair=True)) as store:
        if apply:
            with closing(_open_to_write(config, store_url)) as writable:
                done = writable.repair(now, is_applied=True)
        else:
            done = store.repair(now)
        url = store.url
    is_fine = not done.remaining and (apply or not done.changes)
    if as_json:
        document = {"ok": is_fine, "now": now.isoformat(), "applied": apply, **asdict(done)}
        print_document(json.dumps(document, indent=2))
    else:
        _print_repair(done, url=url, now=now, is_applied=apply)
    if not is_fine:
        raise typer.Exit(EXIT_FAILED)


@app.command(
    epilog="To restore, stop the service, remove the -wal and -shm files of the store, and put the copy in its place."
    + examples("store backup ledger-backup.db")
)
def backup(
    file: Annotated[Path, typer.Argument(help="Where to put the copy.", metavar="FILE", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Copy a SQLite store into FILE while the service runs, and check the copy.

    FILE appears when the copy is whole and sound, readable by its owner only; a backup that fails or is
    killed leaves what was there. A store on a Postgres server is backed up with pg_dump.
    """
    from rich.console import Console
    from rich.progress import Progress

    with closing(_open(config, store_url)) as store:
        console = Console(stderr=True, highlight=False)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("copying", total=None)
            broken = store.backup(
                file,
                datetime.now(UTC),
                is_forced=force,
                on_progress=lambda copied, total: progress.update(task, completed=copied, total=total),
            )
    for violation in broken:
        _print_violation(violation)
    if broken:
        say("failed: the copy breaks rules, so it was not kept; see `store check`", style="red")
        raise typer.Exit(EXIT_FAILED)
    show(f"{file}: {file.stat().st_size / MIB:,.1f} MiB, checked")


@app.command(epilog=examples("store info --store-url sqlite:///ledger.db"))
def info(config: ConfigOption = None, store_url: StoreUrlOption = None, as_json: JsonOption = False) -> None:
    """Print what the store holds: its version, its size, when it was last written to, and the rows of each table."""
    with closing(_open(config, store_url)) as store:
        summary = store.summary()
        if as_json:
            print_document(json.dumps({"url": store.url, **_document(summary)}, indent=2))
            return
        written_at = f"{summary.written_at:%Y-%m-%d %H:%M:%S} UTC" if summary.written_at else "never"
        days = f"{summary.oldest_day} to {summary.newest_day}" if summary.oldest_day else "none"
        told = (
            ("store", store.url),
            ("made by version", summary.made_by),
            ("size", f"{summary.size_bytes / MIB:,.1f} MiB"),
            ("last written", f"{written_at} (generation {summary.generation:,})"),
            ("days", days),
            *((f"rows of {name}", f"{count:,}") for name, count in summary.rows.items()),
        )
        width = max(len(name) for name, _ in told)
        for name, value in told:
            show(f"{name:<{width}}  {value}")


def _open(config: Path | None, store_url: str | None, *, is_for_repair: bool = False) -> Store:
    found = configuration(config, None, store_url, needs_credentials=False)()
    return service.open_to_read(found, is_for_repair=is_for_repair)


def _open_to_write(config: Path | None, store_url: str | None) -> Store:
    from prisma_postgres_exporter.store import Store

    found = configuration(config, None, store_url, needs_credentials=False)()
    return Store.open_to_repair(found.store.url, is_applied=True)


def _print_violation(violation: Violation) -> None:
    mark("broken", "red", f"{violation.rule}: {violation.table}, {violation.row}")
    for name, text in (
        ("found", violation.found),
        ("must hold", violation.must_hold),
        ("because", violation.reason),
        ("do", violation.advice),
    ):
        show(sentence(f"        {name}: {text}"))


def _print_repair(done: Repair, *, url: str, now: datetime, is_applied: bool) -> None:
    show(sentence(f"this machine's clock: {now:%Y-%m-%d %H:%M:%S} UTC"))
    for change in done.changes:
        _print_change(change)
    for violation in done.remaining:
        _print_violation(violation)
    if not done.changes:
        if not done.remaining:
            mark("ok", "green", f"nothing to repair in the store at {url}")
        return
    kinds = Counter(_kind(change) for change in done.changes)
    counts = ", ".join(f"{counted(count, 'row')} to {kind}" for kind, count in sorted(kinds.items()))
    databases = len({change.database_id for change in done.changes if change.database_id})
    ending = "done" if is_applied else "nothing was written: `store repair --apply` does it"
    show(sentence(f"{counts}, of {counted(databases, 'database')}; {ending}"))


def _print_change(change: Change) -> None:
    mark(_kind(change), "yellow", f"{change.table}, {change.row}")
    text = " -> ".join(part for part in (change.before, change.after) if part)
    show(sentence(f"        {text}"))


def _kind(change: Change) -> str:
    if change.before is None:
        return "add"
    return "remove" if change.after is None else "change"


def _document(summary: StoreSummary) -> dict[str, object]:
    return {
        "engine": summary.engine,
        "made_by": summary.made_by,
        "generation": summary.generation,
        "written_at": summary.written_at.isoformat() if summary.written_at else None,
        "size_bytes": summary.size_bytes,
        "oldest_day": summary.oldest_day.isoformat() if summary.oldest_day else None,
        "newest_day": summary.newest_day.isoformat() if summary.newest_day else None,
        "rows": dict(summary.rows),
    }
