"""How a row that breaks a rule is set right: on the rows of one database, in memory.

Nothing is invented. What a row says wrongly is computed from other rows, or taken away so that it is read again; an
instant in the future becomes now. `add_up` then restores what the rows of a database must be together:

- `known_until` is the last day before the first gap: days that are missing are read, and settled ones after the gap
  settle again once it is closed.
- The counter is the sum of its days, and does not fall: Prometheus takes a fall for a restart, and counts everything
  anew. What it has more than its days is kept where the ledger keeps numbers that fell, as the highest number that
  the newest counted day had: so that day moves the counter again when it has made up for it.
- The counts of revisions and the sums of months are those of their rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table

from prisma_postgres_exporter.model import previous_month_start
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.comparing import ledger_beginning
from prisma_postgres_exporter.store.invariants.rule import DAY_SECONDS
from prisma_postgres_exporter.store.tables import databases, days, months, positions, revisions

Row = dict[str, Any]
Key = tuple[Any, ...]

ADDED_UP = frozenset(
    {
        "database-has-a-state",
        "counters-not-negative",
        "known-until-today-at-most",
        "checked-only-what-is-known",
        "settled-after-those-before",
        "counted-from-its-first-day",
        "known-from-its-beginning",
        "no-day-missing",
        "month-is-the-sum-of-its-days",
        "counter-is-the-sum-of-its-days",
        "revisions-are-kept",
    }
)
"""The rules that `add_up` restores."""

VENDORS_MONTH = (
    "operations",
    "difference_operations",
    "period_end_at",
    "read_at",
    "rechecked_difference_operations",
)
SUMS = {
    # a column of months, the column of days that it sums
    "days_operations": "operations",
    "storage_byte_seconds": "storage_byte_seconds",
    "storage_seconds": "storage_seconds",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """When it is: unix seconds, and the number of the day as far as clocks may differ; and which workspaces are."""

    now: int
    today: int
    workspace_keys: frozenset[int]


@dataclass(slots=True, kw_only=True)
class Held:
    """The rows of one database, or of none, by table and primary key."""

    clock: Clock
    rows: dict[Table, dict[Key, Row]] = field(default_factory=lambda: defaultdict(dict))

    def put(self, table: Table, row: Row) -> None:
        """Add a row, or replace the one with its key."""
        self.rows[table][key_of(table, row)] = row

    def days(self) -> dict[int, Row]:
        """The days by their number, oldest first."""
        return {row["day"]: row for row in sorted(self.rows[days].values(), key=lambda row: row["day"])}

    def days_of_workspaces(self) -> list[Row]:
        """The days that are of a workspace that there is, oldest first."""
        return [row for row in self.days().values() if row["workspace_key"] in self.clock.workspace_keys]


def key_of(table: Table, row: Row) -> Key:
    """Return the primary key of a row."""
    return tuple(row[column.name] for column in table.primary_key)


Mend = Callable[[Held, Table, Key], None]


def mend(held: Held, rule: str, table: Table, key: Key) -> None:
    """Set right the row with this key, which breaks this rule; another rule may have removed it already."""
    if key in held.rows[table] and rule in REPAIRS:
        REPAIRS[rule](held, table, key)


def add_up(held: Held) -> None:
    """Restore what the rows of one database must be together."""
    [database] = held.rows[databases].values()
    own_days = held.days()
    for key in [key for key, row in held.rows[revisions].items() if row["day"] not in own_days]:
        del held.rows[revisions][key]
    for row in own_days.values():
        row["is_counted"] = row["day"] >= database["counted_from"]
    known_until = _known_until(database, own_days)
    state = next(iter(held.rows[positions].values()), None) or _begin_state(held, database, own_days, known_until)
    state["known_until"] = known_until
    state["checked_until"] = min(state["checked_until"], known_until, held.clock.today - 1)
    for row in own_days.values():
        if row["day"] > known_until:
            row["settled_seconds"] = None
    _count(state, own_days)
    is_up = [row["operations_after"] > row["operations_before"] for row in held.rows[revisions].values()]
    state["revisions_up"], state["revisions_down"] = is_up.count(True), is_up.count(False)
    _sum_months(held, database["key"], own_days)


def _known_until(database: Row, own_days: Mapping[int, Row]) -> int:
    first_seen_at = database["first_seen_at"]
    seen_month = rows.month_number(rows.instant(first_seen_at).date())
    begins = ledger_beginning(database["created_at"], first_seen_at, database["counted_from"])
    begins = min([begins, *(day for day in own_days if _month_of(day) == seen_month)])
    while begins in own_days:
        begins += 1
    return begins - 1


def _begin_state(held: Held, database: Row, own_days: Mapping[int, Row], known_until: int) -> Row:
    """Make what is held of a database from its rows: levels and failures are known again after the next reading."""
    previous_month = previous_month_start(rows.instant(held.clock.now)).date()
    state = dict.fromkeys((column.name for column in positions.columns), None) | {
        "database_key": database["key"],
        "operations_total": 0,
        "last_success_at": max((row["read_at"] for row in own_days.values()), default=None),
        # The previous month may not have been read once more yet.
        "checked_until": min(known_until, rows.day_number(previous_month) - 1),
        "generation": 0,
    }
    held.put(positions, state)
    return state


def _count(state: Row, own_days: Mapping[int, Row]) -> None:
    counted = [row for row in own_days.values() if row["is_counted"]]
    total = sum(row["operations"] + row["operations_fallen"] for row in counted)
    if counted and state["operations_total"] > total:
        counted[-1]["operations_fallen"] += state["operations_total"] - total
        total = state["operations_total"]
    state["operations_total"] = total


def _sum_months(held: Held, database_key: int, own_days: Mapping[int, Row]) -> None:
    of_month: dict[Key, list[Row]] = defaultdict(list)
    for day, row in own_days.items():
        of_month[_month_of(day), database_key, row["workspace_key"]].append(row)
    for key in of_month.keys() - held.rows[months].keys():
        month, _, workspace_key = key
        unread = dict.fromkeys(VENDORS_MONTH)
        held.put(months, {"month": month, "database_key": database_key, "workspace_key": workspace_key, **unread})
    for key, row in held.rows[months].items():
        row["days"] = len(of_month[key])
        row.update({name: sum(day[column] for day in of_month[key]) for name, column in SUMS.items()})


def _remove(held: Held, table: Table, key: Key) -> None:
    del held.rows[table][key]


def _set(**values: object) -> Mend:
    def mend_row(held: Held, table: Table, key: Key) -> None:
        held.rows[table][key].update(values)

    return mend_row


def _clamp(*columns: str) -> Mend:
    """Let instants that are in the future be now."""

    def mend_row(held: Held, table: Table, key: Key) -> None:
        row = held.rows[table][key]
        for column in columns:
            if row[column] is not None:
                row[column] = min(row[column], held.clock.now)

    return mend_row


def _bring_back(column: str) -> Mend:
    """Let an instant that is part of the key be now, or the newest second before it that is free."""

    def mend_row(held: Held, table: Table, key: Key) -> None:
        row = held.rows[table].pop(key)
        row[column] = held.clock.now
        while key_of(table, row) in held.rows[table]:
            row[column] -= 1
        held.put(table, row)

    return mend_row


def _find_workspace(held: Held, table: Table, key: Key) -> None:
    """Take the workspace of the newest day, if there is any."""
    if known := held.days_of_workspaces():
        held.rows[table][key]["workspace_key"] = known[-1]["workspace_key"]


def _find_workspace_of_day(held: Held, table: Table, key: Key) -> None:
    """Take the workspace of the nearest day, the earlier of two."""
    row = held.rows[table][key]
    if known := held.days_of_workspaces():
        nearest = min(known, key=lambda other: (abs(other["day"] - row["day"]), other["day"]))
        row["workspace_key"] = nearest["workspace_key"]


def _find_workspace_of_month(held: Held, table: Table, key: Key) -> None:
    """Take the workspace of the month's days, where it has no row yet; else the row says nothing."""
    row = held.rows[table].pop(key)
    of_days = {day["workspace_key"] for day in held.days().values() if _month_of(day["day"]) == row["month"]}
    of_months = {other["workspace_key"] for other in held.rows[table].values() if other["month"] == row["month"]}
    if len(free := of_days - of_months) == 1:
        held.put(table, row | {"workspace_key": free.pop()})


