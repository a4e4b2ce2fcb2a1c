"""Read what is kept beside the ledger state: days, revisions and months of any time, and events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Double,
    ScalarSelect,
    Table,
    case,
    cast,
    func,
    select,
)

from prisma_postgres_exporter.model import (
    SHORT_GAP,
    DayUsage,
    Event,
    Happened,
    MonthUsage,
    Moves,
    Revision,
    WorkspaceDay,
)
from prisma_postgres_exporter.store import rows
from prisma_postgres_exporter.store.absent import absent_databases
from prisma_postgres_exporter.store.tables import (
    databases,
    days,
    events,
    months,
    readings,
    revisions,
    windows,
    workspaces,
)

LOOKED_UP_ROWS = 500
MOST_READINGS = 500_000
DAY_SECONDS = 86_400
SHORT_GAP_SECONDS = int(SHORT_GAP.total_seconds())
MIB = 2**20


def stream_days(connection: Connection, from_day: date | None, to_day: date | None) -> Iterator[DayUsage]:
    """Days of all databases, both ends included, by day and database key."""
    query = select(days).order_by(days.c.day, days.c.database_key)
    if from_day is not None:
        query = query.where(days.c.day >= rows.day_number(from_day))
    if to_day is not None:
        query = query.where(days.c.day <= rows.day_number(to_day))
    return rows.read_days(rows.fetched(connection, query))


def stream_database_days(
    connection: Connection, database_id: str, from_day: date | None, to_day: date | None
) -> Iterator[DayUsage]:
    """Days of one database, both ends included, by day."""
    return rows.read_days(_stream_database(connection, days, database_id, from_day, to_day))


def stream_revisions(
    connection: Connection, database_id: str | None, from_day: date | None, to_day: date | None
) -> Iterator[Revision]:
    """Revisions of these days, both ends included, by day, database key and when they were noticed."""
    if database_id is not None:
        found = _stream_database(connection, revisions, database_id, from_day, to_day)
    else:
        query = select(revisions).order_by(*revisions.primary_key)
        if from_day is not None:
            query = query.where(revisions.c.day >= rows.day_number(from_day))
        if to_day is not None:
            query = query.where(revisions.c.day <= rows.day_number(to_day))
        found = rows.fetched(connection, query)
    return map(rows.read_revision, found)


def stream_events(
    connection: Connection, from_at: datetime | None, to_at: datetime | None, subject_id: str | None
) -> Iterator[Event]:
    """Events, `from_at` included and `to_at` not, oldest first; of one instant workspaces come before databases."""
    query = select(events).order_by(events.c.at, events.c.subject.desc(), events.c.subject_id, events.c.kind)
    if from_at is not None:
        query = query.where(events.c.at >= rows.unix_seconds(from_at))
    if to_at is not None:
        query = query.where(events.c.at < rows.unix_seconds(to_at))
    if subject_id is not None:
        query = query.where(events.c.subject_id == subject_id)
    return map(rows.read_event, rows.fetched(connection, query))


def newest(
    connection: Connection,
    *,
    workspace_id: str | None,
    project_id: str | None,
    database_id: str | None,
    from_day: date,
    most: int,
) -> Happened:
    """The newest revisions of days from `from_day` on and the newest events of what is chosen, `most` of each."""
    here = [
        column == id_
        for column, id_ in (
            (workspaces.c.id, workspace_id),
            (databases.c.project_id, project_id),
            (databases.c.id, database_id),
        )
        if id_ is not None
    ]
    held = select(databases.c.key, databases.c.id).join(workspaces).where(*here).subquery()
    revised = (
        select(revisions, held.c.id)
        .join(held, held.c.key == revisions.c.database_key)
        .where(revisions.c.day >= rows.day_number(from_day))
        .order_by(revisions.c.revised_at.desc(), revisions.c.day, held.c.id)
        .limit(most)
    )
    of_what = events.c.subject_id.in_(select(held.c.id)) | events.c.subject_id.in_([project_id, database_id])
    noticed = select(events).order_by(events.c.at.desc(), events.c.subject, events.c.subject_id).limit(most)
    noticed = noticed.where(of_what if project_id or database_id else events.c.workspace_id == workspace_id)
    found = tuple(map(rows.read_event, connection.execute(noticed)))
    changed = tuple((row[-1], rows.read_revision(row[:-1])) for row in connection.execute(revised))
    ids = {id_ for id_, _ in changed} | {
        text for event in found for text in (event.subject_id, event.before, event.after) if text
    }
    columns = (databases.c.id, databases.c.name, databases.c.project_id, databases.c.project_name)
    named = select(*columns).where(databases.c.id.in_(ids) | databases.c.project_id.in_(ids))
    names: dict[str, str] = {}
    for key, name, of_project, project_name in connection.execute(named):
        names |= {key: name, of_project: project_name}
    return Happened(
        revisions=changed,
        events=found,
        names=names,
    )


def open_day_moves(connection: Connection, since: datetime) -> Moves:
    """When the open days of the databases that exist were found to have moved, in the newest readings since then."""
    newest_rows = (
        select(readings).where(readings.c.read_at >= rows.unix_seconds(since)).order_by(readings.c.read_at.desc())
    )
    read = newest_rows.limit(MOST_READINGS).subquery()
    columns = (workspaces.c.id, databases.c.id, read.c.read_at, read.c.operations, read.c.period_start_at)
    query = (
        select(*columns)
        .join(databases, databases.c.key == read.c.database_key)
        .join(workspaces, workspaces.c.key == databases.c.workspace_key)
        .join(windows, windows.c.key == read.c.window_key)
        .where(windows.c.name == "day", databases.c.deleted_at.is_(None), read.c.operations.is_not(None))
        .order_by(databases.c.key, read.c.read_at)
    )
    moves: dict[str, dict[str, list[int]]] = defaultdict(dict)
    earliest: int | None = None
    for (workspace_id, database_id), found in groupby(connection.execute(query), key=itemgetter(0, 1)):
        moved = moves[workspace_id].setdefault(database_id, [])
        before: tuple[int, int] | None = None
        for _, _, read_at, operations, starts_at in found:
            if read_at - starts_at >= DAY_SECONDS:
                continue  # of a closed day
            earliest = read_at if earliest is None else min(earliest, read_at)
            if before is not None and before[0] == starts_at and before[1] != operations:
                moved.append(read_at)
            before = starts_at, operations
    return Moves(
        since=None if earliest is None else rows.instant(earliest),
        by_workspace={
            id_: {database: tuple(instants) for database, instants in of.items()} for id_, of in moves.items()
        },
    )


def look_up_days(connection: Connection, pairs: Collection[tuple[int, date]]) -> tuple[DayUsage, ...]:
    """The days that exist of these (database key, day), by day and key."""
    wanted = {(rows.day_number(day), key) for key, day in pairs}
    return tuple(rows.read_days(_looked_up(connection, days, days.c.day, wanted)))


def look_up_months(connection: Connection, pairs: Collection[tuple[int, date]]) -> tuple[MonthUsage, ...]:
    """The rows that exist of the months that these (database key, day) lie in, of any workspace."""
    wanted = {(rows.month_number(day), key) for key, day in pairs}
    return tuple(rows.read_months(_looked_up(connection, months, months.c.month, wanted)))


def _stream_database(
    connection: Connection, table: Table, database_id: str, from_day: date | None, to_day: date | None
) -> Iterator[rows.AnyRow]:
    """One database's rows of a table keyed by day and database: each looked up, as those of all others lie between."""
    key = connection.execute(select(databases.c.key).where(databases.c.id == database_id)).scalar_one_or_none()
    day = table.c.day
    first, last = connection.execute(select(_end(func.min, day), _end(func.max, day))).one()
    if key is None or first is None:
        return
    first = first if from_day is None else max(first, rows.day_number(from_day))
    last = last if to_day is None else min(last, rows.day_number(to_day))
    for begin in range(first, last + 1, LOOKED_UP_ROWS):
        numbers = range(begin, min(begin + LOOKED_UP_ROWS, last + 1))
        query = select(table).where(day.in_(numbers), table.c.database_key == key).order_by(*table.primary_key)
        yield from connection.execute(query)


