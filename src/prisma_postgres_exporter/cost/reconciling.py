"""The vendor's own month beside the sum of our days: one number for each database, whoever held it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import itemgetter

from prisma_postgres_exporter.model import DatabaseState, LedgerState, MonthUsage, month_start

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorMonth:
    """What the vendor last said of one database's month, and of which workspace it counts, by key.

    It is of all of the month, whoever held the database in it, and counts once: of the one that held it at last.
    `difference_operations` is it less the sum of our days, as it was last compared; `None`: it could not be yet.
    """

    workspace_key: int
    operations: int
    read_at: datetime
    difference_operations: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The vendor's month less our days over the `compared` of a workspace's databases; `others` cannot be compared."""

    operations: int | None
    compared: int
    others: int


def vendor_month(state: DatabaseState, until: datetime) -> VendorMonth | None:
    """Return the vendor's newest word on a database's month of `until`; `None` where it said nothing."""
    return _vendor_month(state, month_start(until).date(), until)


def month_differences(
    ledger_state: LedgerState, used_by_key: Mapping[int, Mapping[str, object]], until: datetime
) -> Mapping[int, Difference]:
    """Return by workspace key how the vendor's month of `until` differs from our days.

    `used_by_key` are the databases that a workspace's month has.
    """
    month = month_start(until).date()
    compared: dict[int, list[int]] = defaultdict(list)
    others: dict[int, int] = defaultdict(int)
    holders: dict[str, list[int]] = defaultdict(list)
    for key, used in used_by_key.items():
        for id_ in used:
            holders[id_].append(key)
    for id_, keys in holders.items():
        vendor = _vendor_month(ledger_state.databases[id_], month, until)
        if vendor is None or vendor.difference_operations is None:
            for key in keys:
                others[key] += 1
        else:
            compared[vendor.workspace_key].append(vendor.difference_operations)
    return {
        key: Difference(
            operations=sum(compared[key]) if compared[key] else None, compared=len(compared[key]), others=others[key]
        )
        for key in {*compared, *others}
    }


def _vendor_month(state: DatabaseState, month: date, until: datetime) -> VendorMonth | None:
    rows = [row for row in state.months if row.month == month]
    told = [(row.read_at, row.operations, row) for row in rows if row.read_at is not None]
    read_at, operations, newest = max(told, key=itemgetter(0), default=(None, None, None))
    if read_at is None or operations is None or newest is None:
        return None
    return VendorMonth(
        workspace_key=_holder(state, rows, newest, until),
        operations=operations,
        read_at=read_at,
        difference_operations=_difference(state, rows, newest),
    )


def _holder(state: DatabaseState, rows: Sequence[MonthUsage], newest: MonthUsage, until: datetime) -> int:
    """Who held it at last in the month: where a month is read when it is over, that may not be who holds it now."""
    if state.moves:
        last = until if state.deleted_at is None else max(month_start(until), min(until, state.deleted_at))
        return state.holder_on(last.date())
    with_days = [row for row in rows if row.days]
    return newest.workspace_key if newest.days or not with_days else with_days[-1].workspace_key


def _difference(state: DatabaseState, rows: Sequence[MonthUsage], newest: MonthUsage) -> int | None:
    """As the ledger compared it; where it did not, because days came later, only that they are the same is sure."""
    if newest.difference_operations is not None:
        return newest.difference_operations
    if newest.period_end_at is None:
        return None
    first = max(newest.month, state.database.created_at.date())
    covered = (newest.period_end_at - timedelta(microseconds=1)).date() - first + ONE_DAY
    if sum(row.days for row in rows) < covered.days:
        return None
    return 0 if newest.operations == sum(row.days_operations for row in rows) else None
