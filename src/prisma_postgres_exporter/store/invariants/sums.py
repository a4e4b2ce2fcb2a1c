"""Rules about several rows together, and about the file they are in: `auditing` compares what they speak of."""

from __future__ import annotations

from prisma_postgres_exporter.store.invariants.rule import RESTORE, Invariant
from prisma_postgres_exporter.store.tables import days, months, positions, store_state

BEGUN = Invariant(
    name="known-from-its-beginning",
    table=positions,
    must_hold="known_until is not before the month of its first sight, or the day before counted_from",
    reason="no ledger begins earlier, and none shrinks",
    advice=RESTORE,
)
NO_DAY_MISSING = Invariant(
    name="no-day-missing",
    table=days,
    must_hold="every day from the ledger's beginning to known_until has a row",
    reason="what is before known_until is not looked for any more, so a hole would stay one",
    advice="`store repair`, or fill the hole: `backfill --from DAY --to DAY --database ID`",
)
MONTH_IS_ITS_DAYS = Invariant(
    name="month-is-the-sum-of-its-days",
    table=months,
    must_hold="days, days_operations, storage_byte_seconds and storage_seconds are the sums over its days",
    reason="bills and averages are made of these sums, and the difference to the vendor's month is taken from them",
    advice=RESTORE,
)
COUNTER_IS_ITS_DAYS = Invariant(
    name="counter-is-the-sum-of-its-days",
    table=positions,
    must_hold="operations_total is the sum of the highest numbers of the days that are counted",
    reason="so no operation is counted twice, and none is left out",
    advice=RESTORE,
)
REVISIONS_ARE_KEPT = Invariant(
    name="revisions-are-kept",
    table=positions,
    must_hold="revisions_up and revisions_down are the numbers of its rows of revisions",
    reason="what is counted can be shown",
    advice=RESTORE,
)
VALUES_OF_THEIR_KIND = Invariant(
    name="values-of-their-kind",
    table=store_state,
    must_hold="numbers are numbers, and text is text",
    reason="SQLite keeps any value in any column; a number that is none cannot be read",
    advice="`store repair` removes a row of usage, which is read again; else put a backup in the store's place",
)
FILE_IS_WHOLE = Invariant(
    name="file-is-whole",
    table=store_state,
    must_hold="SQLite's own `PRAGMA integrity_check` finds nothing",
    reason="a damaged file loses rows, and may be read wrongly",
    advice="put a backup in its place; `store backup` makes one",
)
