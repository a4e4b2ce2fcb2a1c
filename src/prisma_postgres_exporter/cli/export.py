"""`export`: the ledger and its costs for other programs, any size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prisma_postgres_exporter import service
from prisma_postgres_exporter.cli.files import write_whole
from prisma_postgres_exporter.cli.months import reading_store, utc_now, with_costs_in_force
from prisma_postgres_exporter.cli.options import ConfigOption, RawOption, StoreUrlOption, examples, open_configuration
from prisma_postgres_exporter.cli.parquet import parquet_parts
from prisma_postgres_exporter.cli.terminal import pour, say
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import By
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.model import LedgerState, day_start, next_month_start
from prisma_postgres_exporter.report import (
    DAY_COLUMNS,
    EVENT_COLUMNS,
    FOCUS_COLUMNS,
    MONTH_COLUMNS,
    REVISION_COLUMNS,
    Owners,
    Row,
    absence_sentences,
    assumed_sentence,
    csv_parts,
    day_rows,
    event_rows,
    focus_rows,
    jsonl_parts,
    last_instant,
    left_out,
    month_rows,
    revision_rows,
)

if TYPE_CHECKING:
    from prisma_postgres_exporter.store import Store

ONE_DAY = timedelta(days=1)


class What(StrEnum):
    """What is exported."""

    DAYS = "days"
    MONTHS = "months"
    REVISIONS = "revisions"
    EVENTS = "events"
    FOCUS = "focus"


class Format(StrEnum):
    """How it is written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


COLUMNS: Mapping[What, Mapping[str, type]] = {
    What.DAYS: DAY_COLUMNS,
    What.MONTHS: MONTH_COLUMNS,
    What.REVISIONS: REVISION_COLUMNS,
    What.EVENTS: EVENT_COLUMNS,
    What.FOCUS: FOCUS_COLUMNS,
}
WRITERS: Mapping[Format, Callable[[Mapping[str, type], Iterable[Row]], Iterator[bytes]]] = {
    Format.CSV: csv_parts,
    Format.JSONL: jsonl_parts,
    Format.PARQUET: parquet_parts,
}

EXAMPLES = examples(
    "export > days.csv",
    "export focus --from 2026-10 --to 2026-10 -o focus.csv",
    "export days --format parquet -o days.parquet",
)


def export(
    what: Annotated[
        What,
        typer.Argument(
            help="days (one row for each database and UTC day), months, revisions, events, "
            "or focus (cost rows of FOCUS 1.2, a month at a time)."
        ),
    ] = What.DAYS,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", help="The first day (UTC) or month, like 2026-08-01 or 2026-08. Default: all.", metavar="DAY"
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option(help="The last day (UTC) or month, included. Default: today.", metavar="DAY")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="parquet needs the extra `parquet` (pyarrow).")
    ] = Format.CSV,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write to FILE, whole or not at all. Default: standard output.",
            metavar="FILE",
        ),
    ] = None,
    is_raw: RawOption = False,
    config: ConfigOption = None,
    store_url: StoreUrlOption = None,
) -> None:
    """Write rows of the ledger, or its costs, as CSV, JSON lines or Parquet; reads only the local ledger.

    Instants are UTC, amounts USD. `months` and `focus` are of every month that the days lie in; a workspace
    whose cost is incomplete has no cost rows, is named on standard error, and the command exits with 1. Costs are
    those of the service, from the store, unless --config has a `cost` section.
    """
    now = utc_now()
    from_day = _parse_day(from_, "--from", is_end=False)
    to_day = _parse_day(to, "--to", is_end=True)
    if from_day is not None and to_day is not None and from_day > to_day:
        raise ConfigurationError([f"--from {from_} is after --to {to}"])
    if from_day is not None and from_day > now.date():
        raise ConfigurationError([f"--from {from_}: has not begun; today is {now:%Y-%m-%d} (UTC)"])
    if format_ is Format.PARQUET and output is None and sys.stdout.isatty():
        raise ConfigurationError(["--format parquet: not for a terminal; add --output FILE"])
    loaded = open_configuration(config, store_url)
    with reading_store(loaded) as store:
        problems: list[str] = []
        counted = _Counted(_rows(store, loaded, what, from_day, to_day, now, problems))
        write = partial(csv_parts, is_raw=True) if is_raw and format_ is Format.CSV else WRITERS[format_]
        parts = write(COLUMNS[what], counted)
        if output is None:
            pour(parts)
        else:
            write_whole(output, parts, option="--output")
            say(f"{counted.rows:,} rows of {what} written to {output}")
    if problems:
        raise typer.Exit(1)


class _Counted:
    """Rows that are counted as they pass."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._iterator = iter(rows)
        self.rows = 0

    def __iter__(self) -> Iterator[Row]:
        for row in self._iterator:
            self.rows += 1
            yield row


def _rows(
    store: Store,
    config: Config,
    what: What,
    from_day: date | None,
    to_day: date | None,
    now: datetime,
    problems: list[str],
) -> Iterator[Row]:
    if what is What.EVENTS:
        yield from event_rows(
            store.events(day_start(from_day) if from_day else None, day_start(to_day + ONE_DAY) if to_day else None)
        )
        return
    if what is What.FOCUS:
        config = with_costs_in_force(store, config)
        for month in _months(from_day or _first_day(store, store.load(now)), to_day, now):
            read = service.read_month(store, config, last_instant(month, now), now)
            for line in left_out(read):
                problems.append(line)
                say(line)
            for sentence in (assumed_sentence(read.rows(By.WORKSPACE)), *absence_sentences(read)):
                if sentence is not None:
                    say(f"{read.name}: {sentence}")
            yield from focus_rows(read)
        return
    databases = tuple(store.databases())
    held = store.load(now)
    owners = Owners.of(databases, held)
    if what is What.DAYS:
        yield from day_rows(store.days(from_day=from_day, to_day=to_day), owners)
    elif what is What.REVISIONS:
        yield from revision_rows(store.revisions(from_day=from_day, to_day=to_day), owners)
    else:
        # The month before the first one is read too, without its days.
        first = from_day or (_first_day(store, held).replace(day=1) - ONE_DAY)
        for month in _months(first, to_day, now):
            until = last_instant(month, now)
            yield from month_rows(store.load(until), until, owners)


def _first_day(store: Store, ledger_state: LedgerState) -> date:
    """The first day of the ledger, or that a workspace was followed on: one without databases has no day."""
    seen = [row.first_seen_at.date() for row in ledger_state.workspaces.values()]
    return min([*seen, *(usage.day for usage in islice(store.days(), 1))], default=date.max)


def _months(from_day: date, to_day: date | None, now: datetime) -> Iterator[datetime]:
    """The months of these days, each by its first instant."""
    month = day_start(from_day.replace(day=1))
    last = min(day_start(to_day), now) if to_day is not None else now
    while month <= last:
        yield month
        month = next_month_start(month)


def _parse_day(text: str | None, option: str, *, is_end: bool) -> date | None:
    """A day; a month stands for its first or its last one."""
    if text is None:
        return None
    for form in ("%Y-%m-%d", "%Y-%m"):
        try:
            at = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        if form == "%Y-%m" and is_end:
            at = next_month_start(at) - ONE_DAY
        return at.date()
    raise ConfigurationError([f"{option} {text}: not a day; write it like 2026-08-31, or a month like 2026-08"])