def _see_database(held: Held, table: Table, key: Key) -> None:
    row = held.rows[table][key]
    _clamp("first_seen_at", "deleted_at")(held, table, key)
    row["counted_from"] = min(row["counted_from"], held.clock.now // DAY_SECONDS)


def _count_from(held: Held, table: Table, key: Key) -> None:
    """Begin to count with the first day that is counted."""
    row = held.rows[table][key]
    seen_on = row["first_seen_at"] // DAY_SECONDS
    row["counted_from"] = next((day for day, other in held.days().items() if other["is_counted"]), seen_on)


def _read_day_again(held: Held, table: Table, key: Key) -> None:
    """Let a day be as if it had been read while it was open; one that has not begun is nothing."""
    row = held.rows[table][key]
    begins_at = row["day"] * DAY_SECONDS
    if not 0 <= begins_at <= held.clock.now:
        _remove(held, table, key)
        return
    row["read_at"] = min(max(row["read_at"], begins_at), begins_at + DAY_SECONDS - 1, held.clock.now)
    row["unchanged_seconds"] = row["settled_seconds"] = None


def _forget_storage(held: Held, table: Table, key: Key) -> None:
    """Let the level of a day be unknown; a closed day takes it from the next reading."""
    row = held.rows[table][key]
    row.update(storage_bytes=max(0, row["storage_bytes"]), storage_byte_seconds=0, storage_seconds=0)
    _read_day_again(held, table, key)


def _shorten_storage(held: Held, table: Table, key: Key) -> None:
    """Cut what was held for longer than the day in proportion."""
    row = held.rows[table][key]
    if row["storage_seconds"] < 0:
        _forget_storage(held, table, key)
        return
    [database] = held.rows[databases].values()
    begins_at = row["day"] * DAY_SECONDS
    ends_at = min(begins_at + DAY_SECONDS, held.clock.now)
    is_first_day = row["day"] == min(held.days()) and database["created_at"] <= database["first_seen_at"]
    if is_first_day and begins_at < database["created_at"] < ends_at:
        begins_at = database["created_at"]
    seconds = max(0, min(row["storage_seconds"], ends_at - begins_at))
    row["storage_byte_seconds"] = row["storage_byte_seconds"] * seconds // max(1, row["storage_seconds"])
    row["storage_seconds"] = seconds


def _settle_again(held: Held, table: Table, key: Key) -> None:
    row = held.rows[table][key]
    if row["unchanged_seconds"] is None:
        _read_day_again(held, table, key)
    row["settled_seconds"] = None


def _read_month_again(held: Held, table: Table, key: Key) -> None:
    """Keep the vendor's number: it was true when it was read. A month that has not begun has none."""
    row = held.rows[table][key]
    if rows.day_number(rows.month_of(row["month"])) * DAY_SECONDS > held.clock.now:
        _remove(held, table, key)
        return
    _clamp("read_at", "period_end_at")(held, table, key)
    row["difference_operations"] = None


def _month_of(day: int) -> int:
    return rows.month_number(rows.day_of(day))


REPAIRS: Mapping[str, Mend] = {
    "generation-counts-writes": _set(generation=0),
    "nothing-written-in-the-future": _clamp("written_at"),
    "costs-are-a-document": _remove,
    "costs-written-in-the-past": _clamp("written_at"),
    "workspace-seen-in-the-past": _clamp("first_seen_at", "gone_at"),
    "plan-of-a-workspace": _remove,
    "plan-seen-in-the-past": _bring_back("at"),
    "database-in-a-workspace": _find_workspace,
    "database-seen-in-the-past": _see_database,
    "counted-from-a-day-that-was": _count_from,
    "state-of-a-database": _remove,
    "storage-level-with-its-time": _set(storage_bytes=None, storage_at=None),
    "failure-with-its-time": _set(failing_since_at=None, failure_reason=None),
    "state-in-the-past": _clamp("storage_at", "usage_at", "last_success_at", "failing_since_at", "recheck_at"),
    "event-of-a-kind": _remove,
    "event-in-the-past": _bring_back("at"),
    "day-of-a-database": _remove,
    "day-in-a-workspace": _find_workspace_of_day,
    "no-day-in-the-future": _read_day_again,
    "day-read-after-it-began": _read_day_again,
    "operations-not-negative": _remove,
    "highest-not-below-the-newest": _set(operations_fallen=0),
    "storage-of-a-day-not-negative": _forget_storage,
    "storage-held-until-now": _shorten_storage,
    "day-of-24-hours": _shorten_storage,
    "day-no-longer-than-itself": _shorten_storage,
    "closed-when-unchanged": _read_day_again,
    "settled-after-unchanged": _settle_again,
    "month-of-a-database": _remove,
    "month-in-a-workspace": _find_workspace_of_month,
    "no-month-in-the-future": _read_month_again,
    "month-read-whole": _set(**dict.fromkeys(VENDORS_MONTH)),
    # A window that ends in the future was answered for less time than its name says.
    "window-read-in-the-past": _remove,
    "window-of-a-database": _remove,
    "window-with-a-name": _remove,
    "window-over-some-time": _remove,
    "reading-in-the-past": _remove,
    "reading-of-a-database": _remove,
    "reading-not-negative": _remove,
    "revision-of-a-day": _remove,
    "revision-is-a-change": _remove,
    "revision-in-the-past": _bring_back("revised_at"),
}
"""What is done about a row that breaks a rule, in this order. The other rules are `ADDED_UP`."""
