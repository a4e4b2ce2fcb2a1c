"""What the schema refuses, as rules that can be looked for: in a store of before it did, or where it was not asked.

SQLite asks about keys of other tables only who wants to be asked, and a disk that fails asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Table, not_, or_
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.visitors import iterate

from prisma_postgres_exporter.store.constraints import CHECKED
from prisma_postgres_exporter.store.invariants.rule import READ_AGAIN, Invariant
from prisma_postgres_exporter.store.tables import days

REASON = "the schema refuses such a row: an older version, a program that switched that off, or a failing disk wrote it"
ADVICE = "`store repair` shows how it is set right, and with --apply does it"


def _rules_of(table: Table) -> Iterator[Invariant]:
    for constraint in sorted(table.constraints, key=lambda constraint: str(constraint.name)):
        name = str(constraint.name).replace("_", "-")
        if isinstance(constraint, CheckConstraint):
            condition = constraint.sqltext.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            used = {column for column in table.columns if any(part is column for part in iterate(constraint.sqltext))}
            yield Invariant(
                name=name,
                table=table,
                broken=not_(constraint.sqltext),
                shows=tuple(column for column in table.columns if column in used and not column.primary_key),
                must_hold=str(condition).replace(f"{table.name}.", ""),
                reason=REASON,
                advice=READ_AGAIN if table is days else ADVICE,
            )
        elif isinstance(constraint, ForeignKeyConstraint):
            # The tables referred to are in the rows that are looked at: `SOURCES`.
            parents = [element.column for element in constraint.elements]
            yield Invariant(
                name=name,
                table=table,
                broken=or_(*(column.is_(None) for column in parents)),
                shows=tuple(column for column in constraint.columns if not column.primary_key),
                must_hold=f"{', '.join(constraint.column_keys)} is the key of a row of {parents[0].table.name}",
                reason=REASON,
                advice=ADVICE,
            )


SCHEMA_INVARIANTS: tuple[Invariant, ...] = tuple(rule for table in CHECKED.sorted_tables for rule in _rules_of(table))
