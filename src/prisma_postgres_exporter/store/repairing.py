"""Set right what breaks a rule: find what has to change, so that it can be shown, and write it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, not_, or_, select

from prisma_postgres_exporter.store import rows, tables
from prisma_postgres_exporter.store.auditing import are_strange, audit, broken_rows
from prisma_postgres_exporter.store.backend import Backend
from prisma_postgres_exporter.store.invariants import CLOCK_TOLERANCE, FILE_IS_WHOLE, VALUES_OF_THEIR_KIND
from prisma_postgres_exporter.store.mending import ADDED_UP, REPAIRS, Clock, Held, Key, Row, add_up, key_of, mend
from prisma_postgres_exporter.store.tables import databases, days, events, months, plans, positions, revisions
from prisma_postgres_exporter.store.violations import Violation, shown_period, shown_row, shown_values

ROUNDS = 3
"""Where a row cannot be read, no other is looked at: what it hid is found when it is gone."""

DATABASES_AT_ONCE = 250
OF_A_DATABASE = (databases, positions, days, months, revisions)
"""What is loaded of a database whole; of other tables, only the rows that break a rule."""

REMOVABLE = frozenset(
    {positions, days, months, tables.rolling, tables.readings, revisions, events, plans, tables.cost_configuration}
)
"""Tables whose rows may go where they cannot be read: they are read, computed or written again."""

Broken = tuple[str, Table, Row]
"""A rule with a row that breaks it."""

ORDER = {rule: number for number, rule in enumerate(REPAIRS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row to be changed, removed (`after` is `None`) or added (`before` is `None`).

    `before` and `after` are columns with their values, for people; of a change those that differ. `database_id` and
    `period` (a day, or a month as YYYY-MM) are known where the row has them.
    """

    table: str
    row: str
    database_id: str | None
    period: str | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What a repair changes, or has changed. `remaining` cannot be repaired."""

    changes: tuple[Change, ...]
    remaining: tuple[Violation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Edit:
    """A row as it is and as it is to be, by column."""

    table: Table
    key: Key
    before: Row | None
    after: Row | None
    change: Change


def plan_repair(connection: Connection, backend: Backend, now: datetime) -> Repair:
    """Return what has to change, and write nothing.

    Where a value is of another kind than its column, only that is found: the rest is when it is gone.
    """
    found = tuple(audit(connection, backend, now))
    edits = _edits(connection, found, now)
    touched = {(edit.change.table, edit.change.row) for edit in edits}
    removable = {table.name for table in REMOVABLE}
    return Repair(
        changes=tuple(edit.change for edit in edits),
        remaining=tuple(
            row
            for row in found
            if row.rule not in ADDED_UP
            and (row.table, row.row) not in touched
            and not (row.rule == VALUES_OF_THEIR_KIND.name and row.table in removable)
        ),
    )


def write_repair(connection: Connection, backend: Backend, now: datetime) -> Repair:
    """Change what has to change, count it as a write of every workspace, and check the whole store again.

    The caller holds the locks of all workspaces.
    """
    backend.defer_references(connection)
    changes: list[Change] = []
    found = tuple(audit(connection, backend, now))
    for _ in range(ROUNDS):
        edits = _edits(connection, found, now)
        if not edits:
            break
        _write(connection, edits)
        changes.extend(edit.change for edit in edits)
        found = tuple(audit(connection, backend, now))
    if changes:
        columns = tables.workspaces.c
        connection.execute(
            tables.workspaces.update().values(
                generation=columns.generation + 1,
                whole_generation=columns.generation + 1,
                written_at=rows.unix_seconds(now),
            )
        )
    return Repair(changes=tuple(changes), remaining=found)


def _edits(connection: Connection, found: Sequence[Violation], now: datetime) -> list[_Edit]:
    """Compute every row that has to change: of a database all at once, as its rows depend on each other."""
    rules = {violation.rule for violation in found}
    if not found or FILE_IS_WHOLE.name in rules:
        return []
    ids = dict(iter(connection.execute(select(databases.c.key, databases.c.id))))
    named = {violation.database_id for violation in found}
    broken: dict[int | None, list[Broken]] = {key: [] for key, id_ in ids.items() if id_ in named}
    edits: list[_Edit] = []
    is_strange = VALUES_OF_THEIR_KIND.name in rules
    if is_strange:
        edits = list(_strange_rows(connection, ids))
        broken |= {key: [] for edit in edits if edit.before and (key := edit.before.get("database_key")) in ids}
    else:
        for rule, table, row in _broken_rows(connection, now):
            key = row["key"] if table is databases else row.get("database_key")
            broken.setdefault(key if key in ids else None, []).append((rule, table, row))

    clock = Clock(
        now=rows.unix_seconds(now),
        today=rows.day_number((now + CLOCK_TOLERANCE).date()),
        workspace_keys=frozenset(connection.execute(select(tables.workspaces.c.key)).scalars()),
    )
    if None in broken:
        edits += _mended(_load_rest(connection, clock), broken.pop(None), None)
    keys = sorted(key for key in broken if key is not None)
    for begin in range(0, len(keys), DATABASES_AT_ONCE):
        part = keys[begin : begin + DATABASES_AT_ONCE]
        for key, held in _load(connection, clock, part, is_strange=is_strange).items():
            edits += _mended(held, broken[key], ids[key])
    return edits


def _broken_rows(connection: Connection, now: datetime) -> Iterator[Broken]:
    for table in tables.metadata.sorted_tables:
        for values, invariants in broken_rows(connection, table, now, list(table.columns)):
            row = {column.name: values[column] for column in table.columns}
            yield from ((invariant.name, table, row) for invariant in invariants)


def _strange_rows(connection: Connection, ids: Mapping[int, str]) -> Iterator[_Edit]:
    """Rows of usage that cannot be read, with their keys alone."""
    for table in tables.metadata.sorted_tables:
        if table not in REMOVABLE:
            continue
        key = list(table.primary_key)
        quoted = [func.quote(column) for column in table.columns]
        for row in connection.execute(select(*key, *quoted).where(or_(*are_strange(connection, table)))).all():
            before = {column.name: value for column, value in zip(key, row, strict=False)}
            texts = zip(table.columns, row[len(key) :], strict=True)
            text = ", ".join(f"{column.name} = {value}" for column, value in texts if not column.primary_key)
            yield _edit(table, tuple(before.values()), before, None, ids.get(before.get("database_key", 0)), text)


def _load(connection: Connection, clock: Clock, keys: Sequence[int], *, is_strange: bool) -> dict[int, Held]:
    """Rows of these databases; without those that cannot be read, where there are such."""
    loaded = {key: Held(clock=clock) for key in keys}
    for table in OF_A_DATABASE:
        column = table.c.key if table is databases else table.c.database_key
        query = select(table).where(column.in_(keys))
        if is_strange:
            query = query.where(not_(or_(*are_strange(connection, table))))
        for row in rows.fetched(connection, query):
            loaded[row._mapping[column]].put(table, _row(table, row))
    return loaded


def _load_rest(connection: Connection, clock: Clock) -> Held:
    """Rows of no database, in which an instant that is part of a key may be taken."""
    loaded = Held(clock=clock)
    for table in (plans, events):
        for row in rows.fetched(connection, select(table)):
            loaded.put(table, _row(table, row))
    return loaded


def _row(table: Table, row: Iterable[Any]) -> Row:
    values = {column.name: value for column, value in zip(table.columns, row, strict=True)}
    if table is months:
        values["storage_byte_seconds"] = int(values["storage_byte_seconds"])
    return values


def _mended(held: Held, broken: Iterable[Broken], database_id: str | None) -> Iterator[_Edit]:
    """Set right what is held of one database, or of none, and tell what became different."""
    for _, table, row in broken:
        held.put(table, row)
    before = {table: {key: dict(row) for key, row in by_key.items()} for table, by_key in held.rows.items()}
    # The latest first: then those that become now keep their order.
    latest_first = sorted(broken, key=lambda row: (row[1].name, key_of(row[1], row[2])), reverse=True)
    for rule, table, row in sorted(latest_first, key=lambda row: ORDER.get(row[0], 0)):
        mend(held, rule, table, key_of(table, row))
    if held.rows[databases]:
        add_up(held)
    for table, by_key in held.rows.items():
        was = before.get(table, {})
        for key in sorted(was.keys() | by_key.keys()):
            if was.get(key) != by_key.get(key):
                yield _edit(table, key, was.get(key), by_key.get(key), database_id)


def _edit(
    table: Table, key: Key, before: Row | None, after: Row | None, database_id: str | None, text: str | None = None
) -> _Edit:
    values: dict[object, object] = dict(zip(table.primary_key, key, strict=True))
    columns = [column.name for column in table.columns if not column.primary_key]
    if before is not None and after is not None:
        columns = [name for name in columns if before[name] != after[name]]
    change = Change(
        table=table.name,
        row=shown_row(table, values, database_id),
        database_id=database_id,
        period=shown_period(table, values),
        before=text or _text(before, columns),
        after=_text(after, columns),
    )
    return _Edit(table=table, key=key, before=before, after=after, change=change)


def _text(row: Row | None, columns: Iterable[str]) -> str | None:
    return None if row is None else shown_values((name, row[name]) for name in columns)


def _write(connection: Connection, edits: Iterable[_Edit]) -> None:
    """Write every row: those that go first, as another may take the key."""
    by_table: dict[Table, list[_Edit]] = defaultdict(list)
    for edit in edits:
        by_table[edit.table].append(edit)
    for table, own in by_table.items():
        is_key = [column == bindparam(f"was_{column.name}") for column in table.primary_key]
        others: dict[Any, Any] = {
            column: bindparam(f"to_{column.name}") for column in table.columns if not column.primary_key
        }
        removed = [_was(edit) for edit in own if edit.after is None]
        changed = [
            _was(edit) | {f"to_{name}": value for name, value in _stored(connection, table, edit.after).items()}
            for edit in own
            if edit.before is not None and edit.after is not None
        ]
        added = [_stored(connection, table, edit.after) for edit in own if edit.before is None and edit.after]
        for statement, parameters in (
            (table.delete().where(*is_key), removed),
            (table.update().where(*is_key).values(others), changed),
            (table.insert(), added),
        ):
            if parameters:
                connection.execute(statement, parameters)


def _was(edit: _Edit) -> Row:
    return {f"was_{column.name}": value for column, value in zip(edit.table.primary_key, edit.key, strict=True)}


def _stored(connection: Connection, table: Table, row: Row) -> Row:
    if table is months and connection.dialect.name == "sqlite":
        return row | {"storage_byte_seconds": str(row["storage_byte_seconds"])}
    return row
