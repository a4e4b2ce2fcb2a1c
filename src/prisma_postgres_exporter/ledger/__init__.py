"""What readings mean: days, counters, revisions, months and storage levels, as rows to write.

Pure. The rules, each with its reason:

- A day's `operations` is the vendor's latest word; `operations_high` only grows, and the counter
  `operations_total` grows by what the highs of the counted days grow. So it never falls, a
  downward revision adds nothing, and nothing is counted twice.
- A change of a day that had been read after its end is a revision, and so is any fall.
- A closed day settles when its number has not changed for `settle_after` and every day before it is
  known; a revision opens it again. Days of a month that is no longer watched settle at once.
- A settled day is read again once its month is over, and when the vendor's month is not the sum of
  the days: all of them once for each such difference.
- A database is failing while its open day cannot be read.
- A storage level holds from the reading that gave it until the next one, at most a day.
  A closed day of which no level is known at all takes the vendor's number for the day.
- A reading that is not newer than what is known changes nothing, so doing anything twice
  changes nothing.
"""

from prisma_postgres_exporter.ledger.carry import carry, carry_workspace
from prisma_postgres_exporter.ledger.post import apply, older_days, post

__all__ = ["apply", "carry", "carry_workspace", "older_days", "post"]
