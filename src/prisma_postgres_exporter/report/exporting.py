"""The ledger's rows for other programs: named columns of one type each, and rows that come as they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NamedTuple

from prisma_postgres_exporter.cost import used_in_month, vendor_month
from prisma_postgres_exporter.model import (
    DayUsage,
    DiscoveryGap,
    Event,
    KnownDatabase,
    LedgerState,
    MonthUsage,
    Revision,
    WorkspaceState,
    month_start,
    next_month_start,
)

Row = tuple[object, ...]

OWNERS: Mapping[str, type] = {
    "workspace_id": str,
    "workspace_name": str,
    "project_id": str,
    "project_name": str,
    "database_id": str,
    "database_name": str,
    "region": str,
}
DAY_COLUMNS: Mapping[str, type] = {
    "day": date,
    **OWNERS,
    "operations": int,
    "operations_high": int,
    "is_counted": bool,
    "storage_bytes": int,
    "known_mean_storage_bytes": int,
    "storage_seconds": int,
    "read_at": datetime,
    "settled_at": datetime,
}
"""`known_mean_storage_bytes` is the mean level of the `storage_seconds` of the day that are known."""
MONTH_COLUMNS: Mapping[str, type] = {
    "month": str,
    **OWNERS,
    "operations": int,
    "vendor_operations": int,
    "days_operations": int,
    "days_held": int,
    "reconciliation_difference_operations": int,
    "known_mean_storage_bytes": int,
    "storage_seconds": int,
    "read_at": datetime,
    "days_known": int,
    "days": int,
    "is_usage_complete": bool,
}
"""A row for each workspace that held a database in the month. `operations` is what is known of the month, as
`cost --month` has it: at least so much where not `is_usage_complete`, `days_known` of `days` days of the database.
`vendor_operations` is the vendor's own number, read at `read_at`: of a database that moved it is of all of the month,
and in one row, that of who held it at last. `days_operations` is the sum of the `days_held` days that the ledger has,
`reconciliation_difference_operations` the vendor's number less our days, as they were last compared. Each of them
adds up over all rows."""
REVISION_COLUMNS: Mapping[str, type] = {
    "day": date,
    **OWNERS,
    "revised_at": datetime,
    "operations_before": int,
    "operations_after": int,
}
EVENT_COLUMNS: Mapping[str, type] = {
    "at": datetime,
    "kind": str,
    "subject": str,
    "subject_id": str,
    "workspace_id": str,
    "before": str,
    "after": str,
}


class Owner(NamedTuple):
    """Who a row is of: the fields of `OWNERS`, in their order. The workspace is the one that held the database then."""

    workspace_id: str
    workspace_name: str
    project_id: str
    project_name: str
    database_id: str
    database_name: str
    region: str | None


@dataclass(frozen=True, slots=True)
class Owners:
    """Who the keys of the ledger's rows are, by their newest names; `states` are the workspaces by id."""

    databases: Mapping[int, KnownDatabase]
    workspaces: Mapping[int, tuple[str, str]]
    states: Mapping[str, WorkspaceState]

    @classmethod
    def of(
        cls,
        databases: Iterable[KnownDatabase],
        ledger_state: LedgerState,
        gaps: Mapping[str, Sequence[DiscoveryGap]] | None = None,
    ) -> Owners:
        """Return those of a store. A database of a workspace that is gone counts to the end of that month.

        `gaps` are those of the days that are asked for, where the ledger state is of another time.
        """
        states = ledger_state.workspaces
        if gaps is not None:
            states = {id_: replace(row, discovery_gaps=tuple(gaps.get(id_, ()))) for id_, row in states.items()}
        ends_at = {
            row.key: next_month_start(row.gone_at)
            for row in ledger_state.workspaces.values()
            if row.gone_at is not None
        }
        return cls(
            {known.key: _ended(known, ends_at.get(known.workspace_key)) for known in databases},
            {row.key: (id_, row.workspace.name) for id_, row in states.items()},
            states,
        )

    def owner(self, database_key: int, workspace_key: int) -> Owner:
        """Return who a row with these keys is of."""
        database = self.databases[database_key].database
        return Owner(
            *self.workspaces[workspace_key],
            database.project_id,
            database.project_name,
            database.id,
            database.name,
            database.region,
        )


def day_rows(days: Iterable[DayUsage], owners: Owners) -> Iterator[Row]:
    """Yield rows of `DAY_COLUMNS`."""
    for usage in days:
        yield (
            usage.day,
            *owners.owner(usage.database_key, usage.workspace_key),
            usage.operations,
            usage.operations_high,
            usage.is_counted,
            usage.storage_bytes,
            _mean(usage.storage_byte_seconds, usage.storage_seconds),
            usage.storage_seconds,
            usage.read_at,
            usage.settled_at,
        )


def month_rows(ledger_state: LedgerState, until: datetime, owners: Owners) -> Iterator[Row]:
    """Yield rows of `MONTH_COLUMNS` of the month of `until`, by database; `ledger_state` is the one of that instant."""
    used = [
        (ledger_state.databases[id_], workspace_key, usage)
        for workspace_key, by_database in used_in_month(ledger_state, until).items()
        for id_, usage in by_database.items()
    ]
    for state, workspace_key, usage in sorted(used, key=lambda row: (row[0].key, row[1])):
        month = month_start(until).date()
        held = [row for row in state.months if (row.month, row.workspace_key) == (month, workspace_key)]
        own = held[0] if held else MonthUsage(database_key=state.key, month=month, workspace_key=workspace_key)
        vendor = vendor_month(state, until)
        if vendor is not None and vendor.workspace_key != workspace_key:
            vendor = None
        yield (
            f"{month:%Y-%m}",
            *owners.owner(state.key, workspace_key),
            usage.operations,
            vendor.operations if vendor is not None else None,
            own.days_operations,
            own.days,
            vendor.difference_operations if vendor is not None else None,
            _mean(own.storage_byte_seconds, own.storage_seconds),
            own.storage_seconds,
            vendor.read_at if vendor is not None else None,
            usage.days_known,
            usage.days,
            usage.is_complete,
        )


def revision_rows(revisions: Iterable[Revision], owners: Owners) -> Iterator[Row]:
    """Yield rows of `REVISION_COLUMNS`."""
    for revision in revisions:
        key = revision.database_key
        yield (
            revision.day,
            *owners.owner(key, owners.databases[key].workspace_key),
            revision.revised_at,
            revision.operations_before,
            revision.operations_after,
        )


def event_rows(events: Iterable[Event]) -> Iterator[Row]:
    """Yield rows of `EVENT_COLUMNS`."""
    for event in events:
        yield event.at, event.kind.value, event.subject, event.subject_id, event.workspace_id, event.before, event.after


def _ended(known: KnownDatabase, at: datetime | None) -> KnownDatabase:
    is_over = at is None or (known.deleted_at is not None and known.deleted_at <= at)
    return known if is_over else replace(known, deleted_at=at)


def _mean(byte_seconds: int, seconds: int) -> int | None:
    return byte_seconds // seconds if seconds else None
