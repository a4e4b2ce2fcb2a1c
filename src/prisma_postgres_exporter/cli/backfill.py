"""`backfill`: days of the past into the ledger, and the ledger's history for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from prisma_postgres_exporter.cli.files import write_whole
from prisma_postgres_exporter.cli.logs import configure_logs
from prisma_postgres_exporter.cli.options import (
    ApiUrlOption,
    ConfigOption,
    LogFormatOption,
    StoreUrlOption,
    configuration,
)
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.config import (
    Config,
    StoreConfig,
    format_duration,
    parse_duration,
    secrets_of,
    shown_address,
)
from prisma_postgres_exporter.errors import ConfigurationError, StoreMissing, StoreOutdated
from prisma_postgres_exporter.reasons import REFUSED, reason_in_words
from prisma_postgres_exporter.words import counted

if TYPE_CHECKING:
    from prisma_postgres_exporter.service import Backfilling

ONE_DAY = timedelta(days=1)
LINE_EVERY_SECONDS = 10
OLD_SAMPLES = "Prometheus takes samples as old as its storage.tsdb.out_of_order_time_window allows."


def backfill(
    from_: Annotated[str, typer.Option("--from", help="The first day (UTC), like 2026-08-01.", metavar="DAY")],
    to: Annotated[
        str | None, typer.Option(help="The last day (UTC), included. Default: yesterday.", metavar="DAY")
    ] = None,
    database: Annotated[
        list[str] | None,
        typer.Option(help="Only this database, by id or name; may be given several times.", metavar="NAME"),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what it would take. Discovers databases, for which a store that is there must be writable; reads "
            "no usage, and makes no store.",
        ),
    ] = False,
    openmetrics: Annotated[
        Path | None,
        typer.Option(
            help="Then write these days of the ledger to FILE, for `promtool tsdb create-blocks-from openmetrics`.",
            metavar="FILE",
        ),
    ] = None,
    remote_write: Annotated[
        bool,
        typer.Option(
            "--remote-write",
            help="Then send these days of the ledger to push.remote_write of the configuration, as samples of then.",
        ),
    ] = False,
    step: Annotated[
        str, typer.Option(help="Time between two samples of --openmetrics and --remote-write.", metavar="DURATION")
    ] = "1h",
    requests_per_second: Annotated[
        float | None,
        typer.Option(
            help="Pace for each workspace. Default: what polling leaves of poll.requests_per_second.",
            min=0.01,
            max=1_000,
        ),
    ] = None,
    config: ConfigOption = None,
    api_url: ApiUrlOption = None,
    store_url: StoreUrlOption = None,
    log_format: LogFormatOption = "console",
) -> None:
    """Read days of the past into the ledger, one request for each database and day that is not there yet.

    Works beside a running exporter. What was read stays when it is stopped: run the same command again to go on.
    The counter of operations does not move by days from before the exporter began to count.

    Exits with 1 if days are still missing at the end.
    """
    from_day, to_day = _days(from_, to)
    sample_step = _duration(step)
    loaded = configuration(config, api_url, store_url)()
    if remote_write and loaded.push.remote_write is None:
        raise ConfigurationError(["--remote-write: the configuration has no push.remote_write to send to"])
    configure_logs(
        log_format,
        secrets=secrets_of(loaded),
        level=logging.ERROR,
    )
    with _rehearsed(loaded) if dry_run else contextlib.nullcontext(loaded) as stored:
        is_complete = asyncio.run(
            _backfill(
                stored,
                from_day,
                to_day,
                databases=database or [],
                requests_per_second=requests_per_second,
                is_dry=dry_run,
                openmetrics=openmetrics,
                is_pushed=remote_write,
                step=sample_step,
            )
        )
    if not is_complete:
        raise typer.Exit(1)


@contextlib.contextmanager
def _rehearsed(config: Config) -> Iterator[Config]:
    """The configuration to plan with: where there is no store yet, one with a store that is thrown away."""
    from prisma_postgres_exporter.service import open_to_read

    try:
        open_to_read(config).close()
    except StoreMissing as error:
        say(f"warning: {error}. What follows is for an empty store", style="yellow")
        with tempfile.TemporaryDirectory() as directory:
            yield config.model_copy(update={"store": StoreConfig(url=f"sqlite:///{directory}/empty.db")})
        return
    except StoreOutdated:
        pass  # opened to be written, it is brought up to date
    yield config


async def _backfill(
    config: Config,
    from_day: date,
    to_day: date,
    *,
    databases: list[str],
    requests_per_second: float | None,
    is_dry: bool,
    openmetrics: Path | None,
    is_pushed: bool,
    step: timedelta,
) -> bool:
    from prisma_postgres_exporter.service import open_backfill

    console = Console(stderr=True, highlight=False)
    async with open_backfill(
        config, from_day=from_day, to_day=to_day, databases=databases, requests_per_second=requests_per_second
    ) as work:
        for problem in work.problems:
            say(f"failed: {problem}", style="red")
        say(_estimate(work))
        if is_dry:
            return not work.problems
        missing = 0
        if work.todo.reads:
            with _progress(console, len(work.todo.reads)) as progress:
                missing = await work.run(progress)
            read = len(work.todo.reads) - missing
            say(f"{counted(read, 'day')} read into the ledger; {counted(missing, 'day')} missing.")
        if missing:
            for line in _failed(work):
                say(line, style="red")
        if openmetrics is not None:
            write = partial(write_whole, openmetrics, option="--openmetrics")
            await work.write_openmetrics(write, step=step)
            say(f"{openmetrics}: written; load it with: promtool tsdb create-blocks-from openmetrics {openmetrics} DIR")
        is_taken = not is_pushed or await _push(work, config, step)
        return is_taken and not missing and not work.problems


def _failed(work: Backfilling) -> Iterator[str]:
    """What failed and what to do: of what is refused, first what its reason says."""
    refused = [(reason, count) for reason, count in work.failures.most_common() if reason in REFUSED]
    others = [f"{reason} ({count:,})" for reason, count in work.failures.most_common() if reason not in REFUSED]
    reasons = ", ".join(others) or "nothing was answered"
    rest = f"; {work.not_tried:,} were not tried after that" if work.not_tried else ""
    for reason, count in refused:
        yield f"{counted(count, 'day')} cannot be read now: {reason_in_words(reason)}"
    if refused and not others:
        yield f"Run the same command again after that{rest}"
    else:
        yield f"Run the same command again to read them. What failed: {reasons}{rest}"


async def _push(work: Backfilling, config: Config, step: timedelta) -> bool:
    from prisma_postgres_exporter.service.push_sender import Sender

    target = config.push.remote_write
    if target is None:
        return False
    sender = Sender("remote_write", target)
    try:
        taken, problem = await work.push_history(sender, step=step)
    finally:
        await sender.close()
    say(f"{taken:,} samples sent to {shown_address(target.url)}.")
    if problem:
        say(f"The rest was not taken: {problem}. {OLD_SAMPLES}", style="red")
    return not problem


def _estimate(work: Backfilling) -> str:
    todo = work.todo
    databases = counted(todo.databases, "database")
    days = f"{work.from_day} to {work.to_day} (UTC)"
    if not todo.reads:
        return f"{databases}, {days}: all in the ledger ({counted(todo.in_ledger, 'day')})."
    seconds = max(1, round(todo.seconds(work.requests_per_second)))
    pace = f"{work.requests_per_second:.1f} requests a second for each workspace"
    failing = {state.database.id for state in work.states if state.failing_since_at is not None}
    unsure = sum(read.database_id in failing for read in todo.reads)
    of_failing = f" ({unsure:,} of them of databases that fail now)" if unsure else ""
    return (
        f"{databases}, {days}: {counted(todo.in_ledger, 'day')} in the ledger, "
        f"{counted(len(todo.reads), 'day')} to be read{of_failing}, one request each.\n"
        f"At {pace} that takes {format_duration(timedelta(seconds=seconds))} or more."
    )


@contextlib.contextmanager
def _progress(console: Console, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar in a terminal, else a line every few seconds."""
    if not console.is_terminal:
        yield _lines(total)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("days", total=total)

        def advance(done: int, failed: int) -> None:
            bar.update(task, completed=done, description=f"days, {failed:,} failed" if failed else "days")

        yield advance


