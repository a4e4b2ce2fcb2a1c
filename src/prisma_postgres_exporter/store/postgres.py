"""Postgres: a server that several replicas can share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy
from sqlalchemy import Connection, Dialect, Engine, Table, event, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection

from prisma_postgres_exporter.errors import ConfigurationError, StoreUnavailable
from prisma_postgres_exporter.store.patience import Patience
from prisma_postgres_exporter.store.rows import Values, unix_seconds
from prisma_postgres_exporter.store.tables import store_state, workspaces
from prisma_postgres_exporter.store.urls import public_url

if TYPE_CHECKING:
    from prisma_postgres_exporter.store.postgres_connection import StoreConnection

READING: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
WRITING: Mapping[str, Any] = {"isolation_level": "READ COMMITTED"}

CONNECT_OPTIONS = {
    "application_name": "prisma-postgres-exporter",
    "connect_timeout": 10,
    # A server that vanished without a word is noticed within a minute.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
LOCK_TIMEOUT = "10s"
STALLED = "3s"
"""A client that says nothing for so long in a transaction that writes was stopped, or cut off."""

SCHEMA_LOCK = 0x70706578  # any number that no other program takes
PARTITION_LOCK = SCHEMA_LOCK + 1
PARTITION_SECONDS = int(timedelta(days=7).total_seconds())
PARTITION_PREFIX = "readings_from_"
ROWS_AT_ONCE = 1_000


def create_engine(url: URL, *, is_read_only: bool, is_lasting: bool, patience: Patience) -> Engine:
    """Make the engine; a connection that died is replaced when it is next taken. To read only takes no other one."""
    # With the library itself: a store in a file does without.
    from prisma_postgres_exporter.store.postgres_connection import StoreConnection  # noqa: PLC0415

    options = {name: value for name, value in CONNECT_OPTIONS.items() if name not in url.query}
    engine = sqlalchemy.create_engine(
        url,
        # Statements prepared on a session break behind a pooler that hands out one for each transaction.
        connect_args={**options, "prepare_threshold": None},
        pool_pre_ping=True,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Dialect, _record: object, arguments: list[str], options: dict[str, Any]) -> DBAPIConnection:
        longest = min(float(options["connect_timeout"]), patience.seconds)
        connection = StoreConnection.connect(*arguments, **{**options, "connect_timeout": longest})
        connection.patience = patience
        return cast("DBAPIConnection", connection)

    @event.listens_for(engine, "checkin")
    def hurry_again(connection: DBAPIConnection | None, _: object) -> None:
        # Not when it is taken: it is pinged before.
        if connection is not None:
            cast("StoreConnection", connection).waits_long = False

    return engine


def require_makeable(url: URL) -> None:
    """Make sure that this role may make tables where it would, and make none."""
    engine = create_engine(url, is_read_only=True, is_lasting=True, patience=Patience())
    try:
        with engine.connect() as connection:
            query = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
            if not connection.execute(text(query)).scalar_one():
                raise StoreUnavailable(
                    f"cannot make the store at {public_url(url)}: this role may not create tables; "
                    "GRANT CREATE ON SCHEMA public to it, or let it own the database"
                )
    finally:
        engine.dispose()


def wait_long(connection: Connection) -> None:
    """Let the server take its time, until the connection is given back."""
    cast("StoreConnection", connection.connection.driver_connection).waits_long = True


def limit_stalling(connection: Connection) -> None:
    """Have the server end this transaction if its client stalls, so that its locks keep nobody waiting for long."""
    connection.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{STALLED}'"))


def confirm(connection: Connection) -> None:
    """Nothing to do: the transaction saw one moment."""


def keep_others_out(url: URL) -> AbstractContextManager[None]:
    """Keep nobody out: the leases of workspaces see to it that each is collected by one."""
    return nullcontext()


def is_kept_by(url: URL, process: int) -> bool | None:
    """Nobody keeps others out."""
    return None


def adopt(url: URL) -> None:
    """Nothing to do: the server keeps its files apart."""


def remember(url: URL) -> None:
    """Nothing to do: a server does not make a database by itself."""


def lock_schema(connection: Connection) -> None:
    """Wait for another process's migration, as long as that takes."""
    connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))


def lock_keys(connection: Connection) -> None:
    """Lock the store's one row of state: who gives out keys queues there, everyone else passes."""
    _limit_waiting(connection)
    connection.execute(select(store_state.c.key).with_for_update())


