"""The tables, as the newest migration leaves them.

Instants are unix seconds (`…_at`), spans seconds (`…_seconds`), days count from 1970-01-01, months
are `year * 12 + month - 1`. Databases, workspaces and windows have small integer keys: ids are
text, and most rows are keyed by several of them. `constraints` has what is refused beside.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    literal_column,
)

metadata = MetaData()


def _key_of(target: str, rule: str) -> ForeignKey:
    """A column that holds a key of another table, unless a rule of this name is broken; a repair looks at the end."""
    return ForeignKey(target, name=rule, deferrable=True, initially="IMMEDIATE")


# Never changes: an older version must be able to say who made a store that it cannot read.
store_state = Table(
    "store_state",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("made_by", Text, nullable=False),  # the version that migrated it last
)

# What the service charges by, in one row: `config.costs` knows the document.
cost_configuration = Table(
    "cost_configuration",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
    Column("written_at", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),  # the version that wrote it
)

workspaces = Table(
    "workspaces",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("plan", Text),
    Column("usage_blocked", Boolean),
    Column("first_seen_at", BigInteger, nullable=False),
    Column("gone_at", BigInteger),
    Column("generation", BigInteger, nullable=False),  # how often something of it was written
    Column("written_at", BigInteger, nullable=False),
    Column("whole_generation", BigInteger, nullable=False),  # its newest write that was not of readings alone
)

# A workspace's plans as they were seen: what a month costs needs to know since when.
plans = Table(
    "plans",
    metadata,
    Column(
        "workspace_key",
        Integer,
        _key_of("workspaces.key", "plan_of_a_workspace"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("plan", Text),
    sqlite_with_rowid=False,
)

# Written by discoveries; what rounds change often is in `positions`, in narrow rows.
databases = Table(
    "databases",
    metadata,
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("workspace_key", Integer, _key_of("workspaces.key", "database_in_a_workspace"), nullable=False),
    Column("name", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("project_name", Text, nullable=False),
    Column("region", Text),
    Column("status", Text, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("first_seen_at", BigInteger, nullable=False),
    Column("counted_from", Integer, nullable=False),
    Column("deleted_at", BigInteger),
)

positions = Table(
    "positions",
    metadata,
    Column(
        "database_key",
        Integer,
        _key_of("databases.key", "state_of_a_database"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("known_until", Integer, nullable=False),
    Column("operations_total", BigInteger, nullable=False),
    Column("revisions_up", BigInteger, nullable=False),
    Column("revisions_down", BigInteger, nullable=False),
    Column("storage_bytes", BigInteger),
    Column("storage_at", BigInteger),
    Column("usage_at", BigInteger),
    Column("last_success_at", BigInteger),
    Column("failing_since_at", BigInteger),
    Column("failure_reason", Text),
    Column("checked_until", Integer, nullable=False),
    Column("recheck_at", BigInteger),
    Column("generation", BigInteger, nullable=False),  # its workspace's, when readings of it were written last
)

# Kept for ever, so narrow: SQLite spends no byte on a value that is 0, which is what `operations_fallen`
# (the highest number there was, less today's) and `settled_seconds` are in nearly every row.
days = Table(
    "days",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column(
        "database_key",
        Integer,
        _key_of("databases.key", "day_of_a_database"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("workspace_key", Integer, _key_of("workspaces.key", "day_in_a_workspace"), nullable=False),
    Column("operations", BigInteger, nullable=False),
    Column("operations_fallen", BigInteger, nullable=False),
    Column("storage_bytes", BigInteger, nullable=False),
    Column("storage_byte_seconds", BigInteger, nullable=False),
    Column("storage_seconds", Integer, nullable=False),
    Column("read_at", BigInteger, nullable=False),
    Column("unchanged_seconds", BigInteger),  # for how long, when it was read last
    Column("settled_seconds", BigInteger),  # for how long, when it was read last
    Column("is_counted", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
unsettled = days.c.settled_seconds.is_(None)
Index("days_unsettled", days.c.day, days.c.database_key, sqlite_where=unsettled, postgresql_where=unsettled)

months = Table(
    "months",
    metadata,
    Column("month", Integer, primary_key=True, autoincrement=False),
    Column(
        "database_key",
        Integer,
        _key_of("databases.key", "month_of_a_database"),
        primary_key=True,
        autoincrement=False,
    ),
    Column(
        "workspace_key",
        Integer,
        _key_of("workspaces.key", "month_in_a_workspace"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("days", SmallInteger, nullable=False),
    Column("days_operations", BigInteger, nullable=False),
    # A month at 4 TiB does not fit 64 bits, and SQLite's own numbers have no more.
    Column("storage_byte_seconds", Numeric(24, 0).with_variant(Text, "sqlite"), nullable=False),
    Column("storage_seconds", Integer, nullable=False),
    Column("operations", BigInteger),
    Column("difference_operations", BigInteger),
    Column("period_end_at", BigInteger),
    Column("read_at", BigInteger),
    Column("rechecked_difference_operations", BigInteger),
    sqlite_with_rowid=False,
)

windows = Table(
    "windows",
    metadata,
    Column("key", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
)

rolling = Table(
    "rolling",
    metadata,
    Column(
        "database_key",
        Integer,
        _key_of("databases.key", "window_of_a_database"),
        primary_key=True,
        autoincrement=False,
    ),
    Column(
        "window_key",
        SmallInteger,
        _key_of("windows.key", "window_with_a_name"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("operations", BigInteger, nullable=False),
    Column("period_start_at", BigInteger, nullable=False),
    Column("period_end_at", BigInteger, nullable=False),
    Column("read_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# On Postgres in partitions by week, made by `postgres.make_room`. It refers to nothing: to drop a week would then wait
# for whoever reads `databases`, and keep others from it.
readings = Table(
    "readings",
    metadata,
    Column("read_at", BigInteger, primary_key=True, autoincrement=False),
    Column("database_key", Integer, primary_key=True, autoincrement=False),
    Column("window_key", SmallInteger, primary_key=True, autoincrement=False),
    Column("period_start_at", BigInteger, primary_key=True, autoincrement=False),
    Column("period_end_at", BigInteger, nullable=False),
    Column("operations", BigInteger),
    Column("storage_bytes", BigInteger),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (read_at)",
)

revisions = Table(
    "revisions",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("database_key", Integer, primary_key=True, autoincrement=False),
    Column("revised_at", BigInteger, primary_key=True, autoincrement=False),
    Column("operations_before", BigInteger, nullable=False),
    Column("operations_after", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["day", "database_key"],
        ["days.day", "days.database_key"],
        name="revision_of_a_day",
        deferrable=True,
        initially="IMMEDIATE",
    ),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Text, primary_key=True),
    Column("subject_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("workspace_id", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("last_there_at", BigInteger),
    sqlite_with_rowid=False,
)
# Its text, as the index is of use to nobody who asks with a parameter.
moves = events.c.kind == literal_column("'moved'")
Index("events_moved", events.c.subject_id, sqlite_where=moves, postgresql_where=moves)

# The processes that share the store on a server; instants are milliseconds of the server's clock.
sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("claims", Text, nullable=False),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
)

# Who collects a workspace: a lease ends with its session. No foreign key: a row outlives its session.
leases = Table(
    "leases",
    metadata,
    Column("workspace_id", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("session_id", Text),
)
