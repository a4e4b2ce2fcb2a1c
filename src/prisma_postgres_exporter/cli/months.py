"""Months of the ledger as commands take, read and print them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from prisma_postgres_exporter import service
from prisma_postgres_exporter.cli.printing import Column
from prisma_postgres_exporter.cli.terminal import say
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import By, CostRow
from prisma_postgres_exporter.errors import ConfigurationError, StoreMissing
from prisma_postgres_exporter.report import NO_PROJECT, last_instant

if TYPE_CHECKING:
    from prisma_postgres_exporter.store import Store

T = TypeVar("T")

MonthOption = Annotated[
    str | None,
    typer.Option("--month", help="A month of the ledger, like 2026-10. Default: this month.", metavar="MONTH"),
]


def utc_now() -> datetime:
    """Now, in whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


def parse_month(text: str, option: str, now: datetime) -> datetime:
    """Return how far the ledger can go in a month at `now`: until then, or the last second of one that is over.

    Raises:
        ConfigurationError: it is no month, or one that has not begun; names the `option` that gave it.
    """
    try:
        starts_at = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigurationError([f"{option} {text}: not a month; write it like {now:%Y-%m}"]) from None
    if starts_at > now:
        raise ConfigurationError([f"{option} {text}: has not begun; this month is {now:%Y-%m}"])
    return last_instant(starts_at, now)


@contextmanager
def reading_store(config: Config) -> Iterator[Store]:
    """Open the configured store to read it only, and close it.

    Raises:
        StoreMissing: there is none, or nothing was ever read into it: an empty report would look like no usage.
    """
    with closing(service.open_to_read(config)) as store:
        if store.state().written_at is None:
            raise StoreMissing(
                f"the ledger at {store.url} is empty: nothing was read yet; "
                "run `collect` or `serve`, and `doctor` if that does not help"
            )
        yield store


def with_costs_in_force(store: Store, config: Config) -> Config:
    """Return the configuration with the costs to report by: its own where it has any, else the store's.

    Where its own differ from the store's, one line on standard error says so.
    """
    in_force, note = service.costs_in_force(store, config)
    if note is not None:
        say(f"note: {note}")
    return in_force


def row_columns(by: By, row: Callable[[T], CostRow]) -> tuple[Column[T], ...]:
    """The columns of a table that say who a line is about, as far as `by` goes."""
    names: tuple[Column[T], ...] = (
        Column("workspace_name", lambda line: row(line).workspace_name, By.WORKSPACE.value, weight=20),
        Column("project_name", lambda line: _project(row(line)), By.PROJECT.value, weight=21),
        Column("database_name", lambda line: row(line).database_name, By.DATABASE.value, weight=22),
    )
    ids: tuple[Column[T], ...] = (
        Column("workspace_id", lambda line: row(line).workspace_id),
        Column("project_id", lambda line: row(line).project_id),
        Column("database_id", lambda line: row(line).database_id),
    )
    last = tuple(By).index(by)
    return *names[: last + 1], ids[last]


def _project(row: CostRow) -> str:
    return NO_PROJECT if row.project_name is None else row.project_name
