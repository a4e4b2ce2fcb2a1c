"""A row that breaks a rule, named for people and programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Table

from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.invariants import Invariant

DAY_COLUMNS = ("day", "known_until", "checked_until", "counted_from")


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One row that breaks one rule.

    `row` names it by its key, `database_id` and `period` (a day, or a month as YYYY-MM) where it has them.
    """

    rule: str
    table: str
    row: str
    database_id: str | None
    period: str | None
    found: str
    must_hold: str
    reason: str
    advice: str

    @classmethod
    def of(
        cls,
        invariant: Invariant,
        *,
        row: str,
        found: str,
        table: str | None = None,
        database_id: str | None = None,
        period: str | None = None,
    ) -> Violation:
        """Return the violation of `invariant` by a row of `table`, its own where none is given."""
        advice = invariant.advice.replace("ID", database_id) if database_id else invariant.advice
        return cls(
            rule=invariant.name,
            table=table or invariant.table.name,
            row=row,
            database_id=database_id,
            period=period,
            found=found,
            must_hold=invariant.must_hold,
            reason=invariant.reason,
            advice=advice.replace("DAY", period) if period else advice,
        )


def shown_row(table: Table, values: Mapping[object, object], database_id: str | None) -> str:
    """Return what names a row: its primary key, a database by its id where it has one."""
    named = []
    for column in table.primary_key:
        if column.name == "database_key" or (table.name == "databases" and column.name == "key"):
            named.append(f"database {database_id or f'with key {values[column]}'}")
        else:
            named.append(f"{column.name.removesuffix('_at').replace('_', ' ')} {shown(column.name, values[column])}")
    return ", ".join(named)


def shown_period(table: Table, values: Mapping[object, object]) -> str | None:
    """Return the day or the month (YYYY-MM) of a row whose key has one."""
    columns = (column for column in table.primary_key if column.name in ("day", "month"))
    return next((shown(column.name, values[column]) for column in columns), None)


def shown_values(values: Iterable[tuple[str, object]]) -> str:
    """Return names and values of columns for people."""
    return ", ".join(f"{name} = {shown(name, value)}" for name, value in values)


def shown(name: str, value: object) -> str:
    """Return a column's value for people: instants and days as such, where the number is one."""
    if value is None:
        return "unknown"
    if isinstance(value, int) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError, OSError):
            return _shown_number(name, value)
    return str(value)


def shown_month(month: date) -> str:
    """Return YYYY-MM."""
    return f"{month:%Y-%m}"


def _shown_number(name: str, value: int) -> str:
    if name in DAY_COLUMNS:
        return rows.day_of(value).isoformat()
    if name == "month":
        return shown_month(rows.month_of(value))
    if name == "at" or name.endswith("_at"):
        return f"{rows.instant(value):%Y-%m-%d %H:%M:%S} UTC"
    return str(value)
