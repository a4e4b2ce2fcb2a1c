"""Months of the ledger as commands take, read and print them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, TypeVar

import typer

from prisma_postgres_exporter.cli.printing import Column
from prisma_postgres_exporter.config import Config
from prisma_postgres_exporter.cost import HISTORY, By, CostRow
from prisma_postgres_exporter.errors import ConfigurationError
from prisma_postgres_exporter.report import LedgerMonth, last_instant, ledger_month
from prisma_postgres_exporter.store import Store

T = TypeVar("T")

MonthOption = Annotated[
    str | None,
    typer.Option("--month", help="A month of the ledger, like 2026-10. [default: this month]", metavar="MONTH"),
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
    """Open the configured store to read it only, and close it."""
    with closing(Store.open_to_read(config.store.url)) as store:
        yield store


def read_month(store: Store, config: Config, until: datetime, now: datetime) -> LedgerMonth:
    """Read the month of `until` from the ledger and work out what it costs."""
    return ledger_month(store.load(until), config, store.workspace_days((until - HISTORY).date()), until, now)


def cost_document(row: CostRow, until: datetime, *, is_over: bool) -> dict[str, object]:
    """What JSON and CSV say of one workspace, project or database in a month: amounts are exact texts, in USD."""
    fee, operations, storage = row.share
    low, high = expected_bounds(row, is_over=is_over) if row.project_id is None else (None, None)
    return {
        "month": f"{until:%Y-%m}",
        "workspace_id": row.workspace_id,
        "workspace_name": row.workspace_name,
        "project_id": row.project_id,
        "project_name": row.project_name,
        "database_id": row.database_id,
        "database_name": row.database_name,
        "is_deleted": row.is_deleted,
        "plan": row.cost.plan if row.cost else None,
        "price_version": row.cost.price_version if row.cost else None,
        "operations": row.operations,
        "mean_storage_bytes": row.mean_storage_bytes(until),
        "fee_usd": usd_text(fee),
        "operations_usd": usd_text(operations),
        "storage_usd": usd_text(storage),
        "total_usd": usd_text(row.total),
        "expected_usd": None if is_over else usd_text(row.expected_usd),
        "low_usd": usd_text(low),
        "high_usd": usd_text(high),
        "unpriced": row.cost.unpriced if row.cost else None,
    }


def row_columns(by: By, row: Callable[[T], CostRow]) -> tuple[Column[T], ...]:
    """The columns that say who a line is about; a table shows the names as far as `by` goes."""
    names: tuple[Column[T], ...] = (
        Column("workspace_name", lambda line: row(line).workspace_name, By.WORKSPACE.value),
        Column("project_name", lambda line: row(line).project_name, By.PROJECT.value),
        Column("database_name", lambda line: row(line).database_name, By.DATABASE.value),
    )
    shown = tuple(By).index(by) + 1
    return (
        *names[:shown],
        *(Column(column.key, column.value) for column in names[shown:]),
        Column("workspace_id", lambda line: row(line).workspace_id),
        Column("project_id", lambda line: row(line).project_id),
        Column("database_id", lambda line: row(line).database_id),
    )


def documents_csv(documents: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """Yield documents of one kind as CSV with a header: what is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, document in enumerate(documents):
        if number == 0:
            writer.writerow(document)
        writer.writerow([str(value).lower() if isinstance(value, bool) else value for value in document.values()])
        yield text.getvalue()
        text.seek(0)
        text.truncate()


def expected_bounds(row: CostRow, *, is_over: bool) -> tuple[Decimal | None, Decimal | None]:
    """What a workspace's month will cost at least and at most, in USD."""
    cost = row.cost
    if cost is None or cost.low_bill is None or cost.high_bill is None or is_over:
        return None, None
    return cost.low_bill.total, cost.high_bill.total


def usd_text(amount: Decimal | None) -> str | None:
    """An amount as it is, exactly."""
    return None if amount is None else f"{amount}"