def _lines(total: int) -> Callable[[int, int], None]:
    printed_at = time.monotonic()

    def advance(done: int, failed: int) -> None:
        nonlocal printed_at
        if done < total and time.monotonic() - printed_at < LINE_EVERY_SECONDS:
            return
        printed_at = time.monotonic()
        print(f"{done:,} of {total:,} days, {failed:,} failed", file=sys.stderr, flush=True)

    return advance


def _days(from_: str, to: str | None) -> tuple[date, date]:
    yesterday = datetime.now(UTC).date() - ONE_DAY
    problems: list[str] = []
    from_day = _day("--from", from_, yesterday, problems)
    to_day = _day("--to", to, yesterday, problems) if to is not None else yesterday
    if from_day and to_day and from_day > to_day:
        problems.append(f"--from {from_day} is after --to {to_day}: give the earlier day first")
    if problems or from_day is None or to_day is None:
        raise ConfigurationError(problems)
    return from_day, to_day


def _day(option: str, text: str, last: date, problems: list[str]) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        problems.append(f"{option} {text}: not a day; write it like {last}")
        return None
    if day > last:
        problems.append(f"{option} {text}: that day is not over yet; the last whole day (UTC) is {last}")
        return None
    return day


def _duration(text: str) -> timedelta:
    try:
        step = parse_duration(text)
    except ValueError as error:
        raise ConfigurationError([f"--step {error}"]) from error
    if step > ONE_DAY:
        raise ConfigurationError(
            [f"--step {text}: longer than a day, so that days would have no sample; write it like 1h"]
        )
    return step
