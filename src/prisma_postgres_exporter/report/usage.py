"""Usage by day or month, for whoever asks for a part of the ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby

from prisma_postgres_exporter.cost import (
    ABOUT,
    AT_LEAST,
    LAST_READ_WITHIN,
    NOTHING,
    TODAY_READ_WITHIN,
    By,
    CostRow,
    Usage,
    total_of,
    unlisted,
)
from prisma_postgres_exporter.model import SHORT_GAP, DayUsage, KnownDatabase, day_start
from prisma_postgres_exporter.report.exporting import Owner, Owners
from prisma_postgres_exporter.report.months import LedgerMonth

ONE_DAY = timedelta(days=1)
Place = tuple[str, str, str | None, str | None, str | None, str | None]

Life = tuple[Owner, datetime, datetime]
"""Whose a database is, and from when to when it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What a workspace, project or database used in a UTC day (`2026-11-05`) or month (`2026-11`).

    `operations` are those of `days_known` of the `days` of databases in it. `mean_storage_bytes` is the mean level over
    the day or month so far, each database at its own mean of its time that is known: the part `storage_covered_ratio`;
    beside a database without any level a day of which others are known in part is `None`, and of a month only what is
    known over the time so far counts.
    Where not `are_operations_known` they are at least so many; `mean_storage_qualifier` is what is said before a mean
    that is not known whole. `known_byte_seconds` are the levels times the seconds that are known.
    """

    period: str
    workspace_id: str
    workspace_name: str
    project_id: str | None
    project_name: str | None
    database_id: str | None
    database_name: str | None
    operations: int | None
    days_known: int
    days: int
    mean_storage_bytes: int | None
    storage_covered_ratio: float | None
    is_usage_complete: bool
    usage_missing: tuple[str, ...] = ()
    unplaced_databases: int = 0
    are_operations_known: bool = True
    mean_storage_qualifier: str = ""
    known_byte_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which databases count: `None` is every one. Those of other `workspaces` do not."""

    workspace_id: str | None = None
    project_id: str | None = None
    database_id: str | None = None
    workspaces: Collection[str] | None = None

    def has(self, workspace_id: str, project_id: str | None, database_id: str | None) -> bool:
        """Whether one of them is asked for."""
        return (
            self.workspace_id in (None, workspace_id)
            and self.project_id in (None, project_id)
            and self.database_id in (None, database_id)
            and (self.workspaces is None or workspace_id in self.workspaces)
        )

    def unknown(self, workspaces: Iterable[str], databases: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
        """What is asked for and not among `workspaces` and `databases`: the ids of a workspace, project and database.

        As texts like `workspace 'wksp_1'`.
        """
        mine = [places for places in databases if self.workspaces is None or places[0] in self.workspaces]
        known = (
            {id_ for id_ in workspaces if self.workspaces is None or id_ in self.workspaces},
            {project_id for _, project_id, _ in mine},
            {database_id for _, _, database_id in mine},
        )
        asked = (self.workspace_id, self.project_id, self.database_id)
        named = zip(("workspace", "project", "database"), asked, known, strict=True)
        return tuple(f"{kind} {id_!r}" for kind, id_, ids in named if id_ is not None and id_ not in ids)


def usage_by_day(
    days: Iterable[DayUsage],
    owners: Owners,
    by: By,
    chosen: Chosen,
    span: tuple[date, date],
    *,
    most_rows: int,
    now: datetime,
) -> tuple[list[UsageRow], date | None]:
    """Return rows of whole days, and the day to go on from, `None` at the end.

    `days` are those of the ledger from the first to the last day of `span`, by day. A day is begun while there are
    fewer than `most_rows` rows. A day of a database that nobody read counts in the `days` of its row all the same,
    and where nobody read any database of a row, that row is there and says so. A day that a database moved on, as far
    as anybody knows, may be of either workspace: it counts in the `days` of both, and is known in neither.
    """
    rows: list[UsageRow] = []
    lives = {
        known.key: (
            owners.owner(known.key, known.workspace_key),
            known.database.created_at,
            min(known.deleted_at or now, now),
        )
        for known in owners.databases.values()
    }
    # What was found since the owners were read is told the next time.
    read = groupby((usage for usage in days if usage.database_key in owners.databases), key=_day)
    held = next(read, None)
    first, last = span
    for day in (first + number * ONE_DAY for number in range((last - first).days + 1)):
        if len(rows) >= most_rows:
            return rows, day
        usages: Iterable[DayUsage] = ()
        is_held = held is not None and held[0] == day
        if held is not None and is_held:
            usages = held[1]
        rows += _rows_of_day(day, usages, owners, by, chosen, lives, now)
        if is_held:
            held = next(read, None)
    return rows, None


def usage_of_month(month: LedgerMonth, by: By, chosen: Chosen) -> list[UsageRow]:
    """Return the rows of a month, as they are billed."""
    return [
        UsageRow(
            period=month.name,
            workspace_id=row.workspace_id,
            workspace_name=row.workspace_name,
            project_id=row.project_id,
            project_name=row.project_name,
            database_id=row.database_id,
            database_name=row.database_name,
            operations=row.operations,
            days_known=row.usage.days_known,
            days=row.usage.days,
            mean_storage_bytes=row.mean_storage_bytes,
            storage_covered_ratio=row.usage.storage_covered_ratio,
            is_usage_complete=row.usage.is_complete,
            usage_missing=row.usage.missing,
            unplaced_databases=row.usage.unplaced_databases,
            are_operations_known=row.usage.are_operations_known,
            mean_storage_qualifier=row.usage.mean_storage_qualifier,
            known_byte_seconds=row.usage.known_byte_seconds,
        )
        for row in sorted(_chosen_rows(month, by, chosen), key=lambda row: row.place)
    ]


def _chosen_rows(month: LedgerMonth, by: By, chosen: Chosen) -> Iterable[CostRow]:
    """The rows of what was asked for: of a database in a workspace or project only its own part."""
    databases = [
        row
        for row in month.rows(By.DATABASE)
        if row.database_id is not None and chosen.has(row.workspace_id, row.project_id, row.database_id)
    ]
    grouped: dict[Place, list[CostRow]] = defaultdict(list)
    for row in databases:
        grouped[_place(row, by)].append(row)
    for (_, _, project_id, project_name, database_id, database_name), rows in grouped.items():
        yield replace(
            rows[0],
            project_id=project_id,
            project_name=project_name,
            database_id=database_id,
            database_name=database_name,
            usage=total_of(rows)[0] + _unlisted(month, rows[0].workspace_id, by, chosen),
        )


def _unlisted(month: LedgerMonth, workspace_id: str, by: By, chosen: Chosen) -> Usage:
    """What a workspace or project may have had that nobody saw."""
    if by is By.DATABASE or chosen.database_id is not None:
        return NOTHING
    return unlisted(month.ledger_state.workspaces[workspace_id], month.until)


def _day(usage: DayUsage) -> date:
    return usage.day


def _rows_of_day(
    day: date,
    usages: Iterable[DayUsage],
    owners: Owners,
    by: By,
    chosen: Chosen,
    lives: Mapping[int, Life],
    now: datetime,
) -> Iterator[UsageRow]:
    """The day's rows by workspace, project and database; levels of several databases are added up."""
    starts_at, ends_at = day_start(day), day_start(day) + ONE_DAY
    seconds_there = {
        key: int((min(until, ends_at) - max(begins_at, starts_at)).total_seconds())
        for key, (_, begins_at, until) in lives.items()
    }
    elapsed_seconds = max(1, int((min(now, ends_at) - starts_at).total_seconds()))
    there = {key: seconds for key, seconds in seconds_there.items() if seconds > 0}
    moved = {key: known for key in there if (known := owners.databases[key]).moves}
    in_doubt = {
        key: {key for move in moves for key in (move.from_key, move.to_key)}
        for key, known in moved.items()
        if (moves := known.unplaced_moves(day))
    }
    grouped: dict[Place, list[DayUsage]] = defaultdict(list)
    # Whoever lived on that day and has no row of it lacks one where it was.
    missing, at_rest = dict(there), set()
    for usage in usages:
        is_known = usage.unchanged_since_at is not None or day == now.date()
        if usage.database_key in in_doubt:
            if is_known and not usage.operations:
                at_rest.add(usage.database_key)
            continue
        missing.pop(usage.database_key, None)
        owner = owners.owner(usage.database_key, usage.workspace_key)
        if chosen.has(owner.workspace_id, owner.project_id, owner.database_id):
            grouped[_place(owner, by)].append(usage)
    for key, seconds in tuple(missing.items()):
        deleted_at = owners.databases[key].deleted_at
        # So little counts as nothing.
        if deleted_at is not None and deleted_at < ends_at and seconds <= LAST_READ_WITHIN.total_seconds():
            del missing[key]
    lacking: dict[Place, list[int]] = defaultdict(list)
    unplaced, unplaced_at_rest = Counter[Place](), Counter[Place]()
    for key, seconds in missing.items():
        holders = [owners.owner(key, holder) for holder in in_doubt.get(key, ())]
        is_placed = not holders
        if is_placed:
            holders = [owners.owner(key, moved[key].holder_on(day)) if key in moved else lives[key][0]]
        for owner in holders:
            if chosen.has(owner.workspace_id, owner.project_id, owner.database_id):
                place = _place(owner, by)
                lacking[place].append(seconds)
                unplaced[place] += not is_placed
                unplaced_at_rest[place] += key in at_rest
    for place in sorted({*grouped, *lacking}, key=_order):
        rows = grouped[place]
        workspace_id, workspace_name, project_id, project_name, database_id, database_name = place
        lived = [max(row.storage_seconds, seconds_there[row.database_key]) for row in rows]
        is_level_lacking = bool(lacking[place]) or not all(map(_has_level, rows))
        is_any_stretched = any(is_stretched(row, seconds, now) for row, seconds in zip(rows, lived, strict=True))
        at_own_mean = [
            row.storage_byte_seconds * seconds // row.storage_seconds
            for row, seconds in zip(rows, lived, strict=True)
            if row.storage_seconds
        ]
        covered, whole = sum(row.storage_seconds for row in rows), sum(lived) + sum(lacking[place])
        # One that was read before its end only may have gone on, unless it was deleted soon after.
        days_known = sum(
            row.unchanged_since_at is not None
            or (day == now.date() and row.read_at >= now - TODAY_READ_WITHIN)
            or _is_last(row, owners.databases[row.database_key])
            for row in rows
        )
        # One that did nothing did nothing in either workspace.
        days_known += unplaced_at_rest[place]
        count = len(rows) + len(lacking[place])
        # Nobody saw a database of a workspace that is in no list; every one that is asked for by itself was seen.
        may_lack = by is not By.DATABASE and chosen.database_id is None
        state = owners.states[workspace_id]
        is_late = may_lack and state.was_followed_late(starts_at)
        is_unwatched = may_lack and bool(state.gaps_in(starts_at, min(now, ends_at)))
        is_listed = not (is_late or is_unwatched)
        reasons = (
            ("days", days_known < count),
            ("storage", whole - covered > sum(_bridged(row, now) for row in rows) or not all(map(_has_level, rows))),
            ("moved", unplaced[place] > 0),
            ("followed_late", is_late),
            ("discovery_gap", is_unwatched),
        )
        usage_missing = tuple(name for name, is_so in reasons if is_so)
        yield UsageRow(
            period=f"{day}",
            workspace_id=workspace_id,
            workspace_name=workspace_name,
            project_id=project_id,
            project_name=project_name,
            database_id=database_id,
            database_name=database_name,
            operations=sum(row.operations for row in rows) if rows or unplaced_at_rest[place] else None,
            days_known=days_known,
            days=count,
            # Beside a database without a level, what is estimated of others would be neither bound.
            mean_storage_bytes=None
            if not at_own_mean or (is_level_lacking and is_any_stretched)
            else sum(at_own_mean) // elapsed_seconds,
            storage_covered_ratio=round(covered / whole, 6) if whole else None,
            is_usage_complete=not usage_missing,
            usage_missing=usage_missing,
            unplaced_databases=unplaced[place],
            are_operations_known=is_listed and days_known >= count,
            mean_storage_qualifier=storage_qualifier(
                is_level_lacking=is_level_lacking,
                is_listed=is_listed,
                is_any_stretched=is_any_stretched,
            ),
            known_byte_seconds=sum(row.storage_byte_seconds for row in rows),
        )


def _is_last(row: DayUsage, known: KnownDatabase) -> bool:
    """Whether a day was read so shortly before its database's deletion was noticed that nothing is missing."""
    return known.deleted_at is not None and row.read_at >= known.deleted_at - LAST_READ_WITHIN


def _has_level(row: DayUsage) -> bool:
    return row.storage_seconds > 0


def is_stretched(row: DayUsage, lived_seconds: int, now: datetime) -> bool:
    """Whether a database's mean of a day stands for more than an hour of which no level is known."""
    return 0 < row.storage_seconds < lived_seconds - _bridged(row, now)


def _bridged(row: DayUsage, now: datetime) -> float:
    """How many seconds without a level count as nothing: today's newest one holds, as the next is about to come."""
    since = now - row.read_at
    is_held = row.day == now.date() and since <= TODAY_READ_WITHIN
    return (SHORT_GAP + (since if is_held else timedelta())).total_seconds()


def storage_qualifier(*, is_level_lacking: bool, is_listed: bool, is_any_stretched: bool) -> str:
    """What is said before a day's mean level: about so much where a mean is stretched, at least where one lacks.

    Where both is so there is no level.
    """
    if is_any_stretched and not is_level_lacking:
        return ABOUT
    return AT_LEAST if is_level_lacking or not is_listed else ""


def _place(owner: Owner | CostRow, by: By) -> Place:
    project = (owner.project_id, owner.project_name) if by is not By.WORKSPACE else (None, None)
    database = (owner.database_id, owner.database_name) if by is By.DATABASE else (None, None)
    return owner.workspace_id, owner.workspace_name, *project, *database


def _order(place: Place) -> tuple[str, str, str]:
    workspace_id, _, project_id, _, database_id, _ = place
    return workspace_id, project_id or "", database_id or ""
