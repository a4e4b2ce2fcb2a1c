"""What must hold in every store, as a list: what, of which rows, why, and what to do where it does not.

The ledger keeps these rules whenever it writes, and the schema refuses what a schema can (`schema`, made of its
constraints). A row that breaks one was written by something else, by a disk that failed, or by a bug.
"""

from prisma_postgres_exporter.store.invariants.instants import INSTANT_INVARIANTS
from prisma_postgres_exporter.store.invariants.rule import CLOCK_TOLERANCE, SOURCES, Invariant
from prisma_postgres_exporter.store.invariants.schema import SCHEMA_INVARIANTS
from prisma_postgres_exporter.store.invariants.subjects import SUBJECT_INVARIANTS
from prisma_postgres_exporter.store.invariants.sums import (
    BEGUN,
    COUNTER_IS_ITS_DAYS,
    FILE_IS_WHOLE,
    MONTH_IS_ITS_DAYS,
    NO_DAY_MISSING,
    REVISIONS_ARE_KEPT,
    VALUES_OF_THEIR_KIND,
)
from prisma_postgres_exporter.store.invariants.usage import USAGE_INVARIANTS

ROW_INVARIANTS = (*SCHEMA_INVARIANTS, *SUBJECT_INVARIANTS, *USAGE_INVARIANTS, *INSTANT_INVARIANTS)
"""The rules of single rows."""

INVARIANTS = (
    FILE_IS_WHOLE,
    VALUES_OF_THEIR_KIND,
    *ROW_INVARIANTS,
    BEGUN,
    NO_DAY_MISSING,
    MONTH_IS_ITS_DAYS,
    COUNTER_IS_ITS_DAYS,
    REVISIONS_ARE_KEPT,
)
"""Every rule, in the order in which they are checked."""

__all__ = [
    "BEGUN",
    "CLOCK_TOLERANCE",
    "COUNTER_IS_ITS_DAYS",
    "FILE_IS_WHOLE",
    "INVARIANTS",
    "MONTH_IS_ITS_DAYS",
    "NO_DAY_MISSING",
    "REVISIONS_ARE_KEPT",
    "ROW_INVARIANTS",
    "SCHEMA_INVARIANTS",
    "SOURCES",
    "VALUES_OF_THEIR_KIND",
    "Invariant",
]