def lock_workspaces(connection: Connection, ids: Collection[str]) -> None:
    """Lock the rows of these workspaces in the order of their keys, so that two writers never wait for each other.

    Not against who writes rows that refer to one: those of a database that moved are of two workspaces.
    """
    _limit_waiting(connection)
    rows = select(workspaces.c.key).where(workspaces.c.id.in_(list(ids))).order_by(workspaces.c.key)
    connection.execute(rows.with_for_update(key_share=True)).all()


def make_room(connection: Connection, instants: Collection[datetime]) -> None:
    """Create the partitions that are missing, one for each week (Unix weeks begin on a Thursday)."""
    starts = {unix - unix % PARTITION_SECONDS for unix in map(unix_seconds, instants)}
    if starts.issubset(_partitions(connection)):
        return
    # Another writer may be making the same ones: then they are there once it is done.
    connection.execute(select(func.pg_advisory_xact_lock(PARTITION_LOCK)))
    for start in sorted(starts.difference(_partitions(connection))):
        # Straight to the driver: SQLAlchemy would remember a statement for each week.
        connection.exec_driver_sql(
            f"CREATE TABLE {PARTITION_PREFIX}{start} PARTITION OF readings"
            f" FOR VALUES FROM ({start}) TO ({start + PARTITION_SECONDS})"
        )


def defer_references(connection: Connection) -> None:
    """Ask at the end."""
    connection.execute(text("SET CONSTRAINTS ALL DEFERRED"))


def damage(connection: Connection) -> Iterator[str]:
    """Find nothing: a server looks after its own files."""
    yield from ()


def is_doubtful(url: URL) -> bool:
    """The server looks after its files."""
    return False


def examine(engine: Engine, patience: Patience, seconds: float) -> bool:
    """Nothing to do: the server looks after its files."""
    return True


def size_bytes(connection: Connection) -> int:
    """The database's size: the store is meant to have one of its own."""
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def upsert(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Write rows by primary key, a column of values an array.

    COPY takes less of a processor, and a client that is stopped in it keeps the locks of its transaction for as long as
    it is: the server ends no transaction that is in the middle of one.
    """
    statement = _upsert(table)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        columns = zip(*rows[start : start + ROWS_AT_ONCE], strict=True)
        connection.exec_driver_sql(statement, tuple(map(list, columns)))


def copy(engine: Engine, path: Path, on_progress: Callable[[int, int], None]) -> None:
    """Refuse: a server is backed up with its own tools."""
    raise ConfigurationError(
        [f"the store is on a Postgres server: back it up with `pg_dump --format=custom --file={path} DATABASE`"]
    )


def prune_readings(engine: Engine, before_unix: int) -> int:
    """Drop the weeks that are older as a whole: up to a week more than asked for is kept."""
    with engine.connect() as connection:
        old = [start for start in _partitions(connection) if start + PARTITION_SECONDS <= before_unix]
    return sum(_drop_partition(engine, start) for start in old)


def _limit_waiting(connection: Connection) -> None:
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))


def _partitions(connection: Connection) -> list[int]:
    """The instants at which the partitions that exist begin."""
    names = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'readings'::regclass")
    ).scalars()
    return sorted(int(name.rsplit(".")[-1].removeprefix(PARTITION_PREFIX)) for name in names)


def _drop_partition(engine: Engine, start: int) -> int:
    """Count its rows first, as dropping waits for every reader and keeps new ones waiting meanwhile."""
    name = f"{PARTITION_PREFIX}{start}"
    with engine.begin() as connection:
        wait_long(connection)
        rows: int = connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608
    with engine.begin() as connection:
        _limit_waiting(connection)
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
    return rows


@cache
def _upsert(target: Table) -> str:
    dialect = sqlalchemy.create_mock_engine("postgresql+psycopg://", lambda *_: None).dialect
    keys = ", ".join(column.name for column in target.primary_key)
    replaced = ", ".join(
        f"{column.name} = excluded.{column.name}" for column in target.columns if not column.primary_key
    )
    arrays = ", ".join(f"%s::{column.type.compile(dialect)}[]" for column in target.columns)
    found = f"DO UPDATE SET {replaced}" if replaced else "DO NOTHING"
    # All names are of our own tables.
    return f"INSERT INTO {target.name} SELECT * FROM unnest({arrays}) ON CONFLICT ({keys}) {found}"  # noqa: S608
