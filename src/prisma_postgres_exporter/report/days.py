"""A place's days as a person is shown them: each with what is known of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.cost import LAST_READ_WITHIN, placed_days
from prisma_postgres_exporter.model import DatabaseState, LedgerState, WorkspaceDay, WorkspaceState, day_start
from prisma_postgres_exporter.report.usage import UsageRow

DAYS_SHOWN = timedelta(days=60)
ONE_DAY = timedelta(days=1)
AN_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day of a place; what is not known is `None`, and where not `…_known` it is at least so much."""

    day: date
    operations: int | None
    storage_bytes: int | None
    are_operations_known: bool = True
    is_storage_known: bool = True


def days_of_rows(rows: Iterable[UsageRow]) -> Sequence[Day]:
    """Return the days of a project or a database."""
    return [
        Day(
            day=date.fromisoformat(row.period),
            operations=row.operations,
            storage_bytes=row.mean_storage_bytes,
            are_operations_known=row.are_operations_known,
            is_storage_known=row.is_mean_storage_known,
        )
        for row in rows
    ]


def days_of_workspaces(
    days: Iterable[WorkspaceDay], ledger_state: LedgerState, now: datetime
) -> Mapping[str, Sequence[Day]]:
    """Return each workspace's newest days, oldest first, by its id: those that are its own for sure.

    Days between that nobody read are there. One is known where all that lived on it was read after its end (today:
    was read), as the rows of `usage_by_day` are: it says so of a workspace without a look at each of its databases.
    """
    found: dict[int, list[WorkspaceDay]] = defaultdict(list)
    for row in days:
        found[row.workspace_key].append(row)
    states = ledger_state.databases.values()
    moved, lacked = [state for state in states if state.moves], _lacked(states, now)
    return {
        id_: shown
        for id_, workspace in ledger_state.workspaces.items()
        if (shown := _shown(placed_days(workspace.key, found[workspace.key], moved), workspace, lacked, now))
    }


def _shown(
    days: Iterable[WorkspaceDay], workspace: WorkspaceState, lacked: Mapping[int, Collection[date]], now: datetime
) -> Sequence[Day]:
    read = {row.day: row for row in days}
    if not read:
        return ()
    last, first = max(read), max(min(read), max(read) - DAYS_SHOWN)
    in_part = lacked.get(workspace.key, ())
    shown = []
    for day in (first + number * ONE_DAY for number in range((last - first).days + 1)):
        row, starts_at = read.get(day), day_start(day)
        is_listed = not workspace.was_followed_late(starts_at) and not workspace.gaps_in(
            starts_at, min(now, starts_at + ONE_DAY)
        )
        is_whole = row is not None and not row.absent and day not in in_part and is_listed
        shown.append(
            Day(
                day=day,
                operations=row.operations if row else None,
                storage_bytes=row.storage_bytes if row else None,
                are_operations_known=is_whole,
                is_storage_known=is_whole and row is not None and row.is_storage_known,
            )
        )
    return shown


def _lacked(states: Iterable[DatabaseState], now: datetime) -> Mapping[int, Collection[date]]:
    """The days that workspaces lack of databases that are followed, by the workspace's key."""
    lacked: dict[int, set[date]] = defaultdict(set)
    for state in states:
        for day in _lacking(state, now):
            for workspace_key in state.holders_on(day):
                lacked[workspace_key].add(day)
    return lacked


def _lacking(state: DatabaseState, now: datetime) -> Iterator[date]:
    """The days that a database has no row of, or one that says less than there was; not before its ledger begins."""
    today, ends_at = now.date(), state.deleted_at or now
    read = set()
    for row in state.recent_days:
        read.add(row.day)
        is_end_read = ends_at < day_start(row.day) + ONE_DAY and row.read_at >= ends_at - LAST_READ_WITHIN
        if row.unchanged_since_at is None and row.day != today and not is_end_read:
            yield row.day
    day = max(state.known_until + ONE_DAY, state.begins_on)
    while day <= (ends_at - AN_INSTANT).date():
        if day not in read:
            yield day
        day += ONE_DAY