def _end(first_or_last: Callable[[Column[int]], ColumnElement[int]], day: Column[int]) -> ScalarSelect[int]:
    """In a query of its own, each is one look into the index; asked for both at once, SQLite reads every row."""
    return select(first_or_last(day)).scalar_subquery()


def _looked_up(
    connection: Connection, table: Table, number: Column[int], wanted: Iterable[tuple[int, int]]
) -> Iterator[rows.AnyRow]:
    """Rows of these (number, database key): for each number its keys, as SQLite would scan for a list of pairs."""
    for value, pairs in groupby(sorted(wanted), key=itemgetter(0)):
        keys = [key for _, key in pairs]
        for begin in range(0, len(keys), LOOKED_UP_ROWS):
            chunk = keys[begin : begin + LOOKED_UP_ROWS]
            query = select(table).where(number == value, table.c.database_key.in_(chunk))
            yield from connection.execute(query.order_by(*table.primary_key)).all()


def workspace_days(connection: Connection, from_day: date) -> Iterator[WorkspaceDay]:
    """Each workspace's days from `from_day` on, summed over its databases, by day and workspace key."""
    # Bytes times seconds of a thousand large databases do not fit 64 bits.
    mib_seconds = func.sum(days.c.storage_byte_seconds // MIB)
    # Levels are added up in floating point, where no number of a vendor is too large.
    known_seconds = func.nullif(days.c.storage_seconds, 0)
    level = func.sum(cast(days.c.storage_byte_seconds, Double) / known_seconds)
    shorter = func.count(case((days.c.storage_seconds < DAY_SECONDS, 1)))
    own = (func.count(), func.sum(days.c.database_key), func.count(known_seconds), shorter)
    sums = (func.sum(days.c.operations), mib_seconds, func.sum(days.c.storage_seconds), level)
    query = (
        select(days.c.day, days.c.workspace_key, *own, *sums)
        .where(days.c.day >= rows.day_number(from_day))
        .group_by(days.c.day, days.c.workspace_key)
        .order_by(days.c.day, days.c.workspace_key)
    )
    found = connection.execute(query).all()
    absent = absent_databases(connection, {(row[0], row[1]): (row[2], int(row[3])) for row in found})
    stretched = _stretched(connection, {row[0] for row in found if row[5]})
    for day, workspace_key, count, _, levels, _, operations, storage_mib_seconds, storage_seconds, storage in found:
        yield WorkspaceDay(
            workspace_key=workspace_key,
            day=rows.day_of(day),
            operations=int(operations),
            storage_byte_seconds=int(storage_mib_seconds) * MIB,
            storage_seconds=int(storage_seconds),
            storage_bytes=round(storage) if levels else None,
            is_storage_known=levels == count,
            stretched_byte_seconds=stretched.get((day, workspace_key), (0, 0))[0],
            is_storage_in_part=stretched.get((day, workspace_key), (0, 0))[1] > SHORT_GAP_SECONDS,
            absent=absent.get((day, workspace_key), ()),
        )


def _stretched(connection: Connection, of_days: Collection[int]) -> Mapping[tuple[int, int], tuple[int, int]]:
    """By day and workspace key what levels come to over the time that is not known of them, and the longest such time.

    In byte-seconds and seconds; of databases that lived longer on that day than their level is known.
    """
    begins_at = cast(days.c.day, BigInteger) * DAY_SECONDS
    ends_at = begins_at + DAY_SECONDS
    born_at, gone_at = databases.c.created_at, databases.c.deleted_at
    lived = case((gone_at < ends_at, gone_at), else_=ends_at) - case((born_at > begins_at, born_at), else_=begins_at)
    missing = lived - days.c.storage_seconds
    level = cast(days.c.storage_byte_seconds, Double) / days.c.storage_seconds
    query = (
        select(days.c.day, days.c.workspace_key, func.sum(level * missing), func.max(missing))
        .join(databases, databases.c.key == days.c.database_key)
        .where(days.c.day.in_(of_days), days.c.storage_seconds > 0, missing > 0)
        .group_by(days.c.day, days.c.workspace_key)
    )
    return {(row[0], row[1]): (round(row[2]), int(row[3])) for row in connection.execute(query)}
