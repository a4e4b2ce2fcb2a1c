"""A place's days as a person is shown them: each with what is known of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from prisma_postgres_exporter.cost import AT_LEAST, LAST_READ_WITHIN, TODAY_READ_WITHIN, placed_days
from prisma_postgres_exporter.model import DatabaseState, LedgerState, WorkspaceDay, WorkspaceState, day_start
from prisma_postgres_exporter.report.usage import UsageRow, is_stretched, storage_qualifier

DAYS_SHOWN = timedelta(days=60)
ONE_DAY = timedelta(days=1)
AN_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One UTC day of a place: operations, and the mean level of storage; what is not known is `None`.

    Where not `are_operations_known` it is at least so much; `storage_qualifier` is what is said before a level that is
    not known whole. `storage_byte_seconds` are the levels times the seconds that are known.
    """

    day: date
    operations: int | None
    storage_bytes: int | None
    are_operations_known: bool = True
    storage_qualifier: str = ""
    storage_byte_seconds: int = 0

    @property
    def operations_qualifier(self) -> str:
        """What is said before operations that are not all known."""
        return "" if self.are_operations_known else AT_LEAST


def days_of_rows(rows: Iterable[UsageRow]) -> Sequence[Day]:
    """Return the days of one place, as `usage_by_day` has them."""
    return [
        Day(
            day=date.fromisoformat(row.period),
            operations=row.operations,
            storage_bytes=row.mean_storage_bytes,
            are_operations_known=row.are_operations_known,
            storage_qualifier=row.mean_storage_qualifier,
            storage_byte_seconds=row.known_byte_seconds,
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
    moved, lacked, stretched = [state for state in states if state.moves], _lacked(states, now), _stretched(states, now)
    return {
        id_: shown
        for id_, workspace in ledger_state.workspaces.items()
        if (shown := _shown(placed_days(workspace.key, found[workspace.key], moved), workspace, lacked, stretched, now))
    }


DaysOf = Mapping[tuple[int, date], bool]
"""Days of workspaces, by their keys."""


def _shown(
    days: Iterable[WorkspaceDay],
    workspace: WorkspaceState,
    lacked: DaysOf,
    stretched: Mapping[int, tuple[int, bool]],
    now: datetime,
) -> Sequence[Day]:
    read = {row.day: row for row in days}
    if not read:
        return ()
    last, first = max(read), max(min(read), max(read) - DAYS_SHOWN)
    shown = []
    for day in (first + number * ONE_DAY for number in range((last - first).days + 1)):
        row, starts_at, ends_at = read.get(day), day_start(day), min(now, day_start(day) + ONE_DAY)
        if row is None:
            shown.append(Day(day=day, operations=None, storage_bytes=None, are_operations_known=False))
            continue
        is_listed = not workspace.was_followed_late(starts_at) and not workspace.gaps_in(starts_at, ends_at)
        is_unread = lacked.get((workspace.key, day))
        is_whole = is_listed and not row.absent and is_unread is None
        is_level_lacking = bool(row.absent or is_unread or not row.is_storage_known)
        more, is_in_part = row.stretched_byte_seconds, row.is_storage_in_part
        if day == now.date():
            more, is_in_part = stretched.get(workspace.key, (0, False))
        # Beside a database without a level, what is estimated of others would be neither bound.
        is_level_known = bool(row.storage_seconds) and not (is_level_lacking and is_in_part)
        elapsed_seconds = max(1, int((ends_at - starts_at).total_seconds()))
        shown.append(
            Day(
                day=day,
                operations=row.operations,
                storage_bytes=(row.storage_byte_seconds + more) // elapsed_seconds if is_level_known else None,
                are_operations_known=is_whole,
                storage_qualifier=storage_qualifier(
                    is_level_lacking=is_level_lacking, is_listed=is_listed, is_any_stretched=is_in_part
                ),
                storage_byte_seconds=row.storage_byte_seconds,
            )
        )
    return shown


def _lacked(states: Iterable[DatabaseState], now: datetime) -> DaysOf:
    """The days that workspaces lack of databases that are followed, and whether there is one without any row."""
    found: dict[tuple[int, date], bool] = {}
    for state in states:
        for day, is_unread in _lacking(state, now):
            for key in state.holders_on(day):
                found[key, day] = is_unread or found.get((key, day), False)
    return found


def _lacking(state: DatabaseState, now: datetime) -> Iterator[tuple[date, bool]]:
    """The days that a database has no row of, or one that says less than there was, and whether it has none.

    Not before its ledger begins.
    """
    # What is so short before a deletion counts as nothing.
    today, ends_at = now.date(), now if state.deleted_at is None else state.deleted_at - LAST_READ_WITHIN
    read = set()
    for row in state.recent_days:
        read.add(row.day)
        is_end_read = state.deleted_at is not None and row.read_at >= ends_at
        is_today_read = row.day == today and row.read_at >= now - TODAY_READ_WITHIN
        if row.unchanged_since_at is None and not is_today_read and not is_end_read:
            yield row.day, False
    day = max(state.known_until + ONE_DAY, state.begins_on)
    while day <= (ends_at - AN_INSTANT).date():
        if day not in read:
            yield day, True
        day += ONE_DAY


def _stretched(states: Iterable[DatabaseState], now: datetime) -> Mapping[int, tuple[int, bool]]:
    """By workspace key, what levels come to over the time of today that is not known, and whether that is long."""
    found: dict[int, tuple[int, bool]] = {}
    for state in states:
        row = next((row for row in reversed(state.recent_days) if row.day == now.date()), None)
        if row is None or not row.storage_seconds or state.is_unplaced(row.day):
            continue
        begins_at = max(state.database.created_at, day_start(row.day))
        lived_seconds = int((min(state.deleted_at or now, now) - begins_at).total_seconds())
        more = row.storage_byte_seconds * max(0, lived_seconds - row.storage_seconds) // row.storage_seconds
        before, is_long = found.get(row.workspace_key, (0, False))
        found[row.workspace_key] = before + more, is_long or is_stretched(row, lived_seconds, now)
    return found
